/* resize.c: cuts and resizes images. Along each axis an output pixel is a weighted mean of neighbouring input
 * pixels: of those that it covers where the image shrinks (area), of the two nearest where it grows (bilinear, with
 * the corners of the image at the outer edges of its pixels). */
#include <math.h>

#include "data/internal.h"

gr_tensor *gr_crop_middle(const gr_tensor *image, int64_t height, int64_t width)
{
    const int64_t channels = image->shape[0], h = image->shape[1], w = image->shape[2];
    const int64_t top = (h - height) / 2, left = (w - width) / 2;
    gr_tensor *middle = gr_new("crop", GR_F32, GR_SHAPE(channels, height, width));
    if (!middle) return NULL;
    const float *from = image->data;
    float *to = middle->data;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < height; i++, to += width)
            memcpy(to, from + (c * h + top + i) * w + left, (size_t)width * sizeof *to);
    return middle;
}

/* What an output pixel is made of along an axis: input pixels first .. first+count-1. With an area, the weight of
 * each is the part of [lo, hi), the span that the output pixel covers, that lies in it. */
typedef struct span {
    int64_t first, count;
    double lo, hi; /* of an area */
    double second; /* bilinear: the weight of the second of two */
    bool area;
} span;

/* Of output pixel i, where `in` pixels become `out`. */
static span span_of(int64_t i, int64_t in, int64_t out, bool nearest)
{
    const double scale = (double)in / (double)out;
    if (nearest) return (span){.first = (int64_t)(((double)i + 0.5) * scale), .count = 1};
    if (in > out) {
        span s = {.lo = (double)i * scale, .hi = (double)(i + 1) * scale, .area = true};
        s.first = (int64_t)s.lo;
        int64_t end = (int64_t)ceil(s.hi - 1e-9);
        s.count = (end < in ? end : in) - s.first;
        return s;
    }
    double at = fmax(((double)i + 0.5) * scale - 0.5, 0.0);
    span s = {.first = (int64_t)at, .count = 2};
    s.second = at - (double)s.first;
    if (s.first + 1 >= in) s.count = 1;
    return s;
}

/* Of input pixel first + k. */
static inline double weight(const span *s, int64_t k)
{
    if (s->area) {
        double from = fmax((double)(s->first + k), s->lo), to = fmin((double)(s->first + k + 1), s->hi);
        return fmax(to - from, 0.0) / (s->hi - s->lo);
    }
    return s->count == 1 ? 1.0 : k ? s->second : 1.0 - s->second;
}

/* to [outer,out,inner] = from [outer,in,inner], its middle axis resized. */
static void resize_axis(float *to, const float *from, int64_t outer, int64_t in, int64_t out, int64_t inner,
                        bool nearest)
{
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < out; i++, to += inner) {
            const span s = span_of(i, in, out, nearest);
            const float *row = from + (o * in + s.first) * inner;
            for (int64_t j = 0; j < inner; j++) {
                double sum = 0.0;
                for (int64_t k = 0; k < s.count; k++) sum += weight(&s, k) * (double)row[k * inner + j];
                to[j] = (float)sum;
            }
        }
}

gr_tensor *gr_resize(const gr_tensor *image, int64_t height, int64_t width, bool nearest)
{
    const int64_t channels = image->shape[0], h = image->shape[1], w = image->shape[2];
    gr_tensor *rows = gr_new("resize", GR_F32, GR_SHAPE(channels, height, w));
    gr_tensor *both = rows ? gr_new("resize", GR_F32, GR_SHAPE(channels, height, width)) : NULL;
    if (both) {
        resize_axis(rows->data, image->data, channels, h, height, w, nearest);
        resize_axis(both->data, rows->data, channels * height, w, width, 1, nearest);
    }
    gr_tensor_free(rows);
    return both;
}
