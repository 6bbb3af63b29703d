/* zero_one.c: calls of the ops in src/losses/zero_one.c. */
#include "sample_kit.h"

static const sample samples[] = {
    {.what = "mean of probabilities", .in = {IN(0.05, 0.95, 3, 4), BITS(3, 4)}, LOSS(0), .verdict = {GR_CHECK_VACUOUS}},
    {.what = "sum of logits",
     .in = {IN(-2, 2, 3, 4), BITS(3, 4)},
     LOSS(.reduction = GR_SUM, .from_logits = true),
     .verdict = {GR_CHECK_VACUOUS}},
    {.what = "none, one class ignored",
     .in = {IN(0.05, 0.95, 5), BITS(5)},
     LOSS(.reduction = GR_NONE, .ignore = true),
     .verdict = {GR_CHECK_VACUOUS}},
    {.what = "a weight for each",
     .n_in = 3,
     .in = {IN(0, 1, 5), BITS(5), WEIGHTS(5)},
     LOSS(.weighted = true),
     .verdict = {GR_CHECK_VACUOUS}},
    {.what = "logits for probabilities",
     .in = {{SHAPE(2), VALUES(0.5, -3.25)}, BITS(2)},
     LOSS(0),
     .refused = "prediction -3.25 at [1] is outside [0,1]; are these logits?"},
    {.what = "a soft target", .in = {IN(0, 1, 3), IN(0.2, 0.8, 3)}, LOSS(0), .refused = "expected 0 or 1"},
};

SAMPLES(zero_one, samples)
