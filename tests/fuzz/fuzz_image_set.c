/* fuzz_image_set.c: gr_image_set_read(): three bytes of options, then one PNG file behind the other, images and masks
 * in turn. */
#define _GNU_SOURCE /* memmem */
#include "fuzz.h"

#include <sys/stat.h>

enum { PAIRS = 3, OPTIONS = 3 };

/* Where the next file begins, from `at` on; `size` where none does. */
static size_t next_file(const uint8_t *bytes, size_t size, size_t at)
{
    const uint8_t *found = at < size ? memmem(bytes + at, size - at, "\x89PNG", 4) : NULL;
    return found ? (size_t)(found - bytes) : size;
}

static void make_folders(void)
{
    static bool made;
    if (made) return;
    made = true;
    CLAIM(!mkdir(fuzz_path("images"), 0700) && !mkdir(fuzz_path("masks"), 0700));
}

/* The three bytes as options. */
static gr_image_set_options options_of(const uint8_t *bytes)
{
    static const int64_t sides[] = {0, 0, 1, 3, 9};
    static const int channels[] = {0, 1, 3};
    static const char *const values[] = {NULL, NULL, "128-255", "0,1-3", "#ff0000", "opaque", "255,0"};
    gr_image_set_options o = {.channels = channels[bytes[0] % 3], .limit = bytes[0] / 3 % 3};
    o.height = o.width = sides[bytes[1] % 5];
    o.crop_height = o.crop_width = sides[bytes[1] / 5 % 5];
    o.values = values[bytes[2] % 7];
    o.classes = bytes[2] / 7 % 3 ? 1 + bytes[2] / 7 % 3 : 0;
    if (bytes[2] > 127) o.suffix = "_m";
    return o;
}

/* Writes image k / 2, or its mask, in files whose names do not change: they are removed where the bytes end. */
static void put_file(int k, const char *suffix, const uint8_t *bytes, size_t size)
{
    char name[32];
    snprintf(name, sizeof name, "%s/%c%s.png", k % 2 ? "masks" : "images", 'a' + k / 2, k % 2 ? suffix : "");
    if (size) fuzz_put(name, bytes, size);
    else remove(fuzz_path(name));
}

/* A mask is 0 or 1, a label map a class or 255; the report counts what is there. */
static void claim_masks(const gr_dataset *set, int classes, const gr_image_set_report *report)
{
    const gr_tensor *y = gr_dataset_y(set);
    CLAIM(gr_dtype_of(y) == (classes ? GR_I32 : GR_F32) && gr_rank(y) == (classes ? 3 : 4));
    for (int64_t i = 0; i < gr_size(y); i++) {
        const double v = gr_get(y, i);
        CLAIM(classes ? v == 255 || (v >= 0 && v < classes) : v == 0 || v == 1);
    }
    CLAIM(report->images == gr_dataset_size(set) && report->empty <= report->images);
    CLAIM(report->foreground >= 0 && report->foreground <= 1 && memchr(report->meaning, 0, sizeof report->meaning));
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    make_folders();
    if (size < OPTIONS) return;
    const gr_image_set_options o = options_of(bytes);
    size_t at = next_file(bytes, size, OPTIONS);
    for (int k = 0; k < 2 * PAIRS; k++) {
        const size_t end = next_file(bytes, size, at + 4);
        put_file(k, "", bytes + at, k % 2 && o.suffix ? 0 : end - at);
        if (k % 2) put_file(k, "_m", bytes + at, o.suffix ? end - at : 0);
        at = end;
    }
    gr_image_set_report report;
    gr_dataset *set = gr_image_set_read(fuzz_path("images"), fuzz_path("masks"), &o, &report);
    if (set) claim_masks(set, o.classes, &report);
    else CLAIM(report.images == 0 && report.foreground == 0);
    if (!set && strncmp(gr_last_error(), "png_read: ", 10) == 0) fuzz_claim_refused("png_read: ");
    else fuzz_claim_sound(set, "image_set_read: ");
}

void fuzz_repair(uint8_t *bytes, size_t size)
{
    for (size_t at = next_file(bytes, size, OPTIONS); at < size;) {
        const size_t end = next_file(bytes, size, at + 4);
        fuzz_repair_png(bytes + at, end - at);
        at = end;
    }
}
