/* clip.c: bounds for gradients: one for the joint norm of all of them, or one for the size of each element. */
#include <float.h>

#include "optim/internal.h"

/* One pass over a gradient. */
typedef struct clip_call {
    void *g;
    double factor; /* of each element, or the bound of its size */
    double *sums;  /* of squares, one for each span, so that the order of the sum does not depend on threads */
} clip_call;

#define GR_KERNEL_FILE "optim/clip.kernels.inc"
#include "tensor/kernel.h"

static gr_span_body const square_spans[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(square_span);
static gr_span_body const scale_spans[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(scale_span);
static gr_span_body const clamp_spans[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(clamp_span);

/* ---- The norm ----------------------------------------------------------------------------------------------- */

/* The sum of (factor g)^2 over all gradients. */
static double sum_of_squares(const gr_params *params, double factor)
{
    enum { SPANS = 256 };
    double sum = 0.0, sums[SPANS];
    for (int i = 0; i < gr_params_count(params); i++) {
        const gr_tensor *g = gr_gradient(gr_params_at(params, i));
        for (int64_t at = 0, n; g && at < g->size; at += n) {
            n = gr_lesser(g->size - at, SPANS * GR_GRAIN);
            clip_call c = {(char *)g->data + (size_t)at * gr_dtype_bytes(gr_type_of(g)), factor, sums};
            gr_parallel(n, GR_GRAIN, square_spans[gr_cpu_level()][g->dtype], &c);
            for (int64_t span = 0; span * GR_GRAIN < n; span++) sum += sums[span];
        }
    }
    return sum;
}

/* Squares of F64 overflow above 1e154 and vanish below 1e-162. Then the sum is taken again of elements that are scaled
 * by a power of two, which rounds nothing. */
static double joint_norm(const gr_params *params)
{
    double sum = sum_of_squares(params, 1.0);
    if ((sum > 0x1p-900 && sum <= DBL_MAX) || isnan(sum)) return sqrt(sum);
    double factor = sum < 1.0 ? 0x1p600 : 0x1p-600;
    return sqrt(sum_of_squares(params, factor)) / factor;
}

/* Names the first element that is not finite. */
static gr_status fail_norm(const gr_params *params, double norm)
{
    for (int i = 0; i < gr_params_count(params); i++) {
        const gr_tensor *w = gr_params_at(params, i), *g = gr_gradient(w);
        for (int64_t at = 0; g && at < g->size; at++)
            if (!isfinite(gr_get(g, at)))
                return gr_fail(GR_ERR_VALUE, "clip_grad_norm: the gradient of %s is %s at %s", gr_name(w),
                               GR_NUMBER_TEXT(gr_get(g, at)), gr_position_text(&(gr_text){{0}}, g, at));
    }
    return gr_fail(GR_ERR_VALUE, "clip_grad_norm: the norm is %s", GR_NUMBER_TEXT(norm));
}

/* ---- Clipping ----------------------------------------------------------------------------------------------- */

static void change_gradients(gr_params *params, gr_span_body const spans[GR_N_DTYPES], double factor)
{
    for (int i = 0; i < gr_params_count(params); i++) {
        gr_tensor *g = gr_gradient(gr_params_at(params, i));
        if (!g) continue;
        gr_parallel(g->size, GR_GRAIN, spans[g->dtype], &(clip_call){.g = g->data, .factor = factor});
        gr_touch(g);
    }
}

gr_status gr_clip_grad_norm(gr_params *params, double max_norm, double *norm)
{
    if (!params) return gr_fail_null("clip_grad_norm", "the set of parameters");
    if (!(max_norm > 0.0))
        return gr_fail(GR_ERR_OPTION, "clip_grad_norm: max_norm is %s, expected a number above 0",
                       GR_NUMBER_TEXT(max_norm));
    double before = joint_norm(params);
    if (norm) *norm = before;
    if (!isfinite(before)) return fail_norm(params, before);
    if (before > max_norm) change_gradients(params, scale_spans[gr_cpu_level()], max_norm / before);
    return GR_OK;
}

gr_status gr_clip_grad_value(gr_params *params, double limit)
{
    if (!params) return gr_fail_null("clip_grad_value", "the set of parameters");
    if (!(limit > 0.0))
        return gr_fail(GR_ERR_OPTION, "clip_grad_value: limit is %s, expected a number above 0", GR_NUMBER_TEXT(limit));
    change_gradients(params, clamp_spans[gr_cpu_level()], limit);
    return GR_OK;
}
