/* branches.c: which cases an op's formula went through, for the gradient checker: see gr_branches_rule in op.h. */
#include "autograd/tape_internal.h"
#include "tensor/broadcast.h"

uint64_t *gr_tape_watch(gr_tape *t, uint64_t *signature)
{
    uint64_t *before = t->signature;
    t->signature = signature;
    return before;
}

void gr_fold_op(const gr_node *n, uint64_t *signature)
{
    gr_fold_branch(signature, (int64_t)(uintptr_t)n->op);
    gr_fold_branch(signature, n->out->size);
    if (n->op->branches) n->op->branches(n, signature);
}

static void fold_signs(const gr_tensor *x, uint64_t *signature)
{
    for (int64_t i = 0; i < x->size; i++) gr_fold_branch(signature, gr_branch_of(gr_element(x, i)));
}

void gr_branch_sign(const gr_node *n, uint64_t *signature)
{
    fold_signs(n->in[0], signature);
}

void gr_branch_sign_of_second(const gr_node *n, uint64_t *signature)
{
    fold_signs(n->in[1], signature);
}

static double at(const gr_tensor *x, const void *place, int64_t i)
{
    return x->dtype == GR_F32 ? (double)((const float *)place)[i] : ((const double *)place)[i];
}

void gr_branch_order(const gr_node *n, uint64_t *signature)
{
    gr_broadcast p;
    const void *place[GR_MAX_BROADCAST];
    gr_broadcast_plan(&p, n->out, n->in, 2);
    for (int64_t begin = 0, length; begin < n->out->size; begin += length) {
        length = gr_broadcast_row(&p, begin, n->out->size, place);
        for (int64_t i = 0; i < length; i++)
            gr_fold_branch(signature,
                           gr_branch_of(at(n->in[0], place[0], p.step[0] * i) - at(n->in[1], place[1], p.step[1] * i)));
    }
}

void gr_branch_bounds(const gr_node *n, uint64_t *signature)
{
    const gr_scalars *bounds = n->attr;
    for (int64_t i = 0; i < n->in[0]->size; i++) {
        double x = gr_element(n->in[0], i);
        gr_fold_branch(signature, x < bounds->a ? -1 : x > bounds->b ? 1 : x == x ? 0 : 2);
    }
}
