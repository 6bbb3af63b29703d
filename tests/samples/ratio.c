/* ratio.c: calls of the ops in src/losses/ratio.c. */
#include "sample_kit.h"

static const sample ratio_samples[] = {
    {.what = "counts", .in = {IN(0.5, 20, 3, 4), IN(0.5, 20, 3, 4)}, .attr = &(gr_scalars){.a = 0}},
    {.what = "scalars", .in = {IN_SCALAR(0.5, 2), IN_SCALAR(0.5, 2)}, .attr = &(gr_scalars){.a = 1}},
    {.what = "nearly nothing of much", .in = {IN(1e-4, 2e-4, 5), IN(100, 200, 5)}, .attr = &(gr_scalars){.a = 0}},
    {.what = "of nothing: 0",
     .in = {{SHAPE(2), VALUES(0, 1)}, {SHAPE(2), VALUES(0, 2)}},
     .attr = &(gr_scalars){.a = 0},
     .value_only = true},
    {.what = "of nothing: 1",
     .in = {{SHAPE(2), VALUES(0, 1)}, {SHAPE(2), VALUES(0, 2)}},
     .attr = &(gr_scalars){.a = 1},
     .value_only = true},
    {.what = "shapes that differ",
     .in = {IN(0, 1, 3, 4), IN(0, 1, 4)},
     .attr = &(gr_scalars){.a = 0},
     .refused = "shapes differ: [3,4] and [4]"},
};

SAMPLES(ratio, ratio_samples)
