/* data_kit.h: what the tests of data share: memory that is watched, files of the user's, sets as text, IDX and gzip. */
#ifndef GR_TESTS_DATA_KIT_H
#define GR_TESTS_DATA_KIT_H

#include "files.h"
#include <locale.h>
#include <gradus/data.h>
#include "data/internal.h"

/* ---- Memory that is watched, and fails when told to -------------------------------------------------------------- */

typedef struct watch {
    int64_t live, calls, fail_at; /* blocks alive; calls so far; the call that fails, 0: none */
    size_t bytes;                 /* asked for altogether */
} watch;

static inline void *watched_allocate(void *context, size_t bytes)
{
    watch *w = context;
    if (++w->calls == w->fail_at) return NULL;
    void *memory = malloc(bytes);
    if (memory) {
        memset(memory, 0xA5, bytes < 65536 ? bytes : 65536); /* nobody may count on zeros */
        w->live++;
        w->bytes += bytes;
    }
    return memory;
}

static inline void watched_release(void *context, void *memory)
{
    ((watch *)context)->live--;
    free(memory);
}

static watch the_watch;

static inline void watch_memory(int64_t fail_at)
{
    the_watch = (watch){.fail_at = fail_at};
    gr_set_allocator(&(gr_allocator){watched_allocate, watched_release, &the_watch});
}

static inline int stop_watching(void **state)
{
    (void)state;
    gr_set_allocator(NULL);
    gr_clear_error();
    return 0;
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static inline const char *put_text(const char *text) { return put_file("table.csv", text, strlen(text)); }

/* A file of the user's test data; NULL where there is none. */
static inline const char *user_file(const char *name)
{
    static char paths[2][1024];
    static int next;
    const char *root = getenv("GRADUS_DATA");
    if (!root || !*root) return NULL;
    char *path = paths[next++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fclose(file);
    return path;
}

/* ---- A data set as one line of text ------------------------------------------------------------------------------ */

/* "a b | 1 2 >0 | 3 4 >1 | no yes": feature names, rows with their targets, class names. */
static inline const char *dump(const gr_dataset *set)
{
    static char text[4096];
    size_t used = 0;
    text[0] = '\0';
#define ADD(...) used += (size_t)snprintf(text + used, used < sizeof text ? sizeof text - used : 0, __VA_ARGS__)
    int64_t n = gr_dataset_size(set), features = gr_size(gr_dataset_x(set)) / n;
    for (int j = 0; gr_dataset_feature_name(set, j); j++) ADD("%s ", gr_dataset_feature_name(set, j));
    for (int64_t i = 0; i < n; i++) {
        ADD("| ");
        for (int64_t j = 0; j < features; j++) ADD("%.7g ", gr_get(gr_dataset_x(set), i * features + j));
        ADD(">%.7g ", gr_get(gr_dataset_y(set), i));
    }
    ADD("|");
    for (int c = 0; gr_dataset_class_name(set, c); c++) ADD(" %s", gr_dataset_class_name(set, c));
#undef ADD
    assert_true(used < sizeof text);
    return text;
}

/* ---- IDX --------------------------------------------------------------------------------------------------------- */

typedef struct bytes {
    unsigned char at[1 << 17];
    size_t size;
} bytes;

static inline void add(bytes *b, const void *data, size_t size)
{
    assert_true(b->size + size <= sizeof b->at);
    memcpy(b->at + b->size, data, size);
    b->size += size;
}

static inline void add_u32(bytes *b, uint32_t v, bool little)
{
    unsigned char p[4];
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> 8 * (little ? i : 3 - i));
    add(b, p, 4);
}

static inline void add_header(bytes *b, int type, int rank, const uint32_t dims[])
{
    add(b, (unsigned char[]){0, 0, (unsigned char)type, (unsigned char)rank}, 4);
    for (int i = 0; i < rank; i++) add_u32(b, dims[i], false);
}

#define DIMS(...) (int)(sizeof((uint32_t[]){__VA_ARGS__}) / 4), ((uint32_t[]){__VA_ARGS__})

static inline const char *put_bytes(const char *name, const bytes *b) { return put_file(name, b->at, b->size); }

static bytes file, packed; /* too large for a stack */

/* ---- gzip -------------------------------------------------------------------------------------------------------- */

static inline uint32_t crc_of(const unsigned char *p, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

/* One more member of a gzip file, in stored blocks. */
static inline void add_member(bytes *to, const unsigned char *data, size_t size)
{
    add(to, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    size_t at = 0;
    do {
        size_t part = size - at < 60000 ? size - at : 60000;
        unsigned char low = (unsigned char)part, high = (unsigned char)(part >> 8);
        add(to, (unsigned char[]){at + part == size, low, high, low ^ 0xff, high ^ 0xff}, 5);
        add(to, data + at, part);
        at += part;
    } while (at < size);
    add_u32(to, crc_of(data, size), true);
    add_u32(to, (uint32_t)size, true);
}

static inline const bytes *pack(const bytes *b)
{
    packed.size = 0;
    add_member(&packed, b->at, b->size);
    return &packed;
}

static inline void make_small(void)
{
    file.size = 0;
    add_header(&file, 0x08, DIMS(3, 2));
    add(&file, "\1\2\3\4\5\6", 6);
}

static inline bool unpacks(void)
{
    make_small();
    gr_tensor *t = gr_idx_read(put_bytes("file.gz", pack(&file)), false);
    if (!t && gr_last_status() == GR_ERR_UNSUPPORTED) return gr_clear_error(), false;
    if (!t) fail_msg("%s", gr_last_error());
    bool right = gr_size(t) == 6 && gr_get(t, 5) == 6.0;
    gr_tensor_free(t);
    assert_true(right);
    return true;
}

/* ---- Images and labels ------------------------------------------------------------------------------------------- */

static inline const char *put_labels(int type, const char *data, uint32_t n)
{
    file.size = 0;
    add_header(&file, type, DIMS(n));
    add(&file, data, n * (type == 0x0C ? 4 : 1));
    return put_bytes("labels.idx", &file);
}

/* ---- Damaged files ----------------------------------------------------------------------------------------------- */

/* One to four bytes changed, taken out or put in, or the end cut off. */
static inline void damage(bytes *b, gr_rng *rng, const char *favourites, size_t n_favourites)
{
    for (int64_t k = gr_rng_below(rng, 4); k >= 0 && b->size; k--) {
        size_t at = (size_t)gr_rng_below(rng, (int64_t)b->size);
        bool favourite = gr_rng_below(rng, 2);
        unsigned char c = (unsigned char)gr_rng_u64(rng);
        if (favourite) c = (unsigned char)favourites[gr_rng_below(rng, (int64_t)n_favourites)];
        int64_t how = gr_rng_below(rng, 10);
        if (how == 0) b->size = at;
        if (how == 1) memmove(b->at + at, b->at + at + 1, --b->size - at);
        if (how == 2) memmove(b->at + at + 1, b->at + at, b->size++ - at);
        if (how > 1) b->at[at] = c;
    }
}

/* The next file descriptor: the same as before when every file was closed. */
static inline int next_descriptor(void)
{
    int next = dup(STDERR_FILENO);
    if (next >= 0) close(next);
    return next;
}

/* What comes of a damaged file is a data set that is sound, or an error that says so. */
static inline bool is_sound(gr_dataset *set)
{
    if (!set) {
        gr_status status = gr_last_status();
        assert_true(status == GR_ERR_FORMAT || status == GR_ERR_OPTION || status == GR_ERR_DTYPE);
        assert_true(strlen(gr_last_error()) > 20);
        return false;
    }
    int64_t n = gr_dataset_size(set);
    const gr_tensor *x = gr_dataset_x(set), *y = gr_dataset_y(set);
    assert_true(n > 0 && gr_dim(x, 0) == n && gr_dim(y, 0) == n && gr_size(y) == n);
    for (int64_t i = 0; i < gr_size(x); i++) assert_true(isfinite(gr_get(x, i)));
    for (int64_t i = 0; i < n; i++) assert_in_range(gr_read_i32(y)[i], 0, gr_dataset_classes(set) - 1);
    gr_dataset_free(set);
    return true;
}

/* ---- The user's files -------------------------------------------------------------------------------------------- */

static inline void assert_class_counts(const gr_dataset *set, int classes, const int expected[])
{
    int64_t counts[16] = {0};
    assert_int_equal(gr_dataset_classes(set), classes);
    for (int64_t i = 0; i < gr_dataset_size(set); i++) counts[gr_read_i32(gr_dataset_y(set))[i]]++;
    for (int c = 0; c < classes; c++) assert_int_equal(counts[c], expected[c]);
}

#endif
