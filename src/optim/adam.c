/* adam.c: Adam, and AdamW with its decay decoupled from the gradient.
 *
 *     g' = g + weight_decay w                        (Adam only)
 *     m <- beta1 m + (1-beta1) g'
 *     v <- beta2 v + (1-beta2) g'^2
 *     w <- w - lr (m / (1-beta1^t)) / (sqrt(v / (1-beta2^t)) + eps)   (AdamW: - lr weight_decay w more)
 */
#include "optim/internal.h"

/* Its numbers. The last two are prepared once for all elements, each of which is left one root and one division. */
enum {
    ADAM_BETA1 = 1,
    ADAM_BETA2,
    ADAM_EPS,
    ADAM_WEIGHT_DECAY, /* of Adam; 0 in AdamW */
    ADAM_DECOUPLED,    /* the weight decay of AdamW; 0 in Adam */
    ADAM_STEP,         /* lr / (1-beta1^t) */
    ADAM_SHRINK,       /* 1 / sqrt(1-beta2^t) */
    ADAM_N_NUMBERS
};
_Static_assert((int)ADAM_N_NUMBERS <= (int)GR_MAX_NUMBERS, "there is room for each number");

#define GR_KERNEL_FILE "optim/adam.kernels.inc"
#include "tensor/kernel.h"

static void prepare_adam(double c[], int64_t t)
{
    c[ADAM_STEP] = c[GR_LR] / (1.0 - pow(c[ADAM_BETA1], (double)t));
    c[ADAM_SHRINK] = 1.0 / sqrt(1.0 - pow(c[ADAM_BETA2], (double)t));
}

static void grow_adam(const double c[], double g, double bound[])
{
    const double d = g + c[ADAM_WEIGHT_DECAY] * bound[0];
    bound[1] = fmax(bound[1], d);
    bound[2] = fmax(bound[2], d * d);
    bound[0] += c[GR_LR] * c[ADAM_DECOUPLED] * bound[0] + c[ADAM_STEP] * bound[1] * gr_most_by(c[ADAM_EPS]);
}

#define ADAM_RULE .prepare = prepare_adam, .grow = grow_adam, .kernel = GR_KERNELS(adam_span)
static const gr_rule adam = {.name = "adam", ADAM_RULE};
static const gr_rule adamw = {.name = "adamw", ADAM_RULE};

static gr_optimizer *new_adam(gr_params *params, bool decoupled, const gr_adam_options *options)
{
    const gr_adam_options o = options ? *options : (gr_adam_options){0};
    gr_option numbers[GR_MAX_NUMBERS] = {
        [GR_LR] = {"lr", o.lr, 0.001, GR_ANY_SIZE},
        [ADAM_BETA1] = {"beta1", o.beta1, 0.9, 1.0},
        [ADAM_BETA2] = {"beta2", o.beta2, 0.999, 1.0},
        [ADAM_EPS] = {"eps", o.eps, 1e-8, GR_ANY_SIZE},
    };
    numbers[decoupled ? ADAM_DECOUPLED : ADAM_WEIGHT_DECAY] =
        (gr_option){"weight_decay", o.weight_decay, 0.0, GR_ANY_SIZE};
    return gr_optimizer_new(params, decoupled ? &adamw : &adam, 2, numbers);
}

gr_optimizer *gr_adam(gr_params *params, const gr_adam_options *options) { return new_adam(params, false, options); }

gr_optimizer *gr_adamw(gr_params *params, const gr_adam_options *options) { return new_adam(params, true, options); }
