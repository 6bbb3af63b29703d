/* counting.h: an allocator that counts what it gives and what comes back, and that can be told to fail: for the tests
 * of memory. One thread at a time. */
#ifndef GR_TESTS_COUNTING_H
#define GR_TESTS_COUNTING_H

#include <stdint.h>
#include <stdlib.h>

#include <gradus/tensor.h>

typedef struct counting {
    int64_t calls;    /* of allocate */
    int64_t live;     /* blocks that have not come back */
    int64_t bytes;    /* in them */
    int64_t fail_at;  /* this call fails, counted from 1; 0: none does */
    bool fail_from;   /* and so do all later ones */
    int64_t failures; /* calls that did */
    bool foreign;     /* a block came back that was another allocator's */
} counting;

/* In front of each block: whose it is, and how large. */
typedef union counting_header {
    struct {
        counting *owner;
        size_t bytes;
    } of;
    max_align_t align;
} counting_header;

static inline void *counting_allocate(void *context, size_t bytes)
{
    counting *c = context;
    c->calls++;
    if (c->fail_at && (c->calls == c->fail_at || (c->fail_from && c->calls > c->fail_at))) {
        c->failures++;
        return NULL;
    }
    counting_header *h = malloc(sizeof *h + bytes);
    if (!h) return NULL;
    h->of.owner = c;
    h->of.bytes = bytes;
    c->live++;
    c->bytes += (int64_t)bytes;
    return h + 1;
}

static inline void counting_release(void *context, void *memory)
{
    counting *c = context;
    counting_header *h = (counting_header *)memory - 1;
    c->foreign |= h->of.owner != c;
    c->live--;
    c->bytes -= (int64_t)h->of.bytes;
    free(h);
}

static inline void counting_begin(counting *c)
{
    *c = (counting){0};
    gr_set_allocator(&(gr_allocator){counting_allocate, counting_release, c});
}

static inline void counting_end(void) { gr_set_allocator(NULL); }

#endif
