/* class_error.c: calls of the ops in src/losses/class_error.c. */
#include "sample_kit.h"

static const sample softmax_grad_samples[] = {
    {.what = "rows", .in = {IN(-2, 2, 3, 4), IN(-1, 1, 3, 4)}},
    {.what = "images", .in = {IN(-2, 2, 2, 3, 2, 2), IN(-1, 1, 2, 3, 2, 2)}},
    {.what = "extreme", .in = {{SHAPE(2, 3), VALUES(1000, -1000, 0, 40, -40, 39)}, IN(-1, 1, 2, 3)}},
    {.what = "nothing", .in = {IN(0, 1, 0, 3), IN(0, 1, 0, 3)}, .verdict = {GR_CHECK_VACUOUS, GR_CHECK_VACUOUS}},
    {.what = "a vector", .in = {IN(-2, 2, 3), IN(-2, 2, 3)}, .refused = "expected classes along axis 1"},
    {.what = "shapes that differ", .in = {IN(-2, 2, 3, 4), IN(-2, 2, 4)}, .refused = "shapes differ"},
};

static const sample class_error_samples[] = {
    {.what = "rows", .in = {IN(-2, 2, 3, 4), BITS(3, 4)}},
    {.what = "images, soft", .in = {IN(-2, 2, 2, 3, 2, 2), IN(0, 1, 2, 3, 2, 2)}},
    {.what = "extreme", .in = {{SHAPE(2, 3), VALUES(1000, -1000, 0, 40, -40, 39)}, BITS(2, 3)}},
    {.what = "a vector", .in = {IN(-2, 2, 3), BITS(3)}, .refused = "expected classes along axis 1"},
};

SAMPLES(softmax_grad, softmax_grad_samples)
SAMPLES(class_error, class_error_samples)
