/* hinge.c: calls of the ops in src/losses/hinge.c. */
#include "sample_kit.h"

static const sample samples[] = {
    {.what = "mean", .in = {IN(-2, 2, 3, 4), SIGNS(3, 4)}, LOSS(0)},
    {.what = "sum", .in = {IN(-2, 2, 3, 4), SIGNS(3, 4)}, LOSS(.reduction = GR_SUM)},
    {.what = "none, the negatives ignored",
     .in = {IN(-2, 2, 5), SIGNS(5)},
     LOSS(.reduction = GR_NONE, .ignore = true, .ignore_index = -1)},
    {.what = "a weight for each", .n_in = 3, .in = {IN(-2, 2, 5), SIGNS(5), WEIGHTS(5)}, LOSS(.weighted = true)},
    {.what = "at the margin", .in = {{SHAPE(2), VALUES(1, -1)}, SIGNS(2)}, LOSS(0), .verdict = {GR_CHECK_KINK}},
    {.what = "labels of 0 and 1",
     .in = {IN(-2, 2, 3), BITS(3)},
     LOSS(0),
     .refused = "target 0 at [1], expected -1 or 1"},
};

SAMPLES(hinge, samples)
