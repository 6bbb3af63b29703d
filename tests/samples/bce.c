/* bce.c: calls of the ops in src/losses/bce.c. */
#include "sample_kit.h"

static const sample samples[] = {
    {.what = "mean of probabilities", .in = {IN(0.05, 0.95, 3, 4), IN(0.05, 0.95, 3, 4)}, LOSS(0)},
    {.what = "sum of probabilities, soft targets",
     .in = {IN(0.05, 0.95, 3, 4), IN(0.05, 0.95, 3, 4)},
     LOSS(.reduction = GR_SUM)},
    {.what = "none", .in = {IN(0.05, 0.95, 5), IN(0.05, 0.95, 5)}, LOSS(.reduction = GR_NONE)},
    {.what = "mean of logits", .in = {IN(-3, 3, 3, 4), IN(0.05, 0.95, 3, 4)}, LOSS(.from_logits = true)},
    {.what = "logits, soft targets, smoothed",
     .in = {IN(-3, 3, 5), IN(0.05, 0.95, 5)},
     LOSS(.from_logits = true, .label_smoothing = 0.2, .reduction = GR_NONE)},
    {.what = "probabilities, smoothed", .in = {IN(0.1, 0.9, 5), IN(0.05, 0.95, 5)}, LOSS(.label_smoothing = 0.2)},
    {.what = "a weight for each",
     .n_in = 3,
     .in = {IN(-3, 3, 6), IN(0.05, 0.95, 6), WEIGHTS(6)},
     LOSS(.from_logits = true, .weighted = true)},
    {.what = "extreme logits",
     .in = {{SHAPE(5), VALUES(-1000, 1000, 40, -40, 100)}, IN(0.3, 0.6, 5)},
     LOSS(.from_logits = true, .reduction = GR_SUM)},
    {.what = "logits, the negatives ignored",
     .in = {IN(-3, 3, 5), BITS(5)},
     LOSS(.from_logits = true, .ignore = true),
     .value_only = true},
    {.what = "certain and right", .in = {{SHAPE(3), VALUES(1, 0, 0)}, BITS(3)}, LOSS(0), .value_only = true},
    {.what = "logits for probabilities",
     .in = {{SHAPE(2, 2), VALUES(0, 3.25, 0.5, 1)}, BITS(2, 2)},
     LOSS(0),
     .refused = "prediction 3.25 at [0,1] is outside [0,1]; are these logits?"},
    {.what = "a target outside",
     .in = {IN(0, 1, 3), {SHAPE(3), VALUES(0, 1, -1)}},
     LOSS(0),
     .refused = "target -1 at [2]"},
    {.what = "a column against a vector",
     .in = {IN(0, 1, 3), BITS(3, 1)},
     LOSS(0),
     .refused = "the prediction is [3], the target [3,1]"},
};

static const sample slope_samples[] = {
    {.what = "probabilities", .in = {IN(0.1, 0.9, 3, 4), IN(0.05, 0.95, 3, 4)}, LOSS(0)},
    {.what = "logits", .in = {IN(-3, 3, 3, 4), IN(0.05, 0.95, 3, 4)}, LOSS(.from_logits = true)},
    {.what = "probabilities, smoothed", .in = {IN(0.1, 0.9, 5), IN(0.05, 0.95, 5)}, LOSS(.label_smoothing = 0.2)},
    {.what = "logits, smoothed",
     .in = {IN(-3, 3, 5), IN(0.05, 0.95, 5)},
     LOSS(.from_logits = true, .label_smoothing = 0.2)},
    {.what = "shapes that differ", .in = {IN(0, 1, 3, 4), BITS(4)}, LOSS(0), .refused = "shapes differ"},
};

SAMPLES(bce, samples)
SAMPLES(bce_slope, slope_samples)
