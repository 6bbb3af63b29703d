/* conv.c: the kernels of convolution: tiles are filled, and sums over channels and taps are kept in registers. */
#ifndef K
#include "tensor/conv.h"

/* What the next tile is made of is fetched into the second cache while this one is computed, some lines at a time. */
typedef struct ahead {
    const char *from;
    int64_t plane, bytes, channels; /* so many bytes of each channel */
    int64_t channel, at;            /* fetched up to here */
    int64_t lines;                  /* at a time */
} ahead;

enum { LINE_BYTES = 64, LARGE_BYTES = 4 << 20 };

/* The i-th tile of n, in `times` portions. A source that is not large is in a cache anyhow. */
static ahead look_ahead(const gr_stencil *s, int64_t i, int64_t n, int64_t bytes, int64_t times)
{
    const int64_t part = i / s->tiles, row = i % s->tiles * s->tile;
    const int64_t pitch = s->columns.source * bytes, plane = gr_source_plane(s) * bytes;
    const int64_t top = s->rows.first + row * s->rows.step,
                  bottom = top + (s->tile - 1) * s->rows.step + s->rows.extent;
    const int64_t fresh = row ? top + s->rows.extent - s->rows.step : top; /* above it this tile has them already */
    const int64_t first = fresh < 0 ? 0 : fresh, last = bottom < s->rows.source ? bottom : s->rows.source;
    const bool small = s->n * s->groups * s->sources * plane < LARGE_BYTES;
    if (i >= n || first >= last || s->in_place || small) return (ahead){.channels = 0};
    return (ahead){.from = (const char *)s->from + part * s->sources * plane + first * pitch,
                   .plane = plane,
                   .bytes = (last - first) * pitch,
                   .channels = s->sources,
                   .lines = s->sources * ((last - first) * pitch / LINE_BYTES + 1) / times + 1};
}

static inline void fetch(ahead *a)
{
    for (int64_t i = 0; i < a->lines && a->channel < a->channels; i++) {
        __builtin_prefetch(a->from + a->channel * a->plane + a->at, 0, 2);
        a->at += LINE_BYTES;
        if (a->at < a->bytes) continue;
        a->at = 0;
        a->channel++;
    }
}

/* The kernel is packed in panels of so many channels of the result. */
enum { PANEL = 64 };

static int64_t panels(const gr_stencil *s)
{
    return (s->results + PANEL - 1) / PANEL;
}

/* A run of consecutive results of some channels. */
typedef struct run {
    const gr_stencil *s;
    const gr_conv_phase *phase;
    const void *in, *weights, *bias;
    void *out;
    int64_t out_channel, length;
    ahead *next;
} run;

#define GR_KERNEL_FILE "tensor/conv.c"
#include "tensor/kernel.h"

static gr_span_body const pack_kernels[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(pack_weights);
static gr_span_body const workers[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(conv_worker);
static gr_span_body const kernel_workers[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(kernel_worker);
static const int64_t lanes_of[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(LANES);

int64_t gr_conv_lanes(gr_dtype dtype)
{
    return lanes_of[gr_cpu_level()][dtype];
}

void gr_conv_run(gr_dtype dtype, gr_stencil *s)
{
    gr_parallel(s->groups * panels(s), 1, pack_kernels[gr_cpu_level()][dtype], s);
    gr_parallel(s->workers, 1, workers[gr_cpu_level()][dtype], s);
}

void gr_conv_run_kernel(gr_dtype dtype, gr_stencil *s)
{
    gr_parallel(s->workers, 1, kernel_workers[gr_cpu_level()][dtype], s);
}

#else /* ---- once per number type and processor ---------------------------------------------------------------- */

#include "tensor/lanes.inc"

/* ---- Tiles --------------------------------------------------------------------------------------------------- */

/* One row of one remainder: source columns column, column + step, ... of a row of `length`, 0 beyond its ends. */
GR_INLINE void K(fill_columns)(const real *restrict row, int64_t length, int64_t column, int64_t step, int64_t width,
                               real *restrict to)
{
    const int64_t before = column < 0 ? (-column + step - 1) / step : 0;
    const int64_t inside = length > column ? (length - column + step - 1) / step : 0; /* up to here */
    const int64_t begin = before < width ? before : width, end = inside < width ? inside : width;
    for (int64_t i = 0; i < begin; i++) to[i] = 0;
    if (step == 1)
        for (int64_t i = begin; i < end; i++) to[i] = row[column + i];
    else
        for (int64_t i = begin; i < end; i++) to[i] = row[column + i * step];
    for (int64_t i = end > begin ? end : begin; i < width; i++) to[i] = 0;
}

/* `channels` planes of the source for rows `row` .. of the results. */
static void K(fill_tile)(const gr_stencil *s, const real *from, int64_t channels, int64_t row, int64_t results,
                         real *tile)
{
    const int64_t first = s->rows.first + row * s->rows.step;
    const int64_t height = (results - 1) * s->rows.step + s->rows.extent;
    for (int64_t c = 0; c < channels; c++, from += gr_source_plane(s), tile += s->channel) {
        for (int64_t i = 0; i < height; i++) {
            const bool inside = first + i >= 0 && first + i < s->rows.source;
            for (int64_t a = 0; a < s->columns.step; a++)
                K(fill_columns)
                (from + (inside ? (first + i) * s->columns.source : 0), inside ? s->columns.source : 0,
                 s->columns.first + a, s->columns.step, s->width, tile + i * s->pitch + a * s->width);
        }
        for (int64_t i = height * s->pitch; i < s->channel; i++) tile[i] = 0; /* what the last vector reads beyond */
    }
}

/* ---- Results ------------------------------------------------------------------------------------------------- */

enum { K(RESULTS) = GR_REGISTERS >= 32 ? 8 : 4 };

/* The channels that are computed together from one on: 8, 4, 2 or 1. */
GR_INLINE int K(together)(int64_t left)
{
    int n = K(RESULTS);
    while (n > left) n /= 2;
    return n;
}

/* The kernel in the order in which strips use it: [block of results][phase][source][tap][result]. */
static void K(pack_block)(const gr_stencil *s, const real *k, int64_t n, real *to)
{
    for (const gr_conv_phase *p = s->phases; p < s->phases + s->n_phases; p++)
        for (int64_t c = 0; c < s->sources; c++)
            for (int64_t t = p->first; t < p->first + p->taps; t++)
                for (int64_t o = 0; o < n; o++) *to++ = k[o * s->of_result + c * s->of_source + s->taps[t].weight];
}

static void K(pack_weights)(void *context, int64_t begin, int64_t end)
{
    const gr_stencil *s = context;
    const int64_t each = s->sources * s->kernel_size;
    for (int64_t i = begin; i < end; i++) {
        const int64_t group = i / panels(s), first = i % panels(s) * PANEL, left = s->results - first;
        const int64_t last = left < PANEL ? s->results : first + PANEL;
        for (int64_t o = first, n; o < last; o += n) {
            n = K(together)(s->results - o);
            K(pack_block)
            (s, (const real *)s->k + group * s->results * each + o * s->of_result, n,
             (real *)s->weights + (group * s->results + o) * each);
        }
    }
}

/* `vectors` vectors of `results` channels from column `at` of a run on. */
GR_INLINE void K(strip)(const run *r, int64_t at, const int results, const int vectors)
{
    const gr_stencil *s = r->s;
    const gr_conv_tap *taps = s->taps + r->phase->first;
    const int64_t n_taps = r->phase->taps;
    const real *k = r->weights, *in = (const real *)r->in + at, *bias = r->bias;
    K(lanes) sum[8][4];
    GR_UNROLL for (int o = 0; o < results; o++) GR_UNROLL for (int v = 0; v < vectors; v++) sum[o][v] =
        (K(lanes)){0} + (bias ? bias[o] : 0);
    for (int64_t c = 0; c < s->sources; c++, in += s->channel)
        for (int64_t t = 0; t < n_taps; t++, k += results) {
            const K(lanes) *x = (const K(lanes) *)(in + taps[t].offset);
            GR_UNROLL for (int o = 0; o < results; o++) GR_UNROLL for (int v = 0; v < vectors; v++) sum[o][v] +=
                k[o] * x[v];
        }
    real *out = (real *)r->out + at;
    GR_UNROLL for (int o = 0; o < results; o++) GR_UNROLL for (int v = 0; v < vectors; v++) *
        (K(lanes) *)(out + o * r->out_channel + v * K(LANES)) = sum[o][v];
}

GR_INLINE void K(strips)(const run *r, const int results, const int vectors)
{
    int64_t at = 0;
    for (; at + vectors * K(LANES) <= r->length; at += vectors * K(LANES)) {
        fetch(r->next);
        K(strip)(r, at, results, vectors);
    }
    for (; at < r->length; at += K(LANES)) K(strip)(r, at, results, 1);
}

static void K(strips_of_8)(const run *r)
{
    K(strips)(r, 8, 2);
}
static void K(strips_of_4)(const run *r)
{
    K(strips)(r, 4, GR_REGISTERS >= 32 ? 4 : 2);
}
static void K(strips_of_2)(const run *r)
{
    K(strips)(r, 2, 4);
}
static void K(strips_of_1)(const run *r)
{
    K(strips)(r, 1, 4);
}

/* The results of a run that was computed on the side go to where they belong: `rows` rows of them, without the gaps. */
static void K(place_results)(const gr_stencil *s, const gr_conv_phase *p, const real *line, int64_t rows, real *to)
{
    for (int64_t i = 0; i < rows; i++) {
        const real *restrict from = line + i * s->pitch;
        real *restrict row = to + i * s->rows.spread * s->columns.result;
        if (s->columns.spread == 1)
            for (int64_t j = 0; j < p->count[1]; j++) row[j] = from[j];
        else
            for (int64_t j = 0; j < p->count[1]; j++) row[j * s->columns.spread] = from[j];
    }
}

/* Rows row .. row + rows - 1 of one phase, of n channels from `result` on. */
static void K(phase_rows)(run r, int n, int64_t row, int64_t rows, real *to, real *line)
{
    static void (*const strips[])(const run *) = {
        [1] = K(strips_of_1), [2] = K(strips_of_2), [4] = K(strips_of_4), [8] = K(strips_of_8)};
    const gr_stencil *s = r.s;
    const gr_conv_phase *p = r.phase;
    const bool aside = s->flat || s->columns.spread > 1 || p->count[1] % K(LANES);
    const int64_t plane = gr_result_plane(s), together = s->flat ? rows : 1;
    r.length = s->flat ? (rows - 1) * s->pitch + p->count[1] : p->count[1];
    for (int64_t i = 0; i < rows; i += together) {
        real *place = to + (p->remainder[0] + (row + i) * s->rows.spread) * s->columns.result + p->remainder[1];
        r.out = aside ? line : place;
        r.out_channel = aside ? s->run : plane;
        strips[n](&r);
        for (int o = 0; aside && o < n; o++) K(place_results)(s, p, line + o * s->run, together, place + o * plane);
        r.in = (const real *)r.in + s->rows.step * s->pitch;
    }
}

/* One tile: its rows of all channels of the result. */
static void K(tile_results)(const gr_stencil *s, int64_t group, int64_t row, const real *tile, real *to, real *line,
                            ahead *next)
{
    const int64_t each = s->sources * s->kernel_size;
    for (int64_t o = 0, n; o < s->results; o += n) {
        n = K(together)(s->results - o);
        const int64_t result = group * s->results + o;
        for (const gr_conv_phase *p = s->phases; p < s->phases + s->n_phases; p++) {
            const run r = {.s = s,
                           .phase = p,
                           .in = tile,
                           .next = next,
                           .bias = s->b ? (const real *)s->b + result : NULL,
                           .weights = (const real *)s->weights + result * each + p->first * s->sources * n};
            K(phase_rows)(r, (int)n, row, gr_rows_at(s, p->count[0], row), to + o * gr_result_plane(s), line);
        }
    }
}

/* Every worker has its share of the tiles of all images and groups. */
static void K(conv_worker)(void *context, int64_t begin, int64_t end)
{
    const gr_stencil *s = context;
    const int64_t all = s->n * s->groups * s->tiles;
    const int64_t strips =
        s->tile * ((s->columns.most - 1) / (2 * K(LANES)) + 1) * ((s->results - 1) / K(RESULTS) + 1); /* or so */
    for (int64_t w = begin; w < end; w++) {
        real *scratch = (real *)(s->scratch + (size_t)w * s->scratch_bytes);
        real *line = scratch + (s->in_place ? 0 : s->sources * s->channel);
        const int64_t last = all * (w + 1) / s->workers;
        for (int64_t i = all * w / s->workers; i < last; i++) {
            const int64_t part = i / s->tiles, row = i % s->tiles * s->tile;
            const real *from = (const real *)s->from + part * s->sources * gr_source_plane(s);
            real *to = (real *)s->to + part * s->results * gr_result_plane(s);
            if (!s->in_place) K(fill_tile)(s, from, s->sources, row, gr_rows_at(s, s->rows.most, row), scratch);
            ahead next = look_ahead(s, i + 1, last, sizeof(real), strips);
            const real *tile = s->in_place ? from + row * s->pitch : scratch;
            K(tile_results)(s, part % s->groups, row, tile, to, line, &next);
        }
    }
}

/* ---- The gradient of the kernel ------------------------------------------------------------------------------ */

/* It is computed in blocks of so many channels of y by so many taps, whose sums are vectors until the end. */
enum { K(OUTS) = 4, K(TAPS) = GR_REGISTERS >= 32 ? 6 : 2, K(BLOCK) = K(OUTS) * K(TAPS) * K(LANES) };

/* The tiles of x and y that are being multiplied, and how many runs of what length they have. */
typedef struct K(product) {
    const gr_stencil *s;
    const real *x, *y;
    int64_t y_channel, runs, length;
} K(product);

/* sum[o][q] += y_o x_q, run by run, for some channels of y and some taps of the sources. */
GR_INLINE void K(add_product)(const K(product) * p, int64_t o, int64_t q, real *sums, const int outs, const int taps)
{
    const gr_stencil *s = p->s;
    const real *x[K(TAPS)], *y[K(OUTS)];
    K(lanes) sum[K(OUTS)][K(TAPS)], *kept = (K(lanes) *)sums;
    for (int j = 0; j < taps; j++) {
        const int64_t channel = (q + j) / s->kernel_size, tap = (q + j) % s->kernel_size;
        x[j] = p->x + channel * s->channel + s->taps[tap].offset;
    }
    for (int i = 0; i < outs; i++) y[i] = p->y + (o + i) * p->y_channel;
    GR_UNROLL for (int i = 0; i < outs; i++) GR_UNROLL for (int j = 0; j < taps; j++) sum[i][j] = kept[i * K(TAPS) + j];
    for (int64_t r = 0; r < p->runs; r++) {
        for (int64_t at = 0; at < p->length; at += K(LANES)) {
            K(lanes) xs[K(TAPS)];
            GR_UNROLL for (int j = 0; j < taps; j++) xs[j] = *(const K(lanes) *)(x[j] + at);
            GR_UNROLL for (int i = 0; i < outs; i++) GR_UNROLL for (int j = 0; j < taps; j++) sum[i][j] +=
                *(const K(lanes) *)(y[i] + at) * xs[j];
        }
        for (int j = 0; j < taps; j++) x[j] += s->rows.step * s->pitch;
        for (int i = 0; i < outs; i++) y[i] += s->y_pitch;
    }
    GR_UNROLL for (int i = 0; i < outs; i++) GR_UNROLL for (int j = 0; j < taps; j++) kept[i * K(TAPS) + j] = sum[i][j];
}

static void K(whole_block)(const K(product) * p, int64_t o, int64_t q, real *sums)
{
    K(add_product)(p, o, q, sums, K(OUTS), K(TAPS));
}

static void K(one_out)(const K(product) * p, int64_t o, int64_t q, real *sums)
{
    K(add_product)(p, o, q, sums, 1, K(TAPS));
}

static void K(one_tap)(const K(product) * p, int64_t o, int64_t q, real *sums)
{
    K(add_product)(p, o, q, sums, K(OUTS), 1);
}

static void K(one_of_each)(const K(product) * p, int64_t o, int64_t q, real *sums)
{
    K(add_product)(p, o, q, sums, 1, 1);
}

/* How many channels and taps the block that begins with these has. */
GR_INLINE int64_t K(outs_at)(const gr_stencil *s, int64_t o)
{
    return s->results - o < K(OUTS) ? s->results - o : K(OUTS);
}

GR_INLINE int64_t K(taps_at)(const gr_stencil *s, int64_t q)
{
    const int64_t left = s->sources * s->kernel_size - q;
    return left < K(TAPS) ? left : K(TAPS);
}

static void K(product_block)(const K(product) * p, int64_t o, int64_t q, real *sums)
{
    const int64_t outs = K(outs_at)(p->s, o), taps = K(taps_at)(p->s, q);
    const bool many = outs == K(OUTS), whole = taps == K(TAPS);
    void (*const body)(const K(product) *, int64_t, int64_t, real *) = many    ? whole ? K(whole_block) : K(one_tap)
                                                                          : whole ? K(one_out)
                                                                               : K(one_of_each);
    for (int64_t i = 0; i < outs; i += many ? K(OUTS) : 1)
        for (int64_t j = 0; j < taps; j += whole ? K(TAPS) : 1)
            body(p, o + i, q + j, sums + (i * K(TAPS) + j) * K(LANES));
}

/* Rows of y as a tile of its own: zeros fill up its vectors, and the gaps of a flat one. */
static void K(fill_y)(const gr_stencil *s, const real *y, int64_t rows, real *tile)
{
    const int64_t columns = s->columns.result, pitch = s->flat ? s->pitch : s->run;
    const int64_t channel = s->flat ? s->run : s->run * s->tile;
    memset(tile, 0, (size_t)(s->results * channel) * sizeof *tile);
    for (int64_t o = 0; o < s->results; o++)
        for (int64_t i = 0; i < rows; i++)
            memcpy(tile + o * channel + i * pitch, y + o * gr_result_plane(s) + i * columns,
                   (size_t)columns * sizeof *y);
}

/* Blocks are in the order of the sources' taps, and for each in that of the channels of y, of which so many are needed.
 */
GR_INLINE int64_t K(blocks_of_outs)(const gr_stencil *s)
{
    return (s->results + K(OUTS) - 1) / K(OUTS);
}

/* The tiles of x and y for rows `row` .. of the results; of x the channels c0 .. c1 - 1 alone. */
static K(product) K(fill_product)(const gr_stencil *s, int64_t part, int64_t row, int64_t c0, int64_t c1, real *scratch)
{
    const int64_t rows = gr_rows_at(s, s->rows.most, row), plane = gr_source_plane(s);
    const real *x = (const real *)s->from + part * s->sources * plane;
    const real *y = (const real *)s->k + part * s->results * gr_result_plane(s) + row * s->columns.result;
    real *y_tile = scratch + (s->in_place ? 0 : s->sources * s->channel);
    if (!s->in_place) K(fill_tile)(s, x + c0 * plane, c1 - c0, row, rows, scratch + c0 * s->channel);
    if (s->y_copied) K(fill_y)(s, y, rows, y_tile);
    return (K(product)){.s = s,
                        .x = s->in_place ? x + row * s->pitch : scratch,
                        .y = s->y_copied ? y_tile : y,
                        .y_channel = !s->y_copied ? gr_result_plane(s)
                                     : s->flat    ? s->run
                                                  : s->run * s->tile,
                        .runs = s->flat ? 1 : rows,
                        .length = s->flat ? (rows - 1) * s->pitch + s->columns.most : s->columns.most};
}

/* What one tile adds to the blocks first .. last - 1. */
static void K(kernel_tile)(const gr_stencil *s, int64_t part, int64_t row, int64_t first, int64_t last, real *sums,
                           real *scratch, ahead *next)
{
    const int64_t outs = K(blocks_of_outs)(s), q_last = (last - 1) / outs * K(TAPS);
    const int64_t c0 = first / outs * K(TAPS) / s->kernel_size;
    const int64_t c1 = (q_last + K(taps_at)(s, q_last) - 1) / s->kernel_size + 1;
    const K(product) p = K(fill_product)(s, part, row, c0, c1, scratch);
    for (int64_t b = first; b < last; b++) {
        fetch(next);
        K(product_block)(&p, b % outs * K(OUTS), b / outs * K(TAPS), sums + (b - first) * K(BLOCK));
    }
}

/* The sums of blocks become numbers of the kernel. */
static void K(finish_blocks)(const gr_stencil *s, int64_t first, int64_t last, const real *sums, real *to)
{
    const int64_t outs = K(blocks_of_outs)(s), each = s->sources * s->kernel_size;
    for (int64_t b = first; b < last; b++, sums += K(BLOCK)) {
        const int64_t o = b % outs * K(OUTS), q = b / outs * K(TAPS);
        const K(lanes) *sum = (const K(lanes) *)sums;
        for (int64_t i = 0; i < K(outs_at)(s, o); i++)
            for (int64_t j = 0; j < K(taps_at)(s, q); j++)
                to[(o + i) * each + q + j] = K(sum_of_lanes)(sum[i * K(TAPS) + j]);
    }
}

/* The blocks first .. last - 1 of one group, from all images. */
static void K(kernel_blocks)(const gr_stencil *s, int64_t group, int64_t first, int64_t last, real *sums, real *tiles)
{
    const int64_t each = s->sources * s->kernel_size, all = s->n * s->tiles;
    memset(sums, 0, (size_t)((last - first) * K(BLOCK)) * sizeof *sums);
    for (int64_t i = 0; i < all; i++) {
        ahead next = look_ahead(s, i + 1, s->groups > 1 ? 0 : all, sizeof(real), last - first);
        const int64_t part = i / s->tiles * s->groups + group, row = i % s->tiles * s->tile;
        K(kernel_tile)(s, part, row, first, last, sums, tiles, &next);
    }
    K(finish_blocks)(s, first, last, sums, (real *)s->to + group * s->results * each);
}

/* Every worker has its share of the blocks, and goes through all images for as many as it has memory for. What becomes
 * of a block does not depend on the number of workers. */
static void K(kernel_worker)(void *context, int64_t begin, int64_t end)
{
    const gr_stencil *s = context;
    const int64_t taps = s->sources * s->kernel_size, at_once = GR_CONV_SUMS / K(BLOCK);
    const int64_t all = K(blocks_of_outs)(s) * ((taps + K(TAPS) - 1) / K(TAPS));
    for (int64_t w = begin; w < end; w++) {
        real *sums = (real *)(s->scratch + (size_t)w * s->scratch_bytes), *tiles = sums + GR_CONV_SUMS;
        const int64_t share = all * (w + 1) / s->workers;
        for (int64_t group = 0; group < s->groups; group++)
            for (int64_t first = all * w / s->workers, last; first < share; first = last) {
                last = share - first < at_once ? share : first + at_once;
                K(kernel_blocks)(s, group, first, last, sums, tiles);
            }
    }
}

#endif
