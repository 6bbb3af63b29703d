/* adam.c: Adam, and AdamW with its decay decoupled from the gradient.
 *
 *     g' = g + weight_decay w                        (Adam only)
 *     m <- beta1 m + (1-beta1) g'
 *     v <- beta2 v + (1-beta2) g'^2
 *     w <- w - lr (m / (1-beta1^t)) / (sqrt(v / (1-beta2^t)) + eps)   (AdamW: - lr weight_decay w more)
 */
#include "optim/internal.h"

/* STEP = lr / (1-beta1^t) and SHRINK = 1 / sqrt(1-beta2^t) leave one root and one division to an element. */
enum { BETA1 = 1, BETA2, EPS, WEIGHT_DECAY, DECOUPLED, STEP, SHRINK };

#define GR_KERNEL_FILE "optim/adam.kernels.inc"
#include "tensor/kernel.h"

static void prepare(double c[], int64_t t)
{
    c[STEP] = c[GR_LR] / (1.0 - pow(c[BETA1], (double)t));
    c[SHRINK] = 1.0 / sqrt(1.0 - pow(c[BETA2], (double)t));
}

/* By whether the decay is decoupled, and whether there is one. */
static const gr_rule rules[2][2] = {
    {{.name = "adam", .n_states = 2, .prepare = prepare, .kernel = GR_KERNELS(plain)},
     {.name = "adam", .n_states = 2, .prepare = prepare, .kernel = GR_KERNELS(decaying)}},
    {{.name = "adamw", .n_states = 2, .prepare = prepare, .kernel = GR_KERNELS(plain)},
     {.name = "adamw", .n_states = 2, .prepare = prepare, .kernel = GR_KERNELS(decaying)}},
};

static gr_optimizer *make(gr_params *params, bool decoupled, const gr_adam_options *options)
{
    const gr_adam_options o = options ? *options : (gr_adam_options){0};
    gr_option numbers[GR_MAX_NUMBERS] = {
        [GR_LR] = {"lr", o.lr, 0.001, GR_ANY_SIZE},
        [BETA1] = {"beta1", o.beta1, 0.9, 1.0},
        [BETA2] = {"beta2", o.beta2, 0.999, 1.0},
        [EPS] = {"eps", o.eps, 1e-8, GR_ANY_SIZE},
    };
    numbers[decoupled ? DECOUPLED : WEIGHT_DECAY] = (gr_option){"weight_decay", o.weight_decay, 0.0, GR_ANY_SIZE};
    return gr_optimizer_new(params, &rules[decoupled][o.weight_decay != 0.0], numbers);
}

gr_optimizer *gr_adam(gr_params *params, const gr_adam_options *options)
{
    return make(params, false, options);
}

gr_optimizer *gr_adamw(gr_params *params, const gr_adam_options *options)
{
    return make(params, true, options);
}
