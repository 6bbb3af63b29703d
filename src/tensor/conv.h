/* conv.h: the three products that a convolution and its derivatives are made of, on planes in memory.
 *
 * A few rows of all channels of the source are copied into a tile, in which padding is written out and, for a stride,
 * columns of equal remainder lie side by side. There every tap of the kernel is one offset, and the columns of the
 * result are consecutive: a vector of them is a sum over channels and taps, of k times the vector at that offset. The
 * adjoint of a convolution is a convolution too, one for each remainder that a result's row and column may have by the
 * stride. */
#ifndef GR_TENSOR_CONV_H
#define GR_TENSOR_CONV_H

#include "tensor/internal.h"

/* y [n, groups o, result] is the convolution of x [n, groups c, image] with k [groups o, c, kernel]. */
typedef struct gr_conv {
    int64_t n, groups, c, o;
    int64_t image[2], result[2], kernel[2]; /* rows, columns */
    int64_t stride[2], padding[2], dilation[2];
} gr_conv;

/* The convolution y of x, and its adjoint x of y, both plus b for each channel where b is not NULL; and the gradient of
 * k when x is convolved and y the gradient of the result. `pool` lends memory for the time of the call; GR_ERR_MEMORY
 * when there is none. */
gr_status gr_conv_forward(gr_pool *pool, gr_dtype dtype, const gr_conv *c, const void *x, const void *k, const void *b,
                          void *y);
gr_status gr_conv_adjoint(gr_pool *pool, gr_dtype dtype, const gr_conv *c, const void *y, const void *k, const void *b,
                          void *x);
gr_status gr_conv_kernel(gr_pool *pool, gr_dtype dtype, const gr_conv *c, const void *x, const void *y, void *k);

/* ---- The plan (conv_plan.c), which the kernels (conv.c) carry out ---------------------------------------------- */

/* One axis. Result i of a remainder reads source first + i step + (the place of a tap). */
typedef struct gr_conv_axis {
    int64_t source, result;
    int64_t step, spread;     /* from one result of a remainder to the next: in the source, in the result */
    int64_t first, extent;    /* of the places of taps */
    int64_t remainders, most; /* of results; how many have remainder 0 */
} gr_conv_axis;

/* A tap: how far into the tile it reads, and which of the kernel's numbers it is. */
typedef struct gr_conv_tap {
    int64_t offset, weight;
} gr_conv_tap;

/* The results of one pair of remainders have some of the taps. */
typedef struct gr_conv_phase {
    int64_t remainder[2], count[2];
    int64_t first, taps;
} gr_conv_phase;

typedef struct gr_stencil {
    int64_t n, groups, sources, results; /* images; groups of so many channels in and out */
    int64_t of_source, of_result;        /* strides in the kernel, from channel to channel */
    int64_t kernel_size;
    gr_conv_axis rows, columns;
    gr_conv_tap *taps; /* all, phase by phase */
    gr_conv_phase *phases;
    int64_t n_phases;
    bool in_place;       /* one tap and no padding: the source is its own tile */
    bool flat;           /* the rows of a tile are computed as one run, with the gaps between them */
    int64_t width;       /* of the columns of one remainder in a tile */
    int64_t pitch;       /* of its rows */
    int64_t channel;     /* of its channels */
    int64_t tile, tiles; /* results' rows in a tile, tiles in a plane */
    int64_t run;         /* the longest run of results, in whole vectors */
    int64_t y_pitch;     /* gr_conv_kernel(): from run to run of y; y_copied where they are not y's own rows */
    bool y_copied;
    int workers;
    const void *from, *k, *b;
    void *to;
    void *weights; /* k in the order of use */
    char *scratch; /* for each worker a tile and runs of results */
    size_t scratch_bytes;
} gr_stencil;

/* Channels of the result that are computed at once, at most; elements of the sums of which the kernel's gradient is
 * made. */
enum { GR_CONV_RESULTS = 8, GR_CONV_SUMS = 3 << 17 };

static inline int64_t gr_round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* Elements of one channel of the source, and of the result. */
static inline int64_t gr_source_plane(const gr_stencil *s)
{
    return s->rows.source * s->columns.source;
}

static inline int64_t gr_result_plane(const gr_stencil *s)
{
    return s->rows.result * s->columns.result;
}

/* The rows of results in the tile that begins with a row of them: the last one may have fewer. */
static inline int64_t gr_rows_at(const gr_stencil *s, int64_t all, int64_t row)
{
    return all - row < s->tile ? all - row : s->tile;
}

/* Carries out a plan, whose memory is there. */
void gr_conv_run(gr_dtype dtype, gr_stencil *s);
void gr_conv_run_kernel(gr_dtype dtype, gr_stencil *s);

/* Elements of a vector. */
int64_t gr_conv_lanes(gr_dtype dtype);

#endif
