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
#include "autograd/internal.h"

#include <gradus/nn.h>

typedef enum norm_kind { BATCH, LAYER, GROUP } norm_kind;

typedef struct norm_attr {
    norm_kind kind;
    int64_t parts; /* axes of a layer, groups */
    double epsilon, momentum;
    bool gamma, beta;                      /* which of the two there are, in this order, after x */
    gr_tensor *running_mean, *running_var; /* moved once, by the kernel */
} norm_attr;

/* A call. A run is `inner` elements in a row; it is made of pieces, which have one channel each, unless every element
 * has its own. */
typedef struct norm_plan {
    const norm_attr *a;
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
    const norm_attr *a = n->attr;
    const gr_tensor *x = n->in[0];
    norm_plan p = {.a = a,
                   .x = x->data,
                   .outer = 1,
                   .y = n->out ? n->out->data : NULL,
                   .running = {to_move(n, a->running_mean), to_move(n, a->running_var)}};
    if (a->kind == LAYER) {
        const int split = x->rank - (int)a->parts;
        p.samples = p.middle = product(x, 0, split);
        p.inner = p.channels = product(x, split, x->rank);
        p.each = 1;
    } else {
        p.samples = x->shape[0];
        p.channels = x->shape[1];
        p.each = product(x, 2, x->rank);
        p.outer = a->kind == BATCH ? p.samples : 1;
        p.middle = a->kind == BATCH ? p.channels : p.samples * a->parts;
        p.inner = a->kind == BATCH ? p.each : p.channels / a->parts * p.each;
    }
    const bool affine = a->gamma || a->beta;
    p.by_element = affine && p.each == 1 && a->kind != BATCH;
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
    return gr_fail(GR_ERR_SHAPE, "%s: %s is %s, expected %s", who, what, GR_SHAPE_OF(part),
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
    const norm_attr *a = n->attr;
    if (check_epsilon(n->op->name, a->epsilon)) return gr_last_status();
    return check_affine(n->op->name, a->gamma ? n->in[1] : NULL, a->beta ? n->in[1 + a->gamma] : NULL, n->in[0], rank,
                        shape);
}

static gr_status batch_norm2d_shape(const gr_node *n, gr_type *type)
{
    const gr_tensor *x = n->in[0];
    if (gr_same_float(n) || gr_check_images(n->op->name, x) || check_call(n, 1, &x->shape[1])) return gr_last_status();
    const int64_t values = x->shape[0] * product(x, 2, 4);
    if (values < 2)
        return gr_fail(GR_ERR_SHAPE, "%s: training takes two values a channel or more: %s has %lld", n->op->name,
                       GR_SHAPE_OF(x), (long long)values);
    gr_type_as(type, x);
    return GR_OK;
}

static gr_status layer_norm_shape(const gr_node *n, gr_type *type)
{
    const norm_attr *a = n->attr;
    const gr_tensor *x = n->in[0];
    if (gr_same_float(n)) return gr_last_status();
    if (a->parts < 1 || a->parts > x->rank)
        return gr_fail(GR_ERR_OPTION, "%s: the last %lld axes of %s, expected 1 to %d", n->op->name,
                       (long long)a->parts, GR_SHAPE_OF(x), x->rank);
    const int split = x->rank - (int)a->parts;
    if (!product(x, split, x->rank)) return gr_fail(GR_ERR_SHAPE, "%s: of nothing: %s", n->op->name, GR_SHAPE_OF(x));
    if (check_call(n, (int)a->parts, &x->shape[split])) return gr_last_status();
    gr_type_as(type, x);
    return GR_OK;
}

static gr_status group_norm_shape(const gr_node *n, gr_type *type)
{
    const norm_attr *a = n->attr;
    const gr_tensor *x = n->in[0];
    if (gr_same_float(n)) return gr_last_status();
    if (x->rank < 2) return gr_fail(GR_ERR_SHAPE, "%s: expected [N,C,...]: %s", n->op->name, GR_SHAPE_OF(x));
    if (!product(x, 1, x->rank)) return gr_fail(GR_ERR_SHAPE, "%s: of nothing: %s", n->op->name, GR_SHAPE_OF(x));
    if (a->parts < 1 || x->shape[1] % a->parts)
        return gr_fail(GR_ERR_OPTION, "%s: the channels of %s do not fall into %lld groups", n->op->name,
                       GR_SHAPE_OF(x), (long long)a->parts);
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
    return part_vjp(t, n, g, ((const norm_attr *)n->attr)->gamma);
}

static gr_tensor *norm_second_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return part_vjp(t, n, g, false);
}

/* ---- The ops ------------------------------------------------------------------------------------------------ */

#define NORM(...)                    \
    .attr = &(norm_attr)             \
    {                                \
        .epsilon = 1e-2, __VA_ARGS__ \
    }
#define BOTH .gamma = true, .beta = true
#define FACTORS(...) GR_IN(0.5, 1.5, __VA_ARGS__)
#define SUMMANDS(...) GR_IN(-1, 1, __VA_ARGS__)

static const gr_sample batch_samples[] = {
    {.what = "images", .n_in = 3, .in = {GR_IN(-2, 2, 2, 3, 2, 3), FACTORS(3), SUMMANDS(3)}, NORM(.kind = BATCH, BOTH)},
    {.what = "one image, a factor",
     .n_in = 2,
     .in = {GR_IN(-2, 2, 1, 2, 2, 3), FACTORS(2)},
     NORM(.kind = BATCH, .gamma = true)},
    {.what = "one pixel, a summand",
     .n_in = 2,
     .in = {GR_IN(-2, 2, 4, 2, 1, 1), SUMMANDS(2)},
     NORM(.kind = BATCH, .beta = true)},
    {.what = "alone", .in = {GR_IN(-2, 2, 3, 2, 1, 2)}, NORM(.kind = BATCH)},
    {.what = "large and close together",
     .in = {GR_IN(1000, 1001, 2, 1, 2, 2)},
     NORM(.kind = BATCH),
     .value_only = true},
    {.what = "all equal",
     .n_in = 3,
     .in = {GR_IN(3, 3, 2, 1, 2, 2), FACTORS(1), SUMMANDS(1)},
     NORM(.kind = BATCH, BOTH)},
    {.what = "no channels",
     .n_in = 3,
     .in = {GR_IN(0, 1, 2, 0, 2, 2), FACTORS(0), SUMMANDS(0)},
     NORM(.kind = BATCH, BOTH)},
    {.what = "one value a channel",
     .in = {GR_IN(0, 1, 1, 3, 1, 1)},
     NORM(.kind = BATCH),
     .refused = "two values a channel or more: [1,3,1,1] has 1"},
    {.what = "no images", .in = {GR_IN(0, 1, 0, 3, 2, 2)}, NORM(.kind = BATCH), .refused = "[0,3,2,2] has 0"},
    {.what = "a factor for each pixel",
     .n_in = 2,
     .in = {GR_IN(0, 1, 1, 3, 1, 2), FACTORS(2)},
     NORM(.kind = BATCH, .gamma = true),
     .refused = "gamma is [2], expected [3]"},
    {.what = "summands as a row",
     .n_in = 2,
     .in = {GR_IN(0, 1, 1, 3, 1, 2), SUMMANDS(1, 3)},
     NORM(.kind = BATCH, .beta = true),
     .refused = "beta is [1,3], expected [3]"},
    {.what = "a negative epsilon",
     .in = {GR_IN(0, 1, 1, 3, 1, 2)},
     .attr = &(norm_attr){.kind = BATCH, .epsilon = -1},
     .refused = "epsilon is -1, expected a number above 0"},
    {.what = "a matrix", .in = {GR_IN(0, 1, 4, 4)}, NORM(.kind = BATCH), .refused = "expected images [N,C,H,W]: [4,4]"},
    {.what = "two dtypes",
     .n_in = 2,
     .in = {{.rank = 4, .shape = {1, 1, 2, 2}, .integer = true}, FACTORS(1)},
     NORM(.kind = BATCH, .gamma = true),
     .refused = "i32"},
};

static const gr_sample layer_samples[] = {
    {.what = "rows",
     .n_in = 3,
     .in = {GR_IN(-2, 2, 3, 5), FACTORS(5), SUMMANDS(5)},
     NORM(.kind = LAYER, .parts = 1, BOTH)},
    {.what = "the last two axes, a factor",
     .n_in = 2,
     .in = {GR_IN(-2, 2, 2, 2, 3), FACTORS(2, 3)},
     NORM(.kind = LAYER, .parts = 2, .gamma = true)},
    {.what = "a vector, a summand",
     .n_in = 2,
     .in = {GR_IN(-2, 2, 7), SUMMANDS(7)},
     NORM(.kind = LAYER, .parts = 1, .beta = true)},
    {.what = "alone", .in = {GR_IN(-2, 2, 2, 3, 4)}, NORM(.kind = LAYER, .parts = 1)},
    {.what = "one element, whose derivative is 0 but for rounding",
     .n_in = 3,
     .in = {GR_IN(-2, 2, 3, 1), FACTORS(1), SUMMANDS(1)},
     NORM(.kind = LAYER, .parts = 1, BOTH),
     .value_only = true},
    {.what = "no rows",
     .n_in = 3,
     .in = {GR_IN(0, 1, 0, 3), FACTORS(3), SUMMANDS(3)},
     NORM(.kind = LAYER, .parts = 1, BOTH)},
    {.what = "rows of nothing",
     .in = {GR_IN(0, 1, 3, 0)},
     NORM(.kind = LAYER, .parts = 1),
     .refused = "of nothing: [3,0]"},
    {.what = "no axes",
     .in = {GR_IN(0, 1, 3, 2)},
     NORM(.kind = LAYER, .parts = 0),
     .refused = "the last 0 axes of [3,2], expected 1 to 2"},
    {.what = "a factor for each row",
     .n_in = 2,
     .in = {GR_IN(0, 1, 3, 2), FACTORS(3)},
     NORM(.kind = LAYER, .parts = 1, .gamma = true),
     .refused = "gamma is [3], expected [2]"},
};

static const gr_sample group_samples[] = {
    {.what = "two groups of images",
     .n_in = 3,
     .in = {GR_IN(-2, 2, 2, 4, 1, 3), FACTORS(4), SUMMANDS(4)},
     NORM(.kind = GROUP, .parts = 2, BOTH)},
    {.what = "a group for each channel",
     .n_in = 2,
     .in = {GR_IN(-2, 2, 1, 3, 4), FACTORS(3)},
     NORM(.kind = GROUP, .parts = 3, .gamma = true)},
    {.what = "one group, a summand",
     .n_in = 2,
     .in = {GR_IN(-2, 2, 2, 3, 2), SUMMANDS(3)},
     NORM(.kind = GROUP, .parts = 1, .beta = true)},
    {.what = "channels without positions",
     .n_in = 3,
     .in = {GR_IN(-2, 2, 3, 6), FACTORS(6), SUMMANDS(6)},
     NORM(.kind = GROUP, .parts = 2, BOTH)},
    {.what = "alone", .in = {GR_IN(-2, 2, 2, 4, 3)}, NORM(.kind = GROUP, .parts = 2)},
    {.what = "no images",
     .n_in = 3,
     .in = {GR_IN(0, 1, 0, 4, 3), FACTORS(4), SUMMANDS(4)},
     NORM(.kind = GROUP, .parts = 2, BOTH)},
    {.what = "groups that do not divide",
     .in = {GR_IN(0, 1, 2, 4, 3)},
     NORM(.kind = GROUP, .parts = 3),
     .refused = "the channels of [2,4,3] do not fall into 3 groups"},
    {.what = "no groups", .in = {GR_IN(0, 1, 2, 4, 3)}, NORM(.kind = GROUP, .parts = 0), .refused = "into 0 groups"},
    {.what = "images of nothing",
     .in = {GR_IN(0, 1, 2, 4, 0)},
     NORM(.kind = GROUP, .parts = 2),
     .refused = "of nothing: [2,4,0]"},
    {.what = "a vector", .in = {GR_IN(0, 1, 4)}, NORM(.kind = GROUP, .parts = 2), .refused = "expected [N,C,...]: [4]"},
};

#define NORM_OP(name, samples_)                                                                                     \
    .n_in = 1, .n_optional = 2, .shape = name##_shape, .attr_size = sizeof(norm_attr), .forward = GR_KERNELS(norm), \
    .vjp = {norm_x_vjp, norm_first_vjp, norm_second_vjp}, GR_SAMPLES(samples_)
#define NORM_GRADIENT \
    "dx = (c g - mean(c g) - h mean(c g h)) / sqrt(v + e), dc = sum g h, db = sum g; h = (x - m) / sqrt(v + e)"

const gr_op gr_op_batch_norm2d = {.name = "batch_norm2d",
                                  .formula = "y = c (x - m) / sqrt(v + e) + b, m and v of each channel",
                                  .gradient = NORM_GRADIENT,
                                  NORM_OP(batch_norm2d, batch_samples)};
const gr_op gr_op_layer_norm = {.name = "layer_norm",
                                .formula = "y = c (x - m) / sqrt(v + e) + b, m and v of the last axes",
                                .gradient = NORM_GRADIENT,
                                NORM_OP(layer_norm, layer_samples)};
const gr_op gr_op_group_norm = {.name = "group_norm",
                                .formula = "y = c (x - m) / sqrt(v + e) + b, m and v of a group of channels",
                                .gradient = NORM_GRADIENT,
                                NORM_OP(group_norm, group_samples)};

static double epsilon_or_default(double epsilon)
{
    return epsilon == 0.0 ? 1e-5 : epsilon;
}

/* Without NULLs among the inputs. */
static gr_tensor *apply_norm(gr_tape *t, const gr_op *op, norm_attr *a, gr_tensor *x, gr_tensor *gamma, gr_tensor *beta)
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
                      &(norm_attr){.kind = LAYER, .parts = axes, .epsilon = epsilon_or_default(epsilon)}, x, gamma,
                      beta);
}

gr_tensor *gr_group_norm(gr_tape *t, gr_tensor *x, int64_t groups, gr_tensor *gamma, gr_tensor *beta, double epsilon)
{
    return apply_norm(t, &gr_op_group_norm,
                      &(norm_attr){.kind = GROUP, .parts = groups, .epsilon = epsilon_or_default(epsilon)}, x, gamma,
                      beta);
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
    if (gr_same_float(n) || gr_check_images(n->op->name, x)) return gr_last_status();
    static const char *const names[] = {"x", "m", "a", "b"};
    for (int i = 1; i < n->n_in; i++)
        if (check_part(n->op->name, names[i], n->in[i], x, 1, &x->shape[1])) return gr_last_status();
    gr_type_as(type, x);
    return GR_OK;
}

static const gr_sample affine_samples[] = {
    {.what = "images", .n_in = 4, .in = {GR_IN(-2, 2, 2, 3, 2, 1), SUMMANDS(3), FACTORS(3), SUMMANDS(3)}},
    {.what = "without a summand", .in = {GR_IN(-2, 2, 1, 2, 1, 3), SUMMANDS(2), FACTORS(2)}},
    {.what = "no images", .in = {GR_IN(-2, 2, 0, 2, 1, 3), SUMMANDS(2), FACTORS(2)}},
    {.what = "another number of channels",
     .in = {GR_IN(-2, 2, 1, 2, 1, 3), SUMMANDS(2), FACTORS(3)},
     .refused = "a is [3], expected [2]"},
};

const gr_op gr_op_channel_affine = {.name = "channel_affine",
                                    .formula = "y = (x - m) a + b, for each channel",
                                    .gradient = "dx = a g, dm = -sum a g, da = sum g (x - m), db = sum g",
                                    .n_in = 3,
                                    .n_optional = 1,
                                    .shape = affine_shape,
                                    .forward = GR_KERNELS(channel_affine),
                                    .vjp = {affine_x, affine_mean, affine_factor, affine_summand},
                                    GR_SAMPLES(affine_samples)};

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
static gr_tensor *evaluate(gr_tape *t, const norm_attr *a, gr_tensor *x, gr_tensor *gamma, gr_tensor *beta)
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
    norm_attr a = {.kind = BATCH,
                   .epsilon = epsilon_or_default(o.epsilon),
                   .momentum = o.momentum == 0.0 ? 0.1 : o.momentum,
                   .running_mean = running_mean,
                   .running_var = running_var};
    if (!x) return gr_fail_null(who, "input 0"), NULL;
    if (gr_check_images(who, x)) return NULL;
    if (!(a.momentum > 0.0 && a.momentum <= 1.0))
        return gr_fail(GR_ERR_OPTION, "%s: momentum is %g, expected a number above 0 and up to 1", who, a.momentum),
               NULL;
    if (check_epsilon(who, a.epsilon)) return NULL;
    if (check_buffer("running_mean", running_mean, x, o.training) ||
        check_buffer("running_var", running_var, x, o.training))
        return NULL;
    return o.training ? apply_norm(t, &gr_op_batch_norm2d, &a, x, gamma, beta) : evaluate(t, &a, x, gamma, beta);
}
