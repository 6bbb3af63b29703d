/* softmax.c: calls of the ops in src/autograd/softmax.c. */
#include "sample_kit.h"

static const sample softmax_samples[] = {
    {.what = "rows", .in = {IN(-2, 2, 3, 4)}, .attr = &(gr_axis_attr){1}},
    {.what = "columns", .in = {IN(-2, 2, 3, 4)}, .attr = &(gr_axis_attr){0}},
    {.what = "channels", .in = {IN(-2, 2, 2, 3, 2, 2)}, .attr = &(gr_axis_attr){1}},
    {.what = "one class", .in = {IN(-2, 2, 3, 1)}, .attr = &(gr_axis_attr){-1}, .verdict = {GR_CHECK_VACUOUS}},
    {.what = "many classes", .in = {IN(-2, 2, 2, 40)}, .attr = &(gr_axis_attr){-1}},
    {.what = "extreme", .in = {{SHAPE(2, 3), VALUES(1000, -1000, 0, 40, -40, 39)}}, .attr = &(gr_axis_attr){1}},
    {.what = "no rows", .in = {IN(0, 1, 0, 3)}, .attr = &(gr_axis_attr){1}, .verdict = {GR_CHECK_VACUOUS}},
    {.what = "no such axis", .in = {IN(0, 1, 3, 4)}, .attr = &(gr_axis_attr){2}, .refused = "axis 2 is not in [3,4]"},
    {.what = "no classes", .in = {IN(0, 1, 3, 0)}, .attr = &(gr_axis_attr){1}, .refused = "of nothing"},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .attr = &(gr_axis_attr){0}, .refused = "i32"},
};

SAMPLES(softmax, softmax_samples)
SAMPLES(log_softmax, softmax_samples)
