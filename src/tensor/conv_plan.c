/* conv_plan.c: what a convolution reads and writes where, and the memory for it. */
#include "tensor/conv.h"

/* Tiles of a result stay in the second cache; those of the kernel's gradient, of which four channels are read again and
 * again, in the first. */
enum { TILE_BYTES = 256 << 10, FEW_ROWS = 4, PLANE_BYTES = 4 << 10, ROW_OF_POINTS = 1024 };

/* Products that are worth a thread: those of fewer take less time than to wake it. */
enum { WORTH_A_THREAD = 1 << 17 };

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t ceiling(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* ---- One axis ------------------------------------------------------------------------------------------------ */

/* A tap of one axis: the results that have it, and how far behind `first` it reads. */
typedef struct place {
    int64_t remainder, at;
} place;

/* y_i = sum over u of k_u x_(i stride + u dilation - padding) */
static gr_conv_axis forward_axis(const gr_conv *c, int i)
{
    return (gr_conv_axis){.source = c->image[i],
                          .result = c->result[i],
                          .step = c->stride[i],
                          .spread = 1,
                          .first = -c->padding[i],
                          .extent = (c->kernel[i] - 1) * c->dilation[i] + 1,
                          .remainders = 1,
                          .most = c->result[i]};
}

static place forward_place(const gr_conv *c, int i, int64_t u, int64_t first)
{
    (void)first;
    return (place){0, u * c->dilation[i]};
}

/* x_j = sum over u of k_u y_((j + padding - u dilation) / stride), where that is whole: with j = r + stride i it is
 * i + (r + padding - u dilation) / stride for the one remainder r that makes it so. */
static place adjoint_shift(const gr_conv *c, int i, int64_t u)
{
    const int64_t back = u * c->dilation[i] - c->padding[i], stride = c->stride[i];
    const int64_t remainder = (back % stride + stride) % stride;
    return (place){remainder, (remainder - back) / stride};
}

static gr_conv_axis adjoint_axis(const gr_conv *c, int i)
{
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (int64_t u = 0; u < c->kernel[i]; u++) {
        const int64_t at = adjoint_shift(c, i, u).at;
        least = at < least ? at : least;
        most = at > most ? at : most;
    }
    return (gr_conv_axis){.source = c->result[i],
                          .result = c->image[i],
                          .step = 1,
                          .spread = c->stride[i],
                          .first = least,
                          .extent = most - least + 1,
                          .remainders = smaller(c->stride[i], c->image[i]),
                          .most = ceiling(c->image[i], c->stride[i])};
}

static place adjoint_place(const gr_conv *c, int i, int64_t u, int64_t first)
{
    place p = adjoint_shift(c, i, u);
    p.at -= first;
    return p;
}

/* ---- The tile ------------------------------------------------------------------------------------------------ */

/* A kernel of one tap that sees each source once: rows of any length will do. */
static bool is_pointwise(const gr_conv_axis *a)
{
    return a->extent == 1 && a->step == 1 && a->spread == 1 && a->first == 0 && a->source == a->result;
}

static bool lay_in_place(gr_stencil *s, int64_t lanes)
{
    const int64_t plane = s->rows.source * s->columns.source;
    if (!is_pointwise(&s->rows) || !is_pointwise(&s->columns) || plane % lanes) return false;
    int64_t width = ROW_OF_POINTS;
    while (plane % width) width /= 2;
    s->rows.source = s->rows.result = s->rows.most = plane / width;
    s->columns.source = s->columns.result = s->columns.most = s->width = s->pitch = width;
    s->channel = plane;
    return s->in_place = true;
}

static int64_t tile_height(const gr_stencil *s, int64_t results)
{
    return (results - 1) * s->rows.step + s->rows.extent;
}

static void lay_out(gr_stencil *s, int64_t lanes)
{
    const gr_conv_axis *x = &s->columns;
    if (lay_in_place(s, lanes)) return;
    s->flat = x->step == 1 && x->spread == 1 && s->rows.step == 1 && x->most % lanes;
    s->width = (s->flat ? x->most : gr_round_up(x->most, lanes)) + (x->extent - 1) / x->step;
    s->pitch = s->width * x->step;
}

/* Taps may be so far apart that the elements of a tile of few rows cannot be counted. */
static gr_status check_tile(const gr_stencil *s)
{
    const double elements = (double)s->sources * (double)(s->rows.extent + FEW_ROWS * s->rows.step) * (double)s->pitch;
    return elements < 1e12
               ? GR_OK
               : gr_fail(GR_ERR_MEMORY, "out of memory: a convolution would need %.3g numbers at once", elements);
}

/* With `rows` rows of results in a tile, of which a plane has as many as it takes. */
static void cut(gr_stencil *s, int64_t rows, int64_t lanes)
{
    rows = smaller(rows < 1 ? 1 : rows, s->rows.most);
    s->tiles = ceiling(s->rows.most, rows);
    s->tile = ceiling(s->rows.most, s->tiles);
    s->run = gr_round_up(s->flat ? (s->tile - 1) * s->pitch + s->columns.most : s->columns.most, lanes);
    if (!s->in_place) s->channel = gr_round_up(tile_height(s, s->tile) * s->pitch + lanes, lanes);
}

/* ---- Taps and phases ----------------------------------------------------------------------------------------- */

typedef place (*place_rule)(const gr_conv *c, int axis, int64_t tap, int64_t first);

static void list_taps(gr_stencil *s, const gr_conv *c, place_rule of)
{
    int64_t n = 0;
    gr_conv_phase *p = s->phases;
    for (int64_t a = 0; a < s->rows.remainders; a++)
        for (int64_t b = 0; b < s->columns.remainders; b++, p++) {
            *p = (gr_conv_phase){.remainder = {a, b},
                                 .first = n,
                                 .count = {ceiling(s->rows.result - a, s->rows.spread),
                                           ceiling(s->columns.result - b, s->columns.spread)}};
            for (int64_t u = 0; u < c->kernel[0]; u++) {
                const place y = of(c, 0, u, s->rows.first);
                for (int64_t v = 0; y.remainder == a && v < c->kernel[1]; v++) {
                    const place x = of(c, 1, v, s->columns.first);
                    if (x.remainder != b) continue;
                    const int64_t column = x.at % s->columns.step * s->width + x.at / s->columns.step;
                    s->taps[n++] = (gr_conv_tap){y.at * s->pitch + column, u * c->kernel[1] + v};
                }
            }
            p->taps = n - p->first;
        }
}

/* ---- Whole calls --------------------------------------------------------------------------------------------- */

static int workers_for(const gr_conv *c)
{
    const double products = (double)c->n * (double)(c->groups * c->o * c->c) * (double)(c->kernel[0] * c->kernel[1]) *
                            (double)c->result[0] * (double)c->result[1];
    return products < 2 * WORTH_A_THREAD ? 1 : (int)smaller(gr_threads(), (int64_t)(products / WORTH_A_THREAD));
}

static gr_stencil plan(const gr_conv *c, bool adjoint)
{
    const int64_t taps = c->kernel[0] * c->kernel[1];
    gr_stencil s = {.n = c->n,
                    .groups = c->groups,
                    .sources = c->c,
                    .results = c->o,
                    .of_source = taps,
                    .of_result = c->c * taps,
                    .kernel_size = taps,
                    .workers = workers_for(c)};
    s.rows = adjoint ? adjoint_axis(c, 0) : forward_axis(c, 0);
    s.columns = adjoint ? adjoint_axis(c, 1) : forward_axis(c, 1);
    if (adjoint) {
        s.sources = c->o, s.results = c->c;
        s.of_source = c->c * taps, s.of_result = taps;
    }
    s.n_phases = s.rows.remainders * s.columns.remainders;
    return s;
}

/* One block for the tables, `weights` numbers, and each worker's scratch of `elements` numbers. */
static gr_block *provide(gr_stencil *s, gr_pool *pool, gr_dtype dtype, int64_t weights, int64_t elements)
{
    const size_t phases = (size_t)s->n_phases * sizeof *s->phases, taps = (size_t)s->kernel_size * sizeof *s->taps;
    const size_t tables = (phases + taps + 63) & ~(size_t)63, bytes = gr_dtype_bytes(dtype);
    const size_t packed = ((size_t)weights * bytes + 63) & ~(size_t)63;
    s->scratch_bytes = ((size_t)elements * bytes + 63) & ~(size_t)63;
    gr_block *block = gr_pool_take(pool, tables + packed + (size_t)s->workers * s->scratch_bytes);
    if (!block) return NULL;
    char *memory = gr_block_data(block);
    s->phases = (gr_conv_phase *)memory;
    s->taps = (gr_conv_tap *)(memory + phases);
    s->weights = memory + tables;
    s->scratch = memory + tables + packed;
    return block;
}

static gr_status convolve(gr_pool *pool, gr_dtype dtype, const gr_conv *c, gr_stencil s, place_rule place_of)
{
    const int64_t lanes = gr_conv_lanes(dtype);
    if (s.n == 0) return GR_OK;
    lay_out(&s, lanes);
    if (check_tile(&s)) return gr_last_status();
    const int64_t row_bytes = s.sources * s.pitch * (int64_t)gr_dtype_bytes(dtype);
    int64_t rows = (TILE_BYTES / row_bytes - s.rows.extent) / s.rows.step + 1;
    if (rows < FEW_ROWS) rows = FEW_ROWS;
    cut(&s, smaller(rows, ceiling(s.rows.most * s.n * s.groups, 2 * s.workers)), lanes);
    const int64_t tile = s.in_place ? 0 : s.sources * s.channel, line = s.run * GR_CONV_RESULTS;
    gr_block *block = provide(&s, pool, dtype, s.groups * s.results * s.sources * s.kernel_size, tile + line);
    if (!block) return GR_ERR_MEMORY;
    list_taps(&s, c, place_of);
    gr_conv_run(dtype, &s);
    gr_pool_give(pool, block);
    return GR_OK;
}

gr_status gr_conv_forward(gr_pool *pool, gr_dtype dtype, const gr_conv *c, const void *x, const void *k, const void *b,
                          void *y)
{
    gr_stencil s = plan(c, false);
    s.from = x, s.k = k, s.b = b, s.to = y;
    return convolve(pool, dtype, c, s, forward_place);
}

gr_status gr_conv_adjoint(gr_pool *pool, gr_dtype dtype, const gr_conv *c, const void *y, const void *k, const void *b,
                          void *x)
{
    gr_stencil s = plan(c, true);
    s.from = y, s.k = k, s.b = b, s.to = x;
    return convolve(pool, dtype, c, s, adjoint_place);
}

gr_status gr_conv_kernel(gr_pool *pool, gr_dtype dtype, const gr_conv *c, const void *x, const void *y, void *k)
{
    const int64_t lanes = gr_conv_lanes(dtype), bytes = (int64_t)gr_dtype_bytes(dtype);
    gr_stencil s = plan(c, false);
    s.from = x, s.k = y, s.to = k;
    if (s.n == 0) {
        memset(k, 0, (size_t)(s.groups * s.results * s.sources * s.kernel_size * bytes));
        return GR_OK;
    }
    lay_out(&s, lanes);
    if (check_tile(&s)) return gr_last_status();
    cut(&s, PLANE_BYTES / bytes / s.columns.most, lanes);
    s.y_copied = s.flat || s.columns.most % lanes;
    s.y_pitch = s.y_copied ? s.run : s.columns.most;
    const int64_t x_tile = s.in_place ? 0 : s.sources * s.channel;
    const int64_t y_tile = s.y_copied ? s.results * s.run * (s.flat ? 1 : s.tile) : 0;
    gr_block *block = provide(&s, pool, dtype, 0, GR_CONV_SUMS + x_tile + y_tile);
    if (!block) return GR_ERR_MEMORY;
    list_taps(&s, c, forward_place);
    gr_conv_run_kernel(dtype, &s);
    gr_pool_give(pool, block);
    return GR_OK;
}
