/* internal.h: the inside of the optimizers: a set of parameters, and the record that a new optimizer is. */
#ifndef GR_OPTIM_INTERNAL_H
#define GR_OPTIM_INTERNAL_H

#include <math.h>

#include <gradus/optim.h>
#include <gradus/tape.h>

#include "tensor/internal.h"

/* Tensors that the set owns, in the order in which they were added. */
typedef struct gr_tensor_list {
    int64_t n, capacity;
    gr_tensor **tensors;
} gr_tensor_list;

enum { GR_PARAMETERS, GR_BUFFERS, GR_N_LISTS };
struct gr_params {
    gr_tensor_list lists[GR_N_LISTS];
};

/* The most state tensors that a rule has, and the most numbers. */
enum { GR_MAX_STATES = 2, GR_MAX_NUMBERS = 8 };

/* The first of a rule's numbers is the learning rate; each rule names its others. */
enum { GR_LR = 0 };

/* The update of one parameter, as a rule's kernel sees it: arrays of the parameter's dtype and length. */
typedef struct gr_update {
    void *w;                    /* the parameter */
    const void *g;              /* its gradient */
    void *state[GR_MAX_STATES]; /* NULL: not there */
    const double *numbers;      /* [GR_MAX_NUMBERS] */
} gr_update;

/* An optimizer is one const record. Its kernel reads w, g and state once and writes w and state in the same pass,
 * element by element, so that neither spans nor threads change a bit. */
typedef struct gr_rule {
    const char *name;
    void (*prepare)(double numbers[], int64_t t); /* sets the numbers that depend on a parameter's step t = 1, 2, ... */
    void (*grow)(const double numbers[], double g, double bound[]); /* see is_surely_finite() */
    gr_span_body kernel[GR_N_CPUS][GR_N_DTYPES];                    /* of a gr_update */
} gr_rule;

/* For grow(): 1 / eps or 1, whichever is larger. An eps that is no normal F32 may be 0 there. */
static inline double gr_most_by(double eps)
{
    return eps >= 1.0 ? 1.0 : eps >= 0x1p-126 ? 1.0 / eps : (double)INFINITY;
}

/* One of a rule's numbers: the `value` that the user gave, in 0 <= value < below, where 0 stands for `standard`. */
#define GR_ANY_SIZE ((double)INFINITY)
typedef struct gr_option {
    const char *name;
    double value, standard, below;
} gr_option;

/* Whether the value is in its range; else GR_ERR_OPTION with a message that begins with `who`. */
bool gr_option_fits(const char *who, const gr_option *option);

/* An optimizer of all parameters in the set, each with n_states tensors like it, zeros at first. options[i] is number i
 * of the rule; its range is checked if it has a name. NULL with an error that begins with the rule's name. */
gr_optimizer *gr_optimizer_new(gr_params *params, const gr_rule *rule, int n_states,
                               const gr_option options[GR_MAX_NUMBERS]);

#endif
