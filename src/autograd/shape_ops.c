/* shape_ops.c: the same elements in another shape, order, place or dtype. */
#include <assert.h>

#include "autograd/op_kit.h"
#include "tensor/broadcast.h"

/* ---- reshape ------------------------------------------------------------------------------------------------ */

/* Fills in the dimension that is -1, if there is one. */
static gr_status reshape_shape(const gr_node *n, gr_type *type)
{
    if (gr_expect_float(n)) return gr_last_status();
    const gr_tensor *x = n->in[0];
    *type = *(const gr_type *)n->attr;
    type->dtype = gr_type_of(x);
    type->view = true;
    int unknown = -1, unknowns = 0;
    int64_t known = 1;
    for (int i = 0; i < type->rank; i++)
        if (type->shape[i] == -1) unknown = i, unknowns++;
        else known *= type->shape[i];
    if (unknowns == 1 && known > 0 && x->size % known == 0) {
        type->shape[unknown] = x->size / known;
        return GR_OK;
    }
    if (unknowns == 0 && known == x->size) return GR_OK;
    const gr_type *asked = n->attr;
    const char *why = unknowns > 1 ? ": one dimension may be -1" : unknowns && !known ? ": -1 may be any number" : "";
    return gr_fail(GR_ERR_SHAPE, "reshape: %s has not the elements of %s%s", GR_SHAPE_TEXT(x),
                   gr_shape_text(&(gr_text){{0}}, asked->rank, asked->shape), why);
}

static gr_tensor *reshape_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_as_shape(t, g, n->in[0]->rank, n->in[0]->shape);
}

static int reshape_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    terms[0] = (gr_term){n->in[0], 1.0};
    return 1;
}

const gr_op gr_op_reshape = {GR_NAMED(reshape, "y = x in another shape", "dx = g in x's shape"),
                             .n_in = 1,
                             .shape = reshape_shape,
                             .attr_size = sizeof(gr_type),
                             .terms = reshape_terms,
                             .vjp = {reshape_vjp}};

gr_tensor *gr_reshape(gr_tape *t, gr_tensor *x, int rank, const int64_t shape[])
{
    if (!x) return gr_fail_null("reshape", "input 0"), NULL;
    gr_type to = {.rank = rank};
    if (rank && !shape) return gr_fail_null("reshape", "the shape"), NULL;
    if (rank < 0 || rank > GR_MAX_RANK)
        return gr_fail(GR_ERR_SHAPE, "reshape: rank %d is outside 0..%d", rank, GR_MAX_RANK), NULL;
    int64_t sure[GR_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        to.shape[i] = shape[i];
        sure[i] = shape[i] == -1 ? 1 : shape[i];
    }
    if (gr_checked_size("reshape", gr_type_of(x), rank, sure) < 0) return NULL;
    return GR_CALL(reshape, &to, x);
}

gr_tensor *gr_as_shape(gr_tape *t, gr_tensor *x, int rank, const int64_t shape[])
{
    return gr_is_as(t, x, rank, shape) ? x : gr_reshape(t, x, rank, shape);
}

/* ---- detach ------------------------------------------------------------------------------------------------- */

static gr_status detach_shape(const gr_node *n, gr_type *type)
{
    gr_type_as(type, n->in[0]);
    type->view = true;
    type->offset = 0;
    return GR_OK;
}

const gr_op gr_op_detach = {GR_NAMED(detach, "y = x, a constant", "dx = 0"), .n_in = 1, .shape = detach_shape,
                            .vjp = {gr_vjp_zero}};

gr_tensor *gr_detach(gr_tape *t, gr_tensor *x)
{
    bool was = gr_set_recording(t, false);
    gr_tensor *y = GR_CALL(detach, NULL, x);
    gr_set_recording(t, was);
    return y;
}

/* ---- permute: y[i_axes[0], i_axes[1], ...] = x[i_0, i_1, ...] ----------------------------------------------- */

static gr_status permute_shape(const gr_node *n, gr_type *type)
{
    if (gr_expect_float(n)) return gr_last_status();
    const gr_tensor *x = n->in[0];
    const gr_permute_attr *p = n->attr;
    unsigned seen = 0;
    type->dtype = gr_type_of(x);
    type->rank = x->rank;
    for (int i = 0; i < p->n && p->n == x->rank; i++) {
        int axis = gr_axis(x->rank, p->axes[i]);
        if (axis < 0) break;
        seen |= 1u << axis;
        type->shape[i] = x->shape[axis];
    }
    if (p->n == x->rank && seen == (1u << x->rank) - 1) return GR_OK;
    return gr_fail(GR_ERR_INDEX, "permute: not each axis of %s once", GR_SHAPE_TEXT(x));
}

/* dx = g with the axes back where they were */
static gr_tensor *permute_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_permute_attr *p = n->attr;
    int back[GR_MAX_RANK];
    for (int i = 0; i < p->n; i++) back[gr_axis(p->n, p->axes[i])] = i;
    return gr_permute(t, g, p->n, back);
}

/* The product of the dimensions behind `axis`. */
static int64_t inner_of(const gr_tensor *x, int axis)
{
    int64_t inner = 1;
    for (int i = axis + 1; i < x->rank; i++) inner *= x->shape[i];
    return inner;
}

/* Copies in the result's order; an axis of the result moves by `stride` bytes in x. */
static void permute_axis(char **y, const char *x, const gr_tensor *out, const size_t stride[], int axis, size_t bytes)
{
    if (axis == out->rank) {
        memcpy(*y, x, bytes);
        *y += bytes;
        return;
    }
    bool last = axis == out->rank - 1;
    for (int64_t i = 0; i < out->shape[axis]; i++, x += stride[axis]) {
        if (last && bytes == 4) memcpy(*y, x, 4), *y += 4;
        else if (last && bytes == 8) memcpy(*y, x, 8), *y += 8;
        else permute_axis(y, x, out, stride, axis + 1, bytes);
    }
}

static gr_status permute(gr_node *n)
{
    const gr_permute_attr *p = n->attr;
    size_t bytes = gr_dtype_bytes(gr_type_of(n->out)), stride[GR_MAX_RANK];
    for (int i = 0; i < p->n; i++) stride[i] = (size_t)inner_of(n->in[0], gr_axis(p->n, p->axes[i])) * bytes;
    char *y = n->out->data;
    if (n->out->size) permute_axis(&y, n->in[0]->data, n->out, stride, 0, bytes);
    return GR_OK;
}

const gr_op gr_op_permute = {
    GR_NAMED(permute, "y = x with its axes in another order", "dx = g with its axes back in place"),
    .n_in = 1,
    .shape = permute_shape,
    .forward[GR_ANY_CPU] = {[GR_F32] = permute, [GR_F64] = permute},
    .attr_size = sizeof(gr_permute_attr),
    .vjp = {permute_vjp}};

gr_tensor *gr_permute(gr_tape *t, gr_tensor *x, int n_axes, const int axes[])
{
    gr_permute_attr p = {.n = n_axes};
    if (n_axes && !axes) return gr_fail_null("permute", "the list of axes"), NULL;
    if (n_axes < 0 || n_axes > GR_MAX_RANK)
        return gr_fail(GR_ERR_INDEX, "permute: %d axes, expected 0 to %d", n_axes, GR_MAX_RANK), NULL;
    for (int i = 0; i < n_axes; i++) p.axes[i] = axes[i];
    return GR_CALL(permute, &p, x);
}

gr_tensor *gr_transpose(gr_tape *t, gr_tensor *x)
{
    if (gr_expect_inputs("transpose", t, &x, 1, 0) || gr_expect_floats("transpose", &x, 1)) return NULL;
    if (x->rank < 2)
        return gr_fail(GR_ERR_SHAPE, "transpose: expected a rank of at least 2: %s", GR_SHAPE_TEXT(x)), NULL;
    int axes[GR_MAX_RANK];
    for (int i = 0; i < x->rank; i++) axes[i] = i;
    axes[x->rank - 2] = x->rank - 1;
    axes[x->rank - 1] = x->rank - 2;
    return gr_permute(t, x, x->rank, axes);
}

/* ---- concat, slice and pad ---------------------------------------------------------------------------------- */

/* Along an axis a tensor is [outer,extent,inner], and a block of it [outer,length,inner]: `count` = length * inner
 * elements at `from`, and as many every `pitch` bytes. Without a `from` it is constants. */
typedef struct axis_block {
    const char *from;
    int64_t count;
    size_t pitch;
} axis_block;

static axis_block block_of(const gr_tensor *x, int axis, int64_t start, int64_t length)
{
    const int64_t inner = inner_of(x, axis);
    const size_t bytes = (size_t)inner * gr_dtype_bytes(gr_type_of(x));
    return (axis_block){(const char *)x->data + (size_t)start * bytes, length * inner, (size_t)x->shape[axis] * bytes};
}

/* y [outer,extent,inner] = the blocks, one after the other along the axis. */
static void join_blocks(gr_tensor *y, int axis, const axis_block b[], int n, const void *constant)
{
    const size_t size = gr_dtype_bytes(gr_type_of(y));
    int64_t outer = y->size != 0; /* of blocks without elements there may be very many */
    for (int i = 0; i < axis; i++) outer *= y->shape[i];
    char *to = y->data;
    for (int64_t o = 0; o < outer; o++)
        for (int i = 0; i < n; i++) {
            const size_t bytes = (size_t)b[i].count * size;
            assert(b[i].from || constant);
            if (b[i].from) memcpy(to, b[i].from + (size_t)o * b[i].pitch, bytes);
            else gr_repeat(to, constant, b[i].count, size);
            to += bytes;
        }
    assert(to == (char *)y->data + gr_bytes(y));
}

/* ---- y = x_0, x_1, ... along an axis:  dx_i = the slice of g that x_i became -------------------------------- */

static gr_status concat_shape(const gr_node *n, gr_type *type)
{
    if (gr_expect_float(n)) return gr_last_status();
    const gr_tensor *x = n->in[0];
    int asked = ((const gr_axis_attr *)n->attr)->axis, axis = gr_axis(x->rank, asked);
    if (axis < 0) return gr_fail(GR_ERR_INDEX, "concat: axis %d is not in %s", asked, GR_SHAPE_TEXT(x));
    gr_type_as(type, x);
    for (int i = 1; i < n->n_in; i++) {
        const gr_tensor *other = n->in[i];
        bool fits = other->rank == x->rank;
        for (int k = 0; fits && k < x->rank; k++) fits = k == axis || other->shape[k] == x->shape[k];
        if (!fits)
            return gr_fail(GR_ERR_SHAPE, "concat: input %d, %s, differs from %s in more than axis %d", i,
                           GR_SHAPE_TEXT(other), GR_SHAPE_TEXT(x), axis);
        type->shape[axis] += other->shape[axis];
    }
    return GR_OK;
}

static gr_status concat(gr_node *n)
{
    const int axis = gr_axis(n->out->rank, ((const gr_axis_attr *)n->attr)->axis);
    axis_block *b = gr_tape_memory(n->tape, (size_t)n->n_in * sizeof *b);
    if (!b) return gr_last_status();
    for (int i = 0; i < n->n_in; i++) b[i] = block_of(n->in[i], axis, 0, n->in[i]->shape[axis]);
    join_blocks(n->out, axis, b, n->n_in, NULL);
    return GR_OK;
}

static gr_tensor *concat_vjp(gr_tape *t, const gr_node *n, int i, gr_tensor *g)
{
    int axis = gr_axis(n->out->rank, ((const gr_axis_attr *)n->attr)->axis);
    int64_t start = 0;
    for (int k = 0; k < i; k++) start += n->in[k]->shape[axis];
    return gr_slice(t, g, axis, start, start + n->in[i]->shape[axis]);
}

const gr_op gr_op_concat = {GR_NAMED(concat, "y = x_0, x_1, ... along an axis", "dx_i = the part of g that x_i became"),
                            .n_in = GR_VARIADIC,
                            .shape = concat_shape,
                            .forward[GR_ANY_CPU] = {[GR_F32] = concat, [GR_F64] = concat},
                            .attr_size = sizeof(gr_axis_attr),
                            .vjp_nth = concat_vjp};

gr_tensor *gr_concat(gr_tape *t, gr_tensor *const x[], int n, int axis)
{
    return gr_apply(t, &gr_op_concat, x, n, &(gr_axis_attr){axis});
}

gr_tensor *gr_stack(gr_tape *t, gr_tensor *const x[], int n, int axis)
{
    if (gr_expect_inputs("stack", t, x, n, 0)) return NULL;
    if (n < 1) return gr_fail(GR_ERR_SHAPE, "stack: takes 1 input or more, not %d", n), NULL;
    if (gr_expect_floats("stack", x, n)) return NULL;
    gr_tensor **with_axis = gr_tape_memory(t, (size_t)n * sizeof *with_axis);
    if (!with_axis) return NULL;
    for (int i = 0; i < n; i++) {
        int rank = x[i]->rank + 1, at = gr_axis(rank, axis);
        if (at < 0 || rank > GR_MAX_RANK)
            return gr_fail(GR_ERR_INDEX, "stack: no axis %d can be added to %s", axis, GR_SHAPE_TEXT(x[i])), NULL;
        if (i && !gr_same_shape(x[i], x[0]))
            return gr_fail(GR_ERR_SHAPE, "stack: input %d is %s, input 0 is %s", i, GR_SHAPE_TEXT(x[i]),
                           GR_SHAPE_TEXT(x[0])),
                   NULL;
        int64_t shape[GR_MAX_RANK];
        for (int k = 0; k < rank; k++) shape[k] = k < at ? x[i]->shape[k] : k == at ? 1 : x[i]->shape[k - 1];
        with_axis[i] = gr_reshape(t, x[i], rank, shape);
    }
    return gr_concat(t, with_axis, n, axis);
}

/* ---- y = x[start .. stop-1] along an axis:  dx = g between zeros -------------------------------------------- */

/* The node's range with its axis and bounds counted from 0; false when it is not in x. */
static bool slice_range(const gr_node *n, gr_range_attr *r)
{
    const gr_tensor *x = n->in[0];
    *r = *(const gr_range_attr *)n->attr;
    r->axis = gr_axis(x->rank, r->axis);
    if (r->axis < 0) return false;
    const int64_t extent = x->shape[r->axis];
    if (r->start < 0) r->start += extent;
    if (r->stop < 0) r->stop += extent;
    return r->start >= 0 && r->start <= r->stop && r->stop <= extent;
}

static gr_status slice_shape(const gr_node *n, gr_type *type)
{
    if (gr_expect_float(n)) return gr_last_status();
    const gr_range_attr *asked = n->attr;
    gr_range_attr r;
    if (!slice_range(n, &r))
        return gr_fail(GR_ERR_INDEX, "slice: %lld..%lld of axis %d is not in %s", (long long)asked->start,
                       (long long)asked->stop, asked->axis, GR_SHAPE_TEXT(n->in[0]));
    gr_type_as(type, n->in[0]);
    type->shape[r.axis] = r.stop - r.start;
    type->view = r.axis == 0;
    type->offset = r.start * inner_of(n->in[0], r.axis);
    return GR_OK;
}

static gr_status slice(gr_node *n)
{
    gr_range_attr r;
    slice_range(n, &r);
    const axis_block b = block_of(n->in[0], r.axis, r.start, r.stop - r.start);
    join_blocks(n->out, r.axis, &b, 1, NULL);
    return GR_OK;
}

static gr_tensor *slice_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_range_attr r;
    slice_range(n, &r);
    return gr_pad(t, g, r.axis, r.start, n->in[0]->shape[r.axis] - r.stop, 0.0);
}

const gr_op gr_op_slice = {GR_NAMED(slice, "y = x[start .. stop-1]", "dx = g between zeros"),
                           .n_in = 1,
                           .shape = slice_shape,
                           .forward[GR_ANY_CPU] = {[GR_F32] = slice, [GR_F64] = slice},
                           .attr_size = sizeof(gr_range_attr),
                           .vjp = {slice_vjp}};

gr_tensor *gr_slice(gr_tape *t, gr_tensor *x, int axis, int64_t start, int64_t stop)
{
    return GR_CALL(slice, (&(gr_range_attr){.axis = axis, .start = start, .stop = stop}), x);
}

/* ---- y = constants, x, constants along an axis:  dx = the slice of g that x became -------------------------- */

static gr_status pad_shape(const gr_node *n, gr_type *type)
{
    if (gr_expect_float(n)) return gr_last_status();
    const gr_tensor *x = n->in[0];
    const gr_range_attr *r = n->attr;
    int axis = gr_axis(x->rank, r->axis);
    if (axis < 0) return gr_fail(GR_ERR_INDEX, "pad: axis %d is not in %s", r->axis, GR_SHAPE_TEXT(x));
    if (r->before < 0 || r->after < 0 || r->before > INT32_MAX || r->after > INT32_MAX)
        return gr_fail(GR_ERR_OPTION, "pad: %lld before and %lld after, expected 0 to %d", (long long)r->before,
                       (long long)r->after, INT32_MAX);
    gr_type_as(type, x);
    type->shape[axis] += r->before + r->after;
    return gr_expect_held("pad", type->dtype, r->value);
}

static gr_status pad(gr_node *n)
{
    const gr_range_attr *r = n->attr;
    const int axis = gr_axis(n->out->rank, r->axis);
    const int64_t inner = inner_of(n->out, axis);
    const axis_block x = block_of(n->in[0], axis, 0, n->in[0]->shape[axis]);
    const axis_block b[] = {{.count = r->before * inner}, x, {.count = r->after * inner}};
    const double f64 = r->value + 0.0; /* -0.0 pads as 0.0 */
    const float f32 = (float)f64;
    join_blocks(n->out, axis, b, GR_COUNT(b), gr_type_of(n->out) == GR_F32 ? (const void *)&f32 : &f64);
    return GR_OK;
}

static gr_tensor *pad_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_range_attr *r = n->attr;
    return gr_slice(t, g, r->axis, r->before, r->before + n->in[0]->shape[gr_axis(n->in[0]->rank, r->axis)]);
}

const gr_op gr_op_pad = {GR_NAMED(pad, "y = x between constants", "dx = the part of g that x became"),
                         .n_in = 1,
                         .shape = pad_shape,
                         .forward[GR_ANY_CPU] = {[GR_F32] = pad, [GR_F64] = pad},
                         .attr_size = sizeof(gr_range_attr),
                         .vjp = {pad_vjp}};

gr_tensor *gr_pad(gr_tape *t, gr_tensor *x, int axis, int64_t before, int64_t after, double value)
{
    return GR_CALL(pad, (&(gr_range_attr){.axis = axis, .before = before, .after = after, .value = value}), x);
}

/* ---- cast --------------------------------------------------------------------------------------------------- */

static gr_status cast_shape(const gr_node *n, gr_type *type)
{
    gr_dtype dtype = ((const gr_cast_attr *)n->attr)->dtype;
    if (!gr_is_float(dtype)) return gr_fail(GR_ERR_DTYPE, "cast: to %s, expected f32 or f64", gr_dtype_name(dtype));
    gr_type_as(type, n->in[0]);
    type->dtype = dtype;
    return GR_OK;
}

static gr_status cast(gr_node *n)
{
    const gr_tensor *x = n->in[0], *y = n->out;
    if (x->dtype == y->dtype) memcpy(y->data, x->data, gr_bytes(x));
    else if (x->dtype == GR_F64)
        for (int64_t i = 0; i < x->size; i++) ((float *)y->data)[i] = (float)((const double *)x->data)[i];
    else if (x->dtype == GR_F32)
        for (int64_t i = 0; i < x->size; i++) ((double *)y->data)[i] = (double)((const float *)x->data)[i];
    else if (y->dtype == GR_F32)
        for (int64_t i = 0; i < x->size; i++) ((float *)y->data)[i] = (float)((const int32_t *)x->data)[i];
    else
        for (int64_t i = 0; i < x->size; i++) ((double *)y->data)[i] = (double)((const int32_t *)x->data)[i];
    return GR_OK;
}

static gr_tensor *cast_vjp(gr_tape *t, const gr_node *n, gr_tensor *g) { return gr_cast(t, g, gr_type_of(n->in[0])); }

const gr_op gr_op_cast = {GR_NAMED(cast, "y = x in another dtype", "dx = g in x's dtype"),
                          .n_in = 1,
                          .shape = cast_shape,
                          .forward[GR_ANY_CPU] = {[GR_F32] = cast, [GR_F64] = cast},
                          .attr_size = sizeof(gr_cast_attr),
                          .vjp = {cast_vjp}};

gr_tensor *gr_cast(gr_tape *t, gr_tensor *x, gr_dtype dtype) { return GR_CALL(cast, &(gr_cast_attr){dtype}, x); }
