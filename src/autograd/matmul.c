/* matmul.c: matrix products, and the layer Y = X W + b. tensor/gemm.c computes them. */
#include <limits.h>

#include "autograd/op_kit.h"

/* linear, which is the product of its first two inputs and more, has no options: it transposes nothing. */
static int flags_of(const gr_node *n) { return n->op->attr_size ? ((const gr_matmul_attr *)n->attr)->flags : 0; }

/* The product of one matrix of each input: op(A) [m,k] by op(B) [k,n]. */
static gr_product product_of(const gr_node *n)
{
    const gr_tensor *a = n->in[0], *b = n->in[1];
    const bool ta = flags_of(n) & GR_TRANS_A, tb = flags_of(n) & GR_TRANS_B;
    return (gr_product){.ta = ta,
                        .tb = tb,
                        .m = a->shape[a->rank - 1 - !ta],
                        .k = a->shape[a->rank - 1 - ta],
                        .n = b->shape[b->rank - 1 - tb],
                        .a = a->data,
                        .b = b->data};
}

static gr_status expect_countable(const gr_node *n, const gr_product *p)
{
    if (p->m <= INT_MAX && p->n <= INT_MAX && p->k <= INT_MAX) return GR_OK;
    return gr_fail(GR_ERR_SHAPE, "%s: a dimension exceeds what BLAS can count: %s x %s", n->op->name,
                   GR_SHAPE_TEXT(n->in[0]), GR_SHAPE_TEXT(n->in[1]));
}

/* ---- C = A B:  dA = g B^T,  dB = A^T g ----------------------------------------------------------------------- */

static gr_status matmul_shape(const gr_node *n, gr_type *type)
{
    if (gr_expect_float(n)) return gr_last_status();
    const gr_tensor *a = n->in[0], *b = n->in[1];
    const int flags = flags_of(n);
    if (flags & ~(GR_TRANS_A | GR_TRANS_B)) return gr_fail(GR_ERR_OPTION, "matmul: unknown flags %d", flags);
    if (a->rank < 2 || b->rank < 2)
        return gr_fail(GR_ERR_SHAPE, "matmul: expected two ranks of at least 2: %s x %s; see gr_reshape()",
                       GR_SHAPE_TEXT(a), GR_SHAPE_TEXT(b));
    const gr_product p = product_of(n);
    if (p.k != b->shape[b->rank - 1 - !p.tb])
        return gr_fail(GR_ERR_SHAPE, "matmul: inner dimensions differ: %s%s x %s%s", GR_SHAPE_TEXT(a), p.ta ? "^T" : "",
                       GR_SHAPE_TEXT(b), p.tb ? "^T" : "");
    if (expect_countable(n, &p)) return gr_last_status();
    gr_type_as(type, a);
    type->rank -= 2;
    if (gr_broadcast_shapes("matmul", type, b->rank - 2, b->shape)) return gr_last_status();
    type->shape[type->rank++] = p.m;
    type->shape[type->rank++] = p.n;
    return GR_OK;
}

/* Where x, which is A or B, has the matrix for the i-th matrix of the result, in elements. */
static int64_t batch_offset(const gr_tensor *x, const gr_tensor *out, int64_t i)
{
    int64_t offset = 0, stride = x->shape[x->rank - 1] * x->shape[x->rank - 2];
    for (int axis = 3; axis <= out->rank && axis <= x->rank; axis++) {
        const int64_t extent = out->shape[out->rank - axis];
        if (x->shape[x->rank - axis] != 1) offset += i % extent * stride;
        i /= extent;
        stride *= x->shape[x->rank - axis];
    }
    return offset;
}

static gr_status matmul(gr_node *n)
{
    const gr_tensor *a = n->in[0], *b = n->in[1];
    const size_t bytes = gr_dtype_bytes(gr_type_of(a));
    gr_product p = product_of(n);
    int64_t count = n->out->size ? n->out->size / (p.m * p.n) : 0;
    if (b->rank == 2 && !p.ta && count && p.m <= INT_MAX / count) { /* one product of all the rows of A */
        p.m *= count;
        count = 1;
    }
    for (int64_t i = 0; i < count; i++) {
        p.a = (const char *)a->data + (size_t)batch_offset(a, n->out, i) * bytes;
        p.b = (const char *)b->data + (size_t)batch_offset(b, n->out, i) * bytes;
        p.c = (char *)n->out->data + (size_t)(i * p.m * p.n) * bytes;
        gr_gemm(gr_type_of(a), p);
    }
    return GR_OK;
}

/* Where C = A^T B the roles turn: dA = B g^T. */
static gr_tensor *matmul_vjp_a(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const bool ta = flags_of(n) & GR_TRANS_A, tb = flags_of(n) & GR_TRANS_B;
    if (ta) return gr_matmul(t, n->in[1], g, (tb ? GR_TRANS_A : 0) | GR_TRANS_B);
    return gr_matmul(t, g, n->in[1], tb ? 0 : GR_TRANS_B);
}

/* Where C = A B^T: dB = g^T A. */
static gr_tensor *matmul_vjp_b(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const bool ta = flags_of(n) & GR_TRANS_A, tb = flags_of(n) & GR_TRANS_B;
    if (tb) return gr_matmul(t, g, n->in[0], GR_TRANS_A | (ta ? GR_TRANS_B : 0));
    return gr_matmul(t, n->in[0], g, ta ? 0 : GR_TRANS_A);
}

const gr_op gr_op_matmul = {GR_NAMED(matmul, "C = A B", "dA = g B^T, dB = A^T g"),
                            .n_in = 2,
                            .shape = matmul_shape,
                            .forward[GR_ANY_CPU] = {[GR_F32] = matmul, [GR_F64] = matmul},
                            .attr_size = sizeof(gr_matmul_attr),
                            .vjp = {matmul_vjp_a, matmul_vjp_b}};

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
    const gr_product p = product_of(n);
    if (expect_countable(n, &p)) return gr_last_status();
    gr_type_as(type, x);
    type->shape[1] = p.n;
    return GR_OK;
}

/* Copies the row until `all` bytes are full of it: what is there already is copied, twice as much each time. */
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
    const gr_tensor *b = n->in[2];
    repeat_row(n->out->data, b->data, gr_bytes(b), gr_bytes(n->out));
    gr_product p = product_of(n);
    p.adds = true;
    p.c = n->out->data;
    gr_gemm(gr_type_of(b), p);
    return GR_OK;
}

const gr_op gr_op_linear = {GR_NAMED(linear, "Y = X W + b", "dX = g W^T, dW = X^T g, db = the rows of g, summed"),
                            .n_in = 3, .shape = linear_shape,
                            .forward[GR_ANY_CPU] = {[GR_F32] = linear, [GR_F64] = linear},
                            .vjp = {matmul_vjp_a, matmul_vjp_b, gr_vjp_same}};

gr_tensor *gr_linear(gr_tape *t, gr_tensor *x, gr_tensor *w, gr_tensor *b) { return GR_CALL(linear, NULL, x, w, b); }
