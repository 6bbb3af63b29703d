/* shapes.c: generated images for segmentation. This file is compiled without fused multiply-adds and calls no function
 * of the C library whose last bits differ between machines, so that the bits are the same on all of them. */
#include <math.h>

#include "data/internal.h"

/* ---- One shape ---------------------------------------------------------------------------------------------- */

typedef enum shape_kind { DISC, ELLIPSE, RECTANGLE, N_KINDS } shape_kind;

/* A shape around (x, y), turned by the angle of (cos, sin) and `stretch` times as long along its second axis. A
 * point is inside if level(point) <= size. */
typedef struct shape {
    shape_kind kind;
    double x, y, cos, sin, stretch;
} shape;

/* The distance from the centre, measured along the shape's own axes. */
static double level(const shape *s, double x, double y)
{
    double dx = x - s->x, dy = y - s->y;
    double u = s->cos * dx + s->sin * dy, v = (s->cos * dy - s->sin * dx) / s->stretch;
    return s->kind == RECTANGLE ? fmax(fabs(u), fabs(v)) : sqrt(u * u + v * v);
}

static shape draw_shape(int64_t height, int64_t width, gr_rng *rng)
{
    shape s = {.kind = (shape_kind)gr_rng_below(rng, N_KINDS), .stretch = 1.0};
    s.x = gr_rng_uniform(rng) * (double)width;
    s.y = gr_rng_uniform(rng) * (double)height;
    double u, v, r2; /* a direction: that of a point drawn in the unit disc */
    do {
        u = 2.0 * gr_rng_uniform(rng) - 1.0;
        v = 2.0 * gr_rng_uniform(rng) - 1.0;
        r2 = u * u + v * v;
    } while (r2 > 1.0 || r2 < 1e-4);
    s.cos = u / sqrt(r2);
    s.sin = v / sqrt(r2);
    double stretch = 1.2 + 1.3 * gr_rng_uniform(rng);
    if (s.kind != DISC) s.stretch = stretch;
    return s;
}

/* ---- One mask ----------------------------------------------------------------------------------------------- */

/* Counts the pixels that a shape of this size adds to the mask [height,width], and with `paint` adds them. */
static int64_t cover(float *mask, int64_t height, int64_t width, const shape *s, double size, bool paint)
{
    int64_t added = 0, reach = (int64_t)ceil(size * s->stretch * 1.5) + 1;
    int64_t top = (int64_t)s->y - reach, left = (int64_t)s->x - reach;
    int64_t bottom = top + 2 * reach + 1, right = left + 2 * reach + 1;
    for (int64_t i = top > 0 ? top : 0; i < height && i < bottom; i++)
        for (int64_t j = left > 0 ? left : 0; j < width && j < right; j++) {
            float *pixel = &mask[i * width + j];
            if (*pixel != 0.0f || level(s, (double)j + 0.5, (double)i + 0.5) > size) continue;
            added++;
            if (paint) *pixel = 1.0f;
        }
    return added;
}

/* Adds a shape of the size at which it adds `pixels` pixels, found by bisection: how many it adds depends on the shapes
 * that are there and on the border. Returns how many it has added. */
static int64_t place_shape(float *mask, int64_t height, int64_t width, const shape *s, int64_t pixels)
{
    const double largest = (double)(height + width);
    double lo = 0.0, hi = 0.5 * sqrt((double)pixels / s->stretch);
    while (hi < largest && cover(mask, height, width, s, hi, false) < pixels) {
        lo = hi;
        hi *= 1.25;
    }
    for (int k = 0; k < 16; k++) {
        double size = 0.5 * (lo + hi);
        if (cover(mask, height, width, s, size, false) >= pixels) hi = size;
        else lo = size;
    }
    return cover(mask, height, width, s, hi, true);
}

/* Adds shapes of unequal sizes until the foreground has `pixels` pixels; the last one is as large as is still
 * missing. */
static void draw_mask(float *mask, const gr_shapes_options *o, int64_t pixels, gr_rng *rng)
{
    int64_t shapes = 1 + gr_rng_below(rng, o->shapes);
    for (int64_t k = 0; k < shapes && pixels > 0; k++) {
        double even = (double)pixels / (double)(shapes - k);
        int64_t part = k + 1 == shapes ? pixels : (int64_t)(even * (0.5 + gr_rng_uniform(rng)));
        shape s = draw_shape(o->height, o->width, rng);
        for (int again = 0; again < 16 && mask[(int64_t)s.y * o->width + (int64_t)s.x] != 0.0f; again++)
            s = draw_shape(o->height, o->width, rng); /* a centre in the background is preferred */
        if (part > 0) pixels -= place_shape(mask, o->height, o->width, &s, part < pixels ? part : pixels);
    }
}

/* ---- The set ------------------------------------------------------------------------------------------------ */

static void draw_image(float *image, const float *mask, const gr_shapes_options *o, bool hard, gr_rng *rng)
{
    const double contrast = hard ? 0.25 * o->contrast : o->contrast, dark = 0.5 - 0.5 * contrast;
    for (int64_t i = 0; i < o->height * o->width; i++) {
        double v = dark + contrast * (double)mask[i];
        if (o->noise > 0.0) v += o->noise * gr_rng_normal(rng);
        image[i] = (float)fmin(fmax(v, 0.0), 1.0);
    }
}

static gr_status fill_options(gr_shapes_options *o, const gr_shapes_options *given)
{
    if (given) *o = *given;
    if (!o->count) o->count = 64;
    if (!o->height) o->height = 64;
    if (!o->width) o->width = 64;
    if (o->foreground == 0.0) o->foreground = 0.1;
    if (!o->shapes) o->shapes = 5;
    if (o->contrast == 0.0) o->contrast = 0.4;
    if (o->noise == 0.0) o->noise = 0.1;
    if (o->count < 1 || o->height < 4 || o->width < 4 || o->height > 4096 || o->width > 4096)
        return gr_fail(GR_ERR_OPTION, "make_shapes: %lld images of %lld x %lld: expected 1 or more of 4 to 4096 a side",
                       (long long)o->count, (long long)o->height, (long long)o->width);
    if (!(o->foreground > 0.0 && o->foreground < 1.0) || o->foreground * (double)(o->height * o->width) < 1.0)
        return gr_fail(GR_ERR_OPTION,
                       "make_shapes: foreground is %s of %lld pixels: expected a share below 1 and at least a pixel",
                       GR_NUMBER_TEXT(o->foreground), (long long)(o->height * o->width));
    if (o->shapes < 1 || o->shapes > 1000)
        return gr_fail(GR_ERR_OPTION, "make_shapes: shapes is %lld: expected 1 to 1000", (long long)o->shapes);
    if (!(o->contrast > 0.0 && o->contrast <= 1.0) || !isfinite(o->noise) || !(o->hard >= 0.0 && o->hard <= 1.0))
        return gr_fail(GR_ERR_OPTION,
                       "make_shapes: contrast %s, noise %s, hard %s: expected 0 to 1, a finite number, 0 to 1",
                       GR_NUMBER_TEXT(o->contrast), GR_NUMBER_TEXT(o->noise), GR_NUMBER_TEXT(o->hard));
    return GR_OK;
}

gr_dataset *gr_make_shapes(const gr_shapes_options *options, gr_rng *rng)
{
    gr_shapes_options o = {0};
    if (!rng) return gr_fail(GR_ERR_NULL, "make_shapes: rng is NULL"), NULL;
    if (fill_options(&o, options)) return NULL;
    gr_tensor *x = gr_new("make_shapes", GR_F32, GR_SHAPE(o.count, 1, o.height, o.width));
    gr_tensor *y = x ? gr_zeros(GR_F32, GR_SHAPE(o.count, 1, o.height, o.width)) : NULL;
    if (!y) return gr_tensor_free(x), NULL;
    const int64_t size = o.height * o.width, pixels = (int64_t)(o.foreground * (double)size + 0.5);
    gr_rng drawn = *rng;
    for (int64_t i = 0; i < o.count; i++) {
        float *mask = (float *)y->data + i * size;
        bool hard = floor((double)(i + 1) * o.hard) > floor((double)i * o.hard);
        draw_mask(mask, &o, pixels, &drawn);
        draw_image((float *)x->data + i * size, mask, &o, hard, &drawn);
    }
    gr_dataset *set = gr_dataset_new(x, y);
    if (set) *rng = drawn; /* after a failure the next try draws the same images */
    return set;
}
