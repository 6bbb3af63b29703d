/* matmul.c: matrix products. */
#include <limits.h>

#include "autograd/op_kit.h"

/* op(A) is [m, k], op(B) is [k, n]. */
typedef struct extents {
    int64_t m, n, k;
} extents;

static extents extents_of(const gr_node *n)
{
    const gr_tensor *a = n->in[0], *b = n->in[1];
    int flags = ((const gr_matmul_attr *)n->attr)->flags;
    bool ta = flags & GR_TRANS_A, tb = flags & GR_TRANS_B;
    return (extents){
        .m = a->shape[a->rank - 1 - !ta], .k = a->shape[a->rank - 1 - ta], .n = b->shape[b->rank - 1 - tb]};
}

static gr_status matmul_shape(const gr_node *n, gr_type *type)
{
    if (gr_expect_float(n)) return gr_last_status();
    const gr_tensor *a = n->in[0], *b = n->in[1];
    int flags = ((const gr_matmul_attr *)n->attr)->flags;
    if (flags & ~(GR_TRANS_A | GR_TRANS_B)) return gr_fail(GR_ERR_OPTION, "matmul: unknown flags %d", flags);
    if (a->rank < 2 || b->rank < 2)
        return gr_fail(GR_ERR_SHAPE, "matmul: expected two ranks of at least 2: %s x %s; see gr_reshape()",
                       GR_SHAPE_TEXT(a), GR_SHAPE_TEXT(b));
    extents e = extents_of(n);
    if (e.k != b->shape[b->rank - 1 - !(flags & GR_TRANS_B)])
        return gr_fail(GR_ERR_SHAPE, "matmul: inner dimensions differ: %s%s x %s%s", GR_SHAPE_TEXT(a),
                       flags & GR_TRANS_A ? "^T" : "", GR_SHAPE_TEXT(b), flags & GR_TRANS_B ? "^T" : "");
    if (e.m > INT_MAX || e.n > INT_MAX || e.k > INT_MAX)
        return gr_fail(GR_ERR_SHAPE, "matmul: a dimension exceeds what BLAS can count: %s x %s", GR_SHAPE_TEXT(a),
                       GR_SHAPE_TEXT(b));
    gr_type_as(type, a);
    type->rank -= 2;
    if (gr_broadcast_shapes("matmul", type, b->rank - 2, b->shape)) return gr_last_status();
    type->shape[type->rank++] = e.m;
    type->shape[type->rank++] = e.n;
    return GR_OK;
}

static void gemm(gr_dtype dtype, int flags, extents e, const void *a, const void *b, bool adds, void *c)
{
    gr_gemm(dtype, (gr_product){.ta = flags & GR_TRANS_A,
                                .tb = flags & GR_TRANS_B,
                                .adds = adds,
                                .m = e.m,
                                .n = e.n,
                                .k = e.k,
                                .a = a,
                                .b = b,
                                .c = c});
}

/* Where the matrix for a position in the result's leading axes begins, in elements. */
static int64_t batch_offset(const gr_tensor *x, const gr_tensor *out, int64_t position)
{
    int64_t offset = 0, stride = x->shape[x->rank - 1] * x->shape[x->rank - 2];
    for (int i = 3; i <= out->rank; i++) {
        int64_t extent = out->shape[out->rank - i], index = position % extent;
        position /= extent;
        if (i > x->rank) break;
        if (x->shape[x->rank - i] != 1) offset += index * stride;
        stride *= x->shape[x->rank - i];
    }
    return offset;
}

static gr_status matmul(gr_node *n)
{
    const gr_tensor *a = n->in[0], *b = n->in[1];
    int flags = ((const gr_matmul_attr *)n->attr)->flags;
    extents e = extents_of(n);
    int64_t each = e.m * e.n, count = each ? n->out->size / each : 0;
    if (b->rank == 2 && !(flags & GR_TRANS_A)) { /* one product of all the rows */
        e.m *= count;
        each *= count;
        count = e.m <= INT_MAX && each ? 1 : 0;
    }
    if (b->rank == 2 && count == 0 && n->out->size) { /* more rows than BLAS can count: product by product */
        e = extents_of(n);
        each = e.m * e.n;
        count = n->out->size / each;
    }
    size_t bytes = gr_dtype_bytes(gr_type_of(a));
    for (int64_t i = 0; i < count; i++)
        gemm(gr_type_of(a), flags, e, (const char *)a->data + (size_t)batch_offset(a, n->out, i) * bytes,
             (const char *)b->data + (size_t)batch_offset(b, n->out, i) * bytes, false,
             (char *)n->out->data + (size_t)(i * each) * bytes);
    return GR_OK;
}

/* C = A B:  dA = dC B^T.  With A^T in the product the roles turn: dA = B dC^T. */
static gr_tensor *matmul_a(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *b = n->in[1];
    switch (((const gr_matmul_attr *)n->attr)->flags) {
    case 0: return gr_matmul(t, g, b, GR_TRANS_B);
    case GR_TRANS_A: return gr_matmul(t, b, g, GR_TRANS_B);
    case GR_TRANS_B: return gr_matmul(t, g, b, 0);
    default: return gr_matmul(t, b, g, GR_TRANS_A | GR_TRANS_B);
    }
}

/* C = A B:  dB = A^T dC.  With B^T in the product: dB = dC^T A. */
static gr_tensor *matmul_b(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *a = n->in[0];
    switch (((const gr_matmul_attr *)n->attr)->flags) {
    case 0: return gr_matmul(t, a, g, GR_TRANS_A);
    case GR_TRANS_A: return gr_matmul(t, a, g, 0);
    case GR_TRANS_B: return gr_matmul(t, g, a, GR_TRANS_A);
    default: return gr_matmul(t, g, a, GR_TRANS_A | GR_TRANS_B);
    }
}

const gr_op gr_op_matmul = {.name = "matmul",
                            .formula = "C = A B",
                            .gradient = "dA = g B^T, dB = A^T g",
                            .n_in = 2,
                            .shape = matmul_shape,
                            .forward[GR_ANY_CPU] = {[GR_F32] = matmul, [GR_F64] = matmul},
                            .attr_size = sizeof(gr_matmul_attr),
                            .vjp = {matmul_a, matmul_b}};

gr_tensor *gr_matmul(gr_tape *t, gr_tensor *a, gr_tensor *b, int flags)
{
    return GR_CALL(matmul, &(gr_matmul_attr){flags}, a, b);
}

/* ---- Y = X W + b:  dX = g W^T,  dW = X^T g,  db = g, summed over the rows by the engine ---------------------- */

static gr_status linear_shape(const gr_node *n, gr_type *type)
{
    if (gr_expect_float(n)) return gr_last_status();
    const gr_tensor *x = n->in[0], *w = n->in[1], *b = n->in[2];
    if (x->rank != 2 || w->rank != 2 || b->rank != 1 || x->shape[1] != w->shape[0] || w->shape[1] != b->shape[0])
        return gr_fail(GR_ERR_SHAPE, "linear: expected [n,in] x [in,out] + [out]: %s x %s + %s", GR_SHAPE_TEXT(x),
                       GR_SHAPE_TEXT(w), GR_SHAPE_TEXT(b));
    if (x->shape[0] > INT_MAX || x->shape[1] > INT_MAX || w->shape[1] > INT_MAX)
        return gr_fail(GR_ERR_SHAPE, "linear: a dimension exceeds what BLAS can count: %s x %s", GR_SHAPE_TEXT(x),
                       GR_SHAPE_TEXT(w));
    gr_type_as(type, x);
    type->shape[1] = w->shape[1];
    return GR_OK;
}

/* The row again and again: what is there already is copied, twice as much each time. */
static void repeat_row(char *to, const void *row, size_t bytes, size_t all)
{
    size_t done = bytes < all ? bytes : all;
    memcpy(to, row, done);
    for (size_t more; done && done < all; done += more) {
        more = all - done < done ? all - done : done;
        memcpy(to + done, to, more);
    }
}

static gr_status linear(gr_node *n)
{
    const gr_tensor *x = n->in[0], *w = n->in[1], *b = n->in[2];
    repeat_row(n->out->data, b->data, gr_bytes(b), gr_bytes(n->out));
    gemm(gr_type_of(x), 0, (extents){x->shape[0], w->shape[1], x->shape[1]}, x->data, w->data, true, n->out->data);
    return GR_OK;
}

static gr_tensor *linear_x(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_matmul(t, g, n->in[1], GR_TRANS_B);
}

static gr_tensor *linear_w(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_matmul(t, n->in[0], g, GR_TRANS_A);
}

static gr_tensor *linear_b(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)t;
    (void)n;
    return g;
}

const gr_op gr_op_linear = {.name = "linear",
                            .formula = "Y = X W + b",
                            .gradient = "dX = g W^T, dW = X^T g, db = the rows of g, summed",
                            .n_in = 3,
                            .shape = linear_shape,
                            .forward[GR_ANY_CPU] = {[GR_F32] = linear, [GR_F64] = linear},
                            .vjp = {linear_x, linear_w, linear_b}};

gr_tensor *gr_linear(gr_tape *t, gr_tensor *x, gr_tensor *w, gr_tensor *b)
{
    return GR_CALL(linear, NULL, x, w, b);
}
