/* fuzz_image_set.c: gr_image_set_read(): two bytes of options, then one PNG file behind the other, images and masks in
 * turn. */
#define _GNU_SOURCE /* memmem */
#include "fuzz.h"

#include <sys/stat.h>

enum { PAIRS = 3 };

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

void fuzz_one(const uint8_t *bytes, size_t size)
{
    static const int64_t sides[] = {0, 0, 1, 3, 9};
    static const int channels[] = {0, 1, 3};
    make_folders();
    if (size < 2) return;
    gr_image_set_options o = {.channels = channels[bytes[0] % 3], .limit = bytes[0] / 3 % 3};
    o.height = o.width = sides[bytes[1] % 5];
    o.crop_height = o.crop_width = sides[bytes[1] / 5 % 5];
    size_t at = next_file(bytes, size, 2);
    for (int k = 0; k < 2 * PAIRS; k++) {
        char name[32];
        snprintf(name, sizeof name, "%s/%c.png", k % 2 ? "masks" : "images", 'a' + k / 2);
        const size_t end = next_file(bytes, size, at + 4);
        if (at < size) fuzz_put(name, bytes + at, end - at);
        else remove(fuzz_path(name));
        at = end;
    }
    gr_dataset *set = gr_image_set_read(fuzz_path("images"), fuzz_path("masks"), &o);
    if (!set && strncmp(gr_last_error(), "png_read: ", 10) == 0) fuzz_claim_refused("png_read: ");
    else fuzz_claim_sound(set, "image_set_read: ");
}

void fuzz_repair(uint8_t *bytes, size_t size)
{
    for (size_t at = next_file(bytes, size, 2); at < size;) {
        const size_t end = next_file(bytes, size, at + 4);
        fuzz_repair_png(bytes + at, end - at);
        at = end;
    }
}
