/* turns.h: the eight ways to see a square image, mirrored and turned. What an object is does not depend on them, so a
 * network may be trained on all of them, and asked about all of them. */
#ifndef LESSONS_TURNS_H
#define LESSONS_TURNS_H

#include <gradus/gradus.h>

/* Mirrored left to right, upside down, and along the diagonal, in this order. */
enum { LEFT_RIGHT = 1, UPSIDE_DOWN = 2, DIAGONAL = 4 };

static inline void swap_pixels(float *a, float *b)
{
    const float was = *a;
    *a = *b;
    *b = was;
}

static inline void turn_plane(float *p, int64_t h, int64_t w, int how)
{
    for (int64_t i = 0; how & LEFT_RIGHT && i < h; i++)
        for (int64_t j = 0; j < w / 2; j++) swap_pixels(&p[i * w + j], &p[i * w + w - 1 - j]);
    for (int64_t i = 0; how & UPSIDE_DOWN && i < h / 2; i++)
        for (int64_t j = 0; j < w; j++) swap_pixels(&p[i * w + j], &p[(h - 1 - i) * w + j]);
    for (int64_t i = 0; how & DIAGONAL && i < h; i++)
        for (int64_t j = 0; j < i; j++) swap_pixels(&p[i * w + j], &p[j * w + i]);
}

/* The n-th image of [N,C,H,W]. */
static inline void turn(gr_tensor *images, int64_t n, int how)
{
    const int64_t channels = gr_dim(images, 1), h = gr_dim(images, 2), w = gr_dim(images, 3);
    for (int64_t c = 0; c < channels; c++) turn_plane(gr_f32(images) + (n * channels + c) * h * w, h, w, how);
}

/* The way back: beyond the diagonal left and right are up and down. */
static inline int back(int how)
{
    return how & DIAGONAL ? DIAGONAL | (how & LEFT_RIGHT ? UPSIDE_DOWN : 0) | (how & UPSIDE_DOWN ? LEFT_RIGHT : 0)
                          : how;
}

/* How many ways keep the shape of the image. */
static inline int ways(const gr_tensor *images) { return gr_dim(images, 2) == gr_dim(images, 3) ? 8 : 4; }

#endif
