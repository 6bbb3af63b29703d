/* upsample.c: calls of the ops in src/autograd/upsample.c. */
#include "sample_kit.h"

#define TO(rows, columns, mode_) \
    .attr = &(gr_upsample_attr) { .size = {rows, columns}, .mode = (mode_) }

static const sample samples[] = {
    {.what = "twice", .in = {IN(-2, 2, 1, 2, 2, 3)}, TO(4, 6, GR_NEAREST)},
    {.what = "three times one, once the other", .in = {IN(-2, 2, 2, 1, 2, 3)}, TO(6, 3, GR_NEAREST)},
    {.what = "nearest, no integer", .in = {IN(-2, 2, 1, 1, 3, 2)}, TO(5, 7, GR_NEAREST)},
    {.what = "bilinear, twice", .in = {IN(-2, 2, 1, 1, 2, 3)}, TO(4, 6, GR_BILINEAR)},
    {.what = "bilinear, no integer", .in = {IN(-2, 2, 1, 2, 3, 2)}, TO(4, 5, GR_BILINEAR)},
    {.what = "corners aligned", .in = {IN(-2, 2, 1, 1, 2, 3)}, TO(3, 7, GR_BILINEAR_ALIGNED)},
    {.what = "corners aligned, one row", .in = {IN(-2, 2, 1, 1, 1, 3)}, TO(1, 4, GR_BILINEAR_ALIGNED)},
    {.what = "one pixel", .in = {IN(-2, 2, 1, 1, 1, 1)}, TO(3, 2, GR_BILINEAR)},
    {.what = "the same size", .in = {IN(-2, 2, 1, 1, 2, 3)}, TO(2, 3, GR_BILINEAR)},
    {.what = "no images", .in = {IN(0, 1, 0, 2, 2, 3)}, TO(4, 6, GR_BILINEAR), .verdict = {GR_CHECK_VACUOUS}},
    {.what = "smaller",
     .in = {IN(0, 1, 1, 1, 4, 4)},
     TO(8, 3, GR_NEAREST),
     .refused = "[1,1,4,4] to 8 x 3, expected no fewer rows and columns"},
    {.what = "one mode too many",
     .in = {IN(0, 1, 1, 1, 2, 2)},
     TO(4, 4, GR_N_UPSAMPLE_MODES),
     .refused = "no such mode: 3"},
    {.what = "a mode below zero",
     .in = {IN(0, 1, 1, 1, 2, 2)},
     TO(4, 4, (gr_upsample_mode)-1),
     .refused = "no such mode: -1"},
    {.what = "images of nothing",
     .in = {IN(0, 1, 1, 1, 2, 0)},
     TO(4, 4, GR_NEAREST),
     .refused = "images of nothing: [1,1,2,0]"},
    {.what = "a matrix", .in = {IN(0, 1, 2, 2)}, TO(4, 4, GR_NEAREST), .refused = "expected images [N,C,H,W]: [2,2]"},
    {.what = "class indices", .in = {{SHAPE(1, 1, 2, 2), .integer = true}}, TO(4, 4, GR_NEAREST), .refused = "i32"},
};

static const sample adjoint_samples[] = {
    {.what = "twice", .in = {IN(-2, 2, 1, 2, 4, 6)}, TO(2, 3, GR_NEAREST)},
    {.what = "three times one, once the other", .in = {IN(-2, 2, 2, 1, 6, 3)}, TO(2, 3, GR_NEAREST)},
    {.what = "nearest, no integer", .in = {IN(-2, 2, 1, 1, 5, 7)}, TO(3, 2, GR_NEAREST)},
    {.what = "bilinear, no integer", .in = {IN(-2, 2, 1, 2, 4, 5)}, TO(3, 2, GR_BILINEAR)},
    {.what = "corners aligned", .in = {IN(-2, 2, 1, 1, 3, 7)}, TO(2, 3, GR_BILINEAR_ALIGNED)},
    {.what = "larger",
     .in = {IN(0, 1, 1, 1, 4, 4)},
     TO(2, 8, GR_NEAREST),
     .refused = "[1,1,4,4] to 2 x 8, expected no more rows and columns"},
    {.what = "to nothing", .in = {IN(0, 1, 1, 1, 4, 4)}, TO(0, 2, GR_NEAREST), .refused = "[1,1,4,4] to 0 x 2"},
};

SAMPLES(upsample2d, samples)
SAMPLES(upsample2d_adjoint, adjoint_samples)
