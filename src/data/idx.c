/* idx.c: IDX, the format of MNIST: two bytes 0, a type, a rank, the dimensions and the elements, all big-endian. */
#include "data/internal.h"

/* ---- Elements ----------------------------------------------------------------------------------------------- */

typedef enum idx_kind { IDX_UNSIGNED, IDX_SIGNED, IDX_FLOAT } idx_kind;

typedef struct idx_type {
    const char *name;
    unsigned char code;
    idx_kind kind;
    size_t bytes;
    gr_dtype dtype; /* of the tensor */
} idx_type;

enum { IDX_U8 = 0x08 };
static const idx_type idx_types[] = {
    {"u8", IDX_U8, IDX_UNSIGNED, 1, GR_F32}, {"i8", 0x09, IDX_SIGNED, 1, GR_F32}, {"i16", 0x0B, IDX_SIGNED, 2, GR_F32},
    {"i32", 0x0C, IDX_SIGNED, 4, GR_I32},    {"f32", 0x0D, IDX_FLOAT, 4, GR_F32}, {"f64", 0x0E, IDX_FLOAT, 8, GR_F64},
};

/* The number at p. */
static double idx_value(const idx_type *type, const unsigned char *p)
{
    uint64_t bits = 0;
    for (size_t k = 0; k < type->bytes; k++) bits = bits << 8 | p[k];
    if (type->kind == IDX_UNSIGNED) return (double)bits;
    if (type->kind == IDX_SIGNED) {
        const int64_t half = (int64_t)1 << (8 * type->bytes - 1); /* from here on a number is below 0 */
        return (double)((int64_t)bits < half ? (int64_t)bits : (int64_t)bits - 2 * half);
    }
    if (type->bytes == 4) {
        const uint32_t low = (uint32_t)bits;
        float value;
        memcpy(&value, &low, sizeof value);
        return (double)value;
    }
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- The header --------------------------------------------------------------------------------------------- */

typedef struct idx_header {
    const idx_type *type;
    int rank;
    int64_t shape[GR_MAX_RANK], size;
} idx_header;

/* No more bytes are unpacked: a small gzip'd file can hold a thousand times its size in zeros. */
static const int64_t most_unpacked = (int64_t)1 << 30;

static gr_status read_magic(gr_source *s, const char *path, idx_header *h)
{
    unsigned char m[4];
    int64_t got = gr_source_read(s, m, 4);
    if (got < 0) return gr_last_status();
    if (got < 4 || m[0] || m[1])
        return gr_fail(GR_ERR_FORMAT, "idx_read: %s: not an IDX file: expected the bytes 00 00, a type and a rank",
                       GR_QUOTE_PATH(path));
    for (int i = 0; i < GR_COUNT(idx_types); i++)
        if (idx_types[i].code == m[2]) h->type = &idx_types[i];
    if (!h->type)
        return gr_fail(GR_ERR_FORMAT, "idx_read: %s: the unknown type %02X: expected 08, 09, 0B, 0C, 0D or 0E",
                       GR_QUOTE_PATH(path), (unsigned)m[2]);
    if (m[3] < 1 || m[3] > GR_MAX_RANK)
        return gr_fail(GR_ERR_FORMAT, "idx_read: %s: rank %d: expected 1 to %d", GR_QUOTE_PATH(path), (int)m[3],
                       GR_MAX_RANK);
    h->rank = m[3];
    return GR_OK;
}

static gr_status read_idx_header(gr_source *s, const char *path, idx_header *h)
{
    unsigned char dims[4 * GR_MAX_RANK];
    *h = (idx_header){.type = NULL};
    gr_status status = read_magic(s, path, h);
    if (status) return status;
    int64_t got = gr_source_read(s, dims, 4 * (size_t)h->rank);
    if (got < 0) return gr_last_status();
    if (got < 4 * h->rank)
        return gr_fail(GR_ERR_FORMAT, "idx_read: %s: the file ends within its %d dimensions", GR_QUOTE_PATH(path),
                       h->rank);
    const idx_type dimension = {.kind = IDX_UNSIGNED, .bytes = 4};
    for (int i = 0; i < h->rank; i++) h->shape[i] = (int64_t)idx_value(&dimension, dims + 4 * i);
    h->size = gr_checked_size("idx_read", GR_F64, h->rank, h->shape);
    const char *shape = gr_shape_text(&(gr_text){{0}}, h->rank, h->shape);
    if (h->size < 0)
        return gr_fail(GR_ERR_FORMAT, "idx_read: %s: %s has too many elements", GR_QUOTE_PATH(path), shape);
    if (gr_source_is_packed(s) && h->size > most_unpacked / (int64_t)h->type->bytes)
        return gr_fail(GR_ERR_FORMAT, "idx_read: %s: %s of %s unpacks to more than 1 GiB: gunzip it first",
                       GR_QUOTE_PATH(path), shape, h->type->name);
    return GR_OK;
}

/* ---- The file ----------------------------------------------------------------------------------------------- */

/* The elements as the bytes of the file, which must end with them. NULL with an error. */
static unsigned char *read_elements(gr_source *s, const char *path, const idx_header *h)
{
    uint64_t expected = (uint64_t)h->size * h->type->bytes;
    size_t got = 0;
    char *bytes = gr_source_read_all(s, expected, &got);
    int ends = bytes ? gr_source_ends(s) : -1;
    if (ends == 1 && got == expected) return (unsigned char *)bytes;
    if (ends >= 0)
        gr_fail(GR_ERR_FORMAT, "idx_read: %s: %s of %s are %llu bytes of elements, but the file has %s%zu",
                GR_QUOTE_PATH(path), gr_shape_text(&(gr_text){{0}}, h->rank, h->shape), h->type->name,
                (unsigned long long)expected, ends ? "" : "more than ", got);
    gr_release(bytes);
    return NULL;
}

static gr_tensor *read_tensor(gr_source *s, const char *path, bool integer, idx_header *h)
{
    if (read_idx_header(s, path, h)) return NULL;
    if (integer && h->type->kind == IDX_FLOAT)
        return gr_fail(GR_ERR_DTYPE, "idx_read: %s: holds %s: expected integers", GR_QUOTE_PATH(path), h->type->name),
               NULL;
    unsigned char *bytes = read_elements(s, path, h);
    gr_tensor *t = bytes ? gr_new("idx_read", integer ? GR_I32 : h->type->dtype, h->rank, h->shape) : NULL;
    for (int64_t i = 0; t && i < t->size; i++)
        gr_set_element(t, i, idx_value(h->type, bytes + (size_t)i * h->type->bytes));
    gr_release(bytes);
    return t;
}

static gr_tensor *read_idx(const char *path, bool integer, idx_header *h)
{
    gr_source *s = gr_source_open("idx_read", path);
    gr_tensor *t = s ? read_tensor(s, path, integer, h) : NULL;
    gr_source_close(s);
    return t;
}

gr_tensor *gr_idx_read(const char *path, bool integer)
{
    idx_header h;
    return read_idx(path, integer, &h);
}

/* ---- Images and labels -------------------------------------------------------------------------------------- */

/* Images [n, rows, columns] of u8 as [n, rows*columns], F32 in 0..1. */
static gr_tensor *read_images(const char *path)
{
    idx_header h;
    gr_tensor *x = read_idx(path, false, &h);
    if (!x) return NULL;
    if (h.type->code != IDX_U8 || h.rank < 2 || x->size == 0) {
        gr_fail(GR_ERR_FORMAT, "idx_read: %s: %s of %s: expected images [n,rows,columns] of u8", GR_QUOTE_PATH(path),
                GR_SHAPE_TEXT(x), h.type->name);
        gr_tensor_free(x);
        return NULL;
    }
    for (int64_t i = 0; i < x->size; i++) ((float *)x->data)[i] /= 255.0f;
    gr_tensor_set_type(x, GR_F32, GR_SHAPE(h.shape[0], x->size / h.shape[0]), x->size);
    return x;
}

/* Labels [n], I32 in 0 .. GR_MAX_CLASSES-1. */
static gr_tensor *read_labels(const char *path)
{
    idx_header h;
    gr_tensor *y = read_idx(path, true, &h);
    if (!y) return NULL;
    bool fits = h.rank == 1;
    if (!fits) gr_fail(GR_ERR_FORMAT, "idx_read: %s: %s: expected labels [n]", GR_QUOTE_PATH(path), GR_SHAPE_TEXT(y));
    for (int64_t i = 0; fits && i < y->size; i++) {
        int32_t label = ((const int32_t *)y->data)[i];
        fits = label >= 0 && label < GR_MAX_CLASSES;
        if (!fits)
            gr_fail(GR_ERR_FORMAT, "idx_read: %s: label %d at [%lld] is outside 0..%d", GR_QUOTE_PATH(path), (int)label,
                    (long long)i, GR_MAX_CLASSES - 1);
    }
    if (fits) return y;
    gr_tensor_free(y);
    return NULL;
}

gr_dataset *gr_idx_read_pair(const char *images, const char *labels)
{
    gr_tensor *x = read_images(images), *y = x ? read_labels(labels) : NULL;
    if (y && x->shape[0] == y->shape[0]) return gr_dataset_new(x, y);
    if (y)
        gr_fail(GR_ERR_FORMAT, "idx_read: %lld images in %s, but %lld labels in %s", (long long)x->shape[0],
                GR_QUOTE_PATH(images), (long long)y->shape[0], GR_QUOTE_PATH(labels));
    gr_tensor_free(x);
    gr_tensor_free(y);
    return NULL;
}
