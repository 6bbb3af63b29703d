/* test_mutants.c: a checker must be shown to fail. Every derivative of the table is made wrong in every way that fits
 * it, by a copy of the op's record with one VJP altered; the gradient checker must catch each of them, and its per-node
 * mode must name the op that is wrong inside a network. The library is never altered. */
#include "op_samples.h"

#include "autograd/tape_internal.h"

/* ---- Ways of being wrong ------------------------------------------------------------------------------------ */

/* The right gradient d of input i, made wrong; `raw` is what the VJP gave, before broadcasting is summed back. NULL
 * without an error: this mistake cannot be made here. */
typedef gr_tensor *(*alteration)(gr_tape *t, const gr_node *n, int i, gr_tensor *g, gr_tensor *raw, gr_tensor *d);

typedef struct mutation {
    const char *name;
    alteration alter;
    int order; /* of the derivative that becomes wrong */
} mutation;

/* d times a constant tensor of its shape, `otherwise` but for `special` at the elements that are chosen. */
typedef bool (*choice)(const gr_tensor *x, int64_t k);

static gr_tensor *times(gr_tape *t, gr_tensor *d, choice chosen, double special)
{
    gr_tensor *mask = gr_result(t, (gr_dtype)d->dtype, d->rank, d->shape);
    int64_t found = 0;
    for (int64_t k = 0; mask && k < mask->size; k++) {
        found += chosen(d, k);
        ((double *)mask->data)[k] = chosen(d, k) ? special : 1.0;
    }
    return found ? gr_mul(t, d, mask) : NULL;
}

static bool middle(const gr_tensor *x, int64_t k) { return k == x->size / 2; }
static bool every_thousandth(const gr_tensor *x, int64_t k) { return k % 1000 == (x->size - 1) % 1000 / 2; }
static bool border(const gr_tensor *x, int64_t k)
{
    return x->rank > 1 && k % x->shape[x->rank - 1] == x->shape[x->rank - 1] - 1;
}
static bool behind_the_first(const gr_tensor *x, int64_t k) { return x->rank > 1 && k >= x->size / x->shape[0]; }

#define ALTERATION(name) \
    static gr_tensor *name(gr_tape *t, const gr_node *n, int i, gr_tensor *g, gr_tensor *raw, gr_tensor *d)
#define UNUSED (void)t, (void)n, (void)i, (void)g, (void)raw, (void)d

ALTERATION(other_sign) { return UNUSED, gr_neg(t, d); }
ALTERATION(twice) { return UNUSED, gr_scale(t, d, 2.0); }
ALTERATION(half) { return UNUSED, gr_scale(t, d, 0.5); }
ALTERATION(times_count) { return UNUSED, gr_scale(t, d, (double)n->in[0]->size); }
ALTERATION(over_count) { return UNUSED, gr_scale(t, d, 1.0 / (double)n->in[0]->size); }
ALTERATION(zero) { return UNUSED, gr_scale(t, d, 0.0); }
ALTERATION(missing_one_in_1000) { return UNUSED, times(t, d, every_thousandth, 0.0); }
ALTERATION(one_off_by_1e_4) { return UNUSED, times(t, d, middle, 1.0 + 1e-4); }
ALTERATION(one_nan) { return UNUSED, times(t, d, middle, (double)NAN); }
ALTERATION(one_infinite) { return UNUSED, times(t, d, middle, (double)INFINITY); }
ALTERATION(wrong_at_the_border) { return UNUSED, times(t, d, border, 0.0); }
ALTERATION(wrong_behind_the_first_of_a_batch) { return UNUSED, times(t, d, behind_the_first, 0.5); }

/* The output's gradient as it came. */
ALTERATION(no_chain_factor)
{
    UNUSED;
    return gr_sums_to(g, n->in[i]) ? gr_sum_to(t, g, n->in[i]) : NULL;
}

/* An axis that was stretched, averaged instead of summed. */
ALTERATION(mean_over_a_broadcast_axis)
{
    UNUSED;
    return raw->size > d->size && d->size ? gr_scale(t, d, (double)d->size / (double)raw->size) : NULL;
}

/* = for +=: of what was stretched only the last survives. */
ALTERATION(assigned_not_added)
{
    UNUSED;
    if (raw->size <= d->size || raw->rank == 0) return NULL;
    gr_tensor *last = gr_result(t, GR_F64, raw->rank, raw->shape);
    for (int64_t k = 0; last && k < last->size; k++) {
        int64_t rest = k;
        double keep = 1.0;
        for (int axis = raw->rank - 1; axis >= 0; axis--) {
            const int at = axis - (raw->rank - d->rank);
            const bool stretched = at < 0 || d->shape[at] != raw->shape[axis];
            if (stretched && rest % raw->shape[axis] != raw->shape[axis] - 1) keep = 0.0;
            rest /= raw->shape[axis];
        }
        ((double *)last->data)[k] = keep;
    }
    return gr_sum_to(t, gr_mul(t, raw, last), n->in[i]);
}

/* In the memory of the transposed matrix. */
ALTERATION(transposed)
{
    UNUSED;
    return d->rank > 1 ? gr_reshape(t, gr_transpose(t, d), d->rank, d->shape) : NULL;
}

/* One place further. */
ALTERATION(index_off_by_one)
{
    UNUSED;
    if (d->size < 2) return NULL;
    gr_tensor *flat = gr_reshape(t, d, 1, &d->size);
    gr_tensor *turned =
        gr_concat(t, (gr_tensor *[]){gr_slice(t, flat, 0, 1, d->size), gr_slice(t, flat, 0, 0, 1)}, 2, 0);
    return gr_reshape(t, turned, d->rank, d->shape);
}

static const gr_op *original;

/* The other input's rule. */
ALTERATION(inputs_swapped)
{
    UNUSED;
    const int other = 1 - i;
    if (original->n_in == GR_VARIADIC || i > 1 || other >= n->n_in || !original->vjp[other] ||
        original->vjp[other] == gr_vjp_zero)
        return NULL;
    gr_tensor *wrong = original->vjp[other](t, n, g);
    return wrong && gr_sums_to(wrong, n->in[i]) ? gr_sum_to(t, wrong, n->in[i]) : NULL;
}

/* 2 d - d, half of it a constant: the value is right, and its derivative twice what it should be. */
ALTERATION(wrong_second_derivative)
{
    UNUSED;
    return gr_sub(t, gr_scale(t, d, 2.0), gr_detach(t, d));
}

static const mutation mutations[] = {
    {"sign", other_sign, 1},
    {"factor 2", twice, 1},
    {"factor 1/2", half, 1},
    {"factor N", times_count, 1},
    {"factor 1/N", over_count, 1},
    {"missing chain factor", no_chain_factor, 1},
    {"= for +=", assigned_not_added, 1},
    {"wrong for a broadcast axis", mean_over_a_broadcast_axis, 1},
    {"swapped inputs", inputs_swapped, 1},
    {"transposed", transposed, 1},
    {"index off by one", index_off_by_one, 1},
    {"missing for one in a thousand", missing_one_in_1000, 1},
    {"one element off by 1e-4", one_off_by_1e_4, 1},
    {"wrong at the border", wrong_at_the_border, 1},
    {"wrong at batch > 1", wrong_behind_the_first_of_a_batch, 1},
    {"NaN for one element", one_nan, 1},
    {"infinite for one element", one_infinite, 1},
    {"zero everywhere", zero, 1},
    {"right value, wrong second derivative", wrong_second_derivative, 2},
};
enum { N_MUTATIONS = (int)(sizeof mutations / sizeof *mutations) };

/* ---- A mutant: a copy of the record with one rule replaced -------------------------------------------------- */

static gr_op mutant;
static const mutation *mistake;
static int wrong_input;
static bool possible; /* the mistake could be made */

static gr_tensor *zeros_like(gr_tape *t, const gr_tensor *x)
{
    gr_tensor *z = gr_result(t, (gr_dtype)x->dtype, x->rank, x->shape);
    if (z) memset(z->data, 0, gr_bytes(z));
    return z;
}

static gr_tensor *right_gradient(gr_tape *t, const gr_node *n, int i, gr_tensor *g)
{
    if (original->n_in == GR_VARIADIC) return original->vjp_nth(t, n, i, g);
    return original->vjp[i] == gr_vjp_zero ? zeros_like(t, n->in[i]) : original->vjp[i](t, n, g);
}

static gr_tensor *maybe_wrong(gr_tape *t, const gr_node *n, int i, gr_tensor *g)
{
    gr_tensor *raw = right_gradient(t, n, i, g);
    if (i != wrong_input || !raw) return raw;
    gr_tensor *d = gr_same_shape(raw, n->in[i]) ? raw : gr_sum_to(t, raw, n->in[i]);
    gr_tensor *wrong = d ? mistake->alter(t, n, i, g, raw, d) : NULL;
    possible |= wrong != NULL;
    return wrong ? wrong : d;
}

static gr_tensor *vjp_0(gr_tape *t, const gr_node *n, gr_tensor *g) { return maybe_wrong(t, n, 0, g); }
static gr_tensor *vjp_1(gr_tape *t, const gr_node *n, gr_tensor *g) { return maybe_wrong(t, n, 1, g); }
static gr_tensor *vjp_2(gr_tape *t, const gr_node *n, gr_tensor *g) { return maybe_wrong(t, n, 2, g); }
static gr_tensor *vjp_3(gr_tape *t, const gr_node *n, gr_tensor *g) { return maybe_wrong(t, n, 3, g); }

static void make_mutant(const gr_op *op, int input, const mutation *m)
{
    static const gr_vjp_rule rules[GR_MAX_VJPS] = {vjp_0, vjp_1, vjp_2, vjp_3};
    original = op;
    mutant = *op;
    mistake = m;
    wrong_input = input;
    possible = false;
    if (op->n_in == GR_VARIADIC) mutant.vjp_nth = maybe_wrong;
    for (int i = 0; i < GR_MAX_VJPS; i++)
        if (op->vjp[i] && (op->vjp[i] != gr_vjp_zero || i == input)) mutant.vjp[i] = rules[i];
}

/* ---- Whether a mutant is different at all ------------------------------------------------------------------- */

/* The gradient, or that of the gradient, of an op at x. */
static double *gradient_of(const call *c, gr_tensor *const x[], int n, int order, int64_t *size)
{
    gr_tape *t = gr_tape_new();
    gr_tensor *y = run_op(t, x, n, (void *)(uintptr_t)c), *wanted[MAX_INPUTS], *d[MAX_INPUTS], *second[MAX_INPUTS];
    int m = 0;
    for (int i = 0; i < n; i++)
        if (gr_requires_grad(x[i])) wanted[m++] = x[i];
    *size = 0;
    for (int i = 0; i < m; i++) *size += gr_size(wanted[i]);
    double *all = calloc((size_t)*size + 1, sizeof *all);
    assert_int_equal(gr_vjp(t, y, pattern(t, y, 0.7), wanted, m, d, order == 2 ? GR_CREATE_GRAPH : 0), GR_OK);
    if (order == 2) {
        gr_tensor *sum = gr_constant(t, GR_F64, 0.0);
        for (int i = 0; i < m; i++)
            sum = gr_add(t, sum, gr_sum(t, gr_mul(t, d[i], pattern(t, d[i], 1.3 + i)), GR_ALL_AXES, false));
        for (int i = 0; i < m; i++) second[i] = NULL;
        if (gr_requires_grad(sum)) assert_int_equal(gr_grad(t, sum, wanted, m, second, 0), GR_OK);
        memcpy(d, second, sizeof d);
    }
    for (int64_t i = 0, at = 0; i < m; i++)
        for (int64_t k = 0; k < gr_size(wanted[i]); k++) all[at++] = d[i] ? gr_get(d[i], k) : 0.0;
    gr_tape_free(t);
    return all;
}

static bool is_different(const call *right, const call *wrong, gr_tensor *const x[], int n)
{
    int64_t size;
    double largest = 0.0, *a = gradient_of(right, x, n, mistake->order, &size),
           *b = gradient_of(wrong, x, n, mistake->order, &size);
    bool different = false;
    for (int64_t i = 0; i < size; i++) largest = fmax(largest, fabs(a[i]));
    for (int64_t i = 0; i < size; i++) different |= !(fabs(a[i] - b[i]) <= 1e-6 * fabs(a[i]) + 1e-9 * largest);
    free(a);
    free(b);
    return different && possible;
}

/* ---- Catching them ------------------------------------------------------------------------------------------ */

/* The op in a network: other ops in front of each input and behind it. */
static gr_tensor *in_a_network(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    gr_tensor *in[MAX_INPUTS];
    for (int i = 0; i < n; i++) in[i] = gr_requires_grad(x[i]) ? gr_neg(t, gr_neg(t, x[i])) : x[i];
    gr_tensor *y = run_op(t, in, n, context);
    return gr_sum(t, gr_tanh(t, gr_scale(t, y, 0.3)), GR_ALL_AXES, false);
}

static bool is_caught(const call *c, gr_tensor *const x[], int n)
{
    gr_check_report r;
    if (gr_check_gradients(run_op, (void *)(uintptr_t)c, x, n, &(gr_check_options){.order = mistake->order}, &r))
        fail_msg("%s, %s, %s: %s", original->name, c->s->what, mistake->name, gr_last_error());
    if (r.verdict != GR_CHECK_FAIL && getenv("GRADUS_VERBOSE")) gr_check_fprint(stdout, &r);
    return r.verdict == GR_CHECK_FAIL;
}

static bool is_named(const call *c, gr_tensor *const x[], int n, int wanted)
{
    gr_check_report r;
    gr_check_options o = {.mode = GR_CHECK_PER_NODE, .order = mistake->order, .samples = 4096};
    if (gr_check_gradients(in_a_network, (void *)(uintptr_t)c, x, n, &o, &r))
        fail_msg("%s, %s, %s in a network: %s", original->name, c->s->what, mistake->name, gr_last_error());
    if (r.culprit != 2 * wanted && getenv("GRADUS_VERBOSE")) gr_check_fprint(stdout, &r);
    return r.verdict == GR_CHECK_FAIL && r.culprit == 2 * wanted && !strcmp(r.culprit_op, original->name);
}

typedef struct score {
    int total, caught, networks, named;
} score;

/* One way of being wrong at one input of one op, at every sample where it makes a difference. */
static void try_mutant(const gr_op *op, int input, const mutation *m, score *s)
{
    bool counted = false, caught = true;
    make_mutant(op, input, m);
    for (int k = 0; k < samples_of(op).count; k++) {
        if (!is_drawn(op, &samples_of(op).at[k])) continue;
        const call right = {op, &samples_of(op).at[k]}, wrong = {&mutant, &samples_of(op).at[k]};
        gr_tensor *x[MAX_INPUTS];
        const int n = inputs_of(op, right.s);
        make_inputs(op, right.s, GR_F64, x, 5);
        const int wanted = require_gradients(op, x, n);
        if (input < n && wanted && gr_requires_grad(x[input]) && is_different(&right, &wrong, x, n)) {
            if (!is_caught(&wrong, x, n)) {
                printf("not caught: %s, input %d, %s: %s\n", op->name, input, samples_of(op).at[k].what, m->name);
                caught = false;
            }
            if (!counted) {
                bool named = is_named(&wrong, x, n, wanted);
                if (!named)
                    printf("not named: %s, input %d, %s: %s\n", op->name, input, samples_of(op).at[k].what, m->name);
                s->networks++;
                s->named += named;
            }
            counted = true;
        }
        free_inputs(x, n);
    }
    s->total += counted;
    s->caught += counted && caught;
}

static void every_mutant_is_caught(void **state)
{
    (void)state;
    score all = {0}, by_mutation[N_MUTATIONS] = {{0}};
    for (int i = 0; gr_op_at(i); i++) {
        const gr_op *op = gr_op_at(i);
        score of_op = {0};
        const int n = op->n_in == GR_VARIADIC ? 2 : op->n_in;
        for (int input = 0; input < n && strcmp(op->name, "detach"); input++)
            for (int m = 0; m < N_MUTATIONS; m++) {
                score s = {0};
                if (op->n_in != GR_VARIADIC && !op->vjp[input]) continue;
                try_mutant(op, input, &mutations[m], &s);
                by_mutation[m].total += s.total;
                by_mutation[m].caught += s.caught;
                of_op.total += s.total;
                all =
                    (score){all.total + s.total, all.caught + s.caught, all.networks + s.networks, all.named + s.named};
            }
        bool steps = true;
        for (int input = 0; input < GR_MAX_VJPS; input++) steps &= !op->vjp[input] || op->vjp[input] == gr_vjp_zero;
        if (!of_op.total && (!steps || op->vjp_nth) && strcmp(op->name, "detach"))
            fail_msg("%s: no mutant was made of it", op->name);
    }
    for (int m = 0; m < N_MUTATIONS; m++)
        printf("%-40s %4d of %4d\n", mutations[m].name, by_mutation[m].caught, by_mutation[m].total);
    printf("mutants caught: %d of %d; named in a network: %d of %d\n", all.caught, all.total, all.named, all.networks);
    for (int m = 0; m < N_MUTATIONS; m++)
        if (!by_mutation[m].total) fail_msg("%s: no mutant was made", mutations[m].name);
    assert_int_equal(all.caught, all.total);
    assert_int_equal(all.named, all.networks);
    assert_true(all.total >= 60);
}

static const gr_op *op_named(const char *name)
{
    for (int i = 0; gr_op_at(i); i++)
        if (!strcmp(gr_op_at(i)->name, name)) return gr_op_at(i);
    fail_msg("no op is called %s", name);
    return NULL;
}

/* ---- Mistakes that people make ------------------------------------------------------------------------------- */

/* A Tversky loss as one op, 1 - TP / (TP + a FP + b FN), whose gradient has the weights of FP and FN the wrong way
 * round. */
typedef struct sides {
    double fp, fn;
    bool swapped;
} sides;

static double tversky_parts(const gr_node *n, double *tp)
{
    const sides *s = n->attr;
    const double *p = gr_read_f64(n->in[0]), *y = gr_read_f64(n->in[1]);
    double all = 0.0;
    *tp = 0.0;
    for (int64_t i = 0; i < gr_size(n->in[0]); i++) {
        *tp += p[i] * y[i];
        all += p[i] * y[i] + s->fp * p[i] * (1.0 - y[i]) + s->fn * (1.0 - p[i]) * y[i];
    }
    return all;
}

static gr_status tversky_shape(const gr_node *n, gr_type *type)
{
    if (gr_shape_same(n, type)) return gr_last_status();
    type->rank = 0;
    return GR_OK;
}

static gr_status tversky_kernel(gr_node *n)
{
    double tp, all = tversky_parts(n, &tp);
    gr_f64(n->out)[0] = 1.0 - tp / all;
    return GR_OK;
}

static gr_tensor *tversky_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const sides *s = n->attr;
    const double a = s->swapped ? s->fn : s->fp, b = s->swapped ? s->fp : s->fn, *y = gr_read_f64(n->in[1]);
    double tp, all = tversky_parts(n, &tp);
    gr_tensor *d = gr_result(t, GR_F64, n->in[0]->rank, n->in[0]->shape);
    for (int64_t i = 0; d && i < gr_size(d); i++)
        ((double *)d->data)[i] = -y[i] / all + tp / (all * all) * (y[i] + a * (1.0 - y[i]) - b * y[i]);
    return gr_mul(t, g, d);
}

static const gr_op op_tversky = {.name = "my_tversky",
                                 .formula = "l = 1 - TP / (TP + a FP + b FN)",
                                 .n_in = 2,
                                 .attr_size = sizeof(sides),
                                 .shape = tversky_shape,
                                 .forward[GR_ANY_CPU] = {[GR_F64] = tversky_kernel},
                                 .vjp = {tversky_vjp}};

static gr_tensor *run_tversky(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    return gr_apply(t, &op_tversky, x, n, context);
}

static void swapped_tversky_weights(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(3);
    gr_tensor *x[2] = {gr_uniform(GR_F64, GR_SHAPE(4, 5), 0.1, 0.9, &rng),
                       gr_uniform(GR_F64, GR_SHAPE(4, 5), 0, 1, &rng)};
    assert_int_equal(gr_require_grad(x[0]), GR_OK);
    for (int swapped = 0; swapped < 2; swapped++) {
        sides s = {0.3, 0.7, swapped};
        for (int mode = GR_CHECK_FULL; mode <= GR_CHECK_PER_NODE; mode++) {
            gr_check_report r;
            assert_int_equal(
                gr_check_gradients(run_tversky, &s, x, 2, &(gr_check_options){.mode = (gr_check_mode)mode}, &r), GR_OK);
            assert_int_equal(r.verdict, swapped ? GR_CHECK_FAIL : GR_CHECK_PASS);
            if (swapped) assert_string_equal(r.culprit_op, "my_tversky");
        }
    }
    free_inputs(x, 2);
}

/* Rows by index, with = for += where an index comes twice: only the last row counts. */
ALTERATION(last_of_equal_rows)
{
    UNUSED;
    const int32_t *index = gr_read_i32(n->in[1]);
    const int64_t rows = n->in[1]->size, row = rows ? n->out->size / rows : 0;
    gr_tensor *mask = gr_result(t, GR_F64, g->rank, g->shape);
    for (int64_t k = 0; mask && k < mask->size; k++) {
        bool last = true;
        for (int64_t later = k / row + 1; later < rows; later++) last &= index[later] != index[k / row];
        ((double *)mask->data)[k] = last;
    }
    return gr_scatter_rows(t, gr_mul(t, g, mask), n->in[1], n->in[0]->shape[0]);
}

static void rows_assigned_not_added(void **state)
{
    (void)state;
    static const mutation m = {"= for += at equal indices", last_of_equal_rows, 1};
    score s = {0};
    try_mutant(op_named("gather_rows"), 0, &m, &s);
    assert_int_equal(s.total, 1);
    assert_int_equal(s.caught, 1);
    assert_int_equal(s.named, 1);
}

/* ---- Of images ------------------------------------------------------------------------------------------------ */

/* The kernel's gradient of some images alone: of the first, as if the batch were one image; of the last, = for +=. */
static gr_tensor *of_one_image(gr_tape *t, const gr_node *n, int i, gr_tensor *g, int64_t image)
{
    gr_tensor *mask = gr_result(t, GR_F64, g->rank, g->shape);
    const int64_t images = g->shape[0], each = images ? g->size / images : 0;
    if (images < 2) return NULL;
    for (int64_t k = 0; mask && k < mask->size; k++) ((double *)mask->data)[k] = k / each == (image + images) % images;
    return original->vjp[i](t, n, gr_mul(t, g, mask));
}

ALTERATION(of_the_first_image) { return UNUSED, of_one_image(t, n, i, g, 0); }
ALTERATION(of_the_last_image) { return UNUSED, of_one_image(t, n, i, g, -1); }

/* The kernel turned by half a circle: a correlation taken for a convolution. */
ALTERATION(kernel_turned)
{
    UNUSED;
    gr_tensor *source = gr_result(t, GR_I32, 1, &d->size);
    const int64_t taps = d->shape[2] * d->shape[3];
    for (int64_t k = 0; source && k < d->size; k++)
        ((int32_t *)source->data)[k] = (int32_t)(k / taps * taps + (taps - 1 - k % taps));
    return gr_reshape(t, gr_gather_rows(t, gr_reshape(t, d, 1, &d->size), source), d->rank, d->shape);
}

/* Channels in and out the wrong way round, in the memory of the right way. */
ALTERATION(channels_swapped) { return UNUSED, gr_reshape(t, gr_permute(t, d, GR_AXES(1, 0, 2, 3)), d->rank, d->shape); }

/* Where the window or the kernel reaches into the padding: on the rim of the image. */
static bool rim(const gr_tensor *x, int64_t k)
{
    const int64_t rows = x->shape[2], columns = x->shape[3], i = k / columns % rows, j = k % columns;
    return i == 0 || j == 0 || i == rows - 1 || j == columns - 1;
}

static bool last_row(const gr_tensor *x, int64_t k) { return k / x->shape[3] % x->shape[2] == x->shape[2] - 1; }

ALTERATION(wrong_on_the_rim) { return UNUSED, times(t, d, rim, 1.01); }
ALTERATION(last_row_missing) { return UNUSED, times(t, d, last_row, 0.0); }

static const struct {
    const char *op;
    int input;
    mutation m;
} of_images[] = {
    {"conv2d", 1, {"kernel: of the first image only", of_the_first_image, 1}},
    {"conv2d", 1, {"kernel: = for += over the images", of_the_last_image, 1}},
    {"conv2d", 1, {"kernel: turned", kernel_turned, 1}},
    {"conv2d", 1, {"kernel: channels swapped", channels_swapped, 1}},
    {"conv2d", 2, {"bias: of the first image only", of_the_first_image, 1}},
    {"conv2d", 0, {"images: wrong at the border only", wrong_on_the_rim, 1}},
    {"conv2d", 0, {"images: the last row is missing", last_row_missing, 1}},
    {"conv_transpose2d", 1, {"kernel: of the first image only", of_the_first_image, 1}},
    {"conv_transpose2d", 1, {"kernel: turned", kernel_turned, 1}},
    {"conv_transpose2d", 1, {"kernel: channels swapped", channels_swapped, 1}},
    {"conv_transpose2d", 0, {"images: wrong at the border only", wrong_on_the_rim, 1}},
    {"conv2d_kernel", 0, {"images: wrong at the border only", wrong_on_the_rim, 1}},
    {"conv2d_kernel", 1, {"results: the last row is missing", last_row_missing, 1}},
    {"max_pool2d", 0, {"wrong at the border only", wrong_on_the_rim, 1}},
    {"max_pool2d", 0, {"the last row is missing", last_row_missing, 1}},
    {"avg_pool2d", 0, {"wrong at the border only", wrong_on_the_rim, 1}},
    {"upsample2d", 0, {"wrong at the border only", wrong_on_the_rim, 1}},
    {"batch_norm2d", 0, {"of the first image only", of_the_first_image, 1}},
    {"batch_norm2d", 1, {"gamma: of the first image only", of_the_first_image, 1}},
};
enum { OF_IMAGES = (int)(sizeof of_images / sizeof *of_images) };

static void mutants_of_images(void **state)
{
    (void)state;
    score s = {0};
    for (int i = 0; i < OF_IMAGES; i++) {
        const score before = s;
        try_mutant(op_named(of_images[i].op), of_images[i].input, &of_images[i].m, &s);
        printf("%-17s %-34s %s\n", of_images[i].op, of_images[i].m.name,
               s.caught > before.caught && s.named > before.named ? "caught, named" : "MISSED");
    }
    printf("mutants of images caught: %d of %d\n", s.caught, OF_IMAGES);
    assert_int_equal(s.total, OF_IMAGES);
    assert_int_equal(s.caught, OF_IMAGES);
    assert_int_equal(s.named, OF_IMAGES);
}

/* Ties in a max-pool: every pixel of a tie gets all of g. By itself each is a slope of one of its sides, so it is a
 * KINK; but two that rise together raise the maximum by one of them, and a direction in which they do sees it. */
static gr_tensor *all_of_a_tie(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_pool2d_options two = {.kernel = {2, 2}};
    gr_tensor *x = n->in[0],
              *winner = gr_upsample2d(t, gr_max_pool2d(t, x, &two), x->shape[2], x->shape[3], GR_NEAREST);
    return gr_mul(t, gr_upsample2d(t, g, x->shape[2], x->shape[3], GR_NEAREST), gr_equal(t, x, winner));
}

/* No slope of either side is below 0. */
static gr_tensor *minus_at_a_tie(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_neg(t, all_of_a_tie(t, n, g));
}

static gr_tensor *pool_of(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const gr_pool2d_options two = {.kernel = {2, 2}};
    gr_tensor *y = gr_max_pool2d(t, x[0], &two);
    return y && context ? gr_apply(t, context, x, n, y->node->call.attr) : y;
}

static void ties_of_a_max_pool(void **state)
{
    (void)state;
    gr_tensor *x = gr_zeros(GR_F64, GR_SHAPE(1, 1, 4, 6)); /* in every window all are equal */
    assert_int_equal(gr_require_grad(x), GR_OK);
    const gr_check_options directions = {.mode = GR_CHECK_DIRECTIONAL, .directions = 64};
    gr_check_report r;
    assert_int_equal(gr_check_gradients(pool_of, NULL, &x, 1, NULL, &r), GR_OK);
    assert_int_equal(r.verdict, GR_CHECK_KINK);
    assert_int_equal(gr_check_gradients(pool_of, NULL, &x, 1, &directions, &r), GR_OK);
    assert_true(r.verdict == GR_CHECK_KINK || r.verdict == GR_CHECK_PASS);

    for (int i = 1; i < 4; i++)
        assert_int_equal(gr_set(x, i < 2 ? 1 : 6 + i - 2, i < 2 ? 0.0 : -1.0),
                         GR_OK); /* one window: two that tie, side by side */
    gr_op wrong = *op_named("max_pool2d");
    wrong.vjp[0] = minus_at_a_tie;
    assert_int_equal(gr_check_gradients(pool_of, &wrong, &x, 1, NULL, &r), GR_OK);
    assert_int_equal(r.verdict, GR_CHECK_FAIL);
    wrong.vjp[0] = all_of_a_tie;
    gr_tensor *pair = gr_from(GR_F64, GR_SHAPE(1, 1, 2, 2), (double[]){0.5, 0.5, -1, -2});
    assert_int_equal(gr_require_grad(pair), GR_OK);
    assert_int_equal(gr_check_gradients(pool_of, &wrong, &pair, 1, NULL, &r), GR_OK);
    assert_int_equal(r.verdict, GR_CHECK_PASS); /* two at kinks, two that never win */
    assert_int_equal(gr_check_gradients(pool_of, &wrong, &pair, 1, &directions, &r), GR_OK);
    printf("a tie that pays twice: %lld of %lld directions FAIL\n", (long long)r.count[GR_CHECK_FAIL],
           (long long)(r.count[GR_CHECK_FAIL] + r.count[GR_CHECK_KINK] + r.count[GR_CHECK_PASS]));
    assert_int_equal(r.verdict, GR_CHECK_FAIL);
    assert_int_equal(gr_check_gradients(pool_of, NULL, &pair, 1, &directions, &r), GR_OK);
    assert_int_equal(r.count[GR_CHECK_FAIL], 0);
    gr_tensor_free(pair);
    gr_tensor_free(x);
}

/* Twenty layers, the mistake in the fourteenth: its own name, and the node where it is. */
static gr_tensor *deep(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n, (void)context;
    gr_tensor *h = x[0];
    for (int layer = 0; layer < 20; layer++) {
        h = gr_matmul(t, h, x[1], 0);
        h = layer == 13 ? gr_apply(t, &mutant, &h, 1, NULL) : gr_tanh(t, h);
    }
    return gr_mean(t, gr_square(t, h), GR_ALL_AXES, false);
}

static void named_in_a_deep_network(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(3);
    gr_tensor *x[2] = {gr_normal(GR_F64, GR_SHAPE(3, 4), 0, 1, &rng), gr_normal(GR_F64, GR_SHAPE(4, 4), 0, 0.7, &rng)};
    for (int i = 0; i < 2; i++) assert_int_equal(gr_require_grad(x[i]), GR_OK);
    for (int m = 0; m < 2; m++) {
        make_mutant(op_named("tanh"), 0, &mutations[m]);
        for (int mode = GR_CHECK_FULL; mode <= GR_CHECK_PER_NODE; mode++) {
            gr_check_report r;
            assert_int_equal(gr_check_gradients(deep, NULL, x, 2, &(gr_check_options){.mode = (gr_check_mode)mode}, &r),
                             GR_OK);
            assert_int_equal(r.verdict, GR_CHECK_FAIL);
            assert_int_equal(r.culprit, 27);
            assert_string_equal(r.culprit_op, "tanh");
        }
    }
    free_inputs(x, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mutant_is_caught),  cmocka_unit_test(swapped_tversky_weights),
        cmocka_unit_test(rows_assigned_not_added), cmocka_unit_test(mutants_of_images),
        cmocka_unit_test(ties_of_a_max_pool),      cmocka_unit_test(named_in_a_deep_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
