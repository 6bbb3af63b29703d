/* samples.h: calls that tests make of more than one loss. */
#ifndef GR_LOSSES_SAMPLES_H
#define GR_LOSSES_SAMPLES_H

#include <math.h>

#include "losses/internal.h"

#define GR_LOSS(...)        \
    .attr = &(gr_loss_attr) \
    {                       \
        __VA_ARGS__         \
    }
#define GR_VALUES(...) \
    .values = (double[]){__VA_ARGS__}, .n_values = (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double))
#define GR_WEIGHTS(...)                                                                            \
    {                                                                                              \
        .rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .shape = {__VA_ARGS__}, \
        GR_VALUES(0.5, 0, 2, 1.5)                                                                  \
    }

/* Numbers against numbers. */
static const gr_sample gr_regression_samples[] = {
    {.what = "mean", .in = {GR_IN(-2, 2, 3, 4), GR_IN(-2, 2, 3, 4)}, GR_LOSS(0)},
    {.what = "sum", .in = {GR_IN(-2, 2, 3, 4), GR_IN(-2, 2, 3, 4)}, GR_LOSS(.reduction = GR_SUM)},
    {.what = "none", .in = {GR_IN(-2, 2, 3, 4), GR_IN(-2, 2, 3, 4)}, GR_LOSS(.reduction = GR_NONE)},
    {.what = "a scalar", .in = {GR_IN_SCALAR(-2, 2), GR_IN_SCALAR(-2, 2)}, GR_LOSS(0)},
    {.what = "weighted mean",
     .n_in = 3,
     .in = {GR_IN(-2, 2, 3, 4), GR_IN(-2, 2, 3, 4), GR_WEIGHTS(3, 4)},
     GR_LOSS(.weighted = true)},
    {.what = "weighted none",
     .n_in = 3,
     .in = {GR_IN(-2, 2, 5), GR_IN(-2, 2, 5), GR_WEIGHTS(5)},
     GR_LOSS(.weighted = true, .reduction = GR_NONE)},
    {.what = "nothing, summed", .in = {GR_IN(0, 1, 0, 3), GR_IN(0, 1, 0, 3)}, GR_LOSS(.reduction = GR_SUM)},
    {.what = "a mean over nothing",
     .in = {GR_IN(0, 1, 0, 3), GR_IN(0, 1, 0, 3)},
     GR_LOSS(0),
     .refused = "a mean over nothing"},
    {.what = "a column against a vector",
     .in = {GR_IN(0, 1, 3), GR_IN(0, 1, 3, 1)},
     GR_LOSS(0),
     .refused = "the prediction is [3], the target [3,1]"},
    {.what = "a target of integers",
     .in = {GR_IN(0, 1, 3), {.rank = 1, .shape = {3}, .integer = true}},
     GR_LOSS(0),
     .refused = "f64 and i32"},
    {.what = "a target that is NaN",
     .in = {GR_IN(0, 1, 3), {.rank = 1, .shape = {3}, GR_VALUES(0, (double)NAN, 1)}},
     GR_LOSS(0),
     .refused = "target nan at [1]"},
    {.what = "a weight of another shape",
     .n_in = 3,
     .in = {GR_IN(0, 1, 3), GR_IN(0, 1, 3), GR_IN(0, 1, 4)},
     GR_LOSS(.weighted = true),
     .refused = "the weight is [4], expected [3]"},
    {.what = "a negative weight",
     .n_in = 3,
     .in = {GR_IN(0, 1, 3), GR_IN(0, 1, 3), GR_IN(-2, -1, 3)},
     GR_LOSS(.weighted = true),
     .refused = "expected 0 or more"},
};

static const gr_sample gr_regression_slope_samples[] = {
    {.what = "a matrix", .in = {GR_IN(-2, 2, 3, 4), GR_IN(-2, 2, 3, 4)}, GR_LOSS(0)},
    {.what = "shapes that differ", .in = {GR_IN(-2, 2, 3, 4), GR_IN(-2, 2, 4)}, GR_LOSS(0), .refused = "shapes differ"},
};

/* Scores against signs. */
#define GR_SIGNS(...)                                                                              \
    {                                                                                              \
        .rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .shape = {__VA_ARGS__}, \
        GR_VALUES(1, -1, -1, 1, 1)                                                                 \
    }

/* Probabilities or logits against labels of 0 and 1. */
#define GR_BITS(...)                                                                               \
    {                                                                                              \
        .rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .shape = {__VA_ARGS__}, \
        GR_VALUES(1, 0, 0, 1, 1)                                                                   \
    }

#endif
