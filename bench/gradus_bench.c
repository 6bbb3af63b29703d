/* gradus_bench.c: how long a training step takes, workload by workload, beside the bare BLAS calls of the same step.
 *
 * One JSON line for each workload on standard output; bench/README.md says what a line and a workload are. A step is
 * forward + loss + backward + update with the data already in memory. */
#define _POSIX_C_SOURCE 200809L

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gradus/gradus.h>
#if GR_WITH_OPENMP
#include <omp.h>
#endif

static void *must(void *made)
{
    if (made) return made;
    fprintf(stderr, "gradus_bench: %s\n", gr_last_error());
    exit(1);
}

static void check(gr_status status)
{
    if (status) must(NULL);
}

/* ---- What a step works on ----------------------------------------------------------------------------------- */

enum { MAX_TENSORS = 8 };

typedef struct task task;
typedef struct workload {
    const char *name;
    void (*make)(task *s);  /* data, parameters, optimizer */
    void (*step)(task *s);
    void (*blas)(task *s);  /* the bare products of the same step; NULL: none */
    int variant;
} workload;

struct task {
    const workload *w;
    gr_rng rng;
    gr_tape *tape;
    gr_params *params;
    gr_optimizer *optimizer;
    gr_tensor *x, *y, *p[MAX_TENSORS];
    float *scratch[MAX_TENSORS]; /* of the bare products */
};

static gr_tensor *param(task *s, const char *name, gr_tensor *tensor)
{
    return must(gr_params_add(s->params, name, tensor));
}

static void finish(task *s, gr_tensor *loss)
{
    must(loss);
    check(gr_backward(s->tape, loss, 0));
    if (s->optimizer) check(gr_step(s->optimizer));
    else gr_params_zero_grad(s->params);
    gr_tape_reset(s->tape);
}

/* ---- W0: one sigmoid neuron, batch 1: the price of a node ---------------------------------------------------- */

enum { MSE, BCE };

static void make_neuron(task *s)
{
    s->x = must(gr_ones(GR_F32, GR_SCALAR));
    s->y = must(gr_zeros(GR_F32, GR_SCALAR));
    s->p[0] = param(s, "w", gr_scalar(GR_F32, 2.0));
    s->p[1] = param(s, "b", gr_scalar(GR_F32, 2.0));
    s->optimizer = must(gr_sgd(s->params, &(gr_sgd_options){.lr = 0.1}));
}

static void step_neuron(task *s)
{
    gr_tape *t = s->tape;
    gr_tensor *z = gr_add(t, gr_mul(t, s->p[0], s->x), s->p[1]);
    finish(s, s->w->variant == MSE ? gr_mse(t, gr_sigmoid(t, z), s->y, NULL)
                                   : gr_bce(t, z, s->y, &(gr_loss_options){.from_logits = true}));
}

/* ---- W1: one layer ------------------------------------------------------------------------------------------- */

enum { SOFTMAX_BATCH = 64, PIXELS = 784, DIGITS = 10, LOGISTIC_BATCH = 256, FEATURES = 30 };

static gr_tensor *labels(task *s, int64_t n, int64_t classes)
{
    gr_tensor *y = must(gr_zeros(GR_I32, GR_SHAPE(n)));
    for (int64_t i = 0; i < n; i++) check(gr_set(y, i, (double)gr_rng_below(&s->rng, classes)));
    return y;
}

static float *buffer(int64_t n)
{
    float *b = must(malloc((size_t)n * sizeof *b));
    for (int64_t i = 0; i < n; i++) b[i] = 0.01f;
    return b;
}

static void make_softmax(task *s)
{
    s->x = must(gr_uniform(GR_F32, GR_SHAPE(SOFTMAX_BATCH, PIXELS), 0, 1, &s->rng));
    s->y = labels(s, SOFTMAX_BATCH, DIGITS);
    s->p[0] = param(s, "w", gr_xavier_uniform(GR_F32, GR_SHAPE(PIXELS, DIGITS), &s->rng));
    s->p[1] = param(s, "b", gr_zeros(GR_F32, GR_SHAPE(DIGITS)));
    s->optimizer = must(gr_sgd(s->params, &(gr_sgd_options){.lr = 0.01}));
    s->scratch[0] = buffer(PIXELS * DIGITS);
}

static void step_softmax(task *s)
{
    gr_tensor *z = gr_linear(s->tape, s->x, s->p[0], s->p[1]);
    finish(s, gr_cross_entropy(s->tape, z, s->y, &(gr_loss_options){.from_logits = true}));
}

/* C = op(A) op(B), row-major, as the layers call it. */
static void product(bool ta, bool tb, int m, int n, int k, const float *a, const float *b, float *c)
{
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n, k, 1.0f, a, ta ? m : k,
                b, tb ? k : n, 0.0f, c, n);
}

static void blas_softmax(task *s)
{
    const float *x = gr_read_f32(s->x), *w = gr_read_f32(s->p[0]);
    static float z[SOFTMAX_BATCH * DIGITS];
    product(false, false, SOFTMAX_BATCH, DIGITS, PIXELS, x, w, z);
    product(true, false, PIXELS, DIGITS, SOFTMAX_BATCH, x, z, s->scratch[0]);
}

static void make_logistic(task *s)
{
    s->x = must(gr_normal(GR_F32, GR_SHAPE(LOGISTIC_BATCH, FEATURES), 0, 1, &s->rng));
    s->y = must(gr_zeros(GR_F32, GR_SHAPE(LOGISTIC_BATCH, 1)));
    for (int64_t i = 0; i < LOGISTIC_BATCH; i++) check(gr_set(s->y, i, (double)gr_rng_below(&s->rng, 2)));
    s->p[0] = param(s, "w", gr_zeros(GR_F32, GR_SHAPE(FEATURES, 1)));
    s->p[1] = param(s, "b", gr_zeros(GR_F32, GR_SHAPE(1)));
    s->optimizer = must(gr_sgd(s->params, &(gr_sgd_options){.lr = 0.01}));
}

static void step_logistic(task *s)
{
    gr_tensor *z = gr_linear(s->tape, s->x, s->p[0], s->p[1]);
    finish(s, gr_bce(s->tape, z, s->y, &(gr_loss_options){.from_logits = true}));
}

static void blas_logistic(task *s)
{
    static float z[LOGISTIC_BATCH], g[FEATURES];
    const float *x = gr_read_f32(s->x), *w = gr_read_f32(s->p[0]);
    cblas_sgemv(CblasRowMajor, CblasNoTrans, LOGISTIC_BATCH, FEATURES, 1.0f, x, FEATURES, w, 1, 0.0f, z, 1);
    cblas_sgemv(CblasRowMajor, CblasTrans, LOGISTIC_BATCH, FEATURES, 1.0f, x, FEATURES, z, 1, 0.0f, g, 1);
}

/* ---- W2: a multilayer perceptron 784-256-128-10 --------------------------------------------------------------- */

enum { MOMENTUM, ADAM };
static const int widths[] = {PIXELS, 256, 128, DIGITS};

static void make_mlp(task *s)
{
    static const char *const names[] = {"w1", "b1", "w2", "b2", "w3", "b3"};
    s->x = must(gr_uniform(GR_F32, GR_SHAPE(SOFTMAX_BATCH, PIXELS), 0, 1, &s->rng));
    s->y = labels(s, SOFTMAX_BATCH, DIGITS);
    for (int i = 0; i < 3; i++) {
        s->p[2 * i] = param(s, names[2 * i], gr_kaiming_uniform(GR_F32, GR_SHAPE(widths[i], widths[i + 1]), &s->rng));
        s->p[2 * i + 1] = param(s, names[2 * i + 1], gr_zeros(GR_F32, GR_SHAPE(widths[i + 1])));
        s->scratch[i] = buffer(widths[i] * widths[i + 1]);
        s->scratch[3 + i] = buffer(SOFTMAX_BATCH * widths[i + 1]);
    }
    s->optimizer = s->w->variant == ADAM ? must(gr_adam(s->params, NULL))
                                         : must(gr_sgd(s->params, &(gr_sgd_options){.lr = 0.01, .momentum = 0.9}));
}

static void step_mlp(task *s)
{
    gr_tape *t = s->tape;
    gr_tensor *h = gr_relu(t, gr_linear(t, s->x, s->p[0], s->p[1]));
    h = gr_relu(t, gr_linear(t, h, s->p[2], s->p[3]));
    gr_tensor *z = gr_linear(t, h, s->p[4], s->p[5]);
    finish(s, gr_cross_entropy(t, z, s->y, &(gr_loss_options){.from_logits = true}));
}

static void blas_mlp(task *s)
{
    float *const *h = &s->scratch[3];
    for (int i = 0; i < 3; i++)
        product(false, false, SOFTMAX_BATCH, widths[i + 1], widths[i], i ? h[i - 1] : gr_read_f32(s->x), gr_read_f32(s->p[2 * i]), h[i]);
    for (int i = 2; i >= 0; i--) {
        product(true, false, widths[i], widths[i + 1], SOFTMAX_BATCH, i ? h[i - 1] : gr_read_f32(s->x), h[i], s->scratch[i]);
        if (i) product(false, true, SOFTMAX_BATCH, widths[i], widths[i + 1], h[i], gr_read_f32(s->p[2 * i]), h[i - 1]);
    }
}

/* ---- W4: each loss alone, 2^24 elements ------------------------------------------------------------------------ */

enum { LOSS_SIZE = 1 << 24, CLASSES = 64 };
enum loss { L_MSE, L_L1, L_HINGE, L_BCE, L_BCE_LOGITS, L_CE, L_KL, L_FOCAL_LOGITS, L_DICE, L_DICE_LOGITS };

static gr_tensor *shares(task *s, int64_t rows)
{
    gr_tensor *y = must(gr_uniform(GR_F32, GR_SHAPE(rows, CLASSES), 0.1, 1, &s->rng));
    float *v = gr_f32(y);
    for (int64_t i = 0; i < rows; i++, v += CLASSES) {
        float sum = 0;
        for (int c = 0; c < CLASSES; c++) sum += v[c];
        for (int c = 0; c < CLASSES; c++) v[c] /= sum;
    }
    return y;
}

static void make_loss(task *s)
{
    const int64_t rows = LOSS_SIZE / CLASSES;
    const int kind = s->w->variant;
    if (kind == L_CE) {
        param(s, "p", gr_normal(GR_F32, GR_SHAPE(rows, CLASSES), 0, 2, &s->rng));
        s->y = labels(s, rows, CLASSES);
    } else if (kind == L_KL) {
        param(s, "p", shares(s, rows));
        s->y = shares(s, rows);
    } else {
        bool probabilities = kind == L_BCE || kind == L_DICE;
        param(s, "p", gr_uniform(GR_F32, GR_SHAPE(LOSS_SIZE), probabilities ? 0.01 : -4, probabilities ? 0.99 : 4, &s->rng));
        s->y = must(gr_zeros(GR_F32, GR_SHAPE(LOSS_SIZE)));
        float *y = gr_f32(s->y);
        for (int64_t i = 0; i < LOSS_SIZE; i++) y[i] = (float)(gr_rng_u64(&s->rng) & 1);
        for (int64_t i = 0; kind == L_HINGE && i < LOSS_SIZE; i++) y[i] = 2 * y[i] - 1;
    }
    s->p[0] = gr_params_at(s->params, 0);
}

static void step_loss(task *s)
{
    static gr_tensor *(*const losses[])(gr_tape *, gr_tensor *, gr_tensor *, const gr_loss_options *) = {
        [L_MSE] = gr_mse, [L_L1] = gr_l1, [L_HINGE] = gr_hinge, [L_BCE] = gr_bce, [L_BCE_LOGITS] = gr_bce,
        [L_CE] = gr_cross_entropy, [L_KL] = gr_kl};
    const int kind = s->w->variant;
    gr_loss_options options = {.from_logits = kind == L_BCE_LOGITS || kind == L_CE};
    finish(s, losses[kind](s->tape, s->p[0], s->y, &options));
}

/* Those of segmentation.h: all elements are one region. */
static void step_mask(task *s)
{
    const int kind = s->w->variant;
    const gr_focal_options focal = {.base.from_logits = true, .alpha = 0.25, .gamma = 2};
    const gr_region_options whole = {.base.from_logits = kind == L_DICE_LOGITS, .region = GR_WHOLE, .epsilon = 1};
    finish(s, kind == L_FOCAL_LOGITS ? gr_focal(s->tape, s->p[0], s->y, &focal) : gr_dice(s->tape, s->p[0], s->y, &whole));
}

/* ---- The table ------------------------------------------------------------------------------------------------- */

static const workload workloads[] = {
    {"W0-neuron-mse", make_neuron, step_neuron, NULL, MSE},
    {"W0-neuron-bce", make_neuron, step_neuron, NULL, BCE},
    {"W1-softmax", make_softmax, step_softmax, blas_softmax, 0},
    {"W1-logistic", make_logistic, step_logistic, blas_logistic, 0},
    {"W2-sgd", make_mlp, step_mlp, blas_mlp, MOMENTUM},
    {"W2-adam", make_mlp, step_mlp, blas_mlp, ADAM},
    {"W4-mse", make_loss, step_loss, NULL, L_MSE},
    {"W4-l1", make_loss, step_loss, NULL, L_L1},
    {"W4-hinge", make_loss, step_loss, NULL, L_HINGE},
    {"W4-bce", make_loss, step_loss, NULL, L_BCE},
    {"W4-bce-logits", make_loss, step_loss, NULL, L_BCE_LOGITS},
    {"W4-ce", make_loss, step_loss, NULL, L_CE},
    {"W4-kl", make_loss, step_loss, NULL, L_KL},
    {"W4-focal-logits", make_loss, step_mask, NULL, L_FOCAL_LOGITS},
    {"W4-dice", make_loss, step_mask, NULL, L_DICE},
    {"W4-dice-logits", make_loss, step_mask, NULL, L_DICE_LOGITS},
};

/* ---- Timing ---------------------------------------------------------------------------------------------------- */

typedef struct settings {
    const char *only;
    int threads, reps;
    double seconds;
} settings;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Runs steps in batches of at least a millisecond, so that the clock costs nothing, until there are enough of them. */
static void measure(const char *program, const settings *set, task *s, void (*step)(task *))
{
    double *us = must(malloc((size_t)set->reps * sizeof *us)), start = now();
    int64_t batch = 1, reps = 0;
    for (double took = 0; took < 1000; batch *= took < 1000 ? 2 : 1) {
        double begin = now();
        for (int64_t i = 0; i < batch; i++) step(s);
        took = now() - begin;
    }
    while (reps < set->reps && (reps < 3 || now() - start < set->seconds * 1e6)) {
        double begin = now();
        for (int64_t i = 0; i < batch; i++) step(s);
        us[reps++] = (now() - begin) / (double)batch;
    }
    qsort(us, (size_t)reps, sizeof *us, by_value);
    printf("{\"program\":\"%s\",\"workload\":\"%s\",\"threads\":%d,\"dtype\":\"f32\",\"reps\":%lld,\"unit\":\"us\","
           "\"min\":%.4g,\"median\":%.4g,\"p90\":%.4g,\"blas\":\"%s\",\"note\":\"\"}\n",
           program, s->w->name, set->threads, (long long)reps, us[0], us[reps / 2], us[reps * 9 / 10], openblas_get_corename());
    fflush(stdout);
    free(us);
}

static void run(const workload *w, const settings *set)
{
    task s = {.w = w, .rng = gr_rng_seed(1)};
    s.tape = must(gr_tape_new());
    s.params = must(gr_params_new());
    w->make(&s);
    measure("gradus", set, &s, w->step);
    if (w->blas) measure("openblas", set, &s, w->blas);
    gr_optimizer_free(s.optimizer);
    gr_params_free(s.params);
    gr_tape_free(s.tape);
    gr_tensor_free(s.x);
    gr_tensor_free(s.y);
    for (int i = 0; i < MAX_TENSORS; i++) free(s.scratch[i]);
}

/* ---- The command line ------------------------------------------------------------------------------------------ */

/* A whole name chooses itself alone, the beginning of names all that begin so. */
static bool chosen(const char *only, const char *name)
{
    for (const char *at = only; at && *at;) {
        size_t length = strcspn(at, ",");
        bool whole = false;
        for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
            whole |= strlen(workloads[i].name) == length && strncmp(workloads[i].name, at, length) == 0;
        if (strncmp(name, at, length) == 0 && (!whole || strlen(name) == length)) return true;
        at += length + (at[length] == ',');
    }
    return !only;
}

static int usage(int status)
{
    fprintf(status ? stderr : stdout,
            "usage: gradus_bench [--workload NAME[,NAME...]] [--threads N] [--reps N] [--seconds S] [--list]\n"
            "Times training steps; a NAME may be the beginning of several. Defaults: all, 1 thread, 51 reps, 2 s each.\n");
    return status;
}

int main(int argc, char **argv)
{
    settings set = {.threads = 1, .reps = 51, .seconds = 2};
    for (int i = 1; i < argc; i++) {
        bool last = i + 1 == argc;
        if (!strcmp(argv[i], "--help")) return usage(0);
        if (!strcmp(argv[i], "--list")) {
            for (size_t k = 0; k < sizeof workloads / sizeof *workloads; k++) puts(workloads[k].name);
            return 0;
        }
        if (last) return usage(2);
        if (!strcmp(argv[i], "--workload")) set.only = argv[++i];
        else if (!strcmp(argv[i], "--threads")) set.threads = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--reps")) set.reps = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--seconds")) set.seconds = atof(argv[++i]);
        else return usage(2);
    }
    if (set.threads < 1 || set.reps < 1 || !(set.seconds > 0)) return usage(2);
#if GR_WITH_OPENMP
    omp_set_num_threads(set.threads);
#endif
    openblas_set_num_threads(set.threads);
    bool any = false;
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        if (chosen(set.only, workloads[i].name)) {
            run(&workloads[i], &set);
            any = true;
        }
    if (!any) fprintf(stderr, "gradus_bench: no workload begins with %s; see --list\n", set.only);
    return any ? 0 : 2;
}
