/* elementwise.c: calls of the ops in src/autograd/elementwise.c. */
#include "sample_kit.h"

/* ---- Two tensors -------------------------------------------------------------------------------------------- */

#define ROW(...)    \
    {               \
        __VA_ARGS__ \
    }
#define SCALARS .what = "scalars, the first one smaller", .in = {IN_SCALAR(0.5, 1), IN_SCALAR(1, 2)}
#define BROADCASTING                                                                                                  \
    ROW(.what = "equal shapes", .in = {IN(0.5, 2, 3, 4), IN(0.4, 1.9, 3, 4)}),                                        \
        ROW(.what = "a row over a matrix", .in = {IN(0.5, 2, 3, 4), IN(0.5, 2, 4)}),                                  \
        ROW(.what = "a matrix over a row", .in = {IN(0.5, 2, 4), IN(0.5, 2, 3, 4)}),                                  \
        ROW(.what = "a column over a matrix", .in = {IN(0.5, 2, 3, 4), IN(0.5, 2, 3, 1)}),                            \
        ROW(.what = "a row and a column", .in = {IN(0.5, 2, 1, 4), IN(0.5, 2, 3, 1)}),                                \
        ROW(.what = "an axis of 1 in the middle", .in = {IN(0.5, 2, 2, 3, 4), IN(0.5, 2, 2, 1, 4)}),                  \
        ROW(.what = "channels of images", .in = {IN(0.5, 2, 2, 3, 2, 2), IN(0.5, 2, 3, 1, 1)}),                       \
        ROW(.what = "a scalar over rank 8", .in = {IN(0.5, 2, 2, 1, 2, 1, 1, 2, 1, 2), IN_SCALAR(0.5, 2)}),           \
        ROW(.what = "nothing", .in = {IN(0, 1, 0, 4), IN(0, 1, 4)}, .verdict = {GR_CHECK_VACUOUS, GR_CHECK_VACUOUS}), \
        ROW(.what = "shapes that do not broadcast", .in = {IN(0, 1, 3, 4), IN(0, 1, 3)},                              \
            .refused = "do not broadcast: [3,4] and [3]"),                                                            \
        ROW(.what = "two dtypes", .in = {IN(0, 1, 3), {SHAPE(3), .integer = true}}, .refused = "i32")

static const sample two[] = {{SCALARS}, BROADCASTING};
static const sample smaller_wins[] = {{SCALARS, .verdict = {GR_CHECK_PASS, GR_CHECK_VACUOUS}}, BROADCASTING};
static const sample larger_wins[] = {{SCALARS, .verdict = {GR_CHECK_VACUOUS, GR_CHECK_PASS}}, BROADCASTING};

SAMPLES(add, two)
SAMPLES(sub, two)
SAMPLES(mul, two)
SAMPLES(weighed, two)
SAMPLES(div, two)
SAMPLES(pow, two)
SAMPLES(minimum, smaller_wins)
SAMPLES(maximum, larger_wins)
SAMPLES(wins, two)
SAMPLES(greater, two)
SAMPLES(equal, two)

static const sample where_samples[] = {
    {.what = "equal shapes", .in = {{SHAPE(4), VALUES(0, 1, -2, 0)}, IN(-1, 1, 4), IN(-1, 1, 4)}},
    {.what = "three that broadcast", .in = {{SHAPE(3, 1), VALUES(0, 1, 0)}, IN(-1, 1, 4), IN_SCALAR(-1, 1)}},
    {.what = "a condition over images", .in = {{SHAPE(2, 1, 3), VALUES(0, 1)}, IN(-1, 1, 2, 2, 3), IN(-1, 1, 2, 1, 1)}},
    {.what = "shapes that do not broadcast",
     .in = {IN(0, 1, 2), IN(0, 1, 3), IN(0, 1, 3)},
     .refused = "do not broadcast"},
};

SAMPLES(where, where_samples)

static const sample corrected_samples[] = {
    {.what = "numbers that differ", .in = {IN(-1, 1, 3, 4), IN(-1, 1, 3, 4), IN(-1, 1, 3, 4)}},
    {.what = "b and c equal", .in = {IN(-1, 1, 3), {SHAPE(3), VALUES(0.5, -1, 2)}, {SHAPE(3), VALUES(0.5, -1, 2)}}},
    {.what = "shapes that differ", .in = {IN(0, 1, 2), IN(0, 1, 2), IN(0, 1, 3)}, .refused = "shapes differ"},
};

SAMPLES(corrected, corrected_samples)

/* ---- Functions of one tensor -------------------------------------------------------------------------------- */

static const sample anywhere[] = {
    {.what = "a matrix", .in = {IN(-2, 2, 3, 4)}},
    {.what = "a scalar", .in = {IN_SCALAR(-2, 2)}},
    {.what = "more than one vector of any length", .in = {IN(-3, 3, 37)}},
    {.what = "nothing", .in = {IN(0, 1, 0, 3)}, .verdict = {GR_CHECK_VACUOUS}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .refused = "i32"},
};

SAMPLES(neg, anywhere)
SAMPLES(square, anywhere)
SAMPLES(exp, anywhere)
SAMPLES(expm1, anywhere)
SAMPLES(abs, anywhere)
SAMPLES(sign, anywhere)
SAMPLES(sin, anywhere)
SAMPLES(cos, anywhere)

static const sample positive[] = {
    {.what = "a matrix", .in = {IN(0.2, 3, 3, 4)}},
    {.what = "a scalar", .in = {IN_SCALAR(0.2, 2)}},
    {.what = "large", .in = {IN(1e3, 1e4, 5)}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .refused = "i32"},
};

SAMPLES(sqrt, positive)
SAMPLES(log, positive)
SAMPLES(log1p, positive)

static const sample scale_samples[] = {
    {.what = "a matrix", .in = {IN(-2, 2, 3, 4)}, .attr = &(gr_scalars){.a = -2.5}},
    {.what = "by 0", .in = {IN(-2, 2, 3)}, .attr = &(gr_scalars){.a = 0}, .verdict = {GR_CHECK_VACUOUS}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .attr = &(gr_scalars){.a = 2}, .refused = "i32"},
};

SAMPLES(scale, scale_samples)

static const sample shift_samples[] = {
    {.what = "a matrix", .in = {IN(-2, 2, 3, 4)}, .attr = &(gr_scalars){.a = -2.5}},
    {.what = "by 0", .in = {IN(-2, 2, 3)}, .attr = &(gr_scalars){.a = 0}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .attr = &(gr_scalars){.a = 2}, .refused = "i32"},
};

SAMPLES(shift, shift_samples)

static const sample pow_samples[] = {
    {.what = "a fraction", .in = {IN(0.3, 2, 3, 4)}, .attr = &(gr_scalars){.a = 1.7}},
    {.what = "a negative fraction", .in = {IN(0.3, 2, 5)}, .attr = &(gr_scalars){.a = -0.5}},
    {.what = "a cube, both signs", .in = {IN(-2, 2, 5)}, .attr = &(gr_scalars){.a = 3}},
    {.what = "the power 1 at 0", .in = {{SHAPE(2), VALUES(0, 1)}}, .attr = &(gr_scalars){.a = 1}},
    {.what = "the power 0 at 0",
     .in = {{SHAPE(2), VALUES(0, 1)}},
     .attr = &(gr_scalars){.a = 0},
     .verdict = {GR_CHECK_VACUOUS}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .attr = &(gr_scalars){.a = 2}, .refused = "i32"},
};

SAMPLES(pow_scalar, pow_samples)

static const sample clamp_samples[] = {
    {.what = "all three sides", .in = {IN(-2, 2, 20)}, .attr = &(gr_scalars){-0.7, 1.1}},
    {.what = "one side", .in = {IN(-2, 2, 9)}, .attr = &(gr_scalars){0, (double)INFINITY}},
    {.what = "at the bounds", .in = {{SHAPE(3), VALUES(-1, 0, 1)}}, .attr = &(gr_scalars){-1, 1}, .value_only = true},
    {.what = "bounds that cross", .in = {IN(-2, 2, 3)}, .attr = &(gr_scalars){1, -1}, .refused = "hold nothing"},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .attr = &(gr_scalars){-1, 1}, .refused = "i32"},
};

SAMPLES(clamp, clamp_samples)
SAMPLES(inside, clamp_samples)

/* ---- Activations -------------------------------------------------------------------------------------------- */

static const sample activation[] = {
    {.what = "a matrix", .in = {IN(-3, 3, 3, 4)}},
    {.what = "a scalar", .in = {IN_SCALAR(0.2, 2)}},
    {.what = "more than one vector of any length", .in = {IN(-5, 5, 37)}},
    {.what = "saturated", .in = {{SHAPE(4), VALUES(-40, 40, -15, 15)}}},
    {.what = "extreme", .in = {{SHAPE(4), VALUES(-1000, 1000, -700, 700)}}},
    {.what = "nothing", .in = {IN(0, 1, 0, 3)}, .verdict = {GR_CHECK_VACUOUS}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .refused = "i32"},
};

SAMPLES(sigmoid, activation)
SAMPLES(log_sigmoid, activation)
SAMPLES(softplus, activation)
SAMPLES(relu, activation)
SAMPLES(gelu, activation)
SAMPLES(silu, activation)

/* Where these are saturated their slope is below what rounding leaves of their difference, and then it is 0. */
static const sample limited[] = {
    {.what = "a matrix", .in = {IN(-3, 3, 3, 4)}},
    {.what = "a scalar", .in = {IN_SCALAR(-2, 2)}},
    {.what = "more than one vector of any length", .in = {IN(-5, 5, 37)}},
    {.what = "nearly saturated", .in = {{SHAPE(4), VALUES(-5, 5, -4, 4)}}},
    {.what = "saturated", .in = {{SHAPE(4), VALUES(-40, 40, -15, 15)}}, .verdict = {GR_CHECK_UNRESOLVED}},
    {.what = "extreme", .in = {{SHAPE(4), VALUES(-1000, 1000, -700, 700)}}, .verdict = {GR_CHECK_VACUOUS}},
    {.what = "nothing", .in = {IN(0, 1, 0, 3)}, .verdict = {GR_CHECK_VACUOUS}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .refused = "i32"},
};

SAMPLES(tanh, limited)
SAMPLES(normal_cdf, limited)

static const sample sloped[] = {
    {.what = "a matrix", .in = {IN(-3, 3, 3, 4)}, .attr = &(gr_scalars){.a = 0.3}},
    {.what = "more than one vector of any length", .in = {IN(-5, 5, 37)}, .attr = &(gr_scalars){.a = 1.5}},
    {.what = "extreme", .in = {{SHAPE(2), VALUES(-1000, 1000)}}, .attr = &(gr_scalars){.a = 0.01}},
    {.what = "class indices", .in = {{SHAPE(3), .integer = true}}, .attr = &(gr_scalars){.a = 0.3}, .refused = "i32"},
};

SAMPLES(leaky_relu, sloped)
SAMPLES(elu, sloped)

static const sample sigmoid_grad_samples[] = {
    {.what = "equal shapes", .in = {IN(-1, 1, 3, 4), IN(0.05, 0.95, 3, 4)}},
    {.what = "shapes that differ", .in = {IN(-1, 1, 3, 4), IN(0.05, 0.95, 4)}, .refused = "shapes differ"},
};

SAMPLES(sigmoid_grad, sigmoid_grad_samples)

static const sample gate_samples[] = {
    {.what = "equal shapes", .in = {IN(-1, 1, 3, 4), IN(-1, 1, 3, 4)}, .attr = &(gr_scalars){1.5, -0.5}},
    {.what = "shapes that differ",
     .in = {IN(-1, 1, 3, 4), IN(-1, 1, 4)},
     .attr = &(gr_scalars){1, 0},
     .refused = "shapes differ"},
};

SAMPLES(gate, gate_samples)
