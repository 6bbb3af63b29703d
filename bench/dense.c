/* dense.c: W0, one neuron; W1, one layer; W2, a multilayer perceptron. */
#include <cblas.h>

#include "bench.h"

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
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n, k, 1.0f, a,
                ta ? m : k, b, tb ? k : n, 0.0f, c, n);
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
        product(false, false, SOFTMAX_BATCH, widths[i + 1], widths[i], i ? h[i - 1] : gr_read_f32(s->x),
                gr_read_f32(s->p[2 * i]), h[i]);
    for (int i = 2; i >= 0; i--) {
        product(true, false, widths[i], widths[i + 1], SOFTMAX_BATCH, i ? h[i - 1] : gr_read_f32(s->x), h[i],
                s->scratch[i]);
        if (i) product(false, true, SOFTMAX_BATCH, widths[i], widths[i + 1], h[i], gr_read_f32(s->p[2 * i]), h[i - 1]);
    }
}

/* ---- The table ------------------------------------------------------------------------------------------------- */

const workload dense[] = {
    {"W0-neuron-mse", make_neuron, step_neuron, MSE, {0}},
    {"W0-neuron-bce", make_neuron, step_neuron, BCE, {0}},
    {"W1-softmax", make_softmax, step_softmax, 0, {"openblas", blas_softmax}},
    {"W1-logistic", make_logistic, step_logistic, 0, {"openblas", blas_logistic}},
    {"W2-sgd", make_mlp, step_mlp, MOMENTUM, {"openblas", blas_mlp}},
    {"W2-adam", make_mlp, step_mlp, ADAM, {"openblas", blas_mlp}},
    {0},
};
