/* test_checkpoint.c: parameters to a file and back, bit for bit; files that do not fit, that are damaged or lie;
 * failing allocations. Nothing may change when loading fails. */
#define _POSIX_C_SOURCE 200809L
#include "files.h"

#include <gradus/checkpoint.h>

#include "data/internal.h"

/* f32, f64, i32; a scalar, an empty one, names that need escaping. */
static gr_params *make_set(double first)
{
    gr_params *params = gr_params_new();
    gr_rng rng = gr_rng_seed((uint64_t)(first * 16.0));
    gr_tensor *count = gr_full(GR_I32, GR_SHAPE(2), -7);
    if (!params || !count || gr_set(count, 1, first) || /* whichever fails first, the rest is NULL in, NULL out */
        !gr_params_add(params, "enc1.w", gr_normal(GR_F32, GR_SHAPE(8, 1, 3, 3), first, 1.0, &rng)) ||
        !gr_params_add(params, "scalar", gr_scalar(GR_F64, first / 3.0)) ||
        !gr_params_add(params, "\"quoted\\\n\x01 \xc3\xa9\"", gr_full(GR_F64, GR_SHAPE(1, 3), first)) ||
        !gr_params_add_buffer(params, "empty", gr_zeros(GR_F32, GR_SHAPE(3, 0)))) {
        gr_tensor_free(count);
        gr_params_free(params);
        return NULL;
    }
    if (!gr_params_add_buffer(params, "bn.count", count)) {
        gr_params_free(params);
        return NULL;
    }
    return params;
}

static gr_tensor *tensor_at(const gr_params *params, int i)
{
    return i < gr_params_count(params) ? gr_params_at(params, i)
                                       : gr_params_buffer_at(params, i - gr_params_count(params));
}

static bool same_values(const gr_params *a, const gr_params *b)
{
    for (int i = 0; i < 5; i++)
        for (int64_t k = 0; k < gr_size(tensor_at(a, i)); k++)
            if (gr_get(tensor_at(a, i), k) != gr_get(tensor_at(b, i), k)) return false;
    return true;
}

static void weights_come_back(void **state)
{
    (void)state;
    gr_params *a = make_set(2.0), *b = make_set(5.0);
    assert_true(a && b && !same_values(a, b));
    assert_int_equal(gr_params_save(a, path_of("m.safetensors")), GR_OK);
    assert_int_equal(gr_params_load(b, path_of("m.safetensors")), GR_OK);
    assert_true(same_values(a, b));
    assert_int_equal(gr_params_save(b, path_of("again.safetensors")), GR_OK); /* over itself, and the same bytes */
    assert_int_equal(gr_params_save(b, path_of("again.safetensors")), GR_OK);
    size_t size, size2;
    unsigned char *one = get_file(path_of("m.safetensors"), &size),
                  *two = get_file(path_of("again.safetensors"), &size2);
    assert_int_equal(size, size2);
    assert_memory_equal(one, two, size);
    assert_int_equal(files_in(directory, true), 2);
    free(one);
    free(two);
    gr_params_free(a);
    gr_params_free(b);
}

/* The very bytes, so that every other reader of the format agrees. */
static void the_format_is_safetensors(void **state)
{
    (void)state;
    gr_params *params = gr_params_new();
    gr_tensor *w = gr_params_add(params, "w", gr_from(GR_F32, GR_SHAPE(1, 2), (float[]){1.0f, -2.5f}));
    gr_tensor *n = gr_params_add_buffer(params, "n", gr_scalar(GR_I32, 258));
    assert_true(w && n);
    assert_int_equal(gr_params_save(params, path_of("f")), GR_OK);
    static const char header[] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                                 "\"n\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[8,12]}}   ";
    size_t size;
    unsigned char *bytes = get_file(path_of("f"), &size);
    assert_int_equal(bytes[0], sizeof header - 1);
    assert_memory_equal(bytes + 1, "\0\0\0\0\0\0\0", 7);
    assert_memory_equal(bytes + 8, header, sizeof header - 1);
    assert_int_equal((sizeof header - 1) % 8, 0);
    assert_int_equal(size, 8 + sizeof header - 1 + 12);
    assert_memory_equal(bytes + size - 12, "\0\0\x80\x3f\0\0\x20\xc0\x02\x01\0\0", 12);
    free(bytes);
    gr_params_free(params);
}

/* ---- Headers ------------------------------------------------------------------------------------------------ */

#define W "\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
#define B "\"b\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[8,16]}"

static const struct {
    const char *what, *header;
    size_t data; /* bytes behind it */
    gr_status status;
    const char *message;
} headers[] = {
    {"as written", "{" W "," B "}", 16, GR_OK, ""},
    {"the other order", "{" B "," W "}", 16, GR_OK, ""},
    {"blanks", "{ " W " ,\n\t" B " }   \r\n", 16, GR_OK, ""},
    {"metadata", "{\"__metadata__\":{\"format\":\"pt\",\"a\\u00e9\\ud83d\\ude00\":\"\"}," W "," B "}", 16, GR_OK, ""},
    {"empty metadata", "{" W ",\"__metadata__\":{ }," B "}", 16, GR_OK, ""},
    {"members turned",
     "{\"w\":{\"data_offsets\":[8,16],\"shape\":[2],\"dtype\":\"F32\"},"
     "\"\\u0062\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}}",
     16, GR_OK, ""},
    {"nothing", "{}", 0, GR_ERR_INDEX, "w is in the set and not in the file"},
    {"one missing", "{" W "}", 8, GR_ERR_INDEX, "b is in the set and not in the file"},
    {"one too many", "{" W "," B ",\"c\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[16,16]}}", 16, GR_ERR_INDEX,
     "c is in the file and not in the set"},
    {"twice", "{" W "," W "," B "}", 16, GR_ERR_FORMAT, "w is there twice"},
    {"another dtype", "{\"w\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}," B "}", 12, GR_ERR_DTYPE,
     "w is bf16 [2] in the file and f32 [2] here"},
    {"another shape", "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}," B "}", 16, GR_ERR_SHAPE,
     "w is f32 [2,1] in the file and f32 [2] here"},
    {"a shape beyond all",
     "{\"w\":{\"dtype\":\"F32\",\"shape\":[9007199254740992,9007199254740992],\"data_offsets\":[0,8]}," B "}", 16,
     GR_ERR_SHAPE, "w is f32 [9007199254740992,9007199254740992] in the file"},
    {"too few bytes", "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,7]}," B "}", 16, GR_ERR_FORMAT,
     "w has the bytes 0 to 7: expected 8"},
    {"overlap", "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}," B "}", 16, GR_ERR_FORMAT,
     "w and b overlap"},
    {"a gap", "{" W ",\"b\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[16,24]}}", 24, GR_ERR_FORMAT,
     "there is a gap"},
    {"far beyond",
     "{" W ",\"b\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[9007199254740984,9007199254740992]}}", 16,
     GR_ERR_FORMAT, "b lies beyond the others"},
    {"data cut off", "{" W "," B "}", 15, GR_ERR_FORMAT, "the file ends after 15 bytes of 16"},
    {"data beyond", "{" W "," B "}", 17, GR_ERR_FORMAT, "there are bytes behind the 16"},
    {"offsets turned", "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, GR_ERR_FORMAT,
     "not a beginning and an end"},
    {"three offsets", "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]}}", 8, GR_ERR_FORMAT,
     "too many numbers"},
    {"one offset", "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, GR_ERR_FORMAT,
     "not a beginning and an end"},
    {"rank 9", "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,8]}}", 8, GR_ERR_FORMAT,
     "too many numbers"},
    {"a negative size", "{\"w\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, GR_ERR_FORMAT,
     "a whole number expected"},
    {"a point", "{\"w\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, GR_ERR_FORMAT,
     "] or , expected"},
    {"an exponent", "{\"w\":{\"dtype\":\"F32\",\"shape\":[2e0],\"data_offsets\":[0,8]}}", 8, GR_ERR_FORMAT,
     "] or , expected"},
    {"a 0 in front", "{\"w\":{\"dtype\":\"F32\",\"shape\":[02],\"data_offsets\":[0,8]}}", 8, GR_ERR_FORMAT,
     "a 0 in front"},
    {"a huge number", "{\"w\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}}", 8,
     GR_ERR_FORMAT, "too large"},
    {"no shape", "{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, GR_ERR_FORMAT, "is missing"},
    {"dtype twice", "{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, GR_ERR_FORMAT,
     "a member is there twice"},
    {"another member", "{\"w\":{\"strides\":[1]}}", 8, GR_ERR_FORMAT, "neither dtype, shape nor data_offsets"},
    {"a dtype in small letters", "{\"w\":{\"dtype\":\"f32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, GR_ERR_FORMAT,
     "an unknown dtype"},
    {"an empty entry", "{\"w\":{}}", 8, GR_ERR_FORMAT, "a text in quotes expected"},
    {"a comma at the end", "{" W ",}", 8, GR_ERR_FORMAT, "a text in quotes expected"},
    {"a comma in a list", "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,],\"data_offsets\":[0,8]}}", 8, GR_ERR_FORMAT,
     "a whole number expected"},
    {"something behind", "{" W "," B "} x", 16, GR_ERR_FORMAT, "something stands behind it"},
    {"a 0 within", "{" W "," B "}\0", 16, GR_ERR_FORMAT, "something stands behind it"},
    {"blanks in front", " {" W "," B "}", 16, GR_ERR_FORMAT, "at byte 0: { expected"},
    {"an array", "[]", 0, GR_ERR_FORMAT, "{ expected"},
    {"open", "{" W, 8, GR_ERR_FORMAT, "} or , expected"},
    {"an open text", "{\"w", 8, GR_ERR_FORMAT, "it ends within a text"},
    {"an open escape", "{\"w\\", 0, GR_ERR_FORMAT, "byte 4: an unknown escape"},
    {"an unknown escape", "{\"w\\x\":0}", 8, GR_ERR_FORMAT, "an unknown escape"},
    {"half a surrogate", "{\"\\ud83d\":0}", 8, GR_ERR_FORMAT, "a \\u that is no character"},
    {"the wrong half", "{\"\\ude00\":0}", 8, GR_ERR_FORMAT, "a \\u that is no character"},
    {"a 0 as a code", "{\"w\\u0000\":0}", 8, GR_ERR_FORMAT, "a \\u that is no character"},
    {"not UTF-8", "{\"\xff\":0}", 8, GR_ERR_FORMAT, "not UTF-8"},
    {"an overlong form", "{\"\xc0\xaf\":0}", 8, GR_ERR_FORMAT, "not UTF-8"},
    {"a control character", "{\"w\n\":0}", 8, GR_ERR_FORMAT, "a control character"},
    {"metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, GR_ERR_FORMAT, "__metadata__ is there twice"},
    {"metadata of numbers", "{\"__metadata__\":{\"a\":1}}", 0, GR_ERR_FORMAT, "a text in quotes expected"},
};

static const char *put_safetensors(const char *header, size_t length, uint64_t claimed, size_t data)
{
    static unsigned char bytes[4096];
    assert_true(8 + length + data <= sizeof bytes);
    for (int k = 0; k < 8; k++) bytes[k] = (unsigned char)(claimed >> 8 * k);
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < data; i++) bytes[8 + length + i] = (unsigned char)(i * 3);
    return put_file("h", bytes, 8 + length + data);
}

static gr_params *small_set(void)
{
    gr_params *params = gr_params_new();
    assert_non_null(gr_params_add(params, "w", gr_full(GR_F32, GR_SHAPE(2), 0.5)));
    assert_non_null(gr_params_add(params, "b", gr_scalar(GR_F64, 0.5)));
    return params;
}

static bool is_untouched(const gr_params *params)
{
    return gr_get(gr_params_at(params, 0), 0) == 0.5 && gr_get(gr_params_at(params, 0), 1) == 0.5 &&
           gr_get(gr_params_at(params, 1), 0) == 0.5;
}

static void headers_are_read_strictly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        size_t length = strlen(headers[i].header) + (strcmp(headers[i].what, "a 0 within") == 0);
        const char *path = put_safetensors(headers[i].header, length, length, headers[i].data);
        gr_params *params = small_set();
        counting memory;
        counting_begin(&memory);
        gr_clear_error();
        gr_status status = gr_params_load(params, path);
        counting_end();
        if (status != headers[i].status) fail_msg("%s: status %d, \"%s\"", headers[i].what, status, gr_last_error());
        if (status) assert_failed_with(headers[i].what, headers[i].status, headers[i].message);
        if (status && !strstr(gr_last_error(), "params_load: ")) fail_msg("%s: %s", headers[i].what, gr_last_error());
        if (memory.live || is_untouched(params) != (status != GR_OK))
            fail_msg("%s: touched, or leaks", headers[i].what);
        gr_params_free(params);
    }
}

static void lengths_are_checked(void **state)
{
    (void)state;
    static const struct {
        uint64_t claimed;
        const char *message;
    } lengths[] = {{0, "a header's length is missing"},
                   {1, "a header's length is missing"},
                   {UINT64_MAX, "a header's length is missing"},
                   {100000001, "a header's length is missing"},
                   {100000000, "ends in its header, after 18 bytes of 100000000"}};
    gr_params *params = small_set();
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        counting memory;
        const char *path = put_safetensors("{}", 2, lengths[i].claimed, 16);
        counting_begin(&memory);
        assert_int_equal(gr_params_load(params, path), GR_ERR_FORMAT);
        counting_end();
        assert_error("a length", GR_ERR_FORMAT, lengths[i].message);
        assert_true(memory.live == 0 && memory.calls < 10);
    }
    assert_int_equal(gr_params_load(params, put_file("h", "\2\0\0\0", 4)), GR_ERR_FORMAT);
    assert_error("short", GR_ERR_FORMAT, "too short for a safetensors file");
    assert_int_equal(gr_params_load(params, path_of("nowhere")), GR_ERR_IO);
    gr_clear_error();
    assert_int_equal(gr_params_load(NULL, path_of("h")), GR_ERR_NULL);
    gr_clear_error();
    assert_int_equal(gr_params_load(params, NULL), GR_ERR_NULL);
    assert_true(is_untouched(params));
    gr_params_free(params);
}

/* Every cut and many changed bytes: an error or the same names and shapes, and never a half of it. */
static void damage_is_harmless(void **state)
{
    (void)state;
    gr_params *params = make_set(3.0), *other = make_set(4.0), *before = make_set(4.0);
    assert_int_equal(gr_params_save(params, path_of("d")), GR_OK);
    size_t size;
    unsigned char *bytes = get_file(path_of("d"), &size), *bad = malloc(size);
    gr_rng rng = gr_rng_seed(5);
    int loaded = 0;
    for (size_t round = 0; round < size + 1200; round++) {
        size_t length = round < size ? round : size;
        memcpy(bad, bytes, size);
        for (int k = 0; round >= size && k < 2; k++) {
            size_t at = (size_t)gr_rng_below(&rng, (int64_t)(round % 2 ? 500 : size));
            bad[at] = (unsigned char)(gr_rng_below(&rng, 2)
                                          ? (uint64_t)(unsigned char)"{}[]\",:\\0u 9"[gr_rng_below(&rng, 12)]
                                          : gr_rng_u64(&rng));
        }
        counting memory;
        const char *path = put_file("bad", bad, length);
        counting_begin(&memory);
        gr_status status = gr_params_load(other, path);
        counting_end();
        assert_int_equal(memory.live, 0);
        if (!status) {
            loaded++;
            for (int i = 0; i < 5; i++) assert_int_equal(gr_assign(tensor_at(other, i), tensor_at(before, i)), GR_OK);
        } else if (!same_values(other, before)) {
            fail_msg("round %zu changed something and failed: %s", round, gr_last_error());
        }
        if (round < size) assert_int_not_equal(status, GR_OK);
    }
    assert_in_range(loaded, 100, 1000); /* of changes in the numbers alone */
    free(bad);
    free(bytes);
    gr_params_free(params);
    gr_params_free(other);
    gr_params_free(before);
}

/* ---- Saving ------------------------------------------------------------------------------------------------- */

static void saving_refuses(void **state)
{
    (void)state;
    files_in(directory, true);
    gr_params *params = make_set(1.0), *empty = gr_params_new();
    assert_int_equal(gr_params_save(params, path_of("keep")), GR_OK);
    gr_clear_error();
    assert_int_equal(gr_params_save(NULL, path_of("keep")), GR_ERR_NULL);
    gr_clear_error();
    assert_int_equal(gr_params_save(params, NULL), GR_ERR_NULL);
    assert_int_equal(gr_params_save(empty, path_of("keep")), GR_ERR_SHAPE);
    assert_int_equal(gr_params_save(params, path_of("no/folder")), GR_ERR_IO);
    assert_error("no folder", GR_ERR_IO, "no/folder: its folder does not exist");
    assert_non_null(gr_params_add(empty, "\xff", gr_zeros(GR_F32, GR_SHAPE(1))));
    assert_int_equal(gr_params_save(empty, path_of("keep")), GR_ERR_OPTION);
    assert_error("a name", GR_ERR_OPTION, "is not UTF-8");
    gr_params_free(empty);
    empty = gr_params_new();
    assert_non_null(gr_params_add(empty, "__metadata__", gr_zeros(GR_F32, GR_SHAPE(1))));
    assert_int_equal(gr_params_save(empty, path_of("keep")), GR_ERR_OPTION);
    assert_int_equal(gr_params_load(params, path_of("keep")), GR_OK); /* it is still there */
    assert_int_equal(files_in(directory, false), 1);
    if (access("/dev/full", W_OK) == 0) { /* a device is written to, not replaced */
        assert_int_equal(gr_params_save(params, "/dev/full"), GR_ERR_IO);
        assert_error("a full disk", GR_ERR_IO, "cannot write /dev/full: No space left on device");
        struct stat info;
        assert_true(stat("/dev/full", &info) == 0 && S_ISCHR(info.st_mode));
    }
    gr_params_free(params);
    gr_params_free(empty);
}

static void a_foreign_temporary_file_stays(void **state)
{
    (void)state;
    gr_params *params = make_set(1.0);
    put_file("x.tmp", "mine", 4);
    assert_int_equal(gr_params_save(params, path_of("x")), GR_OK);
    size_t size;
    unsigned char *bytes = get_file(path_of("x.tmp"), &size);
    assert_int_equal(size, 4);
    assert_memory_equal(bytes, "mine", 4);
    free(bytes);
    gr_params_free(params);
}

static gr_params *kept;

static bool save_it(void) { return gr_params_save(kept, path_of("m")) == GR_OK; }

static bool load_it(void) { return gr_params_load(kept, path_of("m")) == GR_OK; }

static bool make_it(void)
{
    gr_params *params = make_set(1.0), *copy = gr_params_copy_as(GR_F64, params);
    gr_params_free(params);
    gr_params_free(copy);
    return copy != NULL;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    files_in(directory, true);
    kept = make_set(6.0);
    assert_true(every_allocation_fails("params_save", save_it) >= 3);
    assert_int_equal(files_in(directory, false), 1);
    assert_true(every_allocation_fails("params_load", load_it) >= 3);
    every_allocation_fails("buffers", make_it);
    gr_params_free(kept);
}

/* ---- Buffers ------------------------------------------------------------------------------------------------ */

static void buffers_belong_to_the_set(void **state)
{
    (void)state;
    gr_params *params = make_set(2.0);
    assert_int_equal(gr_params_count(params), 3);
    assert_int_equal(gr_params_buffer_count(params), 2);
    assert_int_equal(gr_params_elements(params), 72 + 1 + 3);
    gr_tensor *count = gr_params_get(params, "bn.count");
    assert_true(count && count == gr_params_buffer_at(params, 1) && !gr_params_buffer_at(params, 2));
    gr_params *copy = gr_params_copy_as(GR_F64, params);
    assert_int_equal(gr_dtype_of(gr_params_get(copy, "empty")), GR_F64);
    assert_int_equal(gr_dtype_of(gr_params_get(copy, "bn.count")), GR_I32);
    assert_null(gr_params_add_buffer(params, "scalar", gr_zeros(GR_F32, GR_SHAPE(1))));
    assert_error("a parameter's name", GR_ERR_OPTION, "params_add_buffer: the set has a parameter scalar already");
    assert_null(gr_params_add(params, "bn.count", gr_zeros(GR_F32, GR_SHAPE(1))));
    assert_error("a buffer's name", GR_ERR_OPTION, "params_add: the set has a buffer bn.count already");
    assert_null(gr_params_add_buffer(params, "new", count));
    assert_error("twice", GR_ERR_STATE, "params_add_buffer: bn.count [2] is a tensor of a set of parameters");
    gr_tensor *trained = gr_zeros(GR_F32, GR_SHAPE(1));
    assert_int_equal(gr_require_grad(trained), GR_OK);
    assert_null(gr_params_add_buffer(params, "new", trained));
    assert_error("trained", GR_ERR_STATE, "new requires a gradient");
    assert_null(gr_params_add_buffer(params, "new", NULL));
    gr_params_free(copy);
    gr_params_free(params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_come_back),
        cmocka_unit_test(the_format_is_safetensors),
        cmocka_unit_test(headers_are_read_strictly),
        cmocka_unit_test(lengths_are_checked),
        cmocka_unit_test(damage_is_harmless),
        cmocka_unit_test(saving_refuses),
        cmocka_unit_test(a_foreign_temporary_file_stays),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(buffers_belong_to_the_set),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, make_directory, remove_directory);
}
