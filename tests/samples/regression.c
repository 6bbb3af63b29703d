/* regression.c: calls of the losses of numbers against numbers, src/losses/l1.c and mse.c. */
#include "sample_kit.h"

static const sample losses[] = {
    {.what = "mean", .in = {IN(-2, 2, 3, 4), IN(-2, 2, 3, 4)}, LOSS(0)},
    {.what = "sum", .in = {IN(-2, 2, 3, 4), IN(-2, 2, 3, 4)}, LOSS(.reduction = GR_SUM)},
    {.what = "none", .in = {IN(-2, 2, 3, 4), IN(-2, 2, 3, 4)}, LOSS(.reduction = GR_NONE)},
    {.what = "a scalar", .in = {IN_SCALAR(-2, 2), IN_SCALAR(-2, 2)}, LOSS(0)},
    {.what = "weighted mean",
     .n_in = 3,
     .in = {IN(-2, 2, 3, 4), IN(-2, 2, 3, 4), WEIGHTS(3, 4)},
     LOSS(.weighted = true)},
    {.what = "weighted none",
     .n_in = 3,
     .in = {IN(-2, 2, 5), IN(-2, 2, 5), WEIGHTS(5)},
     LOSS(.weighted = true, .reduction = GR_NONE)},
    {.what = "nothing, summed", .in = {IN(0, 1, 0, 3), IN(0, 1, 0, 3)}, LOSS(.reduction = GR_SUM)},
    {.what = "a mean over nothing", .in = {IN(0, 1, 0, 3), IN(0, 1, 0, 3)}, LOSS(0), .refused = "a mean over nothing"},
    {.what = "a column against a vector",
     .in = {IN(0, 1, 3), IN(0, 1, 3, 1)},
     LOSS(0),
     .refused = "the prediction is [3], the target [3,1]"},
    {.what = "a target of integers",
     .in = {IN(0, 1, 3), {SHAPE(3), .integer = true}},
     LOSS(0),
     .refused = "f64 and i32"},
    {.what = "a target that is NaN",
     .in = {IN(0, 1, 3), {SHAPE(3), VALUES(0, (double)NAN, 1)}},
     LOSS(0),
     .refused = "target nan at [1]"},
    {.what = "a weight of another shape",
     .n_in = 3,
     .in = {IN(0, 1, 3), IN(0, 1, 3), IN(0, 1, 4)},
     LOSS(.weighted = true),
     .refused = "the weight is [4], expected [3]"},
    {.what = "a negative weight",
     .n_in = 3,
     .in = {IN(0, 1, 3), IN(0, 1, 3), IN(-2, -1, 3)},
     LOSS(.weighted = true),
     .refused = "expected 0 or more"},
};

SAMPLES(l1, losses)
SAMPLES(mse, losses)
