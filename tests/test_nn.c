/* test_nn.c: the ops for images against naive references in double precision, at sizes that no vector, chunk or thread
 * divides; running statistics, masks of dropout, and that bits depend neither on threads nor on which sums were found
 * before. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "helpers.h"

#include <gradus/gradus.h>

#include "autograd/attr.h"
#include "counting.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

enum { MAX_INPUTS = 3 };

/* ---- A layer and its gradients ------------------------------------------------------------------------------ */

typedef gr_tensor *(*layer)(gr_tape *t, gr_tensor *const x[], const void *options);

/* y, a cotangent g, and the gradients of sum(g y); yours. */
typedef struct outcome {
    gr_tensor *y, *g, *d[MAX_INPUTS];
    int n;
} outcome;

static outcome run(layer f, const void *options, gr_tensor *const x[], int n, int flags)
{
    gr_tape *t = gr_tape_new();
    outcome o = {.n = n};
    gr_tensor *d[MAX_INPUTS], *y = f(t, x, options), *g = y ? pattern(t, y, 0.7) : NULL;
    if (!g || gr_vjp(t, y, g, x, n, d, flags)) fail_msg("%s", gr_last_error());
    o.y = gr_copy(y);
    o.g = gr_copy(g);
    for (int i = 0; i < n; i++) o.d[i] = gr_copy(d[i]);
    gr_tape_free(t);
    return o;
}

static void drop(outcome *o)
{
    gr_tensor_free(o->y);
    gr_tensor_free(o->g);
    for (int i = 0; i < o->n; i++) gr_tensor_free(o->d[i]);
}

static gr_tensor *leaf(gr_tensor *x)
{
    assert_non_null(x);
    assert_int_equal(gr_require_grad(x), GR_OK);
    return x;
}

static gr_tensor *images(gr_dtype dtype, int64_t n, int64_t c, int64_t h, int64_t w, gr_rng *rng)
{
    return leaf(gr_normal(dtype, GR_SHAPE(n, c, h, w), 0.0, 1.0, rng));
}

/* Within a tolerance of the largest that is expected. */
static void expect_near(const char *what, const gr_tensor *got, const double *expected, double tolerance)
{
    double largest = 0.0;
    for (int64_t i = 0; i < gr_size(got); i++)
        if (isfinite(expected[i])) largest = fmax(largest, fabs(expected[i]));
    for (int64_t i = 0; i < gr_size(got); i++) {
        const double x = gr_get(got, i);
        const bool same = x == expected[i] || (isnan(x) && isnan(expected[i]));
        if (!same && !(fabs(x - expected[i]) <= tolerance * largest))
            fail_msg("%s: element %lld of %lld is %.9g, expected %.9g", what, (long long)i, (long long)gr_size(got), x,
                     expected[i]);
    }
}

static double *room_for(const gr_tensor *x)
{
    double *room = calloc((size_t)gr_size(x) + 1, sizeof *room);
    assert_non_null(room);
    return room;
}

static double rounding(gr_dtype dtype) { return dtype == GR_F32 ? 4e-6 : 1e-13; }

/* ---- Pooling: window by window ------------------------------------------------------------------------------ */

static gr_tensor *max_layer(gr_tape *t, gr_tensor *const x[], const void *options)
{
    gr_pool2d_options o = *(const gr_pool2d_options *)options;
    o.exclude_padding = false; /* is for means */
    return gr_max_pool2d(t, x[0], &o);
}
static gr_tensor *avg_layer(gr_tape *t, gr_tensor *const x[], const void *options)
{
    return gr_avg_pool2d(t, x[0], options);
}

/* One window of a plane: its value into y, the gradient g into d. Returns the place of its winner. */
static int64_t pool_window(const gr_tensor *x, int64_t plane, int64_t i, int64_t j, const gr_pool2d_options *o,
                           bool largest, double g, double *y, double *d)
{
    const int64_t h = gr_dim(x, 2), w = gr_dim(x, 3);
    double sum = 0.0, best = -(double)INFINITY, count = 0.0;
    int64_t winner = -1;
    for (int64_t u = 0; u < o->kernel[0]; u++)
        for (int64_t v = 0; v < o->kernel[1]; v++) {
            const int64_t r = i * o->stride[0] + u - o->padding[0], c = j * o->stride[1] + v - o->padding[1];
            const bool there = r >= 0 && r < h && c >= 0 && c < w;
            count += there || !o->exclude_padding;
            if (!there) continue;
            const double e = gr_get(x, (plane * h + r) * w + c);
            sum += e;
            if (winner < 0 || e > best || (isnan(e) && !isnan(best))) best = e, winner = (plane * h + r) * w + c;
        }
    *y = largest ? best : sum / count;
    if (largest) d[winner] += g;
    for (int64_t r = 0; r < h && !largest; r++)
        for (int64_t c = 0; c < w; c++) {
            const int64_t u = r - i * o->stride[0] + o->padding[0], v = c - j * o->stride[1] + o->padding[1];
            if (u >= 0 && u < o->kernel[0] && v >= 0 && v < o->kernel[1]) d[(plane * h + r) * w + c] += g / count;
        }
    return winner;
}

/* The winners as two others see them: the gradient checker, in a signature of its branches, and the second derivative
 * of sum(h dx) by g, which is h at the winners. */
static void check_winners(const char *what, gr_tensor *x, const gr_pool2d_options *o, const gr_tensor *y,
                          const int64_t winners[])
{
    const gr_pool_attr attr = {.kernel = {o->kernel[0], o->kernel[1]},
                               .stride = {o->stride[0], o->stride[1]},
                               .padding = {o->padding[0], o->padding[1]}};
    const gr_op *op = gr_op_at(0);
    for (int i = 0; strcmp(op->name, "max_pool2d") != 0; i++) op = gr_op_at(i);
    gr_tape *t = gr_tape_new();
    gr_tensor *d, *dg, *g = leaf(gr_copy(y)), *h = pattern(t, x, 0.3), *result = max_layer(t, &x, o);
    assert_int_equal(gr_vjp(t, result, g, &x, 1, &d, GR_CREATE_GRAPH), GR_OK);
    assert_int_equal(gr_vjp(t, d, h, &g, 1, &dg, 0), GR_OK);
    double *picked = room_for(y);
    uint64_t signature = 0, expected = 0;
    op->branches(&(gr_node){.op = op, .tape = t, .in = &x, .n_in = 1, .attr = &attr, .out = result}, &signature);
    for (int64_t k = 0; k < gr_size(y); k++) {
        picked[k] = gr_get(h, winners[k]);
        gr_fold_branch(&expected, winners[k]);
    }
    expect_near(what, dg, picked, 0.0);
    if (signature != expected) fail_msg("%s: the checker sees other winners", what);
    gr_tape_free(t);
    gr_tensor_free(g);
    free(picked);
}

/* Ties; a third of the elements is NaN or infinite. */
static void spoil(gr_tensor *x, gr_rng *rng)
{
    static const double strange[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, (double)NAN};
    for (int64_t k = 0; k < gr_size(x); k++) {
        const int64_t draw = gr_rng_below(rng, 12);
        assert_int_equal(gr_set(x, k, draw < 4 ? strange[draw] : round(gr_get(x, k))), GR_OK);
    }
}

static void check_pooling(gr_tensor *x, const gr_pool2d_options *o, bool largest)
{
    char what[160];
    snprintf(what, sizeof what, "%s of %lldx%lld, kernel %lldx%lld, stride %lldx%lld, padding %lldx%lld",
             largest ? "max" : "mean", (long long)gr_dim(x, 2), (long long)gr_dim(x, 3), (long long)o->kernel[0],
             (long long)o->kernel[1], (long long)o->stride[0], (long long)o->stride[1], (long long)o->padding[0],
             (long long)o->padding[1]);
    outcome r = run(largest ? max_layer : avg_layer, o, &x, 1, 0),
            graph = run(largest ? max_layer : avg_layer, o, &x, 1, GR_CREATE_GRAPH);
    double *y = room_for(r.y), *d = room_for(x);
    const int64_t rows = (gr_dim(x, 2) + 2 * o->padding[0] - o->kernel[0]) / o->stride[0] + 1,
                  columns = (gr_dim(x, 3) + 2 * o->padding[1] - o->kernel[1]) / o->stride[1] + 1;
    assert_int_equal(gr_dim(r.y, 2), rows);
    assert_int_equal(gr_dim(r.y, 3), columns);
    int64_t *winners = malloc((size_t)gr_size(r.y) * sizeof *winners);
    assert_non_null(winners);
    for (int64_t k = 0; k < gr_size(r.y); k++)
        winners[k] =
            pool_window(x, k / columns / rows, k / columns % rows, k % columns, o, largest, gr_get(r.g, k), &y[k], d);
    if (largest) check_winners(what, x, o, r.y, winners);
    expect_near(what, r.y, y, largest ? 0.0 : rounding(gr_dtype_of(x)));
    expect_near(what, r.d[0], d, rounding(gr_dtype_of(x)));
    expect_near(what, graph.d[0], d, rounding(gr_dtype_of(x)));
    drop(&r);
    drop(&graph);
    free(winners);
    free(y);
    free(d);
}

static void pooling_window_by_window(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(1);
    for (int trial = 0; trial < 600; trial++) {
        gr_pool2d_options o = {.exclude_padding = gr_rng_below(&rng, 2)};
        int64_t size[2];
        for (int i = 0; i < 2; i++) {
            o.kernel[i] = 1 + gr_rng_below(&rng, 5);
            o.stride[i] = 1 + gr_rng_below(&rng, 4);
            o.padding[i] = gr_rng_below(&rng, o.kernel[i] / 2 + 1);
            size[i] = o.kernel[i] + gr_rng_below(&rng, 9) - 2 * o.padding[i];
            if (size[i] < 1) size[i] = 1;
        }
        gr_tensor *x = images(trial % 2 ? GR_F32 : GR_F64, 1 + gr_rng_below(&rng, 2), 1 + gr_rng_below(&rng, 3),
                              size[0], size[1], &rng);
        check_pooling(x, &o, false);
        if (trial % 4 < 2) spoil(x, &rng);
        check_pooling(x, &o, true);
        gr_tensor_free(x);
    }
}

/* Pairs of pixels have loops of their own. Sizes around those of vectors, odd ones too. */
static void pooling_in_halves(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(2);
    const gr_pool2d_options o = {.kernel = {2, 2}, .stride = {2, 2}};
    for (int64_t w = 2; w <= 70; w++) {
        gr_tensor *x = images(w % 3 ? GR_F32 : GR_F64, 1, 2, 2 + w % 5, w, &rng);
        spoil(x, &rng);
        check_pooling(x, &o, true);
        gr_tensor_free(x);
    }
}

/* Windows that are not theirs by one number. */
static void pooling_almost_in_halves(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(2);
    for (int k = 0; k < 6; k++)
        for (int dtype = GR_F32; dtype <= GR_F64; dtype++) {
            gr_pool2d_options o = {.kernel = {2, 2}, .stride = {2, 2}};
            int64_t *const all[] = {o.kernel, o.stride, o.padding};
            all[k / 2][k % 2]++;
            gr_tensor *x = images((gr_dtype)dtype, 2, 1, 7, 9, &rng);
            check_pooling(x, &o, true);
            check_pooling(x, &o, false);
            gr_tensor_free(x);
        }
}

/* Options that are left out. */
static void windows_beside_each_other(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(2);
    gr_tensor *x = images(GR_F64, 1, 1, 7, 9, &rng);
    const gr_pool2d_options given = {.kernel = {2, 3}, .stride = {2, 3}}, left_out = {.kernel = {2, 3}};
    const layer layers[] = {max_layer, avg_layer};
    for (int i = 0; i < COUNT(layers); i++) {
        outcome a = run(layers[i], &given, &x, 1, 0), b = run(layers[i], &left_out, &x, 1, 0);
        assert_close_tensors("stride", "left out", a.y, b.y, 0.0);
        assert_close_tensors("stride, gradient", "left out", a.d[0], b.d[0], 0.0);
        drop(&a);
        drop(&b);
    }
    gr_tensor_free(x);
}

/* Rows of more windows than are taken at once, and of one fewer. */
static void pooling_of_wide_images(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(3);
    static const gr_pool2d_options options[] = {
        {.kernel = {3, 3}, .stride = {1, 1}, .padding = {1, 1}},
        {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}, .exclude_padding = true},
        {.kernel = {2, 5}, .stride = {2, 3}, .padding = {0, 2}},
        {.kernel = {2, 2}, .stride = {2, 2}},
        {.kernel = {2, 700}, .stride = {1, 1}, .padding = {1, 350}, .exclude_padding = true},
    };
    static const int64_t widths[] = {255, 256, 521};
    for (int i = 0; i < COUNT(options) * COUNT(widths); i++)
        for (int dtype = GR_F32; dtype <= GR_F64; dtype++) {
            const gr_pool2d_options *o = &options[i / COUNT(widths)];
            gr_tensor *x = images((gr_dtype)dtype, 1, 2, 4, widths[i % COUNT(widths)], &rng);
            check_pooling(x, o, false);
            check_pooling(x, o, true);
            spoil(x, &rng);
            check_pooling(x, o, true);
            gr_tensor_free(x);
        }
}

static gr_tensor *global_layer(gr_tape *t, gr_tensor *const x[], const void *options)
{
    (void)options;
    return gr_global_avg_pool2d(t, x[0]);
}

static void the_mean_of_planes(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(4);
    gr_tensor *x = images(GR_F64, 2, 3, 5, 7, &rng);
    outcome r = run(global_layer, NULL, &x, 1, 0);
    assert_true(gr_rank(r.y) == 4 && gr_dim(r.y, 0) == 2 && gr_dim(r.y, 1) == 3 && gr_dim(r.y, 2) == 1 &&
                gr_dim(r.y, 3) == 1);
    double y[6] = {0}, *d = room_for(x);
    for (int64_t k = 0; k < gr_size(x); k++) y[k / 35] += gr_get(x, k) / 35.0, d[k] = gr_get(r.g, k / 35) / 35.0;
    expect_near("global", r.y, y, 1e-14);
    expect_near("global", r.d[0], d, 1e-14);
    drop(&r);
    free(d);
    gr_tensor_free(x);
}

/* ---- Upsampling: every pixel weighs on every pixel ------------------------------------------------------------ */

typedef struct target {
    int64_t height, width;
    gr_upsample_mode mode;
} target;

static gr_tensor *upsample_layer(gr_tape *t, gr_tensor *const x[], const void *options)
{
    const target *to = options;
    return gr_upsample2d(t, x[0], to->height, to->width, to->mode);
}

/* How much pixel k of `small` weighs on pixel i of `large`: a hat about the place that i has among them. */
static double weight_of(gr_upsample_mode mode, int64_t small, int64_t large, int64_t i, int64_t k)
{
    if (mode == GR_NEAREST) return k * large <= i * small && i * small < (k + 1) * large;
    double at = mode == GR_BILINEAR ? ((double)i + 0.5) * (double)small / (double)large - 0.5
                : large == 1        ? 0.0
                                    : (double)i * (double)(small - 1) / (double)(large - 1);
    at = fmin(fmax(at, 0.0), (double)(small - 1));
    return fmax(0.0, 1.0 - fabs(at - (double)k));
}

static void check_upsampling(gr_tensor *x, const target *to)
{
    char what[96];
    const int64_t h = gr_dim(x, 2), w = gr_dim(x, 3), area = to->height * to->width;
    snprintf(what, sizeof what, "%lldx%lld to %lldx%lld, mode %d", (long long)h, (long long)w, (long long)to->height,
             (long long)to->width, (int)to->mode);
    outcome r = run(upsample_layer, to, &x, 1, 0), graph = run(upsample_layer, to, &x, 1, GR_CREATE_GRAPH);
    double *y = room_for(r.y), *d = room_for(x);
    for (int64_t k = 0; k < gr_size(r.y); k++)
        for (int64_t i = 0; i < h; i++) {
            const double by_row = weight_of(to->mode, h, to->height, k / to->width % to->height, i);
            for (int64_t j = 0; by_row != 0.0 && j < w; j++) {
                const double weight = by_row * weight_of(to->mode, w, to->width, k % to->width, j);
                const int64_t from = (k / area * h + i) * w + j;
                y[k] += weight * gr_get(x, from);
                d[from] += weight * gr_get(r.g, k);
            }
        }
    expect_near(what, r.y, y, to->mode == GR_NEAREST ? 0.0 : rounding(gr_dtype_of(x)));
    expect_near(what, r.d[0], d, rounding(gr_dtype_of(x)));
    expect_near(what, graph.d[0], d, rounding(gr_dtype_of(x)));
    drop(&r);
    drop(&graph);
    free(y);
    free(d);
}

static void upsampling_pixel_by_pixel(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(5);
    for (int trial = 0; trial < 600; trial++) {
        target to = {.mode = (gr_upsample_mode)(trial % 3)};
        const int64_t h = 1 + gr_rng_below(&rng, 6), w = 1 + gr_rng_below(&rng, 6);
        to.height = trial % 4 ? h + gr_rng_below(&rng, 9) : h * (1 + gr_rng_below(&rng, 4));
        to.width = trial % 4 ? w + gr_rng_below(&rng, 9) : w * (1 + gr_rng_below(&rng, 4));
        gr_tensor *x = images(trial % 2 ? GR_F32 : GR_F64, 1 + gr_rng_below(&rng, 2), 2, h, w, &rng);
        check_upsampling(x, &to);
        gr_tensor_free(x);
    }
}

static void upsampling_of_wide_images(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(6);
    static const target to[] = {{4, 278, GR_NEAREST},  {4, 521, GR_NEAREST},          {3, 600, GR_BILINEAR},
                                {5, 278, GR_BILINEAR}, {3, 521, GR_BILINEAR_ALIGNED}, {2, 139, GR_BILINEAR},
                                {3, 700, GR_NEAREST},  {4, 695, GR_NEAREST},          {3, 257, GR_NEAREST},
                                {3, 257, GR_BILINEAR}, {3, 256, GR_BILINEAR_ALIGNED}};
    for (int i = 0; i < COUNT(to); i++)
        for (int dtype = GR_F32; dtype <= GR_F64; dtype++) {
            gr_tensor *x = images((gr_dtype)dtype, 1, 1, 2, 139, &rng),
                      *pixel = images((gr_dtype)dtype, 1, 1, 1, 1, &rng);
            check_upsampling(x, &to[i]);
            check_upsampling(pixel, &to[i]);
            gr_tensor_free(x);
            gr_tensor_free(pixel);
        }
}

/* Sizes that stay, in more columns than are taken at once: the last of a chunk is mixed with one beyond it. */
static void upsampling_to_the_same_size(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(6);
    gr_tensor *x = images(GR_F32, 1, 1, 2, 300, &rng);
    for (int mode = 0; mode < GR_N_UPSAMPLE_MODES; mode++)
        check_upsampling(x, &(target){2, 300, (gr_upsample_mode)mode});
    gr_tensor_free(x);
}

/* A row that is no part of a pixel does not meet its gradient, not even as 0 times infinity. */
static void an_infinite_gradient_of_nearest(void **state)
{
    (void)state;
    gr_tensor *x = leaf(gr_ones(GR_F64, GR_SHAPE(1, 1, 3, 2))), *g = gr_ones(GR_F64, GR_SHAPE(1, 1, 5, 3)), *d;
    assert_int_equal(gr_set(g, 0, (double)INFINITY), GR_OK);
    gr_tape *t = gr_tape_new();
    assert_int_equal(gr_vjp(t, gr_upsample2d(t, x, 5, 3, GR_NEAREST), g, &x, 1, &d, 0), GR_OK);
    expect_near("gradient", d, (double[]){(double)INFINITY, 2, 4, 2, 2, 1}, 0.0);
    gr_tape_free(t);
    gr_tensor_free(x);
    gr_tensor_free(g);
}

/* Worked out by hand. */
static void upsampling_of_two_pixels(void **state)
{
    (void)state;
    static const double expected[3][6] = {{1, 1, 2, 2}, {1, 1.25, 1.75, 2}, {1, 4.0 / 3.0, 5.0 / 3.0, 2}};
    gr_tensor *x = gr_from(GR_F64, GR_SHAPE(1, 1, 1, 2), (double[]){1, 2});
    gr_tape *t = gr_tape_new();
    for (int mode = 0; mode < 3; mode++)
        expect_near("two pixels to four", gr_upsample2d(t, x, 1, 4, (gr_upsample_mode)mode), expected[mode], 1e-15);
    gr_tape_free(t);
    gr_tensor_free(x);
}

/* ---- Norms: by groups of indices ------------------------------------------------------------------------------ */

typedef enum kind { BATCH, LAYER, GROUP } kind;

typedef struct norm {
    kind kind;
    int rank;
    int64_t shape[5];
    int64_t parts; /* axes of a layer, groups */
    bool gamma, beta;
    double epsilon;
} norm;

static gr_tensor *norm_layer(gr_tape *t, gr_tensor *const x[], const void *options)
{
    const norm *o = options;
    gr_tensor *gamma = o->gamma ? x[1] : NULL, *beta = o->beta ? x[1 + o->gamma] : NULL;
    if (o->kind == LAYER) return gr_layer_norm(t, x[0], (int)o->parts, gamma, beta, o->epsilon);
    if (o->kind == GROUP) return gr_group_norm(t, x[0], o->parts, gamma, beta, o->epsilon);
    return gr_batch_norm2d(t, x[0], gamma, beta, NULL, NULL,
                           &(gr_batch_norm_options){.training = true, .epsilon = o->epsilon});
}

static int64_t behind(const norm *o, int axis)
{
    int64_t size = 1;
    for (int i = axis; i < o->rank; i++) size *= o->shape[i];
    return size;
}

static int64_t channels_of(const norm *o)
{
    return o->kind == LAYER ? behind(o, o->rank - (int)o->parts) : o->shape[1];
}

static int64_t channel_of(const norm *o, int64_t k)
{
    return o->kind == LAYER ? k % channels_of(o) : k / behind(o, 2) % o->shape[1];
}

static int64_t group_of(const norm *o, int64_t k)
{
    if (o->kind == LAYER) return k / channels_of(o);
    if (o->kind == BATCH) return channel_of(o, k);
    return k / behind(o, 1) * o->parts + channel_of(o, k) / (o->shape[1] / o->parts);
}

/* Sums over the group of each element. */
static double *sums_over_groups(const norm *o, const double *of, int64_t size)
{
    double *sums = calloc((size_t)size + 1, sizeof *sums), *each = calloc((size_t)size + 1, sizeof *each);
    assert_true(sums && each);
    for (int64_t k = 0; k < size; k++) sums[group_of(o, k)] += of[k];
    for (int64_t k = 0; k < size; k++) each[k] = sums[group_of(o, k)];
    free(sums);
    return each;
}

/* h, and 1 / sqrt(var + epsilon) for each element; returns how many a group has. */
static double reference_h(const norm *o, const gr_tensor *x, double *h, double *scale)
{
    const int64_t size = gr_size(x);
    double *ones = room_for(x), *value = room_for(x);
    for (int64_t k = 0; k < size; k++)
        ones[k] = 1.0, value[k] = gr_get(x, k) - gr_get(x, 0); /* exact where they are close */
    double *count = sums_over_groups(o, ones, size), *sum = sums_over_groups(o, value, size);
    for (int64_t k = 0; k < size; k++) h[k] = value[k] - sum[k] / count[k], value[k] = h[k] * h[k];
    double *squares = sums_over_groups(o, value, size), n = count[0];
    for (int64_t k = 0; k < size; k++) {
        scale[k] = 1.0 / sqrt(squares[k] / n + (o->epsilon > 0.0 ? o->epsilon : 1e-5));
        h[k] *= scale[k];
    }
    double *const all[] = {ones, value, count, sum, squares};
    for (int i = 0; i < COUNT(all); i++) free(all[i]);
    return n;
}

static void check_values(const char *what, const norm *o, gr_tensor *const x[], const outcome *r, const double *h,
                         double tolerance)
{
    double *y = room_for(x[0]);
    for (int64_t k = 0; k < gr_size(x[0]); k++) {
        const int64_t c = channel_of(o, k);
        y[k] = h[k] * (o->gamma ? gr_get(x[1], c) : 1.0) + (o->beta ? gr_get(x[1 + o->gamma], c) : 0.0);
    }
    expect_near(what, r->y, y, tolerance);
    free(y);
}

static void check_gradients(const char *what, const norm *o, gr_tensor *const x[], const outcome *r, const double *h,
                            const double *scale, double n, double tolerance)
{
    const int64_t size = gr_size(x[0]);
    double *g = room_for(x[0]), *gh = room_for(x[0]), *gamma = calloc((size_t)channels_of(o), sizeof *gamma),
           *beta = calloc((size_t)channels_of(o), sizeof *beta);
    for (int64_t k = 0; k < size; k++) {
        const int64_t c = channel_of(o, k);
        gamma[c] += gr_get(r->g, k) * h[k];
        beta[c] += gr_get(r->g, k);
        g[k] = gr_get(r->g, k) * (o->gamma ? gr_get(x[1], c) : 1.0);
        gh[k] = g[k] * h[k];
    }
    double *sum = sums_over_groups(o, g, size), *product = sums_over_groups(o, gh, size);
    for (int64_t k = 0; k < size; k++) g[k] = scale[k] * (g[k] - sum[k] / n - h[k] * product[k] / n);
    expect_near(what, r->d[0], g, tolerance);
    if (o->gamma) expect_near(what, r->d[1], gamma, tolerance);
    if (o->beta) expect_near(what, r->d[1 + o->gamma], beta, tolerance);
    double *const all[] = {g, gh, gamma, beta, sum, product};
    for (int i = 0; i < COUNT(all); i++) free(all[i]);
}

/* Makes x, gamma and beta; returns how many there are. */
static int make_inputs(const norm *o, gr_dtype dtype, double mean, double deviation, gr_tensor *x[], gr_rng *rng)
{
    int n = 1;
    x[0] = leaf(gr_normal(dtype, o->rank, o->shape, mean, deviation, rng));
    const int rank = o->kind == LAYER ? (int)o->parts : 1;
    const int64_t *shape = o->kind == LAYER ? &o->shape[o->rank - o->parts] : &o->shape[1];
    if (o->gamma) x[n++] = leaf(gr_uniform(dtype, rank, shape, 0.5, 1.5, rng));
    if (o->beta) x[n++] = leaf(gr_normal(dtype, rank, shape, 0.0, 1.0, rng));
    return n;
}

static void check_norm(const norm *o, gr_dtype dtype, double mean, double deviation, double tolerance, gr_rng *rng)
{
    char what[96];
    gr_tensor *x[MAX_INPUTS];
    const int n = make_inputs(o, dtype, mean, deviation, x, rng);
    snprintf(what, sizeof what, "kind %d of [%lld,%lld,...], %lld parts, %s", (int)o->kind, (long long)o->shape[0],
             (long long)o->shape[1], (long long)o->parts, gr_dtype_name(dtype));
    outcome r = run(norm_layer, o, x, n, 0);
    double *h = room_for(x[0]), *scale = room_for(x[0]);
    const double count = reference_h(o, x[0], h, scale);
    check_values(what, o, x, &r, h, tolerance);
    check_gradients(what, o, x, &r, h, scale, count, tolerance);
    drop(&r);
    free(h);
    free(scale);
    for (int i = 0; i < n; i++) gr_tensor_free(x[i]);
}

static const norm norms[] = {
    {BATCH, 4, {3, 5, 7, 9}, 0, true, true, 0},      {BATCH, 4, {2, 3, 41, 67}, 0, true, true, 1e-3},
    {BATCH, 4, {40, 3, 1, 1}, 0, true, false, 0},    {BATCH, 4, {2, 2, 1, 5}, 0, false, true, 0},
    {BATCH, 4, {1, 4, 9, 130}, 0, false, false, 0},  {LAYER, 2, {7, 33}, 1, true, true, 0},
    {LAYER, 2, {130, 300}, 1, true, true, 0},        {LAYER, 3, {5, 3, 17}, 2, true, false, 1e-2},
    {LAYER, 1, {3000}, 1, false, true, 0},           {LAYER, 4, {2, 3, 4, 5}, 1, false, false, 0},
    {LAYER, 3, {3, 2, 5}, 3, true, true, 0},         {GROUP, 4, {2, 6, 7, 9}, 3, true, true, 0},
    {GROUP, 4, {3, 4, 5, 5}, 4, true, false, 0},     {GROUP, 3, {2, 4, 1100}, 1, false, true, 0},
    {GROUP, 2, {70, 12}, 3, true, true, 0},          {GROUP, 2, {9, 600}, 2, true, false, 0},
    {GROUP, 5, {2, 4, 3, 2, 5}, 2, false, false, 0},
};

static void norms_by_groups_of_indices(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(7);
    for (int i = 0; i < COUNT(norms); i++) {
        check_norm(&norms[i], GR_F64, 0.5, 2.0, 1e-12, &rng);
        check_norm(&norms[i], GR_F32, 0.5, 2.0, 1e-5, &rng);
    }
}

/* The numbers lie a million deviations from 0: the squares' sum less the square of the sum has no digit left, and in
 * F32, where the deviation is ten times the distance of neighbouring numbers, a mean rounded to one of them is off by
 * some percent of it. Epsilon is far below the variance. */
static void a_large_mean(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(8);
    for (int i = 0; i < COUNT(norms); i++) {
        norm o = norms[i];
        o.epsilon = 1e-9;
        check_norm(&o, GR_F32, 1e4, 1e-2, 1e-5, &rng);
        check_norm(&o, GR_F64, 1e4, 1e-2, 1e-7, &rng);
    }
}

/* The first element far from all others, where a shift by it would cancel; and a slope through all of them. The
 * outlier's square is a million times that of its neighbours, to which the sum of a tile in F32 leaves few digits. */
static void awkward_orders(void **state)
{
    (void)state;
    const norm o = {BATCH, 4, {2, 1, 64, 100}, 0, false, false, 1e-9};
    gr_rng rng = gr_rng_seed(9);
    for (int which = 0; which < 2; which++) {
        gr_tensor *x[MAX_INPUTS];
        make_inputs(&o, GR_F32, 0.0, 1e-2, x, &rng);
        for (int64_t k = 0; which && k < gr_size(x[0]); k++)
            assert_int_equal(gr_set(x[0], k, gr_get(x[0], k) + 0.5 * (double)k), GR_OK);
        if (!which) assert_int_equal(gr_set(x[0], 0, 1e4), GR_OK);
        outcome r = run(norm_layer, &o, x, 1, 0);
        double *h = room_for(x[0]), *scale = room_for(x[0]);
        reference_h(&o, x[0], h, scale);
        check_values(which ? "a slope" : "an outlier in front", &o, x, &r, h, 1e-5);
        drop(&r);
        free(h);
        free(scale);
        gr_tensor_free(x[0]);
    }
}

/* ---- Sums that one derivative leaves for the next -------------------------------------------------------------- */

/* The gradients that are asked for, in any selection and twice, with another cotangent each time, are those that a
 * recorded pass composes of ops. */
static void check_selection(const norm *o, gr_tensor *const x[], int n, int selection)
{
    gr_tape *t = gr_tape_new();
    gr_tensor *wanted[MAX_INPUTS], *fused[MAX_INPUTS], *composed[MAX_INPUTS], *y = norm_layer(t, x, o);
    int m = 0;
    for (int i = 0; i < n; i++)
        if (selection >> i & 1) wanted[m++] = x[i];
    for (int again = 0; again < 3; again++) {
        gr_tensor *g = pattern(t, y, 0.7 + again / 2);
        assert_int_equal(gr_vjp(t, y, g, wanted, m, fused, GR_RETAIN), GR_OK);
        assert_int_equal(gr_vjp(t, y, g, wanted, m, composed, GR_CREATE_GRAPH), GR_OK);
        for (int i = 0; i < m; i++)
            assert_close_tensors("fused and composed", "gradient", fused[i], composed[i], 1e-12);
    }
    gr_tape_free(t);
}

static void gradients_in_any_selection(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(10);
    for (int i = 0; i < COUNT(norms); i++) {
        gr_tensor *x[MAX_INPUTS];
        const int n = make_inputs(&norms[i], GR_F64, 0.0, 1.0, x, &rng);
        for (int selection = 1; selection < 1 << n; selection++) check_selection(&norms[i], x, n, selection);
        for (int k = 0; k < n; k++) gr_tensor_free(x[k]);
    }
}

/* ---- Running statistics -------------------------------------------------------------------------------------- */

static void expect_number(const char *what, double got, double expected)
{
    if (!close_to(got, expected, 1e-14)) fail_msg("%s: %.17g, expected %.17g", what, got, expected);
}

/* 1, 2, 3, 6 have the mean 3, and 14 as the sum of squares about it. */
static void running_statistics(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = leaf(gr_from(GR_F64, GR_SHAPE(2, 1, 1, 2), (double[]){1, 2, 3, 6}));
    gr_tensor *mean = gr_zeros(GR_F64, GR_SHAPE(1)), *var = gr_ones(GR_F64, GR_SHAPE(1)),
              *gamma = gr_full(GR_F64, GR_SHAPE(1), 2.0), *beta = gr_full(GR_F64, GR_SHAPE(1), 0.5);
    gr_tensor *y = gr_batch_norm2d(t, x, gamma, beta, mean, var, &(gr_batch_norm_options){.training = true});
    expect_number("trained", gr_get(y, 3), 2.0 * 3.0 / sqrt(14.0 / 4.0 + 1e-5) + 0.5);
    expect_number("mean, moved by 0.1", gr_item(mean), 0.3);
    expect_number("variance, moved by 0.1", gr_item(var), 0.9 + 0.1 * 14.0 / 3.0);
    gr_batch_norm2d(t, x, NULL, NULL, mean, NULL, &(gr_batch_norm_options){.training = true, .momentum = 0.25});
    expect_number("mean, moved by 0.25", gr_item(mean), 0.75 * 0.3 + 0.25 * 3.0);
    expect_number("variance, left alone", gr_item(var), 0.9 + 0.1 * 14.0 / 3.0);
    const double m = gr_item(mean), v = gr_item(var);
    y = gr_batch_norm2d(t, x, gamma, beta, mean, var, &(gr_batch_norm_options){.epsilon = 0.25});
    for (int i = 0; i < 4; i++) expect_number("in use", gr_get(y, i), 2.0 * (gr_get(x, i) - m) / sqrt(v + 0.25) + 0.5);
    y = gr_batch_norm2d(t, x, NULL, NULL, mean, var, NULL);
    for (int i = 0; i < 4; i++) expect_number("in use, alone", gr_get(y, i), (gr_get(x, i) - m) / sqrt(v + 1e-5));
    expect_number("mean, not moved by use", gr_item(mean), m);
    expect_number("variance, not moved by use", gr_item(var), v);
    gr_set_recording(t, false);
    assert_non_null(
        gr_batch_norm2d(t, x, NULL, NULL, mean, var, &(gr_batch_norm_options){.training = true, .momentum = 1.0}));
    expect_number("mean, replaced without recording", gr_item(mean), 3.0);
    expect_number("variance, replaced without recording", gr_item(var), 14.0 / 3.0);
    gr_tensor *const all[] = {x, mean, var, gamma, beta};
    gr_tape_free(t);
    for (int i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
}

/* Training twice before one backward is right; using statistics that are moved before backward is not. */
static void statistics_moved_before_backward(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(11);
    gr_tape *t = gr_tape_new();
    gr_tensor *x = images(GR_F32, 2, 3, 4, 4, &rng), *mean = gr_zeros(GR_F32, GR_SHAPE(3)),
              *var = gr_ones(GR_F32, GR_SHAPE(3));
    const gr_batch_norm_options training = {.training = true};
    gr_tensor *twice =
        gr_batch_norm2d(t, gr_batch_norm2d(t, x, NULL, NULL, mean, var, &training), NULL, NULL, mean, var, &training);
    assert_int_equal(gr_backward(t, gr_sum(t, gr_square(t, twice), GR_ALL_AXES, false), 0), GR_OK);
    gr_tensor *use = gr_sum(t, gr_batch_norm2d(t, x, NULL, NULL, mean, var, NULL), GR_ALL_AXES, false);
    assert_non_null(gr_batch_norm2d(t, x, NULL, NULL, mean, var, &training));
    assert_int_equal(gr_backward(t, use, 0), GR_ERR_STATE);
    assert_failed_with("moved", GR_ERR_STATE, "input 1 of channel_affine, was changed after the forward pass");
    gr_tape_free(t);
    gr_tensor_free(x);
    gr_tensor_free(mean);
    gr_tensor_free(var);
}

/* In training and in use: the message names the function that was called. */
static void batch_norm_of_integers(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_zeros(GR_I32, GR_SHAPE(2, 3, 1, 1)), *mean = gr_zeros(GR_I32, GR_SHAPE(3)), *var = gr_copy(mean);
    for (int training = 0; training < 2; training++) {
        assert_null(gr_batch_norm2d(t, x, NULL, NULL, mean, var, &(gr_batch_norm_options){.training = training}));
        assert_failed_with("integers", GR_ERR_DTYPE, "batch_norm2d: input 0 is i32");
    }
    gr_tape_free(t);
    gr_tensor_free(x);
    gr_tensor_free(mean);
    gr_tensor_free(var);
}

/* ---- Dropout ------------------------------------------------------------------------------------------------- */

enum { MANY = 1 << 17 };

static void drop_ones(uint64_t seed, double p, gr_dtype dtype, bool *stays)
{
    gr_rng rng = gr_rng_seed(seed);
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_ones(dtype, GR_SHAPE(MANY)), *y = gr_dropout(t, x, p, &rng);
    assert_non_null(y);
    for (int64_t i = 0; i < MANY; i++) {
        const double expected = dtype == GR_F32 ? (double)(float)(1.0 / (1.0 - p)) : 1.0 / (1.0 - p);
        assert_true(gr_get(y, i) == 0.0 || gr_get(y, i) == expected);
        stays[i] = gr_get(y, i) != 0.0;
    }
    gr_tape_free(t);
    gr_tensor_free(x);
}

/* The correlation of two masks with probability p of a 0, in its own standard deviations. */
static double correlation(const bool *a, const bool *b, int64_t n, double p)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += (a[i] - (1.0 - p)) * (b[i] - (1.0 - p));
    return sum / (p * (1.0 - p)) / sqrt((double)n);
}

static void masks_look_random(void **state)
{
    (void)state;
    static bool mask[MANY], other[MANY];
    static const double shares[] = {0.5, 0.1, 0.9, 1.0 / 3.0};
    static const int64_t lags[] = {1, 2, 3, 7, 16, 64, 256, 1 << 14, 1 << 15, 1 << 16};
    for (int k = 0; k < COUNT(shares); k++) {
        const double p = shares[k];
        double stay = 0.0;
        drop_ones(12, p, GR_F32, mask);
        drop_ones(13, p, GR_F32, other);
        for (int64_t i = 0; i < MANY; i++) stay += mask[i];
        assert_true(fabs(stay - (1.0 - p) * MANY) < 4.0 * sqrt(p * (1.0 - p) * MANY));
        assert_true(fabs(correlation(mask, other, MANY, p)) < 4.0);
        for (int i = 0; i < COUNT(lags); i++)
            if (fabs(correlation(mask, mask + lags[i], MANY - lags[i], p)) >= 4.0)
                fail_msg("p %g: neighbours at %d are alike", p, (int)lags[i]);
    }
}

/* One element over many draws from one state. */
static void each_draw_is_another(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(14);
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_ones(GR_F32, GR_SHAPE(2));
    enum { DRAWS = 4000 };
    static bool first[DRAWS + 1], second[DRAWS + 1];
    double stay = 0.0;
    for (int i = 0; i < DRAWS; i++) {
        gr_tensor *y = gr_dropout(t, x, 0.25, &rng);
        first[i] = gr_get(y, 0) != 0.0;
        second[i] = gr_get(y, 1) != 0.0;
        stay += first[i];
        gr_tape_reset(t);
    }
    assert_true(fabs(stay - 0.75 * DRAWS) < 4.0 * sqrt(0.1875 * DRAWS));
    assert_true(fabs(correlation(first, second, DRAWS, 0.25)) < 4.0);
    assert_true(fabs(correlation(first, first + 1, DRAWS - 1, 0.25)) < 4.0);
    gr_tape_free(t);
    gr_tensor_free(x);
}

/* The same state, the same mask: in F64, and by the kernels of any processor. One draw is taken. The gradient has the
 * mask of the value. */
static void masks_come_again(void **state)
{
    (void)state;
    static bool mask[MANY], other[MANY];
    drop_ones(15, 0.3, GR_F32, mask);
    drop_ones(15, 0.3, GR_F64, other);
    assert_memory_equal(mask, other, sizeof mask);
    gr_rng rng = gr_rng_seed(15), twin = rng;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = leaf(gr_ones(GR_F32, GR_SHAPE(MANY))), *d, *y = gr_dropout(t, x, 0.3, &rng), *g = pattern(t, y, 0.7);
    gr_rng_u64(&twin);
    assert_memory_equal(&rng, &twin, sizeof rng);
    assert_int_equal(gr_vjp(t, y, g, &x, 1, &d, 0), GR_OK);
    for (int64_t i = 0; i < MANY; i++) {
        assert_true((gr_get(y, i) != 0.0) == mask[i]);
        assert_true(close_to(gr_get(d, i), gr_get(g, i) * gr_get(y, i), 1e-6));
    }
    gr_tape_free(t);
    gr_tensor_free(x);
}

static void masks_of_any_processor(void **state)
{
    (void)state;
    int at = 0;
    while (gr_op_at(at) && strcmp(gr_op_at(at)->name, "dropout") != 0) at++;
    const struct {
        double p;
        uint64_t key;
    } attr = {0.4, 0x123456789abcdef0};
    gr_op portable = *gr_op_at(at);
    assert_int_equal(portable.attr_size, sizeof attr);
    for (int cpu = GR_ANY_CPU + 1; cpu < GR_N_CPUS; cpu++)
        memset(portable.forward[cpu], 0, sizeof portable.forward[cpu]);
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_ones(GR_F32, GR_SHAPE(100003)), *y = gr_apply(t, gr_op_at(at), &x, 1, &attr),
              *z = gr_apply(t, &portable, &x, 1, &attr);
    assert_memory_equal(gr_read_f32(y), gr_read_f32(z), 100003 * sizeof(float));
    gr_tape_free(t);
    gr_tensor_free(x);
}

/* ---- Threads ------------------------------------------------------------------------------------------------- */

#ifdef _OPENMP
typedef struct dropped {
    double p;
    uint64_t seed;
} dropped;

static gr_tensor *dropout_layer(gr_tape *t, gr_tensor *const x[], const void *options)
{
    const dropped *o = options;
    gr_rng rng = gr_rng_seed(o->seed);
    return gr_dropout(t, x[0], o->p, &rng);
}

static gr_tensor *used_layer(gr_tape *t, gr_tensor *const x[], const void *options)
{
    (void)options;
    return gr_batch_norm2d(t, x[0], NULL, NULL, x[1], x[2], NULL);
}

static void expect_same_bits(const outcome *a, const outcome *b, const char *what)
{
    const size_t size = gr_dtype_of(a->y) == GR_F32 ? 4 : 8;
    for (int i = -1; i < a->n; i++) {
        const gr_tensor *p = i < 0 ? a->y : a->d[i], *q = i < 0 ? b->y : b->d[i];
        const void *left = size == 4 ? (const void *)gr_read_f32(p) : gr_read_f64(p),
                   *right = size == 4 ? (const void *)gr_read_f32(q) : gr_read_f64(q);
        if (memcmp(left, right, (size_t)gr_size(p) * size) != 0)
            fail_msg("%s: the bits of result %d depend on the threads", what, i);
    }
}

static void check_threads(const char *what, layer f, const void *options, gr_tensor *const x[], int n)
{
    const int threads = omp_get_max_threads();
    for (int flags = 0; flags <= GR_CREATE_GRAPH; flags += GR_CREATE_GRAPH) {
        omp_set_num_threads(1);
        outcome one = run(f, options, x, n, flags);
        for (int many = 2; many <= 3; many++) {
            omp_set_num_threads(many);
            outcome other = run(f, options, x, n, flags);
            expect_same_bits(&one, &other, what);
            drop(&other);
        }
        drop(&one);
    }
    omp_set_num_threads(threads);
}
#endif

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
#ifdef _OPENMP
    gr_rng rng = gr_rng_seed(16);
    static const gr_pool2d_options halves = {.kernel = {2, 2}},
                                   windows = {.kernel = {3, 3}, .stride = {2, 1}, .padding = {1, 1}};
    static const target twice = {202, 394, GR_NEAREST}, odd = {103, 300, GR_NEAREST}, mixed = {150, 400, GR_BILINEAR};
    static const norm large[] = {{BATCH, 4, {2, 5, 101, 197}, 0, true, true, 0},
                                 {GROUP, 4, {2, 5, 101, 197}, 5, true, true, 0},
                                 {LAYER, 2, {997, 700}, 1, true, true, 0}};
    for (int dtype = GR_F32; dtype <= GR_F64; dtype++) {
        gr_tensor *x[MAX_INPUTS] = {images((gr_dtype)dtype, 2, 5, 101, 197, &rng),
                                    leaf(gr_zeros((gr_dtype)dtype, GR_SHAPE(5))),
                                    leaf(gr_ones((gr_dtype)dtype, GR_SHAPE(5)))};
        check_threads("max, halves", max_layer, &halves, x, 1);
        check_threads("max, windows", max_layer, &windows, x, 1);
        check_threads("mean", avg_layer, &windows, x, 1);
        check_threads("mean of planes", global_layer, NULL, x, 1);
        check_threads("nearest, twice", upsample_layer, &twice, x, 1);
        check_threads("nearest", upsample_layer, &odd, x, 1);
        check_threads("bilinear", upsample_layer, &mixed, x, 1);
        check_threads("dropout", dropout_layer, &(dropped){0.3, 1}, x, 1);
        check_threads("batch norm in use", used_layer, NULL, x, 3);
        for (int i = 0; i < MAX_INPUTS; i++) gr_tensor_free(x[i]);
        for (int i = 0; i < COUNT(large); i++) {
            const int n = make_inputs(&large[i], (gr_dtype)dtype, 0.0, 1.0, x, &rng);
            check_threads("norm", norm_layer, &large[i], x, n);
            for (int k = 0; k < n; k++) gr_tensor_free(x[k]);
        }
    }
#else
    skip();
#endif
}

/* ---- Memory -------------------------------------------------------------------------------------------------- */

typedef struct network {
    gr_tape *t;
    gr_tensor *x, *gamma, *beta, *mean, *var;
    gr_rng rng;
} network;

static gr_tensor *forward(network *w)
{
    gr_tape *t = w->t;
    gr_tensor *h =
        gr_batch_norm2d(t, w->x, w->gamma, w->beta, w->mean, w->var, &(gr_batch_norm_options){.training = true});
    h = gr_max_pool2d(t, gr_relu(t, h), &(gr_pool2d_options){.kernel = {2, 2}});
    h = gr_dropout(t, gr_upsample2d(t, h, 17, 19, GR_BILINEAR), 0.2, &w->rng);
    h = gr_group_norm(t, gr_avg_pool2d(t, h, &(gr_pool2d_options){.kernel = {3, 3}, .padding = {1, 1}}), 2, w->gamma,
                      w->beta, 0.0);
    h = gr_layer_norm(t, gr_upsample2d(t, h, 12, 14, GR_NEAREST), 2, NULL, NULL, 0.0);
    return gr_mean(t, gr_square(t, gr_global_avg_pool2d(t, h)), GR_ALL_AXES, false);
}

static gr_status make_network(network *w)
{
    *w = (network){.t = gr_tape_new(), .rng = gr_rng_seed(17)};
    w->x = gr_normal(GR_F32, GR_SHAPE(2, 4, 9, 11), 0.0, 1.0, &w->rng);
    w->gamma = gr_ones(GR_F32, GR_SHAPE(4));
    w->beta = gr_zeros(GR_F32, GR_SHAPE(4));
    w->mean = gr_zeros(GR_F32, GR_SHAPE(4));
    w->var = gr_ones(GR_F32, GR_SHAPE(4));
    if (!w->t || !w->x || !w->gamma || !w->beta || !w->mean || !w->var) return gr_last_status();
    gr_status status = gr_require_grad(w->x);
    if (!status) status = gr_require_grad(w->gamma);
    return status ? status : gr_require_grad(w->beta);
}

static void free_network(network *w)
{
    gr_tensor *const all[] = {w->x, w->gamma, w->beta, w->mean, w->var};
    gr_tape_free(w->t);
    for (int i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
}

static gr_status whole_life(int64_t *calls_of_later_steps, const counting *memory)
{
    network w;
    gr_status status = make_network(&w);
    for (int step = 0; step < 3 && !status; step++) {
        const int64_t before = memory->calls;
        gr_tensor *y = forward(&w);
        status = y ? gr_backward(w.t, y, 0) : gr_last_status();
        gr_tape_reset(w.t);
        if (step) *calls_of_later_steps += memory->calls - before;
    }
    free_network(&w);
    return status;
}

/* Later steps allocate nothing. Each allocation of the first made to fail is said to be out of memory, and loses
 * nothing. */
static void memory_is_had_once(void **state)
{
    (void)state;
    counting memory;
    int64_t later = 0;
    counting_begin(&memory);
    assert_int_equal(whole_life(&later, &memory), GR_OK);
    assert_int_equal(later, 0);
    assert_int_equal(memory.live, 0);
    const int64_t calls = memory.calls;
    assert_true(calls > 20);
    for (int64_t n = 1; n <= calls; n++) {
        counting_begin(&memory);
        memory.fail_at = n;
        assert_int_equal(whole_life(&later, &memory), GR_ERR_MEMORY);
        assert_int_equal(memory.live, 0);
    }
    counting_end();
}

int main(void)
{
    setenv("GRADUS_DEBUG", "0", 1); /* which keeps records apart, and so allocates for a while */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pooling_window_by_window),
        cmocka_unit_test(pooling_in_halves),
        cmocka_unit_test(pooling_almost_in_halves),
        cmocka_unit_test(windows_beside_each_other),
        cmocka_unit_test(pooling_of_wide_images),
        cmocka_unit_test(the_mean_of_planes),
        cmocka_unit_test(upsampling_pixel_by_pixel),
        cmocka_unit_test(upsampling_of_wide_images),
        cmocka_unit_test(upsampling_to_the_same_size),
        cmocka_unit_test(an_infinite_gradient_of_nearest),
        cmocka_unit_test(upsampling_of_two_pixels),
        cmocka_unit_test(norms_by_groups_of_indices),
        cmocka_unit_test(a_large_mean),
        cmocka_unit_test(awkward_orders),
        cmocka_unit_test(gradients_in_any_selection),
        cmocka_unit_test(running_statistics),
        cmocka_unit_test(statistics_moved_before_backward),
        cmocka_unit_test(batch_norm_of_integers),
        cmocka_unit_test(masks_look_random),
        cmocka_unit_test(each_draw_is_another),
        cmocka_unit_test(masks_come_again),
        cmocka_unit_test(masks_of_any_processor),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(memory_is_had_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
