/* norm.c: calls of the ops in src/autograd/norm.c. */
#include "sample_kit.h"

#define NORM(...) \
    .attr = &(gr_norm_attr) { __VA_ARGS__ }
#define BATCH .kind = GR_NORM_BATCH, .epsilon = 1e-2
#define LAYER(axes) .kind = GR_NORM_LAYER, .epsilon = 1e-2, .n_axes = (axes)
#define GROUPS(count) .kind = GR_NORM_GROUP, .epsilon = 1e-2, .groups = (count)
#define BOTH .gamma = true, .beta = true
#define GAMMA(...) IN(0.5, 1.5, __VA_ARGS__)
#define BETA(...) IN(-1, 1, __VA_ARGS__)

static const sample batch_samples[] = {
    {.what = "images", .n_in = 3, .in = {IN(-2, 2, 2, 3, 2, 3), GAMMA(3), BETA(3)}, NORM(BATCH, BOTH)},
    {.what = "one image, gamma", .n_in = 2, .in = {IN(-2, 2, 1, 2, 2, 3), GAMMA(2)}, NORM(BATCH, .gamma = true)},
    {.what = "one pixel, beta", .n_in = 2, .in = {IN(-2, 2, 4, 2, 1, 1), BETA(2)}, NORM(BATCH, .beta = true)},
    {.what = "alone", .in = {IN(-2, 2, 3, 2, 1, 2)}, NORM(BATCH)},
    {.what = "large and close together", .in = {IN(1000, 1001, 2, 1, 2, 2)}, NORM(BATCH), .value_only = true},
    {.what = "all equal, where h is 0 whatever gamma is",
     .n_in = 3,
     .in = {IN(3, 3, 2, 1, 2, 2), GAMMA(1), BETA(1)},
     NORM(BATCH, BOTH),
     .verdict = {[1] = GR_CHECK_VACUOUS}},
    {.what = "no channels",
     .n_in = 3,
     .in = {IN(0, 1, 2, 0, 2, 2), GAMMA(0), BETA(0)},
     NORM(BATCH, BOTH),
     .verdict = {GR_CHECK_VACUOUS, GR_CHECK_VACUOUS, GR_CHECK_VACUOUS}},
    {.what = "one value a channel",
     .in = {IN(0, 1, 1, 3, 1, 1)},
     NORM(BATCH),
     .refused = "two values a channel or more: [1,3,1,1] has 1"},
    {.what = "no images", .in = {IN(0, 1, 0, 3, 2, 2)}, NORM(BATCH), .refused = "[0,3,2,2] has 0"},
    {.what = "a gamma for each pixel",
     .n_in = 2,
     .in = {IN(0, 1, 1, 3, 1, 2), GAMMA(2)},
     NORM(BATCH, .gamma = true),
     .refused = "gamma is [2], expected [3]"},
    {.what = "beta as a row",
     .n_in = 2,
     .in = {IN(0, 1, 1, 3, 1, 2), BETA(1, 3)},
     NORM(BATCH, .beta = true),
     .refused = "beta is [1,3], expected [3]"},
    {.what = "a negative epsilon",
     .in = {IN(0, 1, 1, 3, 1, 2)},
     NORM(.kind = GR_NORM_BATCH, .epsilon = -1),
     .refused = "epsilon is -1, expected a number above 0"},
    {.what = "a matrix", .in = {IN(0, 1, 4, 4)}, NORM(BATCH), .refused = "expected images [N,C,H,W]: [4,4]"},
    {.what = "integers",
     .n_in = 2,
     .in = {{SHAPE(1, 1, 2, 2), .integer = true}, GAMMA(1)},
     NORM(BATCH, .gamma = true),
     .refused = "i32"},
};

static const sample layer_samples[] = {
    {.what = "rows", .n_in = 3, .in = {IN(-2, 2, 3, 5), GAMMA(5), BETA(5)}, NORM(LAYER(1), BOTH)},
    {.what = "the last two axes, gamma",
     .n_in = 2,
     .in = {IN(-2, 2, 2, 2, 3), GAMMA(2, 3)},
     NORM(LAYER(2), .gamma = true)},
    {.what = "a vector, beta", .n_in = 2, .in = {IN(-2, 2, 7), BETA(7)}, NORM(LAYER(1), .beta = true)},
    {.what = "alone", .in = {IN(-2, 2, 2, 3, 4)}, NORM(LAYER(1))},
    {.what = "one element, whose derivative is 0 but for rounding",
     .n_in = 3,
     .in = {IN(-2, 2, 3, 1), GAMMA(1), BETA(1)},
     NORM(LAYER(1), BOTH),
     .value_only = true},
    {.what = "no rows",
     .n_in = 3,
     .in = {IN(0, 1, 0, 3), GAMMA(3), BETA(3)},
     NORM(LAYER(1), BOTH),
     .verdict = {GR_CHECK_VACUOUS, GR_CHECK_VACUOUS, GR_CHECK_VACUOUS}},
    {.what = "rows of nothing", .in = {IN(0, 1, 3, 0)}, NORM(LAYER(1)), .refused = "of nothing: [3,0]"},
    {.what = "no axes", .in = {IN(0, 1, 3, 2)}, NORM(LAYER(0)), .refused = "the last 0 axes of [3,2], expected 1 to 2"},
    {.what = "a gamma for each row",
     .n_in = 2,
     .in = {IN(0, 1, 3, 2), GAMMA(3)},
     NORM(LAYER(1), .gamma = true),
     .refused = "gamma is [3], expected [2]"},
};

static const sample group_samples[] = {
    {.what = "two groups of images",
     .n_in = 3,
     .in = {IN(-2, 2, 2, 4, 1, 3), GAMMA(4), BETA(4)},
     NORM(GROUPS(2), BOTH)},
    {.what = "a group for each channel",
     .n_in = 2,
     .in = {IN(-2, 2, 1, 3, 4), GAMMA(3)},
     NORM(GROUPS(3), .gamma = true)},
    {.what = "one group, beta", .n_in = 2, .in = {IN(-2, 2, 2, 3, 2), BETA(3)}, NORM(GROUPS(1), .beta = true)},
    {.what = "channels without positions",
     .n_in = 3,
     .in = {IN(-2, 2, 3, 6), GAMMA(6), BETA(6)},
     NORM(GROUPS(2), BOTH)},
    {.what = "alone", .in = {IN(-2, 2, 2, 4, 3)}, NORM(GROUPS(2))},
    {.what = "no images",
     .n_in = 3,
     .in = {IN(0, 1, 0, 4, 3), GAMMA(4), BETA(4)},
     NORM(GROUPS(2), BOTH),
     .verdict = {GR_CHECK_VACUOUS, GR_CHECK_VACUOUS, GR_CHECK_VACUOUS}},
    {.what = "groups that do not divide",
     .in = {IN(0, 1, 2, 4, 3)},
     NORM(GROUPS(3)),
     .refused = "the channels of [2,4,3] do not fall into 3 groups"},
    {.what = "no groups", .in = {IN(0, 1, 2, 4, 3)}, NORM(GROUPS(0)), .refused = "into 0 groups"},
    {.what = "images of nothing", .in = {IN(0, 1, 2, 4, 0)}, NORM(GROUPS(2)), .refused = "of nothing: [2,4,0]"},
    {.what = "a vector", .in = {IN(0, 1, 4)}, NORM(GROUPS(2)), .refused = "expected [N,C,...]: [4]"},
};

SAMPLES(batch_norm2d, batch_samples)
SAMPLES(layer_norm, layer_samples)
SAMPLES(group_norm, group_samples)
