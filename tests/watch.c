/* watch.c: every network that a lesson differentiates goes through the gradient checker. A lesson is compiled once
 * more, with its calls of gr_backward() and its kin renamed to the ones here. They look at what the tape has recorded:
 * as long as no network of its kind has passed, it is played again as a function of its leaves, in F64, and checked in
 * every way; then the lesson goes on. An op whose name begins with "broken_" must fail, and be named. The program fails
 * when a network does, or when one has never passed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gradus/gradus.h>

#include "autograd/tape_internal.h"

gr_status watched_backward(gr_tape *t, gr_tensor *y, int flags);
gr_status watched_backward_from(gr_tape *t, gr_tensor *y, gr_tensor *cotangent, int flags);
gr_status watched_grad(gr_tape *t, gr_tensor *y, gr_tensor *const x[], int n, gr_tensor *out[], int flags);
gr_status watched_vjp(gr_tape *t, gr_tensor *y, gr_tensor *cotangent, gr_tensor *const x[], int n, gr_tensor *out[],
                      int flags);

/* ---- What has been seen ------------------------------------------------------------------------------------- */

enum { MAX_NETWORKS = 256, MAX_LOOKS = 12, LINE = 512 };

/* Networks of one kind: the same ops on the same shapes, wired in the same way. */
typedef struct kind {
    uint64_t signature;
    int looks;
    bool passed;
    bool flat; /* its derivative is 0 everywhere, as that of the 0-1 loss is */
    gr_check_report last;
    char ops[LINE];
} kind;

static kind kinds[MAX_NETWORKS], *looked_at;
static int n_kinds, n_checks;
static long long n_compared, n_evaluations;

static _Noreturn void stop(const char *what, const char *network, const gr_check_report *r)
{
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", what, network);
    if (r) gr_check_fprint(stderr, r);
    else fprintf(stderr, "%s\n", gr_last_error());
    _Exit(1);
}

static void tell(void)
{
    int passed = 0;
    for (int i = 0; i < n_kinds; i++) passed += kinds[i].passed;
    printf("networks: %d, of them passed: %d, in %d checks of %lld derivatives by %lld evaluations\n", n_kinds, passed,
           n_checks, n_compared, n_evaluations);
    for (int i = 0; i < n_kinds; i++)
        if (!kinds[i].passed && !kinds[i].flat)
            stop("a network that never passed, whose last look was", kinds[i].ops, &kinds[i].last);
}

/* ---- A network as a function of its leaves ------------------------------------------------------------------ */

typedef struct network {
    const gr_tape_node *last;
    int64_t nodes;
    bool *needed;     /* by the number of the node: lies between leaves and result */
    gr_tensor **made; /* what it became when it was played again */
    gr_tensor *leaf[GR_CHECK_MAX_INPUTS], *x[GR_CHECK_MAX_INPUTS]; /* as they were recorded, and copies in F64 */
    int n;
    double work; /* elements of all results */
    bool broken, step;
    char ops[LINE];
} network;

static int leaf_of(const network *w, const gr_tensor *x)
{
    int i = 0;
    while (i < w->n && w->leaf[i] != x) i++;
    return i;
}

static const gr_tape_node *first_of(const network *w)
{
    const gr_tape_node *r = w->last;
    while (r->prev) r = r->prev;
    return r;
}

static gr_tensor *replay(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    network *w = context;
    (void)n;
    for (const gr_tape_node *r = first_of(w); r; r = r == w->last ? NULL : r->next) {
        if (!w->needed[r->id]) continue;
        gr_tensor *in[GR_CHECK_MAX_INPUTS];
        for (int i = 0; i < r->call.n_in; i++)
            in[i] = r->call.in[i]->node ? w->made[r->call.in[i]->node->id] : x[leaf_of(w, r->call.in[i])];
        w->made[r->id] = gr_apply(t, r->call.op, in, r->call.n_in, r->call.attr);
    }
    return w->made[w->last->id];
}

static void add_leaf(network *w, gr_tensor *x)
{
    if (leaf_of(w, x) < w->n) return;
    if (w->n == GR_CHECK_MAX_INPUTS || !x->data || x->values_gone)
        stop("a network that cannot be played again", w->ops, NULL);
    w->leaf[w->n] = x;
    w->x[w->n] = x->dtype == GR_I32 ? gr_copy(x) : gr_copy_as(GR_F64, x);
    if (!w->x[w->n]) stop("out of memory", w->ops, NULL);
    w->x[w->n]->requires_grad = x->requires_grad;
    if (*gr_name(x) && gr_set_name(w->x[w->n], gr_name(x))) stop("out of memory", w->ops, NULL);
    w->n++;
}

/* Folds what makes networks differ, and writes down their ops. */
static uint64_t describe(network *w)
{
    uint64_t signature = 0;
    for (const gr_tape_node *r = first_of(w); r; r = r == w->last ? NULL : r->next) {
        if (!w->needed[r->id]) continue;
        gr_fold_branch(&signature, (int64_t)(uintptr_t)r->call.op);
        for (int i = 0; i < r->call.out->rank; i++) gr_fold_branch(&signature, r->call.out->shape[i]);
        for (int i = 0; i < r->call.n_in; i++)
            gr_fold_branch(&signature, r->call.in[i]->node ? r->id - r->call.in[i]->node->id : -1);
        const size_t length = strlen(w->ops);
        snprintf(w->ops + length, sizeof w->ops - length, "%s%s", length ? " " : "", r->call.op->name);
        w->broken |= strncmp(r->call.op->name, "broken_", 7) == 0;
        w->step |= strncmp(r->call.op->name, "zero_one", 8) == 0;
        w->work += (double)r->call.out->size;
    }
    return signature;
}

static network network_of(const gr_tape_node *last, uint64_t *signature)
{
    network w = {.last = last, .nodes = last->id + 1};
    w.needed = calloc((size_t)w.nodes, sizeof *w.needed);
    w.made = calloc((size_t)w.nodes, sizeof *w.made);
    if (!w.needed || !w.made) stop("out of memory", "", NULL);
    w.needed[last->id] = true;
    for (const gr_tape_node *r = last; r; r = r->prev)
        for (int i = 0; i < r->call.n_in && w.needed[r->id]; i++)
            if (r->call.in[i]->node) w.needed[r->call.in[i]->node->id] = true;
    *signature = describe(&w);
    return w;
}

static void take_leaves(network *w)
{
    for (const gr_tape_node *r = first_of(w); r; r = r == w->last ? NULL : r->next)
        for (int i = 0; i < r->call.n_in && w->needed[r->id]; i++)
            if (!r->call.in[i]->node) add_leaf(w, r->call.in[i]);
}

static void free_network(network *w)
{
    for (int i = 0; i < w->n; i++) gr_tensor_free(w->x[i]);
    free(w->needed);
    free(w->made);
}

/* ---- The checks --------------------------------------------------------------------------------------------- */

static gr_check_verdict check_with(network *w, gr_check_options o, gr_check_mode mode, int order)
{
    gr_check_report r;
    o.mode = mode;
    o.order = order;
    if (mode == GR_CHECK_F32) o.rtol = 1e-3; /* of p = 0.9999, as a lesson may have it, 1 - p has three digits in F32 */
    if (gr_check_gradients(replay, w, w->x, w->n, &o, &r)) stop("cannot be checked", w->ops, NULL);
    if (mode < GR_CHECK_DIRECTIONAL && order == 1) looked_at->last = r;
    n_checks++;
    n_compared += r.compared;
    n_evaluations += r.evaluations;
    if (r.verdict == GR_CHECK_FAIL || r.verdict == GR_CHECK_NONDETERMINISTIC)
        stop("a network whose gradient is wrong", w->ops, &r);
    return r.verdict;
}

static bool is_pass(gr_check_verdict v) { return v == GR_CHECK_PASS || v == GR_CHECK_KINK; }

/* Every way that there is; of large networks samples. Whether the first derivative passed: each op, and all together.
 * (In a deep network kinks lie close, steps are short, and of a thousand single derivatives the smallest may be
 * UNRESOLVED.) */
static bool check_all(network *w)
{
    int64_t elements = 0;
    for (int i = 0; i < w->n; i++) elements += w->x[i]->requires_grad ? w->x[i]->size : 0;
    const bool small = (double)elements * w->work < 1e5;
    const gr_check_mode mode = small ? GR_CHECK_FULL : GR_CHECK_SAMPLED;
    const gr_check_options o = {.samples = small ? 16 : 2, .directions = small ? 3 : 1};
    const gr_check_verdict first = check_with(w, o, mode, 1);
    const gr_check_verdict along = check_with(w, o, GR_CHECK_DIRECTIONAL, 1);
    const gr_check_verdict nodes = check_with(w, o, GR_CHECK_PER_NODE, 1);
    check_with(w, o, GR_CHECK_ACCUMULATION, 1);
    check_with(w, o, GR_CHECK_F32, 1);
    check_with(w, o, small ? GR_CHECK_FULL : GR_CHECK_DIRECTIONAL, 2);
    if (getenv("GRADUS_VERBOSE"))
        printf("%s: %s, along a direction %s, per node %s: %s\n", small ? "in full" : "sampled",
               gr_check_verdict_name(first), gr_check_verdict_name(along), gr_check_verdict_name(nodes), w->ops);
    return is_pass(nodes) && (is_pass(first) || is_pass(along));
}

static void check_broken(network *w)
{
    gr_check_report r;
    if (gr_check_gradients(replay, w, w->x, w->n, &(gr_check_options){.mode = GR_CHECK_SAMPLED}, &r))
        stop("cannot be checked", w->ops, NULL);
    if (r.verdict != GR_CHECK_FAIL || !r.culprit_op || strncmp(r.culprit_op, "broken_", 7) != 0)
        stop("a broken op was not caught", w->ops, &r);
}

static kind *kind_of(uint64_t signature, const network *w)
{
    for (int i = 0; i < n_kinds; i++)
        if (kinds[i].signature == signature) return &kinds[i];
    if (n_kinds == MAX_NETWORKS) stop("more kinds of networks than there is room for", w->ops, NULL);
    if (!n_kinds) atexit(tell);
    kind *k = &kinds[n_kinds++];
    *k = (kind){.signature = signature, .flat = w->step};
    memcpy(k->ops, w->ops, sizeof k->ops);
    return k;
}

static void look(gr_tensor *y)
{
    uint64_t signature;
    if (!y || !y->node) return;
    network w = network_of(y->node, &signature);
    kind *k = kind_of(signature, &w);
    if (!k->passed && k->looks < MAX_LOOKS) {
        k->looks++;
        looked_at = k;
        take_leaves(&w);
        if (w.broken) check_broken(&w);
        k->passed = w.broken || check_all(&w);
    }
    free_network(&w);
}

/* ---- In front of the library -------------------------------------------------------------------------------- */

gr_status watched_backward(gr_tape *t, gr_tensor *y, int flags)
{
    look(y);
    return gr_backward(t, y, flags);
}

gr_status watched_backward_from(gr_tape *t, gr_tensor *y, gr_tensor *cotangent, int flags)
{
    look(y);
    return gr_backward_from(t, y, cotangent, flags);
}

gr_status watched_grad(gr_tape *t, gr_tensor *y, gr_tensor *const x[], int n, gr_tensor *out[], int flags)
{
    look(y);
    return gr_grad(t, y, x, n, out, flags);
}

gr_status watched_vjp(gr_tape *t, gr_tensor *y, gr_tensor *cotangent, gr_tensor *const x[], int n, gr_tensor *out[],
                      int flags)
{
    look(y);
    return gr_vjp(t, y, cotangent, x, n, out, flags);
}
