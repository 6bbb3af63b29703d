/* regression.h: what the files of lesson 2 share: 02_logistic_regression.c, the model, its losses and its training;
 * data.c, where samples come from; results.c, what is drawn and logged. */
#ifndef LESSONS_REGRESSION_H
#define LESSONS_REGRESSION_H

#include "../common.h"

/* ---- Data --------------------------------------------------------------------------------------------------- */

/* Where the samples come from, and how many of them are for training. */
typedef struct source {
    const char *csv, *idx[2];       /* files, or neither: generated */
    const char *test, *test_idx[2]; /* to be judged by; neither: what is left of the samples above */
    gr_csv_options columns;
    int64_t samples;
    double spread, train_fraction;
} source;

typedef struct data {
    gr_dataset *set;          /* as it was read: names of classes and features, class indices */
    gr_dataset *train, *test; /* x [n, features] and y as numbers, [n, outputs] */
    int classes;
    int64_t features, outputs;
} data;

/* Reads or makes the samples, splits them, and says what they are. */
data load(const source *s, gr_rng *rng);
void free_data(data *d);

const char *class_name(const data *d, int c);

/* The class that a row stands for: of one number, whether it exceeds the threshold; of more, where the largest is. */
int64_t class_of(const float *row, int64_t outputs, float threshold);

/* ---- The model and its training ----------------------------------------------------------------------------- */

enum { MSE, CROSS_ENTROPY, N_LOSSES };
enum { ORDINARY, SATURATED, N_STARTS };
extern const char *const loss_names[N_LOSSES], *const start_names[N_STARTS];

typedef struct model {
    gr_params *params;
    gr_tensor *w, *b; /* [features, outputs], [outputs]; the set's */
} model;

typedef struct plan {
    int64_t epochs, batch;
    double rate, bias;
} plan;

/* What one epoch ended with. */
typedef struct point {
    double loss, train, test; /* the loss on the training samples; accuracies in percent */
} point;

typedef struct run {
    model m;
    point *history; /* of epochs 0 (untrained) to plan.epochs */
} run;

/* Logs all epochs, draws them and, where there are two features, the plane with its points, and writes the page. */
void show_runs(const data *d, run runs[N_STARTS][N_LOSSES], const plan *p);

#endif
