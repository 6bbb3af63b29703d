/* arithmetic.c: calls of the ops in src/autograd/arithmetic.c. */
#include "sample_kit.h"

static const sample samples[] = {
    {.what = "equal shapes", .in = {IN(0.5, 2, 3, 4), IN(0.4, 1.9, 3, 4)}},
    {.what = "scalars", .in = {IN_SCALAR(0.5, 2), IN_SCALAR(0.5, 2)}},
    {.what = "a row over a matrix", .in = {IN(0.5, 2, 3, 4), IN(0.5, 2, 4)}},
    {.what = "a matrix over a row", .in = {IN(0.5, 2, 4), IN(0.5, 2, 3, 4)}},
    {.what = "a column over a matrix", .in = {IN(0.5, 2, 3, 4), IN(0.5, 2, 3, 1)}},
    {.what = "a row and a column", .in = {IN(0.5, 2, 1, 4), IN(0.5, 2, 3, 1)}},
    {.what = "an axis of 1 in the middle", .in = {IN(0.5, 2, 2, 3, 4), IN(0.5, 2, 2, 1, 4)}},
    {.what = "channels of images", .in = {IN(0.5, 2, 2, 3, 2, 2), IN(0.5, 2, 3, 1, 1)}},
    {.what = "a scalar over rank 8", .in = {IN(0.5, 2, 2, 1, 2, 1, 1, 2, 1, 2), IN_SCALAR(0.5, 2)}},
    {.what = "nothing", .in = {IN(0, 1, 0, 4), IN(0, 1, 4)}},
    {.what = "shapes that do not broadcast",
     .in = {IN(0, 1, 3, 4), IN(0, 1, 3)},
     .refused = "do not broadcast: [3,4] and [3]"},
    {.what = "two dtypes", .in = {IN(0, 1, 3), {SHAPE(3), .integer = true}}, .refused = "i32"},
};

static const sample where_samples[] = {
    {.what = "equal shapes", .in = {{SHAPE(4), VALUES(0, 1, -2, 0)}, IN(-1, 1, 4), IN(-1, 1, 4)}},
    {.what = "three that broadcast", .in = {{SHAPE(3, 1), VALUES(0, 1, 0)}, IN(-1, 1, 4), IN_SCALAR(-1, 1)}},
    {.what = "a condition over images", .in = {{SHAPE(2, 1, 3), VALUES(0, 1)}, IN(-1, 1, 2, 2, 3), IN(-1, 1, 2, 1, 1)}},
    {.what = "shapes that do not broadcast",
     .in = {IN(0, 1, 2), IN(0, 1, 3), IN(0, 1, 3)},
     .refused = "do not broadcast"},
};

SAMPLES(add, samples)
SAMPLES(sub, samples)
SAMPLES(mul, samples)
SAMPLES(div, samples)
SAMPLES(pow, samples)
SAMPLES(maximum, samples)
SAMPLES(minimum, samples)
SAMPLES(greater, samples)
SAMPLES(equal, samples)
SAMPLES(where, where_samples)
