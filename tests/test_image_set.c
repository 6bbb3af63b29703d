/* test_image_set.c: folders of images and masks as data sets, cutting and resizing, generated shapes. */
#define _POSIX_C_SOURCE 200809L
#include "files.h"

#include <gradus/data.h>

#include "data/internal.h"

/* ---- Folders ------------------------------------------------------------------------------------------------ */

static void put_image(const char *name, int channels, int64_t h, int64_t w, double first)
{
    gr_tensor *image = gr_zeros(GR_F32, GR_SHAPE(channels, h, w));
    for (int64_t i = 0; i < gr_size(image); i++)
        assert_int_equal(gr_set(image, i, fmod(first + (double)i, 256.0) / 255.0), GR_OK);
    gr_status status = gr_png_write(path_of(name), image);
    gr_tensor_free(image);
    if (status) fail_msg("%s", gr_last_error());
}

/* Empty folders; false where the build has no libpng. */
static bool start(void)
{
    gr_tensor *dot = gr_zeros(GR_F32, GR_SHAPE(1, 1));
    gr_status status = gr_png_write(path_of("dot.png"), dot);
    gr_tensor_free(dot);
    files_in(directory, true);
    mkdir(path_of("images"), 0700);
    mkdir(path_of("masks"), 0700);
    files_in(path_of("images"), true);
    files_in(path_of("masks"), true);
    gr_clear_error();
    return status != GR_ERR_UNSUPPORTED;
}

static gr_dataset *read_set(const gr_image_set_options *options)
{
    return gr_image_set_read(path_of("images"), path_of("masks"), options, NULL);
}

static void pairs_are_read(void **state)
{
    (void)state;
    static const gr_image_set_options above_half = {.values = "128-255"};
    if (!start()) skip();
    put_image("images/b.png", 1, 2, 3, 10);
    put_image("masks/b.PNG", 1, 2, 3, 125);
    put_image("images/a.b.png", 3, 2, 3, 20); /* colours: made grey, as the first one is not */
    put_image("masks/a.b.png", 1, 2, 3, 200);
    put_image("images/B.png", 1, 2, 3, 30);
    put_image("masks/B.png", 1, 2, 3, 0);
    put_file("images/notes.txt", "x", 1);
    put_file("images/.png", "x", 1);
    gr_dataset *set = read_set(&above_half);
    if (!set) fail_msg("%s", gr_last_error());
    const gr_tensor *x = gr_dataset_x(set), *y = gr_dataset_y(set);
    assert_true(gr_dataset_size(set) == 3 && gr_dim(x, 1) == 1 && gr_dim(x, 2) == 2 && gr_dim(x, 3) == 3);
    assert_true(gr_rank(y) == 4 && gr_dim(y, 1) == 1 && gr_dim(y, 3) == 3 && gr_dataset_classes(set) == 0);
    static const char *const names[] = {"B", "a.b", "b"}; /* by their bytes */
    for (int i = 0; i < 3; i++) assert_string_equal(gr_dataset_sample_name(set, i), names[i]);
    assert_null(gr_dataset_sample_name(set, 3));
    assert_null(gr_dataset_sample_name(set, -1));
    assert_true(close_to(gr_get(x, 0), 30 / 255.0, 1e-7) && close_to(gr_get(x, 17), 15 / 255.0, 1e-7));
    assert_true(close_to(gr_get(x, 6), (20 * 0.299 + 26 * 0.587 + 32 * 0.114) / 255.0, 1e-6));
    static const double truth[] = {0, 0, 0, 1, 1, 1}; /* 125 to 130: above one half from 128 on */
    for (int i = 0; i < 6; i++) assert_true(gr_get(y, i) == 0 && gr_get(y, 12 + i) == truth[i]);
    gr_rng rng = gr_rng_seed(1);
    gr_dataset *one, *two;
    assert_int_equal(gr_dataset_split(set, 0.34, &rng, &one, &two), GR_OK);
    for (int64_t i = 0; i < 3; i++) { /* names go with their images */
        const gr_dataset *part = i ? two : one;
        int64_t at = i ? i - 1 : 0;
        int64_t from = 0;
        while (strcmp(names[from], gr_dataset_sample_name(part, at)) != 0) from++;
        assert_true(gr_get(gr_dataset_x(part), 6 * at) == gr_get(x, 6 * from));
    }
    gr_dataset_free(one);
    gr_dataset_free(two);
    gr_dataset_free(set);
    set = read_set(&(gr_image_set_options){.limit = 2, .channels = 3, .values = "128-255"});
    assert_true(set && gr_dataset_size(set) == 2 && gr_dim(gr_dataset_x(set), 1) == 3);
    gr_dataset_free(set);
}

static void partners_must_be_there(void **state)
{
    (void)state;
    if (!start()) skip();
    assert_null(read_set(NULL));
    assert_error("empty", GR_ERR_FORMAT, "image_set_read: no PNG files in");
    for (int i = 0; i < 5; i++)
        put_image((char[]){'i', 'm', 'a', 'g', 'e', 's', '/', (char)('a' + i), '.', 'p', 'n', 'g', 0}, 1, 2, 2, 0);
    put_image("masks/b.png", 1, 2, 2, 0);
    assert_null(read_set(NULL));
    assert_error("no mask", GR_ERR_FORMAT,
                 "no mask for a, c, d and 1 more: expected a mask of the same name for each image, but for .suffix");
    put_image("masks/x.png", 1, 2, 2, 0);
    assert_null(read_set(NULL));
    assert_error("both", GR_ERR_FORMAT, "no mask for a, c, d and 1 more; no image for x: expected");
    put_image("images/b.PNG", 1, 2, 2, 0);
    assert_null(read_set(NULL));
    assert_error("twice", GR_ERR_FORMAT, "have the name b");
    assert_null(gr_image_set_read(path_of("nowhere"), path_of("masks"), NULL, NULL));
    assert_error("no folder", GR_ERR_IO, "image_set_read: cannot open the folder");
    assert_null(gr_image_set_read(path_of("images"), NULL, NULL, NULL));
    assert_error("NULL", GR_ERR_NULL, "no folder of masks");
    static const gr_image_set_options bad[] = {{.channels = 2},
                                               {.limit = -1},
                                               {.height = 5},
                                               {.crop_width = 3},
                                               {.height = -1, .width = -1},
                                               {.height = 40000, .width = 4}};
    for (int i = 0; i < 6; i++) assert_true(!read_set(&bad[i]) && gr_last_status() == GR_ERR_OPTION);
}

static void shapes_must_agree(void **state)
{
    (void)state;
    if (!start()) skip();
    put_image("images/a.png", 1, 4, 6, 0);
    put_image("masks/a.png", 1, 4, 6, 120);
    put_image("images/b.png", 1, 6, 4, 0);
    put_image("masks/b.png", 1, 6, 4, 0);
    assert_null(read_set(&(gr_image_set_options){.values = "128-255"}));
    assert_error("sizes", GR_ERR_FORMAT, "not of the size of the first, 4 x 6: b (6 x 4): give a size or a crop");
    gr_dataset *set = read_set(&(gr_image_set_options){.values = "128-255", .crop_height = 2, .crop_width = 4});
    assert_true(set && gr_dim(gr_dataset_x(set), 2) == 2 && gr_dim(gr_dataset_x(set), 3) == 4);
    static const double middle[] = {7, 8, 9, 10, 13, 14, 15, 16};
    for (int i = 0; i < 8; i++) {
        assert_true(close_to(gr_get(gr_dataset_x(set), i), middle[i] / 255.0, 1e-7));
        assert_true(gr_get(gr_dataset_y(set), i) == (middle[i] + 120 > 127.5));
    }
    gr_dataset_free(set);
    set = read_set(&(gr_image_set_options){.values = "128-255", .height = 2, .width = 3});
    assert_true(set && gr_dim(gr_dataset_x(set), 2) == 2 && gr_dim(gr_dataset_x(set), 3) == 3);
    assert_true(close_to(gr_get(gr_dataset_x(set), 0), (0 + 1 + 6 + 7) / 4.0 / 255.0, 1e-6)); /* area */
    assert_true(gr_get(gr_dataset_y(set), 0) == 0 &&
                gr_get(gr_dataset_y(set), 1) == 1); /* nearest: 7 and 9, with 120 */
    gr_dataset_free(set);
    set = read_set(
        &(gr_image_set_options){.values = "128-255", .crop_height = 4, .crop_width = 4, .height = 9, .width = 5});
    assert_true(set && gr_dim(gr_dataset_y(set), 2) == 9 && gr_dim(gr_dataset_y(set), 3) == 5);
    gr_dataset_free(set);
    assert_null(read_set(&(gr_image_set_options){.values = "128-255", .crop_height = 5, .crop_width = 4}));
    assert_error("crop", GR_ERR_FORMAT, "a is 4 x 6: smaller than the crop of 5 x 4");
    put_image("masks/b.png", 1, 5, 4, 0);
    assert_null(read_set(&(gr_image_set_options){.values = "128-255", .height = 2, .width = 3}));
    assert_error("mask", GR_ERR_FORMAT, "image and mask differ in size: b (6 x 4, its mask 5 x 4)");
    put_file("images/a.png", "broken file", 11);
    assert_null(read_set(&(gr_image_set_options){.values = "128-255"}));
    assert_error("damage", GR_ERR_FORMAT, "images/a.png: Not a PNG file");
}

static bool read_it(void)
{
    gr_dataset *set = read_set(
        &(gr_image_set_options){.values = "128-255", .crop_height = 3, .crop_width = 3, .height = 2, .width = 2});
    gr_dataset_free(set);
    return set != NULL;
}

static bool split_it(void)
{
    gr_rng rng = gr_rng_seed(1);
    gr_dataset *set = read_set(&(gr_image_set_options){.values = "128-255"}), *one = NULL, *two = NULL;
    bool well = set && !gr_dataset_split(set, 0.5, &rng, &one, &two);
    gr_dataset_free(set);
    gr_dataset_free(one);
    gr_dataset_free(two);
    return well;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    if (!start()) skip();
    put_image("images/a.png", 1, 4, 6, 0);
    put_image("masks/a.png", 1, 4, 6, 120);
    put_image("images/b.png", 1, 4, 6, 0);
    put_image("masks/b.png", 1, 4, 6, 0);
    assert_true(every_allocation_fails("image_set_read", read_it) > 20);
    assert_true(every_allocation_fails("dataset_split", split_it) > 20);
}

/* ---- Resizing ----------------------------------------------------------------------------------------------- */

static void resizing(void **state)
{
    (void)state;
    gr_tensor *row = gr_from(GR_F32, GR_SHAPE(1, 1, 4), (float[]){0, 1, 2, 3});
    static const struct {
        int64_t width;
        bool nearest;
        double values[8];
    } cases[] = {{2, false, {0.5, 2.5}},   {3, false, {0.25, 1.5, 2.75}},
                 {1, false, {1.5}},        {8, false, {0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3}},
                 {2, true, {1, 3}},        {8, true, {0, 0, 1, 1, 2, 2, 3, 3}},
                 {4, false, {0, 1, 2, 3}}, {3, true, {0, 2, 3}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_tensor *wide = gr_resize(row, 1, cases[i].width, cases[i].nearest);
        gr_tensor *column = gr_view(row, GR_SHAPE(1, 4, 1)),
                  *high = gr_resize(column, cases[i].width, 1, cases[i].nearest);
        for (int64_t k = 0; k < cases[i].width; k++)
            if (!close_to(gr_get(wide, k), cases[i].values[k], 1e-6) || gr_get(wide, k) != gr_get(high, k))
                fail_msg("case %zu, pixel %lld: %g and %g", i, (long long)k, gr_get(wide, k), gr_get(high, k));
        gr_tensor_free(high);
        gr_tensor_free(column);
        gr_tensor_free(wide);
    }
    gr_tensor_free(row);
    gr_rng rng = gr_rng_seed(2);
    gr_tensor *image = gr_uniform(GR_F32, GR_SHAPE(3, 17, 23), 0, 1, &rng);
    for (int64_t n = 1; n < 50; n += 3) { /* within its bounds, and by area its mean stays */
        gr_tensor *to = gr_resize(image, n, 2 * n, false);
        double sum = 0.0, mean = 0.0;
        for (int64_t k = 0; k < gr_size(to); k++) {
            assert_true(gr_get(to, k) >= 0.0 && gr_get(to, k) <= 1.0);
            sum += gr_get(to, k) / (double)gr_size(to);
        }
        for (int64_t k = 0; k < gr_size(image); k++) mean += gr_get(image, k) / (double)gr_size(image);
        assert_true(2 * n > 17 || fabs(sum - mean) < 1e-5);
        gr_tensor_free(to);
    }
    gr_tensor_free(image);
}

/* ---- Shapes ------------------------------------------------------------------------------------------------- */

static double share(const gr_tensor *y, int64_t i, int64_t size)
{
    double sum = 0.0;
    for (int64_t k = 0; k < size; k++) sum += gr_get(y, i * size + k);
    return sum / (double)size;
}

static void the_share_is_what_was_asked(void **state)
{
    (void)state;
    static const double shares[] = {0, 0.005, 0.03, 0.2, 0.5, 0.97};
    static const int64_t sides[][2] = {{64, 64}, {33, 50}, {16, 16}, {0, 0}};
    gr_rng rng = gr_rng_seed(7);
    for (int s = 0; s < 6; s++)
        for (int k = 0; k < 4; k++) {
            gr_shapes_options o = {.count = 12, .height = sides[k][0], .width = sides[k][1], .foreground = shares[s]};
            int64_t size = sides[k][0] ? sides[k][0] * sides[k][1] : 64 * 64;
            double wanted = shares[s] > 0.0 ? shares[s] : 0.1;
            gr_dataset *set = gr_make_shapes(&o, &rng);
            if (!set) fail_msg("%s", gr_last_error());
            assert_true(gr_size(gr_dataset_y(set)) == 12 * size && gr_dim(gr_dataset_x(set), 1) == 1);
            for (int64_t i = 0; i < 12; i++) {
                double got = share(gr_dataset_y(set), i, size);
                if (fabs(got - wanted) > 0.02 * wanted + 3.0 / (double)size)
                    fail_msg("%g wanted of %lld pixels, got %g", wanted, (long long)size, got);
            }
            gr_dataset_free(set);
        }
}

static void brightness_is_what_was_asked(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(8);
    gr_shapes_options o = {.count = 8, .foreground = 0.3, .contrast = 0.5, .noise = 0.05, .hard = 0.25};
    gr_dataset *set = gr_make_shapes(&o, &rng);
    int hard = 0;
    for (int64_t i = 0; i < 8; i++) {
        double sum[2] = {0, 0}, n[2] = {0, 0}, squares = 0.0;
        for (int64_t k = i * 4096; k < (i + 1) * 4096; k++) {
            double v = gr_get(gr_dataset_x(set), k);
            int inside = gr_get(gr_dataset_y(set), k) > 0.5;
            assert_true(v >= 0.0 && v <= 1.0);
            sum[inside] += v;
            n[inside]++;
            squares += v * v;
        }
        double contrast = sum[1] / n[1] - sum[0] / n[0];
        double noise = sqrt((squares - sum[0] * sum[0] / n[0] - sum[1] * sum[1] / n[1]) / 4096);
        if (contrast < 0.3) hard++;
        assert_true(fabs(contrast - (contrast < 0.3 ? 0.125 : 0.5)) < 0.01 && fabs(noise - 0.05) < 0.005);
    }
    assert_int_equal(hard, 2);
    gr_dataset_free(set);
    o.noise = -1;
    set = gr_make_shapes(&o, &rng);
    for (int64_t k = 0; k < 4096; k++) {
        double v = gr_get(gr_dataset_x(set), k);
        assert_true(v == 0.25 || v == 0.75);
    }
    gr_dataset_free(set);
}

static void the_seed_decides(void **state)
{
    (void)state;
    gr_rng one = gr_rng_seed(3), two = one, other = gr_rng_seed(4);
    gr_dataset *a = gr_make_shapes(NULL, &one), *b = gr_make_shapes(NULL, &two), *c = gr_make_shapes(NULL, &other);
    assert_int_equal(gr_dataset_size(a), 64);
    size_t bytes = (size_t)gr_size(gr_dataset_x(a)) * sizeof(float);
    assert_memory_equal(gr_read_f32(gr_dataset_x(a)), gr_read_f32(gr_dataset_x(b)), bytes);
    assert_memory_equal(gr_read_f32(gr_dataset_y(a)), gr_read_f32(gr_dataset_y(b)), bytes);
    assert_memory_not_equal(gr_read_f32(gr_dataset_y(a)), gr_read_f32(gr_dataset_y(c)), bytes);
    assert_memory_equal(&one, &two, sizeof one);
    gr_dataset_free(a);
    gr_dataset_free(b);
    gr_dataset_free(c);
}

static bool make_some(void)
{
    gr_rng rng = gr_rng_seed(3);
    const gr_rng before = rng;
    gr_dataset *set = gr_make_shapes(&(gr_shapes_options){.count = 2, .height = 16, .width = 16}, &rng);
    gr_dataset_free(set);
    if ((memcmp(&rng, &before, sizeof rng) == 0) != (set == NULL)) fail_msg("rng moved on a failure, or did not");
    return set != NULL;
}

static void shapes_refuse(void **state)
{
    (void)state;
    static const gr_shapes_options bad[] = {{.count = -1},
                                            {.height = 3},
                                            {.width = 5000},
                                            {.foreground = 1},
                                            {.foreground = -0.1},
                                            {.foreground = 1e-5},
                                            {.shapes = -1},
                                            {.contrast = 1.5},
                                            {.contrast = -1},
                                            {.noise = (double)INFINITY},
                                            {.hard = 1.1},
                                            {.hard = -0.1},
                                            {.foreground = (double)NAN}};
    gr_rng rng = gr_rng_seed(1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gr_clear_error();
        assert_null(gr_make_shapes(&bad[i], &rng));
        assert_failed_with("shapes", GR_ERR_OPTION, "make_shapes: ");
    }
    assert_null(gr_make_shapes(NULL, NULL));
    assert_error("no rng", GR_ERR_NULL, "rng is NULL");
    assert_true(every_allocation_fails("make_shapes", make_some) >= 3);
}

/* ---- The user's files --------------------------------------------------------------------------------------- */

static void user_nuclei(void **state)
{
    (void)state;
    const char *root = getenv("GRADUS_DATA");
    if (!root || !*root || !start()) skip();
    char images[1024], masks[1024];
    snprintf(images, sizeof images, "%s/nuclei/test/images", root);
    snprintf(masks, sizeof masks, "%s/nuclei/test/masks", root);
    if (access(images, R_OK) != 0) skip();
    gr_dataset *set = gr_image_set_read(images, masks, NULL, NULL);
    if (!set) fail_msg("%s", gr_last_error());
    assert_int_equal(gr_dataset_size(set), 30);
    assert_true(gr_dim(gr_dataset_x(set), 1) == 1 && gr_dim(gr_dataset_x(set), 2) == 256);
    for (int64_t i = 0; i < 30; i++) {
        double foreground = share(gr_dataset_y(set), i, 256 * 256);
        assert_true(foreground > 0.0005 && foreground < 0.4);
    }
    gr_dataset_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_read),
        cmocka_unit_test(partners_must_be_there),
        cmocka_unit_test(shapes_must_agree),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(resizing),
        cmocka_unit_test(the_share_is_what_was_asked),
        cmocka_unit_test(brightness_is_what_was_asked),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(shapes_refuse),
        cmocka_unit_test(user_nuclei),
    };
    return cmocka_run_group_tests_name("image_set", tests, make_directory, remove_directory);
}
