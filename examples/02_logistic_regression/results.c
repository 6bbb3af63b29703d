/* results.c: what lesson 2 leaves behind: its numbers as CSV, curves by epoch, the plane of two features with the lines
 * that divide it, and its part of the page. */
#include "../page.h"
#include "regression.h"

#define LESSON "02_logistic_regression"

static const char *const loss_colours[N_LOSSES] = {RED, BLUE};

/* ---- Every epoch -------------------------------------------------------------------------------------------- */

static void log_runs(run runs[N_STARTS][N_LOSSES], const plan *p)
{
    FILE *csv = create_csv(LESSON, "start,loss,epoch,training_loss,training_accuracy,held_out_accuracy");
    for (int start = 0; start < N_STARTS; start++)
        for (int which = 0; which < N_LOSSES; which++)
            for (int64_t epoch = 0; epoch <= p->epochs; epoch++) {
                const point *h = &runs[start][which].history[epoch];
                fprintf(csv, "%s,%s,%lld,%.9g,%.9g,%.9g\n", start_names[start], loss_names[which], (long long)epoch,
                        h->loss, h->train, h->test);
            }
    close_file(csv, LESSON ".csv");
}

/* One of the four panels: both losses by epoch, their loss or their accuracy. */
static void plot_curves(FILE *s, int start, bool accuracy)
{
    fprintf(s, "set title 'from the %s start' textcolor rgb '#333333'\n", start_names[start]);
    if (accuracy) fprintf(s, "set ylabel 'held-out accuracy in %%'\nset yrange [0:102]\nset key bottom right\n");
    else fprintf(s, "set ylabel 'loss on the training samples'\nset yrange [0:*]\nset key top right\n");
    for (int which = 0; which < N_LOSSES; which++)
        fprintf(s,
                "%s'" LESSON ".csv' using (strcol(1) eq '%s' && strcol(2) eq '%s' ? $3 : NaN):%d "
                "with lines lw %d lc rgb '%s' title '%s'%s",
                which ? "  " : "plot ", start_names[start], loss_names[which], accuracy ? 6 : 4, which == MSE ? 4 : 2,
                loss_colours[which], loss_names[which], which ? "\n" : ", \\\n");
}

/* Loss and held-out accuracy by epoch, a column for each start. */
static void draw_curves(void)
{
    FILE *s = begin_plot(LESSON, 1000, 640);
    fprintf(s, "set multiplot layout 2,2\nset xlabel 'epoch'\n");
    for (int accuracy = 0; accuracy < 2; accuracy++)
        for (int start = 0; start < N_STARTS; start++) plot_curves(s, start, accuracy);
    fprintf(s, "unset multiplot\n");
    finish_plot(s, LESSON);
}

/* ---- Two features: the plane -------------------------------------------------------------------------------- */

/* The plane as far as there are points in it. */
typedef struct box {
    double lo[2], hi[2];
} box;

static box log_points(const data *d)
{
    FILE *csv = create_csv("02_points", "first,second,class,held_out");
    box p = {{(double)INFINITY, (double)INFINITY}, {-(double)INFINITY, -(double)INFINITY}};
    for (int held_out = 0; held_out < 2; held_out++) {
        const gr_dataset *set = held_out ? d->test : d->train;
        const float *x = gr_read_f32(gr_dataset_x(set)), *y = gr_read_f32(gr_dataset_y(set));
        for (int64_t i = 0; i < gr_dataset_size(set); i++) {
            for (int k = 0; k < 2; k++) {
                p.lo[k] = fmin(p.lo[k], (double)x[2 * i + k] - 0.1);
                p.hi[k] = fmax(p.hi[k], (double)x[2 * i + k] + 0.1);
            }
            fprintf(csv, "%.6g,%.6g,%lld,%d\n", (double)x[2 * i], (double)x[2 * i + 1],
                    (long long)class_of(y + i * d->outputs, d->outputs, 0.5f), held_out);
        }
    }
    close_file(csv, "02_points.csv");
    return p;
}

/* Logit of class c at a point; of two classes the first has 0. */
static double logit(const model *m, int outputs, int c, const double x[2])
{
    if (outputs == 1 && c == 0) return 0.0;
    int column = outputs == 1 ? 0 : c;
    return x[0] * gr_get(m->w, column) + x[1] * gr_get(m->w, outputs + column) + gr_get(m->b, column);
}

/* Where the two classes have equal logits and no other has a larger one: w x + b = 0 with w and b their differences,
 * a straight line. Walked along the axis that it is less steep to; returns how many points of it are in the box. */
static int log_boundary(FILE *csv, const data *d, const model *m, int one, int other, const box *p)
{
    const double zero[2] = {0, 0}, unit[2][2] = {{1, 0}, {0, 1}};
    const int outputs = (int)d->outputs;
    double b = logit(m, outputs, one, zero) - logit(m, outputs, other, zero), w[2];
    for (int k = 0; k < 2; k++) w[k] = logit(m, outputs, one, unit[k]) - logit(m, outputs, other, unit[k]) - b;
    int along = fabs(w[0]) > fabs(w[1]), across = !along, written = 0;
    for (int i = 0; i <= 400; i++) {
        double x[2];
        x[along] = p->lo[along] + (p->hi[along] - p->lo[along]) * i / 400.0;
        x[across] = -(b + w[along] * x[along]) / w[across];
        bool on = x[across] >= p->lo[across] && x[across] <= p->hi[across]; /* a NaN is not */
        for (int c = 0; on && c < d->classes; c++) on = logit(m, outputs, c, x) <= logit(m, outputs, one, x) + 1e-9;
        if (on) fprintf(csv, "%.6g,%.6g\n", x[0], x[1]), written++;
    }
    fprintf(csv, "\n");
    return written;
}

/* "02_boundary_ordinary_mse" */
static void boundary_name(char name[64], int start, int which)
{
    snprintf(name, 64, "02_boundary_%s_%s", start_names[start], which == MSE ? "mse" : "cross_entropy");
}

/* Between all pairs of classes; false when the model sees but one class in the box. */
static bool log_boundaries(const data *d, const model *m, int start, int which, const box *p)
{
    char name[64];
    boundary_name(name, start, which);
    FILE *csv = create_file(name, ".csv");
    int written = 0;
    for (int one = 0; one < d->classes; one++)
        for (int other = one + 1; other < d->classes; other++) written += log_boundary(csv, d, m, one, other, p);
    close_file(csv, name);
    return written > 0;
}

/* A name out of a file as a text of gnuplot, in quotes. */
static void quote(FILE *s, const char *text, const char *after)
{
    fprintf(s, "'");
    for (; *text; text++)
        if (*text == '\'') fprintf(s, "''");
        else fputc((unsigned char)*text < ' ' ? ' ' : *text, s);
    fprintf(s, "%s'", after);
}

static void plot_points(FILE *s, const data *d)
{
    static const char *const colours[] = {GREEN, VIOLET, "#b08968", "#6c8ebf", "#a3a34a", GREY};
    for (int c = 0; c < d->classes; c++) {
        fprintf(s, "'02_points.csv' using ($3==%d ? $1 : NaN):2 with points pt %d ps 0.5 lc rgb '%s' title ", c,
                c % 2 ? 9 : 7, colours[c % COUNT(colours)]);
        quote(s, class_name(d, c), "");
        fprintf(s, ", \\\n  ");
    }
}

static void plot_boundary(FILE *s, int start, int which, bool drawn)
{
    char name[64];
    boundary_name(name, start, which);
    if (drawn)
        fprintf(s, "'%s.csv' using 1:2 with lines lw 3 %slc rgb '%s' title '%s'", name, which == MSE ? "" : "dt 2 ",
                loss_colours[which], loss_names[which]);
    else
        fprintf(s, "NaN with lines lw 3 lc rgb '%s' title '%s: all one class'", loss_colours[which], loss_names[which]);
    fprintf(s, which == MSE ? ", \\\n  " : "\n");
}

/* The points, and where each trained model changes its mind. */
static void draw_plane(const data *d, run runs[N_STARTS][N_LOSSES])
{
    const box p = log_points(d);
    FILE *s = begin_plot("02_boundary", 1000, 540);
    fprintf(s,
            "set multiplot layout 1,2\nset bmargin at screen 0.3\nset tmargin at screen 0.92\n"
            "set key at graph 0.4, graph -0.22 center top vertical maxrows 3 noenhanced samplen 2\n"
            "set xrange [%g:%g]\nset yrange [%g:%g]\n",
            p.lo[0], p.hi[0], p.lo[1], p.hi[1]);
    for (int k = 0; k < 2; k++) {
        const char *feature = gr_dataset_feature_name(d->set, k);
        if (!feature) feature = k ? "second feature" : "first feature";
        fprintf(s, "set %clabel ", "xy"[k]);
        quote(s, feature, " (standard deviations from the mean)");
        fprintf(s, " noenhanced\n");
    }
    for (int start = 0; start < N_STARTS; start++) {
        fprintf(s, "set lmargin at screen %g\nset rmargin at screen %g\n", start ? 0.58 : 0.085, start ? 0.98 : 0.485);
        fprintf(s, "set title 'after training from the %s start' textcolor rgb '#333333'\nplot ", start_names[start]);
        plot_points(s, d);
        for (int which = 0; which < N_LOSSES; which++)
            plot_boundary(s, start, which, log_boundaries(d, &runs[start][which].m, start, which, &p));
    }
    fprintf(s, "unset multiplot\n");
    finish_plot(s, "02_boundary");
}

/* ---- The page ----------------------------------------------------------------------------------------------- */

static void write_part(run runs[N_STARTS][N_LOSSES], const plan *p, bool plane)
{
    FILE *page = begin_part(LESSON);
    fprintf(page, "<p>The same contest with data. "
                  "One layer is trained with MSE and with cross entropy, on the same batches, "
                  "from an ordinary start and from one that is certain of one class whatever it sees.</p>\n");
    html_table t =
        BEGIN_HTML_TABLE(page, "<start", "<loss", "training loss", "right, trained on (%)", "right, held out (%)");
    for (int start = 0; start < N_STARTS; start++)
        for (int which = 0; which < N_LOSSES; which++) {
            const point *last = &runs[start][which].history[p->epochs];
            put_cell(&t, "%s", start_names[start]);
            put_cell(&t, "%s", loss_names[which]);
            put_cell(&t, "%.4f", last->loss);
            put_cell(&t, "%.1f", last->train);
            put_cell(&t, "%.1f", last->test);
        }
    char caption[200];
    snprintf(caption, sizeof caption, "After %lld epochs. The two losses are not on one scale; the accuracies are.",
             (long long)p->epochs);
    end_html_table(&t, caption);
    put_plot(page, LESSON, "Loss and accuracy by epoch for both losses and both starts",
             "Loss and held-out accuracy by epoch.");
    if (plane)
        put_plot(page, "02_boundary", "Points of two classes and the lines that divide them",
                 "The points, and where each trained model changes its mind.");
    end_part(page);
}

void show_runs(const data *d, run runs[N_STARTS][N_LOSSES], const plan *p)
{
    const bool plane = d->features == 2 && d->classes <= 20;
    log_runs(runs, p);
    draw_curves();
    if (plane) draw_plane(d, runs);
    write_part(runs, p, plane);
}
