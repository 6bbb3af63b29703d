/* broadcast.c: merges the axes of broadcast tensors into as few as their strides allow. */
#include "tensor/broadcast.h"

#include <assert.h>

bool gr_broadcasts_to(const gr_tensor *x, int rank, const int64_t shape[])
{
    bool fits = x->rank <= rank;
    for (int i = 1; fits && i <= x->rank; i++) {
        int64_t extent = x->shape[x->rank - i];
        fits = extent == 1 || extent == shape[rank - i];
    }
    return fits;
}

/* Whether each input has an element for each of the result; where it broadcasts, they lie in the same order then. */
static inline bool none_broadcasts(const gr_tensor *out, gr_tensor *const in[], int n_in)
{
    for (int i = 0; i < n_in; i++)
        if (in[i]->size != out->size) return false;
    return true;
}

/* Merges the axes from the last to the first into n groups, of the given sizes, along which input i has stride[i]. An
 * axis joins the group behind it when every input goes on there where that group ends. */
static int merge_axes(const gr_tensor *out, gr_tensor *const in[], int n_in, int64_t size[],
                      int64_t stride[][GR_MAX_RANK])
{
    int64_t next[GR_MAX_BROADCAST] = {1, 1, 1}; /* the input's stride along its next axis */
    int n = 0;
    for (int axis = 1; axis <= out->rank; axis++) {
        int64_t extent = out->shape[out->rank - axis], s[GR_MAX_BROADCAST];
        if (extent == 1) continue;
        bool joins = n > 0;
        for (int i = 0; i < n_in; i++) {
            bool there = axis <= in[i]->rank && in[i]->shape[in[i]->rank - axis] != 1;
            s[i] = there ? next[i] : 0;
            if (there) next[i] *= extent;
            joins = joins && s[i] == stride[i][n - 1] * size[n - 1];
        }
        if (!joins) {
            size[n] = 1;
            for (int i = 0; i < n_in; i++) stride[i][n] = s[i];
            n++;
        }
        size[n - 1] *= extent;
    }
    return n;
}

void gr_broadcast_plan(gr_broadcast *p, gr_tensor *out, gr_tensor *const in[], int n_in)
{
    assert(n_in <= GR_MAX_BROADCAST);
    p->n_in = n_in;
    p->n_outer = 0;
    p->out = out->data;
    p->size = gr_dtype_bytes((gr_dtype)out->dtype);
    for (int i = 0; i < n_in; i++) p->in[i] = in[i]->data;
    if (none_broadcasts(out, in, n_in)) {
        p->inner = out->size;
        for (int i = 0; i < n_in; i++) p->step[i] = 1;
        return;
    }
    int64_t size[GR_MAX_RANK], stride[GR_MAX_BROADCAST][GR_MAX_RANK];
    const int n = merge_axes(out, in, n_in, size, stride);
    p->inner = n ? size[0] : 1;
    for (int i = 0; i < n_in; i++) p->step[i] = n ? (int)stride[i][0] : 0;
    p->n_outer = n > 1 ? n - 1 : 0;
    for (int d = 0; d < p->n_outer; d++) {
        p->outer[d] = size[n - 1 - d];
        for (int i = 0; i < n_in; i++) p->stride[i][d] = stride[i][n - 1 - d];
    }
}

int64_t gr_broadcast_place(const gr_broadcast *p, int64_t at, int64_t end, const void *place[])
{
    const int64_t row = at / p->inner, column = at - row * p->inner, left = p->inner - column;
    for (int i = 0; i < p->n_in; i++) {
        const int64_t offset = gr_broadcast_offset(p, i, row) + p->step[i] * column;
        place[i] = (const char *)p->in[i] + (size_t)offset * p->size;
    }
    return left < end - at ? left : end - at;
}
