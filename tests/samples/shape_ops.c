/* shape_ops.c: calls of the ops in src/autograd/shape_ops.c. */
#include "sample_kit.h"

static const sample reshape_samples[] = {
    {.what = "a matrix to a vector", .in = {IN(-1, 1, 3, 4)}, .attr = &(gr_type){SHAPE(12)}},
    {.what = "with a dimension to work out", .in = {IN(-1, 1, 2, 6)}, .attr = &(gr_type){SHAPE(2, -1, 3)}},
    {.what = "to a scalar", .in = {IN(-1, 1, 1, 1)}, .attr = &(gr_type){.rank = 0}},
    {.what = "nothing", .in = {IN(-1, 1, 0, 3)}, .attr = &(gr_type){SHAPE(0)}, .verdict = {GR_CHECK_VACUOUS}},
    {.what = "another size",
     .in = {IN(-1, 1, 3, 4)},
     .attr = &(gr_type){SHAPE(13)},
     .refused = "[3,4] has not the elements of [13]"},
    {.what = "two to work out", .in = {IN(-1, 1, 3, 4)}, .attr = &(gr_type){SHAPE(-1, -1)}, .refused = "[-1,-1]"},
};

static const sample detach_samples[] = {
    {.what = "a matrix", .in = {IN(-1, 1, 3, 4)}, .value_only = true},
};

static const sample permute_samples[] = {
    {.what = "a matrix", .in = {IN(-1, 1, 3, 4)}, .attr = &(gr_permute_attr){2, {1, 0}}},
    {.what = "three axes in a ring", .in = {IN(-1, 1, 2, 3, 4)}, .attr = &(gr_permute_attr){3, {2, 0, 1}}},
    {.what = "channels last", .in = {IN(-1, 1, 2, 3, 2, 2)}, .attr = &(gr_permute_attr){4, {0, 2, -1, 1}}},
    {.what = "a scalar", .in = {IN_SCALAR(-1, 1)}, .attr = &(gr_permute_attr){0, {0}}},
    {.what = "an axis twice",
     .in = {IN(-1, 1, 3, 4)},
     .attr = &(gr_permute_attr){2, {1, 1}},
     .refused = "each axis of [3,4] once"},
    {.what = "too few axes",
     .in = {IN(-1, 1, 3, 4)},
     .attr = &(gr_permute_attr){1, {0}},
     .refused = "each axis of [3,4] once"},
};

static const sample concat_samples[] = {
    {.what = "rows", .n_in = 3, .in = {IN(-1, 1, 1, 3), IN(-1, 1, 2, 3), IN(-1, 1, 1, 3)}, .attr = &(gr_axis_attr){0}},
    {.what = "columns", .n_in = 2, .in = {IN(-1, 1, 2, 3), IN(-1, 1, 2, 1)}, .attr = &(gr_axis_attr){-1}},
    {.what = "channels", .n_in = 2, .in = {IN(-1, 1, 2, 1, 2, 2), IN(-1, 1, 2, 3, 2, 2)}, .attr = &(gr_axis_attr){1}},
    {.what = "one alone", .n_in = 1, .in = {IN(-1, 1, 4)}, .attr = &(gr_axis_attr){0}},
    {.what = "nothing beside something",
     .n_in = 2,
     .in = {IN(-1, 1, 0, 3), IN(-1, 1, 2, 3)},
     .attr = &(gr_axis_attr){0},
     .verdict = {GR_CHECK_VACUOUS}},
    {.what = "shapes that differ elsewhere",
     .n_in = 2,
     .in = {IN(-1, 1, 2, 3), IN(-1, 1, 2, 4)},
     .attr = &(gr_axis_attr){0},
     .refused = "input 1, [2,4]"},
    {.what = "a scalar",
     .n_in = 1,
     .in = {IN_SCALAR(-1, 1)},
     .attr = &(gr_axis_attr){0},
     .refused = "axis 0 is not in []"},
};

static const sample slice_samples[] = {
    {.what = "rows", .in = {IN(-1, 1, 4, 3)}, .attr = &(gr_range_attr){.axis = 0, .start = 1, .stop = 3}},
    {.what = "columns", .in = {IN(-1, 1, 2, 5)}, .attr = &(gr_range_attr){.axis = 1, .start = -3, .stop = 4}},
    {.what = "channels", .in = {IN(-1, 1, 2, 3, 2, 2)}, .attr = &(gr_range_attr){.axis = 1, .start = 1, .stop = 3}},
    {.what = "nothing",
     .in = {IN(-1, 1, 4, 3)},
     .attr = &(gr_range_attr){.axis = 1, .start = 2, .stop = 2},
     .verdict = {GR_CHECK_VACUOUS}},
    {.what = "past the end",
     .in = {IN(-1, 1, 4, 3)},
     .attr = &(gr_range_attr){.axis = 0, .start = 1, .stop = 5},
     .refused = "1..5 of axis 0 is not in [4,3]"},
    {.what = "no such axis",
     .in = {IN(-1, 1, 4)},
     .attr = &(gr_range_attr){.axis = 1, .start = 0, .stop = 1},
     .refused = "axis 1 is not in [4]"},
};

static const sample pad_samples[] = {
    {.what = "columns",
     .in = {IN(-1, 1, 3, 2)},
     .attr = &(gr_range_attr){.axis = 1, .before = 1, .after = 2, .value = 0.5}},
    {.what = "rows, on one side", .in = {IN(-1, 1, 3, 2)}, .attr = &(gr_range_attr){.axis = 0, .after = 2}},
    {.what = "nothing",
     .in = {IN(-1, 1, 0, 2)},
     .attr = &(gr_range_attr){.axis = 0, .before = 2},
     .verdict = {GR_CHECK_VACUOUS}},
    {.what = "a negative width",
     .in = {IN(-1, 1, 3)},
     .attr = &(gr_range_attr){.axis = 0, .before = -1},
     .refused = "-1 before"},
    {.what = "no such axis",
     .in = {IN(-1, 1, 3)},
     .attr = &(gr_range_attr){.axis = 1},
     .refused = "axis 1 is not in [3]"},
};

static const sample cast_samples[] = {
    {.what = "to f64", .in = {IN(-1, 1, 3, 4)}, .attr = &(gr_cast_attr){GR_F64}},
    {.what = "class indices", .in = {{SHAPE(3), .lo = 0, .hi = 9, .integer = true}}, .attr = &(gr_cast_attr){GR_F64}},
    {.what = "to i32", .in = {IN(-1, 1, 3, 4)}, .attr = &(gr_cast_attr){GR_I32}, .refused = "to i32"},
};

SAMPLES(reshape, reshape_samples)
SAMPLES(detach, detach_samples)
SAMPLES(permute, permute_samples)
SAMPLES(concat, concat_samples)
SAMPLES(slice, slice_samples)
SAMPLES(pad, pad_samples)
SAMPLES(cast, cast_samples)
