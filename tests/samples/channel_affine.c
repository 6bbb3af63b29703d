/* channel_affine.c: calls of the op in src/autograd/channel_affine.c. */
#include "sample_kit.h"

#define SHIFTS(...) IN(-1, 1, __VA_ARGS__)
#define SCALES(...) IN(0.5, 1.5, __VA_ARGS__)

static const sample affine_samples[] = {
    {.what = "images", .n_in = 4, .in = {IN(-2, 2, 2, 3, 2, 1), SHIFTS(3), SCALES(3), SHIFTS(3)}},
    {.what = "without a shift", .in = {IN(-2, 2, 1, 2, 1, 3), SHIFTS(2), SCALES(2)}},
    {.what = "no images",
     .in = {IN(-2, 2, 0, 2, 1, 3), SHIFTS(2), SCALES(2)},
     .verdict = {GR_CHECK_VACUOUS, GR_CHECK_VACUOUS, GR_CHECK_VACUOUS}},
    {.what = "another number of channels",
     .in = {IN(-2, 2, 1, 2, 1, 3), SHIFTS(2), SCALES(3)},
     .refused = "scale is [3], expected [2]"},
};

SAMPLES(channel_affine, affine_samples)
