/* lovasz.c: calls of the ops in src/losses/lovasz.c. */
#include "sample_kit.h"

#define ATTR(...) \
    .attr = &(gr_region_attr) { __VA_ARGS__ }
#define ERRORS IN(0, 2, 2, 3, 2, 3)
#define MASK BITS(2, 3, 2, 3)

static const sample lovasz_samples[] = {
    {.what = "planes", .in = {ERRORS, MASK}, ATTR(0)},
    {.what = "classes", .in = {ERRORS, MASK}, ATTR(.region = GR_PER_CLASS)},
    {.what = "samples, without background",
     .in = {ERRORS, MASK},
     ATTR(.region = GR_PER_SAMPLE, .without_background = true)},
    {.what = "the whole, without background",
     .in = {ERRORS, MASK},
     ATTR(.region = GR_WHOLE, .without_background = true)},
    {.what = "weighted", .n_in = 3, .in = {ERRORS, MASK, WEIGHTS(2, 3, 2, 3)}, ATTR(0)},
    {.what = "an empty mask", .in = {IN(0, 2, 5), IN(0, 0, 5)}, ATTR(.region = GR_WHOLE)},
    {.what = "a full mask", .in = {IN(0, 2, 5), IN(1, 1, 5)}, ATTR(.region = GR_WHOLE)},
    {.what = "no errors", .in = {IN(0, 0, 5), BITS(5)}, ATTR(.region = GR_WHOLE), .value_only = true},
    {.what = "planes of nothing", .in = {IN(0, 1, 2, 3, 0), IN(0, 1, 2, 3, 0)}, ATTR(0), .verdict = {GR_CHECK_VACUOUS}},
    {.what = "a negative weight",
     .n_in = 3,
     .in = {IN(0, 2, 3), BITS(3), IN(-1, -1, 3)},
     ATTR(.region = GR_WHOLE),
     .refused = "the weight is -1 at [0], expected 0 or more"},
    {.what = "a soft target",
     .in = {IN(0, 2, 3), {SHAPE(3), VALUES(0, 1, 0.5)}},
     ATTR(.region = GR_WHOLE),
     .refused = "target 0.5 at [2], expected 0 or 1"},
    {.what = "shapes that differ",
     .in = {IN(0, 2, 3), BITS(3, 1)},
     ATTR(.region = GR_WHOLE),
     .refused = "shapes differ"},
    {.what = "a vector has no planes", .in = {IN(0, 2, 3), BITS(3)}, ATTR(0), .refused = "has no planes"},
};

SAMPLES(lovasz, lovasz_samples)
