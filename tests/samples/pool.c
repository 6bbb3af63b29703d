/* pool.c: calls of the ops in src/autograd/pool.c. */
#include "sample_kit.h"

#define POOL(...)           \
    .attr = &(gr_pool_attr) \
    {                       \
        __VA_ARGS__         \
    }
#define WINDOW(kh, kw, sh, sw, ph, pw) .kernel = {kh, kw}, .stride = {sh, sw}, .padding = {ph, pw}

static const sample max_samples[] = {
    {.what = "halves", .in = {IN(-2, 2, 2, 1, 4, 6)}, POOL(WINDOW(2, 2, 2, 2, 0, 0))},
    {.what = "halves of odd sizes", .in = {IN(-2, 2, 1, 2, 5, 7)}, POOL(WINDOW(2, 2, 2, 2, 0, 0))},
    {.what = "windows that overlap", .in = {IN(-2, 2, 1, 2, 5, 4)}, POOL(WINDOW(3, 2, 1, 1, 0, 0))},
    {.what = "padded, a stride that does not divide", .in = {IN(-2, 2, 1, 1, 6, 5)}, POOL(WINDOW(3, 3, 2, 2, 1, 1))},
    {.what = "gaps between windows", .in = {IN(-2, 2, 1, 1, 5, 7)}, POOL(WINDOW(1, 2, 2, 3, 0, 0))},
    {.what = "kernel 1", .in = {IN(-2, 2, 1, 2, 2, 3)}, POOL(WINDOW(1, 1, 1, 1, 0, 0))},
    {.what = "one pixel, padded more than needed", .in = {IN(-2, -1, 2, 1, 1, 1)}, POOL(WINDOW(4, 5, 1, 1, 2, 2))},
    {.what = "extreme",
     .in = {{SHAPE(1, 1, 2, 4), VALUES(-1e300, 1e300, -(double)INFINITY, -1e30, 1e30, 0, -1e30, 1)}},
     POOL(WINDOW(2, 2, 2, 2, 0, 0)),
     .value_only = true},
    {.what = "equal winners",
     .in = {{SHAPE(1, 1, 3, 4), VALUES(1, 1, 0)}},
     POOL(WINDOW(2, 2, 1, 2, 0, 0)),
     .value_only = true},
    {.what = "no images", .in = {IN(0, 1, 0, 2, 4, 4)}, POOL(WINDOW(2, 2, 2, 2, 0, 0))},
    {.what = "no kernel",
     .in = {IN(0, 1, 1, 1, 4, 4)},
     POOL(WINDOW(2, 0, 2, 2, 0, 0)),
     .refused = "the kernel is 2 x 0, expected 1 or more"},
    {.what = "backwards",
     .in = {IN(0, 1, 1, 1, 4, 4)},
     POOL(WINDOW(2, 2, 2, -1, 0, 0)),
     .refused = "the stride is 2 x -1, expected 1 or more"},
    {.what = "windows of padding",
     .in = {IN(0, 1, 1, 1, 4, 4)},
     POOL(WINDOW(3, 3, 2, 2, 1, 2)),
     .refused = "the padding is 1 x 2, expected 0 to half the kernel, which is 3 x 3"},
    {.what = "an image smaller than the kernel",
     .in = {IN(0, 1, 1, 1, 4, 2)},
     POOL(WINDOW(3, 3, 1, 1, 0, 0)),
     .refused = "no window of 3 x 3 fits into [1,1,4,2]"},
    {.what = "images of nothing",
     .in = {IN(0, 1, 1, 1, 0, 2)},
     POOL(WINDOW(2, 2, 1, 1, 1, 1)),
     .refused = "images of nothing: [1,1,0,2]"},
    {.what = "a matrix",
     .in = {IN(0, 1, 4, 4)},
     POOL(WINDOW(2, 2, 2, 2, 0, 0)),
     .refused = "expected images [N,C,H,W]: [4,4]"},
    {.what = "class indices",
     .in = {{SHAPE(1, 1, 2, 2), .integer = true}},
     POOL(WINDOW(2, 2, 2, 2, 0, 0)),
     .refused = "i32"},
};

static const sample max_pair_samples[] = {
    {.what = "halves", .in = {IN(-2, 2, 2, 1, 4, 5), IN(-1, 1, 2, 1, 2, 2)}, POOL(WINDOW(2, 2, 2, 2, 0, 0))},
    {.what = "windows that overlap, padded",
     .in = {IN(-2, 2, 1, 2, 4, 3), IN(-1, 1, 1, 2, 4, 2)},
     POOL(WINDOW(3, 3, 1, 2, 1, 1))},
    {.what = "gaps between windows",
     .in = {IN(-2, 2, 1, 1, 3, 7), IN(-1, 1, 1, 1, 2, 3)},
     POOL(WINDOW(1, 1, 2, 3, 0, 0))},
    {.what = "equal winners",
     .in = {{SHAPE(1, 1, 3, 4), VALUES(1, 1, 0)}, IN(-1, 1, 1, 1, 2, 2)},
     POOL(WINDOW(2, 2, 1, 2, 0, 0)),
     .value_only = true},
    {.what = "another shape",
     .in = {IN(-2, 2, 1, 1, 4, 5), IN(-1, 1, 1, 1, 2, 3)},
     POOL(WINDOW(2, 2, 2, 2, 0, 0)),
     .refused = "[1,1,4,5] is pooled to [1,1,2,2], not [1,1,2,3]"},
};

static const sample pick_samples[] = {
    {.what = "halves", .in = {IN(-2, 2, 2, 1, 4, 5), IN(-1, 1, 2, 1, 4, 5)}, POOL(WINDOW(2, 2, 2, 2, 0, 0))},
    {.what = "windows that overlap, padded",
     .in = {IN(-2, 2, 1, 2, 4, 3), IN(-1, 1, 1, 2, 4, 3)},
     POOL(WINDOW(3, 3, 1, 2, 1, 1))},
    {.what = "another shape",
     .in = {IN(-2, 2, 1, 1, 4, 5), IN(-1, 1, 1, 1, 4, 4)},
     POOL(WINDOW(2, 2, 2, 2, 0, 0)),
     .refused = "shapes differ"},
};

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
    {.what = "no images", .in = {IN(0, 1, 0, 2, 4, 4)}, POOL(WINDOW(2, 2, 2, 2, 0, 0))},
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
};

SAMPLES(max_pool2d, max_samples)
SAMPLES(max_pool2d_spread, max_pair_samples)
SAMPLES(max_pool2d_pick, pick_samples)
SAMPLES(avg_pool2d, avg_samples)
SAMPLES(avg_pool2d_adjoint, avg_adjoint_samples)
