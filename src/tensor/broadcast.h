/* broadcast.h: walking up to three tensors in step with a result that they broadcast to. */
#ifndef GR_BROADCAST_H
#define GR_BROADCAST_H

#include "tensor/internal.h"

enum { GR_MAX_BROADCAST = 3 };

/* The result as rows of `inner` elements. Within a row an input moves by its `step`, 0 or 1; from row to row by the
 * strides of the outer dimensions, of which there are as few as the shapes allow. */
typedef struct gr_broadcast {
    int n_in, n_outer;
    int64_t inner;
    int64_t outer[GR_MAX_RANK];
    int64_t stride[GR_MAX_BROADCAST][GR_MAX_RANK];
    int step[GR_MAX_BROADCAST];
    const void *in[GR_MAX_BROADCAST];
    void *out;
    size_t size; /* bytes of an element */
} gr_broadcast;

void gr_broadcast_plan(gr_broadcast *p, gr_tensor *out, gr_tensor *const in[], int n_in);

/* From element `at` of the result on: how many elements lie in its row before `end`, and the inputs' places there. */
int64_t gr_broadcast_place(const gr_broadcast *p, int64_t at, int64_t end, const void *place[]);
static inline int64_t gr_broadcast_row(const gr_broadcast *p, int64_t at, int64_t end, const void *place[])
{
    if (!p->n_outer) {
        for (int i = 0; i < p->n_in; i++) place[i] = (const char *)p->in[i] + (size_t)(p->step[i] * at) * p->size;
        return end - at;
    }
    return gr_broadcast_place(p, at, end, place);
}

#endif
