/* sample_kit.h: how samples are written, for the files of this folder. */
#ifndef GR_TESTS_SAMPLE_KIT_H
#define GR_TESTS_SAMPLE_KIT_H

#include <math.h>

#include "autograd/attr.h"
#include "losses/regions.h"
#include "samples/samples.h"

/* Gives op `name` of the table the samples of `array`. */
#define SAMPLES(name, array)                    \
    extern const sample_list samples_of_##name; \
    const sample_list samples_of_##name = {(array), (int)(sizeof(array) / sizeof *(array))};

#define SHAPE(...) .rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .shape = {__VA_ARGS__}
#define VALUES(...) \
    .values = (double[]){__VA_ARGS__}, .n_values = (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double))

/* Draws from [lo, hi) in a shape. */
#define IN(lo_, hi_, ...)                            \
    {                                                \
        SHAPE(__VA_ARGS__), .lo = (lo_), .hi = (hi_) \
    }
#define IN_SCALAR(lo_, hi_)                 \
    {                                       \
        .rank = 0, .lo = (lo_), .hi = (hi_) \
    }

/* Windows of pooling: kernel, stride and padding, rows before columns; more options may follow. */
#define POOL(...) \
    .attr = &(gr_pool_attr) { __VA_ARGS__ }
#define WINDOW(kh, kw, sh, sw, ph, pw) .kernel = {kh, kw}, .stride = {sh, sw}, .padding = {ph, pw}

/* Options of a loss; weights for its positions; signs, labels of 0 and 1, and indices of classes, for its targets. */
#define LOSS(...) \
    .attr = &(gr_loss_attr) { __VA_ARGS__ }
#define WEIGHTS(...)                               \
    {                                              \
        SHAPE(__VA_ARGS__), VALUES(0.5, 0, 2, 1.5) \
    }
#define SIGNS(...)                                  \
    {                                               \
        SHAPE(__VA_ARGS__), VALUES(1, -1, -1, 1, 1) \
    }
#define BITS(...)                                 \
    {                                             \
        SHAPE(__VA_ARGS__), VALUES(1, 0, 0, 1, 1) \
    }
#define INDICES(...)                                            \
    {                                                           \
        SHAPE(__VA_ARGS__), .integer = true, VALUES(2, 0, 1, 2) \
    }

#endif
