/* leaf.c: leaves, the tensors of the caller's for which gradients are wanted. Their gradients outlive every tape. */
#include "autograd/tape_internal.h"

/* ---- As users see them -------------------------------------------------------------------------------------- */

gr_status gr_require_grad(gr_tensor *x)
{
    if (!x) return gr_fail_null("require_grad", "tensor");
    if (x->tape || x->owner == GR_LEAF)
        return gr_fail(GR_ERR_STATE, "require_grad: this %s is %s, not a leaf", GR_SHAPE_TEXT(x), gr_not_yours(x));
    if (!gr_is_float(gr_type_of(x))) return gr_fail(GR_ERR_DTYPE, "require_grad: i32 has no gradients");
    x->requires_grad = true;
    return GR_OK;
}

bool gr_requires_grad(const gr_tensor *x) { return x && x->requires_grad; }

gr_tensor *gr_gradient(const gr_tensor *x)
{
    if (x && x->deleted) return gr_fail_gone("gradient", "this", x), NULL;
    return x && x->grad && (x->tape || x->has_grad) ? x->grad : NULL;
}

void gr_zero_grad(gr_tensor *x)
{
    if (!x) return;
    x->has_grad = false;
    if (x->tape && x->grad) {
        gr_drop(x->tape, x->grad);
        x->grad = NULL;
    }
}

/* ---- As backward sees them ---------------------------------------------------------------------------------- */

gr_status gr_leaf_make_room(gr_tensor *leaf)
{
    if (leaf->grad) return GR_OK;
    gr_tensor *grad = gr_allocate(sizeof *grad);
    if (!grad) return GR_ERR_MEMORY;
    memset(grad, 0, offsetof(gr_tensor, small));
    gr_tensor_set_type(grad, gr_type_of(leaf), leaf->rank, leaf->shape, leaf->size);
    grad->owner = GR_LEAF;
    grad->data = grad->small;
    if (gr_bytes(leaf) > sizeof grad->small) {
        grad->block = gr_pool_block(gr_bytes(leaf));
        if (!grad->block) {
            gr_release(grad);
            return GR_ERR_MEMORY;
        }
        grad->data = gr_block_data(grad->block);
    }
    leaf->grad = grad;
    leaf->has_grad = false;
    return GR_OK;
}

void gr_leaf_add(gr_tensor *leaf, gr_tensor *g)
{
    gr_tensor *grad = leaf->grad;
    if (leaf->has_grad) {
        gr_accumulate(grad, g);
    } else if (gr_is_ours_alone(g) && !grad->has_views && g->block && grad->block &&
               g->block->size_class == grad->block->size_class) {
        gr_block *block = grad->block;
        grad->block = g->block;
        g->block = block;
        grad->data = gr_block_data(grad->block);
        g->data = gr_block_data(g->block);
    } else {
        memcpy(grad->data, g->data, gr_bytes(grad));
    }
    leaf->has_grad = true;
    gr_touch(grad); /* a tape may have it as an input */
}
