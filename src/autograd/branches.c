/* branches.c: which cases an op's formula went through, for the gradient checker: see gr_branches_rule in op.h. */
#include "autograd/tape_internal.h"
#include "tensor/broadcast.h"

uint64_t *gr_tape_watch(gr_tape *t, uint64_t *signature)
{
    uint64_t *before = t->signature;
    t->signature = signature;
    return before;
}

/* x with other last bits, which depend on the rest of it: copies stay equal, and so do numbers of few bits, which no
 * rounding has made. */
static double rounded_otherwise(double x, uint64_t chance)
{
    uint64_t bits, hash = 0;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0xfffffu) == 0) return x;
    gr_fold_branch(&hash, (int64_t)(bits >> 4 ^ chance));
    bits = (bits & ~(uint64_t)15) | hash >> 60;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void round_otherwise(gr_tensor *x, uint64_t chance)
{
    for (int64_t i = 0; x->dtype == GR_F64 && !x->base && i < x->size; i++)
        ((double *)x->data)[i] = rounded_otherwise(((double *)x->data)[i], chance);
}

void gr_fold_op(const gr_node *n, uint64_t *signature)
{
    gr_fold_branch(signature, (int64_t)(uintptr_t)n->op);
    gr_fold_branch(signature, n->out->size);
    if (n->op->branches) n->op->branches(n, signature);
    if (n->tape->rounding) round_otherwise(n->out, n->tape->rounding);
}

void gr_fold_reached(const gr_tensor *y, uint64_t *signature)
{
    if (!y->node) return;
    for (gr_tape_node *node = y->node; node; node = node->prev) node->reached = node == y->node;
    for (gr_tape_node *node = y->node; node; node = node->prev) {
        if (!node->reached) continue;
        gr_fold_branch(signature, (int64_t)node->branches);
        for (int i = 0; i < node->call.n_in; i++)
            if (node->call.in[i]->node) node->call.in[i]->node->reached = true;
    }
}

void gr_branch_sign(const gr_node *n, uint64_t *signature)
{
    for (int64_t i = 0; i < n->in[0]->size; i++) gr_fold_branch(signature, gr_branch_of(gr_element(n->in[0], i)));
}

/* Element i of a row of x that begins at `row`. */
static double element_of_row(const gr_tensor *x, const void *row, int64_t i)
{
    return x->dtype == GR_F32 ? (double)((const float *)row)[i] : ((const double *)row)[i];
}

void gr_branch_order(const gr_node *n, uint64_t *signature)
{
    gr_broadcast p;
    const void *row[GR_MAX_BROADCAST];
    gr_broadcast_plan(&p, n->out, n->in, 2);
    for (int64_t begin = 0, length; begin < n->out->size; begin += length) {
        length = gr_broadcast_row(&p, begin, n->out->size, row);
        for (int64_t i = 0; i < length; i++) {
            double a = element_of_row(n->in[0], row[0], p.step[0] * i);
            double b = element_of_row(n->in[1], row[1], p.step[1] * i);
            gr_fold_branch(signature, gr_branch_of(a - b));
        }
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
