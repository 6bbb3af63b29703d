/* norm.c: batch, layer and group normalisation. Each sees x as [outer, groups, inner], with a mean and a variance over
 * outer and inner for each of the groups, and one body of kernels serves all three:
 *
 *                            outer  groups      inner
 *     batch norm  [N,C,H,W]    N    C           H*W
 *     layer norm  [S,D]        1    S           D             S: the first axes together, D: the last n_axes
 *     group norm  [N,C,P]      1    N*groups    C/groups*P    P: the axes behind the channels
 *
 * With h = (x - mean) rstd, rstd = 1 / sqrt(var + epsilon) and y = gamma h + beta,
 *
 *     dx = rstd (gamma g - mean(gamma g) - h mean(gamma g h)),  dgamma = sum g h,  dbeta = sum g.
 *
 * A run is `inner` elements side by side, all of one group. Its channels, to which gamma and beta belong, lie in it so:
 *
 *     batch norm  | 0 0 0 0 0 0 |    one channel to a run:          channel_run = H W
 *     group norm  | 0 0 0 1 1 1 |    C/groups channels to a run:    channel_run = P
 *     layer norm  | 0 1 2 3 4 5 |    a channel for each element:    channel_run = 1
 *
 * The element at offset k of x is of channel k / channel_run % channels.
 *
 * Squares of the largest numbers overflow. Where a group's did, all is done again with that group's x times a small s,
 * in a copy of x: y is the same for x s and epsilon s^2, and dx is s times that of x s. */
#include <assert.h>

#include "autograd/op_kit.h"

typedef struct norm_plan {
    int64_t outer, groups, inner;           /* x, as statistics are taken */
    int64_t samples, channels, channel_run; /* x, as gamma and beta apply; without them channel_run is `inner` */
    bool by_element;                        /* gamma or beta change from one element of a run to the next */
    int64_t n_sums;                         /* one for each channel_run of x; by_element: one for each channel */
    int64_t n_squares;                      /* batch norm: groups; otherwise 0 */
    double epsilon;
    const void *x, *g;        /* [outer, groups, inner] */
    const void *gamma, *beta; /* [channels], or NULL */
    void *out;                /* [outer, groups, inner]: y, or backward dx */
    double *mean, *rstd;      /* [groups] */
    double *squares;          /* [n_squares]: sum of (x - mean)^2 */
    double *sums_key;         /* [2]: serial and version of the g that the cached sums belong to; -1 for none */
    double *sum_g, *sum_gh;   /* [n_sums]: the cached sums, of g and of g h */
    double *scale;            /* [groups]: s, and behind it x s; NULL: 1 for all */
} norm_plan;

static int64_t norm_product(const gr_tensor *x, int from, int to)
{
    int64_t size = 1;
    for (int i = from; i < to; i++) size *= x->shape[i];
    return size;
}

static norm_plan norm_plan_of(const gr_node *n)
{
    const gr_norm_attr *a = n->attr;
    const gr_tensor *x = n->in[0];
    const bool batch = a->kind == GR_NORM_BATCH, affine = a->gamma || a->beta;
    norm_plan p = {.outer = 1, .epsilon = a->epsilon, .x = x->data, .out = n->out->data};
    if (a->kind == GR_NORM_LAYER) {
        p.samples = p.groups = norm_product(x, 0, x->rank - a->n_axes);
        p.channels = p.inner = norm_product(x, x->rank - a->n_axes, x->rank);
        p.channel_run = 1;
    } else {
        p.samples = x->shape[0];
        p.channels = x->shape[1];
        p.channel_run = norm_product(x, 2, x->rank);
        p.outer = batch ? p.samples : 1;
        p.groups = batch ? p.channels : p.samples * a->groups;
        p.inner = batch ? p.channel_run : p.channels / a->groups * p.channel_run;
    }
    p.by_element = affine && p.channel_run == 1 && !batch;
    if (!affine) p.channel_run = p.inner;
    assert(p.outer * p.groups * p.inner == x->size && p.inner % p.channel_run == 0);
    p.n_sums = p.by_element ? p.channels : x->size / p.channel_run;
    p.n_squares = batch ? p.groups : 0;
    p.gamma = a->gamma ? n->in[1]->data : NULL;
    p.beta = a->beta ? n->in[1 + a->gamma]->data : NULL;
    if (!n->saved) return p;
    p.mean = n->saved->data;
    p.rstd = p.mean + p.groups;
    p.squares = p.rstd + p.groups;
    p.sums_key = p.squares + p.n_squares;
    p.sum_g = p.sums_key + 2;
    p.sum_gh = p.sum_g + p.n_sums;
    if (p.sum_gh + p.n_sums == p.mean + n->saved->size) return p; /* nothing behind the sums: no group was rescaled */
    p.scale = p.sum_gh + p.n_sums;
    p.x = p.scale + p.groups;
    return p;
}

static inline double scale_of(const norm_plan *p, int64_t m) { return p->scale ? p->scale[m] : 1.0; }

/* Whether the squares of a group have overflowed, or x is not finite. */
static bool is_out_of_range(const norm_plan *p)
{
    for (int64_t m = 0; m < p->groups; m++)
        if (!(p->rstd[m] > 0.0)) return true;
    return false;
}

/* Room for the statistics, for the sums that backward finds, of which there are none yet, and for `more` numbers. */
static gr_status norm_save(gr_node *n, norm_plan *p, int64_t more)
{
    const int64_t size = 2 * p->groups + p->n_squares + 2 + 2 * p->n_sums + more;
    if (!gr_save(n, GR_F64, 1, &size)) return gr_last_status();
    *p = norm_plan_of(n);
    p->sums_key[0] = p->sums_key[1] = -1.0;
    return GR_OK;
}

static inline int64_t run_at(const norm_plan *p, int64_t outer, int64_t group)
{
    return (outer * p->groups + group) * p->inner;
}

static inline int64_t channel_at(const norm_plan *p, int64_t k) { return k / p->channel_run % p->channels; }

/* Count, mean, and sum of squares about the mean. */
typedef struct norm_moments {
    double n, mean, squares;
} norm_moments;

/* The moments of two sets together, the second given by those about `shift` (Chan, Golub and LeVeque, 1983). */
static inline void add_moments(norm_moments *s, double n, double shift, double sum, double squares)
{
    const double mean = shift + sum / n, delta = mean - s->mean, all = s->n + n, own = squares - sum * (sum / n);
    s->squares += (own < 0.0 ? 0.0 : own) + delta * delta * (s->n * n / all);
    s->mean = s->n > 0.0 ? s->mean + delta * (n / all) : mean;
    s->n = all;
}

/* The statistics of a group. Its mean is mean + rest, mean being rounded to x's type: x - mean is exact near it. */
typedef struct norm_stats {
    double mean, rest, rstd;
} norm_stats;

enum { NORM_TILE = 1024, NORM_COLUMNS = 256, NORM_ROWS = 64 };

#define GR_KERNEL_FILE "autograd/norm.kernels.inc"
#include "tensor/kernel.h"

/* ---- Shape rules -------------------------------------------------------------------------------------------- */

static gr_status check_epsilon(const char *who, gr_dtype dtype, double epsilon)
{
    if (epsilon > 0.0 && epsilon < (double)INFINITY) return gr_expect_usable(who, "epsilon", dtype, epsilon);
    return gr_fail(GR_ERR_OPTION, "%s: epsilon is %s, expected a number above 0", who, GR_NUMBER_TEXT(epsilon));
}

static gr_status check_affine(const char *who, const gr_tensor *gamma, const gr_tensor *beta, const gr_tensor *x,
                              int rank, const int64_t shape[])
{
    if (gr_expect_parameter(who, "gamma", gamma, x, rank, shape)) return gr_last_status();
    return gr_expect_parameter(who, "beta", beta, x, rank, shape);
}

/* The end of each rule: y is as x, gamma and beta are of this shape. */
static gr_status norm_type(const gr_node *n, int rank, const int64_t shape[], gr_type *type)
{
    const gr_norm_attr *a = n->attr;
    const gr_tensor *gamma = a->gamma ? n->in[1] : NULL, *beta = a->beta ? n->in[1 + a->gamma] : NULL;
    if (check_epsilon(n->op->name, gr_type_of(n->in[0]), a->epsilon)) return gr_last_status();
    gr_type_as(type, n->in[0]);
    return check_affine(n->op->name, gamma, beta, n->in[0], rank, shape);
}

static gr_status batch_norm2d_shape(const gr_node *n, gr_type *type)
{
    const gr_tensor *x = n->in[0];
    if (gr_expect_float(n) || gr_expect_images(n->op->name, x) || norm_type(n, 1, &x->shape[1], type))
        return gr_last_status();
    const int64_t values = x->shape[0] * norm_product(x, 2, 4);
    if (values >= 2) return GR_OK;
    return gr_fail(GR_ERR_SHAPE, "%s: training takes two values a channel or more: %s has %lld", n->op->name,
                   GR_SHAPE_TEXT(x), (long long)values);
}

static gr_status layer_norm_shape(const gr_node *n, gr_type *type)
{
    const int n_axes = ((const gr_norm_attr *)n->attr)->n_axes;
    const gr_tensor *x = n->in[0];
    if (gr_expect_float(n)) return gr_last_status();
    if (n_axes < 1 || n_axes > x->rank)
        return gr_fail(GR_ERR_OPTION, "%s: the last %d axes of %s, expected 1 to %d", n->op->name, n_axes,
                       GR_SHAPE_TEXT(x), x->rank);
    const int split = x->rank - n_axes;
    if (!norm_product(x, split, x->rank))
        return gr_fail(GR_ERR_SHAPE, "%s: of nothing: %s", n->op->name, GR_SHAPE_TEXT(x));
    return norm_type(n, n_axes, &x->shape[split], type);
}

static gr_status group_norm_shape(const gr_node *n, gr_type *type)
{
    const int64_t groups = ((const gr_norm_attr *)n->attr)->groups;
    const gr_tensor *x = n->in[0];
    if (gr_expect_float(n)) return gr_last_status();
    if (x->rank < 2) return gr_fail(GR_ERR_SHAPE, "%s: expected [N,C,...]: %s", n->op->name, GR_SHAPE_TEXT(x));
    if (!norm_product(x, 1, x->rank)) return gr_fail(GR_ERR_SHAPE, "%s: of nothing: %s", n->op->name, GR_SHAPE_TEXT(x));
    if (groups < 1 || x->shape[1] % groups)
        return gr_fail(GR_ERR_OPTION, "%s: the channels of %s do not fall into %lld groups", n->op->name,
                       GR_SHAPE_TEXT(x), (long long)groups);
    return norm_type(n, 1, &x->shape[1], type);
}

/* ---- dx = rstd (gamma g - mean(gamma g) - h mean(gamma g h)) --------------------------------------------------- */

/* The kernels of backward read x and gamma, which an earlier backward may have given back. */
static bool are_values_there(const gr_node *n)
{
    return !gr_expect_inputs(n->op->name, n->tape, n->in, 1 + ((const gr_norm_attr *)n->attr)->gamma, 0);
}

/* factor s^power for each group, [1, groups, 1] */
static gr_tensor *scales_of(gr_tape *t, const gr_node *n, const norm_plan *p, double factor, int power)
{
    gr_tensor *c = gr_result(t, gr_type_of(n->in[0]), GR_SHAPE(1, p->groups, 1));
    for (int64_t m = 0; c && m < p->groups; m++) gr_set_element(c, m, factor * pow(scale_of(p, m), power));
    return c;
}

/* h and rstd of x s, made of ops: [outer, groups, inner] and [1, groups, 1]. */
static gr_tensor *composed_h(gr_tape *t, const gr_node *n, const norm_plan *p, gr_tensor **rstd)
{
    gr_tensor *x = gr_as_shape(t, n->in[0], GR_SHAPE(p->outer, p->groups, p->inner));
    if (p->scale) x = gr_mul(t, x, scales_of(t, n, p, 1.0, 1));
    gr_tensor *centred = gr_centred(t, x, GR_AXES(0, 2));
    gr_tensor *variance = gr_mean(t, gr_square(t, centred), GR_AXES(0, 2), true);
    *rstd = gr_pow_scalar(t, gr_add(t, variance, scales_of(t, n, p, p->epsilon, 2)), -0.5);
    return gr_mul(t, centred, *rstd);
}

static gr_tensor *composed_dx(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const norm_plan p = norm_plan_of(n);
    gr_tensor *rstd, *h = composed_h(t, n, &p, &rstd);
    if (p.gamma) {
        gr_tensor *gamma = gr_as_shape(t, n->in[1], GR_SHAPE(p.channels, 1));
        g = gr_mul(t, gr_as_shape(t, g, GR_SHAPE(p.samples, p.channels, p.channel_run)), gamma);
    }
    g = gr_as_shape(t, g, GR_SHAPE(p.outer, p.groups, p.inner));
    gr_tensor *mean_gh = gr_mean(t, gr_mul(t, g, h), GR_AXES(0, 2), true);
    gr_tensor *means = gr_add(t, gr_mean(t, g, GR_AXES(0, 2), true), gr_mul(t, h, mean_gh));
    gr_tensor *dx = gr_mul(t, rstd, gr_sub(t, g, means));
    if (p.scale) dx = gr_mul(t, dx, scales_of(t, n, &p, 1.0, 1));
    return gr_as_shape(t, dx, n->in[0]->rank, n->in[0]->shape);
}

static const gr_span_body dx_of_groups[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(dx_of_groups);

/* Whether the cached sums are those of g; the caller sees to it that from now on they are. So the first of a node's
 * VJPs leaves them for the others; by element dx finds none, and only dgamma and dbeta share them. */
static bool claim_sums(norm_plan *p, const gr_tensor *g)
{
    const double key[2] = {(double)g->serial, (double)gr_version_of(g)};
    if (memcmp(p->sums_key, key, sizeof key) == 0) return true;
    memcpy(p->sums_key, key, sizeof key);
    return false;
}

static gr_tensor *norm_x_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (!gr_takes_shortcut(t)) return composed_dx(t, n, g);
    gr_tensor *dx = are_values_there(n) ? gr_result(t, gr_type_of(g), g->rank, g->shape) : NULL;
    if (!dx) return NULL;
    norm_plan p = norm_plan_of(n);
    p.g = g->data;
    p.out = dx->data;
    gr_parallel(p.groups, gr_grain_for(p.outer * p.inner), dx_of_groups[gr_cpu_level()][g->dtype], &p);
    if (!p.by_element) claim_sums(&p, g);
    return dx;
}

/* ---- dgamma = sum g h,  dbeta = sum g -------------------------------------------------------------------------- */

static gr_tensor *composed_dparam(gr_tape *t, const gr_node *n, gr_tensor *g, bool gamma)
{
    const norm_plan p = norm_plan_of(n);
    if (gamma) {
        gr_tensor *rstd, *h = composed_h(t, n, &p, &rstd);
        g = gr_mul(t, gr_as_shape(t, g, GR_SHAPE(p.outer, p.groups, p.inner)), h);
    }
    g = gr_sum(t, gr_as_shape(t, g, GR_SHAPE(p.samples, p.channels, p.channel_run)), GR_AXES(0, 2), false);
    return gr_as_shape(t, g, n->in[1]->rank, n->in[1]->shape);
}

static const gr_span_body sums_of_groups[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(sums_of_groups);
static const gr_span_body sums_of_columns[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(sums_of_columns);

/* Spans of columns begin with a line of the cache. */
static void find_sums(norm_plan *p, gr_dtype dtype)
{
    const gr_cpu cpu = gr_cpu_level();
    if (p->by_element)
        gr_parallel(p->channels, (gr_grain_for(p->groups) + 63) / 64 * 64, sums_of_columns[cpu][dtype], p);
    else gr_parallel(p->groups, gr_grain_for(p->outer * p->inner), sums_of_groups[cpu][dtype], p);
}

static gr_tensor *norm_dparam(gr_tape *t, const gr_node *n, gr_tensor *g, bool gamma)
{
    if (!gr_takes_shortcut(t)) return composed_dparam(t, n, g, gamma);
    gr_tensor *d = are_values_there(n) ? gr_result(t, gr_type_of(g), n->in[1]->rank, n->in[1]->shape) : NULL;
    if (!d) return NULL;
    norm_plan p = norm_plan_of(n);
    p.g = g->data;
    if (!claim_sums(&p, g)) find_sums(&p, gr_type_of(g));
    for (int64_t c = 0; c < p.channels; c++) {
        double sum = 0.0;
        for (int64_t i = c; i < p.n_sums; i += p.channels) sum += (gamma ? p.sum_gh : p.sum_g)[i];
        if (d->dtype == GR_F32) ((float *)d->data)[c] = (float)sum;
        else ((double *)d->data)[c] = sum;
    }
    return d;
}

/* The first input after x is gamma, or beta where there is no gamma. */
static gr_tensor *norm_first_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return norm_dparam(t, n, g, ((const gr_norm_attr *)n->attr)->gamma);
}

static gr_tensor *norm_second_vjp(gr_tape *t, const gr_node *n, gr_tensor *g) { return norm_dparam(t, n, g, false); }

/* ---- The ops ------------------------------------------------------------------------------------------------ */

#define NORM_OP(name_, whose)                                                                                  \
    .name = #name_, .formula = "y = gamma (x - mean) / sqrt(var + epsilon) + beta, mean and var of " whose,    \
    .gradient = "dx = (gamma g - mean(gamma g) - h mean(gamma g h)) / sqrt(var + epsilon), dgamma = sum g h, " \
                "dbeta = sum g; h = (x - mean) / sqrt(var + epsilon)",                                         \
    .n_in = 1, .n_optional = 2, .shape = name_##_shape, .attr_size = sizeof(gr_norm_attr),                     \
    .forward = GR_KERNELS(norm), .vjp = {norm_x_vjp, norm_first_vjp, norm_second_vjp}

const gr_op gr_op_batch_norm2d = {NORM_OP(batch_norm2d, "each channel")};
const gr_op gr_op_layer_norm = {NORM_OP(layer_norm, "the last axes")};
const gr_op gr_op_group_norm = {NORM_OP(group_norm, "a group of channels")};

/* gr_apply_with_saved() on those of x, gamma and beta that there are. */
static gr_tensor *apply_norm(gr_tape *t, const gr_op *op, gr_norm_attr a, gr_tensor *x, gr_tensor *gamma,
                             gr_tensor *beta, gr_tensor **saved)
{
    gr_tensor *in[3] = {x};
    int n = 1;
    if (gamma) in[n++] = gamma;
    if (beta) in[n++] = beta;
    a.gamma = gamma != NULL;
    a.beta = beta != NULL;
    return gr_apply_with_saved(t, op, in, n, &a, saved);
}

static double epsilon_or_default(double epsilon) { return epsilon == 0.0 ? 1e-5 : epsilon; }

gr_tensor *gr_layer_norm(gr_tape *t, gr_tensor *x, int n_axes, gr_tensor *gamma, gr_tensor *beta, double epsilon)
{
    const gr_norm_attr a = {.kind = GR_NORM_LAYER, .n_axes = n_axes, .epsilon = epsilon_or_default(epsilon)};
    return apply_norm(t, &gr_op_layer_norm, a, x, gamma, beta, NULL);
}

gr_tensor *gr_group_norm(gr_tape *t, gr_tensor *x, int64_t groups, gr_tensor *gamma, gr_tensor *beta, double epsilon)
{
    const gr_norm_attr a = {.kind = GR_NORM_GROUP, .groups = groups, .epsilon = epsilon_or_default(epsilon)};
    return apply_norm(t, &gr_op_group_norm, a, x, gamma, beta, NULL);
}

/* ---- Batch norm, in training and in inference ------------------------------------------------------------------ */

typedef void (*running_kernel)(gr_tensor *running, const double *batch, double divisor, double momentum);
static const running_kernel move_running[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(move_running);

/* A running statistic is saved with the model: what its dtype does not hold as a finite number does not enter it. */
static gr_status check_statistic(const char *what, const gr_tensor *running, const double *batch, double divisor)
{
    for (int64_t c = 0; running && c < running->size; c++) {
        const double value = batch[c] / divisor;
        if (!isfinite(value) || !gr_holds(gr_type_of(running), value))
            return gr_fail(GR_ERR_VALUE,
                           "%s: the %s of channel %lld is %s in this batch, which a running one of %s cannot take in; "
                           "neither was changed",
                           gr_op_batch_norm2d.name, what, (long long)c, GR_NUMBER_TEXT(value),
                           gr_dtype_name(gr_type_of(running)));
    }
    return GR_OK;
}

/* y by the batch's own statistics, towards which the running ones move, the variance in its unbiased form. The gradient
 * checker runs the op at made-up inputs, which must not move the running ones. */
static gr_tensor *batch_norm_in_training(gr_tape *t, gr_norm_attr a, gr_tensor *x, gr_tensor *gamma, gr_tensor *beta,
                                         gr_tensor *const running[2], double momentum)
{
    gr_tensor *saved, *y = apply_norm(t, &gr_op_batch_norm2d, a, x, gamma, beta, &saved);
    if (!y) return NULL;
    const running_kernel move = move_running[gr_cpu_level()][x->dtype];
    const double *mean = saved->data, *squares = mean + 2 * x->shape[1];
    const double one_less = (double)(x->shape[0] * norm_product(x, 2, 4) - 1);
    bool fits = true;
    if (!gr_is_under_check(t)) {
        fits = !check_statistic("mean", running[0], mean, 1.0) &&
               !check_statistic("variance", running[1], squares, one_less);
        if (fits) move(running[0], mean, 1.0, momentum);
        if (fits) move(running[1], squares, one_less, momentum);
    }
    gr_drop(t, saved);
    return fits ? y : NULL;
}

/* y with the running statistics for constants. */
static gr_tensor *batch_norm_in_inference(gr_tape *t, double epsilon, gr_tensor *x, gr_tensor *gamma, gr_tensor *beta,
                                          gr_tensor *const running[2])
{
    if (check_affine(gr_op_batch_norm2d.name, gamma, beta, x, 1, &x->shape[1])) return NULL;
    gr_tensor *scale = gr_pow_scalar(t, gr_shift(t, running[1], epsilon), -0.5);
    if (gamma) scale = gr_mul(t, gamma, scale);
    gr_tensor *in[4] = {x, running[0], scale, beta};
    return gr_apply(t, &gr_op_channel_affine, in, beta ? 4 : 3, NULL);
}

static gr_status check_buffer(const char *what, const gr_tensor *buffer, const gr_tensor *x, bool training)
{
    const char *who = gr_op_batch_norm2d.name;
    if (!training && !buffer) return gr_fail_null(who, what);
    if (training && buffer && buffer->tape)
        return gr_fail(GR_ERR_STATE, "%s: %s is a result of a tape, expected a buffer of yours", who, what);
    return gr_expect_parameter(who, what, buffer, x, 1, &x->shape[1]);
}

gr_tensor *gr_batch_norm2d(gr_tape *t, gr_tensor *x, gr_tensor *gamma, gr_tensor *beta, gr_tensor *running_mean,
                           gr_tensor *running_var, const gr_batch_norm_options *options)
{
    const gr_batch_norm_options o = options ? *options : (gr_batch_norm_options){.training = false};
    const char *who = gr_op_batch_norm2d.name;
    const double epsilon = epsilon_or_default(o.epsilon), momentum = o.momentum == 0.0 ? 0.1 : o.momentum;
    gr_tensor *const running[2] = {running_mean, running_var};
    if (gr_expect_inputs(who, t, (gr_tensor *[]){x, gamma, beta, running_mean, running_var}, 1, 4)) return NULL;
    if (gr_expect_floats(who, &x, 1) || gr_expect_images(who, x)) return NULL;
    if (!(momentum > 0.0 && momentum <= 1.0))
        return gr_fail(GR_ERR_OPTION, "%s: momentum is %s, expected a number above 0 and up to 1", who,
                       GR_NUMBER_TEXT(momentum)),
               NULL;
    if (check_epsilon(who, gr_type_of(x), epsilon) || check_buffer("running_mean", running_mean, x, o.training) ||
        check_buffer("running_var", running_var, x, o.training))
        return NULL;
    if (!o.training) return batch_norm_in_inference(t, epsilon, x, gamma, beta, running);
    const gr_norm_attr a = {.kind = GR_NORM_BATCH, .epsilon = epsilon};
    return batch_norm_in_training(t, a, x, gamma, beta, running, momentum);
}
