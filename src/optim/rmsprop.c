/* rmsprop.c: the gradient over the root of its own running mean square.
 *
 *     g' = g + weight_decay w
 *     v <- alpha v + (1-alpha) g'^2,  f = g' / (sqrt(v) + eps)
 *     w <- w - lr f,  or with momentum  b <- momentum b + f,  w <- w - lr b
 */
#include "optim/internal.h"

enum { ALPHA = 1, EPS, MOMENTUM, WEIGHT_DECAY };

#define GR_KERNEL_FILE "optim/rmsprop.kernels.inc"
#include "tensor/kernel.h"

static const gr_rule rmsprop_plain = {.name = "rmsprop", .n_states = 1, .kernel = GR_KERNELS(plain)};
static const gr_rule rmsprop_momentum = {.name = "rmsprop", .n_states = 2, .kernel = GR_KERNELS(heavy_ball)};

gr_optimizer *gr_rmsprop(gr_params *params, const gr_rmsprop_options *options)
{
    const gr_rmsprop_options o = options ? *options : (gr_rmsprop_options){0};
    const gr_rule *rule = o.momentum != 0.0 ? &rmsprop_momentum : &rmsprop_plain;
    const gr_option numbers[GR_MAX_NUMBERS] = {
        [GR_LR] = {"lr", o.lr, 0.01, GR_ANY_SIZE},
        [ALPHA] = {"alpha", o.alpha, 0.99, 1.0},
        [EPS] = {"eps", o.eps, 1e-8, GR_ANY_SIZE},
        [MOMENTUM] = {"momentum", o.momentum, 0.0, 1.0},
        [WEIGHT_DECAY] = {"weight_decay", o.weight_decay, 0.0, GR_ANY_SIZE},
    };
    return gr_optimizer_new(params, rule, numbers);
}
