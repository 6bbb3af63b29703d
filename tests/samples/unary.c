/* unary.c: calls of the ops in src/autograd/unary.c. */
#include "sample_kit.h"

static const sample anywhere[] = {
    {.what = "a matrix", .in = {IN(-2, 2, 3, 4)}},
    {.what = "a scalar", .in = {IN_SCALAR(-2, 2)}},
    {.what = "more than one vector of any length", .in = {IN(-3, 3, 37)}},
    {.what = "nothing", .in = {IN(0, 1, 0, 3)}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .refused = "i32"},
};

static const sample positive[] = {
    {.what = "a matrix", .in = {IN(0.2, 3, 3, 4)}},
    {.what = "a scalar", .in = {IN_SCALAR(0.2, 2)}},
    {.what = "large", .in = {IN(1e3, 1e4, 5)}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .refused = "i32"},
};

static const sample scale_samples[] = {
    {.what = "a matrix", .in = {IN(-2, 2, 3, 4)}, .attr = &(gr_scalars){.a = -2.5}},
    {.what = "by nothing", .in = {IN(-2, 2, 3)}, .attr = &(gr_scalars){.a = 0}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .attr = &(gr_scalars){.a = 2}, .refused = "i32"},
};

static const sample pow_samples[] = {
    {.what = "a fraction", .in = {IN(0.3, 2, 3, 4)}, .attr = &(gr_scalars){.a = 1.7}},
    {.what = "a negative fraction", .in = {IN(0.3, 2, 5)}, .attr = &(gr_scalars){.a = -0.5}},
    {.what = "a cube, both signs", .in = {IN(-2, 2, 5)}, .attr = &(gr_scalars){.a = 3}},
    {.what = "the power 1 at 0", .in = {{SHAPE(2), VALUES(0, 1)}}, .attr = &(gr_scalars){.a = 1}},
    {.what = "the power 0 at 0", .in = {{SHAPE(2), VALUES(0, 1)}}, .attr = &(gr_scalars){.a = 0}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .attr = &(gr_scalars){.a = 2}, .refused = "i32"},
};

static const sample clamp_samples[] = {
    {.what = "all three sides", .in = {IN(-2, 2, 20)}, .attr = &(gr_scalars){-0.7, 1.1}},
    {.what = "one side", .in = {IN(-2, 2, 9)}, .attr = &(gr_scalars){0, (double)INFINITY}},
    {.what = "at the bounds", .in = {{SHAPE(3), VALUES(-1, 0, 1)}}, .attr = &(gr_scalars){-1, 1}, .value_only = true},
    {.what = "bounds that cross", .in = {IN(-2, 2, 3)}, .attr = &(gr_scalars){1, -1}, .refused = "hold nothing"},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .attr = &(gr_scalars){-1, 1}, .refused = "i32"},
};

SAMPLES(neg, anywhere)
SAMPLES(scale, scale_samples)
SAMPLES(shift, scale_samples)
SAMPLES(pow_scalar, pow_samples)
SAMPLES(square, anywhere)
SAMPLES(sqrt, positive)
SAMPLES(exp, anywhere)
SAMPLES(expm1, anywhere)
SAMPLES(log, positive)
SAMPLES(log1p, positive)
SAMPLES(abs, anywhere)
SAMPLES(sign, anywhere)
SAMPLES(sin, anywhere)
SAMPLES(cos, anywhere)
SAMPLES(inside, clamp_samples)
SAMPLES(clamp, clamp_samples)
