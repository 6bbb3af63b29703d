/* Lesson 9, the report: one page, DIR/index.html, of what the lessons left in DIR/parts. Plots, pictures, tables and
 * style are inside it: it needs no network, no other file and no script, and can be mailed.
 *
 * Two things are made here. A small tape is drawn with the value and the gradient in every box (draw.h), and the
 * derivative of every op of the library is checked by finite differences (check.h).
 *
 * A part that is not there is named, with the way to get it; the page is written all the same. */
#include "page.h"

#include "report_style.h"
#include "samples/samples.h"

/* ---- A small tape, drawn ------------------------------------------------------------------------------------ */

/* DIR/09_tape.dot, and by Graphviz DIR/09_tape.svg; false where there is no Graphviz. */
static bool draw_tape(void)
{
    gr_tape *t = need(gr_tape_new());
    gr_tensor *x = need(gr_from(GR_F64, GR_SHAPE(1, 2), (double[]){1.0, -2.0}));
    gr_tensor *w = need(gr_from(GR_F64, GR_SHAPE(2, 1), (double[]){0.5, -1.0}));
    gr_tensor *b = need(gr_from(GR_F64, GR_SHAPE(1), (double[]){0.25})), *y = need(gr_zeros(GR_F64, GR_SHAPE(1, 1)));
    gr_tensor *leaves[] = {x, w, b, y};
    static const char *const names[] = {"x", "w", "b", "y"};
    for (int i = 0; i < 4; i++) check(gr_set_name(leaves[i], names[i]));
    check(gr_require_grad(w));
    check(gr_require_grad(b));
    gr_tensor *p = gr_sigmoid(t, gr_add(t, gr_matmul(t, x, w, 0), b));
    check(gr_backward(t, need(gr_bce(t, p, y, NULL)), GR_RETAIN));
    FILE *dot = create_file("09_tape", ".dot");
    check(gr_draw(dot, t, &(gr_draw_options){.top_down = true}));
    close_file(dot, "09_tape.dot");
    for (int i = 0; i < 4; i++) gr_tensor_free(leaves[i]);
    gr_tape_free(t);
    return draw_with((char *[]){"dot", "-Tsvg", "-o", "09_tape.svg", "09_tape.dot", NULL});
}

static int64_t put_tape(FILE *page)
{
    fprintf(page, "<p>What the library records while it computes <code>loss = bce(sigmoid(x w + b), y)</code>, "
                  "and what the backward pass then leaves: "
                  "read the values from the top down and the gradients from the bottom up.</p>\n");
    if (draw_tape())
        put_plot(page, "09_tape", "The graph of a small computation with values and gradients",
                 "Green: learnt. Grey: data. Blue: results. Made by <code>gr_draw()</code> and Graphviz.");
    else
        put_missing(page, "the drawing, because Graphviz is not installed. "
                          "On Debian and Ubuntu: <code>sudo apt-get install graphviz</code>. "
                          "Then run the demo again, or, in the folder of this page, "
                          "<code>dot -Tsvg 09_tape.dot</code>.");
    return 0;
}

/* ---- Every op against finite differences -------------------------------------------------------------------- */

static gr_tensor *make_input(const sample_input *in, gr_rng *rng)
{
    gr_tensor *x = need(gr_zeros(in->integer ? GR_I32 : GR_F64, in->rank, in->shape));
    for (int64_t i = 0; i < gr_size(x); i++) {
        double v = in->values ? in->values[i % in->n_values] : in->lo + (in->hi - in->lo) * gr_rng_uniform(rng);
        check(gr_set(x, i, in->integer ? trunc(v) : v));
    }
    return x;
}

/* An op with a sample's options, as a function of its inputs. */
typedef struct call {
    const gr_op *op;
    const sample *s;
} call;

static gr_tensor *run_op(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const call *c = context;
    return gr_apply(t, c->op, x, n, c->s->attr);
}

/* What all samples of an op came to. */
typedef struct checked {
    int64_t compared, failed, kinks, unresolved;
    double worst; /* difference between tape and differences, over the derivative's size or 1 if that is less */
} checked;

static bool has_derivative(const gr_op *op, int i, const gr_tensor *x)
{
    if (gr_dtype_of(x) == GR_I32) return false;
    return op->n_in == GR_VARIADIC ? op->vjp_nth != NULL : i < GR_MAX_VJPS && op->vjp[i] != NULL;
}

static void check_sample(const gr_op *op, const sample *s, checked *sum)
{
    gr_rng rng = gr_rng_seed(7);
    gr_tensor *x[MAX_SAMPLE_INPUTS];
    const int n = s->n_in ? s->n_in : op->n_in;
    int wanted = 0;
    for (int i = 0; i < n; i++) {
        x[i] = make_input(&s->in[i], &rng);
        if (has_derivative(op, i, x[i])) check(gr_require_grad(x[i])), wanted++;
    }
    gr_check_report r;
    call c = {op, s};
    const gr_check_options options = {.mode = quick ? GR_CHECK_SAMPLED : GR_CHECK_FULL, .samples = 3};
    if (wanted) {
        if (gr_check_gradients(run_op, &c, x, n, &options, &r)) fail("%s, %s: %s", op->name, s->what, gr_last_error());
        sum->compared += r.compared;
        sum->failed += r.count[GR_CHECK_FAIL] + r.count[GR_CHECK_NONDETERMINISTIC];
        sum->kinks += r.count[GR_CHECK_KINK];
        sum->unresolved += r.count[GR_CHECK_UNRESOLVED];
        for (int i = 0; i < r.n_worst; i++) {
            const gr_check_element *e = &r.worst[i];
            if (e->verdict == GR_CHECK_UNRESOLVED) continue;
            double error = fabs(e->analytic - e->numeric) / fmax(1.0, fabs(e->analytic));
            sum->worst = error > sum->worst || isnan(error) ? error : sum->worst;
        }
    }
    for (int i = 0; i < n; i++) gr_tensor_free(x[i]);
}

static checked check_op(const gr_op *op)
{
    checked sum = {0};
    const sample_list samples = samples_of(op);
    for (int k = 0; k < samples.count; k++)
        if (!samples.at[k].refused && !samples.at[k].value_only) check_sample(op, &samples.at[k], &sum);
    return sum;
}

static void put_checked(html_table *t, const gr_op *op, const checked *c)
{
    begin_cell(t);
    fprintf(t->page, "<code>%s</code><br><code class=\"formula\">", op->name);
    put_text(t->page, op->formula ? op->formula : "");
    fprintf(t->page, "</code>");
    end_cell(t);
    put_cell(t, "%lld", (long long)c->compared);
    put_cell(t, "%lld", (long long)c->kinks);
    if (c->failed) put_cell(t, "%lld wrong", (long long)c->failed);
    else if (!c->compared) put_cell(t, "none");
    else put_cell(t, c->worst == 0.0 ? "0" : "%.1e", c->worst);
}

static int64_t put_checks(FILE *page)
{
    fprintf(page, "<p>Each op of the library at its sample inputs, in double precision: "
                  "the derivative by the tape beside the one that is measured by finite differences. "
                  "The error is the largest difference found, "
                  "relative to the derivative or, where that is below 1, absolute. "
                  "A kink is a place without a derivative, such as 0 for <code>relu</code>; "
                  "there the tape&rsquo;s value lies between the slopes on both sides.</p>\n");
    html_table t = BEGIN_HTML_TABLE(page, "<op", "compared", "kinks", "error");
    checked all = {0};
    int ops = 0;
    for (; gr_op_at(ops); ops++) {
        const checked c = check_op(gr_op_at(ops));
        put_checked(&t, gr_op_at(ops), &c);
        all.compared += c.compared, all.failed += c.failed, all.kinks += c.kinks, all.unresolved += c.unresolved;
        all.worst = fmax(all.worst, c.worst);
    }
    char caption[300];
    snprintf(caption, sizeof caption,
             "%d ops, %lld derivatives, of which %lld at kinks and %lld where the differences could not tell; "
             "%lld wrong, largest error %.1e.",
             ops, (long long)all.compared, (long long)all.kinks, (long long)all.unresolved, (long long)all.failed,
             all.worst);
    end_html_table(&t, caption);
    printf("%s\n", caption);
    return all.failed;
}

/* ---- The page ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *id, *title;
    const char *lesson, *extra;  /* what a lesson left in DIR/parts, and what it may have left besides; */
    int64_t (*make)(FILE *page); /* or, what is made here: returns how many derivatives are wrong */
} sections[] = {
    {"neuron", "The saturated neuron", "01_saturated_neuron", NULL, NULL},
    {"regression", "Logistic regression", "02_logistic_regression", NULL, NULL},
    {"segmenter", "The segmenter", "03_segmenter", "03_prediction", NULL},
    {"claims", "The paper&rsquo;s claims, put to the test", "04_claims", NULL, NULL},
    {"tape", "A tape, with a gradient in every box", NULL, NULL, put_tape},
    {"slip", "Two slips, and the checker that finds them", "05_your_own_op", NULL, NULL},
    {"checks", "Every derivative, checked", NULL, NULL, put_checks},
};

static void put_head(FILE *page)
{
    fprintf(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<title>Gradus: what the lessons found</title>\n<style>\n");
    for (int i = 0; i < COUNT(report_style); i++) fputs(report_style[i], page);
    fprintf(page, "</style>\n</head>\n<body>\n"
                  "<header>\n<h1>What the lessons found</h1>\n"
                  "<p class=\"lead\">Gradus computes derivatives by remembering what it did. "
                  "Here is what that is good for, "
                  "in curves, pictures and numbers that were computed on this machine.</p>\n"
                  "<nav aria-label=\"Contents\"><ol>\n");
    for (int i = 0; i < COUNT(sections); i++)
        fprintf(page, "<li><a href=\"#%s\">%s</a></li>\n", sections[i].id, sections[i].title);
    fprintf(page, "</ol></nav>\n</header>\n<main>\n");
}

static void put_lesson(FILE *page, const char *lesson, const char *extra)
{
    if (!include_part(page, lesson))
        put_missing(page,
                    "what the lesson found. Run <code>%s</code> with the same <code>--out</code>, "
                    "or <code>scripts/demo</code>, which runs them all.",
                    lesson);
    if (extra) include_part(page, extra);
}

int main(int argc, char *argv[])
{
    read_options(argc, argv, "Lesson 9: one page, DIR/index.html, of what the other lessons left in DIR.", NULL, 0);
    FILE *page = create_file("index", ".html");
    int64_t wrong = 0;
    put_head(page);
    for (int i = 0; i < COUNT(sections); i++) {
        fprintf(page, "<section id=\"%s\">\n<h2>%s</h2>\n", sections[i].id, sections[i].title);
        if (sections[i].make) wrong += sections[i].make(page);
        else put_lesson(page, sections[i].lesson, sections[i].extra);
        fprintf(page, "</section>\n");
    }
    fprintf(page, "</main>\n<footer><p>Equations are those of J. Yuan, &ldquo;Loss Function&rdquo;. "
                  "The numbers behind every curve lie as CSV beside this page.</p></footer>\n</body>\n</html>\n");
    close_file(page, "index.html");
    if (wrong) fail("%lld derivatives are wrong", (long long)wrong);
    char *path = path_in_out("index", ".html");
    printf("written: %s\n", path);
    free(path);
    return 0;
}
