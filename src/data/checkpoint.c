/* checkpoint.c: parameters and buffers to a safetensors file and back. safetensors.c parses the header; this file
 * compares it with the set, and changes no tensor before all of them are known to fit. */
#include <stdio.h>

#include <gradus/checkpoint.h>

#include "data/internal.h"

static const char *const format_dtypes[] = {[GR_F32] = "F32", [GR_F64] = "F64", [GR_I32] = "I32"};
_Static_assert(GR_COUNT(format_dtypes) == GR_N_DTYPES, "the format has a name for each dtype");

static int count_of(const gr_params *params) { return gr_params_count(params) + gr_params_buffer_count(params); }

/* The parameters, then the buffers. */
static gr_tensor *tensor_at(const gr_params *params, int i)
{
    int n = gr_params_count(params);
    return i < n ? gr_params_at(params, i) : gr_params_buffer_at(params, i - n);
}

/* Numbers of this machine become those of the file, little endian, or the other way round, in place. */
static void swap_unless_little(void *numbers, size_t count, size_t each)
{
    const uint16_t one = 1;
    unsigned char *p = numbers, first;
    memcpy(&first, &one, 1);
    if (first == 1) return; /* this machine is little endian, too */
    for (size_t i = 0; i < count; i++, p += each)
        for (size_t k = 0; k < each / 2; k++) {
            unsigned char byte = p[k];
            p[k] = p[each - 1 - k];
            p[each - 1 - k] = byte;
        }
}

/* ---- Saving ------------------------------------------------------------------------------------------------- */

/* Text that grows; `failed` once there was no memory. */
typedef struct growing_text {
    char *s;
    int64_t used, capacity;
    bool failed;
} growing_text;

static void append_text(growing_text *t, const char *s)
{
    const int64_t length = (int64_t)strlen(s);
    char *grown = t->failed ? NULL : gr_grow_array(t->s, t->used, length, &t->capacity, 1);
    t->failed = !grown;
    if (t->failed) return;
    t->s = grown;
    memcpy(t->s + t->used, s, (size_t)length);
    t->used += length;
}

static void append_quoted(growing_text *t, const char *s)
{
    append_text(t, "\"");
    for (; *s; s++) {
        char character[8];
        const unsigned char c = (unsigned char)*s;
        const bool escaped = c == '"' || c == '\\';
        snprintf(character, sizeof character, escaped ? "\\%c" : c < ' ' ? "\\u%04x" : "%c", c);
        append_text(t, character);
    }
    append_text(t, "\"");
}

static void append_number(growing_text *t, const char *before, int64_t number)
{
    char text[64];
    snprintf(text, sizeof text, "%s%lld", before, (long long)number);
    append_text(t, text);
}

/* {"w":{"dtype":"F32","shape":[3,4],"data_offsets":[0,48]},...}, filled up with blanks to a multiple of 8. */
static gr_status make_header(growing_text *t, const gr_params *params)
{
    int64_t offset = 0;
    for (int i = 0; i < count_of(params); i++) {
        const gr_tensor *w = tensor_at(params, i);
        if (!gr_is_utf8(gr_name(w)))
            return gr_fail(GR_ERR_OPTION, "params_save: the name %s is not UTF-8", GR_QUOTE(gr_name(w)));
        if (strcmp(gr_name(w), "__metadata__") == 0)
            return gr_fail(GR_ERR_OPTION, "params_save: the format has another use for the name __metadata__");
        append_text(t, i ? "," : "{");
        append_quoted(t, gr_name(w));
        append_text(t, ":{\"dtype\":\"");
        append_text(t, format_dtypes[w->dtype]);
        append_text(t, "\",\"shape\":[");
        for (int k = 0; k < w->rank; k++) append_number(t, k ? "," : "", w->shape[k]);
        append_number(t, "],\"data_offsets\":[", offset);
        append_number(t, ",", offset += (int64_t)gr_bytes(w));
        append_text(t, "]}");
    }
    append_text(t, "}");
    while (t->used % 8 && !t->failed) append_text(t, " ");
    return t->failed ? GR_ERR_MEMORY : GR_OK;
}

static gr_status write_numbers(gr_sink *sink, const gr_tensor *w)
{
    unsigned char little[4096];
    const size_t each = gr_dtype_bytes(gr_type_of(w)), most = sizeof little / each, size = (size_t)w->size;
    gr_status status = GR_OK;
    for (size_t i = 0; i < size && !status; i += most) {
        size_t count = size - i < most ? size - i : most;
        memcpy(little, (const char *)w->data + i * each, count * each);
        swap_unless_little(little, count, each);
        status = gr_sink_write(sink, little, count * each);
    }
    return status;
}

gr_status gr_params_save(const gr_params *params, const char *path)
{
    const char who[] = "params_save";
    if (!params) return gr_fail_null(who, "the set");
    if (!count_of(params)) return gr_fail(GR_ERR_SHAPE, "params_save: the set is empty");
    growing_text header = {0};
    gr_status status = make_header(&header, params);
    gr_sink *sink = status ? NULL : gr_sink_open(who, path);
    if (!status && !sink) status = gr_last_status();
    if (!status) {
        uint64_t length = (uint64_t)header.used;
        swap_unless_little(&length, 1, sizeof length);
        status = gr_sink_write(sink, &length, sizeof length);
        if (!status) status = gr_sink_write(sink, header.s, (size_t)header.used);
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
    int64_t *at;   /* where each tensor's numbers begin; -1: the file has not named it yet */
    int64_t bytes; /* of the numbers of all tensors */
    unsigned char *numbers;
} load;

#define FAIL(status, format, ...) gr_fail((status), "params_load: %s: " format, GR_QUOTE_PATH(l->path), __VA_ARGS__)

static int position_of(const load *l, const char *name)
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

/* Compares a tensor of the file with the one of its name in the set, and notes where its numbers are. */
static gr_status take_entry(void *context, const gr_entry *e)
{
    load *l = context;
    int i = position_of(l, e->name);
    if (i < 0) return FAIL(GR_ERR_INDEX, "%s is in the file and not in the set", GR_QUOTE(e->name));
    const gr_tensor *w = tensor_at(l->params, i);
    if (l->at[i] >= 0) return FAIL(GR_ERR_FORMAT, "%s is there twice", GR_QUOTE(e->name));
    bool same_dtype = strcmp(e->dtype, format_dtypes[w->dtype]) == 0;
    bool same_shape = e->rank == w->rank;
    for (int k = 0; k < w->rank && same_shape; k++) same_shape = e->shape[k] == w->shape[k];
    if (!same_dtype || !same_shape)
        return FAIL(same_dtype ? GR_ERR_SHAPE : GR_ERR_DTYPE, "%s is %s %s in the file and %s %s here",
                    GR_QUOTE(e->name), lower((char[8]){0}, e->dtype), gr_shape_text(&(gr_text){{0}}, e->rank, e->shape),
                    gr_dtype_name(gr_type_of(w)), GR_SHAPE_TEXT(w));
    if (e->begin < 0 || e->end - e->begin != (int64_t)gr_bytes(w))
        return FAIL(GR_ERR_FORMAT, "%s has the bytes %lld to %lld: expected %zu of them", GR_QUOTE(e->name),
                    (long long)e->begin, (long long)e->end, gr_bytes(w));
    l->at[i] = e->begin;
    return GR_OK;
}

/* Whether the file names every tensor, and their numbers fill it without gap or overlap. The sizes add up to
 * l->bytes, so there is no gap where none overlap and none ends behind l->bytes. */
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

/* The header as text, for gr_release(); NULL with an error. */
static char *load_header(load *l, gr_source *source, size_t *size)
{
    uint64_t claimed = 0;
    int64_t got = gr_source_read(source, &claimed, sizeof claimed);
    if (got < 0) return NULL;
    swap_unless_little(&claimed, 1, sizeof claimed);
    if (got < 8 || claimed < 2 || claimed > 100000000) /* the format's own limit */
        return FAIL(GR_ERR_FORMAT, "%s",
                    got < 8 ? "too short for a safetensors file" : "no safetensors file: a header's length is missing"),
               NULL;
    char *header = gr_source_read_all(source, claimed, size);
    if (!header || *size == claimed) return header;
    FAIL(GR_ERR_FORMAT, "the file ends in its header, after %zu bytes of %llu", *size, (unsigned long long)claimed);
    gr_release(header);
    return NULL;
}

static gr_status load_numbers(load *l, gr_source *source)
{
    l->numbers = gr_allocate_array(l->bytes, 1);
    if (!l->numbers) return GR_ERR_MEMORY;
    int64_t got = gr_source_read(source, l->numbers, (size_t)l->bytes);
    if (got < 0) return gr_last_status();
    if (got < l->bytes)
        return FAIL(GR_ERR_FORMAT, "the file ends after %lld bytes of %lld", (long long)got, (long long)l->bytes);
    int ends = gr_source_ends(source);
    if (ends < 0) return gr_last_status();
    return ends ? GR_OK : FAIL(GR_ERR_FORMAT, "there are bytes behind the %lld of its tensors", (long long)l->bytes);
}

static gr_status load_file(load *l, gr_source *source)
{
    size_t size = 0;
    char *header = load_header(l, source, &size);
    if (!header) return gr_last_status();
    char reason[80];
    gr_status status = gr_read_entries(header, size, take_entry, l, reason);
    if (status && *reason) status = FAIL(status, "its header %s", reason);
    gr_release(header);
    if (!status) status = check_entries(l);
    return status ? status : load_numbers(l, source);
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
    gr_status status = source ? load_file(&l, source) : gr_last_status();
    gr_source_close(source);
    for (int i = 0; i < l.count && !status; i++) {
        gr_tensor *w = tensor_at(params, i);
        gr_touch(w);
        memcpy(w->data, l.numbers + l.at[i], gr_bytes(w));
        swap_unless_little(w->data, (size_t)w->size, gr_dtype_bytes(gr_type_of(w)));
    }
    gr_release(l.numbers);
    gr_release(l.at);
    return status;
}
