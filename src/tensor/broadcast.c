/* broadcast.c: merges the dimensions of broadcast tensors into as few as their strides allow. */
#include "broadcast.h"

static bool all_same(const gr_tensor *out, gr_tensor *const in[], int n_in)
{
    for (int i = 0; i < n_in; i++)
        if (!gr_same_shape(out, in[i])) return false;
    return true;
}

void gr_broadcast_plan(gr_broadcast *p, gr_tensor *out, gr_tensor *const in[], int n_in)
{
    p->n_in = n_in;
    p->n_outer = 0;
    p->out = out->data;
    p->size = gr_dtype_bytes((gr_dtype)out->dtype);
    for (int i = 0; i < n_in; i++) p->in[i] = in[i]->data;
    if (all_same(out, in, n_in)) {
        p->inner = out->size;
        for (int i = 0; i < n_in; i++) p->step[i] = 1;
        return;
    }
    /* From the last axis to the first; an axis joins the one behind it when every input goes on in the same step. */
    int64_t size[GR_MAX_RANK + 1], stride[GR_MAX_BROADCAST][GR_MAX_RANK + 1], next[GR_MAX_BROADCAST];
    int n = 0;
    for (int i = 0; i < n_in; i++) next[i] = 1;
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
    int64_t row = at / p->inner, column = at - row * p->inner, left = p->inner - column;
    for (int i = 0; i < p->n_in; i++) {
        int64_t offset = p->step[i] * column;
        int64_t rest = row;
        for (int d = p->n_outer - 1; d > 0; d--) {
            int64_t next = rest / p->outer[d];
            offset += (rest - next * p->outer[d]) * p->stride[i][d];
            rest = next;
        }
        offset += rest * p->stride[i][0];
        place[i] = (const char *)p->in[i] + (size_t)offset * p->size;
    }
    return left < end - at ? left : end - at;
}
