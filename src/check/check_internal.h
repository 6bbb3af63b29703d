/* check_internal.h: the gradient checker, a layer above the tape, its lowest file first. Each file calls only those
 * that are listed before it:
 *
 *     probe.c         f at points along a line through its inputs
 *     estimate.c      the slope of f along that line, from differences, with an error and with kinks
 *     verdict.c       a number judged against a slope; the verdict on all comparisons together
 *     elements.c      comparisons element by element
 *     directions.c    comparisons of all elements at once, and the search for the one that fails
 *     passes.c        comparisons of two passes: determinism, accumulation, F32
 *     second_order.c  the gradient of f as a function that is checked itself
 *     nodes.c         each op that f recorded, checked by itself
 *     check.c         the public calls and the table of modes
 *
 * Aside stand hint.c, which check.c asks at the end, and report.c, which writes down what a check has left behind. */
#ifndef GR_CHECK_INTERNAL_H
#define GR_CHECK_INTERNAL_H

#include <assert.h>
#include <gradus/check.h>
#include <math.h>

#include "autograd/tape_internal.h"

/* ---- probe.c: f at points along a line ------------------------------------------------------------------------- */

/* What is under check: f, and the inputs where it is checked. */
typedef struct gr_subject {
    gr_check_function f;
    void *context;
    gr_tensor *const *x;
    int n;
} gr_subject;

/* f at x[] on the tape, which it finds empty. NULL with an error, also where f calls what would change more than
 * results, see gr_expect_idle(), or returns what has no values. */
gr_tensor *gr_subject_run(const gr_subject *s, gr_tape *t, gr_tensor *const x[]);

/* f at x + t d, as constant + sum of weight_i values_i. */
typedef struct gr_point {
    double t;
    bool valid;         /* f could be evaluated, and no term that is finite at t = 0 is infinite or NaN here */
    uint64_t signature; /* of the branches that its ops took */
    double constant, *values;
} gr_point;

/* A line through the inputs. The elements of those that are differentiated are counted through all inputs; along the
 * line elements first .. last-1 move by t / length, each up or down by chance where `signs` is not 0. */
typedef struct gr_line {
    int64_t first, last;
    uint64_t signs;
    double length; /* of the direction, about: a power of 2 */
} gr_line;

/* Whether an element goes down as t goes up: a bit of a hash. */
static inline bool gr_goes_down(const gr_line *l, int64_t element)
{
    uint64_t z = l->signs;
    if (!z) return false;
    gr_fold_branch(&z, element);
    gr_fold_branch(&z, element);
    return z >> 63;
}

/* GR_DEPENDS: the term depends on the line. GR_MOVED: it has changed in a step that crossed no branch. */
enum { GR_DEPENDS = 1, GR_MOVED = 2 };

/* How many points of a line are kept: enough for one estimate, and for the estimates of many outputs. */
enum { GR_FEW_POINTS = 12, GR_MAX_POINTS = 128 };

typedef struct gr_probe {
    gr_tape *t;
    gr_subject of;
    uint64_t seed;
    gr_tensor *saved[GR_CHECK_MAX_INPUTS];  /* copies of all inputs, as they were */
    int64_t start[GR_CHECK_MAX_INPUTS + 1]; /* of each input's elements in the count of those differentiated, */
    int64_t n_elements;                     /* of which there are so many */
    gr_line line;                           /* the one that the points are on */
    gr_point base, points[GR_MAX_POINTS];   /* f at t = 0, and a ring of the newest points */
    int capacity, next;                     /* of the ring */
    int64_t n_terms;
    double *weights;     /* of the terms */
    uint8_t *ties;       /* of each term to the line: GR_DEPENDS, GR_MOVED */
    bool whole;          /* the only term is the result itself */
    bool constant_moves; /* the constant part changes along this line, so it must be differenced too */
    int64_t output;      /* the one output that counts, or -1: all of them */
    int64_t n_outputs;   /* elements of f's result */
    gr_status refused;   /* why the tape cannot go on, if an op failed for another reason than where the point lies */
    int64_t evaluations, backwards;
} gr_probe;

/* Takes f and its inputs, and evaluates it where they are. `capacity` points of a line are kept. */
gr_status gr_probe_open(gr_probe *p, const gr_subject *of, uint64_t seed, int capacity);

/* Puts the inputs back; GR_ERR_STATE if one is not as it was, by the hand of f. */
gr_status gr_probe_close(gr_probe *p);

/* Begins a line, and finds the terms that depend on it. */
gr_status gr_probe_on(gr_probe *p, gr_line line);

/* f(x + t d), from the ring if it is there. NULL when p->refused says why. */
const gr_point *gr_probe_at(gr_probe *p, double t);

/* f(a) - f(b), without rounding to speak of; in *noise what rounding of the terms may have added to it, and in *total,
 * if asked for, the sum of |weight (a - b)|. */
double gr_probe_difference(const gr_probe *p, const gr_point *a, const gr_point *b, double *noise, double *total);
double gr_probe_value(const gr_probe *p, const gr_point *a);

/* Whether f gives the same bits again. */
gr_status gr_probe_repeats(gr_probe *p, bool *same);

/* Which input an element belongs to. */
int gr_probe_input(const gr_probe *p, int64_t element);

/* A new run of f at other inputs, or at its own, where the result must be F64; NULL with the message. */
gr_tensor *gr_probe_run_at(gr_probe *p, gr_tensor *const x[]);
gr_tensor *gr_probe_run(gr_probe *p);

/* A constant of the tape of x's shape: weights in [1/2, 3/2), so that no constant direction hides an error. */
gr_tensor *gr_random_weights(gr_tape *t, const gr_tensor *x, gr_rng *rng);

/* The weights that the result y is summed with: the cotangent of backward passes. NULL for a scalar or an error. */
gr_tensor *gr_probe_cotangent(gr_probe *p, const gr_tensor *y);

/* Room for `count` gradients, each by all elements; gr_release() frees it. */
double *gr_probe_room(const gr_probe *p, int64_t count);

/* The gradient of y with the cotangent g by those of x[] that require one, by the tape: all elements as F64. */
gr_status gr_probe_vjp(gr_probe *p, gr_tensor *y, gr_tensor *g, gr_tensor *const x[], int flags, double *gradient);

/* The gradient of f by its own inputs: of one output, or of all with their weights (-1). */
gr_status gr_probe_gradient(gr_probe *p, int64_t output, double *gradient);

/* ---- estimate.c: slopes ---------------------------------------------------------------------------------------- */

typedef struct gr_slope {
    double value, error;    /* of the derivative along the line */
    double terms_slope;     /* the mean slope of f's terms over the first step: what the error may be compared with */
    double h, above, below; /* the step that the value is from, f(x+h) and f(x-h) */
    bool kink;              /* no derivative exists; these are the slopes on the two sides, and `error` is theirs */
    double left, right;
    bool jump;     /* at a kink: f(x) is not what f tends to, on one side or both */
    bool constant; /* f never changed */
} gr_slope;

gr_status gr_estimate(gr_probe *p, gr_line line, const gr_check_options *options, gr_slope *slope);

/* For ops that do not tell their branches: whether the slopes on the two sides, from step h down, stay apart. Then they
 * are put into `slope`. */
bool gr_has_kink(gr_probe *p, double h, gr_slope *slope);

/* ---- verdict.c: comparisons judged ----------------------------------------------------------------------------- */

/* A check under way. */
typedef struct gr_checker {
    gr_probe probe;
    gr_check_options options; /* complete */
    gr_check_report *report;
    int64_t node; /* being checked by itself, or -1 */
    const char *op;
    double *gradient, *other; /* room for two gradients by all elements */
    double largest;           /* of all derivatives */
    double worst_unresolved;  /* the largest that an unresolved one may be */
    bool anything;            /* some derivative is not 0 */
} gr_checker;

gr_status gr_checker_open(gr_checker *c, const gr_subject *of, const gr_check_options *options, int points,
                          gr_check_report *report);
gr_status gr_checker_close(gr_checker *c, gr_status status);

/* Judges an analytic value against a slope and fills in what the report says of it, but for its place. An agreement is
 * relative to `relative_to`. */
void gr_check_judge(gr_checker *c, double analytic, double relative_to, gr_slope *s, gr_check_element *e);
void gr_check_place(const gr_checker *c, int64_t element, gr_check_element *e);

/* Puts a comparison into the report; the same for two numbers that are not a derivative and its estimate. */
void gr_check_note(gr_check_report *r, const gr_check_element *e);
void gr_check_note_pair(gr_checker *c, int64_t element, gr_check_verdict v, double a, double b, double relative_to);

/* The verdict on the whole, from what is in the report; what two such verdicts make together. */
void gr_check_settle(gr_checker *c);
gr_check_verdict gr_check_heavier(gr_check_verdict a, gr_check_verdict b);

/* ---- What is compared ------------------------------------------------------------------------------------------- */

/* elements.c. Element k of all: estimated, judged, with its place. */
gr_status gr_check_element_of(gr_checker *c, int64_t element, double analytic, gr_check_element *e);
gr_status gr_check_full(gr_checker *c);
gr_status gr_check_sampled(gr_checker *c);
gr_status gr_check_jacobian(gr_checker *c);

/* directions.c */
gr_status gr_check_directions(gr_checker *c);

/* passes.c */
gr_status gr_check_repeats(gr_checker *c);
gr_status gr_check_accumulation(gr_checker *c);
gr_status gr_check_f32(gr_checker *c);

/* second_order.c. The gradient of a function, summed with random weights: gr_second_run() with a gr_second as context
 * is checked like any function. */
typedef struct gr_second {
    gr_subject of;
    uint64_t seed;
} gr_second;
gr_tensor *gr_second_run(gr_tape *t, gr_tensor *const x[], int n, void *second);
gr_status gr_check_graph_agrees(gr_checker *c, const gr_second *second);

/* nodes.c */
gr_status gr_check_nodes(const gr_subject *of, const gr_check_options *options, gr_check_report *report);

/* ---- Above, and aside -------------------------------------------------------------------------------------------- */

/* check.c: as the report calls it. */
const char *gr_check_mode_name(gr_check_mode mode);

/* hint.c: what the numbers suggest; `terms` is how many f is the sum of. */
void gr_check_hint(gr_check_report *r, const gr_subject *of, int64_t terms);

#endif
