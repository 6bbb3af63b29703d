/* sum_to.c: the way back that the gradient of every broadcast input takes: summing. For the engine; no op calls it. */
#include <assert.h>

#include "autograd/tape_internal.h"
#include "tensor/broadcast.h"

bool gr_sums_to(const gr_tensor *g, const gr_tensor *x) { return gr_broadcasts_to(x, g->rank, g->shape); }

gr_tensor *gr_sum_to(gr_tape *t, gr_tensor *g, const gr_tensor *x)
{
    assert(gr_sums_to(g, x));
    int axes[GR_MAX_RANK], n_axes = 0;
    for (int i = 1; i <= g->rank; i++) {
        bool stretched = i <= x->rank && x->shape[x->rank - i] == 1 && g->shape[g->rank - i] != 1;
        if (i > x->rank || stretched) axes[n_axes++] = g->rank - i;
    }
    return gr_as_shape(t, n_axes ? gr_sum(t, g, n_axes, axes, true) : g, x->rank, x->shape);
}
