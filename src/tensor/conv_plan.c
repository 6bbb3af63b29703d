/* conv_plan.c: the doors of convolution. They plan which element of the source each result reads, cut the planes into
 * tiles, and provide the memory. */
#include <assert.h>

#include "tensor/conv.h"

/* A tile of forward and adjoint fits into the second cache, but has some rows in any case. For the gradient of k a
 * channel of a tile is so small that a few of them, which are read again and again, fit into the first. */
enum { TILE_BYTES = 256 << 10, MIN_TILE_ROWS = 4, DK_CHANNEL_BYTES = 4 << 10 };

/* The longest row of a convolution in place. */
enum { MAX_ROW_IN_PLACE = 1024 };

/* Multiplications that are worth a thread: fewer take less time than to wake it. */
enum { WORTH_A_THREAD = 1 << 17 };

static int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* ---- One axis: which source does a result read? --------------------------------------------------------------- */

/* Tap u of an axis contributes to the results of one phase; result 0 of it reads the source at `at`. */
typedef struct axis_tap {
    int64_t phase, at;
} axis_tap;

/* Forward:  y_i = sum over u of k_u x_(i stride + u dilation - padding), and all results are one phase.
 * Adjoint:  x_j = sum over u of k_u y_((j + padding - u dilation) / stride), where that is whole. With j = r + i stride
 * it is i + (r + padding - u dilation) / stride, for the one phase r that makes it whole. */
static axis_tap tap_of(const gr_conv *c, bool adjoint, int axis, int64_t u)
{
    const int64_t shift = u * c->dilation[axis] - c->padding[axis], stride = c->stride[axis];
    if (!adjoint) return (axis_tap){.phase = 0, .at = shift};
    const int64_t phase = (shift % stride + stride) % stride;
    return (axis_tap){.phase = phase, .at = (phase - shift) / stride};
}

static gr_conv_axis plan_axis(const gr_conv *c, bool adjoint, int axis)
{
    const int64_t x = c->x[axis], y = c->y[axis], stride = c->stride[axis];
    const int64_t results = adjoint ? x : y, result_stride = adjoint ? stride : 1;
    /* A tap further on in the kernel reads further on in x, but further back in y. */
    const int64_t begin = tap_of(c, adjoint, axis, 0).at, end = tap_of(c, adjoint, axis, c->k[axis] - 1).at;
    return (gr_conv_axis){.source_size = adjoint ? y : x,
                          .result_size = results,
                          .source_stride = adjoint ? 1 : stride,
                          .result_stride = result_stride,
                          .first = adjoint ? end : begin,
                          .extent = (adjoint ? begin - end : end - begin) + 1,
                          .phases = lesser(result_stride, results),
                          .max_results = divide_up(results, result_stride)};
}

/* ---- Tiles ---------------------------------------------------------------------------------------------------- */

/* Result i reads source i alone, so it does not matter where rows end. */
static bool is_pointwise(const gr_conv_axis *a)
{
    return a->extent == 1 && a->source_stride == 1 && a->result_stride == 1 && a->first == 0 &&
           a->source_size == a->result_size;
}

/* Takes the planes as rows of another length, of whole vectors. */
static bool lay_in_place(gr_conv_plan *p, int64_t lanes)
{
    const int64_t plane = gr_conv_source_plane(p);
    if (!is_pointwise(&p->rows) || !is_pointwise(&p->columns) || plane % lanes) return false;
    int64_t width = MAX_ROW_IN_PLACE;
    while (plane % width) width /= 2;
    p->rows.source_size = p->rows.result_size = p->rows.max_results = plane / width;
    p->columns.source_size = p->columns.result_size = p->columns.max_results = width;
    p->segment = p->row_pitch = width;
    p->channel_pitch = plane;
    return p->in_place = true;
}

/* The rows of a tile. Taps may be so far apart that the elements of a tile cannot be counted: GR_ERR_MEMORY. */
static gr_status lay_out_rows(gr_conv_plan *p, int64_t lanes)
{
    const gr_conv_axis *x = &p->columns;
    if (!lay_in_place(p, lanes)) {
        const bool unit_strides = x->source_stride == 1 && x->result_stride == 1 && p->rows.source_stride == 1;
        p->flat = unit_strides && x->max_results % lanes;
        const int64_t width = p->flat ? x->max_results : gr_conv_round_up(x->max_results, lanes);
        p->segment = width + (x->extent - 1) / x->source_stride;
        p->row_pitch = p->segment * x->source_stride;
    }
    const double height = (double)(p->rows.extent + MIN_TILE_ROWS * p->rows.source_stride);
    const double elements = (double)p->source_channels * height * (double)p->row_pitch;
    if (elements < 1e12) return GR_OK;
    return gr_fail(GR_ERR_MEMORY, "out of memory: a convolution would need %.3g numbers at once", elements);
}

/* Cuts a plane into tiles of equal height, of no more than `rows` rows of results. */
static void cut_planes(gr_conv_plan *p, int64_t rows, int64_t lanes)
{
    rows = lesser(rows < 1 ? 1 : rows, p->rows.max_results);
    p->tiles = divide_up(p->rows.max_results, rows);
    p->tile_rows = divide_up(p->rows.max_results, p->tiles);
    p->max_span = (p->flat ? (p->tile_rows - 1) * p->row_pitch : 0) + p->columns.max_results;
    p->max_span = gr_conv_round_up(p->max_span, lanes);
    if (!p->in_place)
        p->channel_pitch = gr_conv_round_up(gr_conv_height(p, p->tile_rows) * p->row_pitch + lanes, lanes);
}

/* ---- Taps by phase -------------------------------------------------------------------------------------------- */

/* Appends the taps of one phase to the n that are there; returns how many there are then. */
static int64_t list_taps(gr_conv_plan *p, const gr_conv *c, bool adjoint, const gr_conv_phase *phase, int64_t n)
{
    for (int64_t u = 0; u < c->k[0]; u++) {
        const axis_tap row = tap_of(c, adjoint, 0, u);
        for (int64_t v = 0; row.phase == phase->row && v < c->k[1]; v++) {
            const axis_tap column = tap_of(c, adjoint, 1, v);
            if (column.phase != phase->column) continue;
            const int64_t down = row.at - p->rows.first, right = column.at - p->columns.first;
            const int64_t stride = p->columns.source_stride;
            p->taps[n++] = (gr_conv_tap){.offset = down * p->row_pitch + right % stride * p->segment + right / stride,
                                         .weight = u * c->k[1] + v};
        }
    }
    return n;
}

static void list_phases(gr_conv_plan *p, const gr_conv *c, bool adjoint)
{
    int64_t n = 0;
    gr_conv_phase *phase = p->phases;
    for (int64_t row = 0; row < p->rows.phases; row++)
        for (int64_t column = 0; column < p->columns.phases; column++, phase++) {
            *phase = (gr_conv_phase){.row = row,
                                     .column = column,
                                     .rows = divide_up(p->rows.result_size - row, p->rows.result_stride),
                                     .columns = divide_up(p->columns.result_size - column, p->columns.result_stride),
                                     .first_tap = n};
            n = list_taps(p, c, adjoint, phase, n);
            phase->n_taps = n - phase->first_tap;
        }
}

/* ---- Whole calls ---------------------------------------------------------------------------------------------- */

static int workers_for(const gr_conv *c)
{
    const double products = (double)c->n * (double)(c->groups * c->o * c->c) * (double)(c->k[0] * c->k[1]) *
                            (double)c->y[0] * (double)c->y[1];
    return products < 2 * WORTH_A_THREAD ? 1 : (int)lesser(gr_threads(), (int64_t)(products / WORTH_A_THREAD));
}

/* What follows from the shapes alone. */
static gr_conv_plan plan_conv(const gr_conv *c, bool adjoint)
{
    const int64_t kernel_size = c->k[0] * c->k[1];
    gr_conv_plan p = {.images = c->n,
                      .groups = c->groups,
                      .source_channels = adjoint ? c->o : c->c,
                      .result_channels = adjoint ? c->c : c->o,
                      .k_source = adjoint ? c->c * kernel_size : kernel_size,
                      .k_result = adjoint ? kernel_size : c->c * kernel_size,
                      .kernel_size = kernel_size,
                      .weights = (adjoint ? c->o : c->c) * kernel_size,
                      .rows = plan_axis(c, adjoint, 0),
                      .columns = plan_axis(c, adjoint, 1),
                      .workers = workers_for(c)};
    p.n_phases = p.rows.phases * p.columns.phases;
    return p;
}

/* One block for the phases and taps, `weights` numbers, and for each worker a scratch of `elements` numbers. */
static gr_block *take_memory(gr_conv_plan *p, gr_pool *pool, gr_dtype dtype, int64_t weights, int64_t elements)
{
    const int64_t bytes = (int64_t)gr_dtype_bytes(dtype);
    const int64_t phases = p->n_phases * (int64_t)sizeof *p->phases, taps = p->kernel_size * (int64_t)sizeof *p->taps;
    const int64_t tables = gr_conv_round_up(phases + taps, GR_ALIGNMENT);
    const int64_t packed = gr_conv_round_up(weights * bytes, GR_ALIGNMENT);
    p->scratch_bytes = gr_conv_round_up(elements * bytes, GR_ALIGNMENT);
    gr_block *block = gr_pool_take(pool, (size_t)(tables + packed + p->workers * p->scratch_bytes));
    if (!block) return NULL;
    char *memory = gr_block_data(block);
    p->phases = (gr_conv_phase *)memory;
    p->taps = (gr_conv_tap *)(memory + phases);
    p->packed = memory + tables;
    p->scratch = memory + tables + packed;
    return block;
}

/* to = the convolution or the adjoint of `source` with k, plus the bias b. */
static gr_status convolve(gr_pool *pool, gr_dtype dtype, const gr_conv *c, bool adjoint, const void *source,
                          const void *k, const void *b, void *to)
{
    const int64_t lanes = gr_conv_lanes(dtype), bytes = (int64_t)gr_dtype_bytes(dtype);
    gr_conv_plan p = plan_conv(c, adjoint);
    p.source = source, p.k = k, p.bias = b, p.to = to;
    if (p.images == 0) return GR_OK;
    if (lay_out_rows(&p, lanes)) return gr_last_status();
    /* As many rows as the cache takes, but two tiles for every worker. */
    int64_t rows = (TILE_BYTES / (p.source_channels * p.row_pitch * bytes) - p.rows.extent) / p.rows.source_stride + 1;
    if (rows < MIN_TILE_ROWS) rows = MIN_TILE_ROWS;
    cut_planes(&p, lesser(rows, divide_up(p.rows.max_results * p.images * p.groups, 2 * p.workers)), lanes);
    const int64_t spans = GR_CONV_MAX_BLOCK * p.max_span;
    gr_block *block =
        take_memory(&p, pool, dtype, p.groups * p.result_channels * p.weights, gr_conv_tile_size(&p) + spans);
    if (!block) return GR_ERR_MEMORY;
    list_phases(&p, c, adjoint);
    gr_conv_execute(dtype, &p);
    gr_pool_give(pool, block);
    return GR_OK;
}

gr_status gr_conv_forward(gr_pool *pool, gr_dtype dtype, const gr_conv *c, const void *x, const void *k, const void *b,
                          void *y)
{
    assert(gr_conv_is_sound(c) && c->y[0] > 0 && c->y[1] > 0);
    return convolve(pool, dtype, c, false, x, k, b, y);
}

gr_status gr_conv_adjoint(gr_pool *pool, gr_dtype dtype, const gr_conv *c, const void *y, const void *k, const void *b,
                          void *x)
{
    assert(gr_conv_is_sound(c) && c->x[0] > 0 && c->x[1] > 0);
    return convolve(pool, dtype, c, true, y, k, b, x);
}

gr_status gr_conv_kernel(gr_pool *pool, gr_dtype dtype, const gr_conv *c, const void *x, const void *y, void *k)
{
    assert(gr_conv_is_sound(c));
    const int64_t lanes = gr_conv_lanes(dtype), bytes = (int64_t)gr_dtype_bytes(dtype);
    gr_conv_plan p = plan_conv(c, false);
    p.source = x, p.y = y, p.to = k;
    if (p.images * gr_conv_result_plane(&p) == 0) {
        memset(k, 0, (size_t)(p.groups * p.result_channels * p.weights * bytes));
        return GR_OK;
    }
    if (lay_out_rows(&p, lanes)) return gr_last_status();
    cut_planes(&p, DK_CHANNEL_BYTES / bytes / p.columns.max_results, lanes);
    p.y_copied = p.columns.max_results % lanes != 0;
    p.y_row_pitch = p.flat ? p.row_pitch : p.y_copied ? p.max_span : p.columns.result_size;
    p.y_channel_pitch = p.flat ? p.max_span : p.y_copied ? p.max_span * p.tile_rows : gr_conv_result_plane(&p);

    const int64_t x_tile = gr_conv_tile_size(&p), y_tile = p.y_copied ? p.result_channels * p.y_channel_pitch : 0;
    gr_block *block = take_memory(&p, pool, dtype, 0, GR_CONV_SUMS + x_tile + y_tile);
    if (!block) return GR_ERR_MEMORY;
    list_phases(&p, c, false);
    gr_conv_execute_kernel(dtype, &p);
    gr_pool_give(pool, block);
    return GR_OK;
}
