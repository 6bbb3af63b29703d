/* sgd.c: stochastic gradient descent, with momentum or Nesterov's.
 *
 *     g' = g + weight_decay w
 *     v <- momentum v + g'
 *     w <- w - lr v,  or Nesterov's  w <- w - lr (g' + momentum v)
 */
#ifndef K
#include "internal.h"

enum { MOMENTUM = 1, WEIGHT_DECAY };

#define GR_KERNEL_FILE "optim/sgd.c"
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

#else /* ---- once per number type and processor ---------------------------------------------------------------- */

#include "optim/state.inc"

static void K(plain)(void *context, int64_t begin, int64_t end)
{
    const gr_update *u = context;
    const real lr = (real)u->numbers[GR_LR], decay = (real)u->numbers[WEIGHT_DECAY];
    const real *restrict g = u->g;
    real *restrict w = u->w;
    for (int64_t i = begin; i < end; i++) w[i] -= lr * (g[i] + decay * w[i]);
}

static void K(heavy_ball)(void *context, int64_t begin, int64_t end)
{
    const gr_update *u = context;
    const double *c = u->numbers;
    const real lr = (real)c[GR_LR], momentum = (real)c[MOMENTUM], decay = (real)c[WEIGHT_DECAY];
    const real *restrict g = u->g;
    real *restrict w = u->w, *restrict v = u->state[0];
    for (int64_t i = begin; i < end; i++) {
        v[i] = K(settle)(momentum * v[i] + (g[i] + decay * w[i]));
        w[i] -= lr * v[i];
    }
}

static void K(look_ahead)(void *context, int64_t begin, int64_t end)
{
    const gr_update *u = context;
    const double *c = u->numbers;
    const real lr = (real)c[GR_LR], momentum = (real)c[MOMENTUM], decay = (real)c[WEIGHT_DECAY];
    const real *restrict g = u->g;
    real *restrict w = u->w, *restrict v = u->state[0];
    for (int64_t i = begin; i < end; i++) {
        real d = g[i] + decay * w[i];
        v[i] = K(settle)(momentum * v[i] + d);
        w[i] -= lr * (d + momentum * v[i]);
    }
}
#endif
