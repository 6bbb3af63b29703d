/* check_internal.h: the gradient checker, a layer above the tape, its lowest file first. Each file calls only those
 * that are listed before it:
 *
 *     probe.c         f at points along a line through its inputs
 *     scatter.c       how far rounding moves the gradient of the tape
 *     estimate.c      the slope of f along that line, from differences, with an error and with kinks
 *     verdict.c       a number judged against a slope; the verdict on all comparisons together
 *     taylor.c        the order of the remainders of Taylor's series
 *     elements.c      comparisons element by element
 *     passes.c        comparisons of two passes: determinism, linearity, accumulation, F32
 *     directions.c    comparisons of all elements at once, and the search for the one that fails
 *     second_order.c  the gradient of f as a function that is checked itself
 *     nodes.c         each op that f recorded, checked by itself
 *     check.c         the public calls for a function on a tape, and the table of modes
 *     plain.c         the public call for a plain function
 *
 * Aside stand hint.c, which check.c asks at the end; report.c, which writes down what a check has left behind; and
 * curve.c, the error of a difference by its step, which asks check.c for one element. */
#ifndef GR_CHECK_INTERNAL_H
#define GR_CHECK_INTERNAL_H

#include <assert.h>
#include <gradus/check_plain.h>
#include <math.h>

#include "autograd/tape_internal.h"

/* ---- probe.c: f at points along a line ------------------------------------------------------------------------- */

/* What is under check: f, and the inputs where it is checked. */
typedef struct gr_subject {
    gr_check_function f;
    void *context;
    gr_tensor *const *x;
    int n;
    const gr_plain *plain; /* whose scales, bounds and names hold for the elements of x[0]; NULL on a tape */
} gr_subject;

/* f at x[] on the tape, which it finds empty. NULL with an error, also where f calls what would change more than
 * results, see gr_expect_idle(), or returns what has no values. */
gr_tensor *gr_subject_run(const gr_subject *s, gr_tape *t, gr_tensor *const x[]);

/* The same on the tape as it is. */
gr_tensor *gr_subject_call(const gr_subject *s, gr_tape *t, gr_tensor *const x[]);

/* f at x + t d, as constant + sum of weight_i values_i. */
typedef struct gr_point {
    double t;
    bool valid;         /* f could be evaluated, and no term that is finite at t = 0 is infinite or NaN here */
    uint64_t signature; /* of the branches that its ops took */
    double constant, *values;
} gr_point;

/* A line through the inputs. The elements of those that are differentiated are counted through all inputs. Along the
 * line elements first .. last-1 move: one by itself by t, several by t parts[], which have signs and magnitudes by
 * chance. */
typedef struct gr_line {
    int64_t first, last;
    uint64_t chance; /* not 0 where several move */
} gr_line;

/* GR_DEPENDS: the term depends on the line. GR_MOVED: it has changed in a step that crossed no branch. */
enum { GR_DEPENDS = 1, GR_MOVED = 2 };

/* How many points of a line are kept: enough for one estimate, and for the estimates of many outputs. */
enum { GR_FEW_POINTS = 12, GR_MAX_POINTS = 160 };

typedef struct gr_probe {
    gr_tape *t;
    gr_subject of;
    uint64_t seed;
    gr_tensor *saved[GR_CHECK_MAX_INPUTS];  /* copies of all inputs, as they were */
    int64_t start[GR_CHECK_MAX_INPUTS + 1]; /* of each input's elements in the count of those differentiated, */
    int64_t n_elements;                     /* of which there are so many */
    double typical[GR_CHECK_MAX_INPUTS];    /* the size of each input's elements that are not 0, about; else 0 */
    double scale;                           /* of all elements, where the options give one; else 0 */
    gr_line line;                           /* the one that the points are on */
    double unit;                            /* what its parts are multiplied by: a power of 2 */
    double *parts;                          /* of the elements that move: x_k(t) = x_k + t part_k */
    gr_tensor *y;                           /* f's newest result, on the tape */
    gr_point base, *points;                 /* f at t = 0, and a ring of the newest points */
    double value;                           /* of f at t = 0, all outputs with their weights */
    int capacity, next;                     /* of the ring */
    int64_t n_terms;
    double *weights; /* of the terms */
    double *quanta;  /* of each term: what all its values along this line are multiples of; from gr_probe_tie() on */
    uint8_t *ties;   /* of each term to the line: GR_DEPENDS, GR_MOVED */
    bool tied;       /* these are known; else every term may depend on the line */
    bool whole;      /* the only term is the result itself */
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

/* Puts the inputs back where the caller has moved them. */
void gr_probe_restore(const gr_probe *p);

/* Moves each element that is differentiated by up to a part of its scale, up or down by chance, within the bounds.
 * gr_probe_restore() puts it back. */
void gr_probe_move(const gr_probe *p, double part, uint64_t chance);

/* Begins a line. gr_probe_tie() finds the terms that depend on it: the noise of the others does not count then. */
gr_status gr_probe_on(gr_probe *p, gr_line line);
gr_status gr_probe_tie(gr_probe *p);

/* A step that the element, or the line, can take, about: a power of 2. The shortest that can be told from none. */
double gr_probe_scale(const gr_probe *p, int64_t element);
double gr_probe_guess(const gr_probe *p);
double gr_probe_shortest(const gr_probe *p);

/* Whether the element is between bounds that are equal. */
bool gr_probe_is_fixed(const gr_probe *p, int64_t element);

/* f(x + t d), from the ring if it is there. NULL when p->refused says why. */
const gr_point *gr_probe_at(gr_probe *p, double t);

/* By how much f(x + h d) and f(x - h d) change when the result of each op is rounded otherwise: what rounding within f
 * may be. 0 for a plain function, of which nothing is seen. */
double gr_probe_rounding(gr_probe *p, double h);

/* What f's values along this line are multiples of, as far as they have been seen: a power of 2, about. 2^-52 of them
 * for what is computed in double; more for float code, or where f is a sum that cancels. 0 until gr_probe_tie(). */
double gr_probe_quantum(const gr_probe *p);

/* f at two points, without rounding to speak of, and what rounding of the terms may have added. */
typedef struct gr_difference {
    double value;  /* f(a) - f(b) */
    double second; /* f(a) - 2 f(0) + f(b) */
    double total;  /* of the terms' differences, without their signs */
    double around; /* of those from f(0), to a and to b */
    double noise;
} gr_difference;

gr_difference gr_probe_difference(const gr_probe *p, const gr_point *a, const gr_point *b);
double gr_probe_value(const gr_probe *p, const gr_point *a);

/* Whether f, which runs where its inputs are, gives the same bits again. */
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

/* The slope along the line that the tape's gradient has at t; NaN where there is none. `gradient` is room for one. */
gr_status gr_probe_slope_at(gr_probe *p, double t, double *gradient, double *slope);

/* ---- scatter.c: what rounding does to the tape's side ---------------------------------------------------------- */

/* Copies of inputs, those of floating point in the given dtype, into an array of NULLs; after an error those
 * that were made are there. */
gr_status gr_check_copies(gr_tensor *const x[], int n, gr_dtype dtype, gr_tensor *copy[]);

/* A VJP of f: the cotangent is a w + b u, where w are the usual weights, and u is of both signs; each element of it
 * times up to 1 + nudge. */
typedef struct gr_pass {
    double a, b, nudge;
    bool in_f32;       /* else in F64 */
    uint64_t rounding; /* not 0: the results of ops are changed by chance, as rounding may */
    uint64_t branches; /* that f took */
} gr_pass;

gr_status gr_pass_vjp(gr_probe *p, gr_tensor *y, const gr_pass *m, gr_tensor *const x[], double *gradient);

/* Runs f where its inputs are, in F32 on copies of them, and takes the VJP. */
gr_status gr_pass_run(gr_probe *p, gr_pass *m, double *gradient);

/* The same, into v, and how far each element of it moves when the inputs do by a part of their scales, the cotangent by
 * as much, and the result of each op in F64 by rounding: `scatter` becomes that where it is less. `moved` is room. */
gr_status gr_pass_scatter(gr_probe *p, gr_pass m, double part, int times, double *v, double *moved, double *scatter);

/* ---- estimate.c: slopes ---------------------------------------------------------------------------------------- */

/* How often an error counts. A slope is known where so often its error is less than a part of it, or of the slopes of
 * f's terms, where they cancel. */
#define GR_CONFIDENCE 4.0
#define GR_SHARPNESS 4e-4
#define GR_OF_TERMS 1e-9

typedef struct gr_slope {
    double value, error; /* of the derivative along the line; the value is NaN where nothing is known */
    double other;        /* what the shortest steps agree on instead, if rounding within f may be why; or NaN */
    double noise;        /* of f: what was measured beyond the rounding of its terms, what its values are rounded to */
    double terms_slope;  /* the slopes of f's terms without their signs: what the error may be compared with */
    double around;       /* the same on the two sides of x: of an extremum they cancel */
    double h, above, below; /* the step that the value is from, f(x+h) and f(x-h) */
    bool kink;              /* no derivative exists; these are the slopes on the two sides, and `error` is theirs */
    double left, right;
    bool nowhere;  /* f(x) is not finite */
    bool beside;   /* f takes other branches on both sides than at x */
    bool jump;     /* f(x) is not what f tends to, on one side or both */
    bool edge;     /* f has values on one side only */
    bool diverges; /* on one side or both the slope grows without bound */
    bool constant; /* f did not change at all in the step of the value, nor in shorter ones */
} gr_slope;

/* The slope along the line that the probe is on. `expected` is what the tape says: a slope that says the same to rtol
 * is sooner known. */
gr_status gr_estimate(gr_probe *p, double rtol, double expected, gr_slope *slope);

/* ---- verdict.c: comparisons judged ----------------------------------------------------------------------------- */

/* A check under way. */
typedef struct gr_checker {
    gr_probe probe;
    gr_check_options options; /* complete */
    gr_check_report *report;
    int64_t node; /* being checked by itself, or -1 */
    const char *op;
    double *gradient, *other; /* that of f, by all elements, and room for one */
    double *expected;         /* of each element: NaN if not compared, the analytic value, or after a FAIL the slope */
    double *scatter;          /* how far rounding moves each analytic value, once that has been asked */
    int64_t scatter_of;       /* for this output, */
    double scatter_by;        /* when the inputs move by this part of their scales */
    double largest;           /* of all analytic values, each times the scale of its element */
    int64_t done, total;      /* comparisons, for the caller's progress function */
    bool anything;            /* some derivative is not 0 */
    bool nonlinear;           /* the VJP is not linear in its cotangent */
    bool elsewhere;           /* it fails at a second point */
} gr_checker;

gr_status gr_checker_open(gr_checker *c, const gr_subject *of, const gr_check_options *options, int points,
                          gr_check_report *report);
gr_status gr_checker_close(gr_checker *c, gr_status status);

/* The gradient of f, which has just run where its inputs are, into c->gradient. */
gr_status gr_check_differentiate(gr_checker *c);

/* An analytic value to be judged: that of one element, or a sum over those that move along a line. */
typedef struct gr_judged {
    double analytic;
    double relative_to; /* what an agreement is relative to */
    double scale;       /* of the step that it is multiplied by: makes derivatives by different inputs comparable */
} gr_judged;

/* Takes in the analytic values of all elements: what the others are compared with. */
void gr_check_measure(gr_checker *c, const double *gradient);

/* Judges it against a slope and fills in what the report says of it, but for its place. */
gr_status gr_check_judge(gr_checker *c, const gr_judged *j, const gr_slope *s, gr_check_element *e);
void gr_check_place(const gr_checker *c, int64_t element, gr_check_element *e);

/* The same in words, where they are wanted: gr_check_note() writes them for what the report keeps. */
void gr_check_name_place(const gr_checker *c, gr_check_element *e);

/* One comparison more is done: tells the caller's progress function, which may stop the check. */
gr_status gr_check_progress(gr_checker *c);

/* Puts a comparison into the report; the same for two numbers that are not a derivative and its estimate. */
void gr_check_note(const gr_checker *c, const gr_check_element *e);
void gr_check_note_pair(gr_checker *c, int64_t element, gr_check_verdict v, double a, double b);

/* The verdict on the whole, from what is in the report; what two such verdicts make together. */
void gr_check_settle(gr_checker *c);
gr_check_verdict gr_check_heavier(gr_check_verdict a, gr_check_verdict b);

/* taylor.c: the observed orders along the direction that the probe is on, into the report. The verdict on it becomes
 * UNRESOLVED where they say otherwise. */
gr_status gr_check_orders(gr_checker *c, const gr_judged *j, const gr_slope *s, gr_check_element *e);

/* ---- What is compared ------------------------------------------------------------------------------------------- */

/* elements.c. Element k of all: estimated, judged, with its place. */
gr_status gr_check_element_of(gr_checker *c, int64_t element, double analytic, gr_check_element *e);
gr_status gr_check_full(gr_checker *c);
gr_status gr_check_sampled(gr_checker *c);
gr_status gr_check_jacobian(gr_checker *c);

/* directions.c; and after a comparison in which nothing failed, what that cannot see: a VJP that is not linear in g, or
 * that is right at x alone. */
gr_status gr_check_directions(gr_checker *c);
gr_status gr_check_beyond(gr_checker *c);

gr_status gr_check_repeats(gr_checker *c);
gr_status gr_check_linear(gr_checker *c);
gr_status gr_check_accumulation(gr_checker *c);
gr_status gr_check_f32(gr_checker *c);

/* second_order.c. What is checked: f, or with order 2 the gradient of f, summed with random weights, as a function of
 * f's inputs and of the cotangent g. gr_second_close() also after an error. */
typedef struct gr_second {
    gr_subject of, checked;
    gr_tensor *g, *x[GR_CHECK_MAX_INPUTS]; /* of the gradient; else NULL */
    uint64_t seed;
} gr_second;
gr_status gr_second_open(gr_second *s, const gr_subject *of, const gr_check_options *options);
void gr_second_close(gr_second *s);
gr_status gr_check_graph_agrees(gr_checker *c, const gr_second *second);

/* nodes.c */
gr_status gr_check_nodes(const gr_subject *of, const gr_check_options *options, gr_check_report *report);

/* ---- Above, and aside -------------------------------------------------------------------------------------------- */

/* check.c: the whole check of a function, with options that the caller has given; what its mode is called. */
gr_status gr_check_subject(const gr_subject *of, const gr_check_options *options, gr_check_report *report);
const char *gr_check_mode_name(gr_check_mode mode);

/* hint.c: what the numbers suggest. */
void gr_check_hint(gr_checker *c);

#endif
