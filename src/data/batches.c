/* batches.c: mini-batches of a data set. Each epoch draws an order of the rows; each batch copies some of them into
 * tensors that are made once. */
#include "data/internal.h"

/* A batch of the full size, and a view of its first rows for the last batch of an epoch; NULL if that is full too. */
typedef struct batch {
    gr_tensor *full, *rest;
} batch;

struct gr_batches {
    const gr_dataset *set;
    int64_t size;   /* rows of a full batch */
    int64_t at;     /* rows that this epoch has had */
    int64_t *order; /* NULL: that of the set */
    gr_rng rng;
    batch x, y;
    gr_tensor *current_x, *current_y; /* NULL between epochs */
};

static bool make_batch(batch *b, const gr_tensor *of, int64_t size)
{
    int64_t rest = of->shape[0] % size;
    b->full = gr_new_rows("batches_new", of, size);
    if (b->full && rest) b->rest = gr_view_rows(b->full, 0, rest);
    if (b->full) b->full->owner = GR_BATCH_ITERATOR;
    if (b->rest) b->rest->owner = GR_BATCH_ITERATOR;
    return b->full && (!rest || b->rest);
}

gr_batches *gr_batches_new(const gr_dataset *set, int64_t batch_size, gr_rng *rng)
{
    if (!set) return gr_fail_null("batches_new", "set"), NULL;
    if (batch_size < 1)
        return gr_fail(GR_ERR_OPTION, "batches_new: a batch of %lld rows: expected 1 or more", (long long)batch_size),
               NULL;
    gr_batches *b = gr_allocate(sizeof *b);
    if (!b) return NULL;
    int64_t n = gr_dataset_size(set), size = batch_size < n ? batch_size : n;
    *b = (gr_batches){.set = set, .size = size};
    bool made = make_batch(&b->x, set->x, size) && make_batch(&b->y, set->y, size);
    if (made && rng) made = (b->order = gr_allocate_array(n, sizeof *b->order));
    if (!made) return gr_batches_free(b), NULL;
    if (rng) b->rng = gr_rng_split(rng);
    return b;
}

void gr_batches_free(gr_batches *b)
{
    if (!b) return;
    gr_destroy(b->x.rest);
    gr_destroy(b->x.full);
    gr_destroy(b->y.rest);
    gr_destroy(b->y.full);
    gr_release(b->order);
    gr_release(b);
}

bool gr_batches_next(gr_batches *b)
{
    if (!b) return false;
    int64_t n = gr_dataset_size(b->set), left = n - b->at;
    b->current_x = b->current_y = NULL;
    if (left == 0) {
        b->at = 0;
        return false;
    }
    if (b->at == 0 && b->order) gr_rng_permutation(&b->rng, n, b->order);
    bool full = left >= b->size;
    b->current_x = full ? b->x.full : b->x.rest;
    b->current_y = full ? b->y.full : b->y.rest;
    gr_copy_rows(b->current_x, b->set->x, b->order, b->at);
    gr_copy_rows(b->current_y, b->set->y, b->order, b->at);
    b->at += full ? b->size : left;
    return true;
}

static gr_tensor *current(const char *who, const gr_batches *b, gr_tensor *tensor)
{
    if (!b) gr_fail_null(who, "batches");
    else if (!tensor) gr_fail(GR_ERR_STATE, "%s: no batch before gr_batches_next() and after its false", who);
    return tensor;
}

gr_tensor *gr_batch_x(const gr_batches *b) { return current("batch_x", b, b ? b->current_x : NULL); }

gr_tensor *gr_batch_y(const gr_batches *b) { return current("batch_y", b, b ? b->current_y : NULL); }

int64_t gr_batches_count(const gr_batches *b) { return b ? (gr_dataset_size(b->set) + b->size - 1) / b->size : 0; }
