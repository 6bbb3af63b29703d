/* conv.c: executes the plans of convolution, on all threads. The loops are in conv.kernels.inc; here is what they share
 * for every number type and processor. */
#include <assert.h>

#include "tensor/conv.h"

/* While a tile is computed, the part of the source that the next tile is made of is fetched into the second cache, some
 * lines at a time. */
typedef struct conv_prefetch {
    const char *source;
    int64_t plane, bytes, channels; /* so many bytes of each channel, a plane apart */
    int64_t channel, at;            /* how far it has come */
    int64_t lines;                  /* at a time */
} conv_prefetch;

enum { LINE_BYTES = 64, LARGE_BYTES = 4 << 20 };

/* The prefetch of tile i of n, in `times` portions. A source that is not large is in a cache anyhow. */
static conv_prefetch prefetch_of(const gr_conv_plan *p, int64_t i, int64_t n, int64_t bytes, int64_t times)
{
    const int64_t part = i / p->tiles, row = i % p->tiles * p->tile_rows, stride = p->rows.source_stride;
    const int64_t pitch = p->columns.source_size * bytes, plane = gr_conv_source_plane(p) * bytes;
    const int64_t top = p->rows.first + row * stride, bottom = top + gr_conv_height(p, p->tile_rows);
    const int64_t fresh = row ? top + p->rows.extent - stride : top; /* the tile before has read the rows above */
    const int64_t first = fresh < 0 ? 0 : fresh, last = bottom < p->rows.source_size ? bottom : p->rows.source_size;
    const bool small = p->images * p->groups * p->source_channels * plane < LARGE_BYTES;
    if (i >= n || first >= last || p->in_place || small) return (conv_prefetch){.channels = 0};
    return (conv_prefetch){.source = (const char *)p->source + part * p->source_channels * plane + first * pitch,
                           .plane = plane,
                           .bytes = (last - first) * pitch,
                           .channels = p->source_channels,
                           .lines = p->source_channels * ((last - first) * pitch / LINE_BYTES + 1) / times + 1};
}

static inline void prefetch_lines(conv_prefetch *f)
{
    for (int64_t i = 0; i < f->lines && f->channel < f->channels; i++) {
        __builtin_prefetch(f->source + f->channel * f->plane + f->at, 0, 2);
        f->at += LINE_BYTES;
        if (f->at < f->bytes) continue;
        f->at = 0;
        f->channel++;
    }
}

/* The kernel is packed by all threads, which take this many channels of results at a time. */
enum { PANEL_CHANNELS = 64 };

static int64_t panels_of(const gr_conv_plan *p) { return (p->result_channels + PANEL_CHANNELS - 1) / PANEL_CHANNELS; }

/* A span of results, drawn at gr_conv_plan, of one phase and a block of channels. */
typedef struct conv_span {
    const gr_conv_plan *plan;
    const gr_conv_phase *phase;
    const void *tile; /* from the row on that the span's first row reads */
    const void *packed, *bias;
    void *out; /* [channels, out_pitch] */
    int64_t out_pitch, length;
    conv_prefetch *next;
} conv_span;

#define GR_KERNEL_FILE "tensor/conv.kernels.inc"
#include "tensor/kernel.h"

static gr_span_body const pack_workers[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(pack_panels);
static gr_span_body const conv_workers[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(conv_worker);
static gr_span_body const dk_workers[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(dk_worker);
static const int64_t conv_lanes[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(LANES);

int64_t gr_conv_lanes(gr_dtype dtype) { return conv_lanes[gr_cpu_level()][dtype]; }

void gr_conv_execute(gr_dtype dtype, gr_conv_plan *p)
{
    assert(gr_conv_reads_inside(p));
    gr_parallel(p->groups * panels_of(p), 1, pack_workers[gr_cpu_level()][dtype], p);
    gr_parallel(p->workers, 1, conv_workers[gr_cpu_level()][dtype], p);
}

void gr_conv_execute_kernel(gr_dtype dtype, gr_conv_plan *p)
{
    assert(gr_conv_reads_inside(p));
    gr_parallel(p->workers, 1, dk_workers[gr_cpu_level()][dtype], p);
}
