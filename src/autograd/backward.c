/* backward.c: one reverse loop over the nodes.
 *
 * The order of creation is a topological order, so each node is visited once, when all of its gradient has been
 * gathered: dx += VJP(dy). Gradients in flight hang on their tensors as `slot`; those of leaves are added to the
 * leaves' own only when the whole pass has succeeded. */
#include "autograd/tape_internal.h"

/* One backward pass. */
typedef struct pass {
    gr_tape *t;
    gr_tensor *y;
    gr_tensor *const *x; /* whose gradients are asked for by name; NULL: of all leaves */
    int n_x;
    gr_tensor **out; /* their gradients */
    int flags;
    gr_tensor *leaves; /* reached, linked by `newer`; a leaf is on no tape's list */
} pass;

/* ---- Where gradients gather --------------------------------------------------------------------------------- */

/* The place of x's gradient in this pass; NULL when nobody wants it. The same leaf may be in use by another thread's
 * gr_vjp(), so a pass that was asked by name writes nothing into leaves. */
static gr_tensor **slot_of(pass *p, gr_tensor *x)
{
    if (x->node) return !p->x || x->wanted || x->node->reached ? &x->slot : NULL;
    for (int i = 0; i < p->n_x; i++)
        if (p->x[i] == x) return &p->out[i];
    if (p->x || !x->requires_grad) return NULL;
    return &x->slot;
}

static bool may_write(const gr_tensor *x)
{
    return x->temporary && x->refs == 1 && !x->base;
}

/* slot += d */
static gr_status gather(pass *p, gr_tensor *x, gr_tensor *d)
{
    gr_tensor **slot = slot_of(p, x);
    if (!slot) return GR_OK;
    if (!*slot) {
        *slot = gr_hold(d);
        if (!x->node && !p->x) {
            x->newer = p->leaves;
            p->leaves = x;
        }
        return GR_OK;
    }
    if (may_write(*slot) && !(p->flags & GR_CREATE_GRAPH) && *slot != d) {
        gr_accumulate(*slot, d);
        (*slot)->is_one = false;
        return GR_OK;
    }
    gr_tensor *sum = gr_add(p->t, *slot, d);
    if (!sum) return gr_last_status();
    gr_hold(sum);
    gr_drop(p->t, *slot);
    *slot = sum;
    return GR_OK;
}

/* ---- One node ----------------------------------------------------------------------------------------------- */

static gr_status check_unchanged(const gr_record *r)
{
    for (int i = 0; i <= r->n.n_in; i++) {
        const gr_tensor *x = i < r->n.n_in ? r->n.in[i] : r->n.out;
        if (x->released || gr_version_of(x) == r->versions[i]) continue; /* what is released, ops refuse */
        const char *name = x->name || !x->base ? gr_name(x) : gr_name(x->base);
        char role[32] = "the result";
        if (i < r->n.n_in) snprintf(role, sizeof role, "input %d", i);
        return gr_fail(GR_ERR_STATE, "backward: %s%s%s, %s of %s, was changed after the forward pass", name,
                       *name ? " " : "", GR_SHAPE_TEXT(x), role, r->n.op->name);
    }
    return GR_OK;
}

/* What a VJP gave, as a gradient of input i: of its shape, and a result of the tape. NULL with an error. */
static gr_tensor *fitted(gr_tape *t, const gr_node *n, int i, gr_tensor *d)
{
    const gr_tensor *x = n->in[i];
    if (!d) {
        if (!gr_last_status()) gr_fail(GR_ERR_NULL, "backward: the VJP of %s for input %d gave NULL", n->op->name, i);
        return NULL;
    }
    if (d->dtype != x->dtype) {
        gr_fail(GR_ERR_DTYPE, "backward: the VJP of %s for input %d is %s, the input %s", n->op->name, i,
                gr_dtype_name(gr_type_of(d)), gr_dtype_name(gr_type_of(x)));
        return NULL;
    }
    const bool fits = gr_same_shape(d, x);
    if (!fits && !gr_sums_to(d, x)) {
        gr_fail(GR_ERR_SHAPE, "backward: the VJP of %s for input %d is %s, the input %s", n->op->name, i,
                GR_SHAPE_TEXT(d), GR_SHAPE_TEXT(x));
        return NULL;
    }
    if (d->tape != t) d = gr_scale(t, d, 1.0);
    return d && !fits ? gr_sum_to(t, d, x) : d;
}

/* Runs the VJP of input i and gathers what it gives. */
static gr_status pull_back(pass *p, gr_record *r, int i, gr_tensor *g)
{
    gr_node *n = &r->n;
    gr_vjp_rule rule = n->op->n_in == GR_VARIADIC || i >= GR_MAX_VJPS ? NULL : n->op->vjp[i];
    if (!gr_has_vjp(n->op, i) || rule == gr_vjp_zero || !n->in[i]->requires_grad || !slot_of(p, n->in[i])) return GR_OK;
    gr_tensor *d = fitted(p->t, n, i, rule ? rule(p->t, n, g) : n->op->vjp_nth(p->t, n, i, g));
    return d ? gather(p, n->in[i], d) : gr_last_status();
}

/* Discards what VJPs left behind: results made after the one with the given serial, to which nothing refers. */
static void sweep(gr_tape *t, int64_t serial)
{
    for (gr_tensor *x = t->newest, *older; x && x->serial > serial; x = older) {
        older = x->older;
        if (x->refs > 0 || !x->temporary) continue;
        if (older) older->refs++; /* x may be the last view of it: its turn comes next */
        gr_discard(t, x);
        if (older) older->refs--;
    }
}

/* Gives a node's values back: no node that is still to come looks at them. */
static void release(pass *p, gr_record *r)
{
    gr_tensor *out = r->n.out;
    gr_drop(p->t, r->n.saved);
    r->n.saved = NULL;
    r->released = true;
    if (out->kept || out == p->y || out->refs > 0) return;
    out->released = true;
    if (out->block) {
        gr_pool_give(&p->t->pool, out->block);
        out->block = NULL;
    }
    out->data = NULL;
    if (out->holds_base) {
        gr_drop(p->t, out->base);
        out->base = NULL;
        out->holds_base = false;
    }
}

static gr_status visit(pass *p, gr_record *r)
{
    gr_tensor *g = r->n.out->slot;
    const bool passes = !p->x || r->reached; /* or else the gradient ends here, asked for by name */
    if (passes && r->released)
        return gr_fail(GR_ERR_STATE, "backward: an earlier backward gave the values of %s back: pass it GR_RETAIN",
                       r->n.op->name);
    if (passes && check_unchanged(r)) return gr_last_status();
    const int64_t serial = p->t->serial;
    for (int i = 0; passes && i < r->n.n_in; i++)
        if (pull_back(p, r, i, g)) return gr_last_status();
    if (p->t->backward) sweep(p->t, serial);
    if (r->n.out->wanted)
        for (int i = 0; i < p->n_x; i++)
            if (p->x[i] == r->n.out) p->out[i] = gr_hold(g);
    r->n.out->slot = NULL;
    if (p->flags & GR_RETAIN && !p->x) {
        gr_drop(p->t, r->n.out->grad);
        r->n.out->grad = g;
    } else {
        gr_drop(p->t, g);
    }
    if (passes && !(p->flags & GR_RETAIN)) release(p, r);
    return GR_OK;
}

/* ---- Leaves ------------------------------------------------------------------------------------------------- */

/* A gradient to adopt or to copy into, so that nothing can fail once leaves are being written. */
static gr_status make_room(gr_tensor *leaf)
{
    if (leaf->grad) return GR_OK;
    gr_tensor *grad = gr_allocate(sizeof *grad);
    if (!grad) return GR_ERR_MEMORY;
    memset(grad, 0, offsetof(gr_tensor, small));
    gr_tensor_set_type(grad, gr_type_of(leaf), leaf->rank, leaf->shape, leaf->size);
    grad->is_gradient = true;
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

/* leaf.grad += g, or leaf.grad = g where there is none yet: then buffers change hands instead of being copied. */
static void commit(gr_tensor *leaf, gr_tensor *g)
{
    gr_tensor *grad = leaf->grad;
    if (leaf->has_grad) {
        gr_accumulate(grad, g);
    } else if (may_write(g) && g->block && grad->block && g->block->size_class == grad->block->size_class) {
        gr_block *block = grad->block;
        grad->block = g->block;
        g->block = block;
        grad->data = gr_block_data(grad->block);
        g->data = gr_block_data(g->block);
    } else {
        memcpy(grad->data, g->data, gr_bytes(grad));
    }
    leaf->has_grad = true;
    grad->version++; /* a tape may have it as an input */
}

static gr_status finish_leaves(pass *p, gr_status status)
{
    for (gr_tensor *leaf = p->leaves; leaf && !status; leaf = leaf->newer) status = make_room(leaf);
    for (gr_tensor *leaf = p->leaves, *next; leaf; leaf = next) {
        next = leaf->newer;
        if (!status) commit(leaf, leaf->slot);
        gr_drop(p->t, leaf->slot);
        leaf->slot = leaf->newer = NULL;
    }
    return status;
}

/* ---- A whole pass ------------------------------------------------------------------------------------------- */

/* Marks the nodes between the inputs asked for by name and y. */
static void mark_reached(pass *p)
{
    for (int i = 0; i < p->n_x; i++)
        if (p->x[i]->node) p->x[i]->wanted = true;
    for (gr_record *r = p->t->first; r; r = r->next) {
        r->reached = false;
        for (int i = 0; i < r->n.n_in && !r->reached; i++) r->reached = slot_of(p, r->n.in[i]) != NULL;
        if (r == p->y->node) break;
    }
}

/* Seeds y with the cotangent and runs the loop. */
static gr_status run(pass *p, gr_tensor *cotangent)
{
    gr_tensor *seed = cotangent;
    if (cotangent && cotangent->tape != p->t) { /* yours, which may go before the tape does */
        seed = gr_scale(p->t, cotangent, 1.0);
        if (!seed) return gr_last_status();
    }
    if (!seed) {
        seed = gr_result(p->t, gr_type_of(p->y), p->y->rank, p->y->shape);
        if (!seed) return gr_last_status();
        if (seed->dtype == GR_F32) *(float *)seed->data = 1.0f;
        else *(double *)seed->data = 1.0;
        seed->is_one = true;
    }
    p->y->slot = gr_hold(seed);
    for (gr_record *r = p->y->node; r; r = r->prev)
        if (r->n.out->slot && visit(p, r)) return gr_last_status();
    return GR_OK;
}

static void forget(gr_tape *t, gr_tensor **gradient)
{
    gr_drop(t, *gradient);
    *gradient = NULL;
}

/* After an error: forgets the gradients in flight and those that are kept, and what they were being made of. */
static void abandon(pass *p, int64_t serial)
{
    for (gr_record *r = p->y->node; r; r = r->prev) {
        forget(p->t, &r->n.out->slot);
        if (p->flags & GR_RETAIN && !p->x) forget(p->t, &r->n.out->grad);
    }
    for (int i = 0; i < p->n_x; i++) forget(p->t, &p->out[i]);
    if (p->t->backward) sweep(p->t, serial);
}

/* The gradients that were asked for become results like others. An x named twice has gathered in the first place;
 * one that y does not depend on has a gradient of zeros. */
static gr_status finish_named(pass *p)
{
    for (int i = 0; i < p->n_x; i++) {
        for (int j = 0; j < i && !p->out[i]; j++)
            if (p->x[j] == p->x[i]) p->out[i] = gr_hold(p->out[j]);
        if (p->out[i]) continue;
        gr_tensor *zero = gr_result(p->t, gr_type_of(p->x[i]), p->x[i]->rank, p->x[i]->shape);
        if (!zero) return gr_last_status();
        memset(zero->data, 0, gr_bytes(zero));
        p->out[i] = gr_hold(zero);
    }
    for (int i = 0; i < p->n_x; i++) {
        p->out[i]->temporary = false;
        gr_drop(p->t, p->out[i]);
    }
    return GR_OK;
}

static gr_status whole_pass(pass *p, gr_tensor *cotangent)
{
    gr_tape *t = p->t;
    bool was_recording = gr_set_recording(t, p->flags & GR_CREATE_GRAPH);
    t->backward = !(p->flags & GR_CREATE_GRAPH);
    const int64_t serial = t->serial;
    if (p->x) mark_reached(p);
    gr_status status = run(p, cotangent);
    if (!status) status = finish_named(p);
    if (!p->x) status = finish_leaves(p, status);
    if (status) abandon(p, serial);
    for (int i = 0; i < p->n_x; i++)
        if (p->x[i]->node) p->x[i]->wanted = false;
    t->backward = false;
    gr_set_recording(t, was_recording);
    return status;
}

static gr_status check_output(const gr_tape *t, const gr_tensor *y, const gr_tensor *cotangent)
{
    if (!t || !y) return gr_fail_null("backward", t ? "the output" : "tape");
    if (y->tape && y->tape != t) return gr_fail(GR_ERR_STATE, "backward: the output is a result of another tape");
    if (!y->node)
        return gr_fail(GR_ERR_STATE,
                       "backward: the output %s was not recorded: none of its inputs required a gradient, "
                       "or recording was off",
                       GR_SHAPE_TEXT(y));
    if (!cotangent && y->size != 1)
        return gr_fail(GR_ERR_SHAPE,
                       "backward: the output %s has %lld elements, not one: reduce it, or give a cotangent "
                       "to gr_vjp()",
                       GR_SHAPE_TEXT(y), (long long)y->size);
    if (cotangent && cotangent->dtype != y->dtype)
        return gr_fail(GR_ERR_DTYPE, "backward: the cotangent is %s, the output %s",
                       gr_dtype_name(gr_type_of(cotangent)), gr_dtype_name(gr_type_of(y)));
    if (cotangent && !gr_same_shape(cotangent, y))
        return gr_fail(GR_ERR_SHAPE, "backward: the cotangent is %s, the output %s", GR_SHAPE_TEXT(cotangent),
                       GR_SHAPE_TEXT(y));
    if (cotangent && cotangent->tape && cotangent->tape != t)
        return gr_fail(GR_ERR_STATE, "backward: the cotangent is a result of another tape");
    if (cotangent && cotangent->released)
        return gr_fail(GR_ERR_STATE, "backward: the cotangent %s was %s", GR_SHAPE_TEXT(cotangent),
                       cotangent->given ? "given up with gr_give()" : "given back by an earlier backward");
    return GR_OK;
}

static int complete(int flags)
{
    return flags & GR_CREATE_GRAPH ? flags | GR_RETAIN : flags;
}

gr_status gr_backward_from(gr_tape *t, gr_tensor *y, gr_tensor *cotangent, int flags)
{
    if (!cotangent) return gr_fail_null("backward", "the cotangent");
    if (check_output(t, y, cotangent)) return gr_last_status();
    return whole_pass(&(pass){.t = t, .y = y, .flags = complete(flags)}, cotangent);
}

gr_status gr_backward(gr_tape *t, gr_tensor *y, int flags)
{
    if (check_output(t, y, NULL)) return gr_last_status();
    return whole_pass(&(pass){.t = t, .y = y, .flags = complete(flags)}, NULL);
}

gr_status gr_vjp(gr_tape *t, gr_tensor *y, gr_tensor *cotangent, gr_tensor *const x[], int n, gr_tensor *out[],
                 int flags)
{
    if (!x || !out || n < 1)
        return gr_fail_null("grad", !x ? "the list of inputs" : !out ? "the list of results" : "every input");
    for (int i = 0; i < n; i++) out[i] = NULL;
    for (int i = 0; i < n; i++) {
        if (!x[i]) return gr_fail_null("grad", "an input");
        if (x[i]->tape && x[i]->tape != t)
            return gr_fail(GR_ERR_STATE, "grad: input %d is a result of another tape", i);
        if (!x[i]->requires_grad)
            return gr_fail(GR_ERR_STATE, "grad: input %d, %s%s%s, does not require a gradient", i, gr_name(x[i]),
                           *gr_name(x[i]) ? " " : "", GR_SHAPE_TEXT(x[i]));
    }
    if (check_output(t, y, cotangent)) return gr_last_status();
    return whole_pass(&(pass){.t = t, .y = y, .x = x, .n_x = n, .out = out, .flags = complete(flags)}, cotangent);
}

gr_status gr_grad(gr_tape *t, gr_tensor *y, gr_tensor *const x[], int n, gr_tensor *out[], int flags)
{
    return gr_vjp(t, y, NULL, x, n, out, flags);
}

/* ---- Leaves, as users see them ------------------------------------------------------------------------------ */

gr_status gr_require_grad(gr_tensor *x)
{
    if (!x) return gr_fail_null("require_grad", "tensor");
    if (gr_not_yours(x))
        return gr_fail(GR_ERR_STATE, "require_grad: this %s is %s, not a leaf", GR_SHAPE_TEXT(x), gr_not_yours(x));
    if (!gr_is_float(gr_type_of(x))) return gr_fail(GR_ERR_DTYPE, "require_grad: i32 has no gradients");
    x->requires_grad = true;
    return GR_OK;
}

bool gr_requires_grad(const gr_tensor *x)
{
    return x && x->requires_grad;
}

gr_tensor *gr_gradient(const gr_tensor *x)
{
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

gr_tensor *gr_vjp_zero(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)t;
    (void)n;
    return g; /* never called: the engine knows this rule by its address */
}
