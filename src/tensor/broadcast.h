/* broadcast.h: which shapes broadcast, and the walk over up to three tensors in step with one that they fit. */
#ifndef GR_BROADCAST_H
#define GR_BROADCAST_H

#include "tensor/internal.h"

/* Whether x broadcasts to the shape: whether each axis of x, counted from the last, is 1 or the shape's. */
bool gr_broadcasts_to(const gr_tensor *x, int rank, const int64_t shape[]);

enum { GR_MAX_BROADCAST = 3 };

/* The result as rows of `inner` elements. Within a row an input moves by its `step`, 0 or 1; from row to row by its
 * strides of the outer dimensions. Axes of 1 are dropped, and neighbours along which every input moves on evenly are
 * merged, so the outer dimensions are as few as the shapes allow:
 *
 *     out [2,3,4,5], in[0] [2,3,4,5], in[1] [5]:      rows of 5, outer [24],  strides {5}, {0},      steps 1, 1
 *     out [2,3,4,5], in[0] [2,3,4,5], in[1] [3,1,1]:  rows of 20, outer [2,3], strides {60,20}, {0,1}, steps 1, 0
 */
typedef struct gr_broadcast {
    int n_in, n_outer;
    int64_t inner;
    int64_t outer[GR_MAX_RANK]; /* [n_outer], the outermost first */
    int64_t stride[GR_MAX_BROADCAST][GR_MAX_RANK];
    int step[GR_MAX_BROADCAST];
    const void *in[GR_MAX_BROADCAST];
    void *out;
    size_t size; /* bytes of an element */
} gr_broadcast;

void gr_broadcast_plan(gr_broadcast *p, gr_tensor *out, gr_tensor *const in[], int n_in);

/* Where input i has the beginning of a row of the result, in elements. */
static inline int64_t gr_broadcast_offset(const gr_broadcast *p, int i, int64_t row)
{
    int64_t offset = 0;
    for (int d = p->n_outer - 1; d > 0; d--) {
        int64_t next = row / p->outer[d];
        offset += (row - next * p->outer[d]) * p->stride[i][d];
        row = next;
    }
    return p->n_outer ? offset + row * p->stride[i][0] : 0;
}

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

/* y[0 .. n-1] = *value, elements of 4 or 8 bytes. */
static inline void gr_repeat(void *restrict y, const void *restrict value, int64_t n, size_t size)
{
    if (size == sizeof(float))
        for (int64_t i = 0; i < n; i++) ((float *)y)[i] = *(const float *)value;
    else
        for (int64_t i = 0; i < n; i++) ((double *)y)[i] = *(const double *)value;
}

#endif
