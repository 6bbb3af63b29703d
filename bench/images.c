/* images.c: W3, a segmenter, and W5, a convolution alone: with the arithmetic and the memory they cannot do without. */
#include "bench.h"

static const gr_conv2d_options same_size = {.padding = {1, 1}}; /* of kernels of 3x3 */

/* ---- W3: the segmenter ----------------------------------------------------------------------------------------- */

typedef struct layer {
    enum { CONV, POOL, UPSAMPLE } kind;
    int in, out, size; /* channels; of the kernel, or by how much an image shrinks or grows */
    bool relu;
} layer;

enum { LAYERS = 7 };
static const layer layers[LAYERS] = {
    {CONV, 1, 8, 3, true},        {CONV, 8, 16, 3, true},  {POOL, 16, 16, 2, false}, {CONV, 16, 32, 3, true},
    {UPSAMPLE, 32, 32, 2, false}, {CONV, 32, 16, 3, true}, {CONV, 16, 1, 1, false},
};

/* A variant is 2 * size, + DICE where the loss is not BCE. */
enum { DICE = 1, SIZE_64 = 0, SIZE_128 = 2, SIZE_256 = 4 };
static const struct {
    int64_t batch, side;
} sizes[] = {{16, 64}, {4, 128}, {4, 256}};

/* The step's multiply-adds: a convolution's result, the gradients of its weights and of its input, which the first does
 * without, take equally many. And the bytes of what each layer gives, after its ReLU; the first place is the input's.
 */
static void survey(task *s, int64_t bytes[LAYERS + 1])
{
    int64_t side = gr_dim(s->x, 2);
    bytes[0] = 0;
    for (int i = 0; i < LAYERS; i++) {
        const layer *l = &layers[i];
        side = l->kind == POOL ? side / l->size : l->kind == UPSAMPLE ? side * l->size : side;
        const int64_t pixels = gr_dim(s->x, 0) * side * side;
        bytes[i + 1] = pixels * l->out * (int64_t)sizeof(float);
        if (l->kind == CONV) s->multiply_adds += (i ? 3 : 2) * pixels * l->in * l->out * l->size * l->size;
    }
}

/* The least that must be alive at once. Some VJP reads what each layer gives: that of its own ReLU or pooling, of the
 * weights of the next convolution, or of the loss. So all of it is alive when backward begins, and each is needed until
 * the walk has gone back past its ReLU, which can turn the gradient that comes to it in place. Then, for the layer
 * before the ReLU, there are two gradients: that of its result and that of its input, which is not asked for at the
 * first. (Parameters, their gradients and the data are no part of the tape.) */
static int64_t least(const int64_t bytes[LAYERS + 1])
{
    int64_t alive = 0, most = 0;
    for (int i = 1; i <= LAYERS; i++) alive += bytes[i];
    for (int i = LAYERS; i > 0; i--) {
        const int64_t at_relu = alive + bytes[i];
        alive -= bytes[i];
        const int64_t at_layer = alive + bytes[i] + bytes[i - 1];
        if (at_relu > most) most = at_relu;
        if (at_layer > most) most = at_layer;
    }
    return most;
}

static void make_segmenter(task *s)
{
    static const char *const names[] = {"w1", "b1", "w2", "b2", "w3", "b3", "w4", "b4", "w5", "b5"};
    const int64_t n = batch(s, sizes[s->w->variant / 2].batch), side = sizes[s->w->variant / 2].side;
    s->x = must(gr_normal(GR_F32, GR_SHAPE(n, 1, side, side), 0, 1, &s->rng));
    s->y = mask(s, gr_zeros(GR_F32, GR_SHAPE(n, 1, side, side)));
    for (int i = 0, k = 0; i < LAYERS; i++) {
        const layer *l = &layers[i];
        if (l->kind != CONV) continue;
        s->p[k] = param(s, names[k], gr_kaiming_uniform(GR_F32, GR_SHAPE(l->out, l->in, l->size, l->size), &s->rng));
        s->p[k + 1] = param(s, names[k + 1], gr_zeros(GR_F32, GR_SHAPE(l->out)));
        k += 2;
    }
    s->optimizer = must(gr_adam(s->params, NULL));
    int64_t bytes[LAYERS + 1];
    survey(s, bytes);
    s->least_bytes = least(bytes);
}

static gr_tensor *run_layer(gr_tape *t, const layer *l, gr_tensor *h, gr_tensor *const p[2])
{
    if (l->kind == POOL) return gr_max_pool2d(t, h, &(gr_pool2d_options){.kernel = {l->size, l->size}});
    if (l->kind == UPSAMPLE) return gr_upsample2d(t, h, l->size * gr_dim(h, 2), l->size * gr_dim(h, 3), GR_NEAREST);
    h = gr_conv2d(t, h, p[0], p[1], l->size == 3 ? &same_size : NULL);
    return l->relu ? gr_relu(t, gr_give(h)) : h;
}

static void step_segmenter(task *s)
{
    gr_tensor *h = s->x, *const *p = s->p;
    for (int i = 0; i < LAYERS; i++) {
        h = run_layer(s->tape, &layers[i], h, p);
        if (layers[i].kind == CONV) p += 2;
    }
    if (s->w->variant % 2 == DICE)
        finish(s, gr_dice(s->tape, h, s->y, &(gr_overlap_options){.base.from_logits = true}));
    else finish(s, gr_bce(s->tape, h, s->y, &(gr_loss_options){.from_logits = true}));
}

/* ---- W5: a convolution alone ----------------------------------------------------------------------------------- */

/* A variant is 2 * shape, + INPUT where the gradient of the input is wanted too. */
enum { INPUT = 1, CONV_16x32_64 = 0, CONV_8x64_64 = 2, CONV_16x1_8 = 4 };
static const struct {
    int64_t batch, in, out, side;
} shapes[] = {{16, 32, 64, 64}, {8, 64, 64, 56}, {16, 1, 8, 64}};

static gr_tensor *convolution(task *s) { return must(gr_conv2d(s->tape, s->x, s->p[0], NULL, &same_size)); }

static void clear_gradients(task *s)
{
    gr_params_zero_grad(s->params);
    gr_zero_grad(s->x);
}

static void step_forward(task *s)
{
    convolution(s);
    gr_tape_reset(s->tape);
}

/* What the first step records they all run backward. The cotangent becomes the tape's, so that no step copies it. */
static void step_gradients(task *s)
{
    if (!s->out) {
        s->out = convolution(s);
        s->cotangent = must(gr_scale(s->tape, s->y, 1.0));
    }
    check(gr_backward_from(s->tape, s->out, s->cotangent, GR_RETAIN));
    clear_gradients(s);
}

static void step_convolution(task *s)
{
    check(gr_backward_from(s->tape, convolution(s), s->y, 0));
    clear_gradients(s);
    gr_tape_reset(s->tape);
}

static void make_convolution(task *s)
{
    const bool input = s->w->variant % 2 == INPUT;
    const int64_t n = batch(s, shapes[s->w->variant / 2].batch), side = shapes[s->w->variant / 2].side;
    const int64_t in = shapes[s->w->variant / 2].in, out = shapes[s->w->variant / 2].out;
    s->x = must(gr_normal(GR_F32, GR_SHAPE(n, in, side, side), 0, 1, &s->rng));
    s->y = must(gr_normal(GR_F32, GR_SHAPE(n, out, side, side), 0, 1, &s->rng));
    s->p[0] = param(s, "w", gr_normal(GR_F32, GR_SHAPE(out, in, 3, 3), 0, 1, &s->rng));
    if (input) check(gr_require_grad(s->x));
    const int64_t forward = s->w->step != step_gradients, backward = s->w->step != step_forward;
    s->multiply_adds = (forward + backward * (1 + input)) * n * out * in * 9 * side * side;
}

/* ---- The table ------------------------------------------------------------------------------------------------- */

#define BESIDE_FMA               \
    {                            \
        "fma", run_multiply_adds \
    }

const workload images[] = {
    {"W3-64-bce", make_segmenter, step_segmenter, SIZE_64, BESIDE_FMA},
    {"W3-64-dice", make_segmenter, step_segmenter, SIZE_64 + DICE, BESIDE_FMA},
    {"W3-128-bce", make_segmenter, step_segmenter, SIZE_128, BESIDE_FMA},
    {"W3-128-dice", make_segmenter, step_segmenter, SIZE_128 + DICE, BESIDE_FMA},
    {"W3-256-bce", make_segmenter, step_segmenter, SIZE_256, BESIDE_FMA},
    {"W3-256-dice", make_segmenter, step_segmenter, SIZE_256 + DICE, BESIDE_FMA},
    {"W5-16x32-64-forward", make_convolution, step_forward, CONV_16x32_64, BESIDE_FMA},
    {"W5-16x32-64-weights", make_convolution, step_gradients, CONV_16x32_64, BESIDE_FMA},
    {"W5-16x32-64-both", make_convolution, step_gradients, CONV_16x32_64 + INPUT, BESIDE_FMA},
    {"W5-16x32-64-step", make_convolution, step_convolution, CONV_16x32_64 + INPUT, BESIDE_FMA},
    {"W5-8x64-64-forward", make_convolution, step_forward, CONV_8x64_64, BESIDE_FMA},
    {"W5-8x64-64-weights", make_convolution, step_gradients, CONV_8x64_64, BESIDE_FMA},
    {"W5-8x64-64-both", make_convolution, step_gradients, CONV_8x64_64 + INPUT, BESIDE_FMA},
    {"W5-8x64-64-step", make_convolution, step_convolution, CONV_8x64_64 + INPUT, BESIDE_FMA},
    {"W5-16x1-8-forward", make_convolution, step_forward, CONV_16x1_8, BESIDE_FMA},
    {"W5-16x1-8-weights", make_convolution, step_gradients, CONV_16x1_8, BESIDE_FMA},
    {"W5-16x1-8-step", make_convolution, step_convolution, CONV_16x1_8, BESIDE_FMA},
    {0},
};
