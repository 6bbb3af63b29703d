/* metrics.c: confusion counts of predictions, the ratios made of them, and Otsu's threshold. */
#include <math.h>

#include <gradus/metrics.h>

#include "data/internal.h"
#include "tensor/class_planes.h"

/* ---- What fits together ------------------------------------------------------------------------------------- */

static gr_status expect_predictions(const gr_tensor *p, const gr_tensor *y, const gr_confusion_options *o,
                                    const gr_confusion counts[], int n)
{
    if (!p || !y) return gr_fail_null("confusion_add", p ? "y" : "p");
    if (!counts) return gr_fail(GR_ERR_NULL, "confusion_add: counts is NULL");
    if (n < 1) return gr_fail(GR_ERR_OPTION, "confusion_add: %d counts: expected 1 or more", n);
    if (gr_expect_ignore_index("confusion_add", y, o->ignore, o->ignore_index)) return gr_last_status();
    if (o->threshold != 0.0 && !(o->threshold > 0.0 && o->threshold < 1.0))
        return gr_fail(GR_ERR_OPTION, "confusion_add: a threshold of %s: expected one between 0 and 1",
                       GR_NUMBER_TEXT(o->threshold));
    if (gr_is_gone(p)) return gr_fail_gone("confusion_add", "p", p);
    if (gr_is_gone(y)) return gr_fail_gone("confusion_add", "y", y);
    bool indices = p->dtype == GR_I32, one_of_many = n > 1 && !indices;
    if (y->dtype != GR_I32 && (n > 1 || indices))
        return gr_fail(GR_ERR_DTYPE, "confusion_add: y is %s: expected i32", gr_dtype_name((gr_dtype)y->dtype));
    if (!one_of_many) {
        if (gr_same_shape(p, y)) return GR_OK;
        return gr_fail(GR_ERR_SHAPE, "confusion_add: p is %s and y %s: expected one shape", GR_SHAPE_TEXT(p),
                       GR_SHAPE_TEXT(y));
    }
    if (has_shape_of_positions(y, p) && p->shape[1] == n) return GR_OK;
    return gr_fail(GR_ERR_SHAPE, "confusion_add: p is %s and y %s: expected [N,%d,...] and [N,...]", GR_SHAPE_TEXT(p),
                   GR_SHAPE_TEXT(y), n);
}

/* ---- One position ------------------------------------------------------------------------------------------- */

typedef struct comparison {
    const gr_tensor *p, *y;
    const gr_confusion_options *options;
    int n;
    double limit;        /* two classes: what p must exceed */
    class_planes planes; /* of p, when it has scores of several */
} comparison;

#define POSITION(tensor, i) gr_position_text(&(gr_text){{0}}, (tensor), (i))

/* 0 or 1; below 0 with an error. */
static int predicted_of_two(const comparison *q, int64_t i)
{
    double v = gr_element(q->p, i);
    if (q->p->dtype == GR_I32) {
        if (v == 0.0 || v == 1.0) return v == 1.0;
        return gr_fail(GR_ERR_VALUE, "confusion_add: prediction %s at %s is neither 0 nor 1", GR_NUMBER_TEXT(v),
                       POSITION(q->p, i)),
               -1;
    }
    if (isnan(v))
        return gr_fail(GR_ERR_VALUE, "confusion_add: prediction at %s is not a number", POSITION(q->p, i)), -1;
    if (!q->options->from_logits && !(v >= 0.0 && v <= 1.0))
        return gr_fail(GR_ERR_VALUE, "confusion_add: prediction %s at %s is outside [0,1]; are these logits?",
                       GR_NUMBER_TEXT(v), POSITION(q->p, i)),
               -1;
    return v > q->limit;
}

static int true_of_two(const comparison *q, int64_t i)
{
    double v = gr_element(q->y, i);
    if (v == 0.0 || v == 1.0) return v == 1.0;
    return gr_fail(GR_ERR_VALUE, "confusion_add: target %s at %s is neither 0 nor 1", GR_NUMBER_TEXT(v),
                   POSITION(q->y, i)),
           -1;
}

static int checked_class(const comparison *q, const gr_tensor *t, const char *what, int64_t i)
{
    int32_t c = ((const int32_t *)t->data)[i];
    if (c >= 0 && c < q->n) return c;
    return gr_fail(GR_ERR_INDEX, "confusion_add: %s %d at %s is outside 0..%d", what, (int)c, POSITION(t, i), q->n - 1),
           -1;
}

/* The class of the largest score at position i; the first of equals. */
static int largest_of_many(const comparison *q, int64_t i)
{
    const int64_t first = first_class_at(&q->planes, i), apart = q->planes.inner;
    int best = 0;
    for (int c = 0; c < q->n; c++) {
        const double v = gr_element(q->p, first + c * apart);
        if (isnan(v))
            return gr_fail(GR_ERR_VALUE, "confusion_add: prediction at %s is not a number",
                           POSITION(q->p, first + c * apart)),
                   -1;
        if (v > gr_element(q->p, first + best * apart)) best = c;
    }
    return best;
}

static int true_class(const comparison *q, int64_t i)
{
    return q->n == 1 ? true_of_two(q, i) : checked_class(q, q->y, "target", i);
}

static int predicted_class(const comparison *q, int64_t i)
{
    if (q->n == 1) return predicted_of_two(q, i);
    return q->p->dtype == GR_I32 ? checked_class(q, q->p, "prediction", i) : largest_of_many(q, i);
}

static bool is_left_out(const comparison *q, int64_t i)
{
    const double index = q->options->ignore_index; /* compared in the target's dtype, as losses do */
    return q->options->ignore && gr_element(q->y, i) == (q->y->dtype == GR_F32 ? (double)(float)index : index);
}

/* ---- Counts ------------------------------------------------------------------------------------------------- */

/* Counts by class into `found`; two classes, 0 and 1, are counted as two. */
static gr_status count_classes(const comparison *q, gr_confusion found[], int classes)
{
    int64_t positions = 0;
    for (int64_t i = 0; i < q->y->size; i++) {
        if (is_left_out(q, i)) continue;
        const int truth = true_class(q, i), predicted = truth < 0 ? -1 : predicted_class(q, i);
        if (predicted < 0) return gr_last_status();
        positions++;
        found[truth].tp += predicted == truth;
        found[truth].fn += predicted != truth;
        found[predicted].fp += predicted != truth;
    }
    for (int c = 0; c < classes; c++) found[c].tn = positions - found[c].tp - found[c].fp - found[c].fn;
    return GR_OK;
}

static void add_counts(gr_confusion *to, const gr_confusion *c)
{
    to->tp += c->tp;
    to->fp += c->fp;
    to->fn += c->fn;
    to->tn += c->tn;
}

/* Nothing is added unless all can be. Of two classes counts[0] is that of class 1. */
static gr_status count_all(const comparison *q, gr_confusion counts[])
{
    const int first = q->n == 1, classes = q->n + first;
    gr_confusion *found = gr_allocate_array(classes, sizeof *found);
    if (!found) return GR_ERR_MEMORY;
    memset(found, 0, (size_t)classes * sizeof *found);
    gr_status status = count_classes(q, found, classes);
    for (int c = 0; c < q->n && !status; c++) add_counts(&counts[c], &found[first + c]);
    gr_release(found);
    return status;
}

gr_status gr_confusion_add(const gr_tensor *p, const gr_tensor *y, const gr_confusion_options *options,
                           gr_confusion counts[], int n)
{
    comparison q = {.p = p, .y = y, .options = options ? options : &(gr_confusion_options){0}, .n = n};
    gr_status status = expect_predictions(p, y, q.options, counts, n);
    if (status) return status;
    double t = q.options->threshold == 0.0 ? 0.5 : q.options->threshold;
    q.limit = !q.options->from_logits ? t : t == 0.5 ? 0.0 : log(t / (1.0 - t));
    q.planes = class_planes_of(p, 1);
    return count_all(&q, counts);
}

/* ---- Ratios ------------------------------------------------------------------------------------------------- */

static double fraction_of(int64_t part, int64_t whole) { return whole ? (double)part / (double)whole : 1.0; }

gr_metrics gr_metrics_of(const gr_confusion *c)
{
    if (!c) return gr_metrics_macro(NULL, 0, false);
    return (gr_metrics){
        .iou = fraction_of(c->tp, c->tp + c->fp + c->fn),
        .dice = fraction_of(2 * c->tp, 2 * c->tp + c->fp + c->fn),
        .sensitivity = fraction_of(c->tp, c->tp + c->fn),
        .specificity = fraction_of(c->tn, c->tn + c->fp),
        .precision = fraction_of(c->tp, c->tp + c->fp),
        .accuracy = fraction_of(c->tp + c->tn, c->tp + c->fp + c->fn + c->tn),
    };
}

static bool has_counts(const gr_confusion counts[], int n)
{
    if (!counts) return gr_fail(GR_ERR_NULL, "metrics: counts is NULL"), false;
    if (n < 1) return gr_fail(GR_ERR_OPTION, "metrics: of %d classes: expected 1 or more", n), false;
    return true;
}

static gr_metrics no_metrics(void)
{
    const double none = (double)NAN;
    return (gr_metrics){none, none, none, none, none, none};
}

gr_metrics gr_metrics_macro(const gr_confusion counts[], int n, bool skip_absent)
{
    if (!has_counts(counts, n)) return no_metrics();
    gr_metrics sum = {0, 0, 0, 0, 0, 0};
    int taken = 0;
    for (int c = 0; c < n; c++) {
        if (skip_absent && counts[c].tp + counts[c].fp + counts[c].fn == 0) continue;
        gr_metrics m = gr_metrics_of(&counts[c]);
        sum.iou += m.iou;
        sum.dice += m.dice;
        sum.sensitivity += m.sensitivity;
        sum.specificity += m.specificity;
        sum.precision += m.precision;
        sum.accuracy += m.accuracy;
        taken++;
    }
    if (!taken) return gr_metrics_macro(counts, n, false);
    const double k = taken;
    return (gr_metrics){sum.iou / k,         sum.dice / k,      sum.sensitivity / k,
                        sum.specificity / k, sum.precision / k, sum.accuracy / k};
}

gr_metrics gr_metrics_micro(const gr_confusion counts[], int n)
{
    if (!has_counts(counts, n)) return no_metrics();
    gr_confusion sum = {0, 0, 0, 0};
    for (int c = 0; c < n; c++) add_counts(&sum, &counts[c]);
    return gr_metrics_of(&sum);
}

/* ---- Otsu's threshold --------------------------------------------------------------------------------------- */

enum { OTSU_BINS = 256 };

/* With w0 and w1 the numbers below and above a split and m0 and m1 their mean bins, the variance between is
 * w0 w1 (m0 - m1)^2 over a constant. The middle of the splits that have the largest: between two clouds with a gap they
 * are many. Returns how many bins are below. */
static double best_split(const int64_t histogram[OTSU_BINS])
{
    double all = 0.0, total = 0.0, below = 0.0, sum = 0.0, most = -1.0;
    int first = 0, last = 0;
    for (int b = 0; b < OTSU_BINS; b++) {
        all += (double)histogram[b];
        total += (double)histogram[b] * b;
    }
    for (int b = 0; b + 1 < OTSU_BINS; b++) {
        below += (double)histogram[b];
        sum += (double)histogram[b] * b;
        if (below == 0.0 || below == all) continue;
        double apart = sum / below - (total - sum) / (all - below), between = below * (all - below) * apart * apart;
        if (between > most) first = b;
        if (between >= most) last = b;
        most = fmax(between, most);
    }
    return 0.5 * (first + last) + 1.0;
}

double gr_otsu(const gr_tensor *values)
{
    if (!values) return gr_fail_null("otsu", "values"), (double)NAN;
    if (!gr_is_float((gr_dtype)values->dtype))
        return gr_fail(GR_ERR_DTYPE, "otsu: values are %s: expected f32 or f64",
                       gr_dtype_name((gr_dtype)values->dtype)),
               (double)NAN;
    if (!values->size) return gr_fail(GR_ERR_SHAPE, "otsu: %s has no values", GR_SHAPE_TEXT(values)), (double)NAN;
    if (gr_is_gone(values)) return gr_fail_gone("otsu", "the tensor", values), (double)NAN;
    double lo = (double)INFINITY, hi = -(double)INFINITY;
    for (int64_t i = 0; i < values->size; i++) {
        double v = gr_element(values, i);
        if (!isfinite(v))
            return gr_fail(GR_ERR_VALUE, "otsu: %s at %s is not finite", GR_NUMBER_TEXT(v), POSITION(values, i)),
                   (double)NAN;
        lo = fmin(lo, v);
        hi = fmax(hi, v);
    }
    if (lo == hi || !isfinite(hi - lo)) return lo == hi ? lo : 0.5 * lo + 0.5 * hi;
    int64_t histogram[OTSU_BINS] = {0};
    for (int64_t i = 0; i < values->size; i++) {
        int bin = (int)((gr_element(values, i) - lo) / (hi - lo) * OTSU_BINS);
        histogram[bin < OTSU_BINS ? bin : OTSU_BINS - 1]++;
    }
    return lo + (hi - lo) * best_split(histogram) / OTSU_BINS;
}
