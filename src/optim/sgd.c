/* sgd.c: stochastic gradient descent, with momentum or Nesterov's.
 *
 *     g' = g + weight_decay w
 *     v <- momentum v + g'
 *     w <- w - lr v,  or Nesterov's  w <- w - lr (g' + momentum v)
 */
#include "optim/internal.h"

enum { MOMENTUM = 1, WEIGHT_DECAY };

#define GR_KERNEL_FILE "optim/sgd.kernels.inc"
#include "tensor/kernel.h"

static const gr_rule sgd_plain = {.name = "sgd", .kernel = GR_KERNELS(plain)};
static const gr_rule sgd_momentum = {.name = "sgd", .n_states = 1, .kernel = GR_KERNELS(heavy_ball)};
static const gr_rule sgd_nesterov = {.name = "sgd", .n_states = 1, .kernel = GR_KERNELS(look_ahead)};

gr_optimizer *gr_sgd(gr_params *params, const gr_sgd_options *options)
{
    const gr_sgd_options o = options ? *options : (gr_sgd_options){0};
    if (o.nesterov && o.momentum == 0.0) return gr_fail(GR_ERR_OPTION, "sgd: nesterov needs a momentum above 0"), NULL;
    const gr_rule *rule = o.nesterov ? &sgd_nesterov : o.momentum != 0.0 ? &sgd_momentum : &sgd_plain;
    const gr_option numbers[GR_MAX_NUMBERS] = {
        [GR_LR] = {"lr", o.lr, 0.01, GR_ANY_SIZE},
        [MOMENTUM] = {"momentum", o.momentum, 0.0, 1.0},
        [WEIGHT_DECAY] = {"weight_decay", o.weight_decay, 0.0, GR_ANY_SIZE},
    };
    return gr_optimizer_new(params, rule, numbers);
}
