/* fuzz_checkpoint.c: gr_params_load() and gr_params_save(), and the reader of a safetensors file's header by itself. */
#include "fuzz.h"

#include <gradus/checkpoint.h>

#include "data/internal.h"

static gr_params *make_set(double value)
{
    gr_params *set = gr_params_new();
    CLAIM(gr_params_add(set, "w", gr_full(GR_F32, GR_SHAPE(2, 3), value)));
    CLAIM(gr_params_add(set, "b.\xc3\xa9\n", gr_full(GR_F64, GR_SHAPE(2), value)));
    CLAIM(gr_params_add_buffer(set, "none", gr_full(GR_F32, GR_SHAPE(0, 4), value)));
    CLAIM(gr_params_add_buffer(set, "mean", gr_full(GR_F32, GR_SCALAR, value)));
    return set;
}

static bool same_sets(const gr_params *a, const gr_params *b)
{
    bool same = true;
    for (int i = 0; i < gr_params_count(a); i++) same = same && fuzz_same(gr_params_at(a, i), gr_params_at(b, i));
    for (int i = 0; i < gr_params_buffer_count(a); i++)
        same = same && fuzz_same(gr_params_buffer_at(a, i), gr_params_buffer_at(b, i));
    return same;
}

/* What is loaded, saved and loaded again has the same bits; what is refused has changed nothing. */
static void load(const char *path)
{
    gr_params *set = make_set(7), *again = make_set(7);
    if (gr_params_load(set, path)) {
        fuzz_claim_refused("params_load: ");
    } else {
        const char *copy = fuzz_path("copy.safetensors");
        CLAIM(!gr_params_save(set, copy) && !gr_params_load(again, copy));
    }
    CLAIM(same_sets(set, again));
    gr_params_free(again);
    gr_params_free(set);
}

static gr_status take_any(void *context, const gr_entry *e)
{
    ++*(int *)context;
    CLAIM(gr_is_utf8(e->name) && e->rank >= 0 && e->rank <= GR_MAX_RANK && e->begin <= e->end);
    CLAIM(memchr(e->dtype, 0, sizeof e->dtype));
    for (int i = 0; i < e->rank; i++) CLAIM(e->shape[i] >= 0);
    return GR_OK;
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    load(fuzz_put("file.safetensors", bytes, size));
    if (size < 10) return;
    char *header = malloc(size - 7), reason[80];
    int entries = 0;
    memcpy(header, bytes + 8, size - 8);
    header[size - 8] = '\0';
    gr_status status = gr_read_entries(header, size - 8, take_any, &entries, reason);
    CLAIM(status == GR_OK ? !*reason : status == GR_ERR_FORMAT && *reason && memchr(reason, 0, sizeof reason));
    free(header);
}

/* The length of the header: up to the last brace. */
void fuzz_repair(uint8_t *bytes, size_t size)
{
    size_t end = size;
    while (end > 8 && bytes[end - 1] != '}') end--;
    if (end <= 8) return;
    fuzz_put_u32(bytes, (uint32_t)(end - 8), true);
    fuzz_put_u32(bytes + 4, 0, true);
}
