/* norm.c: elements less their mean, over their deviation: of a channel (batch norm), of a sample's last axes (layer
 * norm), of a group of channels (group norm). All are one kernel over x seen as [outer, middle, inner], with a mean and
 * a variance over outer and inner for each of `middle`; then a factor and a summand for each channel.
 *
 * With h = (x - mean) / sqrt(var + epsilon) and y = gamma h + beta,
 *
 *     dx = (gamma g - mean(gamma g) - h mean(gamma g h)) / sqrt(var + epsilon),  dgamma = sum g h,  dbeta = sum g.
 *
 * The fused kernels for them read each tensor as often as its statistics demand; where the backward pass is itself
 * recorded, the same lines are composed of ops. */
#include "autograd/tape_internal.h"

#include <gradus/nn.h>

/* A call. A run is `inner` elements in a row; it is made of pieces, which have one channel each, unless every element
 * has its own. */
typedef struct norm_plan {
    const gr_norm_attr *a;
    int64_t outer, middle, inner;
    int64_t samples, channels, each; /* x as [samples, channels, each] */
    int64_t pieces, piece;
    bool by_element;
    int64_t n_sums;
    const void *x, *g, *gamma, *beta;
    void *y;
    gr_tensor *running[2]; /* mean and variance to be moved, or NULL */
    double *mean, *scale;  /* of each of `middle`: the second is 1 / sqrt(var + epsilon) */
    double *of;            /* the serial and the version of the gradient whose sums these are */
    double *sums;          /* of g, and of g h, over each piece, or else over each channel */
} norm_plan;

/* Count, mean, and sum of squares about the mean. */
typedef struct moments {
    double n, mean, squares;
} moments;

/* The moments of two sets together, the second given by those about `shift` (Chan, Golub and LeVeque, 1983). */
static inline void add_moments(moments *s, double n, double shift, double sum, double squares)
{
    const double mean = shift + sum / n, delta = mean - s->mean, all = s->n + n, own = squares - sum * (sum / n);
    s->squares += (own < 0.0 ? 0.0 : own) + delta * delta * (s->n * n / all);
    s->mean = s->n > 0.0 ? s->mean + delta * (n / all) : mean;
    s->n = all;
}

/* The mean in two parts, the first a number of x's type: x - high is exact where x is near it. */
typedef struct centre {
    double high, low, scale;
} centre;

static inline void changed(gr_tensor *running)
{
    if (running) (running->base ? running->base : running)->version++;
}

/* The gradient checker runs an op a thousand times, at points that are nobody's, in F64 whatever the network is in. */
static inline gr_tensor *to_move(const gr_node *n, gr_tensor *running)
{
    return n->tape->keeps_all ? NULL : running;
}

static norm_plan plan_of(const gr_node *n);
static gr_status make_room(gr_node *n, norm_plan *p);

static inline int64_t norm_grain(const norm_plan *p)
{
    return 2 * GR_GRAIN / (p->outer * p->inner) + 1;
}

enum { TILE = 1024, COLUMNS_AT_ONCE = 256, ROWS_AT_ONCE = 64 };

#define GR_KERNEL_FILE "autograd/norm.kernels.inc"
#include "tensor/kernel.h"

/* ---- Geometry ----------------------------------------------------------------------------------------------- */

static int64_t product(const gr_tensor *x, int from, int to)
{
    int64_t size = 1;
    for (int i = from; i < to; i++) size *= x->shape[i];
    return size;
}

static norm_plan plan_of(const gr_node *n)
{
    const gr_norm_attr *a = n->attr;
    const gr_tensor *x = n->in[0];
    norm_plan p = {.a = a,
                   .x = x->data,
                   .outer = 1,
                   .y = n->out ? n->out->data : NULL,
                   .running = {to_move(n, a->running_mean), to_move(n, a->running_var)}};
    if (a->kind == GR_NORM_LAYER) {
        const int split = x->rank - (int)a->parts;
        p.samples = p.middle = product(x, 0, split);
        p.inner = p.channels = product(x, split, x->rank);
        p.each = 1;
    } else {
        p.samples = x->shape[0];
        p.channels = x->shape[1];
        p.each = product(x, 2, x->rank);
        p.outer = a->kind == GR_NORM_BATCH ? p.samples : 1;
        p.middle = a->kind == GR_NORM_BATCH ? p.channels : p.samples * a->parts;
        p.inner = a->kind == GR_NORM_BATCH ? p.each : p.channels / a->parts * p.each;
    }
    const bool affine = a->gamma || a->beta;
    p.by_element = affine && p.each == 1 && a->kind != GR_NORM_BATCH;
    p.piece = affine && !p.by_element ? p.each : p.inner;
    p.pieces = p.inner / p.piece;
    p.n_sums = p.by_element ? p.channels : p.outer * p.middle * p.pieces;
    p.gamma = a->gamma ? n->in[1]->data : NULL;
    p.beta = a->beta ? n->in[1 + a->gamma]->data : NULL;
    if (!n->saved) return p;
    p.mean = n->saved->data;
    p.scale = p.mean + p.middle;
    p.of = p.scale + p.middle;
    p.sums = p.of + 2;
    return p;
}

/* For the statistics, and for sums that backward finds. */
static gr_status make_room(gr_node *n, norm_plan *p)
{
    if (!gr_save(n, GR_F64, 1, &(int64_t){2 * p->middle + 2 + 2 * p->n_sums})) return gr_last_status();
    *p = plan_of(n);
    p->of[0] = p->of[1] = -1.0;
    return GR_OK;
}

/* ---- Checks ------------------------------------------------------------------------------------------------- */

/* A parameter or buffer, NULL for none, is of x's dtype and of this shape. */
static gr_status check_part(const char *who, const char *what, const gr_tensor *part, const gr_tensor *x, int rank,
                            const int64_t shape[])
{
    if (!part) return GR_OK;
    if (part->dtype != x->dtype)
        return gr_fail(GR_ERR_DTYPE, "%s: %s is %s, x is %s", who, what, gr_dtype_name(gr_type_of(part)),
                       gr_dtype_name(gr_type_of(x)));
    if (part->rank == rank && memcmp(part->shape, shape, (size_t)rank * sizeof *shape) == 0) return GR_OK;
    return gr_fail(GR_ERR_SHAPE, "%s: %s is %s, expected %s", who, what, GR_SHAPE_TEXT(part),
                   gr_shape_text(&(gr_text){{0}}, rank, shape));
}

static gr_status check_epsilon(const char *who, double epsilon)
{
    if (epsilon > 0.0 && epsilon < (double)INFINITY) return GR_OK;
    return gr_fail(GR_ERR_OPTION, "%s: epsilon is %g, expected a number above 0", who, epsilon);
}

static gr_status check_affine(const char *who, const gr_tensor *gamma, const gr_tensor *beta, const gr_tensor *x,
                              int rank, const int64_t shape[])
{
    if (check_part(who, "gamma", gamma, x, rank, shape)) return gr_last_status();
    return check_part(who, "beta", beta, x, rank, shape);
}

static gr_status check_call(const gr_node *n, int rank, const int64_t shape[])
{
    const gr_norm_attr *a = n->attr;
    if (check_epsilon(n->op->name, a->epsilon)) return gr_last_status();
    return check_affine(n->op->name, a->gamma ? n->in[1] : NULL, a->beta ? n->in[1 + a->gamma] : NULL, n->in[0], rank,
                        shape);
}

static gr_status batch_norm2d_shape(const gr_node *n, gr_type *type)
{
    const gr_tensor *x = n->in[0];
    if (gr_expect_float(n) || gr_expect_images(n->op->name, x) || check_call(n, 1, &x->shape[1]))
        return gr_last_status();
    const int64_t values = x->shape[0] * product(x, 2, 4);
    if (values < 2)
        return gr_fail(GR_ERR_SHAPE, "%s: training takes two values a channel or more: %s has %lld", n->op->name,
                       GR_SHAPE_TEXT(x), (long long)values);
    gr_type_as(type, x);
    return GR_OK;
}

static gr_status layer_norm_shape(const gr_node *n, gr_type *type)
{
    const gr_norm_attr *a = n->attr;
    const gr_tensor *x = n->in[0];
    if (gr_expect_float(n)) return gr_last_status();
    if (a->parts < 1 || a->parts > x->rank)
        return gr_fail(GR_ERR_OPTION, "%s: the last %lld axes of %s, expected 1 to %d", n->op->name,
                       (long long)a->parts, GR_SHAPE_TEXT(x), x->rank);
    const int split = x->rank - (int)a->parts;
    if (!product(x, split, x->rank)) return gr_fail(GR_ERR_SHAPE, "%s: of nothing: %s", n->op->name, GR_SHAPE_TEXT(x));
    if (check_call(n, (int)a->parts, &x->shape[split])) return gr_last_status();
    gr_type_as(type, x);
    return GR_OK;
}

static gr_status group_norm_shape(const gr_node *n, gr_type *type)
{
    const gr_norm_attr *a = n->attr;
    const gr_tensor *x = n->in[0];
    if (gr_expect_float(n)) return gr_last_status();
    if (x->rank < 2) return gr_fail(GR_ERR_SHAPE, "%s: expected [N,C,...]: %s", n->op->name, GR_SHAPE_TEXT(x));
    if (!product(x, 1, x->rank)) return gr_fail(GR_ERR_SHAPE, "%s: of nothing: %s", n->op->name, GR_SHAPE_TEXT(x));
    if (a->parts < 1 || x->shape[1] % a->parts)
        return gr_fail(GR_ERR_OPTION, "%s: the channels of %s do not fall into %lld groups", n->op->name,
                       GR_SHAPE_TEXT(x), (long long)a->parts);
    if (check_call(n, 1, &x->shape[1])) return gr_last_status();
    gr_type_as(type, x);
    return GR_OK;
}

/* ---- Derivatives, composed ---------------------------------------------------------------------------------- */

static gr_tensor *seen_as(gr_tape *t, gr_tensor *x, int64_t a, int64_t b, int64_t c)
{
    return gr_reshape(t, x, GR_SHAPE(a, b, c));
}

/* h as [outer, middle, inner], and 1 / sqrt(var + epsilon) */
static gr_tensor *composed_h(gr_tape *t, const gr_node *n, const norm_plan *p, gr_tensor **scale)
{
    gr_tensor *x = seen_as(t, n->in[0], p->outer, p->middle, p->inner);
    gr_tensor *centred = gr_sub(t, x, gr_mean(t, x, GR_AXES(0, 2), true));
    gr_tensor *variance = gr_mean(t, gr_square(t, centred), GR_AXES(0, 2), true);
    *scale = gr_pow_scalar(t, gr_shift(t, variance, p->a->epsilon), -0.5);
    return gr_mul(t, centred, *scale);
}

static gr_tensor *composed_x(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const norm_plan p = plan_of(n);
    gr_tensor *scale, *h = composed_h(t, n, &p, &scale);
    if (p.a->gamma)
        g = gr_mul(t, seen_as(t, g, p.samples, p.channels, p.each), gr_reshape(t, n->in[1], GR_SHAPE(p.channels, 1)));
    g = seen_as(t, g, p.outer, p.middle, p.inner);
    gr_tensor *means =
        gr_add(t, gr_mean(t, g, GR_AXES(0, 2), true), gr_mul(t, h, gr_mean(t, gr_mul(t, g, h), GR_AXES(0, 2), true)));
    return gr_reshape(t, gr_mul(t, scale, gr_sub(t, g, means)), n->in[0]->rank, n->in[0]->shape);
}

static gr_tensor *composed_part(gr_tape *t, const gr_node *n, gr_tensor *g, bool gamma)
{
    const norm_plan p = plan_of(n);
    gr_tensor *scale, *part = seen_as(t, g, p.samples, p.channels, p.each);
    if (gamma) part = gr_mul(t, part, seen_as(t, composed_h(t, n, &p, &scale), p.samples, p.channels, p.each));
    return gr_reshape(t, gr_sum(t, part, GR_AXES(0, 2), false), n->in[1]->rank, n->in[1]->shape);
}

/* ---- Derivatives, fused ------------------------------------------------------------------------------------- */

typedef void (*norm_kernel)(norm_plan *p);
static const norm_kernel gradient_of_x[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(norm_x);
static const norm_kernel find_sums[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(norm_sums);

static norm_plan backward_plan(const gr_node *n, const gr_tensor *g, gr_tensor *d)
{
    norm_plan p = plan_of(n);
    p.g = g->data;
    p.y = d->data;
    return p;
}

/* The three VJPs of a node want the same sums: the first that finds them leaves them in n->saved, with whose they are.
 */
static bool has_sums(const norm_plan *p, const gr_tensor *g)
{
    return p->of[0] == (double)g->serial && p->of[1] == (double)gr_version_of(g);
}

static void note_sums(norm_plan *p, const gr_tensor *g)
{
    p->of[0] = (double)g->serial;
    p->of[1] = (double)gr_version_of(g);
}

static gr_tensor *norm_x_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (t->recording) return composed_x(t, n, g);
    gr_tensor *d = gr_result(t, gr_type_of(g), g->rank, g->shape);
    if (!d) return NULL;
    norm_plan p = backward_plan(n, g, d);
    gradient_of_x[gr_cpu_level()][g->dtype](&p);
    if (!p.by_element) note_sums(&p, g);
    return d;
}

static gr_tensor *part_vjp(gr_tape *t, const gr_node *n, gr_tensor *g, bool gamma)
{
    if (t->recording) return composed_part(t, n, g, gamma);
    gr_tensor *d = gr_result(t, gr_type_of(g), n->in[1]->rank, n->in[1]->shape);
    if (!d) return NULL;
    norm_plan p = backward_plan(n, g, d);
    if (!has_sums(&p, g)) find_sums[gr_cpu_level()][g->dtype](&p);
    note_sums(&p, g);
    for (int64_t c = 0; c < p.channels; c++) {
        double sum = 0.0;
        for (int64_t i = c; i < p.n_sums; i += p.channels) sum += p.sums[gamma ? p.n_sums + i : i];
        if (d->dtype == GR_F32) ((float *)d->data)[c] = (float)sum;
        else ((double *)d->data)[c] = sum;
    }
    return d;
}

static gr_tensor *norm_first_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return part_vjp(t, n, g, ((const gr_norm_attr *)n->attr)->gamma);
}

static gr_tensor *norm_second_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return part_vjp(t, n, g, false);
}

/* ---- The ops ------------------------------------------------------------------------------------------------ */

#define NORM_OP(name)                                                                                                  \
    .n_in = 1, .n_optional = 2, .shape = name##_shape, .attr_size = sizeof(gr_norm_attr), .forward = GR_KERNELS(norm), \
    .vjp = {norm_x_vjp, norm_first_vjp, norm_second_vjp}
#define NORM_GRADIENT \
    "dx = (c g - mean(c g) - h mean(c g h)) / sqrt(v + e), dc = sum g h, db = sum g; h = (x - m) / sqrt(v + e)"

const gr_op gr_op_batch_norm2d = {.name = "batch_norm2d",
                                  .formula = "y = c (x - m) / sqrt(v + e) + b, m and v of each channel",
                                  .gradient = NORM_GRADIENT,
                                  NORM_OP(batch_norm2d)};
const gr_op gr_op_layer_norm = {.name = "layer_norm",
                                .formula = "y = c (x - m) / sqrt(v + e) + b, m and v of the last axes",
                                .gradient = NORM_GRADIENT,
                                NORM_OP(layer_norm)};
const gr_op gr_op_group_norm = {.name = "group_norm",
                                .formula = "y = c (x - m) / sqrt(v + e) + b, m and v of a group of channels",
                                .gradient = NORM_GRADIENT,
                                NORM_OP(group_norm)};

static double epsilon_or_default(double epsilon)
{
    return epsilon == 0.0 ? 1e-5 : epsilon;
}

/* Without NULLs among the inputs. */
static gr_tensor *apply_norm(gr_tape *t, const gr_op *op, gr_norm_attr *a, gr_tensor *x, gr_tensor *gamma,
                             gr_tensor *beta)
{
    gr_tensor *in[3] = {x};
    int n = 1;
    a->gamma = gamma != NULL;
    a->beta = beta != NULL;
    if (gamma) in[n++] = gamma;
    if (beta) in[n++] = beta;
    return gr_apply(t, op, in, n, a);
}

gr_tensor *gr_layer_norm(gr_tape *t, gr_tensor *x, int axes, gr_tensor *gamma, gr_tensor *beta, double epsilon)
{
    return apply_norm(t, &gr_op_layer_norm,
                      &(gr_norm_attr){.kind = GR_NORM_LAYER, .parts = axes, .epsilon = epsilon_or_default(epsilon)}, x,
                      gamma, beta);
}

gr_tensor *gr_group_norm(gr_tape *t, gr_tensor *x, int64_t groups, gr_tensor *gamma, gr_tensor *beta, double epsilon)
{
    return apply_norm(t, &gr_op_group_norm,
                      &(gr_norm_attr){.kind = GR_NORM_GROUP, .parts = groups, .epsilon = epsilon_or_default(epsilon)},
                      x, gamma, beta);
}

/* ---- y = (x - m) a + b for each channel:  dx = a g,  dm = -sum a g,  da = sum g (x - m),  db = sum g ----------- */

static gr_tensor *over_images(gr_tape *t, gr_tensor *x)
{
    return gr_reshape(t, x, GR_SHAPE(x ? x->size : 0, 1, 1));
}

static gr_tensor *affine_x(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, over_images(t, n->in[2]));
}

static gr_tensor *affine_mean(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_neg(t, gr_mul(t, gr_sum(t, g, GR_AXES(0, 2, 3), false), n->in[2]));
}

static gr_tensor *affine_factor(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_sum(t, gr_mul(t, g, gr_sub(t, n->in[0], over_images(t, n->in[1]))), GR_AXES(0, 2, 3), false);
}

static gr_tensor *affine_summand(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)n;
    return gr_sum(t, g, GR_AXES(0, 2, 3), false);
}

static gr_status affine_shape(const gr_node *n, gr_type *type)
{
    const gr_tensor *x = n->in[0];
    if (gr_expect_float(n) || gr_expect_images(n->op->name, x)) return gr_last_status();
    static const char *const names[] = {"x", "m", "a", "b"};
    for (int i = 1; i < n->n_in; i++)
        if (check_part(n->op->name, names[i], n->in[i], x, 1, &x->shape[1])) return gr_last_status();
    gr_type_as(type, x);
    return GR_OK;
}

const gr_op gr_op_channel_affine = {.name = "channel_affine",
                                    .formula = "y = (x - m) a + b, for each channel",
                                    .gradient = "dx = a g, dm = -sum a g, da = sum g (x - m), db = sum g",
                                    .n_in = 3,
                                    .n_optional = 1,
                                    .shape = affine_shape,
                                    .forward = GR_KERNELS(channel_affine),
                                    .vjp = {affine_x, affine_mean, affine_factor, affine_summand}};

/* ---- Batch norm, for training and for use --------------------------------------------------------------------- */

static gr_status check_buffer(const char *what, const gr_tensor *buffer, const gr_tensor *x, bool training)
{
    const char *who = gr_op_batch_norm2d.name;
    if (!training && !buffer) return gr_fail_null(who, what);
    if (training && buffer && buffer->tape)
        return gr_fail(GR_ERR_STATE, "%s: %s is a result of a tape, expected a buffer of yours", who, what);
    return check_part(who, what, buffer, x, 1, &x->shape[1]);
}

/* With the running statistics for constants. */
static gr_tensor *evaluate(gr_tape *t, const gr_norm_attr *a, gr_tensor *x, gr_tensor *gamma, gr_tensor *beta)
{
    if (check_affine(gr_op_batch_norm2d.name, gamma, beta, x, 1, &x->shape[1])) return NULL;
    gr_tensor *factor = gr_pow_scalar(t, gr_shift(t, a->running_var, a->epsilon), -0.5);
    if (gamma) factor = gr_mul(t, gamma, factor);
    gr_tensor *in[4] = {x, a->running_mean, factor, beta};
    return gr_apply(t, &gr_op_channel_affine, in, beta ? 4 : 3, NULL);
}

gr_tensor *gr_batch_norm2d(gr_tape *t, gr_tensor *x, gr_tensor *gamma, gr_tensor *beta, gr_tensor *running_mean,
                           gr_tensor *running_var, const gr_batch_norm_options *options)
{
    const gr_batch_norm_options o = options ? *options : (gr_batch_norm_options){.training = false};
    const char *who = gr_op_batch_norm2d.name;
    gr_norm_attr a = {.kind = GR_NORM_BATCH,
                      .epsilon = epsilon_or_default(o.epsilon),
                      .momentum = o.momentum == 0.0 ? 0.1 : o.momentum,
                      .running_mean = running_mean,
                      .running_var = running_var};
    if (!x) return gr_fail_null(who, "input 0"), NULL;
    if (gr_expect_images(who, x)) return NULL;
    if (!(a.momentum > 0.0 && a.momentum <= 1.0))
        return gr_fail(GR_ERR_OPTION, "%s: momentum is %g, expected a number above 0 and up to 1", who, a.momentum),
               NULL;
    if (check_epsilon(who, a.epsilon)) return NULL;
    if (check_buffer("running_mean", running_mean, x, o.training) ||
        check_buffer("running_var", running_var, x, o.training))
        return NULL;
    return o.training ? apply_norm(t, &gr_op_batch_norm2d, &a, x, gamma, beta) : evaluate(t, &a, x, gamma, beta);
}
