/* pool_avg.c: calls of the ops in src/autograd/pool_avg.c. */
#include "sample_kit.h"

static const sample avg_samples[] = {
    {.what = "halves", .in = {IN(-2, 2, 2, 1, 4, 5)}, POOL(WINDOW(2, 2, 2, 2, 0, 0))},
    {.what = "windows that overlap", .in = {IN(-2, 2, 1, 2, 5, 4)}, POOL(WINDOW(3, 2, 1, 1, 0, 0))},
    {.what = "padded with zeros", .in = {IN(-2, 2, 1, 1, 6, 5)}, POOL(WINDOW(3, 3, 2, 2, 1, 1))},
    {.what = "without the padding",
     .in = {IN(-2, 2, 1, 2, 4, 5)},
     POOL(WINDOW(3, 3, 2, 3, 1, 1), .exclude_padding = true)},
    {.what = "gaps between windows", .in = {IN(-2, 2, 1, 1, 5, 7)}, POOL(WINDOW(1, 2, 2, 3, 0, 0))},
    {.what = "kernel 1", .in = {IN(-2, 2, 1, 2, 2, 3)}, POOL(WINDOW(1, 1, 1, 1, 0, 0))},
    {.what = "one pixel, padded more than needed",
     .in = {IN(-2, -1, 2, 1, 1, 1)},
     POOL(WINDOW(4, 5, 1, 1, 2, 2), .exclude_padding = true)},
    {.what = "no images", .in = {IN(0, 1, 0, 2, 4, 4)}, POOL(WINDOW(2, 2, 2, 2, 0, 0)), .verdict = {GR_CHECK_VACUOUS}},
    {.what = "no kernel",
     .in = {IN(0, 1, 1, 1, 4, 4)},
     POOL(WINDOW(-1, 2, 2, 2, 0, 0)),
     .refused = "the kernel is -1 x 2"},
    {.what = "an image smaller than the kernel",
     .in = {IN(0, 1, 1, 1, 4, 2)},
     POOL(WINDOW(3, 3, 1, 1, 0, 0)),
     .refused = "no window of 3 x 3 fits into [1,1,4,2]"},
    {.what = "a matrix", .in = {IN(0, 1, 4, 4)}, POOL(WINDOW(2, 2, 2, 2, 0, 0)), .refused = "expected images"},
};

static const sample avg_adjoint_samples[] = {
    {.what = "halves", .in = {IN(-2, 2, 2, 1, 2, 2)}, POOL(WINDOW(2, 2, 2, 2, 0, 0), .size = {4, 5})},
    {.what = "windows that overlap, without the padding",
     .in = {IN(-2, 2, 1, 2, 4, 2)},
     POOL(WINDOW(3, 3, 1, 2, 1, 1), .exclude_padding = true, .size = {4, 3})},
    {.what = "another size",
     .in = {IN(-2, 2, 1, 1, 2, 2)},
     POOL(WINDOW(2, 2, 2, 2, 0, 0), .size = {4, 6}),
     .refused = "4 x 6 is not pooled to [1,1,2,2]"},
    {.what = "windows of padding alone",
     .in = {IN(-2, 2, 1, 1, 1, 1)},
     POOL(WINDOW(2, 2, 2, 2, 1, 1), .size = {0, 0}),
     .refused = "0 x 0 is not pooled to [1,1,1,1]"},
};

SAMPLES(avg_pool2d, avg_samples)
SAMPLES(avg_pool2d_adjoint, avg_adjoint_samples)
