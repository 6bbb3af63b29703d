/* dropout.c: calls of the ops in src/autograd/dropout.c. */
#include "sample_kit.h"

static const sample dropout_samples[] = {
    {.what = "half of a matrix", .in = {IN(-2, 2, 3, 4)}, .attr = &(gr_dropout_attr){0.5, 1}},
    {.what = "more than one vector of any length", .in = {IN(-2, 2, 37)}, .attr = &(gr_dropout_attr){0.25, 2}},
    {.what = "none", .in = {IN(-2, 2, 5)}, .attr = &(gr_dropout_attr){0, 3}},
    {.what = "nothing", .in = {IN(0, 1, 0, 3)}, .attr = &(gr_dropout_attr){0.5, 4}, .verdict = {GR_CHECK_VACUOUS}},
    {.what = "all",
     .in = {IN(0, 1, 3)},
     .attr = &(gr_dropout_attr){1, 5},
     .refused = "p is 1, expected 0 or more and less than 1"},
    {.what = "no number", .in = {IN(0, 1, 3)}, .attr = &(gr_dropout_attr){(double)NAN, 6}, .refused = "p is nan"},
    {.what = "class indices",
     .in = {{SHAPE(3), .integer = true}},
     .attr = &(gr_dropout_attr){0.5, 7},
     .refused = "i32"},
};

SAMPLES(dropout, dropout_samples)
