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
 * copied into a tile, with the padding written out as zeros; its drawing is at gr_conv_plan. There a tap, one (u, v) of
 * the kernel, is a fixed offset, and neighbouring results read neighbouring elements. So a vector of results is a sum,
 * over channels and taps, of a weight times the vector at an offset; the sums of some vectors and channels stay in
 * registers. The gradient of k reads x through the same tiles: that of a weight is the dot product of y with x at an
 * offset. */
#ifndef GR_TENSOR_CONV_H
#define GR_TENSOR_CONV_H

#include "tensor/internal.h"

/* x [n, groups*c, x], k [groups*o, c, k] and y [n, groups*o, y]: each group of c channels of x makes o channels of y.
 * Pairs are of rows and columns. */
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

/* One axis, rows or columns. Results with equal remainder by result_stride are a phase: the same taps contribute to
 * them. Result i of phase r lies at r + i*result_stride, and a tap at distance d reads the source at first +
 * i*source_stride + d. Forward has one phase, the adjoint as many as the stride, or as there are results. */
typedef struct gr_conv_axis {
    int64_t source_size, result_size;
    int64_t source_stride, result_stride;
    int64_t first;       /* what result 0 reads at distance 0; below 0 lies padding */
    int64_t extent;      /* distances are 0 to extent - 1 */
    int64_t phases;      /* numbered by remainder */
    int64_t max_results; /* of a phase; phase 0 has so many */
} gr_conv_axis;

/* A tap: how far into the tile it reads, and the place of its weight in a plane of k. */
typedef struct gr_conv_tap {
    int64_t offset, weight;
} gr_conv_tap;

/* The results of one phase of rows and one of columns, and the taps that contribute to them. */
typedef struct gr_conv_phase {
    int64_t row, column; /* numbers of the phases, and the place of the first result */
    int64_t rows, columns;
    int64_t first_tap, n_taps;
} gr_conv_phase;

/* A tile holds what tile_rows rows of results read, of all channels of the source. Let a row of the source be a b c d e
 * f, the stride 2, the padding 1, and let the kernel have 3 columns. Columns of equal remainder form a segment:
 *
 *     a row of the tile      . b d f   a c e .      . is a 0 of the padding
 *     tap 0 reads            ^ ^ ^                  at offset 0
 *     tap 1 reads                      ^ ^ ^        at offset `segment`
 *     tap 2 reads              ^ ^ ^                at offset 1: result 0 is k0 . + k1 a + k2 b
 *                            |-----|                segment
 *                            |---------------|      row_pitch, to the next row
 *
 *     one of its channels    . b d f   a c e .      (tile_rows - 1) * source_stride + extent rows, and some zeros for
 *                            . h j l   g i k .      vectors that reach beyond the last one; together they make up
 *                            . n p r   m o q .      channel_pitch, to the next channel
 *
 * A span is what one loop over vectors computes: a row of results or, where a row is no whole number of vectors and all
 * strides are 1, all rows of results in the tile. Such a span is flat: it has gaps, which are computed and dropped.
 *
 *     two rows of the tile   . a b c .   . d e f .  3 columns, padding 1
 *     a flat span            A B C x x   D E F      A to D is one row_pitch */
typedef struct gr_conv_plan {
    int64_t images, groups, source_channels, result_channels; /* channels: of a group */
    gr_conv_axis rows, columns;
    int64_t kernel_size;        /* weights in a plane of k */
    int64_t weights;            /* of a channel of results: source_channels * kernel_size */
    int64_t k_source, k_result; /* in k, from a channel to the next */
    const void *source;         /* [images, groups, source_channels, rows.source_size, columns.source_size] */
    const void *k, *bias;       /* forward and adjoint; bias is NULL or [groups, result_channels] */
    const void *y;              /* gradient of k: of the shape of results */
    void *to; /* results [images, groups, result_channels, rows.result_size, columns.result_size], or dk */

    gr_conv_tap *taps; /* phase by phase */
    gr_conv_phase *phases;
    int64_t n_phases;

    bool flat;
    bool in_place; /* one tap and no padding: the source serves as its own tile */
    int64_t segment, row_pitch, channel_pitch;
    int64_t tile_rows, tiles; /* rows of results in a tile; tiles in a plane of results */
    int64_t max_span;         /* the length of the longest span, in whole vectors */
    bool y_copied;            /* gradient of k: rows of y are filled up to whole vectors, in a tile of their own */
    int64_t y_row_pitch, y_channel_pitch;

    void *packed;  /* k in the order of use */
    char *scratch; /* for each worker: a tile, and spans or sums */
    int64_t scratch_bytes;
    int workers;
} gr_conv_plan;

/* Channels of results that are computed at once, at most; numbers that one worker's sums for the gradient of k take. */
enum { GR_CONV_MAX_BLOCK = 8, GR_CONV_SUMS = 3 << 17 };

static inline int64_t gr_conv_round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/* Elements of one channel. */
static inline int64_t gr_conv_source_plane(const gr_conv_plan *p)
{
    return p->rows.source_size * p->columns.source_size;
}

static inline int64_t gr_conv_result_plane(const gr_conv_plan *p)
{
    return p->rows.result_size * p->columns.result_size;
}

/* Elements of a tile in a worker's scratch. */
static inline int64_t gr_conv_tile_size(const gr_conv_plan *p)
{
    return p->in_place ? 0 : p->source_channels * p->channel_pitch;
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

/* What the kernels take for granted: for every tap, the last span in a channel of the tile ends within the channel. */
static inline bool gr_conv_reads_inside(const gr_conv_plan *p)
{
    const int64_t last_row = p->flat || p->in_place ? 0 : (p->tile_rows - 1) * p->rows.source_stride * p->row_pitch;
    bool inside = true;
    for (const gr_conv_phase *phase = p->phases; phase < p->phases + p->n_phases; phase++)
        for (int64_t t = phase->first_tap; t < phase->first_tap + phase->n_taps; t++)
            inside = inside && p->taps[t].offset >= 0 && p->taps[t].offset + last_row + p->max_span <= p->channel_pitch;
    return inside;
}

/* Execute a plan whose memory is there: forward or adjoint, and the gradient of k. */
void gr_conv_execute(gr_dtype dtype, gr_conv_plan *p);
void gr_conv_execute_kernel(gr_dtype dtype, gr_conv_plan *p);

/* Elements of a vector. */
int64_t gr_conv_lanes(gr_dtype dtype);

#endif
