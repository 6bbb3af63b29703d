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
 * require a gradient is compared with (f(x+h) - f(x-h)) / 2h, extrapolated to h = 0 from steps of a scale that is
 * found, with an error that is known: of the series, of rounding, of noise within f. What may come out, of an element
 * and of the whole:
 *
 *     PASS              |analytic - numeric| <= rtol max(|analytic|, |numeric|) + 4 error, and 4 errors are less than
 *                       4e-4 of the derivative, or 1e-9 of the largest one: the numeric value is known
 *     FAIL              the difference is larger than every known error, rounding of the analytic value included; or
 *                       the analytic value is not finite where the slope is, or the function is not finite at x
 *     KINK              no derivative exists here (relu at 0); the analytic value lies between the slopes on both sides
 *     UNRESOLVED        the differences are too uncertain to tell: that is no pass
 *     VACUOUS           nothing was compared, or everything is 0 on both sides: that is no pass either
 *     NONDETERMINISTIC  two runs differ in a bit: dropout, an uninitialised variable, a state that an op keeps
 *
 * The whole is a PASS when no element is anything but PASS or KINK; see gr_check_verdict for the rest. Where nothing
 * fails it is also checked that the gradient is linear in its cotangent, and right at a second point along a direction.
 * After a FAIL the report names the place: the worst elements, and the first op of the tape whose own derivative is
 * wrong.
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
 * gr_tape_free() on its tape, which is GR_ERR_STATE; gr_grad() it may call. At times it is called with a NaN. A result
 * of more than one element is summed with random weights, so that no constant direction (the sum of a softmax is always
 * 1) can hide an error. */
typedef gr_tensor *(*gr_check_function)(gr_tape *t, gr_tensor *const x[], int n, void *context);

/* FAIL, NONDETERMINISTIC and UNRESOLVED elements make the whole so, in this order of weight; without any the whole is
 * VACUOUS when no element differs from 0, KINK when there is nothing but kinks, and else PASS. */
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

/* With E evaluations of f for one derivative: 5 as a rule; 40 and more where the scale has to be searched for, f is
 * noisy, or there is a kink, and after a disagreement: mostly below 2,000, at a root or a power at 0 some 20,000. Each
 * check takes some 10 evaluations and 7 backward passes more: see gr_check_cost(). */
typedef enum gr_check_mode {
    /* every element: E for each */
    GR_CHECK_FULL,
    /* `samples` elements of each input, spread over it, so that a bias of 10 is looked at beside a weight of a
     * million: E for each of them. An error in an element that is not among them stays unseen. */
    GR_CHECK_SAMPLED,
    /* `directions` times all elements at once, each moved by a part of its scale with a sign and a magnitude by chance:
     * E for each time, and on a failure E log2 of the number of elements to find the culprit by halving. Sees every
     * element, if not as sharply as one by one. */
    GR_CHECK_DIRECTIONAL,
    /* Every element of a result that is no scalar, by every element of the inputs: VJPs by unit vectors against
     * columns of differences. E for each element of the inputs, a backward pass for each of the result. */
    GR_CHECK_JACOBIAN,
    /* Each op that f recorded, by itself at the inputs it had, `samples` elements of each: names the ops that are
     * wrong in a network, however deep. E for each sample, of that op alone. */
    GR_CHECK_PER_NODE,
    /* Two backward passes over one tape must accumulate twice the gradient of one. No differences: four passes. */
    GR_CHECK_ACCUMULATION,
    /* The gradient computed in F32 against that in F64, at points that both can hold, each element relative to itself;
     * one that rounding of F32 moves may be off by as much, up to rtol of the largest of its input. Where rounding led
     * the two to different branches a difference is UNRESOLVED. f must work in either dtype and take what it
     * differentiates from x alone. Twelve passes. */
    GR_CHECK_F32,
    /* As GR_CHECK_DIRECTIONAL, and along each direction v the orders by which Taylor's remainders shrink with h:
     *
     *     |f(x+hv) - f(x)|,   |f(x+hv) - f(x) - h g.v|,   |f(x+hv) - f(x) - h g.v - h^2/2 v.Hv|
     *
     * They are 1, 2 and 3; the second is 1 where g is not the gradient. PASS says that the differences agree with the
     * tape and that the second is at least 1.9, over a range of steps above the noise. The third, which is NaN where f
     * has no second derivative, is for you to read: with order 2 it is the second that speaks of H. E and some 30
     * evaluations for each direction. */
    GR_CHECK_TAYLOR,
    GR_CHECK_N_MODES
} gr_check_mode;

struct gr_check_options {
    gr_check_mode mode;
    int order;    /* 2: the gradient of the gradient, summed with random weights, by the inputs and by the cotangent g;
                   * else 1. Not with GR_CHECK_ACCUMULATION and GR_CHECK_F32 */
    double scale; /* of every element: a step in which f changes and keeps its shape; 0: found, for each by itself */
    double rtol;  /* below 1; 0: 1e-7; 1e-4 in mode GR_CHECK_F32 */
    double atol;  /* a finite absolute difference that is accepted, 0 as a rule */
    int samples;  /* 0: 16 of each input */
    int directions; /* 0: 3 */
    uint64_t seed;  /* of the weights of a result, the samples and the directions */
    /* Called after each comparison, or in mode GR_CHECK_PER_NODE after each op, but not in those of two passes, with
     * how many are done, and of how many; false stops the check with GR_ERR_STATE. NULL: nobody is told. */
    bool (*progress)(int64_t done, int64_t total, void *context);
    void *progress_context;
};

/* How many evaluations of f a check at these inputs takes at least, if f is smooth and its derivative right, and some
 * more where a derivative has to be looked at twice. Only inputs that require a gradient count, and nothing is run.
 * With order 2 one evaluation is of f and of its gradient. In mode GR_CHECK_PER_NODE the ops' own are not counted. -1
 * with an error: GR_ERR_NULL, GR_ERR_OPTION. */
GR_EXPORT int64_t gr_check_cost(gr_tensor *const x[], int n, const gr_check_options *options);

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

enum { GR_CHECK_WORST = 10, GR_CHECK_BINS = 17, GR_CHECK_ORDERS = 3 };

struct gr_check_report {
    gr_check_verdict verdict;
    gr_check_mode mode;
    int64_t compared;                   /* elements, or directions */
    int64_t failed;                     /* count[GR_CHECK_FAIL] */
    int64_t count[GR_CHECK_N_VERDICTS]; /* of elements, by verdict */
    int64_t histogram[GR_CHECK_BINS];   /* relative errors: below 1e-15, to 1e-14, ..., to 1, and 1 or more */
    int64_t evaluations, backwards;     /* of f, and of single ops; of its backward pass, or of a plain derivative */
    int n_worst;                        /* the worst comparisons, the worst first */
    gr_check_element worst[GR_CHECK_WORST];
    int input; /* those of worst[0], for a short message of your own; -1 without one */
    int64_t index;
    double analytic, numeric, error;
    double digits;          /* of f, decimal ones, where noise within it was met: the fewest; 0: none was */
    int64_t culprit;        /* after a FAIL, the first node that is wrong by itself; -1: none was found */
    const char *culprit_op; /* and its op's name, or NULL */
    char hint[320];         /* what the numbers suggest, or "" */
    /* GR_CHECK_TAYLOR: the observed orders of the remainders, of the direction in which the second is least. Infinite
     * where a remainder is all noise, as the second of a linear f is; NaN where too few steps lie above the noise. And
     * the longest and the shortest step of the second, as parts of the direction, whose elements are about x's size. */
    double order[GR_CHECK_ORDERS], range[2];
};

/* One element, whatever the mode: what the differences say of it, how sure they are, and the verdict. For studies of
 * your own. */
GR_EXPORT GR_NODISCARD gr_status gr_check_one(gr_check_function f, void *context, gr_tensor *const x[], int n,
                                              int input, int64_t index, const gr_check_options *options,
                                              gr_check_element *element);

/* The error of the usual central difference with a step h, as everyone has written it once. */
typedef struct gr_check_point {
    double h;        /* which you give, above 0 */
    double f64, f32; /* |(f(x+h) - f(x-h)) / 2h - df/dx|, f computed in either; NaN where f has no value */
} gr_check_point;

/* How that error depends on h, for one element of one input: a V on a log-log plot, for a long step is off by h^2, and
 * a short one by rounding over h. df/dx is what the tape says in F64; *element is what gr_check_one() makes of it, with
 * no step to choose. In F32 f is given copies of the inputs; where it does not take them, .f32 is NaN. Errors: those of
 * gr_check_one(), and GR_ERR_OPTION for an h that is not above 0 or for less than no points. */
GR_EXPORT GR_NODISCARD gr_status gr_check_curve(gr_check_function f, void *context, gr_tensor *const x[], int n,
                                                int input, int64_t index, gr_check_point points[], int n_points,
                                                gr_check_element *element);

#ifdef __cplusplus
}
#endif
#endif
