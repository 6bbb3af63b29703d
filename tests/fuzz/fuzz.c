/* fuzz.c: what stands around a fuzz target: files, memory and descriptors that must all come back, checksums. */
#define _GNU_SOURCE /* mkdtemp, nftw, memmem */
#include "fuzz.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "counting.h"

/* ---- Files -------------------------------------------------------------------------------------------------- */

static char folder[64];

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info, (void)kind, (void)at;
    return remove(path);
}

static void remove_folder(void) { nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* In memory, where the machine has such a place. */
static void make_folder(void)
{
    snprintf(folder, sizeof folder, "%s/gradus-fuzz-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    CLAIM(mkdtemp(folder));
    atexit(remove_folder);
}

const char *fuzz_path(const char *name)
{
    static char paths[8][256];
    static int next;
    if (!*folder) make_folder();
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

const char *fuzz_put(const char *name, const uint8_t *bytes, size_t size)
{
    const char *path = fuzz_path(name);
    FILE *file = fopen(path, "wb");
    CLAIM(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
    return path;
}

/* ---- Claims ------------------------------------------------------------------------------------------------- */

void fuzz_claim_refused(const char *who)
{
    gr_status status = gr_last_status();
    CLAIM(status == GR_ERR_FORMAT || status == GR_ERR_OPTION || status == GR_ERR_DTYPE || status == GR_ERR_SHAPE ||
          status == GR_ERR_INDEX || status == GR_ERR_VALUE);
    CLAIM(strstr(gr_last_error(), who) == gr_last_error() && strlen(gr_last_error()) > strlen(who) + 20);
    gr_clear_error();
}

void fuzz_claim_sound(gr_dataset *set, const char *who)
{
    if (!set) {
        fuzz_claim_refused(who);
        return;
    }
    const gr_tensor *x = gr_dataset_x(set), *y = gr_dataset_y(set);
    const int64_t n = gr_dataset_size(set);
    const bool classes = gr_dtype_of(y) == GR_I32 && gr_rank(y) == 1;
    CLAIM(n > 0 && gr_rank(x) >= 2 && gr_dim(x, 0) == n && gr_dim(y, 0) == n && gr_size(x) % n == 0);
    CLAIM(classes ? gr_dataset_classes(set) > 0 : gr_rank(y) >= 2);
    for (int64_t i = 0; i < gr_size(x); i++) CLAIM(isfinite(gr_get(x, i)));
    for (int64_t i = 0; i < gr_size(y); i++)
        CLAIM(!classes || (gr_get(y, i) >= 0 && gr_get(y, i) < gr_dataset_classes(set)));
    gr_dataset_free(set);
}

bool fuzz_same(const gr_tensor *a, const gr_tensor *b)
{
    if (gr_dtype_of(a) != gr_dtype_of(b) || gr_rank(a) != gr_rank(b) || gr_size(a) != gr_size(b)) return false;
    for (int i = 0; i < gr_rank(a); i++)
        if (gr_dim(a, i) != gr_dim(b, i)) return false;
    const size_t bytes = (size_t)gr_size(a) * (gr_dtype_of(a) == GR_F64 ? 8 : 4);
    const void *p = gr_dtype_of(a) == GR_F64   ? (const void *)gr_read_f64(a)
                    : gr_dtype_of(a) == GR_I32 ? (const void *)gr_read_i32(a)
                                               : (const void *)gr_read_f32(a);
    const void *q = gr_dtype_of(b) == GR_F64   ? (const void *)gr_read_f64(b)
                    : gr_dtype_of(b) == GR_I32 ? (const void *)gr_read_i32(b)
                                               : (const void *)gr_read_f32(b);
    return !bytes || memcmp(p, q, bytes) == 0;
}

/* ---- Checksums ---------------------------------------------------------------------------------------------- */

uint32_t fuzz_crc(const uint8_t *bytes, size_t size)
{
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        c ^= bytes[i];
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
    }
    return ~c;
}

void fuzz_put_u32(uint8_t *to, uint32_t v, bool little)
{
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(v >> 8 * (little ? i : 3 - i));
}

uint32_t fuzz_u32(const uint8_t *from, bool little)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) v |= (uint32_t)from[i] << 8 * (little ? i : 3 - i);
    return v;
}

/* The sum behind a zlib stream that is one stored block: two bytes, 01, the length and its complement, the data. */
static void repair_stored(uint8_t *data, size_t size)
{
    if (size < 11 || data[0] != 0x78 || data[1] != 0x01) return;
    uint32_t s1 = 1, s2 = 0;
    const size_t length = size - 11;
    data[2] = 1;
    for (int i = 0; i < 2; i++) {
        data[3 + i] = (uint8_t)(length >> 8 * i);
        data[5 + i] = (uint8_t)~data[3 + i];
    }
    for (size_t i = 0; i < length; i++) {
        s1 = (s1 + data[7 + i]) % 65521;
        s2 = (s2 + s1) % 65521;
    }
    fuzz_put_u32(data + size - 4, s2 << 16 | s1, false);
}

/* A chunk is its length, four letters, the data and a checksum of letters and data. */
void fuzz_repair_png(uint8_t *bytes, size_t size)
{
    if (size >= 8) memcpy(bytes, "\x89PNG\r\n\x1a\n", 8);
    for (size_t at = 8; at + 12 <= size;) {
        const uint32_t length = fuzz_u32(bytes + at, false);
        if (length > size - at - 12) break;
        if (memcmp(bytes + at + 4, "IDAT", 4) == 0) repair_stored(bytes + at + 8, length);
        fuzz_put_u32(bytes + at + 8 + length, fuzz_crc(bytes + at + 4, length + 4), false);
        at += 12 + (size_t)length;
    }
}

/* ---- What libFuzzer calls ----------------------------------------------------------------------------------- */

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned seed)
{
    size = LLVMFuzzerMutate(bytes, size, room);
    if (seed % 4) fuzz_repair(bytes, size);
    return size;
}

/* The next file descriptor: the same as before when every file was closed. */
static int next_descriptor(void)
{
    const int next = dup(STDERR_FILENO);
    close(next);
    return next;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    counting memory;
    const int descriptor = next_descriptor();
    counting_begin(&memory);
    gr_clear_error();
    fuzz_one(bytes, size);
    counting_end();
    CLAIM(memory.live == 0 && !memory.foreign);
    CLAIM(next_descriptor() == descriptor);
    return 0;
}
