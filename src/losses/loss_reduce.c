/* loss_reduce.c: the numbers of all positions become a loss, and g becomes the gradients of all positions. */
#include <assert.h>

#include "losses/loss_kit.h"

/* ---- Forward --------------------------------------------------------------------------------------------------- */

int64_t gr_loss_count(const gr_node *n, int64_t positions)
{
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    const gr_tensor *y = n->in[1];
    if (!attr->ignore) return positions;
    int64_t count = 0;
    for (int64_t i = 0; i < y->size; i++) count += gr_element(y, i) != attr->ignore_index;
    return count;
}

double gr_loss_scale(const gr_node *n, int64_t positions)
{
    if (gr_loss_attr_of(n)->reduction != GR_MEAN) return 1.0;
    const int64_t count = gr_loss_count(n, positions);
    return count ? 1.0 / (double)count : 0.0;
}

gr_status gr_loss_run(gr_node *n, gr_loss_pass *p, int64_t positions, int64_t least, gr_span_body span,
                      gr_bad_value_rule complain)
{
    p->n = n;
    p->grain = (positions + GR_LOSS_BLOCKS - 1) / GR_LOSS_BLOCKS;
    p->grain = p->grain < least ? least : p->grain;
    p->scale = gr_loss_scale(n, positions);
    p->keep_values = gr_loss_attr_of(n)->reduction == GR_NONE;
    const int64_t blocks = (positions + p->grain - 1) / p->grain;
    assert(least > 0 && blocks <= GR_LOSS_BLOCKS);
    for (int64_t i = 0; i < blocks; i++) p->block[i] = (gr_loss_block){0};
    gr_parallel(positions, p->grain, span, p);
    double sum = 0.0;
    bool bad = false;
    for (int64_t i = 0; i < blocks; i++) {
        sum += p->block[i].sum;
        bad |= p->block[i].bad;
    }
    if (bad) return complain(n);
    if (p->keep_values) return GR_OK;
    if (n->out->dtype == GR_F32) *(float *)n->out->data = (float)(sum * p->scale);
    else *(double *)n->out->data = sum * p->scale;
    return GR_OK;
}

gr_status gr_save_slopes(gr_node *n)
{
    const gr_tensor *p = n->in[0];
    return n->recording && !gr_save(n, gr_type_of(p), p->rank, p->shape) ? gr_last_status() : GR_OK;
}

gr_status gr_pointwise_run(gr_node *n, gr_span_body span, gr_bad_value_rule complain)
{
    gr_loss_pass pass;
    assert(gr_same_shape(n->in[0], n->in[1]));
    if (gr_save_slopes(n)) return gr_last_status();
    return gr_loss_run(n, &pass, n->in[0]->size, GR_GRAIN, span, complain);
}

/* ---- Backward -------------------------------------------------------------------------------------------------- */

gr_tensor *gr_loss_scaled(gr_tape *t, const gr_node *n, gr_tensor *g, gr_tensor *d)
{
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    gr_tensor *y = n->in[1], *zero = gr_constant(t, gr_type_of(n->in[0]), 0.0);
    if (attr->weighted) d = gr_weighed(t, n->in[2], d);
    if (attr->ignore) d = gr_where(t, gr_equal(t, y, gr_constant(t, gr_type_of(y), attr->ignore_index)), zero, d);
    if (!d) return NULL; /* then y may have been given back, and counting would read it */
    return gr_weighed(t, d, gr_scale(t, g, gr_loss_scale(n, n->in[0]->size)));
}

/* ---- For the gradient checker ---------------------------------------------------------------------------------- */

int gr_loss_terms_with(const gr_node *n, gr_loss_attr *attr, gr_term terms[GR_MAX_TERMS])
{
    if (attr->reduction == GR_NONE) return 0;
    attr->reduction = GR_NONE;
    const bool was_recording = gr_set_recording(n->tape, false);
    gr_tensor *each = gr_apply(n->tape, n->op, n->in, n->n_in, attr);
    gr_set_recording(n->tape, was_recording);
    if (!each) return 0;
    terms[0] = (gr_term){each, gr_loss_scale(n, each->size)};
    return 1;
}

int gr_loss_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    gr_loss_attr attr = *gr_loss_attr_of(n);
    return gr_loss_terms_with(n, &attr, terms);
}
