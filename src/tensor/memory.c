/* memory.c: the one allocator, aligned blocks from it, and the pool in which a tape recycles them. */
#include <stdlib.h>

#include "tensor/internal.h"

#if defined __SANITIZE_ADDRESS__
#define GR_WITH_ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define GR_WITH_ASAN 1
#endif
#endif
#if GR_WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif

static void *system_allocate(void *context, size_t bytes)
{
    (void)context;
    return malloc(bytes);
}

static void system_release(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static const gr_allocator system_allocator = {system_allocate, system_release, NULL};
static gr_allocator allocator = {system_allocate, system_release, NULL};

void gr_set_allocator(const gr_allocator *replacement)
{
    allocator = replacement ? *replacement : system_allocator;
}

_Static_assert(sizeof(gr_block) <= GR_ALIGNMENT, "a block's header lies in front of its aligned data");

/* Shows the address sanitizer where a block's data ends, which rounding up would hide from it. */
static void fence(gr_block *block, size_t bytes)
{
#if GR_WITH_ASAN
    char *data = gr_block_data(block), *end = (char *)block->raw + block->capacity + 2 * GR_ALIGNMENT;
    const size_t room = (size_t)(end - data);
    __asan_unpoison_memory_region(data, room);
    if (bytes < room) __asan_poison_memory_region(data + bytes, room - bytes);
#else
    (void)block;
    (void)bytes;
#endif
}

gr_block *gr_block_new(size_t bytes)
{
    void *raw = NULL;
    if (bytes < SIZE_MAX - 2 * GR_ALIGNMENT) raw = allocator.allocate(allocator.context, bytes + 2 * GR_ALIGNMENT);
    if (!raw) {
        gr_fail(GR_ERR_MEMORY, "out of memory: %zu bytes were asked for", bytes);
        return NULL;
    }
    gr_block *block = (gr_block *)(((uintptr_t)raw + GR_ALIGNMENT - 1) & ~(uintptr_t)(GR_ALIGNMENT - 1));
    *block = (gr_block){.from = allocator, .raw = raw, .capacity = bytes};
    fence(block, bytes);
    return block;
}

void gr_block_free(gr_block *block)
{
    if (!block) return;
    fence(block, SIZE_MAX); /* whoever gets it next finds no fence */
    block->from.release(block->from.context, block->raw);
}

void *gr_allocate(size_t bytes)
{
    gr_block *block = gr_block_new(bytes);
    return block ? gr_block_data(block) : NULL;
}

void gr_release(void *memory)
{
    if (memory) gr_block_free((gr_block *)((char *)memory - GR_ALIGNMENT));
}

/* ---- The pool ----------------------------------------------------------------------------------------------- */

/* The class that holds `bytes`, and in *capacity the bytes of all its blocks: (8 + c%8) * 2^(c/8) * 8, so that no more
 * than an eighth is ever wasted. */
static int size_class(size_t bytes, size_t *capacity)
{
    size_t units = bytes < 64 ? 8 : (bytes + 7) / 8;
    int octave = 0;
    while ((units - 1) >> octave >= 15) octave++;
    size_t eighths = (units + ((size_t)1 << octave) - 1) >> octave;
    *capacity = (eighths << octave) * 8;
    return octave * 8 + (int)(eighths - 8);
}

gr_block *gr_pool_block(size_t bytes)
{
    size_t capacity;
    int c = size_class(bytes, &capacity);
    gr_block *block = gr_block_new(capacity);
    if (block) block->size_class = c;
    return block;
}

gr_block *gr_pool_take(gr_pool *pool, size_t bytes)
{
    size_t capacity;
    int c = size_class(bytes, &capacity);
    gr_block *block = pool->free[c];
    if (block) {
        pool->free[c] = block->next;
    } else {
        block = gr_pool_block(bytes);
        if (!block) return NULL;
        pool->total += (int64_t)capacity;
    }
    fence(block, bytes);
    pool->live += (int64_t)capacity;
    if (pool->live > pool->peak) pool->peak = pool->live;
    return block;
}

void gr_pool_give(gr_pool *pool, gr_block *block)
{
    fence(block, 0);
    pool->live -= (int64_t)block->capacity;
    block->next = pool->free[block->size_class];
    pool->free[block->size_class] = block;
}

void gr_pool_clear(gr_pool *pool)
{
    for (int c = 0; c < GR_N_SIZE_CLASSES; c++)
        while (pool->free[c]) {
            gr_block *block = pool->free[c];
            pool->free[c] = block->next;
            pool->total -= (int64_t)block->capacity;
            gr_block_free(block);
        }
}
