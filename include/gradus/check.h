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
 * The check runs in F64, in which differences have digits to spare. A derivative that is NaN fails, and so does a
 * comparison of nothing.
 */
#ifndef GRADUS_CHECK_H
#define GRADUS_CHECK_H

#include <gradus/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The function under check: makes a result of any shape from its inputs with ops of the tape; NULL when an op failed.
 * It must be the same function every time: no randomness, no state. */
typedef gr_tensor *(*gr_check_function)(gr_tape *t, gr_tensor *const x[], int n, void *context);

#define GR_CHECK_MAX_INPUTS 64

typedef struct gr_check_options {
    double step;  /* h of (f(x+h) - f(x-h)) / 2h, times max(1,|x|); 0: 6e-6, the cube root of the F64 epsilon */
    double rtol;  /* 0: 1e-6 */
    double atol;  /* 0: 1e-8 */
    uint64_t seed; /* of the cotangent that a result of more than one element is summed with */
} gr_check_options;

typedef enum gr_check_verdict { GR_CHECK_PASS, GR_CHECK_FAIL, GR_CHECK_VACUOUS } gr_check_verdict;

typedef struct gr_check_report {
    gr_check_verdict verdict; /* GR_CHECK_VACUOUS: nothing was compared; that is no pass */
    int64_t compared;         /* elements */
    int64_t failed;           /* of them */
    int input;                /* the worst element: which input, */
    int64_t index;            /* at which row-major position, */
    double analytic, numeric; /* what the tape and what the differences say, */
    double error;             /* |analytic - numeric| / (atol + rtol max(|analytic|, |numeric|)): above 1 is a failure */
} gr_check_report;

/* Compares the gradient of every element of every input that requires a gradient. Inputs are F64 leaves of yours, else
 * GR_ERR_DTYPE; they are restored bit for bit, and their accumulated gradients are not touched. Returns GR_OK when
 * the comparison could be made, whatever its verdict; the error of the op that failed otherwise. */
GR_EXPORT GR_NODISCARD gr_status gr_check_gradients(gr_check_function f, void *context, gr_tensor *const x[], int n,
                                                    const gr_check_options *options, gr_check_report *report);

/* The report as a sentence. */
GR_EXPORT void gr_check_fprint(FILE *file, const gr_check_report *report);

#ifdef __cplusplus
}
#endif
#endif
