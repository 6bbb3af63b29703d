/* apply.c: running one op: check, compute, record. Every op of the library and of its users passes here. */
#include <limits.h>

#include "autograd/tape_internal.h"

/* ---- Shape rules that many ops share ------------------------------------------------------------------------ */

gr_status gr_expect_floats(const char *who, gr_tensor *const in[], int n_in)
{
    gr_dtype dtype = gr_type_of(in[0]);
    for (int i = 0; i < n_in; i++) {
        gr_dtype other = gr_type_of(in[i]);
        if (other == dtype && gr_is_float(other)) continue;
        if (!gr_is_float(other))
            return gr_fail(GR_ERR_DTYPE, "%s: input %d is %s, expected f32 or f64", who, i, gr_dtype_name(other));
        return gr_fail(GR_ERR_DTYPE, "%s: dtypes differ: %s and %s; see gr_cast()", who, gr_dtype_name(dtype),
                       gr_dtype_name(other));
    }
    return GR_OK;
}

gr_status gr_expect_float(const gr_node *n) { return gr_expect_floats(n->op->name, n->in, n->n_in); }

gr_status gr_shape_same(const gr_node *n, gr_type *type)
{
    if (!n || !type) return gr_fail_null("shape_same", n ? "the type" : "the node");
    if (gr_expect_float(n)) return gr_last_status();
    gr_type_as(type, n->in[0]);
    for (int i = 1; i < n->n_in; i++)
        if (!gr_same_shape(n->in[0], n->in[i]))
            return gr_fail(GR_ERR_SHAPE, "%s: shapes differ: %s and %s", n->op->name, GR_SHAPE_TEXT(n->in[0]),
                           GR_SHAPE_TEXT(n->in[i]));
    return GR_OK;
}

gr_status gr_broadcast_shapes(const char *who, gr_type *type, int rank, const int64_t shape[])
{
    const int most = type->rank > rank ? type->rank : rank;
    int64_t wide[GR_MAX_RANK];
    for (int i = 1; i <= most; i++) {
        int64_t a = i <= type->rank ? type->shape[type->rank - i] : 1, b = i <= rank ? shape[rank - i] : 1;
        if (a != b && a != 1 && b != 1)
            return gr_fail(GR_ERR_SHAPE, "%s: shapes do not broadcast: %s and %s", who,
                           gr_shape_text(&(gr_text){{0}}, type->rank, type->shape),
                           gr_shape_text(&(gr_text){{0}}, rank, shape));
        wide[most - i] = a == 1 ? b : a;
    }
    type->rank = most;
    memcpy(type->shape, wide, (size_t)most * sizeof *wide);
    return GR_OK;
}

gr_status gr_shape_broadcast(const gr_node *n, gr_type *type)
{
    if (!n || !type) return gr_fail_null("shape_broadcast", n ? "the type" : "the node");
    if (gr_expect_float(n)) return gr_last_status();
    gr_type_as(type, n->in[0]);
    for (int i = 1; i < n->n_in; i++) {
        const gr_tensor *x = n->in[i];
        if (!gr_same_shape(n->in[0], x) && gr_broadcast_shapes(n->op->name, type, x->rank, x->shape))
            return gr_last_status();
    }
    return GR_OK;
}

gr_status gr_expect_parameter(const char *who, const char *what, const gr_tensor *parameter, const gr_tensor *x,
                              int rank, const int64_t shape[])
{
    if (!parameter) return GR_OK;
    if (parameter->dtype != x->dtype)
        return gr_fail(GR_ERR_DTYPE, "%s: %s is %s, x is %s", who, what, gr_dtype_name(gr_type_of(parameter)),
                       gr_dtype_name(gr_type_of(x)));
    if (parameter->rank == rank && memcmp(parameter->shape, shape, (size_t)rank * sizeof *shape) == 0) return GR_OK;
    return gr_fail(GR_ERR_SHAPE, "%s: %s is %s, expected %s", who, what, GR_SHAPE_TEXT(parameter),
                   gr_shape_text(&(gr_text){{0}}, rank, shape));
}

/* ---- Running ------------------------------------------------------------------------------------------------ */

gr_status gr_fail_input(const char *who, const gr_tape *t, int i, const gr_tensor *x)
{
    if (x && x->tape && x->tape != t) return gr_fail(GR_ERR_STATE, "%s: input %d is a result of another tape", who, i);
    char what[32];
    snprintf(what, sizeof what, "input %d", i);
    return x ? gr_fail_gone(who, what, x) : gr_fail_null(who, what);
}

static inline gr_status expect_inputs(const char *who, const gr_tape *t, gr_tensor *const in[], int n_in,
                                      int n_optional)
{
    if (!t || !in) return gr_fail_null(who, t ? "the list of inputs" : "tape");
    for (int i = 0; i < n_in + n_optional; i++) {
        const gr_tensor *x = in[i];
        if (!x && i >= n_in) continue;
        assert(!x || gr_is_sound(x));
        if (!x || (x->tape && x->tape != t) || gr_is_gone(x)) return gr_fail_input(who, t, i, x);
    }
    return GR_OK;
}

gr_status gr_expect_inputs(const char *who, const gr_tape *t, gr_tensor *const in[], int n_in, int n_optional)
{
    return expect_inputs(who, t, in, n_in, n_optional);
}

gr_status gr_expect_constant(const char *who, const gr_tape *t, const gr_tensor *x, int i)
{
    if (!x || !x->requires_grad || !t->recording) return GR_OK;
    return gr_fail(GR_ERR_STATE, "%s: input %d requires a gradient, and %s has none for it; see gr_detach()", who, i,
                   who);
}

/* Whether an op takes so many inputs and these options; false with an error. */
GR_COLD static bool takes(const gr_op *op, int n_in, const void *attr)
{
    const bool variadic = op->n_in == GR_VARIADIC;
    const int least = variadic ? 1 : op->n_in, most = variadic ? INT_MAX : op->n_in + op->n_optional;
    char more[24] = "";
    if (op->n_optional) snprintf(more, sizeof more, "%d to ", least);
    if (least < 1 || op->n_optional < 0)
        gr_fail(GR_ERR_OPTION, "%s: its record has n_in %d and n_optional %d, expected 1 or more, and 0 or more",
                op->name, op->n_in, op->n_optional);
    else if (n_in < least || n_in > most)
        gr_fail(GR_ERR_SHAPE, "%s: takes %s%d input%s%s, not %d", op->name, more, variadic ? 1 : most,
                variadic || most == 1 ? "" : "s", variadic ? " or more" : "", n_in);
    else if (op->attr_size && !attr) gr_fail(GR_ERR_NULL, "%s: its options are NULL", op->name);
    else if (attr && !op->attr_size) gr_fail(GR_ERR_OPTION, "%s: takes no options, for its attr_size is 0", op->name);
    else return true;
    return false;
}

/* Whether the call is to be recorded; -1 with an error when it should be but an input has no VJP. */
static int to_record(const gr_tape *t, const gr_op *op, gr_tensor *const in[], int n_in)
{
    if (!t->recording) return 0;
    int record = 0;
    for (int i = 0; i < n_in; i++) {
        const bool wanted = in[i]->requires_grad;
        if (wanted && !gr_has_vjp(op, i)) return gr_expect_constant(op->name, t, in[i], i), -1;
        record |= wanted;
    }
    return record;
}

static gr_tape_node *new_node(gr_tape *t, const gr_op *op, gr_tensor *const in[], int n_in, const void *attr)
{
    size_t inputs = (size_t)n_in * sizeof *in, versions = ((size_t)n_in + 1) * sizeof(uint32_t);
    size_t attr_at = (sizeof(gr_tape_node) + inputs + versions + 15) & ~(size_t)15;
    gr_tape_node *node = gr_tape_memory(t, attr_at + op->attr_size);
    if (!node) return NULL;
    gr_tensor **copies = (gr_tensor **)(node + 1);
    *node = (gr_tape_node){.call = {.op = op, .tape = t, .in = copies, .n_in = n_in, .recording = true},
                           .versions = (uint32_t *)(copies + n_in),
                           .id = t->nodes};
    for (int i = 0; i < n_in; i++) {
        copies[i] = in[i];
        node->versions[i] = gr_version_of(in[i]);
        if (in[i]->temporary) in[i]->temporary = false; /* what one node has saved is to outlive it as an input here */
    }
    node->versions[n_in] = 0;
    if (attr) node->call.attr = memcpy((char *)node + attr_at, attr, op->attr_size);
    return node;
}

static void append(gr_tape *t, gr_tape_node *node)
{
    node->prev = t->last;
    if (t->last) t->last->next = node;
    else t->first = node;
    t->last = node;
    t->nodes++;
    node->call.out->node = node;
    node->call.out->requires_grad = true;
    if (node->call.saved) node->call.saved->version = 0; /* the kernel's own changes do not count */
    node->versions[node->call.n_in] = gr_version_of(node->call.out);
}

static gr_kernel kernel_for(const gr_tape *t, const gr_op *op, gr_dtype dtype)
{
    gr_kernel kernel = op->forward[t->cpu][dtype];
    return kernel ? kernel : op->forward[GR_ANY_CPU][dtype];
}

/* For an op that refuses without a sentence of its own. */
GR_COLD static gr_tensor *refused(const gr_op *op, gr_status status)
{
    if (gr_last_status() != status) gr_fail(status, "%s: failed: %s", op->name, gr_status_text(status));
    return NULL;
}

/* Whether the result may be computed in the memory of the input. */
static bool is_spent(const gr_tape *t, const gr_op *op, const gr_tensor *x, const gr_type *type)
{
    return op->in_place && x->given && !x->kept && x->block && x->refs == 0 && !t->under_check &&
           gr_type_of(x) == type->dtype && x->rank == type->rank &&
           memcmp(x->shape, type->shape, (size_t)x->rank * sizeof *x->shape) == 0;
}

/* A result that shares the data of in[0], if it lies within. */
static gr_tensor *view(gr_tape *t, const gr_node *n, const gr_type *type, int64_t size)
{
    const gr_tensor *x = n->in[0];
    if (type->dtype != gr_type_of(x)) {
        gr_fail(GR_ERR_DTYPE, "%s: a view of dtype %s in %s", n->op->name, gr_dtype_name(type->dtype),
                gr_dtype_name(gr_type_of(x)));
        return NULL;
    }
    if (type->offset < 0 || size > x->size || type->offset > x->size - size) {
        gr_fail(GR_ERR_SHAPE, "%s: a view %s from element %lld on does not lie within the %lld elements of %s",
                n->op->name, gr_shape_text(&(gr_text){{0}}, type->rank, type->shape), (long long)type->offset,
                (long long)x->size, GR_SHAPE_TEXT(x));
        return NULL;
    }
    return gr_result_view(t, n->in[0], type->rank, type->shape, type->offset);
}

/* Runs the kernel, whose result is n->out then; a kernel that fails leaves nothing. */
static gr_status run_kernel(gr_tape *t, gr_node *n, gr_kernel kernel, const gr_type *type)
{
    const bool in_place = is_spent(t, n->op, n->in[0], type);
    n->out = in_place ? gr_result_in(t, n->in[0]) : gr_result(t, type->dtype, type->rank, type->shape);
    if (!n->out) return gr_last_status();
    const gr_status status = kernel(n);
    if (in_place) {
        n->in[0]->values_gone = true;
        n->in[0]->data = NULL;
    }
    if (!status) return GR_OK;
    gr_drop(t, n->saved);
    gr_discard(t, n->out);
    n->out = n->saved = NULL;
    return status;
}

/* The result of the call; NULL with the message. */
static gr_tensor *result_of(gr_tape *t, gr_node *n)
{
    gr_type type;
    type.dtype = GR_N_DTYPES; /* no dtype and no rank, for a rule that leaves them open */
    type.rank = -1;
    type.view = false;
    type.offset = 0;
    gr_status status = n->op->shape(n, &type);
    if (status) return refused(n->op, status);
    const bool scalar = type.rank == 0 && gr_is_float(type.dtype);
    const int64_t size = scalar ? 1 : gr_checked_size(n->op->name, type.dtype, type.rank, type.shape);
    if (size < 0) return NULL;
    if (type.view) {
        n->out = view(t, n, &type, size);
    } else {
        gr_kernel kernel = kernel_for(t, n->op, type.dtype);
        if (!kernel)
            return gr_fail(GR_ERR_DTYPE, "%s: has no kernel for %s", n->op->name, gr_dtype_name(type.dtype)), NULL;
        status = run_kernel(t, n, kernel, &type);
        if (status) return refused(n->op, status);
    }
    if (!n->out) return NULL;
    n->out->maker = n->op->name;
    return n->out;
}

/* The same, while nothing may be deleted. */
static gr_tensor *compute(gr_tape *t, gr_node *n)
{
    const char *before = t->busy;
    t->busy = n->op->name;
    gr_tensor *out = result_of(t, n);
    t->busy = before;
    return out;
}

gr_tensor *gr_apply_with_saved(gr_tape *t, const gr_op *op, gr_tensor *const in[], int n_in, const void *attr,
                               gr_tensor **saved)
{
    if (!op || !op->name) return gr_fail_null("apply", op ? "the op's name" : "op"), NULL;
    if (!op->shape) return gr_fail_null(op->name, "the op's shape rule"), NULL;
    const bool as_usual = n_in == op->n_in && n_in > 0 && (attr ? op->attr_size > 0 : op->attr_size == 0);
    if (t && in && !as_usual && !takes(op, n_in, attr)) return NULL;
    if (expect_inputs(op->name, t, in, n_in, 0)) return NULL;
    int record = to_record(t, op, in, n_in);
    if (record < 0) return NULL;
    if (!record) {
        gr_node n = {.op = op, .tape = t, .in = in, .n_in = n_in, .attr = attr};
        gr_tensor *out = compute(t, &n);
        if (out && t->signature) gr_fold_op(&n, t->signature);
        assert(!out || gr_is_sound(out));
        if (saved) *saved = n.saved;
        else gr_drop(t, n.saved); /* without a node nobody will ask for it */
        return out;
    }
    gr_tape_node *node = new_node(t, op, in, n_in, attr);
    if (!node || !compute(t, &node->call)) return NULL;
    if (t->signature) gr_fold_op(&node->call, &node->branches);
    if (gr_is_float(gr_type_of(node->call.out))) append(t, node); /* indices have no gradients: they are constants */
    assert(gr_is_sound(node->call.out));
    if (saved) *saved = node->call.saved ? gr_hold(node->call.saved) : NULL;
    return node->call.out;
}

gr_tensor *gr_apply(gr_tape *t, const gr_op *op, gr_tensor *const in[], int n_in, const void *attr)
{
    return gr_apply_with_saved(t, op, in, n_in, attr, NULL);
}

gr_tensor *gr_save(gr_node *n, gr_dtype dtype, int rank, const int64_t shape[])
{
    if (!n) return gr_fail_null("save", "the node"), NULL;
    if (gr_checked_size(n->op->name, dtype, rank, shape) < 0) return NULL;
    gr_tensor *x = gr_result(n->tape, dtype, rank, shape);
    if (!x) return NULL;
    x->temporary = true;
    gr_drop(n->tape, n->saved); /* what it saved before, if it saves twice */
    return n->saved = gr_hold(x);
}

gr_tensor *gr_vjp_zero(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)t;
    (void)n;
    return g; /* never called: the engine knows this rule by its address */
}
