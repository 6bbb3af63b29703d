/* conv.h: the three products that a convolution and its derivatives are made of, on planes in memory.
 *
 * What they compute. Each product does one of the three lines in the middle; what it adds to begins as 0, or as a bias:
 *
 *     for (n = 0; n < N; n++)
 *       for (o = 0; o < O; o++)
 *         for (c = 0; c < C; c++)
 *           for (i = 0; i < y_rows; i++)
 *             for (j = 0; j < y_columns; j++)
 *               for (u = 0; u < k_rows; u++)
 *                 for (v = 0; v < k_columns; v++) {
 *                     row = i * stride + u * dilation - padding;    column = j * stride + v * dilation - padding;
 *                     if (row < 0 || row >= x_rows || column < 0 || column >= x_columns) continue;
 *                     y[n][o][i][j]        += k[o][c][u][v] * x[n][c][row][column];    // forward
 *                     x[n][c][row][column] += k[o][c][u][v] * y[n][o][i][j];           // adjoint
 *                     k[o][c][u][v]        += y[n][o][i][j] * x[n][c][row][column];    // gradient of the kernel
 *                 }
 *
 * How. Forward and adjoint read a source (x, y) and write results (y, x). A few rows of all channels of the source are
 * copied into a tile, with the padding written out as zeros; its drawing is below. In a tile a tap (u, v) of the kernel
 * is a fixed offset, and neighbouring results read neighbouring elements. So a vector of results is a sum, over channels
 * and taps, of a weight times the vector at an offset, and the sums of several vectors and channels stay in registers.
 * The gradient of the kernel reads x through the same tiles: each weight is a dot product of y with x at an offset. */
#ifndef GR_TENSOR_CONV_H
#define GR_TENSOR_CONV_H

#include "tensor/internal.h"

/* x [n, groups*c, x], k [groups*o, c, k] and y [n, groups*o, y]. Pairs are of rows and columns. */
typedef struct gr_conv {
    int64_t n, groups, c, o;
    int64_t x[2], k[2], y[2];
    int64_t stride[2], padding[2], dilation[2];
} gr_conv;

/* What the plan takes for granted: strides and distances are there, and the last window of x lies in the padded x. */
static inline bool gr_conv_is_sound(const gr_conv *c)
{
    bool sound = c->n >= 0 && c->groups > 0 && c->c > 0 && c->o > 0;
    for (int i = 0; i < 2; i++) {
        sound = sound && c->stride[i] > 0 && c->padding[i] >= 0 && c->dilation[i] > 0 && c->k[i] > 0;
        const int64_t last = (c->y[i] - 1) * c->stride[i] + (c->k[i] - 1) * c->dilation[i];
        sound = sound && (c->y[i] == 0 || last < c->x[i] + 2 * c->padding[i]);
    }
    return sound;
}

/* y from x and k; x from y and k; both with b for each channel of the result, or NULL. k from x and y. `pool` lends
 * memory for the time of the call; GR_ERR_MEMORY when there is none. */
gr_status gr_conv_forward(gr_pool *pool, gr_dtype dtype, const gr_conv *c, const void *x, const void *k, const void *b,
                          void *y);
gr_status gr_conv_adjoint(gr_pool *pool, gr_dtype dtype, const gr_conv *c, const void *y, const void *k, const void *b,
                          void *x);
gr_status gr_conv_kernel(gr_pool *pool, gr_dtype dtype, const gr_conv *c, const void *x, const void *y, void *k);

/* ---- The plan, which conv_plan.c makes and conv.c executes ----------------------------------------------------- */

/* One axis. Results with equal remainder by result_stride are a phase, for they have the same taps. Result i of phase r
 * lies at r + i*result_stride and reads the source at first + i*source_stride + the distance of each of its taps.
 * Forward, all results are one phase; in the adjoint there are as many as the stride, or as there are results. */
typedef struct gr_conv_axis {
    int64_t source, result; /* elements */
    int64_t source_stride, result_stride;
    int64_t first;       /* what result 0 reads at distance 0; below 0 it is padding */
    int64_t extent;      /* distances are 0 to extent - 1 */
    int64_t phases;      /* counted by remainder */
    int64_t max_results; /* of a phase: those of remainder 0 */
} gr_conv_axis;

/* A tap: how far into the tile it reads, and the place of its weight in a plane of k. */
typedef struct gr_conv_tap {
    int64_t offset, weight;
} gr_conv_tap;

/* The results whose row and column have these remainders, and the taps that contribute to them. */
typedef struct gr_conv_phase {
    int64_t row, column;   /* the remainders, which are also where the first result lies */
    int64_t rows, columns; /* results */
    int64_t first_tap, n_taps;
} gr_conv_phase;

/* A tile holds what tile_rows rows of results read, of all channels of the source. Here a row of the source is a b c d e
 * f, the stride 2, the padding 1, and the kernel has 3 columns. Columns of equal remainder form a segment:
 *
 *     a row of the tile      . b d f   a c e .      . is a 0 of the padding
 *     tap 0 reads            ^ ^ ^                  at offset 0
 *     tap 1 reads                      ^ ^ ^        at offset `segment`
 *     tap 2 reads              ^ ^ ^                at offset 1; so result 0 is k0 . + k1 a + k2 b
 *                            |------|               segment
 *                            |--------------|       pitch: from a row to the next
 *
 *     the tile, rows down    . b d f   a c e .
 *                            . h j l   g i k .      (tile_rows - 1) * source_stride + extent rows, and some zeros for
 *                            . n p r   m o q .      vectors that reach beyond the last one, make up `channel`: the
 *                            :                      distance from a channel of the tile to the next
 *
 * A span is what one loop over vectors computes: a row of results or, where rows are no whole vectors and all strides
 * are 1, all rows of the tile with the gaps between them, which are dropped ("flat"; here with 2 rows and padding 1):
 *
 *     the tile               . a b c .   . d e f .
 *     the span               A B C x x   D E F       one `pitch` from A to D */
typedef struct gr_conv_plan {
    int64_t images, groups, sources, results; /* sources, results: channels in a group that are read, written */
    gr_conv_axis rows, columns;
    const void *source; /* [images, groups, sources, rows.source, columns.source] */
    const void *k;      /* forward and adjoint: the kernel; its channels lie so far apart: */
    int64_t k_source, k_result;
    const void *bias; /* [groups, results], or NULL */
    const void *y;    /* gradient of the kernel: [images, groups, results, rows.result, columns.result] */
    void *to;         /* the results as y above; or the gradient [groups, results, sources, kernel_size] */

    int64_t kernel_size; /* taps in a plane of the kernel */
    gr_conv_tap *taps;   /* of all phases, one phase after the other */
    gr_conv_phase *phases;
    int64_t n_phases;

    bool in_place; /* one tap and no padding: the source serves as its own tile */
    bool flat;
    int64_t segment, pitch, channel;
    int64_t tile_rows, tiles;   /* rows of results in a tile; tiles in a plane */
    int64_t span;               /* the longest span, in whole vectors */
    bool y_copied;              /* gradient of the kernel: y's rows are padded to spans, or used where they are */
    int64_t y_pitch, y_channel; /* from span to span, from channel to channel */

    void *weights; /* the kernel in the order of use (pack_block() in conv.kernels.inc) */
    char *scratch; /* for each of the workers: sums or spans, and tiles */
    int64_t scratch_bytes;
    int workers;
} gr_conv_plan;

/* Channels of results that are computed at once, at most; elements of one worker's sums in the gradient of the kernel. */
enum { GR_CONV_MAX_BLOCK = 8, GR_CONV_SUMS = 3 << 17 };

static inline int64_t gr_conv_round_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static inline int64_t gr_conv_source_plane(const gr_conv_plan *p)
{
    return p->rows.source * p->columns.source;
}

static inline int64_t gr_conv_result_plane(const gr_conv_plan *p)
{
    return p->rows.result * p->columns.result;
}

/* How many of `rows` rows of results are in the tile that begins with row `row`: the last tile may have fewer. */
static inline int64_t gr_conv_rows_at(const gr_conv_plan *p, int64_t rows, int64_t row)
{
    return rows - row < p->tile_rows ? rows - row : p->tile_rows;
}

/* Rows of the source that so many rows of results read. */
static inline int64_t gr_conv_height(const gr_conv_plan *p, int64_t rows)
{
    return (rows - 1) * p->rows.source_stride + p->rows.extent;
}

/* What the kernels take for granted: of every tap, the last span of a tile ends within its channel. */
static inline bool gr_conv_reads_inside(const gr_conv_plan *p)
{
    const int64_t last_row = p->flat || p->in_place ? 0 : (p->tile_rows - 1) * p->rows.source_stride * p->pitch;
    bool inside = true;
    for (const gr_conv_phase *phase = p->phases; phase < p->phases + p->n_phases; phase++)
        for (int64_t t = phase->first_tap; t < phase->first_tap + phase->n_taps; t++)
            inside = inside && p->taps[t].offset >= 0 && p->taps[t].offset + last_row + p->span <= p->channel;
    return inside;
}

/* Execute a plan whose memory is there: forward or adjoint, and the gradient of the kernel. */
void gr_conv_execute(gr_dtype dtype, gr_conv_plan *p);
void gr_conv_execute_kernel(gr_dtype dtype, gr_conv_plan *p);

/* Elements of a vector. */
int64_t gr_conv_lanes(gr_dtype dtype);

#endif
