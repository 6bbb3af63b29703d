/* softmax.c: softmax and its logarithm along one axis. */
#include "autograd/op_kit.h"
#include "tensor/class_planes.h"

/* A call: x and y are [n, c, inner] around the axis. */
typedef struct softmax_call {
    const void *x;
    void *y;
    class_planes planes;
    bool logarithm;
} softmax_call;

/* Positions that are worked on together. */
enum { SOFTMAX_ROWS = 64, SOFTMAX_COLUMNS = 256 };

#define GR_KERNEL_FILE "autograd/softmax.kernels.inc"
#include "tensor/kernel.h"

static gr_status softmax_shape(const gr_node *n, gr_type *type)
{
    if (gr_expect_float(n)) return gr_last_status();
    const gr_tensor *x = n->in[0];
    int axis = ((const gr_axis_attr *)n->attr)->axis;
    if (gr_axis(x->rank, axis) < 0)
        return gr_fail(GR_ERR_INDEX, "%s: axis %d is not in %s", n->op->name, axis, GR_SHAPE_TEXT(x));
    if (x->shape[gr_axis(x->rank, axis)] == 0)
        return gr_fail(GR_ERR_SHAPE, "%s: of nothing: %s", n->op->name, GR_SHAPE_TEXT(x));
    gr_type_as(type, x);
    return GR_OK;
}

static gr_tensor *softmax_sum(gr_tape *t, const gr_node *n, gr_tensor *x)
{
    return gr_sum(t, x, 1, &((const gr_axis_attr *)n->attr)->axis, true);
}

/* dx = y (g - sum g y) */
static gr_tensor *softmax_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, n->out, gr_sub(t, g, softmax_sum(t, n, gr_mul(t, g, n->out))));
}

/* dx = g - e^y sum g */
static gr_tensor *log_softmax_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_sub(t, g, gr_mul(t, gr_exp(t, n->out), softmax_sum(t, n, g)));
}

#define SOFTMAX(kernel) \
    .n_in = 1, .shape = softmax_shape, .attr_size = sizeof(gr_axis_attr), .forward = GR_KERNELS(kernel)

const gr_op gr_op_softmax = {GR_NAMED(softmax, "y_c = e^x_c / sum e^x", "dx = y (g - sum g y)"), SOFTMAX(softmax),
                             .vjp = {softmax_vjp}};
const gr_op gr_op_log_softmax = {GR_NAMED(log_softmax, "y_c = x_c - log sum e^x", "dx = g - e^y sum g"),
                                 SOFTMAX(log_softmax), .vjp = {log_softmax_vjp}};

gr_tensor *gr_softmax(gr_tape *t, gr_tensor *x, int axis) { return GR_CALL(softmax, &(gr_axis_attr){axis}, x); }

gr_tensor *gr_log_softmax(gr_tape *t, gr_tensor *x, int axis) { return GR_CALL(log_softmax, &(gr_axis_attr){axis}, x); }
