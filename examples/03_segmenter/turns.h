/* turns.h: the eight ways to see a square image, mirrored and turned. What an object is does not depend on them, so a
 * network may be trained on all of them, and asked about all of them. */
#ifndef LESSONS_TURNS_H
#define LESSONS_TURNS_H

#include <string.h>

#include <gradus/gradus.h>

/* Mirrored left to right, upside down, and along the diagonal, in this order. */
enum { LEFT_RIGHT = 1, UPSIDE_DOWN = 2, DIAGONAL = 4 };

/* Pixels of four bytes, F32 or I32. */
static inline void swap_pixels(char *plane, int64_t a, int64_t b)
{
    char was[4];
    memcpy(was, plane + 4 * a, 4);
    memmove(plane + 4 * a, plane + 4 * b, 4);
    memcpy(plane + 4 * b, was, 4);
}

static inline void turn_plane(char *p, int64_t h, int64_t w, int how)
{
    for (int64_t i = 0; how & LEFT_RIGHT && i < h; i++)
        for (int64_t j = 0; j < w / 2; j++) swap_pixels(p, i * w + j, i * w + w - 1 - j);
    for (int64_t i = 0; how & UPSIDE_DOWN && i < h / 2; i++)
        for (int64_t j = 0; j < w; j++) swap_pixels(p, i * w + j, (h - 1 - i) * w + j);
    for (int64_t i = 0; how & DIAGONAL && i < h; i++)
        for (int64_t j = 0; j < i; j++) swap_pixels(p, i * w + j, j * w + i);
}

/* The n-th image of [N,C,H,W], or the n-th label map of [N,H,W]. */
static inline void turn(gr_tensor *images, int64_t n, int how)
{
    const int64_t h = gr_dim(images, -2), w = gr_dim(images, -1),
                  planes = gr_size(images) / gr_dim(images, 0) / (h * w);
    char *pixels = gr_dtype_of(images) == GR_I32 ? (char *)gr_i32(images) : (char *)gr_f32(images);
    for (int64_t c = 0; c < planes; c++) turn_plane(pixels + 4 * (n * planes + c) * h * w, h, w, how);
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
