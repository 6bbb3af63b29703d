/* Lesson 1, the saturated neuron: why classifiers are trained with cross entropy and not with the squared error.
 *
 * One neuron, output p = sigma(z) with z = w x + b, is to answer y = 0 to the input x = 1. It begins certain of the
 * opposite: p is close to 1. By the chain rule (Eq. 7 and 8 of J. Yuan, "Loss Function"):
 *
 *     squared error, (p - y)^2:                   dl/dw = 2 (p - y) sigma'(z) x,    sigma'(z) = p (1 - p)
 *     cross entropy, -y log p - (1-y) log(1-p):   dl/dw =   (p - y) x
 *
 * A saturated neuron has sigma' near 0. The squared error multiplies its gradient by that: it learns slowest where it
 * is most wrong. In the cross entropy's gradient the 1 / (p (1-p)) of the logarithms cancels sigma'.
 *
 * Below each gradient is computed three times: by these formulas, by the tape, and by finite differences, which know
 * nothing of derivatives. The lesson fails when they disagree. */
#include "page.h"

/* ---- Three losses, by the tape and by hand ------------------------------------------------------------------ */

enum { MSE_HALF, MSE, CROSS_ENTROPY, N_LOSSES };
static const char *const loss_names[N_LOSSES] = {"MSE with the 1/2", "MSE (Eq. 2)", "cross entropy"};

/* The loss of output p, computed and recorded on the tape. */
static gr_tensor *loss_of(gr_tape *t, int which, gr_tensor *p, gr_tensor *y)
{
    if (which == CROSS_ENTROPY) return gr_bce(t, p, y, NULL);
    gr_tensor *mse = gr_mse(t, p, y, NULL);
    return which == MSE ? mse : gr_scale(t, mse, 0.5);
}

/* Eq. 7 and 8: dl/dw. For dl/db put x = 1. */
static double formula(int which, double p, double y, double x)
{
    double slope = p * (1.0 - p); /* sigma'(z) */
    if (which == CROSS_ENTROPY) return (p - y) * x;
    return (which == MSE ? 2.0 : 1.0) * (p - y) * slope * x;
}

/* ---- The neuron --------------------------------------------------------------------------------------------- */

typedef struct neuron {
    gr_tensor *x, *y; /* ours: data */
    gr_params *params;
    gr_tensor *w, *b; /* the set's: what is learnt */
} neuron;

static neuron make_neuron(double w, double b)
{
    neuron n = {.x = need(gr_scalar(GR_F64, 1.0)), .y = need(gr_scalar(GR_F64, 0.0)), .params = need(gr_params_new())};
    n.w = need(gr_params_add(n.params, "w", gr_scalar(GR_F64, w)));
    n.b = need(gr_params_add(n.params, "b", gr_scalar(GR_F64, b)));
    return n;
}

static void free_neuron(neuron *n)
{
    gr_params_free(n->params);
    gr_tensor_free(n->y);
    gr_tensor_free(n->x);
}

static gr_tensor *output_of(gr_tape *t, const neuron *n)
{
    return gr_sigmoid(t, gr_add(t, gr_mul(t, n->w, n->x), n->b));
}

/* (l(v + h) - l(v - h)) / 2h for a parameter v, which gets its value back: the slope as a measurement. */
static double difference(gr_tape *t, const neuron *n, int which, gr_tensor *v)
{
    const double value = gr_item(v), h = 1e-5 * fmax(1.0, fabs(value));
    double l[2];
    bool was_recording = gr_set_recording(t, false); /* nothing here will be differentiated */
    for (int side = 0; side < 2; side++) {
        check(gr_set(v, 0, side ? value + h : value - h));
        l[side] = gr_item(need(loss_of(t, which, output_of(t, n), n->y)));
        gr_tape_reset(t);
    }
    gr_set_recording(t, was_recording);
    check(gr_set(v, 0, value));
    return (l[1] - l[0]) / (2.0 * h);
}

/* ---- One run: descend until the output is below 0.1 --------------------------------------------------------- */

/* What a step sees, before it moves the weights. */
typedef struct view {
    double output, loss, slope;
    double by_formula[2], by_tape[2], by_difference[2]; /* dl/dw and dl/db */
} view;

static void must_agree(const char *what, double a, double b, double relative, double absolute)
{
    if (!(fabs(a - b) <= relative * fmax(fabs(a), fabs(b)) + absolute))
        fail("%s disagree: %.12g and %.12g", what, a, b);
}

/* Forward, backward, and the gradients compared. Leaves the tape's gradients in the parameters. */
static view look(gr_tape *t, const neuron *n, int which)
{
    view v;
    gr_tensor *p = output_of(t, n), *loss = need(loss_of(t, which, p, n->y));
    v.output = gr_item(p); /* read now: backward gives values back as it goes */
    v.loss = gr_item(loss);
    v.slope = v.output * (1.0 - v.output);
    check(gr_backward(t, loss, 0));
    gr_tape_reset(t); /* p and loss are gone; w and b, and the gradients in them, are ours */

    gr_tensor *parameter[2] = {n->w, n->b};
    for (int i = 0; i < 2; i++) {
        v.by_formula[i] = formula(which, v.output, gr_item(n->y), i ? 1.0 : gr_item(n->x));
        v.by_tape[i] = gr_item(gr_gradient(parameter[i]));
        v.by_difference[i] = difference(t, n, which, parameter[i]);
        must_agree("the formula and the tape", v.by_formula[i], v.by_tape[i], 1e-12, 0.0);
        must_agree("the tape and the differences", v.by_tape[i], v.by_difference[i], 1e-6, 1e-9);
    }
    return v;
}

static void print_row(int64_t step, const view *v)
{
    printf("%6lld  %8.5f  %9.6f  %9.6f   %12.9f  %12.9f  %12.9f\n", (long long)step, v->output, v->loss, v->slope,
           v->by_formula[0], v->by_tape[0], v->by_difference[0]);
}

static void log_row(FILE *log, double w, double b, int which, int64_t step, const neuron *n, const view *v)
{
    fprintf(log, "%.17g,%.17g,%s,%lld,%.17g,%.17g,%.17g,%.17g,%.17g,%.17g,%.17g,%.17g\n", w, b, loss_names[which],
            (long long)step, gr_item(n->w), gr_item(n->b), v->output, v->loss, v->slope, v->by_formula[0],
            v->by_tape[0], v->by_difference[0]);
}

/* The first few steps, then fewer and fewer. */
static bool is_shown(int64_t step)
{
    if (quick) return step == 0;
    return step < 4 || (step <= 50 && step % 10 == 0) || (step <= 500 && step % 50 == 0) || step % 500 == 0;
}

/* A start, the number of steps that each loss takes from there, and the output that it comes to. */
typedef struct race {
    double w, b;
    int64_t steps[N_LOSSES];
    double output[N_LOSSES];
} race;

enum { TOO_MANY = 1000000 };

static void descend(race *r, int which, double rate, FILE *log)
{
    const double w = r->w, b = r->b;
    gr_tape *t = need(gr_tape_new());
    neuron n = make_neuron(w, b);
    gr_optimizer *sgd = need(gr_sgd(n.params, &(gr_sgd_options){.lr = rate}));
    printf("\n%s, from w = %g, b = %g, output until below 0.1\n", loss_names[which], w, b);
    printf("  step    output       loss     sigma'   dl/dw formula      the tape   differences\n");
    int64_t step = 0;
    view v = look(t, &n, which);
    for (; v.output >= 0.1 && step < TOO_MANY; v = look(t, &n, which), step++) {
        if (is_shown(step)) print_row(step, &v);
        log_row(log, w, b, which, step, &n, &v);
        check(gr_step(sgd)); /* w <- w - rate dl/dw, and b likewise */
    }
    print_row(step, &v);
    log_row(log, w, b, which, step, &n, &v);
    gr_optimizer_free(sgd);
    free_neuron(&n);
    gr_tape_free(t);
    if (v.output >= 0.1) fail("after %d steps the output is still %g: try a larger --rate", TOO_MANY, v.output);
    r->steps[which] = step;
    r->output[which] = v.output;
}

/* Runs all losses from one start. `known` are the numbers of steps as computed independently, or NULL. */
static void compare_losses(race *r, double rate, const int known[N_LOSSES], FILE *log)
{
    for (int which = 0; which < N_LOSSES; which++) {
        descend(r, which, rate, log);
        if (known && r->steps[which] != known[which])
            fail("%s took %lld steps, expected %d", loss_names[which], (long long)r->steps[which], known[which]);
    }
    printf("\nsteps of size %g from w = %g, b = %g until the output is below 0.1:\n", rate, r->w, r->b);
    for (int which = 0; which < N_LOSSES; which++)
        printf("  %-18s %lld\n", loss_names[which], (long long)r->steps[which]);
}

/* ---- The gradient, by how saturated the neuron is ----------------------------------------------------------- */

enum { TAPE_MSE, TAPE_P, TAPE_LOGITS, N_TAPE };

/* dl/dz at z for y = 0, by the tape: MSE, cross entropy on the output p, cross entropy on the logit z itself. */
static void slopes_at(gr_dtype dtype, double at, double slope[N_TAPE], double loss[N_TAPE])
{
    gr_tape *t = need(gr_tape_new());
    gr_tensor *z = need(gr_scalar(dtype, at)), *y = need(gr_scalar(dtype, 0.0));
    check(gr_require_grad(z));
    for (int i = 0; i < N_TAPE; i++) {
        gr_tensor *l = i == TAPE_MSE ? gr_mse(t, gr_sigmoid(t, z), y, NULL)
                       : i == TAPE_P ? gr_bce(t, gr_sigmoid(t, z), y, NULL)
                                     : gr_bce(t, z, y, &(gr_loss_options){.from_logits = true});
        check(gr_backward(t, l, 0));
        slope[i] = gr_item(gr_gradient(z));
        loss[i] = gr_item(l);
        gr_zero_grad(z); /* gradients accumulate */
        gr_tape_reset(t);
    }
    gr_tensor_free(y);
    gr_tensor_free(z);
    gr_tape_free(t);
}

/* The same without rounding to speak of: 1 - p is sigma(-z), which has all its digits where p has none left. */
static double exact_slope(bool mse, double z)
{
    double p = 1.0 / (1.0 + exp(-z)), not_p = exp(-z) / (1.0 + exp(-z));
    return mse ? 2.0 * p * p * not_p : p;
}

/* Where the tape's MSE gradient becomes exactly 0: the z at which sigma(z) rounds to 1. */
static double where_mse_dies(gr_dtype dtype)
{
    double alive = 1.0, dead = 100.0, slope[N_TAPE], loss[N_TAPE];
    for (int i = 0; i < 60; i++) {
        double middle = 0.5 * (alive + dead);
        slopes_at(dtype, middle, slope, loss);
        if (slope[TAPE_MSE] == 0.0) dead = middle;
        else alive = middle;
    }
    return dead;
}

static void gradients_by_z(void)
{
    static const double zs[] = {0, 1, 2, 4, 8, 16, 32, 36, 40, 100};
    printf("\nThe gradient dl/dz of a neuron that should say 0, by how sure it is of 1.\n"
           "The ratio of the two gradients, Eq. 8 over Eq. 7, is 1 / (2 sigma'(z)).\n\n"
           "           ------------- MSE -------------   ------------ cross entropy ------------\n"
           "    z         Eq. 7         the tape         Eq. 8       tape, on p  tape, on logits          ratio\n");
    for (int i = 0; i < COUNT(zs); i++) {
        double z = zs[i], slope[N_TAPE], loss[N_TAPE];
        slopes_at(GR_F64, z, slope, loss);
        double mse = exact_slope(true, z), ce = exact_slope(false, z);
        printf("%5g  %14.6e  %14.6e   %12.9f  %12.9f  %14.9f  %13.7g\n", z, mse, slope[TAPE_MSE], ce, slope[TAPE_P],
               slope[TAPE_LOGITS], ce / mse);
        must_agree("Eq. 8 and the tape on logits", ce, slope[TAPE_LOGITS], 1e-15, 0.0);
        /* 1 - p has lost all but the digits that p, next to 1, could hold: an error of 1e-16 in e^-z. */
        must_agree("Eq. 7 and the tape", mse, slope[TAPE_MSE], 4e-16 * exp(z) + 1e-15, 0.0);
    }

    double f32 = where_mse_dies(GR_F32), f64 = where_mse_dies(GR_F64), slope[N_TAPE], loss[N_TAPE];
    slopes_at(GR_F64, f64, slope, loss);
    printf("\nFrom z = %.4f on sigma(z) is exactly 1.0 in F64 (in F32 from %.4f on). "
           "The output p then holds no trace of z:\n"
           "  MSE                        loss %10.4f   gradient %g: it will never move again\n"
           "  cross entropy of p         loss %10.4f   gradient %g: log(1 - p) is cut off, and sigma' is 0\n"
           "  cross entropy of logits    loss %10.4f   gradient %g: exact, because it never forms p\n"
           "So train on logits: gr_bce(tape, z, y, &(gr_loss_options){.from_logits = true}).\n",
           f64, f32, loss[TAPE_MSE], slope[TAPE_MSE], loss[TAPE_P], slope[TAPE_P], loss[TAPE_LOGITS],
           slope[TAPE_LOGITS]);
    if (!(f64 > 36.73 && f64 < 36.75)) fail("expected sigma to be 1 from z = 36.74 on, found %g", f64);
    if (slope[TAPE_MSE] != 0.0 || slope[TAPE_P] != 0.0 || slope[TAPE_LOGITS] != 1.0)
        fail("expected gradients of 0, 0 and 1");
}

/* ---- What there is to show ---------------------------------------------------------------------------------- */

/* The output by step, one panel for each start. */
static void draw_runs(const race races[], int n)
{
    static const char *const colours[N_LOSSES] = {AMBER, RED, BLUE};
    const char *name = "01_saturated_neuron";
    FILE *s = begin_plot(name, 550 * n, 360);
    fprintf(s,
            "set multiplot layout 1,%d\nset xlabel 'step of gradient descent'\nset ylabel 'output (target: 0)'\n"
            "set yrange [0:1.02]\nset xrange [0:10<*]\nset key samplen 2\n",
            n);
    for (const race *r = races; r < races + n; r++) {
        fprintf(s, "set title 'from w = %g, b = %g' textcolor rgb '#333333'\nplot ", r->w, r->b);
        for (int which = 0; which < N_LOSSES; which++)
            fprintf(s,
                    "'%s.csv' using ($1==%.17g && $2==%.17g && strcol(3) eq '%s' ? $4 : NaN):7 "
                    "with lines lw 2.5 lc rgb '%s' title '%s: %lld steps', \\\n  ",
                    name, r->w, r->b, loss_names[which], colours[which], loss_names[which], (long long)r->steps[which]);
        fprintf(s, "0.1 with lines dt 2 lc rgb '" GREY "' title 'goal: below 0.1'\n");
    }
    fprintf(s, "unset multiplot\n");
    finish_plot(s, name);
}

/* The size of the gradient by z. */
static void draw_gradients(void)
{
    const char *name = "01_gradient";
    FILE *csv = create_csv(name, "z,mse,cross_entropy_of_p,cross_entropy_of_logits");
    for (int i = 0; i <= 160; i++) {
        double slope[N_TAPE], loss[N_TAPE];
        slopes_at(GR_F64, 0.25 * i, slope, loss);
        fprintf(csv, "%g,%.17g,%.17g,%.17g\n", 0.25 * i, slope[TAPE_MSE], slope[TAPE_P], slope[TAPE_LOGITS]);
    }
    close_file(csv, name);
    FILE *s = begin_plot(name, 620, 380);
    fprintf(s,
            "set key bottom left\n"
            "set xlabel 'z = w x + b (the target is 0)'\nset ylabel 'gradient dl/dz, logarithmic'\n"
            "set logscale y\nset mytics 1\nset format y '10^{%%L}'\nset yrange [1e-17:10]\nset xrange [0:40]\n"
            "plot '%s.csv' using 1:2 with lines lw 2.5 lc rgb '" RED "' title 'MSE: 0 from z = 36.74 on', \\\n"
            "  '' using 1:3 with lines lw 6 lc rgb '" PALE_BLUE "' title 'cross entropy of p: 0 there too', \\\n"
            "  '' using 1:4 with lines lw 2 lc rgb '" BLUE "' title 'cross entropy of logits: 1'\n",
            name);
    finish_plot(s, name);
}

static void put_races(FILE *page, const race races[], int n)
{
    html_table t = BEGIN_HTML_TABLE(page, "<start", "<loss", "steps", "output");
    for (const race *r = races; r < races + n; r++)
        for (int which = 0; which < N_LOSSES; which++) {
            put_cell(&t, "w = %g, b = %g", r->w, r->b);
            put_cell(&t, "%s", loss_names[which]);
            put_cell(&t, "%lld", (long long)r->steps[which]);
            put_cell(&t, "%.4f", r->output[which]);
        }
    end_html_table(&t, "Steps of gradient descent, all of one size, until the output is below 0.1. The target is 0.");
}

static void put_ratios(FILE *page)
{
    static const double zs[] = {0, 1, 2, 4, 8, 16, 24, 32, 36, 40};
    html_table t = BEGIN_HTML_TABLE(page, "z", "of MSE", "of cross entropy", "ratio", "1 / 2sigma'(z)");
    for (int i = 0; i < COUNT(zs); i++) {
        double z = zs[i], slope[N_TAPE], loss[N_TAPE];
        slopes_at(GR_F64, z, slope, loss);
        const double mse = slope[TAPE_MSE], ce = slope[TAPE_LOGITS];
        put_cell(&t, "%g", z);
        put_cell(&t, mse == 0.0 ? "0" : "%.2e", mse);
        put_cell(&t, "%.4f", ce);
        put_cell(&t, mse == 0.0 ? "none" : "%.4g", ce / mse);
        put_cell(&t, "%.4g", 0.5 * exp(z) * (1.0 + exp(-z)) * (1.0 + exp(-z)));
    }
    end_html_table(&t, "The gradient in z by the tape, target 0. "
                       "In the last digits before 36.74 the output itself is rounded; "
                       "from there on it is exactly 1 and the squared error&rsquo;s gradient exactly 0.");
}

static void write_part(const race races[], int n)
{
    FILE *page = begin_part("01_saturated_neuron");
    fprintf(page, "<p>One sigmoid neuron begins sure of the wrong answer. "
                  "Trained with the squared error it hardly moves, "
                  "for its gradient is multiplied by the slope of the sigmoid, which is flat there. "
                  "In cross entropy&rsquo;s gradient that slope cancels (Eq. 7 and 8).</p>\n");
    put_plot(page, "01_saturated_neuron", "Output of the neuron by step for three losses",
             "The neuron&rsquo;s output, step by step, from two starts.");
    put_races(page, races, n);
    put_plot(page, "01_gradient", "Size of the gradient by z",
             "The gradient by how sure the neuron is. Each unit of z costs the squared error a factor of e.");
    put_ratios(page);
    end_part(page);
}

/* ---- The lesson --------------------------------------------------------------------------------------------- */

int main(int argc, char *argv[])
{
    static const int known[2][N_LOSSES] = {{469, 234, 50}, {273, 136, 41}};
    double rate = 0.15, w = (double)NAN, b = 0.0;
    const option options[] = {
        {"--rate", "R", "the step size (0.15)", NUMBER, &rate, 0.01, 100},
        {"--w", "W", "one start of your own instead of the two of the lesson: the weight", NUMBER, &w, -4, 4},
        {"--b", "B", "and the bias (0)", NUMBER, &b, -4, 4},
    };
    read_options(argc, argv, "Lesson 1: a saturated neuron stalls under MSE and learns under cross entropy.", options,
                 COUNT(options));
    race races[2] = {{.w = 2.0, .b = 2.0}, {.w = 0.6, .b = 0.9}};
    int n = 2;
    bool own = !isnan(w);
    if (!own && b != 0.0) refuse("--b: expected --w as well");
    if (own) races[0] = (race){.w = w, .b = b}, n = 1;

    FILE *log = create_csv("01_saturated_neuron", "start_w,start_b,loss_name,step,w,b,output,loss,sigma_slope,"
                                                  "dw_formula,dw_tape,dw_difference");
    printf("Lesson 1: one neuron, output sigma(w x + b), x = 1, wanted 0, steps of size %g.\n", rate);
    for (int i = 0; i < n; i++) compare_losses(&races[i], rate, own || rate != 0.15 ? NULL : known[i], log);
    close_file(log, "01_saturated_neuron.csv");
    gradients_by_z();

    printf("\nEvery gradient above agrees: by the formula, by the tape, by differences.\n");
    draw_runs(races, n);
    draw_gradients();
    write_part(races, n);
    return 0;
}
