/* checkpoint.c: parameters and buffers in a safetensors file. safetensors.c reads what the header says; here it is
 * compared with what the set has, and nothing is changed before all of it fits. */
#include <stdio.h>

#include <gradus/checkpoint.h>

#include "data/internal.h"
#include "data/safetensors.h"

static const char *const dtype_names[GR_N_DTYPES] = {[GR_F32] = "F32", [GR_F64] = "F64", [GR_I32] = "I32"};

/* Parameters, then buffers. */
static int count_of(const gr_params *params)
{
    return gr_params_count(params) + gr_params_buffer_count(params);
}

static gr_tensor *tensor_at(const gr_params *params, int i)
{
    int n = gr_params_count(params);
    return i < n ? gr_params_at(params, i) : gr_params_buffer_at(params, i - n);
}

/* ---- Numbers, little endian --------------------------------------------------------------------------------- */

static void put_little(unsigned char *to, uint64_t value, size_t bytes)
{
    for (size_t k = 0; k < bytes; k++) to[k] = (unsigned char)(value >> 8 * k);
}

static uint64_t get_little(const unsigned char *from, size_t bytes)
{
    uint64_t value = 0;
    for (size_t k = 0; k < bytes; k++) value |= (uint64_t)from[k] << 8 * k;
    return value;
}

static void to_little(unsigned char *to, const void *elements, size_t count, size_t each)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = 0;
        uint32_t half;
        if (each == 8) {
            memcpy(&bits, (const char *)elements + i * each, 8);
        } else {
            memcpy(&half, (const char *)elements + i * each, 4);
            bits = half;
        }
        put_little(to + i * each, bits, each);
    }
}

static void from_little(void *elements, const unsigned char *from, size_t count, size_t each)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = get_little(from + i * each, each);
        uint32_t half = (uint32_t)bits;
        memcpy((char *)elements + i * each, each == 8 ? (void *)&bits : (void *)&half, each);
    }
}

/* ---- Saving ------------------------------------------------------------------------------------------------- */

/* Text that grows; `failed` once there was no memory. */
typedef struct text {
    char *s;
    size_t used, room;
    bool failed;
} text;

static void append(text *t, const char *s, size_t length)
{
    if (!t->failed && length >= t->room - t->used) {
        size_t room = 2 * (t->room + length) + 1024;
        char *larger = gr_allocate(room);
        t->failed = !larger;
        if (larger && t->used) memcpy(larger, t->s, t->used);
        if (larger) {
            gr_release(t->s);
            t->s = larger;
            t->room = room;
        }
    }
    if (t->failed) return;
    memcpy(t->s + t->used, s, length);
    t->used += length;
}

static void append_quoted(text *t, const char *s)
{
    append(t, "\"", 1);
    for (; *s; s++) {
        char escaped[8];
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') append(t, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\%c", c));
        else if (c < ' ') append(t, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
        else append(t, s, 1);
    }
    append(t, "\"", 1);
}

static void append_number(text *t, const char *before, int64_t number)
{
    char digits[64];
    append(t, digits, (size_t)snprintf(digits, sizeof digits, "%s%lld", before, (long long)number));
}

/* {"w":{"dtype":"F32","shape":[3,4],"data_offsets":[0,48]},...}, filled up with blanks to a multiple of 8. */
static gr_status make_header(text *t, const gr_params *params)
{
    int64_t offset = 0;
    for (int i = 0; i < count_of(params); i++) {
        const gr_tensor *w = tensor_at(params, i);
        if (!gr_is_utf8(gr_name(w)))
            return gr_fail(GR_ERR_OPTION, "params_save: the name %s is not UTF-8", GR_QUOTE(gr_name(w)));
        if (strcmp(gr_name(w), "__metadata__") == 0)
            return gr_fail(GR_ERR_OPTION, "params_save: the format has another use for the name __metadata__");
        append(t, i ? "," : "{", 1);
        append_quoted(t, gr_name(w));
        append(t, ":{\"dtype\":\"", 11);
        append(t, dtype_names[w->dtype], 3);
        append(t, "\",\"shape\":[", 11);
        for (int k = 0; k < w->rank; k++) append_number(t, k ? "," : "", w->shape[k]);
        append_number(t, "],\"data_offsets\":[", offset);
        append_number(t, ",", offset += (int64_t)gr_bytes(w));
        append(t, "]}", 2);
    }
    append(t, "}", 1);
    while (t->used % 8 && !t->failed) append(t, " ", 1);
    return t->failed ? GR_ERR_MEMORY : GR_OK;
}

static gr_status write_numbers(gr_sink *sink, const gr_tensor *w)
{
    unsigned char little[4096];
    const size_t each = gr_dtype_bytes((gr_dtype)w->dtype), most = sizeof little / each, size = (size_t)w->size;
    gr_status status = GR_OK;
    for (size_t i = 0; i < size && !status; i += most) {
        size_t count = size - i < most ? size - i : most;
        to_little(little, (const char *)w->data + i * each, count, each);
        status = gr_sink_write(sink, little, count * each);
    }
    return status;
}

gr_status gr_params_save(const gr_params *params, const char *path)
{
    const char who[] = "params_save";
    if (!params) return gr_fail_null(who, "the set");
    if (!count_of(params)) return gr_fail(GR_ERR_SHAPE, "params_save: the set is empty");
    text header = {0};
    gr_status status = make_header(&header, params);
    gr_sink *sink = status ? NULL : gr_sink_open(who, path);
    if (!status && !sink) status = gr_last_status();
    if (!status) {
        unsigned char length[8];
        put_little(length, header.used, sizeof length);
        status = gr_sink_write(sink, length, sizeof length);
        if (!status) status = gr_sink_write(sink, header.s, header.used);
        for (int i = 0; i < count_of(params) && !status; i++) status = write_numbers(sink, tensor_at(params, i));
        status = gr_sink_close(sink, status);
    }
    gr_release(header.s);
    return status;
}

/* ---- Loading ------------------------------------------------------------------------------------------------ */

typedef struct load {
    const char *path;
    gr_params *params;
    int count;
    int64_t *at;   /* where each tensor's numbers begin; -1: not met yet */
    int64_t bytes; /* of all of them */
    unsigned char *numbers;
} load;

#define FAIL(status, format, ...) gr_fail((status), "params_load: %s: " format, GR_QUOTE_PATH(l->path), __VA_ARGS__)

static int find(const load *l, const char *name)
{
    for (int i = 0; i < l->count; i++)
        if (strcmp(gr_name(tensor_at(l->params, i)), name) == 0) return i;
    return -1;
}

static const char *lower(char to[8], const char *dtype)
{
    snprintf(to, 8, "%s", dtype);
    for (char *c = to; *c; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    return to;
}

/* One tensor of the file against the one of that name in the set. */
static gr_status take_entry(void *context, const gr_entry *e)
{
    load *l = context;
    int i = find(l, e->name);
    if (i < 0) return FAIL(GR_ERR_INDEX, "%s is in the file and not in the set", GR_QUOTE(e->name));
    const gr_tensor *w = tensor_at(l->params, i);
    if (l->at[i] >= 0) return FAIL(GR_ERR_FORMAT, "%s is there twice", GR_QUOTE(e->name));
    bool same_dtype = strcmp(e->dtype, dtype_names[w->dtype]) == 0;
    bool same_shape = e->rank == w->rank;
    for (int k = 0; k < w->rank && same_shape; k++) same_shape = e->shape[k] == w->shape[k];
    if (!same_dtype || !same_shape)
        return FAIL(same_dtype ? GR_ERR_SHAPE : GR_ERR_DTYPE, "%s is %s %s in the file and %s %s here",
                    GR_QUOTE(e->name), lower((char[8]){0}, e->dtype), gr_shape_text(&(gr_text){{0}}, e->rank, e->shape),
                    gr_dtype_name((gr_dtype)w->dtype), GR_SHAPE_TEXT(w));
    if (e->begin < 0 || e->end - e->begin != (int64_t)gr_bytes(w))
        return FAIL(GR_ERR_FORMAT, "%s has the bytes %lld to %lld: expected %zu of them", GR_QUOTE(e->name),
                    (long long)e->begin, (long long)e->end, gr_bytes(w));
    l->at[i] = e->begin;
    return GR_OK;
}

/* Every tensor met, and side by side: their sizes add up to the whole, so without overlap there is no gap. */
static gr_status check_entries(const load *l)
{
    for (int i = 0; i < l->count; i++) {
        const gr_tensor *w = tensor_at(l->params, i);
        if (l->at[i] < 0) return FAIL(GR_ERR_INDEX, "%s is in the set and not in the file", GR_QUOTE(gr_name(w)));
        int64_t end = l->at[i] + (int64_t)gr_bytes(w);
        if (end > l->bytes)
            return FAIL(GR_ERR_FORMAT, "%s lies beyond the others: there is a gap", GR_QUOTE(gr_name(w)));
        for (int j = 0; j < i; j++) {
            const gr_tensor *other = tensor_at(l->params, j);
            if (l->at[j] < end && l->at[i] < l->at[j] + (int64_t)gr_bytes(other))
                return FAIL(GR_ERR_FORMAT, "%s and %s overlap", GR_QUOTE(gr_name(other)), GR_QUOTE(gr_name(w)));
        }
    }
    return GR_OK;
}

/* The header as text; memory grows with what the file holds, not with the length that it claims. */
static char *read_header(load *l, gr_source *source, size_t *size)
{
    unsigned char length[8];
    int64_t got = gr_source_read(source, length, sizeof length);
    if (got < 0) return NULL;
    uint64_t claimed = got == 8 ? get_little(length, 8) : 0;
    if (claimed < 2 || claimed > 100000000) /* the format's own limit */
        return FAIL(GR_ERR_FORMAT, "%s",
                    got < 8 ? "too short for a safetensors file" : "no safetensors file: a header's length is missing"),
               NULL;
    char *header = gr_source_read_all(source, claimed, size);
    if (!header || *size == claimed) return header;
    FAIL(GR_ERR_FORMAT, "the file ends in its header, after %zu bytes of %llu", *size, (unsigned long long)claimed);
    gr_release(header);
    return NULL;
}

static gr_status read_numbers(load *l, gr_source *source)
{
    l->numbers = gr_allocate_array(l->bytes, 1);
    if (!l->numbers) return GR_ERR_MEMORY;
    int64_t got = gr_source_read(source, l->numbers, (size_t)l->bytes);
    if (got < 0) return gr_last_status();
    if (got < l->bytes)
        return FAIL(GR_ERR_FORMAT, "the file ends after %lld bytes of %lld", (long long)got, (long long)l->bytes);
    got = gr_source_read(source, &(char){0}, 1);
    if (got < 0) return gr_last_status();
    return got ? FAIL(GR_ERR_FORMAT, "there are bytes behind the %lld of its tensors", (long long)l->bytes) : GR_OK;
}

static gr_status read_file(load *l, gr_source *source)
{
    size_t size = 0;
    char *header = read_header(l, source, &size);
    if (!header) return gr_last_status();
    header[size] = '\0';
    char reason[80];
    gr_status status = gr_read_entries(header, size, take_entry, l, reason);
    if (status && *reason) status = FAIL(status, "its header %s", reason);
    gr_release(header);
    if (!status) status = check_entries(l);
    return status ? status : read_numbers(l, source);
}

gr_status gr_params_load(gr_params *params, const char *path)
{
    load l = {.path = path, .params = params};
    if (!params) return gr_fail_null("params_load", "the set");
    l.count = count_of(params);
    l.at = gr_allocate_array(l.count, sizeof *l.at);
    if (!l.at) return GR_ERR_MEMORY;
    for (int i = 0; i < l.count; i++) {
        l.at[i] = -1;
        l.bytes += (int64_t)gr_bytes(tensor_at(params, i));
    }
    gr_source *source = gr_source_open("params_load", path);
    gr_status status = source ? read_file(&l, source) : gr_last_status();
    gr_source_close(source);
    for (int i = 0; i < l.count && !status; i++) {
        gr_tensor *w = tensor_at(params, i);
        gr_touch(w);
        from_little(w->data, l.numbers + l.at[i], (size_t)w->size, gr_dtype_bytes((gr_dtype)w->dtype));
    }
    gr_release(l.numbers);
    gr_release(l.at);
    return status;
}
