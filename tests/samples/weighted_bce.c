/* weighted_bce.c: calls of the ops in src/losses/weighted_bce.c. */
#include "sample_kit.h"

#define PROBABILITIES(...) IN(0.05, 0.95, __VA_ARGS__)
#define BALANCED(region_, fixed_, ...) \
    .attr = &(gr_balanced_attr) { .loss = {__VA_ARGS__}, .region = (region_), .fixed = (fixed_) }

static const sample weighted_samples[] = {
    {.what = "mean of probabilities", .in = {PROBABILITIES(3, 4), PROBABILITIES(3, 4)}, LOSS(.beta = 5)},
    {.what = "mean of logits", .in = {IN(-3, 3, 3, 4), PROBABILITIES(3, 4)}, LOSS(.from_logits = true, .beta = 0.2)},
    {.what = "none of logits",
     .in = {IN(-3, 3, 5), BITS(5)},
     LOSS(.from_logits = true, .beta = 5, .reduction = GR_NONE)},
    {.what = "sum, positives without a weight",
     .in = {PROBABILITIES(5), PROBABILITIES(5)},
     LOSS(.beta = 0, .reduction = GR_SUM)},
    {.what = "a weight for each",
     .n_in = 3,
     .in = {IN(-3, 3, 6), PROBABILITIES(6), WEIGHTS(6)},
     LOSS(.from_logits = true, .weighted = true, .beta = 2)},
    {.what = "extreme logits",
     .in = {{SHAPE(5), VALUES(-1000, 1000, 40, -40, 100)}, IN(0.3, 0.6, 5)},
     LOSS(.from_logits = true, .reduction = GR_SUM, .beta = 3)},
    {.what = "certain and right", .in = {{SHAPE(3), VALUES(1, 0, 0)}, BITS(3)}, LOSS(.beta = 5), .value_only = true},
    {.what = "logits for probabilities",
     .in = {{SHAPE(2, 2), VALUES(0, 3.25, 0.5, 1)}, BITS(2, 2)},
     LOSS(.beta = 1),
     .refused = "prediction 3.25 at [0,1] is outside [0,1]; are these logits?"},
    {.what = "a target outside",
     .in = {IN(0, 1, 3), {SHAPE(3), VALUES(0, 1, -1)}},
     LOSS(.beta = 1),
     .refused = "target -1 at [2]"},
    {.what = "a column against a vector",
     .in = {IN(0, 1, 3), BITS(3, 1)},
     LOSS(.beta = 1),
     .refused = "the prediction is [3], the target [3,1]"},
};

static const sample balanced_samples[] = {
    {.what = "planes of probabilities",
     .in = {PROBABILITIES(2, 3, 2, 2), PROBABILITIES(2, 3, 2, 2)},
     BALANCED(GR_PER_PLANE, false, 0)},
    {.what = "classes of logits",
     .in = {IN(-3, 3, 2, 3, 2), PROBABILITIES(2, 3, 2)},
     BALANCED(GR_PER_CLASS, false, .from_logits = true)},
    {.what = "samples of logits, none reduced",
     .in = {IN(-3, 3, 2, 3), PROBABILITIES(2, 3)},
     BALANCED(GR_PER_SAMPLE, false, .from_logits = true, .reduction = GR_NONE)},
    {.what = "the whole, held back",
     .in = {IN(-3, 3, 5), IN(0.05, 0.1, 5)},
     BALANCED(GR_WHOLE, false, .from_logits = true, .margin = 0.2)},
    {.what = "a fixed beta",
     .in = {IN(-3, 3, 2, 3, 2), PROBABILITIES(2, 3, 2)},
     BALANCED(GR_PER_PLANE, true, .from_logits = true, .beta = 0.3)},
    {.what = "a weight for each",
     .n_in = 3,
     .in = {IN(-3, 3, 1, 2, 3), PROBABILITIES(1, 2, 3), WEIGHTS(1, 2, 3)},
     BALANCED(GR_PER_PLANE, false, .from_logits = true, .weighted = true)},
    {.what = "an empty mask",
     .in = {IN(-3, 3, 1, 1, 4), IN(0, 0, 1, 1, 4)},
     BALANCED(GR_PER_PLANE, false, .from_logits = true),
     .verdict = {GR_CHECK_VACUOUS}},
    {.what = "the negatives ignored",
     .in = {IN(-3, 3, 1, 1, 5), {SHAPE(1, 1, 5), VALUES(0.75, 0, 0.5, 0.25, 0)}},
     BALANCED(GR_PER_PLANE, false, .from_logits = true, .ignore = true),
     .value_only = true},
    {.what = "a matrix has no planes",
     .in = {PROBABILITIES(3, 4), PROBABILITIES(3, 4)},
     BALANCED(GR_PER_PLANE, false, 0),
     .refused = "the prediction is [3,4] and has no planes"},
    {.what = "a target outside",
     .in = {IN(-1, 1, 3), {SHAPE(3), VALUES(0, 1, 2)}},
     BALANCED(GR_WHOLE, false, .from_logits = true),
     .refused = "target 2 at [2]"},
};

SAMPLES(weighted_bce, weighted_samples)
SAMPLES(balanced_bce, balanced_samples)
