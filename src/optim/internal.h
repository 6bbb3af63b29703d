/* internal.h: the inside of the optimizers: a set of parameters, and the record that a new optimizer is. */
#ifndef GR_OPTIM_INTERNAL_H
#define GR_OPTIM_INTERNAL_H

#include <math.h>

#include <gradus/optim.h>
#include <gradus/tape.h>

#include "tensor/internal.h"

struct gr_params {
    int n, capacity;
    gr_tensor **tensors;
    int n_buffers, buffer_capacity;
    gr_tensor **buffers;
};

/* Most state tensors of a rule, and most numbers. */
enum { GR_MAX_STATES = 2, GR_MAX_NUMBERS = 8 };

/* Of a rule's numbers the first is always the learning rate; a rule names the others. */
enum { GR_LR = 0 };

/* The update of one parameter, as a rule's kernel sees it: arrays of the parameter's dtype, the numbers as double. */
typedef struct gr_update {
    void *w;
    const void *g;
    void *state[GR_MAX_STATES];
    const double *numbers;
} gr_update;

/* An optimizer is one const record. Its kernel reads w, g and state once and writes w and state in the same pass,
 * element by element, so that neither spans nor threads change a bit. */
typedef struct gr_rule {
    const char *name;
    int n_states;                                 /* tensors like the parameter, zeros at first */
    void (*prepare)(double numbers[], int64_t t); /* for a parameter's step t = 1, 2, ...; NULL: each is alike */
    gr_span_body kernel[GR_N_CPUS][GR_N_DTYPES];  /* of a gr_update */
} gr_rule;

/* One of a rule's numbers as the user gave it, 0 standing for `standard`. 0 <= value < below, else GR_ERR_OPTION. */
#define GR_ANY_SIZE ((double)INFINITY)
typedef struct gr_option {
    const char *name;
    double value, standard, below;
} gr_option;

bool gr_option_fits(const char *who, const gr_option *option);

/* An optimizer of all parameters in the set, by a rule with these numbers; one without a name is the rule's own
 * business. NULL with an error that begins with the rule's name. */
gr_optimizer *gr_optimizer_new(gr_params *params, const gr_rule *rule, const gr_option options[GR_MAX_NUMBERS]);

#endif
