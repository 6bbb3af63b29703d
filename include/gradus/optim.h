/* optim.h: parameters, and the optimizers that change them.
 *
 *     gr_params *params = gr_params_new();
 *     gr_tensor *w = gr_params_add(params, "w", gr_xavier_uniform(GR_F32, GR_SHAPE(30, 1), &rng));
 *     gr_tensor *b = gr_params_add(params, "b", gr_zeros(GR_F32, GR_SHAPE(1)));
 *     gr_optimizer *opt = gr_adam(params, &(gr_adam_options){.lr = 0.01});
 *
 *     for (int step = 0; step < 100; step++) {
 *         gr_tensor *loss = gr_bce(tape, gr_linear(tape, x, w, b), y, &(gr_loss_options){.from_logits = true});
 *         if (gr_backward(tape, loss, 0) || gr_step(opt)) return fail(gr_last_error());
 *         gr_tape_reset(tape);
 *     }
 *     gr_optimizer_free(opt);
 *     gr_params_free(params);                            // frees w and b
 *
 * gr_step() reads the accumulated gradients, changes the parameters in place, and removes the gradients.
 * NULL: to free it does nothing, a NULL set counts and prints as an empty one; status.h says the rest.
 * An optimizer's state has the dtype and shape of its parameters and is allocated when the optimizer is made, so that
 * a step allocates nothing. State below the dtype's smallest normal number counts as 0.
 */
#ifndef GRADUS_OPTIM_H
#define GRADUS_OPTIM_H

#include <gradus/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Parameters --------------------------------------------------------------------------------------------- */

typedef struct gr_params gr_params;

/* An empty set. NULL with GR_ERR_MEMORY. Freeing it frees the tensors in it. */
GR_EXPORT gr_params *gr_params_new(void);
GR_EXPORT void gr_params_free(gr_params *params);

/* Gives a tensor of yours to the set, under a name that is new in it, as a leaf that requires a gradient. Returns the
 * tensor, borrowed from the set. On failure it returns NULL and frees the tensor, so that the creation of the tensor
 * can be written inside the call. Errors: GR_ERR_NULL, GR_ERR_OPTION (the name is empty or taken), GR_ERR_DTYPE (i32),
 * GR_ERR_MEMORY; GR_ERR_STATE for a tensor that has an owner, a tape or this set or another, and stays there. */
GR_EXPORT gr_tensor *gr_params_add(gr_params *params, const char *name, gr_tensor *tensor);

GR_EXPORT int gr_params_count(const gr_params *params);
GR_EXPORT int64_t gr_params_elements(const gr_params *params);                 /* of all parameters together */
GR_EXPORT gr_tensor *gr_params_at(const gr_params *params, int position);      /* in the order added; NULL: none */
GR_EXPORT gr_tensor *gr_params_get(const gr_params *params, const char *name); /* or a buffer; NULL with GR_ERR_INDEX */

/* A buffer: a tensor that belongs to a model and is saved with it, but is not trained, such as the running statistics
 * of a batch normalisation. Added as by gr_params_add(), under a name that is new among parameters and buffers; of any
 * dtype, and GR_ERR_STATE if it requires a gradient. gr_params_get() finds it; the functions that count and print
 * parameters leave it out. */
GR_EXPORT gr_tensor *gr_params_add_buffer(gr_params *params, const char *name, gr_tensor *tensor);
GR_EXPORT int gr_params_buffer_count(const gr_params *params);
GR_EXPORT gr_tensor *gr_params_buffer_at(const gr_params *params, int position); /* in the order added; NULL: none */

/* One line for each: name, dtype, shape, number of elements; and the total. Errors: those of gr_fprint(). */
GR_EXPORT gr_status gr_params_fprint(FILE *file, const gr_params *params);

/* A copy of all of them in another dtype, without gradients: to check in F64 what trains in F32. Buffers are copied
 * too, in that dtype if they are floats. NULL with GR_ERR_NULL, GR_ERR_DTYPE (i32), GR_ERR_MEMORY. */
GR_EXPORT gr_params *gr_params_copy_as(gr_dtype dtype, const gr_params *params);

/* Removes all gradients, as gr_step() does. */
GR_EXPORT void gr_params_zero_grad(gr_params *params);

/* ---- Clipping, between backward and step -------------------------------------------------------------------- */

/* Scales all gradients by max_norm / norm where their joint Euclidean norm exceeds max_norm (Pascanu et al., 2013).
 * *norm, if `norm` is not NULL, becomes the norm before. A norm that is not finite is GR_ERR_VALUE with a message that
 * names the first element that is not, and nothing is scaled; GR_ERR_OPTION unless max_norm > 0. With INFINITY nothing
 * is scaled either. */
GR_EXPORT GR_NODISCARD gr_status gr_clip_grad_norm(gr_params *params, double max_norm, double *norm);

/* Clamps every element of every gradient to [-limit, limit]. NaN stays. GR_ERR_OPTION unless limit > 0. */
GR_EXPORT GR_NODISCARD gr_status gr_clip_grad_value(gr_params *params, double limit);

/* ---- Optimizers --------------------------------------------------------------------------------------------- */

typedef struct gr_optimizer gr_optimizer;

/* w <- w - lr v, v <- momentum v + g', g' = g + weight_decay w; with nesterov w <- w - lr (g' + momentum v).
 * v begins as the first g'. (Sutskever et al., 2013, in the form that PyTorch uses.) */
typedef struct gr_sgd_options {
    double lr; /* 0: 0.01 */
    double momentum, weight_decay;
    bool nesterov; /* needs a momentum */
} gr_sgd_options;

/* m <- beta1 m + (1-beta1) g', v <- beta2 v + (1-beta2) g'^2,
 * w <- w - lr (m / (1-beta1^t)) / (sqrt(v / (1-beta2^t)) + eps), where g' = g + weight_decay w and t counts the
 * parameter's own steps from 1 (Kingma and Ba, 2015). In gr_adamw() g' = g, and w <- w - lr weight_decay w in the same
 * step (Loshchilov and Hutter, 2019). */
typedef struct gr_adam_options {
    double lr;           /* 0: 0.001 */
    double beta1, beta2; /* 0: 0.9 and 0.999 */
    double eps;          /* 0: 1e-8 */
    double weight_decay;
} gr_adam_options;

/* v <- alpha v + (1-alpha) g'^2, f = g' / (sqrt(v) + eps), w <- w - lr f, where g' = g + weight_decay w; with momentum
 * b <- momentum b + f, w <- w - lr b (Tieleman and Hinton, 2012). */
typedef struct gr_rmsprop_options {
    double lr;    /* 0: 0.01 */
    double alpha; /* 0: 0.99 */
    double eps;   /* 0: 1e-8 */
    double momentum, weight_decay;
} gr_rmsprop_options;

/* An optimizer of all parameters that are in the set now; one that is added later is not trained by it. It borrows
 * them. NULL options are the defaults, and so is a 0 where a comment above gives a default (gr_set_learning_rate() can
 * set a rate of 0). NULL with GR_ERR_OPTION for a number outside its range (negative, not finite, a beta, alpha or
 * momentum of 1 or more, what F32 parameters round to 0 or to an infinity), GR_ERR_SHAPE for an empty set,
 * GR_ERR_MEMORY. Yours to free, before or after the set. */
GR_EXPORT gr_optimizer *gr_sgd(gr_params *params, const gr_sgd_options *options);
GR_EXPORT gr_optimizer *gr_adam(gr_params *params, const gr_adam_options *options);
GR_EXPORT gr_optimizer *gr_adamw(gr_params *params, const gr_adam_options *options); /* weight_decay as given, 0 is 0 */
GR_EXPORT gr_optimizer *gr_rmsprop(gr_params *params, const gr_rmsprop_options *options);
GR_EXPORT void gr_optimizer_free(gr_optimizer *optimizer);

/* One step. A parameter without a gradient stays as it is, with its state. GR_ERR_STATE when no parameter has one;
 * GR_ERR_VALUE, with the name of the parameter and the place, where the step would make a number of a parameter or of
 * the state NaN or infinite. Then nothing has changed, and gr_params_zero_grad() leaves the step out. */
GR_EXPORT GR_NODISCARD gr_status gr_step(gr_optimizer *optimizer);

/* The learning rate of the steps that follow: finite and 0 or more, else GR_ERR_OPTION; GR_ERR_VALUE for one that F32
 * parameters would make infinite. NaN for a NULL optimizer. */
GR_EXPORT double gr_learning_rate(const gr_optimizer *optimizer);
GR_EXPORT GR_NODISCARD gr_status gr_set_learning_rate(gr_optimizer *optimizer, double lr);

/* ---- Learning-rate schedules -------------------------------------------------------------------------------- */

/* The learning rate as a function of the step: gr_set_learning_rate(opt, gr_schedule_rate(&schedule, step)). A step is
 * whatever you count from 0: steps of the optimizer, or epochs. */
typedef enum gr_schedule_kind {
    GR_CONSTANT,
    GR_STEP,        /* base * gamma^floor(s / period) */
    GR_EXPONENTIAL, /* base * gamma^s */
    GR_COSINE,      /* final + (base - final) (1 + cos(pi s / period)) / 2, then final (Loshchilov and Hutter, 2017) */
    GR_N_SCHEDULE_KINDS
} gr_schedule_kind;

typedef struct gr_schedule {
    gr_schedule_kind kind;
    double base;    /* the rate after the warm-up; above 0 */
    double gamma;   /* GR_STEP, GR_EXPONENTIAL; above 0 */
    double final;   /* GR_COSINE; 0 or more */
    int64_t period; /* GR_STEP, GR_COSINE; 1 or more */
    int64_t warmup; /* for so many first steps the rate is base (step+1) / (warmup+1); s counts from 0 after them */
} gr_schedule;

/* The rate at a step. NaN with GR_ERR_OPTION for an unknown kind, a number that is out of its range, or a step below 0;
 * gr_set_learning_rate() of that NaN fails and keeps the message. */
GR_EXPORT double gr_schedule_rate(const gr_schedule *schedule, int64_t step);

#ifdef __cplusplus
}
#endif
#endif
