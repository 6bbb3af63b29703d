/* test_png.c: pictures in and out. The files that are read are made here, byte by byte, so that libpng is not compared
 * with itself; damaged ones must be refused with a reason, without a leak and without a word on stderr. */
#define _POSIX_C_SOURCE 200809L
#include "png_file.h"

#include <fcntl.h>

#include <gradus/data.h>

static bool has_png(void)
{
    gr_tensor *dot = gr_zeros(GR_F32, GR_SHAPE(1, 1));
    gr_status status = gr_png_write(path_of("dot.png"), dot);
    gr_tensor_free(dot);
    remove(path_of("dot.png"));
    return status != GR_ERR_UNSUPPORTED;
}

#define NEEDS_PNG()             \
    do {                        \
        if (!has_png()) skip(); \
    } while (0)

static bytes file;

/* ---- All kinds ---------------------------------------------------------------------------------------------- */

#define PALETTE .palette = "\x00\x00\x00\xff\x00\x00\x00\x80\x00\x0a\x14\x1e", .palette_size = 12

static const struct {
    const char *what;
    picture p;
    int channels;      /* asked for */
    int n;             /* values expected */
    double values[12]; /* times 255 */
} kinds[] = {
    {"grey, 1 bit", {3, 1, 1, 0, .rows = "\xa0"}, 0, 3, {255, 0, 255}},
    {"grey, 2 bits", {4, 1, 2, 0, .rows = "\x1b"}, 0, 4, {0, 85, 170, 255}},
    {"grey, 4 bits", {2, 2, 4, 0, .rows = "\x01\xef"}, 0, 4, {0, 17, 238, 255}},
    {"grey, 8 bits", {2, 2, 8, 0, .rows = "\x00\x01\xfe\xff"}, 0, 4, {0, 1, 254, 255}},
    {"grey, 16 bits", {2, 1, 16, 0, .rows = "\x01\x01\x80\x00"}, 0, 2, {1, 255.0 * 32768 / 65535}},
    {"grey with a transparent one",
     {2, 1, 8, 0, .transparent = "\0\x64", .transparent_size = 2, .rows = "\x64\x65"},
     0,
     2,
     {0, 101}},
    {"grey made RGB", {2, 1, 8, 0, .rows = "\x05\x06"}, 3, 6, {5, 6, 5, 6, 5, 6}},
    {"RGB", {2, 1, 8, 2, .rows = "\x01\x02\x03\x04\x05\x06"}, 0, 6, {1, 4, 2, 5, 3, 6}},
    {"RGB made grey", {2, 1, 8, 2, .rows = "\x0a\x14\x1e\x07\x07\x07"}, 1, 2, {2.99 + 11.74 + 3.42, 7}},
    {"RGB, 16 bits",
     {1, 1, 16, 2, .rows = "\xff\xff\x00\x01\x7f\xff"},
     0,
     3,
     {255, 255.0 / 65535, 255.0 * 32767 / 65535}},
    {"grey and alpha", {3, 1, 8, 4, .rows = "\x64\xff\x64\x80\x64\x00"}, 0, 3, {100, 100 * 128 / 255.0, 0}},
    {"grey and alpha, 16 bits",
     {1, 1, 16, 4, .rows = "\x80\x00\x40\x00"},
     1,
     1,
     {255.0 * 32768 / 65535 * 16384 / 65535}},
    {"RGBA", {1, 2, 8, 6, .rows = "\x0a\x14\x1e\xff\x0a\x14\x1e\x33"}, 0, 6, {10, 2, 20, 4, 30, 6}},
    {"RGBA made grey", {1, 1, 8, 6, .rows = "\x0a\x14\x1e\x33"}, 1, 1, {18.15 / 5}},
    {"a palette of 1 bit", {2, 1, 1, 3, PALETTE, .rows = "\x40"}, 0, 6, {0, 255, 0, 0, 0, 0}},
    {"a palette of 2 bits", {4, 1, 2, 3, PALETTE, .rows = "\x1b"}, 0, 12, {0, 255, 0, 10, 0, 0, 128, 20, 0, 0, 0, 30}},
    {"a palette made grey", {1, 1, 8, 3, PALETTE, .rows = "\x03"}, 1, 1, {18.15}},
    {"a palette with alpha",
     {2, 1, 8, 3, PALETTE, .transparent = "\xff\x00", .transparent_size = 2, .rows = "\x01\x03"},
     0,
     6,
     {0, 10, 0, 20, 0, 30}},
    {"interlaced",
     {3, 4, 8, 0, .interlaced = true, .rows = "\1\2\3\4\5\6\7\10\11\12\13\14"},
     0,
     12,
     {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
    {"with chunks to step over", {1, 1, 8, 0, .extras = true, .rows = "\x80"}, 0, 1, {128}},
};

static void all_kinds_are_read(void **state)
{
    (void)state;
    NEEDS_PNG();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        make_file(&file, &kinds[i].p);
        gr_tensor *image = gr_png_read(put_file("a.png", file.at, file.size), kinds[i].channels);
        if (!image) fail_msg("%s: %s", kinds[i].what, gr_last_error());
        int64_t size = (int64_t)kinds[i].p.width * kinds[i].p.height;
        assert_int_equal(gr_rank(image), 3);
        assert_int_equal(gr_dim(image, 0), kinds[i].n / size);
        assert_int_equal(gr_dim(image, 1), kinds[i].p.height);
        assert_int_equal(gr_dim(image, 2), kinds[i].p.width);
        for (int64_t k = 0; k < gr_size(image); k++)
            if (!(fabs(gr_get(image, k) - kinds[i].values[k] / 255.0) < 1e-7))
                fail_msg("%s: value %lld is %.9g, expected %.9g", kinds[i].what, (long long)k, gr_get(image, k),
                         kinds[i].values[k] / 255.0);
        gr_tensor_free(image);
    }
}

/* ---- Written and read again --------------------------------------------------------------------------------- */

static void pictures_come_back(void **state)
{
    (void)state;
    NEEDS_PNG();
    gr_rng rng = gr_rng_seed(3);
    const int64_t shapes[][3] = {{0, 5, 7}, {1, 5, 7}, {3, 4, 9}, {3, 1, 1}, {1, 300, 2}};
    for (int i = 0; i < 10; i++) {
        const int64_t *s = shapes[i / 2];
        int rank = s[0] ? 3 : 2;
        gr_tensor *image = gr_uniform(i % 2 ? GR_F64 : GR_F32, rank, rank == 3 ? s : s + 1, -0.2, 1.2, &rng);
        assert_int_equal(gr_png_write(path_of("b.png"), image), GR_OK);
        gr_tensor *again = gr_png_read(path_of("b.png"), 0);
        assert_non_null(again);
        assert_int_equal(gr_dim(again, 0), s[0] ? s[0] : 1);
        assert_int_equal(gr_size(again), gr_size(image));
        for (int64_t k = 0; k < gr_size(image); k++) {
            double v = fmin(fmax(gr_get(image, k), 0.0), 1.0);
            assert_true(gr_get(again, k) == (double)(float)(floor(v * 255.0 + 0.5) / 255.0));
        }
        gr_tensor_free(again);
        gr_tensor_free(image);
    }
    assert_int_equal(files_in(directory, true), 2); /* a.png and b.png: nothing else was left */
}

static void writing_refuses(void **state)
{
    (void)state;
    NEEDS_PNG();
    gr_clear_error();
    gr_tensor *good = gr_full(GR_F32, GR_SHAPE(2, 2), 0.25), *two = gr_zeros(GR_F32, GR_SHAPE(2, 3, 3));
    gr_tensor *flat = gr_zeros(GR_F32, GR_SHAPE(9)), *whole = gr_zeros(GR_I32, GR_SHAPE(3, 3));
    gr_tensor *none = gr_zeros(GR_F32, GR_SHAPE(3, 0, 2)), *nan = gr_zeros(GR_F64, GR_SHAPE(1, 2, 2));
    assert_int_equal(gr_set(nan, 3, (double)NAN), GR_OK);
    const char *path = path_of("c.png");
    assert_int_equal(gr_png_write(path, good), GR_OK);
    assert_int_equal(gr_png_write(path, two), GR_ERR_SHAPE);
    assert_error("two channels", GR_ERR_SHAPE, "image is [2,3,3]: expected [H,W], [1,H,W] or [3,H,W]");
    assert_int_equal(gr_png_write(path, flat), GR_ERR_SHAPE);
    assert_int_equal(gr_png_write(path, none), GR_ERR_SHAPE);
    assert_int_equal(gr_png_write(path, whole), GR_ERR_DTYPE);
    assert_int_equal(gr_png_write(path, nan), GR_ERR_VALUE);
    assert_error("nan", GR_ERR_VALUE, "the value at [0,1,1] is not a number");
    assert_int_equal(gr_png_write(path, NULL), GR_ERR_NULL);
    gr_clear_error();
    assert_int_equal(gr_png_write(NULL, good), GR_ERR_NULL);
    assert_int_equal(gr_png_write(path_of("no/such/folder.png"), good), GR_ERR_IO);
    assert_error("no folder", GR_ERR_IO, "no/such/folder.png: its folder does not exist");
    assert_int_equal(gr_png_write(directory, good), GR_ERR_IO);
    gr_tensor *still = gr_png_read(path, 1);
    assert_true(still && gr_get(still, 0) == (double)(float)(64.0 / 255.0));
    assert_int_equal(files_in(directory, true), 1);
    gr_tensor *const all[] = {good, two, flat, whole, none, nan, still};
    for (int i = 0; i < 7; i++) gr_tensor_free(all[i]);
}

/* ---- Hostile files ------------------------------------------------------------------------------------------ */

static int saved_stderr;

static void listen_to_stderr(void)
{
    fflush(stderr);
    saved_stderr = dup(STDERR_FILENO);
    int fd = open(path_of("stderr"), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(saved_stderr >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
}

static void assert_silence(void)
{
    size_t size;
    fflush(stderr);
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    free(get_file(path_of("stderr"), &size));
    assert_int_equal(size, 0);
}

static bool is_refused(const bytes *b)
{
    counting memory;
    const char *path = put_file("bad.png", b->at, b->size);
    counting_begin(&memory);
    gr_clear_error();
    gr_tensor *image = gr_png_read(path, 0);
    gr_tensor_free(image);
    counting_end();
    if (!image && (gr_last_status() != GR_ERR_FORMAT || !strstr(gr_last_error(), "bad.png: "))) return false;
    return !image && memory.live == 0;
}

static void every_damage_is_seen(void **state)
{
    (void)state;
    NEEDS_PNG();
    static bytes bad;
    listen_to_stderr();
    size_t missed = 0;
    for (int kind = 0; kind < 3; kind++) {
        make_file(&file, &kinds[kind == 0 ? 3 : kind == 1 ? 17 : 12].p);
        for (size_t cut = 0; cut < file.size; cut++) {
            bad = file;
            bad.size = cut;
            missed += !is_refused(&bad);
            for (int bit = 0; bit < 8; bit += 3) {
                bad = file;
                bad.at[cut] ^= (unsigned char)(1 << bit);
                missed += !is_refused(&bad);
            }
        }
    }
    assert_silence();
    assert_int_equal(missed, 0);
}

static void claims_are_checked(void **state)
{
    (void)state;
    NEEDS_PNG();
    static const struct {
        int width, height;
        const char *message;
    } claims[] = {{40000, 1, "40000 x 1 pixels are too many: at most 32768 on a side"},
                  {32768, 32768, "32768 x 32768 pixels are too many"},
                  {8000, 8000, "8000 x 8000 pixels cannot be in"},
                  {0, 3, "bad.png: "}};
    listen_to_stderr();
    for (int i = 0; i < 4; i++) {
        picture p = {1, 1, 8, 0, .rows = "\0"};
        make_file(&file, &p);
        bytes header = {.size = 0};
        add_u32(&header, (uint32_t)claims[i].width);
        add_u32(&header, (uint32_t)claims[i].height);
        memcpy(file.at + 16, header.at, 8);
        header.size = 0;
        add_u32(&header, crc(file.at + 12, 17));
        memcpy(file.at + 29, header.at, 4);
        assert_true(is_refused(&file));
        assert_error("a claim", GR_ERR_FORMAT, claims[i].message);
        counting memory;
        counting_begin(&memory);
        gr_tensor *image = gr_png_read(path_of("bad.png"), 3);
        assert_null(image);
        counting_end();
        assert_true(memory.calls < 40);
    }
    assert_silence();
}

static void what_is_no_picture(void **state)
{
    (void)state;
    NEEDS_PNG();
    assert_null(gr_png_read(path_of("nowhere.png"), 0));
    assert_error("no file", GR_ERR_IO, "png_read: cannot open");
    assert_null(gr_png_read(directory, 0));
    assert_error("a folder", GR_ERR_IO, "png_read: ");
    gr_clear_error();
    assert_null(gr_png_read(NULL, 0));
    assert_error("no path", GR_ERR_NULL, "path is NULL");
    assert_null(gr_png_read(put_file("text.png", "this is a text and no picture", 29), 0));
    assert_error("a text", GR_ERR_FORMAT, "text.png: Not a PNG file");
    assert_null(gr_png_read(put_file("text.png", "", 0), 0));
    assert_error("nothing", GR_ERR_FORMAT, "the file ends too early");
    assert_null(gr_png_read(path_of("text.png"), 2));
    assert_error("two channels", GR_ERR_OPTION, "channels is 2: expected 1, 3 or 0");
    assert_null(gr_png_read(path_of("text.png"), -1));
}

/* ---- Memory ------------------------------------------------------------------------------------------------- */

static bool read_one(void)
{
    gr_tensor *image = gr_png_read(path_of("m.png"), 1);
    gr_tensor_free(image);
    return image != NULL;
}

static gr_tensor *to_write;

static bool write_one(void) { return gr_png_write(path_of("m.png"), to_write) == GR_OK; }

static void memory_may_run_out(void **state)
{
    (void)state;
    NEEDS_PNG();
    gr_rng rng = gr_rng_seed(4);
    files_in(directory, true);
    to_write = gr_uniform(GR_F32, GR_SHAPE(3, 40, 30), 0.0, 1.0, &rng);
    assert_true(every_allocation_fails("png_write", write_one) > 5);
    assert_int_equal(files_in(directory, false), 1); /* and no half of one */
    assert_true(every_allocation_fails("png_read", read_one) > 5);
    make_file(&file, &kinds[17].p);
    put_file("m.png", file.at, file.size);
    assert_true(every_allocation_fails("png_read of a palette", read_one) > 5);
    gr_tensor_free(to_write);
}

/* ---- Without libpng ----------------------------------------------------------------------------------------- */

static void without_libpng_it_says_so(void **state)
{
    (void)state;
    if (has_png()) skip();
    assert_null(gr_png_read(path_of("a.png"), 0));
    assert_error("png_read", GR_ERR_UNSUPPORTED, "this build of Gradus has no libpng: install it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds_are_read), cmocka_unit_test(pictures_come_back),
        cmocka_unit_test(writing_refuses),    cmocka_unit_test(every_damage_is_seen),
        cmocka_unit_test(claims_are_checked), cmocka_unit_test(what_is_no_picture),
        cmocka_unit_test(memory_may_run_out), cmocka_unit_test(without_libpng_it_says_so),
    };
    return cmocka_run_group_tests_name("png", tests, make_directory, remove_directory);
}
