/* internal.h: the gradient checker's inside, a layer of its own above the tape:
 *
 *     probe.c      f, evaluated at points along a line through its inputs
 *     estimate.c   the slope along that line, from differences, with an error and with kinks
 *     checker.c    verdicts, and the modes that go element by element
 *     directions.c all elements at once, and the search for a culprit
 *     nodes.c      each op of a tape by itself; second order
 *     passes.c     comparisons of two passes: determinism, accumulation, F32
 *     report.c, hint.c  what is told of it
 */
#ifndef GR_CHECK_INTERNAL_H
#define GR_CHECK_INTERNAL_H

#include <gradus/check.h>
#include <math.h>

#include "autograd/tape_internal.h"

/* ---- probe.c ------------------------------------------------------------------------------------------------ */

/* f at one point: a constant, and numbers whose weighted sum is the rest. */
typedef struct gr_point {
    double t;
    bool valid; /* f is there, and finite */
    uint64_t signature;
    double constant, *values;
} gr_point;

/* A line through the inputs: elements first .. last-1, counted through all inputs that are differentiated, move by t,
 * each up or down by chance where `signs` is set, and divided by `share`, a power of 2. */
typedef struct gr_line {
    int64_t first, last;
    uint64_t signs;
    double share;
} gr_line;

/* Whether the line goes down along an element: a bit of a hash. */
static inline bool gr_sign_of(const gr_line *l, int64_t element)
{
    uint64_t z = l->signs;
    if (!z) return false;
    gr_fold_branch(&z, element);
    gr_fold_branch(&z, element);
    return z >> 63;
}

/* A term may depend on the line; a step along it has changed the term. */
enum { GR_DEPENDS = 1, GR_MOVED = 2 };

enum { GR_MAX_POINTS = 128 };

typedef struct gr_probe {
    gr_tape *t;
    gr_check_function f;
    void *context;
    gr_tensor *const *x;
    int n;
    uint64_t seed;
    gr_tensor *saved[GR_CHECK_MAX_INPUTS];  /* copies of all inputs, as they were */
    int64_t start[GR_CHECK_MAX_INPUTS + 1]; /* of each input's elements in the count of those differentiated */
    gr_line line;                           /* the one that the points are on */
    gr_point base, points[GR_MAX_POINTS];
    int n_points, next, capacity;
    int64_t n_terms;
    double *weights; /* of the terms */
    uint8_t *ties;   /* of each term to this line: GR_DEPENDS, GR_MOVED */
    bool whole;      /* the terms are the result itself */
    bool drifts;     /* the constant is none along this line */
    int64_t only;    /* the one output that counts, or -1 */
    int64_t outputs;
    gr_status refused; /* what an evaluation off the base failed with, if that was no matter of the point */
    int64_t evaluations, backwards;
} gr_probe;

/* Takes f and its inputs, and evaluates it where they are. `capacity` points of a line are kept. */
gr_status gr_probe_open(gr_probe *p, const char *who, gr_check_function f, void *context, gr_tensor *const x[], int n,
                        uint64_t seed, int capacity);

/* Puts the inputs back; GR_ERR_STATE if one is not as it was, by the hand of f. */
gr_status gr_probe_close(gr_probe *p);

/* Begins a line. Sets p->ties, by what becomes NaN when the line's elements do: a dependence too weak to be seen in any
 * difference is one all the same, and adds to the noise. */
gr_status gr_probe_on(gr_probe *p, gr_line line);

/* f(x + t d); the newest points stay. NULL when an op failed for another reason than where the point lies. */
const gr_point *gr_probe_at(gr_probe *p, double t);

/* The sum of weight (a - b), without rounding to speak of; in *noise what rounding of the terms may have added, and in
 * *total, if asked for, the sum of |weight (a - b)|. */
double gr_probe_difference(const gr_probe *p, const gr_point *a, const gr_point *b, double *noise, double *total);
double gr_probe_value(const gr_probe *p, const gr_point *a);

/* Whether f gives the same bits again. */
gr_status gr_probe_repeats(gr_probe *p, bool *same);

/* Which input an element belongs to; which inputs are differentiated. */
int gr_probe_input(const gr_probe *p, int64_t element);
static inline bool gr_is_checked(const gr_tensor *x)
{
    return x->requires_grad;
}

/* A result of f on the tape, or NULL; the weights that it is summed with, NULL for a scalar. */
gr_tensor *gr_probe_run(gr_probe *p);
gr_tensor *gr_probe_cotangent(gr_probe *p, const gr_tensor *y);

/* The gradient of all elements, by the tape, into room for them; of one output, or of all with weights (-1). */
gr_status gr_probe_gradient(gr_probe *p, int64_t output, double *gradient);

/* ---- estimate.c --------------------------------------------------------------------------------------------- */

typedef struct gr_slope {
    double value, error; /* of the derivative along the line */
    double scale;        /* the mean slope of f's terms over the first step: what the error may be compared with */
    double h, above, below;
    bool kink; /* there is none; these are the slopes on the two sides, and their error */
    double left, right;
    bool jump;  /* f(x) is not what f tends to, on one side or both */
    bool still; /* f never changed */
} gr_slope;

gr_status gr_estimate(gr_probe *p, gr_line line, const gr_check_options *options, gr_slope *slope);

/* Where an op does not tell its branches: whether the slopes on the two sides, from step h down, stay apart. */
bool gr_is_broken(gr_probe *p, double h, gr_slope *slope);

/* ---- checker.c ---------------------------------------------------------------------------------------------- */

enum { GR_CHECK_SAMPLES = 16 }; /* of each input, where the options do not say */

typedef struct gr_checker {
    gr_probe probe;
    gr_check_options options;
    gr_check_report *report;
    int64_t node; /* being checked by itself, or -1 */
    const char *op;
    double largest;          /* of all derivatives */
    double worst_unresolved; /* the largest that an unresolved one may be */
    bool anything;           /* some derivative is not 0 */
} gr_checker;

gr_status gr_checker_open(gr_checker *c, gr_check_function f, void *context, gr_tensor *const x[], int n,
                          const gr_check_options *options, gr_check_report *report);
gr_status gr_checker_close(gr_checker *c, gr_status status);

/* Puts a comparison into the report; draws the verdict on the whole from what is there. */
void gr_note(gr_check_report *r, const gr_check_element *e);
void gr_check_settle(gr_checker *c);

/* Judges an analytic value against a slope and fills in what the report says of it, but for its place. */
void gr_check_finish(gr_checker *c, double analytic, double scale, gr_slope *s, gr_check_element *e);

/* Element k of all: estimated, judged, with its place. */
gr_status gr_check_element_of(gr_checker *c, int64_t element, double analytic, gr_check_element *e);
void gr_check_place(const gr_checker *c, int64_t element, gr_check_element *e);

/* Compares `samples` elements of each input, or all with a number below 1. */
gr_status gr_check_elements(gr_checker *c, int samples);

/* ---- The other modes ---------------------------------------------------------------------------------------- */

gr_status gr_check_directions(gr_checker *c);
gr_status gr_check_jacobian(gr_checker *c);
gr_status gr_check_nodes(gr_check_function f, void *context, gr_tensor *const x[], int n,
                         const gr_check_options *options, gr_check_report *report);
gr_status gr_check_repeats(gr_checker *c);
gr_status gr_check_accumulation(gr_checker *c);
gr_status gr_check_f32(gr_checker *c);

/* The gradient of f summed with random weights, as a function to be checked; its context. */
typedef struct gr_second {
    gr_check_function f;
    void *context;
    uint64_t seed;
} gr_second;
gr_tensor *gr_second_run(gr_tape *t, gr_tensor *const x[], int n, void *second);
gr_status gr_check_graph_agrees(gr_checker *c, const gr_second *second);

/* hint.c */
void gr_check_hint(gr_check_report *r, gr_tensor *const x[], int n, int64_t terms);

#endif
