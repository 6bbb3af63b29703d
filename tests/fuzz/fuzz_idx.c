/* fuzz_idx.c: gr_idx_read() and gr_idx_read_pair() on plain and on gzip'd files. */
#include "fuzz.h"

/* Labels 0 for images, or two images [1,2] for labels. */
static void read_pairs(const char *path, const gr_tensor *x)
{
    uint8_t labels[8 + 256] = {0, 0, 8, 1}, images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 255, 7, 9};
    const int64_t n = gr_dim(x, 0);
    if (n > 256) return;
    fuzz_put_u32(labels + 4, (uint32_t)n, false);
    fuzz_claim_sound(gr_idx_read_pair(path, fuzz_put("labels", labels, 8 + (size_t)n)), "idx_read: ");
    fuzz_claim_sound(gr_idx_read_pair(fuzz_put("images", images, sizeof images), path), "idx_read: ");
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    const char *path = fuzz_put("file", bytes, size);
    gr_tensor *x = gr_idx_read(path, false);
    if (!x) fuzz_claim_refused("idx_read: ");
    gr_tensor *k = gr_idx_read(path, true);
    if (!k) fuzz_claim_refused("idx_read: ");
    CLAIM(x || !k);
    if (k) {
        CLAIM(gr_dtype_of(k) == GR_I32 && gr_size(k) == gr_size(x) && gr_rank(k) == gr_rank(x));
        for (int64_t i = 0; i < gr_size(k); i++) CLAIM(gr_get(k, i) == gr_get(x, i));
    }
    if (x) {
        CLAIM(gr_rank(x) >= 1 && gr_rank(x) <= GR_MAX_RANK);
        read_pairs(path, x);
    }
    gr_tensor_free(k);
    gr_tensor_free(x);
}

/* A gzip file of one stored block: ten bytes, 01, the length and its complement, the data, a checksum, the length. */
void fuzz_repair(uint8_t *bytes, size_t size)
{
    if (size < 23 || bytes[0] != 0x1f || bytes[1] != 0x8b || bytes[3] || bytes[10] != 1) return;
    const size_t length = size - 23;
    for (int i = 0; i < 2; i++) {
        bytes[11 + i] = (uint8_t)(length >> 8 * i);
        bytes[13 + i] = (uint8_t)~bytes[11 + i];
    }
    fuzz_put_u32(bytes + size - 8, fuzz_crc(bytes + 15, length), true);
    fuzz_put_u32(bytes + size - 4, (uint32_t)length, true);
}
