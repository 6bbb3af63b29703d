/* sgd.c: stochastic gradient descent, with momentum or Nesterov's.
 *
 *     g' = g + weight_decay w
 *     v <- momentum v + g'
 *     w <- w - lr v,  or Nesterov's  w <- w - lr (g' + momentum v)
 */
#include "optim/internal.h"

enum { SGD_MOMENTUM = 1, SGD_WEIGHT_DECAY, SGD_NESTEROV };

#define GR_KERNEL_FILE "optim/sgd.kernels.inc"
#include "tensor/kernel.h"

static void grow_sgd(const double c[], double g, double bound[])
{
    const double d = g + c[SGD_WEIGHT_DECAY] * bound[0];
    bound[1] = c[SGD_MOMENTUM] * bound[1] + d;
    bound[0] += c[GR_LR] * (d + bound[1]);
}

static const gr_rule sgd = {.name = "sgd", .grow = grow_sgd, .kernel = GR_KERNELS(sgd_span)};

gr_optimizer *gr_sgd(gr_params *params, const gr_sgd_options *options)
{
    const gr_sgd_options o = options ? *options : (gr_sgd_options){0};
    if (o.nesterov && o.momentum == 0.0) return gr_fail(GR_ERR_OPTION, "sgd: nesterov needs a momentum above 0"), NULL;
    const gr_option numbers[GR_MAX_NUMBERS] = {
        [GR_LR] = {"lr", o.lr, 0.01, GR_ANY_SIZE},
        [SGD_MOMENTUM] = {"momentum", o.momentum, 0.0, 1.0},
        [SGD_WEIGHT_DECAY] = {"weight_decay", o.weight_decay, 0.0, GR_ANY_SIZE},
        [SGD_NESTEROV] = {.value = o.nesterov},
    };
    return gr_optimizer_new(params, &sgd, o.momentum != 0.0, numbers);
}
