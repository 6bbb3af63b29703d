/* huber.c: calls of the ops in src/losses/huber.c. */
#include "sample_kit.h"

static const sample samples[] = {
    {.what = "mean", .in = {IN(-2, 2, 3, 4), IN(-2, 2, 3, 4)}, LOSS(.delta = 1)},
    {.what = "sum, narrow", .in = {IN(-2, 2, 3, 4), IN(-2, 2, 3, 4)}, LOSS(.reduction = GR_SUM, .delta = 0.1)},
    {.what = "none, wide", .in = {IN(-2, 2, 3, 4), IN(-2, 2, 3, 4)}, LOSS(.reduction = GR_NONE, .delta = 2.5)},
    {.what = "a scalar", .in = {IN_SCALAR(-2, 2), IN_SCALAR(-2, 2)}, LOSS(.delta = 1)},
    {.what = "weighted mean",
     .n_in = 3,
     .in = {IN(-2, 2, 3, 4), IN(-2, 2, 3, 4), WEIGHTS(3, 4)},
     LOSS(.weighted = true, .delta = 1)},
    {.what = "at the joint", .in = {{SHAPE(3), VALUES(1, -1, 0)}, IN(0, 0, 3)}, LOSS(.delta = 1)},
    {.what = "nothing, summed",
     .in = {IN(0, 1, 0, 3), IN(0, 1, 0, 3)},
     LOSS(.reduction = GR_SUM, .delta = 1),
     .verdict = {GR_CHECK_VACUOUS, GR_CHECK_VACUOUS}},
    {.what = "a mean over nothing",
     .in = {IN(0, 1, 0, 3), IN(0, 1, 0, 3)},
     LOSS(.delta = 1),
     .refused = "a mean over nothing"},
    {.what = "a target that is NaN",
     .in = {IN(0, 1, 3), {SHAPE(3), VALUES(0, (double)NAN, 1)}},
     LOSS(.delta = 1),
     .refused = "target nan at [1]"},
    {.what = "a column against a vector",
     .in = {IN(0, 1, 3), IN(0, 1, 3, 1)},
     LOSS(.delta = 1),
     .refused = "the prediction is [3], the target [3,1]"},
};

SAMPLES(huber, samples)
SAMPLES(smooth_l1, samples)
