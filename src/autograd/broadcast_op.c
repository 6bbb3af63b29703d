/* broadcast_op.c: broadcasting as an op. The walk over a tensor that broadcasts is tensor/broadcast.c. */
#include "autograd/op_kit.h"
#include "tensor/broadcast.h"

/* ---- y = x over new axes and over axes of 1:  dx = g, summed by the engine over what was repeated ----------- */

static gr_status broadcast_to_shape(const gr_node *n, gr_type *type)
{
    if (gr_expect_float(n)) return gr_last_status();
    const gr_tensor *x = n->in[0];
    const gr_type *to = n->attr;
    if (!gr_broadcasts_to(x, to->rank, to->shape))
        return gr_fail(GR_ERR_SHAPE, "broadcast_to: %s does not broadcast to %s", GR_SHAPE_TEXT(x),
                       gr_shape_text(&(gr_text){{0}}, to->rank, to->shape));
    *type = *to;
    type->dtype = gr_type_of(x);
    return GR_OK;
}

static void broadcast_span(void *context, int64_t begin, int64_t end)
{
    const gr_broadcast *p = context;
    const void *x[GR_MAX_BROADCAST];
    for (int64_t at = begin, n; at < end; at += n) {
        n = gr_broadcast_row(p, at, end, x);
        char *y = (char *)p->out + (size_t)at * p->size;
        if (p->step[0]) memcpy(y, x[0], (size_t)n * p->size);
        else gr_repeat(y, x[0], n, p->size);
    }
}

static gr_status broadcast_to(gr_node *n)
{
    gr_broadcast p;
    gr_broadcast_plan(&p, n->out, n->in, 1);
    gr_parallel(n->out->size, GR_GRAIN, broadcast_span, &p);
    return GR_OK;
}

const gr_op gr_op_broadcast_to = {GR_NAMED(broadcast_to, "y = x, repeated", "dx = g, summed over what was repeated"),
                                  .n_in = 1,
                                  .shape = broadcast_to_shape,
                                  .forward[GR_ANY_CPU] = {[GR_F32] = broadcast_to, [GR_F64] = broadcast_to},
                                  .attr_size = sizeof(gr_type),
                                  .vjp = {gr_vjp_same}};

gr_tensor *gr_broadcast_to(gr_tape *t, gr_tensor *x, int rank, const int64_t shape[])
{
    if (!x) return gr_fail_null("broadcast_to", "input 0"), NULL;
    if (gr_checked_size("broadcast_to", gr_type_of(x), rank, shape) < 0) return NULL;
    gr_type to = {.rank = rank};
    memcpy(to.shape, shape, (size_t)rank * sizeof *shape);
    return GR_CALL(broadcast_to, &to, x);
}

gr_tensor *gr_as_wide(gr_tape *t, gr_tensor *x, int rank, const int64_t shape[])
{
    return gr_is_as(t, x, rank, shape) ? x : gr_broadcast_to(t, x, rank, shape);
}
