/* backward.c: one reverse loop over the nodes.
 *
 * The order of creation is a topological order, so each node is visited once, when all of its gradient has been
 * gathered: dx += VJP(dy). A gradient in flight hangs on its tensor as `pending_grad`. Those of leaves are added
 * to what the leaves have only when the whole pass has succeeded. */
#include "autograd/tape_internal.h"

/* One backward pass. */
typedef struct pass {
    const char *who; /* the function that was called, for messages */
    gr_tape *t;
    gr_tensor *y;
    gr_tensor *const *x; /* whose gradients are asked for by name; NULL: of all leaves */
    int n_x;
    gr_tensor **out; /* their gradients */
    int flags;
    gr_tensor *leaves; /* reached, linked by `next_leaf` */
} pass;

/* ---- Where gradients gather --------------------------------------------------------------------------------- */

/* The place of x's gradient in this pass; NULL when nobody wants it. The same leaf may be in use by another thread's
 * gr_vjp(), so a pass that was asked by name writes nothing into leaves. */
static gr_tensor **pending_of(pass *p, gr_tensor *x)
{
    if (x->node) return !p->x || x->is_target || x->node->reached ? &x->pending_grad : NULL;
    for (int i = 0; i < p->n_x; i++)
        if (p->x[i] == x) return &p->out[i];
    if (p->x || !x->requires_grad) return NULL;
    return &x->pending_grad;
}

/* *pending += d, the place of x's gradient */
static gr_status gather(pass *p, gr_tensor *x, gr_tensor **pending, gr_tensor *d)
{
    if (!*pending) {
        *pending = gr_hold(d);
        if (!x->node && !p->x) {
            x->next_leaf = p->leaves;
            p->leaves = x;
        }
        return GR_OK;
    }
    if (gr_is_ours_alone(*pending) && !(p->flags & GR_CREATE_GRAPH) && *pending != d) {
        gr_accumulate(*pending, d);
        (*pending)->is_one = false;
        return GR_OK;
    }
    gr_tensor *sum = gr_add(p->t, *pending, d);
    if (!sum) return gr_last_status();
    gr_hold(sum);
    gr_drop(p->t, *pending);
    *pending = sum;
    return GR_OK;
}

/* ---- One node ----------------------------------------------------------------------------------------------- */

static gr_status check_unchanged(const char *who, const gr_tape_node *node)
{
    for (int i = 0; i <= node->call.n_in; i++) {
        const gr_tensor *x = i < node->call.n_in ? node->call.in[i] : node->call.out;
        if (x->values_gone || gr_version_of(x) == node->versions[i]) continue; /* ops refuse what has no values */
        const char *name = x->name || !x->base ? gr_name(x) : gr_name(x->base);
        char role[32] = "the result";
        if (i < node->call.n_in) snprintf(role, sizeof role, "input %d", i);
        return gr_fail(GR_ERR_STATE, "%s: %s%s%s, %s of %s, was changed after the forward pass", who, name,
                       *name ? " " : "", GR_SHAPE_TEXT(x), role, node->call.op->name);
    }
    return GR_OK;
}

/* For saved values that somebody wrote to: gr_gradient() of a retained result may hand them out. */
GR_COLD static gr_status fail_saved(const char *who, const gr_tape_node *node)
{
    return gr_fail(GR_ERR_STATE, "%s: what %s saved for its derivative, %s, was changed after the forward pass", who,
                   node->call.op->name, GR_SHAPE_TEXT(node->call.saved));
}

/* d is no readable result of this tape in the input's dtype. A tensor of the user's own becomes one; all else is
 * refused. */
GR_COLD static gr_tensor *as_result(const pass *p, const gr_node *n, int i, gr_tensor *d)
{
    const gr_dtype dtype = gr_type_of(n->in[i]);
    const char *who = p->who, *op = n->op->name;
    if (!d && !gr_last_status()) gr_fail(GR_ERR_NULL, "%s: the VJP of %s for input %d gave NULL", who, op, i);
    if (!d) return NULL;
    if (d->dtype != dtype)
        gr_fail(GR_ERR_DTYPE, "%s: the VJP of %s for input %d is %s, the input %s", who, op, i,
                gr_dtype_name(gr_type_of(d)), gr_dtype_name(dtype));
    else if (gr_is_gone(d))
        gr_fail(GR_ERR_STATE, "%s: the VJP of %s for input %d gave what was %s", who, op, i,
                gr_fate_text(&(gr_text){{0}}, d));
    else if (d->tape) gr_fail(GR_ERR_STATE, "%s: the VJP of %s for input %d is a result of another tape", who, op, i);
    else return gr_scale(p->t, d, 1.0);
    return NULL;
}

/* What a VJP gave, as a gradient of input i: of its shape, and a result of the tape. NULL with an error. */
static inline gr_tensor *fitted(const pass *p, const gr_node *n, int i, gr_tensor *d)
{
    const gr_tensor *x = n->in[i];
    if (!d || d->tape != p->t || d->dtype != x->dtype || gr_is_gone(d)) d = as_result(p, n, i, d);
    if (!d || gr_same_shape(d, x)) return d;
    if (gr_sums_to(d, x)) return gr_sum_to(p->t, d, x);
    gr_fail(GR_ERR_SHAPE, "%s: the VJP of %s for input %d is %s, the input %s", p->who, n->op->name, i,
            GR_SHAPE_TEXT(d), GR_SHAPE_TEXT(x));
    return NULL;
}

static gr_tensor *run_rule(gr_vjp_rule rule, gr_tape *t, const gr_node *n, int i, gr_tensor *g)
{
    return rule ? rule(t, n, g) : n->op->vjp_nth(t, n, i, g);
}

/* What the VJP of input i gives; one that has written ops although it has a shortcut is asked for that as well. */
static inline gr_tensor *derivative(gr_vjp_rule rule, gr_tape *t, const gr_node *n, int i, gr_tensor *g)
{
    t->has_shortcut = false;
    gr_tensor *d = run_rule(rule, t, n, i, g);
    if (!d || !t->has_shortcut || !t->recording) return d;
    t->recording = false;
    gr_tensor *value = run_rule(rule, t, n, i, g);
    t->recording = true;
    return value ? gr_corrected(t, value, d) : NULL;
}

/* Runs the VJP of input i and gathers what it gives. */
static gr_status pull_back(pass *p, gr_tape_node *node, int i, gr_tensor *g)
{
    gr_node *n = &node->call;
    gr_tensor *x = n->in[i], **pending = x->requires_grad ? pending_of(p, x) : NULL;
    gr_vjp_rule rule = n->op->n_in == GR_VARIADIC || i >= GR_MAX_VJPS ? NULL : n->op->vjp[i];
    if (!pending || rule == gr_vjp_zero || !gr_has_vjp(n->op, i)) return GR_OK;
    gr_tensor *d = fitted(p, n, i, derivative(rule, p->t, n, i, g));
    return d ? gather(p, x, pending, d) : gr_last_status();
}

/* Discards what VJPs left behind: results made after the one with the given serial, to which nothing refers. */
static void sweep(gr_tape *t, int64_t serial)
{
    for (gr_tensor *x = t->newest, *prev; x && x->serial > serial; x = prev) {
        prev = x->prev;
        if (x->refs > 0 || !x->temporary) continue;
        if (prev) prev->refs++; /* x may be the last view of it: its turn comes next */
        gr_discard(t, x);
        if (prev) prev->refs--;
    }
}

/* Gives a node's values back: no node that is still to come looks at them. */
static void give_back(pass *p, gr_tape_node *node)
{
    gr_tensor *out = node->call.out;
    gr_drop(p->t, node->call.saved);
    node->call.saved = NULL;
    node->values_gone = true;
    if (out->kept || out == p->y || out->refs > 0) return;
    out->values_gone = true;
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

static gr_status visit(pass *p, gr_tape_node *node)
{
    gr_tensor *g = node->call.out->pending_grad;
    const bool passes = !p->x || node->reached; /* or else the gradient ends here, asked for by name */
    if (passes && node->values_gone)
        return gr_fail(GR_ERR_STATE, "%s: an earlier backward gave the values of %s back: pass it GR_RETAIN", p->who,
                       node->call.op->name);
    if (passes && check_unchanged(p->who, node)) return gr_last_status();
    if (passes && node->call.saved && node->call.saved->version) return fail_saved(p->who, node);
    const int64_t serial = p->t->serial;
    for (int i = 0; passes && i < node->call.n_in; i++)
        if (pull_back(p, node, i, g)) return gr_last_status();
    if (p->t->backward) sweep(p->t, serial);
    if (node->call.out->is_target)
        for (int i = 0; i < p->n_x; i++)
            if (p->x[i] == node->call.out) p->out[i] = gr_hold(g);
    node->call.out->pending_grad = NULL;
    if (p->flags & GR_RETAIN && !p->x) {
        gr_drop(p->t, node->call.out->grad);
        node->call.out->grad = g;
    } else {
        gr_drop(p->t, g);
    }
    if (passes && !(p->flags & GR_RETAIN)) give_back(p, node);
    return GR_OK;
}

static gr_status finish_leaves(pass *p, gr_status status)
{
    for (gr_tensor *leaf = p->leaves; leaf && !status; leaf = leaf->next_leaf) status = gr_leaf_make_room(leaf);
    for (gr_tensor *leaf = p->leaves, *next; leaf; leaf = next) {
        next = leaf->next_leaf;
        if (!status) gr_leaf_add(leaf, leaf->pending_grad);
        assert(gr_is_sound(leaf) && (!leaf->grad || gr_is_sound(leaf->grad)));
        gr_drop(p->t, leaf->pending_grad);
        leaf->pending_grad = leaf->next_leaf = NULL;
    }
    return status;
}

/* ---- A whole pass ------------------------------------------------------------------------------------------- */

/* Marks the nodes between the inputs asked for by name and y. */
static void mark_reached(pass *p)
{
    for (int i = 0; i < p->n_x; i++)
        if (p->x[i]->node) p->x[i]->is_target = true;
    for (gr_tape_node *node = p->t->first; node; node = node->next) {
        node->reached = false;
        for (int i = 0; i < node->call.n_in && !node->reached; i++)
            node->reached = pending_of(p, node->call.in[i]) != NULL;
        if (node == p->y->node) break;
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
    p->y->pending_grad = gr_hold(seed);
    for (gr_tape_node *node = p->y->node; node; node = node->prev)
        if (node->call.out->pending_grad && visit(p, node)) return gr_last_status();
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
    for (gr_tape_node *node = p->y->node; node; node = node->prev) {
        forget(p->t, &node->call.out->pending_grad);
        if (p->flags & GR_RETAIN && !p->x) forget(p->t, &node->call.out->grad);
    }
    for (int i = 0; i < p->n_x; i++) forget(p->t, &p->out[i]);
    if (p->t->backward) sweep(p->t, serial);
}

/* Copies a gradient that is something else, too (saved by a node, the cotangent, another input's gradient), since the
 * caller may write to what he is given. */
static gr_status own_gradient(pass *p, gr_tensor **gradient, int64_t serial)
{
    gr_tensor *shared = *gradient;
    if (shared->refs == 1 && (shared->serial > serial || shared->temporary)) return GR_OK;
    gr_tensor *copy = gr_scale(p->t, shared, 1.0);
    if (!copy) return gr_last_status();
    *gradient = gr_hold(copy);
    gr_drop(p->t, shared);
    return GR_OK;
}

/* The gradients that were asked for become results like others. An x named twice has gathered in the first place;
 * one that y does not depend on has a gradient of zeros. */
static gr_status finish_named(pass *p, int64_t serial)
{
    for (int i = 0; i < p->n_x; i++) {
        for (int j = 0; j < i && !p->out[i]; j++)
            if (p->x[j] == p->x[i]) p->out[i] = gr_hold(p->out[j]);
        if (p->out[i] && own_gradient(p, &p->out[i], serial)) return gr_last_status();
        if (p->out[i]) continue;
        gr_tensor *zero = gr_result(p->t, gr_type_of(p->x[i]), p->x[i]->rank, p->x[i]->shape);
        if (!zero) return gr_last_status();
        memset(zero->data, 0, gr_bytes(zero));
        p->out[i] = gr_hold(zero);
    }
    for (int i = 0; i < p->n_x; i++) {
        assert(gr_is_sound(p->out[i]));
        p->out[i]->temporary = false;
        gr_drop(p->t, p->out[i]);
    }
    return GR_OK;
}

static gr_status whole_pass(pass *p, gr_tensor *cotangent)
{
    gr_tape *t = p->t;
    /* gr_grad() and gr_vjp() change no leaf, so a function under check may call them; nobody may within an op. */
    if ((t->busy || !p->x) && gr_expect_idle(t, p->who)) return gr_last_status();
    assert(gr_is_sound(p->y) && p->y->node);
    t->busy = "backward";
    const bool was_recording = t->recording;
    t->recording = p->flags & GR_CREATE_GRAPH;
    t->backward = !(p->flags & GR_CREATE_GRAPH);
    const int64_t serial = t->serial;
    if (p->x) mark_reached(p);
    gr_status status = run(p, cotangent);
    if (!status) status = finish_named(p, serial);
    if (!p->x) status = finish_leaves(p, status);
    if (status) abandon(p, serial);
    for (int i = 0; i < p->n_x; i++)
        if (p->x[i]->node) p->x[i]->is_target = false;
    t->backward = false;
    t->busy = NULL;
    t->recording = was_recording;
    return status;
}

static gr_status check_output(const char *who, const gr_tape *t, const gr_tensor *y, const gr_tensor *cotangent,
                              int flags)
{
    if (flags & ~(GR_RETAIN | GR_CREATE_GRAPH))
        return gr_fail(GR_ERR_OPTION, "%s: unknown flags %d, expected GR_RETAIN, GR_CREATE_GRAPH or 0", who, flags);
    if (!t || !y) return gr_fail_null(who, t ? "the output" : "tape");
    if (y->tape && y->tape != t) return gr_fail(GR_ERR_STATE, "%s: the output is a result of another tape", who);
    if (!y->node && gr_is_gone(y)) return gr_fail_gone(who, "the output", y);
    if (!y->node)
        return gr_fail(GR_ERR_STATE,
                       "%s: the output %s was not recorded: none of its inputs required a gradient "
                       "(gr_require_grad(), gr_params_add()), or recording was off",
                       who, GR_SHAPE_TEXT(y));
    if (!cotangent && y->size != 1)
        return gr_fail(GR_ERR_SHAPE,
                       "%s: the output %s has %lld elements, not one: reduce it, or give a cotangent "
                       "to gr_vjp()",
                       who, GR_SHAPE_TEXT(y), (long long)y->size);
    if (cotangent && cotangent->dtype != y->dtype)
        return gr_fail(GR_ERR_DTYPE, "%s: the cotangent is %s, the output %s", who,
                       gr_dtype_name(gr_type_of(cotangent)), gr_dtype_name(gr_type_of(y)));
    if (cotangent && !gr_same_shape(cotangent, y))
        return gr_fail(GR_ERR_SHAPE, "%s: the cotangent is %s, the output %s", who, GR_SHAPE_TEXT(cotangent),
                       GR_SHAPE_TEXT(y));
    if (cotangent && cotangent->tape && cotangent->tape != t)
        return gr_fail(GR_ERR_STATE, "%s: the cotangent is a result of another tape", who);
    if (cotangent && gr_is_gone(cotangent)) return gr_fail_gone(who, "the cotangent", cotangent);
    return GR_OK;
}

static int complete(int flags) { return flags & GR_CREATE_GRAPH ? flags | GR_RETAIN : flags; }

gr_status gr_backward_from(gr_tape *t, gr_tensor *y, gr_tensor *cotangent, int flags)
{
    if (!cotangent) return gr_fail_null("backward_from", "the cotangent");
    if (check_output("backward_from", t, y, cotangent, flags)) return gr_last_status();
    return whole_pass(&(pass){.who = "backward_from", .t = t, .y = y, .flags = complete(flags)}, cotangent);
}

gr_status gr_backward(gr_tape *t, gr_tensor *y, int flags)
{
    if (check_output("backward", t, y, NULL, flags)) return gr_last_status();
    return whole_pass(&(pass){.who = "backward", .t = t, .y = y, .flags = complete(flags)}, NULL);
}

/* The gradients that were asked for by name, in the name of the function that asks. */
static gr_status pass_by_name(const char *who, gr_tape *t, gr_tensor *y, gr_tensor *cotangent, gr_tensor *const x[],
                              int n, gr_tensor *out[], int flags)
{
    if (!x || !out) return gr_fail_null(who, x ? "the list of results" : "the list of inputs");
    if (n < 1) return gr_fail(GR_ERR_OPTION, "%s: takes 1 input or more, not %d", who, n);
    for (int i = 0; i < n; i++) out[i] = NULL;
    for (int i = 0; i < n; i++) {
        if (!x[i] || (x[i]->tape && x[i]->tape != t) || x[i]->deleted) return gr_fail_input(who, t, i, x[i]);
        if (!x[i]->requires_grad)
            return gr_fail(GR_ERR_STATE, "%s: input %d, %s%s%s, does not require a gradient", who, i, gr_name(x[i]),
                           *gr_name(x[i]) ? " " : "", GR_SHAPE_TEXT(x[i]));
    }
    if (check_output(who, t, y, cotangent, flags)) return gr_last_status();
    pass p = {.who = who, .t = t, .y = y, .x = x, .n_x = n, .out = out, .flags = complete(flags)};
    return whole_pass(&p, cotangent);
}

gr_status gr_vjp(gr_tape *t, gr_tensor *y, gr_tensor *cotangent, gr_tensor *const x[], int n, gr_tensor *out[],
                 int flags)
{
    return pass_by_name("vjp", t, y, cotangent, x, n, out, flags);
}

gr_status gr_grad(gr_tape *t, gr_tensor *y, gr_tensor *const x[], int n, gr_tensor *out[], int flags)
{
    return pass_by_name("grad", t, y, NULL, x, n, out, flags);
}
