/* conv.c: calls of the ops in src/autograd/conv.c. */
#include "sample_kit.h"

#define OPTIONS(...)         \
    .attr = &(gr_conv_attr)  \
    {                        \
        .o = { __VA_ARGS__ } \
    }
#define SIZED(rows, columns, ...)                     \
    .attr = &(gr_conv_attr)                           \
    {                                                 \
        .o = {__VA_ARGS__}, .size = { rows, columns } \
    }
#define SIGNED(...) IN(-1, 1, __VA_ARGS__)

static const sample conv_samples[] = {
    {.what = "3x3, padding 1, bias",
     .n_in = 3,
     .in = {SIGNED(2, 2, 4, 5), SIGNED(3, 2, 3, 3), SIGNED(3)},
     OPTIONS(.padding = {1, 1})},
    {.what = "more channels than a register block",
     .in = {SIGNED(1, 3, 3, 3), SIGNED(11, 3, 2, 2)},
     OPTIONS(.groups = 1)},
    {.what = "a row longer than vectors", .in = {SIGNED(1, 1, 2, 37), SIGNED(1, 1, 1, 3)}, OPTIONS(.padding = {0, 1})},
    {.what = "rows of whole vectors", .in = {SIGNED(1, 1, 2, 32), SIGNED(2, 1, 2, 3)}, OPTIONS(.padding = {1, 1})},
    {.what = "pointwise", .n_in = 3, .in = {SIGNED(2, 3, 4, 4), SIGNED(2, 3, 1, 1), SIGNED(2)}, OPTIONS(.groups = 1)},
    {.what = "pointwise on odd planes", .in = {SIGNED(1, 3, 3, 5), SIGNED(2, 3, 1, 1)}, OPTIONS(.groups = 1)},
    {.what = "a stride that does not divide",
     .in = {SIGNED(2, 2, 6, 7), SIGNED(2, 2, 3, 2)},
     OPTIONS(.stride = {2, 3}, .padding = {1, 0})},
    {.what = "a stride beyond the kernel", .in = {SIGNED(1, 1, 7, 7), SIGNED(1, 1, 2, 2)}, OPTIONS(.stride = {3, 4})},
    {.what = "dilation",
     .in = {SIGNED(1, 2, 6, 7), SIGNED(2, 2, 2, 3)},
     OPTIONS(.dilation = {3, 2}, .padding = {0, 1})},
    {.what = "stride and dilation",
     .in = {SIGNED(1, 1, 7, 8), SIGNED(1, 1, 3, 2)},
     OPTIONS(.stride = {2, 2}, .dilation = {2, 3}, .padding = {2, 1})},
    {.what = "groups", .n_in = 3, .in = {SIGNED(2, 4, 3, 3), SIGNED(6, 2, 2, 2), SIGNED(6)}, OPTIONS(.groups = 2)},
    {.what = "depthwise", .in = {SIGNED(1, 3, 4, 4), SIGNED(3, 1, 3, 3)}, OPTIONS(.groups = 3, .padding = {1, 1})},
    {.what = "more padding than needed", .in = {SIGNED(1, 1, 2, 2), SIGNED(1, 1, 2, 2)}, OPTIONS(.padding = {3, 4})},
    {.what = "one pixel", .in = {SIGNED(1, 2, 1, 1), SIGNED(2, 2, 3, 3)}, OPTIONS(.padding = {1, 1})},
    {.what = "a kernel of the image's size", .in = {SIGNED(2, 1, 3, 4), SIGNED(2, 1, 3, 4)}, OPTIONS(.groups = 1)},
    {.what = "no images",
     .in = {SIGNED(0, 2, 3, 3), SIGNED(2, 2, 2, 2)},
     OPTIONS(.groups = 1),
     .verdict = {[1] = GR_CHECK_VACUOUS}},
    {.what = "channels that differ",
     .in = {SIGNED(1, 3, 4, 4), SIGNED(2, 2, 3, 3)},
     OPTIONS(.groups = 1),
     .refused = "images [1,3,4,4] and kernel [2,2,3,3] do not fit with 1 group"},
    {.what = "groups that do not divide",
     .in = {SIGNED(1, 4, 4, 4), SIGNED(3, 2, 3, 3)},
     OPTIONS(.groups = 2),
     .refused = "do not fit with 2 groups"},
    {.what = "a kernel too large",
     .in = {SIGNED(1, 1, 4, 4), SIGNED(1, 1, 5, 5)},
     OPTIONS(.groups = 1),
     .refused = "does not fit into images [1,1,4,4]"},
    {.what = "a matrix",
     .in = {SIGNED(4, 4), SIGNED(1, 1, 3, 3)},
     OPTIONS(.groups = 1),
     .refused = "expected images [n,c,h,w] and a kernel"},
    {.what = "a bias of another length",
     .n_in = 3,
     .in = {SIGNED(1, 1, 4, 4), SIGNED(2, 1, 3, 3), SIGNED(3)},
     OPTIONS(.groups = 1),
     .refused = "the bias is [3], expected [2]"},
};

static const sample adjoint_samples[] = {
    {.what = "3x3, padding 1, bias",
     .n_in = 3,
     .in = {SIGNED(2, 3, 4, 5), SIGNED(3, 2, 3, 3), SIGNED(2)},
     SIZED(4, 5, .padding = {1, 1})},
    {.what = "twice the size", .in = {SIGNED(1, 2, 3, 4), SIGNED(2, 3, 2, 2)}, SIZED(6, 8, .stride = {2, 2})},
    {.what = "a stride that leaves a rest",
     .in = {SIGNED(1, 2, 2, 3), SIGNED(2, 1, 3, 2)},
     SIZED(5, 9, .stride = {2, 3}, .output_padding = {0, 1})},
    {.what = "a stride beyond the kernel",
     .in = {SIGNED(1, 1, 2, 2), SIGNED(1, 1, 2, 2)},
     SIZED(7, 6, .stride = {5, 4}, .output_padding = {0, 0})},
    {.what = "stride and dilation",
     .in = {SIGNED(1, 1, 3, 4), SIGNED(1, 1, 3, 2)},
     SIZED(5, 8, .stride = {2, 2}, .dilation = {2, 3}, .padding = {2, 1})},
    {.what = "groups", .n_in = 3, .in = {SIGNED(1, 4, 2, 2), SIGNED(4, 3, 2, 2), SIGNED(6)}, SIZED(3, 3, .groups = 2)},
    {.what = "pointwise", .in = {SIGNED(1, 2, 4, 4), SIGNED(2, 3, 1, 1)}, SIZED(4, 4, .groups = 1)},
    {.what = "more padding than needed",
     .in = {SIGNED(1, 1, 7, 9), SIGNED(1, 1, 2, 2)},
     SIZED(2, 2, .padding = {3, 4})},
    {.what = "channels that differ",
     .in = {SIGNED(1, 2, 3, 3), SIGNED(3, 2, 3, 3)},
     SIZED(5, 5, .groups = 1),
     .refused = "images [1,2,3,3] and kernel [3,2,3,3] do not fit with 1 group"},
    {.what = "a size that cannot be",
     .in = {SIGNED(1, 2, 3, 3), SIGNED(2, 2, 3, 3)},
     SIZED(6, 5, .groups = 1),
     .refused = "cannot give images of [6,5]"},
    {.what = "a bias of another length",
     .n_in = 3,
     .in = {SIGNED(1, 1, 2, 2), SIGNED(1, 2, 1, 1), SIGNED(1)},
     SIZED(2, 2, .groups = 1),
     .refused = "the bias is [1], expected [2]"},
};

static const sample kernel_samples[] = {
    {.what = "3x3, padding 1", .in = {SIGNED(2, 2, 4, 5), SIGNED(2, 3, 4, 5)}, SIZED(3, 3, .padding = {1, 1})},
    {.what = "many channels of results", .in = {SIGNED(1, 2, 3, 3), SIGNED(1, 9, 2, 2)}, SIZED(2, 2, .groups = 1)},
    {.what = "rows of whole vectors", .in = {SIGNED(1, 1, 2, 32), SIGNED(1, 2, 2, 32)}, SIZED(1, 3, .padding = {0, 1})},
    {.what = "a stride that does not divide",
     .in = {SIGNED(1, 2, 6, 7), SIGNED(1, 2, 3, 2)},
     SIZED(3, 2, .stride = {2, 3}, .padding = {1, 0})},
    {.what = "stride, dilation, groups",
     .in = {SIGNED(1, 2, 7, 8), SIGNED(1, 4, 4, 4)},
     SIZED(3, 2, .stride = {2, 2}, .dilation = {2, 3}, .padding = {2, 1}, .groups = 2)},
    {.what = "pointwise", .in = {SIGNED(1, 3, 4, 4), SIGNED(1, 2, 4, 4)}, SIZED(1, 1, .groups = 1)},
    {.what = "results of other images",
     .in = {SIGNED(2, 1, 3, 3), SIGNED(1, 1, 3, 3)},
     SIZED(1, 1, .groups = 1),
     .refused = "images [2,1,3,3] and results [1,1,3,3] do not fit a kernel of [1,1]"},
};

SAMPLES(conv2d, conv_samples)
SAMPLES(conv_transpose2d, adjoint_samples)
SAMPLES(conv2d_kernel, kernel_samples)
