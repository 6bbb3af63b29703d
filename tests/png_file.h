/* png_file.h: PNG files made byte by byte, so that libpng is not compared with itself. */
#ifndef GR_TESTS_PNG_FILE_H
#define GR_TESTS_PNG_FILE_H

#include "files.h"

typedef struct bytes {
    unsigned char at[1 << 16];
    size_t size;
} bytes;

static inline void add(bytes *b, const void *from, size_t size)
{
    assert_true(b->size + size <= sizeof b->at);
    memcpy(b->at + b->size, from, size);
    b->size += size;
}

static inline void add_u32(bytes *b, uint32_t v)
{
    add(b,
        (unsigned char[]){(unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8),
                          (unsigned char)v},
        4);
}

static inline uint32_t crc(const unsigned char *p, size_t size)
{
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
    }
    return ~c;
}

static inline void add_chunk(bytes *b, const char *type, const void *data, size_t size)
{
    add_u32(b, (uint32_t)size);
    size_t from = b->size;
    add(b, type, 4);
    add(b, data, size);
    add_u32(b, crc(b->at + from, size + 4));
}

/* zlib's format with the data as it is. */
static inline void add_stored(bytes *b, const unsigned char *data, size_t size)
{
    uint32_t s1 = 1, s2 = 0;
    assert_true(size < 65536);
    add(b, "\x78\x01\x01", 3);
    add(b,
        (unsigned char[]){(unsigned char)size, (unsigned char)(size >> 8), (unsigned char)~size,
                          (unsigned char)(~size >> 8)},
        4);
    add(b, data, size);
    for (size_t i = 0; i < size; i++) {
        s1 = (s1 + data[i]) % 65521;
        s2 = (s2 + s1) % 65521;
    }
    add_u32(b, s2 << 16 | s1);
}

typedef struct picture {
    int width, height, depth, colour; /* as in IHDR: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha */
    bool interlaced;
    const char *palette, *transparent; /* NULL: no such chunk */
    size_t palette_size, transparent_size;
    const char *rows; /* packed as in the file, without filter bytes */
    bool extras;      /* chunks that say nothing about the pixels */
} picture;

static inline size_t row_size(const picture *p, int width)
{
    static const int samples[] = {1, 0, 3, 1, 2, 0, 4};
    return ((size_t)(width * p->depth * samples[p->colour]) + 7) / 8;
}

/* Adam7, for pixels of whole bytes. */
static inline void add_passes(bytes *raw, const picture *p)
{
    static const int x0[] = {0, 4, 0, 2, 0, 1, 0}, y0[] = {0, 0, 4, 0, 2, 0, 1};
    static const int dx[] = {8, 8, 4, 4, 2, 2, 1}, dy[] = {8, 8, 8, 4, 4, 2, 2};
    size_t pixel = row_size(p, 1), row = row_size(p, p->width);
    for (int pass = 0; pass < 7; pass++)
        for (int y = y0[pass]; y < p->height && x0[pass] < p->width; y += dy[pass]) {
            add(raw, "", 1);
            for (int x = x0[pass]; x < p->width; x += dx[pass])
                add(raw, p->rows + (size_t)y * row + (size_t)x * pixel, pixel);
        }
}

static inline void make_file(bytes *b, const picture *p)
{
    static bytes raw, data;
    b->size = raw.size = data.size = 0;
    add(b, "\x89PNG\r\n\x1a\n", 8);
    add_u32(&data, (uint32_t)p->width);
    add_u32(&data, (uint32_t)p->height);
    add(&data, (unsigned char[]){(unsigned char)p->depth, (unsigned char)p->colour, 0, 0, p->interlaced}, 5);
    add_chunk(b, "IHDR", data.at, data.size);
    if (p->extras) {
        add_chunk(b, "gAMA", "\0\0\xb1\x8f", 4);
        add_chunk(b, "iCCP", "not a profile at all", 20);
        add_chunk(b, "tEXt", "Title\0x", 7);
    }
    if (p->palette) add_chunk(b, "PLTE", p->palette, p->palette_size);
    if (p->transparent) add_chunk(b, "tRNS", p->transparent, p->transparent_size);
    if (p->interlaced) {
        add_passes(&raw, p);
    } else {
        size_t row = row_size(p, p->width);
        for (int y = 0; y < p->height; y++) {
            add(&raw, "", 1); /* no filter */
            add(&raw, p->rows + (size_t)y * row, row);
        }
    }
    data.size = 0;
    add_stored(&data, raw.at, raw.size);
    add_chunk(b, "IDAT", data.at, data.size);
    add_chunk(b, "IEND", "", 0);
}

#endif
