/* png.c: reads and writes PNG files with libpng, which takes its memory from the library's allocator, reports its
 * errors through gr_fail() and prints nothing. Chunks that say nothing about the pixels are skipped unread. */
#include "data/internal.h"

#if GR_WITH_PNG

#include <math.h>
#include <png.h>
#include <setjmp.h>

/* One picture being read or written. libpng leaves by longjmp() at an error: whatever must be freed then is in here. */
typedef struct codec {
    const char *who, *path;
    png_structp png;
    png_infop info;
    gr_status status;      /* of a failure that a callback has noted */
    const png_byte *bytes; /* reading: the rest of the file, */
    size_t left;           /* the bytes in it, */
    size_t size;           /* and those in the whole file */
    gr_sink *sink;         /* writing */
    char *file;            /* reading: all of the file */
    png_byte *rows;        /* the samples as libpng has them, row by row */
    png_bytep *row;        /* reading: where each row begins */
    png_uint_32 width, height;
    int depth, channels; /* bits in a sample, samples in a pixel */
    size_t row_bytes;
    bool raw;      /* reading: samples and palette's indices as they are in the file, and of these */
    uint32_t most; /* the largest that a sample can be */
} codec;

/* Makes c->info for the c->png that has been made; false with an error where either is missing. */
static bool is_ready(codec *c)
{
    c->info = c->png ? png_create_info_struct(c->png) : NULL;
    if (!c->info && !c->status)
        c->status = gr_fail(GR_ERR_UNSUPPORTED, "%s: libpng does not start: another version?", c->who);
    return c->info;
}

/* ---- What libpng calls -------------------------------------------------------------------------------------- */

static png_voidp png_allocate(png_structp png, png_alloc_size_t bytes)
{
    codec *c = png_get_mem_ptr(png);
    void *memory = gr_allocate(bytes);
    if (!memory) c->status = GR_ERR_MEMORY;
    return memory;
}

static void png_release(png_structp png, png_voidp memory)
{
    (void)png;
    gr_release(memory);
}

static _Noreturn void png_failed(png_structp png, png_const_charp reason)
{
    codec *c = png_get_error_ptr(png);
    if (!c->status) c->status = gr_fail(GR_ERR_FORMAT, "%s: %s: %s", c->who, GR_QUOTE_PATH(c->path), GR_QUOTE(reason));
    png_longjmp(png, 1);
}

static void png_warned(png_structp png, png_const_charp reason)
{
    (void)png;
    (void)reason;
}

static void png_take(png_structp png, png_bytep to, size_t bytes)
{
    codec *c = png_get_io_ptr(png);
    if (bytes > c->left) png_error(png, "the file ends too early");
    memcpy(to, c->bytes, bytes);
    c->bytes += bytes;
    c->left -= bytes;
}

static void png_put(png_structp png, png_bytep bytes, size_t size)
{
    codec *c = png_get_io_ptr(png);
    if (gr_sink_write(c->sink, bytes, size)) {
        c->status = gr_last_status();
        png_error(png, "cannot write");
    }
}

static void png_flush_nothing(png_structp png) { (void)png; }

/* ---- Reading ------------------------------------------------------------------------------------------------ */

static const png_byte skipped_chunks[] = "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0sBIT\0"
                                         "sCAL\0sPLT\0sRGB\0tEXt\0tIME\0zTXt\0pHYs";

/* Whether the size that the header claims is within the limits, and within what the file can hold: deflate packs no
 * more than 1032 bytes into one. */
static gr_status check_sizes(codec *c)
{
    double pixels = (double)c->width * c->height;
    if (c->width > GR_MAX_SIDE || c->height > GR_MAX_SIDE || pixels > GR_MAX_PIXELS)
        return gr_fail(GR_ERR_FORMAT, "%s: %s: %u x %u pixels are too many: at most %d on a side and %d altogether",
                       c->who, GR_QUOTE_PATH(c->path), c->width, c->height, GR_MAX_SIDE, GR_MAX_PIXELS);
    if (pixels * png_get_bit_depth(c->png, c->info) / 8.0 > 1032.0 * (double)c->size)
        return gr_fail(GR_ERR_FORMAT, "%s: %s: %u x %u pixels cannot be in %zu bytes", c->who, GR_QUOTE_PATH(c->path),
                       c->width, c->height, c->size);
    return GR_OK;
}

/* Reads the header and asks libpng for samples of 8 or 16 bits, palettes and transparent colours resolved unless they
 * are to be raw. */
static void read_png_header(codec *c)
{
    png_set_read_fn(c->png, c, png_take);
    png_set_benign_errors(c->png, 0); /* small damages are errors, too */
    png_set_crc_action(c->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_keep_unknown_chunks(c->png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    png_set_keep_unknown_chunks(c->png, PNG_HANDLE_CHUNK_NEVER, skipped_chunks, (int)sizeof skipped_chunks / 5);
    png_set_user_limits(c->png, 0x7fffffff, 0x7fffffff); /* none: check_sizes() has the limits */
    png_read_info(c->png, c->info);
    c->width = png_get_image_width(c->png, c->info);
    c->height = png_get_image_height(c->png, c->info);
    if (check_sizes(c)) {
        c->status = GR_ERR_FORMAT;
        png_longjmp(c->png, 1);
    }
    c->most = (1u << png_get_bit_depth(c->png, c->info)) - 1;
    if (c->raw) png_set_packing(c->png); /* a byte for each sample of less than 8 bits */
    else png_set_expand(c->png);
    png_set_interlace_handling(c->png);
    png_read_update_info(c->png, c->info);
    c->depth = png_get_bit_depth(c->png, c->info);
    c->channels = png_get_channels(c->png, c->info);
    c->row_bytes = png_get_rowbytes(c->png, c->info);
}

static bool make_rows(codec *c)
{
    c->rows = gr_allocate_array((int64_t)c->height, c->row_bytes);
    c->row = c->rows ? gr_allocate_array((int64_t)c->height, sizeof *c->row) : NULL;
    for (png_uint_32 i = 0; c->row && i < c->height; i++) c->row[i] = c->rows + i * c->row_bytes;
    if (!c->row) c->status = GR_ERR_MEMORY;
    return c->row != NULL;
}

/* Decodes c->file into c->rows; false with an error. An allocation that libpng could do without is an error if it
 * fails. */
static bool decode(codec *c)
{
    c->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, c, png_failed, png_warned, c, png_allocate, png_release);
    if (!is_ready(c) || setjmp(png_jmpbuf(c->png))) return false;
    read_png_header(c);
    if (!make_rows(c)) return false;
    png_read_image(c->png, c->row);
    png_read_end(c->png, NULL);
    return !c->status;
}

/* Sample i of a pixel, 0..255 or 0..65535. */
static inline uint32_t sample_of(const codec *c, const png_byte *pixel, int i)
{
    return c->depth == 16 ? (uint32_t)pixel[2 * i] << 8 | pixel[2 * i + 1] : pixel[i];
}

/* A row of pixels as out[k * plane + j] in 0..1, channel k of pixel j: v / most, or v a / most^2 with an alpha a.
 * Grey of colours is (299 r + 587 g + 114 b) / 1000. Numerators are whole numbers, so that every value is rounded
 * once. */
static void take_row(const codec *c, const png_byte *row, int channels, float *out, size_t plane)
{
    const bool colour = c->channels >= 3, alpha = c->channels % 2 == 0;
    const double most = c->depth == 16 ? 65535.0 : 255.0;
    const int pixel_bytes = c->channels * c->depth / 8;
    for (png_uint_32 j = 0; j < c->width; j++, row += pixel_bytes) {
        double whole = most, part = 1.0;
        if (alpha) {
            whole = most * most;
            part = sample_of(c, row, c->channels - 1);
        }
        if (colour && channels == 1) {
            uint32_t r = sample_of(c, row, 0), g = sample_of(c, row, 1), b = sample_of(c, row, 2);
            out[j] = (float)((double)(299 * r + 587 * g + 114 * b) * part / (1000.0 * whole));
            continue;
        }
        for (int k = 0; k < channels; k++)
            out[(size_t)k * plane + j] = (float)(sample_of(c, row, colour ? k : 0) * part / whole);
    }
}

/* c->rows as a tensor [channels,H,W]. */
static gr_tensor *take_pixels(const codec *c, int channels)
{
    if (!channels) channels = c->channels >= 3 ? 3 : 1;
    gr_tensor *image = gr_new(c->who, GR_F32, GR_SHAPE(channels, (int64_t)c->height, (int64_t)c->width));
    float *out = image ? image->data : NULL;
    for (png_uint_32 i = 0; image && i < c->height; i++)
        take_row(c, c->row[i], channels, out + (size_t)i * c->width, (size_t)c->height * c->width);
    return image;
}

/* Reads and decodes the file at c->path; false with an error. Either way the caller ends with end_reading(). */
static bool read_file(codec *c)
{
    gr_source *source = gr_source_open(c->who, c->path);
    if (!source) return false;
    c->file = gr_source_read_all(source, (uint64_t)1 << 30, &c->size);
    gr_source_close(source);
    c->bytes = (const png_byte *)c->file;
    c->left = c->size;
    return c->file && decode(c);
}

static void end_reading(codec *c)
{
    png_destroy_read_struct(&c->png, &c->info, NULL);
    gr_release(c->row);
    gr_release(c->rows);
    gr_release(c->file);
}

gr_tensor *gr_png_read(const char *path, int channels)
{
    codec c = {.who = "png_read", .path = path};
    if (channels != 0 && channels != 1 && channels != 3)
        return gr_fail(GR_ERR_OPTION, "png_read: channels is %d: expected 1, 3 or 0", channels), NULL;
    gr_tensor *image = read_file(&c) ? take_pixels(&c, channels) : NULL;
    end_reading(&c);
    return image;
}

/* ---- Reading pixels as they are in the file ----------------------------------------------------------------- */

/* What a file says of colours and alpha beside its samples. */
typedef struct ancillary {
    int colour_type, n_colours, n_alphas;
    png_colorp colours;  /* of the palette */
    png_bytep alphas;    /* of the palette's first colours */
    png_color_16p clear; /* the one transparent value of a file without palette and alpha; NULL: none */
} ancillary;

static ancillary ancillary_of(const codec *c)
{
    ancillary a = {.colour_type = png_get_color_type(c->png, c->info)};
    png_get_PLTE(c->png, c->info, &a.colours, &a.n_colours);
    png_get_tRNS(c->png, c->info, &a.alphas, &a.n_alphas, &a.clear);
    if (a.colour_type == PNG_COLOR_TYPE_PALETTE) a.clear = NULL;
    return a;
}

static gr_pixel palette_pixel(const ancillary *a, uint32_t index)
{
    gr_pixel p = {.a = 65535, .number = (uint16_t)index, .kind = GR_PIXEL_INDEX};
    if ((int)index >= a->n_colours) return p; /* damaged: libpng refuses it at the end of the file */
    p.r = (uint16_t)(257 * a->colours[index].red);
    p.g = (uint16_t)(257 * a->colours[index].green);
    p.b = (uint16_t)(257 * a->colours[index].blue);
    if ((int)index < a->n_alphas) p.a = (uint16_t)(257 * a->alphas[index]);
    return p;
}

static gr_pixel pixel_of(const codec *c, const ancillary *a, const png_byte *at)
{
    if (a->colour_type == PNG_COLOR_TYPE_PALETTE) return palette_pixel(a, at[0]);
    const bool colour = c->channels >= 3, alpha = c->channels % 2 == 0;
    const uint32_t r = sample_of(c, at, 0), g = sample_of(c, at, colour ? 1 : 0), b = sample_of(c, at, colour ? 2 : 0);
    const uint32_t full = 65535 / c->most; /* a whole number for 1, 2, 4, 8 and 16 bits */
    gr_pixel p = {(uint16_t)(r * full), (uint16_t)(g * full), (uint16_t)(b * full), 65535, 0, GR_PIXEL_COLOUR};
    if (r == g && g == b) p.number = (uint16_t)r, p.kind = GR_PIXEL_GREY;
    if (alpha) p.a = (uint16_t)(sample_of(c, at, c->channels - 1) * full);
    if (a->clear && (colour ? r == a->clear->red && g == a->clear->green && b == a->clear->blue : r == a->clear->gray))
        p.a = 0;
    return p;
}

gr_tensor *gr_png_map(const char *path, gr_map_pixel map, void *context)
{
    codec c = {.who = "png_read", .path = path, .raw = true};
    gr_tensor *image = read_file(&c) ? gr_new(c.who, GR_F32, GR_SHAPE(1, (int64_t)c.height, (int64_t)c.width)) : NULL;
    const ancillary a = image ? ancillary_of(&c) : (ancillary){0};
    float *out = image ? image->data : NULL;
    for (int64_t i = 0; image && i < image->size; i++) {
        const gr_pixel p = pixel_of(&c, &a, c.row[i / c.width] + i % c.width * (c.channels * c.depth / 8));
        out[i] = map(context, &p);
        if (out[i] >= 0.0f) continue;
        gr_tensor_free(image);
        image = NULL;
    }
    end_reading(&c);
    return image;
}

/* ---- Writing ------------------------------------------------------------------------------------------------ */

static gr_status check_image(const gr_tensor *image)
{
    if (!image) return gr_fail_null("png_write", "image");
    if (!gr_is_float(gr_type_of(image)))
        return gr_fail(GR_ERR_DTYPE, "png_write: image is %s: expected f32 or f64", gr_dtype_name(gr_type_of(image)));
    int64_t channels = image->rank == 3 ? image->shape[0] : image->rank == 2 ? 1 : 0;
    if ((channels != 1 && channels != 3) || !image->size)
        return gr_fail(GR_ERR_SHAPE, "png_write: image is %s: expected [H,W], [1,H,W] or [3,H,W]",
                       GR_SHAPE_TEXT(image));
    if (gr_is_gone(image)) return gr_fail_gone("png_write", "image", image);
    if (image->size / channels > GR_MAX_PIXELS || gr_dim(image, -1) > GR_MAX_SIDE || gr_dim(image, -2) > GR_MAX_SIDE)
        return gr_fail(GR_ERR_SHAPE, "png_write: image is %s: at most %d on a side and %d pixels", GR_SHAPE_TEXT(image),
                       GR_MAX_SIDE, GR_MAX_PIXELS);
    for (int64_t i = 0; i < image->size; i++)
        if (isnan(gr_element(image, i)))
            return gr_fail(GR_ERR_VALUE, "png_write: the value at %s is not a number",
                           gr_position_text(&(gr_text){{0}}, image, i));
    return GR_OK;
}

/* Row i of the image in 255ths, the channels of a pixel side by side. */
static void fill_row(png_byte *row, const gr_tensor *image, int64_t i, int channels)
{
    int64_t width = gr_dim(image, -1), plane = width * gr_dim(image, -2);
    for (int64_t j = 0; j < width; j++)
        for (int k = 0; k < channels; k++) {
            double v = gr_element(image, k * plane + i * width + j);
            *row++ = (png_byte)(fmin(fmax(v, 0.0), 1.0) * 255.0 + 0.5);
        }
}

/* Writes the image to c->sink; a failure is in c->status. */
static void encode(codec *c, const gr_tensor *image)
{
    c->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, c, png_failed, png_warned, c, png_allocate, png_release);
    if (!is_ready(c) || setjmp(png_jmpbuf(c->png))) return;
    png_set_write_fn(c->png, c, png_put, png_flush_nothing);
    png_set_user_limits(c->png, GR_MAX_SIDE, GR_MAX_SIDE);
    png_set_IHDR(c->png, c->info, c->width, c->height, 8, c->channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(c->png, c->info);
    for (png_uint_32 i = 0; i < c->height; i++) {
        fill_row(c->rows, image, i, c->channels);
        png_write_row(c->png, c->rows);
    }
    png_write_end(c->png, NULL);
}

gr_status gr_png_write(const char *path, const gr_tensor *image)
{
    codec c = {.who = "png_write", .path = path};
    gr_status status = check_image(image);
    if (status) return status;
    c.channels = image->rank == 3 && image->shape[0] == 3 ? 3 : 1;
    c.height = (png_uint_32)gr_dim(image, -2);
    c.width = (png_uint_32)gr_dim(image, -1);
    c.sink = gr_sink_open(c.who, path);
    if (!c.sink) return gr_last_status();
    c.rows = gr_allocate_array((int64_t)c.width, (size_t)c.channels);
    if (!c.rows) c.status = GR_ERR_MEMORY;
    else encode(&c, image);
    png_destroy_write_struct(&c.png, &c.info);
    gr_release(c.rows);
    return gr_sink_close(c.sink, c.status);
}

#else

static gr_status no_libpng(const char *who)
{
    return gr_fail(GR_ERR_UNSUPPORTED,
                   "%s: this build of Gradus has no libpng: install it with its header (Debian and Ubuntu: libpng-dev) "
                   "and build again",
                   who);
}

gr_tensor *gr_png_read(const char *path, int channels)
{
    (void)path;
    (void)channels;
    return no_libpng("png_read"), NULL;
}

gr_tensor *gr_png_map(const char *path, gr_map_pixel map, void *context)
{
    (void)map;
    (void)context;
    return gr_png_read(path, 0);
}

gr_status gr_png_write(const char *path, const gr_tensor *image)
{
    (void)path;
    (void)image;
    return no_libpng("png_write");
}

#endif
