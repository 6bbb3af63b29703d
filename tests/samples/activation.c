/* activation.c: calls of the ops in src/autograd/activation.c. */
#include "sample_kit.h"

static const sample samples[] = {
    {.what = "a matrix", .in = {IN(-3, 3, 3, 4)}},
    {.what = "a scalar", .in = {IN_SCALAR(-2, 2)}},
    {.what = "more than one vector of any length", .in = {IN(-5, 5, 37)}},
    {.what = "saturated", .in = {{SHAPE(4), VALUES(-40, 40, -15, 15)}}},
    {.what = "extreme", .in = {{SHAPE(4), VALUES(-1000, 1000, -700, 700)}}},
    {.what = "nothing", .in = {IN(0, 1, 0, 3)}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .refused = "i32"},
};

static const sample pairs[] = {
    {.what = "equal shapes", .in = {IN(-1, 1, 3, 4), IN(0.05, 0.95, 3, 4)}},
    {.what = "shapes that differ", .in = {IN(-1, 1, 3, 4), IN(0.05, 0.95, 4)}, .refused = "shapes differ"},
};

static const sample gate_samples[] = {
    {.what = "equal shapes", .in = {IN(-1, 1, 3, 4), IN(-1, 1, 3, 4)}, .attr = &(gr_scalars){1.5, -0.5}},
    {.what = "shapes that differ",
     .in = {IN(-1, 1, 3, 4), IN(-1, 1, 4)},
     .attr = &(gr_scalars){1, 0},
     .refused = "shapes differ"},
};

static const sample scalar_samples[] = {
    {.what = "a matrix", .in = {IN(-3, 3, 3, 4)}, .attr = &(gr_scalars){.a = 0.3}},
    {.what = "more than one vector of any length", .in = {IN(-5, 5, 37)}, .attr = &(gr_scalars){.a = 1.5}},
    {.what = "extreme", .in = {{SHAPE(2), VALUES(-1000, 1000)}}, .attr = &(gr_scalars){.a = 0.01}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .attr = &(gr_scalars){.a = 0.3}, .refused = "i32"},
};

SAMPLES(tanh, samples)
SAMPLES(sigmoid_grad, pairs)
SAMPLES(sigmoid, samples)
SAMPLES(log_sigmoid, samples)
SAMPLES(softplus, samples)
SAMPLES(gate, gate_samples)
SAMPLES(relu, samples)
SAMPLES(leaky_relu, scalar_samples)
SAMPLES(elu, scalar_samples)
SAMPLES(normal_cdf, samples)
SAMPLES(gelu, samples)
SAMPLES(silu, samples)
