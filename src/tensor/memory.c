/* memory.c: the one allocator, aligned blocks from it, and the pool in which a tape recycles blocks. */
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

static gr_allocator allocator = {system_allocate, system_release, NULL};

void gr_set_allocator(const gr_allocator *replacement)
{
    allocator = replacement ? *replacement : (gr_allocator){system_allocate, system_release, NULL};
}

_Static_assert(sizeof(gr_block) <= GR_ALIGNMENT, "a block's header lies in front of its aligned data");

/* Tells the address sanitizer that only the first `bytes` bytes of a block's data may be touched: it cannot know, since
 * sizes are rounded up and a pool's free blocks stay allocated. */
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
    fence(block, SIZE_MAX); /* the allocator may hand the memory out again: no fence may stay in it */
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

void *gr_allocate_array(int64_t n, size_t each)
{
    if (n >= 0 && (uint64_t)n <= SIZE_MAX / 2 / each) return gr_allocate((size_t)n * each);
    gr_fail(GR_ERR_MEMORY, "out of memory: %lld times %zu bytes were asked for", (long long)n, each);
    return NULL;
}

void *gr_grow_array(void *array, int64_t n, int64_t more, int64_t *capacity, size_t each)
{
    assert(n >= 0 && more > 0 && n <= *capacity);
    if (more <= *capacity - n) return array;
    int64_t larger = *capacity < 4 ? 8 : 2 * *capacity;
    if (larger < n + more) larger = n + more;
    void *moved = gr_allocate_array(larger, each);
    if (!moved) return NULL;
    if (n) memcpy(moved, array, (size_t)n * each);
    gr_release(array);
    *capacity = larger;
    return moved;
}

/* ---- The pool ----------------------------------------------------------------------------------------------- */

/* The class c of a block of `bytes` bytes. All blocks of a class have *capacity = (8 + c%8) * 2^(c/8) * 8 bytes; where
 * 64 or more are asked for, no more than an eighth of them is unused. */
static int size_class(size_t bytes, size_t *capacity)
{
    size_t units = bytes < 64 ? 8 : (bytes + 7) / 8;
    int octave = 0;
    while ((units - 1) >> octave >= 15) octave++;
    size_t eighths = (units + ((size_t)1 << octave) - 1) >> octave;
    int c = octave * 8 + (int)(eighths - 8);
    assert(c >= 0 && c < GR_N_SIZE_CLASSES);
    *capacity = (eighths << octave) * 8;
    return c;
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
    assert(block->capacity == capacity && block->size_class == c);
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
