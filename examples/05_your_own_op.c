/* Lesson 5, your own op and your own loss, checked by the gradient checker, and a broken one that it catches; then a
 * network in plain C, with a slip in the backpropagation that was written by hand.
 *
 * An op is one const record: a name, a formula, a rule for the result's shape, a kernel that computes it, and for each
 * input the rule by which a gradient goes back. Here it is softsign, y = x / (1 + |x|), a bounded activation like tanh:
 *
 *     dy/dx = 1 / (1 + |x|)^2
 *
 * A loss needs no record at all: a formula of ops is differentiated as it stands. Here it is the log-cosh loss, which
 * is a square near the target and a straight line far from it:
 *
 *     l = log cosh(p - y) = d + softplus(-2 d) - log 2,   d = p - y
 *
 * Then the same op with a slip of the kind that everyone makes, (1 + |x|) without its square. It trains all the same,
 * only worse; no crash and no message tells. The checker does, by name.
 *
 * The second half, 05_your_own_op/by_hand.c, needs neither tensors nor a tape. And a plot shows why a checker is not
 * the one line that everyone has written once, (f(x+h) - f(x-h)) / 2h. */
#include "05_your_own_op/by_hand.h"
#include "page.h"

/* ---- An op of your own: y = x / (1 + |x|) ------------------------------------------------------------------- */

static gr_status softsign_f64(gr_node *n)
{
    const double *x = gr_read_f64(n->in[0]);
    double *y = gr_f64(n->out);
    for (int64_t i = 0; i < gr_size(n->out); i++) y[i] = x[i] / (1.0 + fabs(x[i]));
    return GR_OK;
}

static gr_status softsign_f32(gr_node *n)
{
    const float *x = gr_read_f32(n->in[0]);
    float *y = gr_f32(n->out);
    for (int64_t i = 0; i < gr_size(n->out); i++) y[i] = x[i] / (1.0f + fabsf(x[i]));
    return GR_OK;
}

/* dx = g / (1 + |x|)^2, written with ops, so that it can be differentiated again */
static gr_tensor *softsign_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_div(t, g, gr_square(t, gr_shift(t, gr_abs(t, n->in[0]), 1.0)));
}

static const gr_op softsign = {.name = "softsign",
                               .formula = "y = x / (1 + |x|)",
                               .gradient = "dx = g / (1 + |x|)^2",
                               .n_in = 1,
                               .shape = gr_shape_same,
                               .forward[GR_ANY_CPU] = {[GR_F32] = softsign_f32, [GR_F64] = softsign_f64},
                               .vjp = {softsign_vjp}};

/* The slip: the square is missing. */
static gr_tensor *broken_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_div(t, g, gr_shift(t, gr_abs(t, n->in[0]), 1.0));
}

static const gr_op broken_softsign = {.name = "broken_softsign",
                                      .formula = "y = x / (1 + |x|)",
                                      .gradient = "dx = g / (1 + |x|), which is wrong",
                                      .n_in = 1,
                                      .shape = gr_shape_same,
                                      .forward[GR_ANY_CPU] = {[GR_F32] = softsign_f32, [GR_F64] = softsign_f64},
                                      .vjp = {broken_vjp}};

/* ---- A loss of your own: the mean of log cosh(p - y) -------------------------------------------------------- */

static gr_tensor *log_cosh(gr_tape *t, gr_tensor *p, gr_tensor *y)
{
    gr_tensor *d = gr_sub(t, p, y);
    gr_tensor *each = gr_shift(t, gr_add(t, d, gr_softplus(t, gr_scale(t, d, -2.0))), -log(2.0));
    return gr_mean(t, each, GR_ALL_AXES, false);
}

/* ---- What is checked: functions of tensors ------------------------------------------------------------------ */

static gr_tensor *op_alone(gr_tape *t, gr_tensor *const x[], int n, void *op)
{
    (void)n;
    return gr_apply(t, op, x, 1, NULL);
}

static gr_tensor *loss_alone(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n, (void)context;
    return log_cosh(t, x[0], x[1]);
}

/* Two layers with the op between them and the loss behind: parameters w1, b1, w2, b2, then the data x and y. */
static gr_tensor *network(gr_tape *t, gr_tensor *const x[], int n, void *op)
{
    (void)n;
    gr_tensor *h = gr_linear(t, x[4], x[0], x[1]);
    return log_cosh(t, gr_linear(t, gr_apply(t, op, &h, 1, NULL), x[2], x[3]), x[5]);
}

enum { PARAMETERS = 4, INPUTS = 6 };

static void make_network(gr_tensor *x[INPUTS], int64_t hidden, gr_rng *rng)
{
    static const char *const names[PARAMETERS] = {"w1", "b1", "w2", "b2"};
    x[0] = need(gr_xavier_normal(GR_F64, GR_SHAPE(2, hidden), rng));
    x[1] = need(gr_normal(GR_F64, GR_SHAPE(hidden), 0.0, 0.5, rng));
    x[2] = need(gr_xavier_normal(GR_F64, GR_SHAPE(hidden, 1), rng));
    x[3] = need(gr_zeros(GR_F64, GR_SHAPE(1)));
    x[4] = need(gr_uniform(GR_F64, GR_SHAPE(64, 2), -2.0, 2.0, rng));
    x[5] = need(gr_zeros(GR_F64, GR_SHAPE(64, 1)));
    for (int64_t i = 0; i < 64; i++) /* to be learnt: sin a + b / 2 */
        check(gr_set(x[5], i, sin(gr_get(x[4], 2 * i)) + 0.5 * gr_get(x[4], 2 * i + 1)));
    for (int i = 0; i < PARAMETERS; i++) {
        check(gr_require_grad(x[i]));
        check(gr_set_name(x[i], names[i]));
    }
}

/* ---- The checks --------------------------------------------------------------------------------------------- */

static gr_check_report look(const char *what, gr_check_function f, const gr_op *op, gr_tensor *const x[], int n,
                            const gr_check_options *o)
{
    gr_check_report r;
    check(gr_check_gradients(f, (void *)(uintptr_t)op, x, n, o, &r));
    printf("%-44s %-8s %4lld compared, %5lld evaluations\n", what, gr_check_verdict_name(r.verdict),
           (long long)r.compared, (long long)r.evaluations);
    return r;
}

static void must_pass(const char *what, gr_check_function f, const gr_op *op, gr_tensor *const x[], int n,
                      const gr_check_options *o)
{
    gr_check_report r = look(what, f, op, x, n, o);
    if (r.verdict == GR_CHECK_PASS || r.verdict == GR_CHECK_KINK) return;
    gr_check_fprint(stdout, &r);
    fail("%s: expected to pass", what);
}

static void check_what_is_right(gr_tensor *const z[2], gr_tensor *const net[INPUTS])
{
    const gr_check_options second = {.order = 2}, f32 = {.mode = GR_CHECK_F32},
                           directions = {.mode = GR_CHECK_DIRECTIONAL};
    printf("What is right passes, in every way of checking:\n");
    must_pass("softsign, every element", op_alone, &softsign, z, 1, NULL);
    must_pass("softsign, its second derivative", op_alone, &softsign, z, 1, &second);
    must_pass("softsign, F32 against F64", op_alone, &softsign, z, 1, &f32);
    must_pass("log cosh, every element", loss_alone, NULL, z, 2, NULL);
    must_pass("log cosh, its second derivative", loss_alone, NULL, z, 2, &second);
    must_pass("the network, every parameter", network, &softsign, net, INPUTS, NULL);
    must_pass("the network, all parameters at once", network, &softsign, net, INPUTS, &directions);
}

/* Returns what the checker says of the network as a whole. */
static gr_check_report catch_what_is_broken(gr_tensor *const net[INPUTS])
{
    const gr_check_options nodes = {.mode = GR_CHECK_PER_NODE};
    printf("\nWhat is broken does not:\n");
    gr_check_report r = look("the network with the broken op", network, &broken_softsign, net, INPUTS, NULL);
    printf("\n");
    gr_check_fprint(stdout, &r);
    if (r.verdict != GR_CHECK_FAIL || !r.culprit_op || strcmp(r.culprit_op, "broken_softsign") != 0)
        fail("the broken op was not caught and named");
    FILE *csv = create_file("05_report", ".csv"), *json = create_file("05_report", ".json");
    gr_check_fprint_csv(csv, &r);
    gr_check_fprint_json(json, &r);
    close_file(csv, "05_report.csv");
    close_file(json, "05_report.json");
    printf("\nThe parameters behind the op (w2, b2) are right: "
           "a gradient goes backward, and only what lies before the slip\nis spoilt. "
           "Each op by itself, at the inputs that it had in the network:\n");
    const gr_check_report by_node = look("per node", network, &broken_softsign, net, INPUTS, &nodes);
    if (!by_node.culprit_op) fail("no op was named");
    printf("the first op that is wrong by itself: %s, node %lld\n", by_node.culprit_op, (long long)by_node.culprit);
    return r;
}

/* ---- What a wrong derivative does to training ---------------------------------------------------------------- */

/* The loss after `steps` steps of gradient descent from the same start. */
static double train(const gr_op *op, int64_t hidden, int64_t steps, double rate, uint64_t seed, FILE *log)
{
    gr_rng rng = gr_rng_seed(seed);
    gr_tape *t = need(gr_tape_new());
    gr_tensor *x[INPUTS];
    gr_params *params = need(gr_params_new());
    make_network(x, hidden, &rng);
    for (int i = 0; i < PARAMETERS; i++) x[i] = need(gr_params_add(params, gr_name(x[i]), x[i]));
    gr_optimizer *sgd = need(gr_sgd(params, &(gr_sgd_options){.lr = rate}));
    double loss = 0.0;
    for (int64_t step = 0; step <= steps; step++) {
        gr_tensor *l = need(network(t, x, INPUTS, (void *)(uintptr_t)op));
        loss = gr_item(l);
        fprintf(log, "%s,%lld,%.17g\n", op->name, (long long)step, loss);
        check(gr_backward(t, l, 0));
        if (step < steps) check(gr_step(sgd));
        for (int i = 0; i < PARAMETERS; i++) gr_zero_grad(x[i]);
        gr_tape_reset(t);
    }
    gr_optimizer_free(sgd);
    gr_params_free(params);
    gr_tensor_free(x[4]);
    gr_tensor_free(x[5]);
    gr_tape_free(t);
    return loss;
}

/* ---- Why there is more to it than (f(x+h) - f(x-h)) / 2h ------------------------------------------------------- */

/* The error of that difference by h, for the first weight of the network; returns what the checker makes of it. */
static gr_check_element draw_curve(gr_tensor *const net[INPUTS])
{
    enum { POINTS = 14 * 8 + 1 };
    const char *name = "05_curve";
    gr_check_point points[POINTS];
    gr_check_element e;
    for (int i = 0; i < POINTS; i++) points[i].h = pow(10.0, -i / 8.0);
    check(gr_check_curve(network, (void *)(uintptr_t)&softsign, net, INPUTS, 0, 0, points, POINTS, &e));
    FILE *csv = create_csv(name, "h,f64,f32");
    for (int i = 0; i < POINTS; i++) fprintf(csv, "%.17g,%.17g,%.17g\n", points[i].h, points[i].f64, points[i].f32);
    close_file(csv, name);
    FILE *s = begin_plot(name, 620, 400);
    fprintf(s,
            "set key outside top center horizontal maxrows 3\nset logscale xy\nset format xy '10^{%%L}'\n"
            "set mxtics 1\nset mytics 1\nset xrange [1e-14:1]\n"
            "set xlabel 'step h'\nset ylabel 'error of the derivative'\n"
            "plot '%s.csv' using 1:3 with lines lw 2 lc rgb '" RED "' title '(f(x+h) - f(x-h)) / 2h in F32', \\\n"
            "  '' using 1:2 with lines lw 2 lc rgb '" BLUE "' title 'the same in F64', \\\n"
            "  %.3g with lines lw 2 dt 2 lc rgb '" GREEN "' title 'the checker, with no step to choose'\n",
            name, fmax(fabs(e.numeric - e.analytic), 1e-17));
    finish_plot(s, name);
    return e;
}

/* ---- What there is to show ---------------------------------------------------------------------------------- */

static void put_worst(FILE *page, const gr_check_report *r, const char *by, const char *caption)
{
    html_table t = BEGIN_HTML_TABLE(page, "<parameter", by, "by differences", "relative error");
    for (int i = 0; i < r->n_worst; i++) {
        put_cell(&t, "%s", r->worst[i].place);
        put_cell(&t, "%.8f", r->worst[i].analytic);
        put_cell(&t, "%.8f", r->worst[i].numeric);
        put_cell(&t, "%.2g", r->worst[i].relative);
    }
    end_html_table(&t, caption);
}

static void put_op(FILE *page, const gr_check_report *r, double right, double wrong)
{
    char caption[400];
    fprintf(page, "<p>An op of one&rsquo;s own, softsign, with a mistake in its derivative that trains all the same. "
                  "In the network that uses it, these parameters have the wrong gradient, the worst first; "
                  "the checker then tries each op by itself and names <code>broken_softsign</code>.</p>\n");
    snprintf(caption, sizeof caption,
             "dl/d(parameter) of the network with the broken op. Trained with softsign, the loss came to %.6f. "
             "Trained with broken_softsign, the loss came to %.6f.",
             right, wrong);
    put_worst(page, r, "by the tape", caption);
}

static void put_hand_made(FILE *page, const gr_check_report *r, const gr_check_element *e)
{
    char caption[400];
    fprintf(page, "<p>No tape is needed. Here the backpropagation of a small network was written by hand in plain C, "
                  "with a slip: the derivative of tanh, 1 &minus; tanh<sup>2</sup>, "
                  "is taken of its argument and not of its value.</p>\n");
    put_worst(page, r, "by hand",
              "dl/d(weight) by hand and by differences. Before the tanh all are wrong, behind it all are right.");
    fprintf(page, "<p>Whoever checks with one step chooses an error: a long step is off by the curvature of the "
                  "function, a short one by rounding. The best step differs from one function to the next.</p>\n");
    snprintf(caption, sizeof caption,
             "The error of dl/dw1[0,0] by the step, held against the tape. "
             "The checker is off by %.0e, and says of itself that it may be off by %.0e.",
             fabs(e->numeric - e->analytic), 4.0 * e->error);
    put_plot(page, "05_curve", "Error of a central difference by its step, in single and in double precision", caption);
}

int main(int argc, char *argv[])
{
    int64_t hidden = 8, steps = 2000, seed = 1;
    double rate = 0.5;
    const option options[] = {
        {"--hidden", "N", "neurons in the hidden layer (8)", INTEGER, &hidden, 1, 1000},
        {"--steps", "N", "steps of training (2000)", INTEGER, &steps, 1, 1000000},
        {"--rate", "R", "the step size (0.5)", NUMBER, &rate, 1e-6, 100},
        {"--seed", "N", "of the random numbers (1)", INTEGER, &seed, 0, 1e9},
    };
    read_options(argc, argv, "Lesson 5: your own op and your own loss, checked, and a broken one caught.", options,
                 COUNT(options));
    if (quick && steps > 200) steps = 200;

    gr_rng rng = gr_rng_seed((uint64_t)seed);
    gr_tensor *z[2] = {need(gr_normal(GR_F64, GR_SHAPE(4, 5), 0.0, 2.0, &rng)),
                       need(gr_normal(GR_F64, GR_SHAPE(4, 5), 0.0, 2.0, &rng))};
    gr_tensor *net[INPUTS];
    check(gr_require_grad(z[0]));
    check(gr_require_grad(z[1]));
    make_network(net, hidden, &rng);
    printf("Lesson 5: softsign, y = x / (1 + |x|), as an op; log cosh as a loss of ops.\n\n");
    check_what_is_right(z, net);
    const gr_check_report caught = catch_what_is_broken(net);

    FILE *log = create_csv("05_training", "op,step,loss");
    double right = train(&softsign, hidden, steps, rate, (uint64_t)seed, log);
    double wrong = train(&broken_softsign, hidden, steps, rate, (uint64_t)seed, log);
    close_file(log, "05_training.csv");
    printf("\nTrained on sin a + b/2 for %lld steps of size %g from the same start, the loss is\n"
           "  %.3g with the right derivative\n  %.3g with the broken one\n"
           "Both go down. Training by itself does not tell which of them is wrong.\n",
           (long long)steps, rate, right, wrong);
    const gr_check_report by_hand = check_hand_made(&rng);
    const gr_check_element e = draw_curve(net);
    printf("dl/dw1[0,0] is %.9f by the tape. The checker is off by %.1g; it says, by %.1g at most.\n", e.analytic,
           fabs(e.numeric - e.analytic), 4.0 * e.error);
    FILE *page = begin_part("05_your_own_op");
    put_op(page, &caught, right, wrong);
    put_hand_made(page, &by_hand, &e);
    end_part(page);
    for (int i = 0; i < INPUTS; i++) gr_tensor_free(net[i]);
    gr_tensor_free(z[0]);
    gr_tensor_free(z[1]);
    return 0;
}
