/* rmsprop.c: the gradient over the root of its own running mean square.
 *
 *     g' = g + weight_decay w
 *     v <- alpha v + (1-alpha) g'^2,  f = g' / (sqrt(v) + eps)
 *     w <- w - lr f,  or with momentum  b <- momentum b + f,  w <- w - lr b
 */
#include "optim/internal.h"

enum { RMSPROP_ALPHA = 1, RMSPROP_EPS, RMSPROP_MOMENTUM, RMSPROP_WEIGHT_DECAY };

#define GR_KERNEL_FILE "optim/rmsprop.kernels.inc"
#include "tensor/kernel.h"

static void grow_rmsprop(const double c[], double g, double bound[])
{
    const double d = g + c[RMSPROP_WEIGHT_DECAY] * bound[0];
    bound[1] = fmax(bound[1], d * d);
    bound[2] = c[RMSPROP_MOMENTUM] * bound[2] + d * gr_most_by(c[RMSPROP_EPS]);
    bound[0] += c[GR_LR] * bound[2];
}

static const gr_rule rmsprop = {.name = "rmsprop", .grow = grow_rmsprop, .kernel = GR_KERNELS(rmsprop_span)};

gr_optimizer *gr_rmsprop(gr_params *params, const gr_rmsprop_options *options)
{
    const gr_rmsprop_options o = options ? *options : (gr_rmsprop_options){0};
    const gr_option numbers[GR_MAX_NUMBERS] = {
        [GR_LR] = {"lr", o.lr, 0.01, GR_ANY_SIZE},
        [RMSPROP_ALPHA] = {"alpha", o.alpha, 0.99, 1.0},
        [RMSPROP_EPS] = {"eps", o.eps, 1e-8, GR_ANY_SIZE},
        [RMSPROP_MOMENTUM] = {"momentum", o.momentum, 0.0, 1.0},
        [RMSPROP_WEIGHT_DECAY] = {"weight_decay", o.weight_decay, 0.0, GR_ANY_SIZE},
    };
    return gr_optimizer_new(params, &rmsprop, o.momentum != 0.0 ? 2 : 1, numbers);
}
