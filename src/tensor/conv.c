/* conv.c: the kernels of convolution: tiles are filled, and sums over channels and taps are kept in registers. */
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

#define GR_KERNEL_FILE "tensor/conv.kernels.inc"
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
