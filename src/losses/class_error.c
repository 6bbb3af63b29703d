/* class_error.c: how wrong a softmax is about each class, e = y (1-p) + (1-y) p, which for y of 0 or 1 is |y - p|; and
 * the softmax's derivative, which soft counts need too. 1-p is the sum of the other classes: nothing cancels. */
#include "losses/class_target.h"
#include "losses/regions.h"

/* A call: two tensors [n, c, inner] make a third. */
typedef struct softmax_pair {
    const void *x, *v;
    void *z;
    int64_t c, inner, blocks; /* blocks of an image */
} softmax_pair;

enum { PAIR_BLOCK = 1024 }; /* positions of a block */

#define GR_KERNEL_FILE "losses/class_error.kernels.inc"
#include "tensor/kernel.h"

static gr_status softmax_pair_shape(const gr_node *n, gr_type *type)
{
    return gr_shape_same(n, type) ? gr_last_status() : gr_expect_class_axis(n->op->name, n->in[0]);
}

/* ---- z_c = p_c (v_c - sum p v),  J v with J = diag(p) - p p^T ------------------------------------------------- */

static gr_tensor *sum_over_classes(gr_tape *t, gr_tensor *x) { return gr_sum(t, x, GR_AXES(1), true); }

/* h^T J v = sum p h v - (sum p h)(sum p v), by p: h v - v sum p h - h sum p v;  then by x: J of that */
static gr_tensor *softmax_grad_x(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    gr_tensor *x = n->in[0], *v = n->in[1], *p = gr_softmax(t, x, 1);
    gr_tensor *mean_h = sum_over_classes(t, gr_mul(t, p, h)), *mean_v = sum_over_classes(t, gr_mul(t, p, v));
    return gr_softmax_grad(t, x, gr_sub(t, gr_mul(t, h, gr_sub(t, v, mean_v)), gr_mul(t, v, mean_h)));
}

/* J is symmetric */
static gr_tensor *softmax_grad_v(gr_tape *t, const gr_node *n, gr_tensor *h) { return gr_softmax_grad(t, n->in[0], h); }

const gr_op gr_op_softmax_grad = {
    GR_NAMED(softmax_grad, "z_c = p_c (v_c - sum p v), p = softmax(x)",
             "dv_c = p_c (h_c - sum p h), dx = the same of h (v - sum p v) - v sum p h, h that of z"),
    .n_in = 2, .shape = softmax_pair_shape, .forward = GR_KERNELS(softmax_grad),
    .vjp = {softmax_grad_x, softmax_grad_v}};

gr_tensor *gr_softmax_grad(gr_tape *t, gr_tensor *x, gr_tensor *v) { return GR_CALL(softmax_grad, NULL, x, v); }

/* ---- e = y (1-p) + (1-y) p ------------------------------------------------------------------------------------- */

/* de/dp = 1 - 2y */
static gr_tensor *class_error_x(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_softmax_grad(t, n->in[0], gr_mul(t, g, gr_shift(t, gr_scale(t, n->in[1], -2.0), 1.0)));
}

/* de/dy = 1 - 2p */
static gr_tensor *class_error_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_shift(t, gr_scale(t, gr_softmax(t, n->in[0], 1), -2.0), 1.0));
}

const gr_op gr_op_class_error = {GR_NAMED(class_error, "e = y (1-p) + (1-y) p, p = softmax(x)",
                                          "dx_c = p_c (v_c - sum p v), v = g (1 - 2y); dy = g (1 - 2p)"),
                                 .n_in = 2, .shape = softmax_pair_shape, .forward = GR_KERNELS(class_error),
                                 .vjp = {class_error_x, class_error_y}};
