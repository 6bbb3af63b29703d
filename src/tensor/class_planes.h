/* class_planes.h: a tensor seen as [n, c, inner] around its axis of classes. Element (i, k, j) lies at
 * (i*c + k)*inner + j; a position is what is left without the class, (i, j), and its number is i*inner + j. */
#ifndef GR_TENSOR_CLASS_PLANES_H
#define GR_TENSOR_CLASS_PLANES_H

#include "tensor/internal.h"

typedef struct class_planes {
    int64_t n, c, inner;
} class_planes;

/* A tensor that ends before the axis has one class. */
static inline class_planes class_planes_of(const gr_tensor *x, int axis)
{
    class_planes p = {1, 1, 1};
    for (int i = 0; i < x->rank; i++) *(i < axis ? &p.n : i == axis ? &p.c : &p.inner) *= x->shape[i];
    return p;
}

/* The position of an element, and where class 0 of a position lies. */
static inline int64_t class_position(const class_planes *p, int64_t element)
{
    return element / (p->c * p->inner) * p->inner + element % p->inner;
}

static inline int64_t first_class_at(const class_planes *p, int64_t position)
{
    return position / p->inner * p->c * p->inner + position % p->inner;
}

/* Whether y has a number for each position of x with classes along axis 1: x's shape without that axis. */
static inline bool has_shape_of_positions(const gr_tensor *y, const gr_tensor *x)
{
    bool fits = x->rank > 1 && y->rank == x->rank - 1;
    for (int i = 0; fits && i < y->rank; i++) fits = y->shape[i] == x->shape[i ? i + 1 : 0];
    return fits;
}

/* Refuses an ignore_index that no target y can equal. Without `ignore` none is used. */
static inline gr_status gr_expect_ignore_index(const char *who, const gr_tensor *y, bool ignore, double index)
{
    if (!ignore || (index == index && gr_holds(gr_type_of(y), index))) return GR_OK;
    return gr_fail(GR_ERR_OPTION, "%s: ignore_index is %s, which no target equals: they are %s", who,
                   GR_NUMBER_TEXT(index), gr_dtype_name(gr_type_of(y)));
}

#endif
