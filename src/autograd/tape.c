/* tape.c: a tape's memory: nodes in chunks, results with their buffers in a pool, all recycled by a reset. */
#include <stdlib.h>

#include "autograd/tape_internal.h"

enum { CHUNK_BYTES = 1 << 15, TENSORS_AT_ONCE = 32, KEPT_APART = 1 << 13 };

struct gr_chunk {
    gr_chunk *next;
    size_t bytes;
};

/* The environment variable GRADUS_DEBUG, 0 or 1; without it, whether assertions are on. */
static bool wants_debug(void)
{
    const char *asked = getenv("GRADUS_DEBUG");
    if (asked && *asked) return strcmp(asked, "0") != 0;
#ifdef NDEBUG
    return false;
#else
    return true;
#endif
}

gr_tape *gr_tape_new(void)
{
    gr_tape *t = gr_check_environment("tape_new") ? NULL : gr_allocate(sizeof *t);
    if (!t) return NULL;
    memset(t, 0, sizeof *t);
    t->recording = true;
    t->cpu = gr_cpu_level();
    t->debug = wants_debug();
    return t;
}

gr_status gr_fail_busy(gr_tape *t, const char *who)
{
    if (t->busy) return gr_fail(GR_ERR_STATE, "%s: called while %s runs on the same tape", who, t->busy);
    t->misused = who;
    return gr_fail(GR_ERR_STATE, "%s: called on the tape of a function under check, by that function", who);
}

void gr_tape_free(gr_tape *t)
{
    if (!t || gr_expect_idle(t, "tape_free")) return;
    gr_tape_reset(t);
    gr_pool_clear(&t->pool);
    for (gr_block *b = t->tensor_blocks, *next; b; b = next) {
        next = b->next;
        gr_block_free(b);
    }
    for (gr_chunk *c = t->chunks, *next; c; c = next) {
        next = c->next;
        gr_release(c);
    }
    gr_release(t);
}

static inline void make_unused(gr_tape *t, gr_tensor *x)
{
    x->prev = t->unused;
    t->unused = x;
}

/* For t->debug: a record becomes an unused one when KEPT_APART others have come after it. */
GR_COLD static void keep_apart(gr_tape *t, gr_tensor *x)
{
    snprintf(x->small, sizeof x->small, "%s", x->maker ? x->maker : "no op");
    memset(&x->block, 0, offsetof(gr_tensor, small) - offsetof(gr_tensor, block));
    x->data = NULL;
    x->values_gone = x->deleted = true;
    if (t->deleted) t->last_deleted->next = x;
    else t->deleted = x;
    t->last_deleted = x;
    if (++t->n_deleted <= KEPT_APART) return;
    gr_tensor *first = t->deleted;
    t->deleted = first->next;
    t->n_deleted--;
    make_unused(t, first);
}

void gr_tape_reset(gr_tape *t)
{
    if (!t || gr_expect_idle(t, "tape_reset")) return;
    gr_tensor *oldest = NULL;
    for (gr_tensor *x = t->newest; x; x = x->prev) {
        if (x->block) gr_pool_give(&t->pool, x->block);
        if (x->name) gr_release(x->name);
        oldest = x;
    }
    if (oldest && t->debug) {
        for (gr_tensor *x = t->newest, *prev; x; x = prev) {
            prev = x->prev;
            keep_apart(t, x);
        }
    } else if (oldest) {
        oldest->prev = t->unused;
        t->unused = t->newest;
    }
    t->newest = NULL;
    t->tensors = 0;
    t->first = t->last = NULL;
    t->nodes = 0;
    t->current = t->chunks;
    t->used = 0;
}

bool gr_set_recording(gr_tape *t, bool on)
{
    if (!t) return false;
    bool was = t->recording;
    t->recording = on;
    return was;
}

bool gr_is_recording(const gr_tape *t) { return t->recording; }

bool gr_takes_shortcut(gr_tape *t)
{
    t->has_shortcut = true;
    return !t->recording;
}

bool gr_is_under_check(const gr_tape *t) { return t->under_check; }

gr_pool *gr_pool_of(gr_tape *t) { return &t->pool; }

gr_tape_stats gr_tape_statistics(const gr_tape *t)
{
    if (!t) return (gr_tape_stats){0};
    return (gr_tape_stats){.nodes = t->nodes,
                           .tensors = t->tensors,
                           .bytes = t->pool.live,
                           .peak_bytes = t->pool.peak,
                           .pool_bytes = t->pool.total};
}

/* Chunks stay in a list; a reset begins again with the first. */
void *gr_tape_memory(gr_tape *t, size_t bytes)
{
    const size_t header = (sizeof(gr_chunk) + 15) & ~(size_t)15;
    bytes = (bytes + 15) & ~(size_t)15;
    while (!t->current || t->used + bytes > t->current->bytes) {
        gr_chunk **link = t->current ? &t->current->next : &t->chunks;
        if (!*link) {
            size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
            gr_chunk *c = gr_allocate(header + size);
            if (!c) return NULL;
            *c = (gr_chunk){.bytes = size};
            *link = c;
        }
        t->current = *link;
        t->used = 0;
    }
    void *memory = (char *)t->current + header + t->used;
    t->used += bytes;
    return memory;
}

/* ---- Results ------------------------------------------------------------------------------------------------ */

static bool more_tensors(gr_tape *t)
{
    gr_block *block = gr_block_new(TENSORS_AT_ONCE * sizeof(gr_tensor));
    if (!block) return false;
    block->next = t->tensor_blocks;
    t->tensor_blocks = block;
    gr_tensor *x = gr_block_data(block);
    for (int i = 0; i < TENSORS_AT_ONCE; i++, x++) make_unused(t, x);
    return true;
}

static gr_tensor *blank(gr_tape *t, gr_dtype dtype, int rank, const int64_t shape[])
{
    int64_t size = 1;
    for (int i = 0; i < rank; i++) size *= shape[i];
    if (!t->unused && !more_tensors(t)) return NULL;
    gr_tensor *x = t->unused;
    t->unused = x->prev;
    memset(&x->block, 0, offsetof(gr_tensor, small) - offsetof(gr_tensor, block));
    gr_tensor_set_type(x, dtype, rank, shape, size);
    x->refs = 0;
    x->tape = t;
    x->temporary = t->backward;
    x->prev = t->newest;
    if (t->newest) t->newest->next = x;
    t->newest = x;
    t->tensors++;
    x->serial = ++t->serial;
    return x;
}

gr_tensor *gr_result(gr_tape *t, gr_dtype dtype, int rank, const int64_t shape[])
{
    gr_tensor *x = blank(t, dtype, rank, shape);
    if (!x) return NULL;
    x->data = x->small;
    if (gr_bytes(x) <= sizeof x->small) return x;
    x->block = gr_pool_take(&t->pool, gr_bytes(x));
    if (!x->block) {
        gr_discard(t, x);
        return NULL;
    }
    x->data = gr_block_data(x->block);
    return x;
}

gr_tensor *gr_result_view(gr_tape *t, gr_tensor *of, int rank, const int64_t shape[], int64_t offset)
{
    gr_tensor *x = blank(t, gr_type_of(of), rank, shape);
    if (!x) return NULL;
    x->base = of->base ? of->base : of;
    if (x->base->owner == GR_LEAF) x->base->has_views = true;
    x->data = (char *)of->data + (size_t)offset * gr_dtype_bytes(gr_type_of(of));
    x->holds_base = x->base->tape == t;
    if (x->holds_base) gr_hold(x->base);
    return x;
}

void gr_drop(gr_tape *t, gr_tensor *x)
{
    if (x && x->tape && --x->refs == 0 && x->temporary) gr_discard(t, x);
}

void gr_discard(gr_tape *t, gr_tensor *x)
{
    if (x->block) gr_pool_give(&t->pool, x->block);
    if (x->next) x->next->prev = x->prev;
    else t->newest = x->prev;
    if (x->prev) x->prev->next = x->next;
    if (x->name) gr_release(x->name);
    gr_tensor *base = x->holds_base ? x->base : NULL; /* a base of the caller's may be gone by now */
    if (t->debug) keep_apart(t, x);
    else make_unused(t, x);
    t->tensors--;
    gr_drop(t, base);
}

gr_tensor *gr_result_in(gr_tape *t, gr_tensor *x)
{
    gr_tensor *y = blank(t, gr_type_of(x), x->rank, x->shape);
    if (!y) return NULL;
    y->block = x->block;
    y->data = x->data;
    x->block = NULL;
    return y;
}

gr_tensor *gr_give(gr_tensor *x)
{
    if (x && x->tape) x->given = true;
    return x;
}

gr_tensor *gr_keep(gr_tensor *x)
{
    if (x) x->kept = true;
    if (x && x->base && x->base->tape) x->base->kept = true;
    return x;
}
