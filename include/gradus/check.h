/* check.h: derivatives against finite differences.
 *
 *     static gr_tensor *f(gr_tape *t, gr_tensor *const x[], int n, void *context)
 *     {
 *         return gr_mse(t, gr_sigmoid(t, x[0]), x[1], NULL);
 *     }
 *
 *     gr_check_report report;
 *     if (gr_check_gradients(f, NULL, inputs, 2, NULL, &report)) puts(gr_last_error());
 *     gr_check_fprint(stdout, &report);
 *
 * The inputs are F64 leaves, in which differences have digits to spare; the derivative of each element of those that
 * require a gradient is compared with (f(x+h) - f(x-h)) / 2h, extrapolated to h = 0 with an estimate of its error
 * (Ridders, 1982). What may come out, of an element and of the whole:
 *
 *     PASS              |analytic - numeric| <= rtol max(|analytic|, |numeric|) + 4 error, and the error is small
 *     FAIL              it is not so. A NaN or an infinity is one too
 *     KINK              no derivative exists here (relu at 0); the analytic value lies between the slopes on both sides
 *     UNRESOLVED        the differences are too uncertain to tell: that is no pass
 *     VACUOUS           nothing was compared, or everything is 0 on both sides: that is no pass either
 *     NONDETERMINISTIC  two runs differ in a bit: dropout, an uninitialised variable, a state
 *
 * The whole is a PASS when no element is anything but PASS or KINK; see gr_check_verdict for the rest. After a FAIL the
 * report names the place: the worst elements, and the first op of the tape whose own derivative is wrong.
 *
 * For a network of many parameters begin with one number for all of them, in a few dozen evaluations of f:
 *
 *     gr_check_gradients(network, &model, parameters, n, &(gr_check_options){.mode = GR_CHECK_DIRECTIONAL}, &report);
 *
 * docs/gradient_checking.md explains the method, its cost and its limits. In your own tests: check_cmocka.h.
 */
#ifndef GRADUS_CHECK_H
#define GRADUS_CHECK_H

#include <gradus/op.h>
#include <gradus/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Simple ------------------------------------------------------------------------------------------------- */

/* The function under check: makes a result of any shape from its inputs with ops of the tape; NULL when an op failed.
 * It must be the same function every time, and must not write to its inputs, nor call gr_backward(), gr_tape_reset() or
 * gr_tape_free() on its tape, which is GR_ERR_STATE; gr_grad() it may call. A result of more than one element is summed
 * with random weights, so that no constant direction (the sum of a softmax is always 1) can hide an error. */
typedef gr_tensor *(*gr_check_function)(gr_tape *t, gr_tensor *const x[], int n, void *context);

/* In order of the enum: FAIL, NONDETERMINISTIC and UNRESOLVED elements make the whole so, in this order of weight (an
 * UNRESOLVED one only if it is not negligible, that is below 1e-9 of the largest derivative found); without any the
 * whole is VACUOUS when no element differs from 0, KINK when there is nothing but kinks, and else PASS. */
typedef enum gr_check_verdict {
    GR_CHECK_PASS,
    GR_CHECK_FAIL,
    GR_CHECK_KINK,
    GR_CHECK_UNRESOLVED,
    GR_CHECK_VACUOUS,
    GR_CHECK_NONDETERMINISTIC,
    GR_CHECK_N_VERDICTS
} gr_check_verdict;

typedef struct gr_check_options gr_check_options;
typedef struct gr_check_report gr_check_report;

enum { GR_CHECK_MAX_INPUTS = 64 };

/* Checks the gradients of f at x. Inputs that require a gradient are F64 leaves of yours, else GR_ERR_DTYPE or
 * GR_ERR_STATE. They are put back bit for bit, and accumulated gradients are left as they are. Returns GR_OK when the
 * comparison could be made, whatever its verdict; the error of the op that failed otherwise, and GR_ERR_STATE when f
 * wrote to an input. `options` may be NULL. */
GR_EXPORT GR_NODISCARD gr_status gr_check_gradients(gr_check_function f, void *context, gr_tensor *const x[], int n,
                                                    const gr_check_options *options, gr_check_report *report);

/* The report as a table for people. gr_check_format() fills `text` as snprintf does and returns the length needed; a
 * NULL text has no room. What writes to a file flushes it. Errors: GR_ERR_NULL (nothing is written of a NULL report),
 * GR_ERR_IO (the file did not take it). Numbers have a decimal point, whatever the locale. */
GR_EXPORT gr_status gr_check_fprint(FILE *file, const gr_check_report *report);
GR_EXPORT size_t gr_check_format(char *text, size_t capacity, const gr_check_report *report);

/* The report for programs: a line of CSV for each of the worst elements, below a line of names; one JSON object. */
GR_EXPORT gr_status gr_check_fprint_csv(FILE *file, const gr_check_report *report);
GR_EXPORT gr_status gr_check_fprint_json(FILE *file, const gr_check_report *report);

/* "PASS", ... */
GR_EXPORT const char *gr_check_verdict_name(gr_check_verdict verdict);

/* ---- Ways of checking --------------------------------------------------------------------------------------- */

/* With E evaluations of f for one derivative: 9 where f is linear, 15 to 25 as a rule, 5 with five points; one of them
 * finds out, with a NaN, which terms of f depend on the element. Each check begins with some 5 more. */
typedef enum gr_check_mode {
    /* every element: E for each */
    GR_CHECK_FULL,
    /* `samples` elements of each input, spread over it, so that a bias of 10 is looked at beside a weight of a
     * million: E for each of them. An error in an element that is not among them stays unseen. */
    GR_CHECK_SAMPLED,
    /* `directions` times all elements at once, each up or down by chance: E for each time, and on a failure E log2 of
     * the number of elements to find the culprit by halving. Sees every element, if not as sharply as one by one. */
    GR_CHECK_DIRECTIONAL,
    /* Every element of a result that is no scalar, by every element of the inputs: VJPs by unit vectors against
     * columns of differences. E for each element of the inputs, a backward pass for each of the result. */
    GR_CHECK_JACOBIAN,
    /* Each op that f recorded, by itself at the inputs it had, `samples` elements of each: names the ops that are
     * wrong in a network, however deep. E for each sample, of that op alone. */
    GR_CHECK_PER_NODE,
    /* Two backward passes over one tape must accumulate twice the gradient of one. No differences: three passes. */
    GR_CHECK_ACCUMULATION,
    /* The gradient computed in F32 against that in F64, at points that both can hold. Where rounding led the two to
     * different branches a difference is UNRESOLVED. f must work in either dtype and take what it differentiates from x
     * alone. Two passes. */
    GR_CHECK_F32,
    GR_CHECK_N_MODES
} gr_check_mode;

/* How a derivative is estimated. */
typedef enum gr_check_estimate {
    GR_CHECK_RIDDERS,   /* extrapolated, from two incommensurate starting steps: 11 to 15 digits */
    GR_CHECK_FIVE_POINT /* from 4 differences in 5 evaluations: 10 to 13 digits, but an error known to 7 or 8 */
} gr_check_estimate;

struct gr_check_options {
    gr_check_mode mode;
    gr_check_estimate estimate;
    int order;   /* 2: the gradient of the gradient, summed with random weights; else 1. Not with the last two modes */
    double step; /* the largest step tried, times max(1,|x|), rounded to a power of 2; 0: 1/16 */
    double rtol; /* below 1; 0: 1e-7; 1e-4 in mode GR_CHECK_F32 */
    double atol; /* a finite absolute difference that is accepted, 0 as a rule */
    int samples; /* 0: 16 of each input */
    int directions; /* 0: 3 */
    uint64_t seed;  /* of the weights of a result, the samples and the directions */
};

/* ---- The report --------------------------------------------------------------------------------------------- */

/* One comparison. */
typedef struct gr_check_element {
    gr_check_verdict verdict;
    int input;           /* which input of f, or of the op `op` */
    int64_t index;       /* its row-major position there; -1: a direction through all elements */
    int64_t output;      /* which element of the result (GR_CHECK_JACOBIAN); -1: all, weighted */
    int64_t node;        /* which node of the tape (GR_CHECK_PER_NODE); -1: f as a whole */
    const char *op;      /* its op's name, or NULL */
    char place[48];      /* "w[3,0]": the input by its name or number, and the position */
    double analytic;     /* what the tape says */
    double numeric;      /* what the differences say, */
    double error;        /* and by how much they may be wrong */
    double relative;     /* |analytic - numeric| / max(|analytic|, |numeric|) */
    double step;         /* h, */
    double above, below; /* f(x+h) and f(x-h) */
    double left, right;  /* at a kink, the slopes on its two sides */
} gr_check_element;

enum { GR_CHECK_WORST = 10, GR_CHECK_BINS = 17 };

struct gr_check_report {
    gr_check_verdict verdict;
    gr_check_mode mode;
    int64_t compared;                   /* elements, or directions */
    int64_t failed;                     /* count[GR_CHECK_FAIL] */
    int64_t count[GR_CHECK_N_VERDICTS]; /* of elements, by verdict */
    int64_t histogram[GR_CHECK_BINS];   /* relative errors: below 1e-15, to 1e-14, ..., to 1, and 1 or more */
    int64_t evaluations, backwards;     /* of f, and of its backward pass */
    int n_worst;                        /* the worst comparisons, the worst first */
    gr_check_element worst[GR_CHECK_WORST];
    int input; /* those of worst[0], for a short message of your own; -1 without one */
    int64_t index;
    double analytic, numeric, error;
    int64_t culprit;        /* after a FAIL, the first node that is wrong by itself; -1: none was found */
    const char *culprit_op; /* and its op's name, or NULL */
    char hint[200];         /* what the numbers suggest, or "" */
};

/* One element, whatever the mode: what the differences say of it, how sure they are, and the verdict. For studies of
 * your own. */
GR_EXPORT GR_NODISCARD gr_status gr_check_one(gr_check_function f, void *context, gr_tensor *const x[], int n,
                                              int input, int64_t index, const gr_check_options *options,
                                              gr_check_element *element);

#ifdef __cplusplus
}
#endif
#endif
