/* test_idx.c: IDX files, plain and packed by gzip: what the reader makes of them, what it refuses and how. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "data_kit.h"

/* ---- IDX --------------------------------------------------------------------------------------------------------- */

static void idx_reads_all_types(void **state)
{
    (void)state;
    static const struct {
        int type;
        unsigned char data[16];
        size_t size;
        gr_dtype dtype, integer_dtype; /* GR_N_DTYPES: refused */
        double expected[2];
    } cases[] = {
        {0x08, {0, 255}, 2, GR_F32, GR_I32, {0, 255}},
        {0x09, {0x7F, 0x80}, 2, GR_F32, GR_I32, {127, -128}},
        {0x0B, {0x7F, 0xFF, 0x80, 0x00}, 4, GR_F32, GR_I32, {32767, -32768}},
        {0x0C, {0x7F, 0xFF, 0xFF, 0xFF, 0x80, 0, 0, 0}, 8, GR_I32, GR_I32, {2147483647.0, -2147483648.0}},
        {0x0D, {0x3F, 0xC0, 0, 0, 0xC0, 0x20, 0, 0}, 8, GR_F32, GR_N_DTYPES, {1.5, -2.5}},
        {0x0E,
         {0x3F, 0xF8, 0, 0, 0, 0, 0, 1, 0xC0, 0x04, 0, 0, 0, 0, 0, 0},
         16,
         GR_F64,
         GR_N_DTYPES,
         {1.5000000000000002, -2.5}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int integer = 0; integer < 2; integer++) {
            file.size = 0;
            add_header(&file, cases[i].type, DIMS(2, 1));
            add(&file, cases[i].data, cases[i].size);
            gr_tensor *t = gr_idx_read(put_bytes("file.idx", &file), integer);
            gr_dtype dtype = integer ? cases[i].integer_dtype : cases[i].dtype;
            if (dtype == GR_N_DTYPES) {
                assert_null(t);
                assert_error("floats as integers", GR_ERR_DTYPE, "expected integers");
                continue;
            }
            if (!t) fail_msg("type %02X: %s", (unsigned)cases[i].type, gr_last_error());
            assert_int_equal(gr_dtype_of(t), dtype);
            assert_int_equal(gr_rank(t), 2);
            assert_int_equal(gr_dim(t, 0), 2);
            for (int k = 0; k < 2; k++)
                if (gr_get(t, k) != cases[i].expected[k])
                    fail_msg("type %02X: %g", (unsigned)cases[i].type, gr_get(t, k));
            gr_tensor_free(t);
        }
}

static void idx_reads_shapes(void **state)
{
    (void)state;
    file.size = 0;
    add_header(&file, 0x08, DIMS(1, 2, 1, 1, 3, 1, 1, 1));
    add(&file, "\1\2\3\4\5\6", 6);
    gr_tensor *t = gr_idx_read(put_bytes("file.idx", &file), false);
    assert_non_null(t);
    assert_int_equal(gr_rank(t), 8);
    assert_int_equal(gr_dim(t, 4), 3);
    assert_true(gr_get(t, 5) == 6.0);
    gr_tensor_free(t);
    file.size = 0;
    add_header(&file, 0x08, DIMS(0, 0xFFFFFFFF));
    t = gr_idx_read(put_bytes("file.idx", &file), false);
    if (!t) fail_msg("no elements: %s", gr_last_error());
    assert_int_equal(gr_size(t), 0);
    gr_tensor_free(t);
}

/* Each refused with its words, and without memory for what the header claims. */
static void idx_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *name, *data;
        size_t size;
        const char *message;
    } cases[] = {
        {"empty", "", 0, "not an IDX file"},
        {"three bytes", "\0\0\x08", 3, "not an IDX file"},
        {"text", "a,b\n1,2\n", 8, "not an IDX file"},
        {"little-endian", "\x01\x08\0\0\x01\0\0\0\7", 9, "not an IDX file"},
        {"unknown type", "\0\0\x07\1\0\0\0\1\7", 9, "unknown type 07"},
        {"rank 0", "\0\0\x08\0\7", 5, "rank 0: expected 1 to 8"},
        {"rank 9", "\0\0\x08\x09\0\0\0\1\0\0\0\1\0\0\0\1", 16, "rank 9: expected 1 to 8"},
        {"no dimensions", "\0\0\x08\2\0\0\0\1\0\0\0", 11, "ends within its 2 dimensions"},
        {"too short", "\0\0\x08\1\0\0\0\3\1\2", 10, "[3] of u8 are 3 bytes of elements, but the file has 2"},
        {"too long", "\0\0\x08\1\0\0\0\1\1\2", 10, "[1] of u8 are 1 bytes of elements, but the file has more than 1"},
        {"a part of an element", "\0\0\x0C\1\0\0\0\2\1\2\3\4\1\2\3", 15, "8 bytes of elements, but the file has 7"},
        {"no elements, but some", "\0\0\x08\1\0\0\0\0\1", 9, "has more than 0"},
        {"4 GB in 20 bytes", "\0\0\x08\1\xFF\xFF\xFF\xFF............", 20, "4294967295 bytes of elements, but the"},
        {"4 GB of doubles", "\0\0\x0E\1\xFF\xFF\xFF\xFF............", 20, "but the file has 12"},
        {"overflow", "\0\0\x08\3\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 16, "too many elements"},
        {"overflow to 0", "\0\0\x08\4\x80\0\0\0\x80\0\0\0\x80\0\0\0\x80\0\0\0", 20, "too many elements"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        watch_memory(0);
        const char *path = put_file("file.idx", cases[i].data, cases[i].size);
        if (gr_idx_read(path, false)) fail_msg("%s: was read", cases[i].name);
        if (!strstr(gr_last_error(), directory)) fail_msg("%s: no path in: %s", cases[i].name, gr_last_error());
        assert_error(cases[i].name, GR_ERR_FORMAT, cases[i].message);
        assert_int_equal(the_watch.live, 0);
        if (the_watch.bytes > 1 << 18) fail_msg("%s: %zu bytes were allocated", cases[i].name, the_watch.bytes);
    }
    assert_null(gr_idx_read(NULL, false));
    assert_error("NULL", GR_ERR_NULL, "idx_read: path is NULL");
    assert_null(gr_idx_read(path_of("no such file"), false));
    assert_error("no file", GR_ERR_IO, "cannot open");
    assert_null(gr_idx_read(directory, false));
    assert_error("a directory", GR_ERR_IO, "idx_read: ");
}

/* A file larger than the first piece of memory. */
static void idx_reads_in_pieces(void **state)
{
    (void)state;
    file.size = 0;
    add_header(&file, 0x08, DIMS(100001));
    for (int i = 0; i < 100001; i++) add(&file, &(unsigned char){(unsigned char)(i * 7 % 251)}, 1);
    gr_tensor *t = gr_idx_read(put_bytes("file.idx", &file), true);
    if (!t) fail_msg("%s", gr_last_error());
    for (int i = 0; i < 100001; i++) assert_int_equal(gr_read_i32(t)[i], i * 7 % 251);
    gr_tensor_free(t);
}

/* ---- gzip -------------------------------------------------------------------------------------------------------- */

static void gzip_is_unpacked(void **state)
{
    (void)state;
    if (!unpacks()) skip(); /* this build has no zlib */
    packed.size = 0;        /* several members, one of them empty, make one file */
    add_member(&packed, file.at, 5);
    add_member(&packed, file.at, 0);
    add_member(&packed, file.at + 5, file.size - 5);
    gr_tensor *t = gr_idx_read(put_bytes("file.gz", &packed), false);
    if (!t) fail_msg("%s", gr_last_error());
    assert_true(gr_get(t, 0) == 1.0 && gr_get(t, 5) == 6.0);
    gr_tensor_free(t);

    file.size = 0;
    add_header(&file, 0x08, DIMS(100001));
    for (int i = 0; i < 100001; i++) add(&file, &(unsigned char){(unsigned char)(i * 7 % 251)}, 1);
    t = gr_idx_read(put_bytes("file.gz", pack(&file)), true);
    if (!t) fail_msg("%s", gr_last_error());
    for (int i = 0; i < 100001; i++) assert_int_equal(gr_read_i32(t)[i], i * 7 % 251);
    gr_tensor_free(t);

    file.size = 0;
    add(&file, "a,b\n1,x\n", 8);
    gr_dataset *set = gr_csv_read(put_bytes("file.gz", pack(&file)), NULL, NULL);
    if (!set) fail_msg("%s", gr_last_error());
    assert_string_equal(dump(set), "a | 1 >0 | x");
    gr_dataset_free(set);
    assert_null(gr_csv_read(path_of("file.gz"), &(gr_csv_options){.max_bytes = 7}, NULL));
    assert_error("a packed table", GR_ERR_FORMAT, "larger than max_bytes");
}

static void assert_gzip_refused(const char *name, const bytes *b, const char *message)
{
    const char *path = put_bytes("file.gz", b);
    watch_memory(0);
    if (gr_idx_read(path, false)) fail_msg("%s: was read", name);
    assert_error(name, GR_ERR_FORMAT, message);
    assert_int_equal(the_watch.live, 0);
    if (the_watch.bytes > 1 << 18) fail_msg("%s: %zu bytes were allocated", name, the_watch.bytes);
    gr_set_allocator(NULL);
}

static void gzip_is_checked(void **state)
{
    (void)state;
    if (!unpacks()) skip(); /* this build has no zlib */
    size_t whole = packed.size;
    for (packed.size = 2; packed.size < whole; packed.size++)
        assert_gzip_refused("cut short", &packed, "in the middle of its gzip'd data");
    packed.size = whole;
    packed.at[whole - 8] ^= 1;
    assert_gzip_refused("checksum", &packed, "incorrect data check");
    packed.at[whole - 8] ^= 1;
    packed.at[whole - 1] ^= 1;
    assert_gzip_refused("length", &packed, "incorrect length check");
    packed.at[whole - 1] ^= 1;
    packed.at[2] = 9;
    assert_gzip_refused("method", &packed, "unknown compression method");
    packed.at[2] = 8;
    add(&packed, "rest", 4);
    assert_gzip_refused("something behind it", &packed, "incorrect header check");
    file.size--;
    assert_gzip_refused("too short inside", pack(&file), "6 bytes of elements, but the file has 5");
    file.size += 2;
    assert_gzip_refused("too long inside", pack(&file), "has more than 6");
    file.size = 0;
    add_header(&file, 0x08, DIMS(0x40000001));
    assert_gzip_refused("too much to unpack", pack(&file), "more than 1 GiB");
    file.size = 0;
    add_header(&file, 0x0C, DIMS(0x10000001));
    assert_gzip_refused("too much, in integers", pack(&file), "more than 1 GiB");
}

/* Bits of a deflate stream, the first in the lowest place; Huffman codes go in from their highest bit. */
static uint32_t pending, pending_bits;

static void add_code(bytes *b, uint32_t code, int bits)
{
    while (bits--) {
        pending |= (code >> bits & 1) << pending_bits++;
        if (pending_bits < 8) continue;
        add(b, &(unsigned char){(unsigned char)pending}, 1);
        pending = pending_bits = 0;
    }
}

/* 26 MB in 165 kB: a header that promises 8 bytes, then the byte 8 again and again. */
static void gzip_bomb_is_harmless(void **state)
{
    (void)state;
    if (!unpacks()) skip(); /* this build has no zlib */
    packed.size = 0;
    add(&packed, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    pending = pending_bits = 0;
    add_code(&packed, 1, 1); /* the last block, */
    add_code(&packed, 2, 2); /* of fixed codes: 01, from its lowest bit */
    static const unsigned char header[] = {0, 0, 8, 1, 0, 0, 0, 8};
    for (size_t i = 0; i < sizeof header; i++) add_code(&packed, 0x30u + header[i], 8);
    for (int i = 0; i < 75000; i++) add_code(&packed, 0xC5, 8), add_code(&packed, 0, 5); /* 258 bytes from 1 back */
    add_code(&packed, 0, 7);
    add_code(&packed, 0, 7);
    assert_gzip_refused("a bomb", &packed, "[8] of u8 are 8 bytes of elements, but the file has more than 8");
}

/* ---- Images and labels ------------------------------------------------------------------------------------------- */

static void idx_reads_pairs(void **state)
{
    (void)state;
    const char *labels = put_labels(0x08, "\2\0\2", 3);
    file.size = 0;
    add_header(&file, 0x08, DIMS(3, 1, 2));
    add(&file, "\0\xff\x33\x66\1\2", 6);
    const char *images = put_bytes("file.idx", &file);
    gr_dataset *set = gr_idx_read_pair(images, labels);
    if (!set) fail_msg("%s", gr_last_error());
    assert_string_equal(dump(set), "| 0 1 >2 | 0.2 0.4 >0 | 0.003921569 0.007843138 >2 |");
    assert_int_equal(gr_rank(gr_dataset_x(set)), 2);
    assert_int_equal(gr_dim(gr_dataset_x(set), 1), 2);
    assert_int_equal(gr_dtype_of(gr_dataset_y(set)), GR_I32);
    assert_int_equal(gr_dataset_classes(set), 3);
    gr_dataset_free(set);

    watch_memory(0);
    assert_null(gr_idx_read_pair(images, put_labels(0x08, "\2\0", 2)));
    assert_error("counts", GR_ERR_FORMAT, "3 images in ");
    assert_null(gr_idx_read_pair(images, images));
    assert_error("images as labels", GR_ERR_FORMAT, "[3,1,2]: expected labels [n]");
    assert_null(gr_idx_read_pair(labels, labels));
    assert_error("labels as images", GR_ERR_FORMAT, "[2] of u8: expected images [n,rows,columns] of u8");
    assert_null(gr_idx_read_pair(images, put_labels(0x0C, "\0\0\0\1\0\0\0\1\xff\xff\xff\xff", 3)));
    assert_error("a negative label", GR_ERR_FORMAT, "label -1 at [2] is outside 0..9999");
    assert_null(gr_idx_read_pair(images, put_labels(0x0C, "\0\0\0\1\0\0\x27\x10\0\0\0\0", 3)));
    assert_error("a large label", GR_ERR_FORMAT, "label 10000 at [1] is outside 0..9999");
    assert_null(gr_idx_read_pair(images, NULL));
    assert_error("NULL", GR_ERR_NULL, "path is NULL");
    assert_null(gr_idx_read_pair(images, path_of("no such file")));
    assert_error("no file", GR_ERR_IO, "cannot open");
    file.size = 0;
    add_header(&file, 0x09, DIMS(2, 1, 1));
    add(&file, "\1\2", 2);
    assert_null(gr_idx_read_pair(put_bytes("file.idx", &file), labels));
    assert_error("signed images", GR_ERR_FORMAT, "[2,1,1] of i8: expected images [n,rows,columns] of u8");
    file.size = 0;
    add_header(&file, 0x08, DIMS(0, 28, 28));
    assert_null(gr_idx_read_pair(put_bytes("file.idx", &file), labels));
    assert_error("no images", GR_ERR_FORMAT, "[0,28,28] of u8: expected images");
    assert_int_equal(the_watch.live, 0);
}

/* 255 for what has no label makes 256 classes; labels may begin at 1. */
static void idx_gaps_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *labels;
        int classes, empty;
    } cases[] = {{"\2\0\xff", 256, 253}, {"\1\2\3", 4, 1}, {"\2\0\1", 3, 0}, {"\0\0\0", 1, 0}};
    file.size = 0;
    add_header(&file, 0x08, DIMS(3, 1, 1));
    add(&file, "\1\2\3", 3);
    put_file("file.idx", file.at, file.size);
    for (int i = 0; i < GR_COUNT(cases); i++) {
        watch_memory(0);
        const char *labels = put_labels(0x08, cases[i].labels, 3);
        gr_dataset *set = gr_idx_read_pair(path_of("file.idx"), labels);
        if (!set) fail_msg("%s", gr_last_error());
        assert_int_equal(gr_dataset_classes(set), cases[i].classes);
        assert_int_equal(gr_dataset_empty_classes(set), cases[i].empty);
        the_watch.fail_at = the_watch.calls + 1;
        assert_int_equal(gr_dataset_empty_classes(set), -1);
        assert_int_equal(gr_last_status(), GR_ERR_MEMORY);
        gr_dataset_free(set);
        assert_int_equal(the_watch.live, 0);
    }
    assert_int_equal(gr_dataset_empty_classes(NULL), 0);
}

/* ---- Damaged files ----------------------------------------------------------------------------------------------- */

static void damaged_idx(void **state)
{
    (void)state;
    static const char favourites[] = "\0\1\2\3\4\7\x08\x09\x0B\x0C\x0D\x0E\x1f\x7f\x80\x8b\xff";
    bool zlib = unpacks();
    gr_rng rng = gr_rng_seed(12);
    int sound[2] = {0, 0}, descriptor = next_descriptor();
    for (int round = 0; round < 6000; round++) {
        bool gzip = zlib && round % 2;
        put_labels(0x08, "\1\0\2", 3);
        make_small();
        bytes *b = gzip ? (bytes *)pack(&file) : &file;
        size_t cut = (size_t)round / 2, whole = b->size;
        if (cut < b->size) b->size = cut;
        else damage(b, &rng, favourites, sizeof favourites - 1);
        watch_memory(0);
        bool right = is_sound(gr_idx_read_pair(put_bytes("file.idx", b), path_of("labels.idx")));
        if (right && cut < whole) fail_msg("%zu bytes of %zu were enough", cut, whole);
        gr_tensor *t = gr_idx_read(path_of("file.idx"), round % 4 < 2);
        gr_tensor_free(t);
        sound[gzip] += right;
        assert_int_equal(the_watch.live, 0);
        assert_true(the_watch.bytes < 1 << 20);
    }
    assert_in_range(sound[0], 100, 5900);
    assert_true(!zlib || sound[1] > 10);
    assert_int_equal(next_descriptor(), descriptor);
}

/* ---- The user's files -------------------------------------------------------------------------------------------- */

static void user_mnist(void **state)
{
    (void)state;
    const char *images = user_file("mnist/t10k-images-idx3-ubyte.gz");
    const char *labels = images ? user_file("mnist/t10k-labels-idx1-ubyte.gz") : NULL;
    if (!labels || !unpacks()) skip();
    gr_dataset *set = gr_idx_read_pair(images, labels);
    if (!set) fail_msg("%s", gr_last_error());
    assert_int_equal(gr_dim(gr_dataset_x(set), 0), 10000);
    assert_int_equal(gr_dim(gr_dataset_x(set), 1), 784);
    assert_class_counts(set, 10, (int[]){980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009});
    assert_int_equal(gr_read_i32(gr_dataset_y(set))[0], 7);
    double sum = 0.0, most = 0.0;
    for (int64_t i = 0; i < gr_size(gr_dataset_x(set)); i++) {
        double v = gr_get(gr_dataset_x(set), i);
        assert_true(v >= 0.0 && v <= 1.0);
        sum += v;
        most = fmax(most, v);
    }
    assert_true(most == 1.0 && fabs(sum / 7840000.0 - 0.1325) < 0.0005);
    gr_dataset_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idx_reads_all_types),
        cmocka_unit_test(idx_reads_shapes),
        cmocka_unit_test_teardown(idx_refuses, stop_watching),
        cmocka_unit_test(idx_reads_in_pieces),
        cmocka_unit_test(gzip_is_unpacked),
        cmocka_unit_test_teardown(gzip_is_checked, stop_watching),
        cmocka_unit_test_teardown(gzip_bomb_is_harmless, stop_watching),
        cmocka_unit_test_teardown(idx_reads_pairs, stop_watching),
        cmocka_unit_test_teardown(idx_gaps_are_told, stop_watching),
        cmocka_unit_test_teardown(damaged_idx, stop_watching),
        cmocka_unit_test(user_mnist),
    };
    return cmocka_run_group_tests_name("data", tests, make_directory, remove_directory);
}
