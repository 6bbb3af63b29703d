/* test_outputs.c: what the library writes. A program that reads it finds the same bytes in every locale: the tests run
 * in the locale of the environment, which has a decimal comma when tests/with_comma starts them. And a file that does
 * not take what is written is an error of every function that writes. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "files.h"

#include <locale.h>
#include <gradus/gradus.h>
#include "tensor/internal.h"

/* ---- One example of each thing that is written -------------------------------------------------------------- */

static gr_tape *tape;
static gr_tensor *x, *image;
static gr_params *params;
static gr_check_report report; /* its numbers are set below: none of them is whole */
static const gr_check_report no_pass = {
    .verdict = GR_CHECK_FAIL,
    .compared = 2,
    .failed = 1,
    .n_worst = 1,
    .hint = "a hint",
    .worst = {{.verdict = GR_CHECK_FAIL,
               .place = "w[0,1]",
               .op = "mul",
               .node = 3,
               .output = -1,
               .analytic = 0.5,
               .numeric = -1.25e-300,
               .error = 1.5e300,
               .relative = 0.1,
               .step = 0x1p-20,
               .below = 1234567.5,
               .above = -0.75,
               .left = 0.25,
               .right = 0.375}},
};

static int make_things(void **state)
{
    report = no_pass;
    tape = gr_tape_new();
    x = gr_from(GR_F32, GR_SHAPE(2), (float[]){0.5f, -1.25f});
    image = gr_full(GR_F32, GR_SHAPE(2, 2), 0.5);
    params = gr_params_new();
    bool made =
        gr_params_add(params, "w", gr_full(GR_F32, GR_SHAPE(3), 1.5)) && !gr_require_grad(x) &&
        !gr_backward(tape, gr_sum(tape, gr_scale(tape, gr_square(tape, x), 0.5), GR_ALL_AXES, false), GR_RETAIN);
    return made ? make_directory(state) : -1;
}

static int free_things(void **state)
{
    gr_tape_free(tape);
    gr_tensor_free(x);
    gr_tensor_free(image);
    gr_params_free(params);
    return remove_directory(state);
}

static gr_status print_it(FILE *file) { return gr_fprint(file, x); }
static gr_status print_params(FILE *file) { return gr_params_fprint(file, params); }
static gr_status print_report(FILE *file) { return gr_check_fprint(file, &report); }
static gr_status print_csv(FILE *file) { return gr_check_fprint_csv(file, &report); }
static gr_status print_json(FILE *file) { return gr_check_fprint_json(file, &report); }
static gr_status draw_it(FILE *file) { return gr_draw(file, tape, NULL); }
static gr_status draw_largest(FILE *file) { return gr_draw(file, tape, &(gr_draw_options){.max_elements = 1}); }

/* Each function that writes to a FILE, and a part of what it must write. */
static const struct {
    const char *name;
    gr_status (*write)(FILE *file);
    const char *part;
} writers[] = {
    {"gr_fprint", print_it, "[ 0.5  -1.25]  f32[2]\n"},
    {"gr_params_fprint", print_params, "w      f32  [3]  3\n"},
    {"gr_check_fprint", print_report, "5.000000000e-01 -1.250000000e-300  1.5e+300   1.0e-01  1.234567500e+06"},
    {"gr_check_fprint", print_report, "  between 0.25 and 0.375  mul, node 3\n"},
    {"gr_check_fprint_csv", print_csv,
     "\nFAIL,\"w[0,1]\",0,0,-1,\"mul\",3,0.5,-1.25e-300,1.5000000000000001e+300,0.10000000000000001,"
     "9.5367431640625e-07,1234567.5,-0.75,0.25,0.375\n"},
    {"gr_check_fprint_json", print_json,
     "\"analytic\": 0.5, \"numeric\": -1.25e-300, \"error\": 1.5000000000000001e+300, \"relative\": "
     "0.10000000000000001, \"step\": 9.5367431640625e-07, \"below\": 1234567.5, \"above\": -0.75, \"left\": 0.25, "
     "\"right\": 0.375}"},
    {"gr_draw", draw_it, "value 0.5 -1.25 | gradient 0.5 -1.25 }"},
    {"gr_draw", draw_largest, "value -1.25 .. -0.375 .. 0.5 | gradient"},
};

/* ---- The locale --------------------------------------------------------------------------------------------- */

static void numbers_have_points(void **state)
{
    (void)state;
    for (int i = 0; i < GR_COUNT(writers); i++) {
        char text[8192];
        FILE *file = tmpfile();
        assert_non_null(file);
        if (writers[i].write(file)) fail_msg("%s: %s", writers[i].name, gr_last_error());
        rewind(file);
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
        if (!strstr(text, writers[i].part)) fail_msg("%s: no \"%s\" in: %s", writers[i].name, writers[i].part, text);
    }
}

static void numbers_of_any_size(void **state)
{
    (void)state;
    static const struct {
        char as;
        int digits;
        double x;
        const char *text;
    } cases[] = {{'g', 17, 0.1, "0.10000000000000001"},
                 {'g', 4, -1234.5678, "-1235"},
                 {'g', 3, 1.5e-300, "1.5e-300"},
                 {'e', 2, 0.0, "0.00e+00"},
                 {'e', 0, 7.0, "7e+00"},
                 {'g', 3, (double)INFINITY, "inf"},
                 {'e', 3, (double)-INFINITY, "-inf"}};
    for (int i = 0; i < GR_COUNT(cases); i++)
        assert_string_equal(gr_digits_text(&(gr_text){{0}}, cases[i].as, cases[i].digits, cases[i].x), cases[i].text);
}

/* What is read, and the files with numbers in binary, do not depend on the locale either. */
static void files_are_the_same(void **state)
{
    (void)state;
    const char *path = path_of("table.csv");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("a,y\n1.5,-2.25e-1\n0.123456789012345678901234567890,3\n", file);
    assert_int_equal(fclose(file), 0);
    gr_dataset *set = gr_csv_read(path, &(gr_csv_options){.numeric_target = true, .dtype = GR_F64}, NULL);
    if (!set) fail_msg("%s", gr_last_error());
    assert_true(gr_get(gr_dataset_x(set), 0) == 1.5 && gr_get(gr_dataset_y(set), 0) == -0.225);
    assert_true(gr_get(gr_dataset_x(set), 1) == 0.12345678901234568);
    gr_dataset_free(set);
    assert_int_equal(gr_params_save(params, path_of("w.safetensors")), GR_OK);
    assert_int_equal(gr_params_load(params, path_of("w.safetensors")), GR_OK);
}

/* ---- A full disk -------------------------------------------------------------------------------------------- */

static void assert_not_taken(const char *name, FILE *file, gr_status (*write)(FILE *))
{
    assert_non_null(file);
    gr_clear_error();
    gr_status status = write(file);
    if (status != GR_ERR_IO) fail_msg("%s: %s", name, gr_status_text(status));
    assert_failed_with(name, GR_ERR_IO, "the file did not take all of it: ");
    if (strncmp(gr_last_error(), name + 3, strlen(name + 3)) != 0) fail_msg("%s: %s", name, gr_last_error());
    fclose(file);
}

static void full_disks_are_errors(void **state)
{
    (void)state;
    const bool full = access("/dev/full", W_OK) == 0;
    const char *path = path_of("read.only");
    fclose(fopen(path, "w"));
    for (int i = 0; i < GR_COUNT(writers); i++) {
        if (full) assert_not_taken(writers[i].name, fopen("/dev/full", "w"), writers[i].write);
        assert_not_taken(writers[i].name, fopen(path, "r"), writers[i].write);
        gr_clear_error();
        assert_int_equal(writers[i].write(NULL), GR_ERR_NULL);
        assert_failed_with(writers[i].name, GR_ERR_NULL, "file is NULL");
    }
    gr_clear_error();
    assert_int_equal(gr_check_fprint(stdout, NULL), GR_ERR_NULL);
    assert_int_equal(gr_check_fprint_csv(stdout, NULL), GR_ERR_NULL);
    assert_int_equal(gr_check_fprint_json(stdout, NULL), GR_ERR_NULL);
    if (!full) return;
    assert_int_equal(gr_params_save(params, "/dev/full"), GR_ERR_IO);
    gr_status status = gr_png_write("/dev/full", image);
    assert_true(status == GR_ERR_IO || status == GR_ERR_UNSUPPORTED);
}

/* Every function of the headers that takes a FILE is tried above. */
static void all_writers_are_tried(void **state)
{
    (void)state;
    static const char *const headers[] = {"tensor", "tape",  "ops",  "op",         "losses",  "nn",           "optim",
                                          "data",   "check", "draw", "checkpoint", "metrics", "segmentation", "status"};
    int found = 0;
    for (int i = 0; i < GR_COUNT(headers); i++) {
        char path[1024], line[1024], name[64];
        snprintf(path, sizeof path, "%s/include/gradus/%s.h", GR_SOURCE_DIR, headers[i]);
        FILE *file = fopen(path, "r");
        if (!file) fail_msg("no %s", path);
        while (fgets(line, sizeof line, file)) {
            const char *at = strstr(line, "FILE *file,");
            if (!at || strncmp(line, "GR_EXPORT", 9) != 0) continue;
            while (at > line && strncmp(at, " gr_", 4) != 0) at--;
            if (sscanf(at, " %63[a-z_]", name) != 1) fail_msg("%s: no name in %s", path, line);
            bool tried = false;
            for (int k = 0; k < GR_COUNT(writers); k++) tried |= strcmp(writers[k].name, name) == 0;
            if (!tried) fail_msg("%s is not tried", name);
            found++;
        }
        fclose(file);
    }
    assert_true(found >= 6);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_points),   cmocka_unit_test(numbers_of_any_size),
        cmocka_unit_test(files_are_the_same),    cmocka_unit_test(full_disks_are_errors),
        cmocka_unit_test(all_writers_are_tried),
    };
    const bool comma = argc > 1 && strcmp(argv[1], "--comma") == 0;
    setlocale(LC_ALL, "");
    char half[16];
    snprintf(half, sizeof half, "%.1f", 0.5);
    if (comma && strcmp(half, "0,5") != 0) return printf("this locale writes %s\n", half), 1;
    return cmocka_run_group_tests_name("outputs", tests, make_things, free_things);
}
