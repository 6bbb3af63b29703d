/* test_masks.c: what masks and label maps mean: every encoding in use is read as what it means or refused with the
 * values that were met. The files are made byte by byte. */
#define _POSIX_C_SOURCE 200809L
#include "png_file.h"

#include <gradus/data.h>

/* ---- Folders ------------------------------------------------------------------------------------------------ */

static const char *const subfolders[] = {"masks/a", "masks/0", "masks/none", "masks/other", "images", "masks"};

static void remove_folders(void)
{
    for (size_t i = 0; i < sizeof subfolders / sizeof *subfolders; i++) {
        files_in(path_of(subfolders[i]), true);
        rmdir(path_of(subfolders[i]));
    }
}

static int remove_all(void **state)
{
    remove_folders();
    return remove_directory(state);
}

/* Empty folders; false where the build has no libpng. */
static bool start(void)
{
    remove_folders();
    mkdir(path_of("images"), 0700);
    mkdir(path_of("masks"), 0700);
    gr_clear_error();
    gr_tensor *nothing = gr_png_read(path_of("none.png"), 0);
    assert_null(nothing);
    return gr_last_status() != GR_ERR_UNSUPPORTED;
}

static void put_picture(const char *name, const picture *p)
{
    static bytes b;
    make_file(&b, p);
    put_file(name, b.at, b.size);
}

/* 8-bit grey, four pixels in a row. */
static void put_grey(const char *name, const char *row) { put_picture(name, &(picture){4, 1, 8, 0, .rows = row}); }

static gr_image_set_report report;

static gr_dataset *read_masks(const gr_image_set_options *options)
{
    memset(&report, 0x55, sizeof report);
    return gr_image_set_read(path_of("images"), path_of("masks"), options, &report);
}

/* y of a set as text, a digit for each pixel, "i" for 255, images apart by blanks; frees the set. */
static const char *in_digits(gr_dataset *set)
{
    static char text[256];
    if (!set) fail_msg("%s", gr_last_error());
    const gr_tensor *y = gr_dataset_y(set);
    const int64_t each = gr_size(y) / gr_dataset_size(set);
    char *at = text;
    for (int64_t i = 0; i < gr_size(y); i++) {
        const double v = gr_get(y, i);
        if (i && i % each == 0) *at++ = ' ';
        assert_true(v == 255 || (v >= 0 && v <= 9));
        *at++ = v == 255 ? 'i' : (char)('0' + (int)v);
    }
    *at = '\0';
    gr_dataset_free(set);
    return text;
}

/* ---- Encodings ---------------------------------------------------------------------------------------------- */

#define GREY(text)               \
    {                            \
        4, 1, 8, 0, .rows = text \
    }
#define DEEP(text)                \
    {                             \
        2, 1, 16, 0, .rows = text \
    }
#define BITS(text)               \
    {                            \
        4, 1, 1, 0, .rows = text \
    }
#define RGB(text)                \
    {                            \
        2, 1, 8, 2, .rows = text \
    }
#define GREY_ALPHA(text)         \
    {                            \
        4, 1, 8, 4, .rows = text \
    }
#define RGBA(text)               \
    {                            \
        2, 1, 8, 6, .rows = text \
    }
#define PALETTE(colours, text)                                                            \
    {                                                                                     \
        4, 1, 8, 3, .palette = colours, .palette_size = sizeof(colours) - 1, .rows = text \
    }
#define BLACK "\0\0\0"
#define WHITE "\377\377\377"
#define RED "\377\0\0"
#define BLUE "\0\0\377"

static const struct {
    const char *what;
    picture masks[2]; /* of width 0: it is not there */
    gr_image_set_options options;
    const char *truth, *refused; /* one of the two; of a refusal, part of the message */
} encodings[] = {
    {"0 and 1", {GREY("\0\1\1\0")}, {0}, "0110", NULL},
    {"0 and 255", {GREY("\0\377\377\0")}, {0}, "0110", NULL},
    {"0 and 100", {GREY("\0\144\144\0"), GREY("\0\0\0\0")}, {0}, "0110 0000", NULL},
    {"0 and 65535", {DEEP("\0\0\377\377")}, {0}, "01", NULL},
    {"0 and 1 in 16 bits", {DEEP("\0\1\0\0")}, {0}, "10", NULL},
    {"one bit", {BITS("\x60")}, {0}, "0110", NULL},
    {"one bit and eight", {BITS("\x60"), GREY("\377\0\0\377")}, {0}, "0110 1001", NULL},
    {"a palette of black and red", {PALETTE(BLACK RED, "\0\1\1\0")}, {0}, "0110", NULL},
    {"a palette of black and white", {PALETTE(BLACK WHITE, "\0\1\1\0")}, {0}, "0110", NULL},
    {"a palette of red and blue: the first is background", {PALETTE(RED BLUE, "\0\1\1\0")}, {0}, "0110", NULL},
    {"a palette all black", {PALETTE(BLACK BLACK BLACK, "\0\2\2\0")}, {0}, "0110", NULL},
    {"a palette of white and black", {PALETTE(WHITE BLACK, "\0\1\1\0")}, {0}, NULL, "which is foreground"},
    {"the same, decided", {PALETTE(WHITE BLACK, "\0\1\1\0")}, {.values = "#ffffff"}, "1001", NULL},
    {"the same by index", {PALETTE(WHITE BLACK, "\0\1\1\0")}, {.values = "1"}, "0110", NULL},
    {"a palette of several",
     {PALETTE(BLACK RED BLUE, "\0\1\2\0")},
     {0},
     NULL,
     "the masks hold 0, in the palette #000000 (50 %), 1, in the palette #ff0000 (25 %), 2, in the palette #0000ff"},
    {"one of them", {PALETTE(BLACK RED BLUE, "\0\1\2\0")}, {.values = "#0000ff"}, "0010", NULL},
    {"RGB, grey", {RGB("\1\1\1" BLACK)}, {0}, "10", NULL},
    {"RGB, black and red", {RGB(RED BLACK), RGB(BLACK RED)}, {0}, "10 01", NULL},
    {"RGB, red and blue", {RGB(RED BLUE)}, {0}, NULL, "hold #ff0000 (50 %), #0000ff (50 %): which is foreground"},
    {"RGB, three", {RGB(RED BLUE), RGB(BLACK BLUE)}, {0}, NULL, "hold #0000ff (50 %), #ff0000 (25 %), 0 (25 %)"},
    {"RGB, two of three", {RGB(RED BLUE), RGB(BLACK BLUE)}, {.values = " #FF0000 , #0000ff"}, "11 01", NULL},
    {"alpha over black", {GREY_ALPHA("\0\0\0\377\0\377\0\0")}, {0}, "0110", NULL},
    {"alpha over white", {GREY_ALPHA("\377\0\377\377\377\377\377\0")}, {0}, "0110", NULL},
    {"alpha 0 and 1", {GREY_ALPHA("\0\0\0\1\0\1\0\0")}, {0}, "0110", NULL},
    {"what is under transparency does not count", {RGBA(BLUE "\0" RED "\377")}, {0}, "01", NULL},
    {"opaque all over", {GREY_ALPHA("\0\377\1\377\1\377\0\377")}, {0}, "0110", NULL},
    {"transparent all over", {GREY_ALPHA("\0\0\1\0\1\0\0\0")}, {0}, "0110", NULL},
    {"alpha and colours", {GREY_ALPHA("\0\0\0\377\377\377\0\377")}, {0}, NULL, "which is foreground"},
    {"the same, by colour", {GREY_ALPHA("\377\0\0\377\377\377\0\377")}, {.values = "255"}, "0010", NULL},
    {"the same, by alpha", {GREY_ALPHA("\0\0\0\377\377\377\0\377")}, {.values = "opaque"}, "0111", NULL},
    {"soft alpha", {GREY_ALPHA("\0\0\0\177\0\200\0\377")}, {0}, NULL, "49.8 % opaque 0 (25 %)"},
    {"soft alpha, decided", {GREY_ALPHA("\0\0\0\177\0\200\0\377")}, {.values = "opaque"}, "0011", NULL},
    {"a transparent grey",
     {{4, 1, 8, 0, .transparent = "\0\7", .transparent_size = 2, .rows = "\7\0\0\7"}},
     {0},
     "0110",
     NULL},
    {"soft edges", {GREY("\0\100\300\377")}, {0}, NULL, "hold 0 (25 %), 64 (25 %), 192 (25 %), 255 (25 %): which"},
    {"soft edges, decided", {GREY("\0\177\200\377")}, {.values = "128-255"}, "0011", NULL},
    {"labels", {GREY("\0\1\2\0"), GREY("\0\0\0\0")}, {0}, NULL, "hold 0 (75 %), 1 (12.5 %), 2 (12.5 %): which"},
    {"labels as one", {GREY("\0\1\2\0")}, {.values = "1-2"}, "0110", NULL},
    {"labels of one", {GREY("\0\1\2\0")}, {.values = "2"}, "0010", NULL},
    {"1 and 2", {GREY("\1\2\2\1")}, {0}, NULL, "hold 1 (50 %), 2 (50 %): which"},
    {"all white", {GREY("\377\377\377\377")}, {0}, NULL, "hold 255 (100 %): which"},
    {"all white, meant", {GREY("\377\377\377\377")}, {.values = "255"}, "1111", NULL},
    {"inverted", {GREY("\0\377\377\0")}, {.values = "0"}, "1001", NULL},
    {"not there, all of one value", {GREY("\1\1\1\1")}, {.values = "255"}, NULL, "none of these is in `values`"},
    {"not there, all black", {GREY("\0\0\0\0")}, {.values = "255"}, "0000", NULL},
    {"not there", {GREY("\0\1\1\0")}, {.values = "255"}, NULL, "hold 0 (50 %), 1 (50 %): none of these is in `values`"},
    {"label map", {GREY("\0\1\2\377")}, {.classes = 3}, "012i", NULL},
    {"label map of a palette", {PALETTE(WHITE BLACK RED, "\0\1\2\1")}, {.classes = 3}, "0121", NULL},
    {"label map in 16 bits", {DEEP("\0\4\0\377")}, {.classes = 5}, "4i", NULL},
    {"label map of 4 bits", {{4, 1, 4, 0, .rows = "\x01\x23"}}, {.classes = 4}, "0123", NULL},
    {"label map as RGB", {RGB("\0\0\0\2\2\2")}, {.classes = 3}, "02", NULL},
    {"a class too many", {GREY("\0\1\2\3")}, {.classes = 3}, NULL, "which class is 3 (25 %)? Expected 0 to 2"},
    {"values of classes", {GREY("\0\144\377\0")}, {.classes = 3, .values = "0,100,200-255"}, "0120", NULL},
    {"colours of classes", {RGB(RED BLUE)}, {.classes = 2, .values = "#0000ff,#ff0000"}, "10", NULL},
    {"colours without", {RGB(RED BLACK)}, {.classes = 2}, NULL, "which class is #ff0000 (50 %)?"},
    {"another ignored", {GREY("\1\2\3\1")}, {.classes = 2, .values = "2,1", .ignore = "3"}, "10i1", NULL},
    {"none ignored", {GREY("\0\1\2\377")}, {.classes = 3, .ignore = ""}, NULL, "which class is 255"},
    {"masks are no label maps", {GREY("\0\377\377\0")}, {.classes = 2}, NULL, "and 255 is ignored: are they masks?"},
    {"unless it is said", {GREY("\0\377\377\0")}, {.classes = 2, .values = "0,255"}, "0110", NULL},
    {"or this", {GREY("\0\377\377\0")}, {.classes = 2, .ignore = "255"}, "0ii0", NULL},
    {"label map with alpha", {GREY_ALPHA("\0\377\1\377\2\0\1\377")}, {.classes = 3}, NULL, "is transparent 2 (25 %)?"},
};

static void every_encoding(void **state)
{
    (void)state;
    if (!start()) skip();
    int wrong = 0;
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        start();
        for (int k = 0; k < 2 && encodings[i].masks[k].width; k++) {
            const int width = encodings[i].masks[k].width;
            put_picture(k ? "images/b.png" : "images/a.png", &(picture){width, 1, 8, 0, .rows = "\1\2\3\4"});
            put_picture(k ? "masks/b.png" : "masks/a.png", &encodings[i].masks[k]);
        }
        gr_dataset *set = read_masks(&encodings[i].options);
        const bool refused = !set && gr_last_status() == GR_ERR_FORMAT;
        const char *got = set ? in_digits(set) : gr_last_error();
        const char *expected = encodings[i].refused ? encodings[i].refused : encodings[i].truth;
        if (encodings[i].refused ? refused && strstr(got, expected) != NULL : !refused && strcmp(got, expected) == 0)
            continue;
        print_error("%s: expected %s, got %s\n", encodings[i].what, expected, got);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* A mask that a user had: 8 x 8, 8-bit grey, 0 and 1. */
static void sixteen_of_sixty_four(void **state)
{
    (void)state;
    static const unsigned char mask[] = {0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49,
                                         0x48, 0x44, 0x52, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x08, 0x08, 0x00,
                                         0x00, 0x00, 0x00, 0xe1, 0x64, 0xe1, 0x57, 0x00, 0x00, 0x00, 0x12, 0x49, 0x44,
                                         0x41, 0x54, 0x78, 0x9c, 0x63, 0x60, 0xc0, 0x02, 0x18, 0x81, 0x80, 0x10, 0x03,
                                         0x0d, 0x00, 0x00, 0x02, 0x88, 0x00, 0x11, 0xed, 0x0d, 0xf7, 0x3c, 0x00, 0x00,
                                         0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
    if (!start()) skip();
    put_file("masks/a.png", mask, sizeof mask);
    put_file("images/a.png", mask, sizeof mask);
    gr_dataset *set = read_masks(NULL);
    if (!set) fail_msg("%s", gr_last_error());
    double sum = 0.0;
    for (int64_t i = 0; i < 64; i++) sum += gr_get(gr_dataset_y(set), i);
    assert_true(sum == 16.0 && report.foreground == 0.25 && report.empty == 0 && report.full == 0);
    assert_string_equal(report.meaning, "foreground is 1 (25 %); background is 0 (75 %)");
    gr_dataset_free(set);
}

/* ---- The report --------------------------------------------------------------------------------------------- */

static void the_report_says_it(void **state)
{
    (void)state;
    if (!start()) skip();
    put_grey("images/a.png", "\1\2\3\4");
    put_grey("images/b.png", "\7\7\7\7");
    put_file("images/c.jpg", "x", 1);
    put_file("masks/notes.txt", "x", 1);
    mkdir(path_of("masks/other"), 0700);
    put_grey("masks/a.png", "\0\0\0\0");
    put_grey("masks/b.png", "\0\0\0\0");
    assert_string_equal(in_digits(read_masks(NULL)), "0000 0000"); /* empty, and said */
    assert_true(report.images == 2 && report.empty == 2 && report.full == 0 && report.blank == 1);
    assert_true(report.left_out == 3 && report.joined == 0 && report.foreground == 0.0);
    assert_string_equal(report.meaning, "no foreground: all is 0 (100 %)");
    put_grey("masks/b.png", "\1\1\1\1");
    assert_string_equal(in_digits(read_masks(NULL)), "0000 1111");
    assert_true(report.empty == 1 && report.full == 1 && report.foreground == 0.5);
    put_grey("masks/b.png", "\1\2\377\0");
    gr_dataset *set = read_masks(&(gr_image_set_options){.classes = 4});
    assert_true(set && gr_dtype_of(gr_dataset_y(set)) == GR_I32 && gr_rank(gr_dataset_y(set)) == 3);
    assert_true(gr_dim(gr_dataset_y(set), 0) == 2 && gr_dim(gr_dataset_y(set), 2) == 4);
    assert_int_equal(gr_dataset_classes(set), 4);
    assert_string_equal(in_digits(set), "0000 12i0");
    assert_true(report.empty == 1 && report.full == 0 && report.ignored == 0.125);
    assert_true(close_to(report.foreground, 2.0 / 7.0, 1e-12));
    assert_string_equal(report.meaning, "3 of 4 classes: 0 (62.5 %), 1 (12.5 %), 2 (12.5 %); ignored: 255 (12.5 %)");
    assert_null(read_masks(&(gr_image_set_options){0}));
    static const gr_image_set_report nothing;
    assert_memory_equal(&report, &nothing, sizeof nothing);
}

/* The values of all masks count, met before any is read; limits and sizes are those of the set. */
static void all_of_them_decide(void **state)
{
    (void)state;
    if (!start()) skip();
    put_grey("images/a.png", "\1\2\3\4");
    put_grey("images/b.png", "\1\2\3\4");
    put_grey("masks/a.png", "\0\1\1\0");
    put_grey("masks/b.png", "\0\377\1\0");
    assert_null(read_masks(NULL));
    assert_error("the second", GR_ERR_FORMAT, "the masks hold 0 (50 %), 1 (37.5 %), 255 (12.5 %): which");
    assert_string_equal(in_digits(read_masks(&(gr_image_set_options){.limit = 1})), "0110");
    const gr_image_set_options size = {.height = 1, .width = 8, .values = "1-255"};
    assert_string_equal(in_digits(read_masks(&size)), "00111100 00111100");
    put_grey("masks/b.png", "\0\2\7\0"); /* sizes of label maps are by the nearest, too: no class in between */
    const gr_image_set_options labels = {.height = 1, .width = 8, .classes = 8};
    assert_string_equal(in_digits(read_masks(&labels)), "00111100 00227700");
}

static void many_values(void **state)
{
    (void)state;
    if (!start()) skip();
    static char deep[2 * 16384 + 1]; /* of grey of 16 bits: all values from 0 on */
    for (int i = 0; i < 16384; i++) deep[2 * i] = (char)(i >> 8), deep[2 * i + 1] = (char)i;
    put_picture("images/a.png", &(picture){128, 128, 16, 0, .rows = deep});
    put_picture("masks/a.png", &(picture){128, 128, 16, 0, .rows = deep});
    assert_null(read_masks(NULL));
    assert_error("many", GR_ERR_FORMAT, " and 16379 more: which is foreground?");
    gr_dataset *set = read_masks(&(gr_image_set_options){.values = "8192-65535"});
    if (!set) fail_msg("%s", gr_last_error());
    for (int64_t i = 0; i < 16384; i++) assert_true(gr_get(gr_dataset_y(set), i) == (i >= 8192));
    gr_dataset_free(set);
}

static void bad_options(void **state)
{
    (void)state;
    static const gr_image_set_options bad[] = {
        {.classes = 1},
        {.classes = 256},
        {.classes = -2},
        {.values = "a"},
        {.values = "1,"},
        {.values = ",1"},
        {.values = "5-4"},
        {.values = "70000"},
        {.values = "#ff00"},
        {.values = "1 2"},
        {.values = "opaques"},
        {.classes = 3, .values = "0,1"},
        {.ignore = "255"},
        {.values = "#12345g"},
        {.values = "-1"},
        {.values = "99999999999999999999"},
        {.values = " "},
        {.values = ""},
        {.classes = 2, .values = "0-3,1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gr_clear_error();
        assert_null(read_masks(&bad[i]));
        if (gr_last_status() != GR_ERR_OPTION) fail_msg("options %zu: %s", i, gr_last_error());
    }
    char many[3 * 300] = "1";
    for (int i = 1; i < 300; i++) strcat(many, ",1");
    assert_null(read_masks(&(gr_image_set_options){.values = many}));
    assert_error("many", GR_ERR_OPTION, "expected up to 256 numbers");
}

/* ---- Names and folders -------------------------------------------------------------------------------------- */

static void a_suffix(void **state)
{
    (void)state;
    if (!start()) skip();
    put_grey("images/a.png", "\1\2\3\4");
    put_grey("images/a_mask.png", "\0\1\1\0"); /* beside it */
    put_grey("images/b.PNG", "\1\2\3\4");
    put_grey("images/b_mask.PNG", "\1\1\1\0");
    put_grey("images/_mask.png", "\1\1\1\1"); /* an image of that name */
    put_grey("images/_mask_mask.png", "\0\0\0\0");
    const char *folder = path_of("images");
    gr_dataset *set =
        gr_image_set_read(folder, folder, &(gr_image_set_options){.suffix = "_mask", .values = "1"}, &report);
    if (!set) fail_msg("%s", gr_last_error());
    assert_string_equal(gr_dataset_sample_name(set, 0), "_mask");
    assert_string_equal(gr_dataset_sample_name(set, 1), "a");
    assert_string_equal(in_digits(set), "0000 0110 1110");
    assert_true(report.images == 3 && report.left_out == 6); /* what the other of the two takes */
    put_grey("masks/a.png", "\0\1\1\0");
    put_grey("masks/a_mask.png", "\0\0\0\1");
    put_grey("masks/b_mask.png", "\0\0\0\1");
    put_grey("masks/_mask_mask.png", "\0\0\0\1");
    assert_string_equal(in_digits(read_masks(&(gr_image_set_options){.suffix = "_mask"})), "0001 0001 0001");
    assert_null(read_masks(&(gr_image_set_options){.suffix = "_m"}));
    assert_error("no such", GR_ERR_FORMAT, "no mask for _mask, _mask_mask, a and 3 more");
}

static void put_objects(void)
{
    put_grey("images/a.png", "\1\2\3\4");
    put_grey("images/b.png", "\1\2\3\4");
    mkdir(path_of("masks/a"), 0700);
    put_grey("masks/a/one.png", "\1\0\0\0");
    put_grey("masks/a/two.png", "\0\0\1\0");
    put_grey("masks/a/three.png", "\0\0\1\1");
    put_grey("masks/b.png", "\0\1\0\0");
}

static void a_mask_for_each_object(void **state)
{
    (void)state;
    if (!start()) skip();
    put_objects();
    mkdir(path_of("masks/other"), 0700);
    put_grey("masks/other/x.png", "\5\6\7\1");
    put_file("masks/a/four.jpg", "no PNG", 6);
    assert_string_equal(in_digits(read_masks(NULL)), "1011 0100");
    assert_true(report.joined == 1 && report.left_out == 2);
    assert_null(read_masks(&(gr_image_set_options){.classes = 2}));
    assert_error("label maps", GR_ERR_FORMAT, "masks/a is a folder: expected one label map");
    put_grey("masks/a/four.png", "\0\0\2\0");
    assert_null(read_masks(NULL));
    assert_error("values", GR_ERR_FORMAT, "2 (5 %): which is foreground");
    put_picture("masks/a/four.png", &(picture){2, 2, 8, 0, .rows = "\0\0\0\0"});
    assert_null(read_masks(NULL));
    assert_error("sizes", GR_ERR_FORMAT, "masks/a differ in size: 2 x 2 and 1 x 4");
    files_in(path_of("masks/a"), true);
    assert_null(read_masks(NULL));
    assert_error("none", GR_ERR_FORMAT, "no PNG files in");
    put_grey("masks/a.png", "\0\0\0\0");
    assert_null(read_masks(NULL));
    assert_error("both", GR_ERR_FORMAT, "have the name a");
}

static bool read_objects(void)
{
    gr_dataset *set = read_masks(&(gr_image_set_options){.values = "1"});
    gr_dataset_free(set);
    return set != NULL;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    if (!start()) skip();
    put_objects();
    assert_true(every_allocation_fails("image_set_read", read_objects) > 40);
}

/* ---- The user's files --------------------------------------------------------------------------------------- */

/* Masks of micrographs, 0 and 255, written anew as 0 and 1, and as two halves of each, are the same masks. */
static void nuclei_in_other_ways(void **state)
{
    (void)state;
    const char *root = getenv("GRADUS_DATA");
    if (!root || !*root || !start()) skip();
    char images[1024], masks[1024], name[64];
    snprintf(images, sizeof images, "%s/nuclei/test/images", root);
    snprintf(masks, sizeof masks, "%s/nuclei/test/masks", root);
    if (access(images, R_OK) != 0) skip();
    const gr_image_set_options ten = {.limit = 10};
    gr_dataset *set = gr_image_set_read(images, masks, &ten, &report);
    if (!set) fail_msg("%s", gr_last_error());
    assert_true(report.images == 10 && report.empty == 0 && strstr(report.meaning, "foreground is 255 (") != NULL);
    const int64_t size = gr_size(gr_dataset_y(set)) / 10;
    const int side = (int)gr_dim(gr_dataset_y(set), 3);
    gr_tensor *part = gr_zeros(GR_F32, GR_SHAPE(side, side));
    for (int i = 0; i < 10; i++) {
        const float *truth = gr_read_f32(gr_dataset_y(set)) + i * size;
        snprintf(name, sizeof name, "images/%d.png", i);
        assert_int_equal(gr_png_write(path_of(name), part), GR_OK);
        mkdir(path_of(i ? "masks/none" : "masks/0"), 0700); /* image 0 has a folder of two */
        for (int half = 0; half < (i ? 1 : 2); half++) {
            for (int64_t k = 0; k < size; k++)
                gr_f32(part)[k] = (i || (k % side < side / 2) == half) && truth[k] > 0.0f ? 1.0f / 255.0f : 0.0f;
            snprintf(name, sizeof name, i ? "masks/%d.png" : "masks/%d/%d.png", i, half);
            assert_int_equal(gr_png_write(path_of(name), part), GR_OK);
        }
    }
    gr_dataset *again = read_masks(NULL);
    if (!again) fail_msg("%s", gr_last_error());
    assert_true(report.joined == 1 && strstr(report.meaning, "foreground is 1 (") != NULL);
    assert_memory_equal(gr_read_f32(gr_dataset_y(again)), gr_read_f32(gr_dataset_y(set)), 10 * (size_t)size * 4);
    gr_dataset_free(again);
    gr_dataset_free(set);
    gr_tensor_free(part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_encoding),     cmocka_unit_test(sixteen_of_sixty_four),
        cmocka_unit_test(the_report_says_it), cmocka_unit_test(all_of_them_decide),
        cmocka_unit_test(many_values),        cmocka_unit_test(bad_options),
        cmocka_unit_test(a_suffix),           cmocka_unit_test(a_mask_for_each_object),
        cmocka_unit_test(memory_may_run_out), cmocka_unit_test(nuclei_in_other_ways),
    };
    return cmocka_run_group_tests_name("masks", tests, make_directory, remove_all);
}
