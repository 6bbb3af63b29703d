/* idx.c: IDX, the format of MNIST: two bytes 0, a type, a rank, the dimensions and the elements, all big-endian. */
#include "data/internal.h"

/* ---- Elements ----------------------------------------------------------------------------------------------- */

static uint32_t u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static double u8_value(const unsigned char *p)
{
    return p[0];
}

static double i8_value(const unsigned char *p)
{
    return p[0] < 128 ? p[0] : p[0] - 256;
}

static double i16_value(const unsigned char *p)
{
    int v = p[0] << 8 | p[1];
    return v < 32768 ? v : v - 65536;
}

static double i32_value(const unsigned char *p)
{
    return u32(p) < 0x80000000u ? (double)u32(p) : (double)u32(p) - 4294967296.0;
}

static double f32_value(const unsigned char *p)
{
    uint32_t bits = u32(p);
    float v;
    memcpy(&v, &bits, sizeof v);
    return (double)v;
}

static double f64_value(const unsigned char *p)
{
    uint64_t bits = (uint64_t)u32(p) << 32 | u32(p + 4);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

typedef struct idx_type {
    const char *name;
    double (*value)(const unsigned char *p);
    size_t bytes;
    gr_dtype dtype; /* of the tensor */
    unsigned char code;
    bool integer;
} idx_type;

static const idx_type types[] = {
    {"u8", u8_value, 1, GR_F32, 0x08, true},    {"i8", i8_value, 1, GR_F32, 0x09, true},
    {"i16", i16_value, 2, GR_F32, 0x0B, true},  {"i32", i32_value, 4, GR_I32, 0x0C, true},
    {"f32", f32_value, 4, GR_F32, 0x0D, false}, {"f64", f64_value, 8, GR_F64, 0x0E, false},
};

/* ---- The header --------------------------------------------------------------------------------------------- */

typedef struct idx_header {
    const idx_type *type;
    int rank;
    int64_t shape[GR_MAX_RANK], size;
} idx_header;

/* More than this is not unpacked: a few kilobytes of gzip can claim, and hold, as many megabytes of nothing. */
static const int64_t most_unpacked = (int64_t)1 << 30;

static gr_status read_magic(gr_source *s, const char *path, idx_header *h)
{
    unsigned char m[4];
    int64_t got = gr_source_read(s, m, 4);
    if (got < 0) return gr_last_status();
    if (got < 4 || m[0] || m[1])
        return gr_fail(GR_ERR_FORMAT, "idx_read: %s: not an IDX file: expected the bytes 00 00, a type and a rank",
                       GR_QUOTE_PATH(path));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].code == m[2]) h->type = &types[i];
    if (!h->type)
        return gr_fail(GR_ERR_FORMAT, "idx_read: %s: the unknown type %02X: expected 08, 09, 0B, 0C, 0D or 0E",
                       GR_QUOTE_PATH(path), (unsigned)m[2]);
    if (m[3] < 1 || m[3] > GR_MAX_RANK)
        return gr_fail(GR_ERR_FORMAT, "idx_read: %s: rank %d: expected 1 to %d", GR_QUOTE_PATH(path), (int)m[3],
                       GR_MAX_RANK);
    h->rank = m[3];
    return GR_OK;
}

static gr_status read_header(gr_source *s, const char *path, idx_header *h)
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
    for (int i = 0; i < h->rank; i++) h->shape[i] = u32(dims + 4 * i);
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

/* The elements as they stand in the file, which ends with them. */
static unsigned char *read_elements(gr_source *s, const char *path, const idx_header *h)
{
    uint64_t expected = (uint64_t)h->size * h->type->bytes;
    size_t got = 0;
    char one_more, *bytes = gr_source_read_all(s, expected, &got);
    int64_t rest = !bytes ? -1 : got < expected ? 0 : gr_source_read(s, &one_more, 1);
    if (rest == 0 && got == expected) return (unsigned char *)bytes;
    if (rest >= 0)
        gr_fail(GR_ERR_FORMAT, "idx_read: %s: %s of %s are %llu bytes of elements, but the file has %s%zu",
                GR_QUOTE_PATH(path), gr_shape_text(&(gr_text){{0}}, h->rank, h->shape), h->type->name,
                (unsigned long long)expected, rest ? "more than " : "", got);
    gr_release(bytes);
    return NULL;
}

static void convert(gr_tensor *t, const unsigned char *p, const idx_type *type)
{
    for (int64_t i = 0; i < t->size; i++, p += type->bytes) {
        double v = type->value(p);
        if (t->dtype == GR_F32) ((float *)t->data)[i] = (float)v;
        else if (t->dtype == GR_F64) ((double *)t->data)[i] = v;
        else ((int32_t *)t->data)[i] = (int32_t)v;
    }
}

static gr_tensor *read_tensor(gr_source *s, const char *path, bool integer, idx_header *h)
{
    if (read_header(s, path, h)) return NULL;
    if (integer && !h->type->integer)
        return gr_fail(GR_ERR_DTYPE, "idx_read: %s: holds %s: expected integers", GR_QUOTE_PATH(path), h->type->name),
               NULL;
    unsigned char *bytes = read_elements(s, path, h);
    gr_tensor *t = bytes ? gr_new("idx_read", integer ? GR_I32 : h->type->dtype, h->rank, h->shape) : NULL;
    if (t) convert(t, bytes, h->type);
    gr_release(bytes);
    return t;
}

static gr_tensor *read_file(const char *path, bool integer, idx_header *h)
{
    gr_source *s = gr_source_open("idx_read", path);
    gr_tensor *t = s ? read_tensor(s, path, integer, h) : NULL;
    gr_source_close(s);
    return t;
}

gr_tensor *gr_idx_read(const char *path, bool integer)
{
    idx_header h;
    return read_file(path, integer, &h);
}

/* ---- Images and labels -------------------------------------------------------------------------------------- */

/* [n, rows, columns] of u8 becomes [n, rows*columns] in 0..1. */
static gr_tensor *read_images(const char *path)
{
    idx_header h;
    gr_tensor *x = read_file(path, false, &h);
    if (!x) return NULL;
    if (h.type->value != u8_value || h.rank < 2 || x->size == 0) {
        gr_fail(GR_ERR_FORMAT, "idx_read: %s: %s of %s: expected images [n,rows,columns] of u8", GR_QUOTE_PATH(path),
                GR_SHAPE_TEXT(x), h.type->name);
        gr_tensor_free(x);
        return NULL;
    }
    for (int64_t i = 0; i < x->size; i++) ((float *)x->data)[i] /= 255.0f;
    gr_tensor_set_type(x, GR_F32, GR_SHAPE(h.shape[0], x->size / h.shape[0]), x->size);
    return x;
}

static gr_tensor *read_labels(const char *path)
{
    idx_header h;
    gr_tensor *y = read_file(path, true, &h);
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
