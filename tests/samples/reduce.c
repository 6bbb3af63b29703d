/* reduce.c: calls of the ops in src/autograd/reduce.c. */
#include "sample_kit.h"

static const sample reduce_samples[] = {
    {.what = "everything", .in = {IN(-2, 2, 3, 4)}, .attr = &(gr_reduce_attr){.n_axes = 0}},
    {.what = "rows", .in = {IN(-2, 2, 3, 4)}, .attr = &(gr_reduce_attr){.n_axes = 1, .axes = {1}}},
    {.what = "columns, kept",
     .in = {IN(-2, 2, 3, 4)},
     .attr = &(gr_reduce_attr){.n_axes = 1, .axes = {0}, .keep = true}},
    {.what = "the last of three", .in = {IN(-2, 2, 2, 3, 4)}, .attr = &(gr_reduce_attr){.n_axes = 1, .axes = {-1}}},
    {.what = "the middle of three", .in = {IN(-2, 2, 2, 3, 4)}, .attr = &(gr_reduce_attr){.n_axes = 1, .axes = {1}}},
    {.what = "the outer two of three",
     .in = {IN(-2, 2, 2, 3, 4)},
     .attr = &(gr_reduce_attr){.n_axes = 2, .axes = {-1, 0}}},
    {.what = "alternating axes of rank 5",
     .in = {IN(-2, 2, 2, 3, 1, 2, 3)},
     .attr = &(gr_reduce_attr){.n_axes = 2, .axes = {1, 4}, .keep = true}},
    {.what = "a scalar", .in = {IN_SCALAR(-2, 2)}, .attr = &(gr_reduce_attr){.n_axes = 0}},
    {.what = "long rows", .in = {IN(-2, 2, 2, 100)}, .attr = &(gr_reduce_attr){.n_axes = 1, .axes = {1}}},
    {.what = "no such axis",
     .in = {IN(0, 1, 3, 4)},
     .attr = &(gr_reduce_attr){.n_axes = 1, .axes = {2}},
     .refused = "axis 2 is not in [3,4]"},
    {.what = "an axis twice",
     .in = {IN(0, 1, 3, 4)},
     .attr = &(gr_reduce_attr){.n_axes = 2, .axes = {1, -1}},
     .refused = "named twice"},
    {.what = "class indices",
     .in = {{SHAPE(3), .integer = true}},
     .attr = &(gr_reduce_attr){.n_axes = 0},
     .refused = "i32"},
};

SAMPLES(sum, reduce_samples)
SAMPLES(mean, reduce_samples)
SAMPLES(max, reduce_samples)
SAMPLES(min, reduce_samples)
SAMPLES(logsumexp, reduce_samples)
