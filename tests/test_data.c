/* test_data.c: data sets, mini-batches and the readers of files: what they read, what they refuse and with which
 * words, and that neither a hostile file nor a failing allocation harms them. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "helpers.h"

#include <locale.h>
#include <unistd.h>

#include <gradus/data.h>

#include "data/internal.h"

/* ---- Memory that is watched, and fails when told to --------------------------------------------------------- */

typedef struct watch {
    int64_t live, calls, fail_at; /* blocks alive; calls so far; the call that fails, 0: none */
    size_t bytes;                 /* asked for altogether */
} watch;

static void *watched_allocate(void *context, size_t bytes)
{
    watch *w = context;
    if (++w->calls == w->fail_at) return NULL;
    void *memory = malloc(bytes);
    if (memory) {
        memset(memory, 0xA5, bytes < 65536 ? bytes : 65536); /* nobody may count on zeros */
        w->live++;
        w->bytes += bytes;
    }
    return memory;
}

static void watched_release(void *context, void *memory)
{
    ((watch *)context)->live--;
    free(memory);
}

static watch the_watch;

static void watch_memory(int64_t fail_at)
{
    the_watch = (watch){.fail_at = fail_at};
    gr_set_allocator(&(gr_allocator){watched_allocate, watched_release, &the_watch});
}

static int stop_watching(void **state)
{
    (void)state;
    gr_set_allocator(NULL);
    gr_clear_error();
    return 0;
}

/* ---- Files -------------------------------------------------------------------------------------------------- */

static char directory[256];

static const char *path_of(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static const char *put(const char *name, const void *bytes, size_t size)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

static const char *put_text(const char *text)
{
    return put("table.csv", text, strlen(text));
}

static int make_directory(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/gradus-test-data-XXXXXX", parent && *parent ? parent : "/tmp");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    static const char *const names[] = {"table.csv", "file.idx", "labels.idx", "file.gz"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) remove(path_of(names[i]));
    return rmdir(directory);
}

/* A file of the user's test data; NULL where there is none. */
static const char *user_file(const char *name)
{
    static char paths[2][1024];
    static int next;
    const char *root = getenv("GRADUS_DATA");
    if (!root || !*root) return NULL;
    char *path = paths[next++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fclose(file);
    return path;
}

/* ---- A data set as one line of text ------------------------------------------------------------------------- */

/* "a b | 1 2 >0 | 3 4 >1 | no yes": feature names, rows with their targets, class names. */
static const char *dump(const gr_dataset *set)
{
    static char text[4096];
    size_t used = 0;
    text[0] = '\0';
#define ADD(...) used += (size_t)snprintf(text + used, used < sizeof text ? sizeof text - used : 0, __VA_ARGS__)
    int64_t n = gr_dataset_size(set), features = gr_size(gr_dataset_x(set)) / n;
    for (int j = 0; gr_dataset_feature_name(set, j); j++) ADD("%s ", gr_dataset_feature_name(set, j));
    for (int64_t i = 0; i < n; i++) {
        ADD("| ");
        for (int64_t j = 0; j < features; j++) ADD("%.7g ", gr_get(gr_dataset_x(set), i * features + j));
        ADD(">%.7g ", gr_get(gr_dataset_y(set), i));
    }
    ADD("|");
    for (int c = 0; gr_dataset_class_name(set, c); c++) ADD(" %s", gr_dataset_class_name(set, c));
#undef ADD
    assert_true(used < sizeof text);
    return text;
}

static void assert_error(const char *what, gr_status status, const char *part)
{
    if (gr_last_status() != status || !strstr(gr_last_error(), part))
        fail_msg("%s: status \"%s\", message \"%s\"; expected \"%s\" and \"%s\"", what,
                 gr_status_text(gr_last_status()), gr_last_error(), gr_status_text(status), part);
    gr_clear_error();
}

/* ---- CSV: what is read -------------------------------------------------------------------------------------- */

typedef struct good_table {
    const char *name, *text;
    gr_csv_options options;
    const char *expected;
    int dropped;
} good_table;

static const good_table good_tables[] = {
    {"the defaults", "a,b,c\n1,2,yes\n3,4,no\n", {0}, "a b | 1 2 >1 | 3 4 >0 | no yes", 0},
    {"no line end at the end", "a,b,c\n1,2,yes\n3,4,no", {0}, "a b | 1 2 >1 | 3 4 >0 | no yes", 0},
    {"CRLF", "a,b,c\r\n1,2,yes\r\n3,4,no\r\n", {0}, "a b | 1 2 >1 | 3 4 >0 | no yes", 0},
    {"CRLF, and none at the end", "a,b,c\r\n1,2,yes\r\n3,4,no", {0}, "a b | 1 2 >1 | 3 4 >0 | no yes", 0},
    {"mixed line ends", "a,b\r\n1,x\n2,x\r\n", {0}, "a | 1 >0 | 2 >0 | x", 0},
    {"byte order mark",
     "\xEF\xBB\xBF"
     "a,b\n1,x\n",
     {.target = "b", .features = "a"},
     "a | 1 >0 | x",
     0},
    {"byte order mark before a quote", "\xEF\xBB\xBF\"a\",b\n1,x\n", {.features = "a"}, "a | 1 >0 | x", 0},
    {"empty lines", "\n\r\na,b\n\n1,x\n\r\n\n2,y\n\n", {0}, "a | 1 >0 | 2 >1 | x y", 0},
    {"quotes", "\"a\",\"b\"\n\"1\",\"x\"\n", {0}, "a | 1 >0 | x", 0},
    {"escapes", "\"a \"\"b\"\"\",c\n1,\"\"\"\"\n2,\"\"\"x\"\"\"\n", {0}, "a \"b\" | 1 >0 | 2 >1 | \" \"x\"", 0},
    {"separators in quotes", "\"a,b\",c\n1,\"x,y\"\n", {0}, "a,b | 1 >0 | x,y", 0},
    {"line ends in quotes", "\"a\nb\",c\n1,\"x\r\ny\"\n", {0}, "a\nb | 1 >0 | x\r\ny", 0},
    {"quoted to the end", "a,b\n1,\"x\"", {0}, "a | 1 >0 | x", 0},
    {"quoted CRLF", "a,b\r\n1,\"x\"\r\n2,\"y\"\r\n", {0}, "a | 1 >0 | 2 >1 | x y", 0},
    {"blanks belong to classes, not to numbers", "a,b\n 1 , x\n\t2\t,x\n", {0}, "a | 1 >0 | 2 >1 |  x x", 0},
    {"UTF-8",
     "gr\xC3\xB6\xC3\x9F"
     "e,b\n1,\xE2\x82\xAC\n",
     {0},
     "gr\xC3\xB6\xC3\x9F"
     "e | 1 >0 | \xE2\x82\xAC",
     0},
    {"separator ;", "a;b;c\n1;2,5;x\n", {.separator = ';', .features = "a"}, "a | 1 >0 | x", 0},
    {"separator tab", "a\tb\n1\tx\n", {.separator = '\t'}, "a | 1 >0 | x", 0},
    {"separator blank", "a b\n1 x\n", {.separator = ' '}, "a | 1 >0 | x", 0},
    {"target by name", "a,b,c\n1,2,x\n", {.target = "a", .drop = "c"}, "b | 2 >0 | 1", 0},
    {"target by position", "a,b,c\nx,2,3\n", {.target = "0"}, "b c | 2 3 >0 | x", 0},
    {"names before positions", "1,0,c\n5,x,7\n", {.target = "0"}, "1 c | 5 7 >0 | x", 0},
    {"features in their order", "a,b,c,d\n1,2,3,x\n", {.features = "c, a"}, "c a | 3 1 >0 | x", 0},
    {"features by position", "a,b,c,d\n1,2,3,x\n", {.features = "2,0"}, "c a | 3 1 >0 | x", 0},
    {"drop", "a,b,c,d\n1,p,3,x\n", {.drop = "b"}, "a c | 1 3 >0 | x", 0},
    {"columns that are not used hold anything", "a,b,c\n1,?!,x\n2,,x\n", {.drop = "b"}, "a | 1 >0 | 2 >0 | x", 0},
    {"blanks around names", "ID, Size ,Kind\n1,2,x\n", {.features = "Size"}, " Size  | 2 >0 | x", 0},
    {"a name twice, unused", "a,b,b,c\n1,2,3,x\n", {.drop = "1,2"}, "a | 1 >0 | x", 0},
    {"no header", "1,x\n2,y\n", {.no_header = true}, "| 1 >0 | 2 >1 | x y", 0},
    {"by position", "7,M,1\n8,B,2\n", {.no_header = true, .target = "1", .drop = "0"}, "| 1 >1 | 2 >0 | B M", 0},
    {"skipped lines, whatever they hold", "\"open, broken\n#\na,b\n1,x\n", {.skip_lines = 2}, "a | 1 >0 | x", 0},
    {"classes by their bytes", "a,b\n1,10\n2,9\n3,Z\n4,a\n", {0}, "a | 1 >0 | 2 >1 | 3 >2 | 4 >3 | 10 9 Z a", 0},
    {"numeric target", "a,b\n1,10.5\n2,-9\n", {.numeric_target = true}, "a | 1 >10.5 | 2 >-9 |", 0},
    {"missing, dropped", "a,b,c\n1,NA,x\n2,3,x\n,4,y\n5,6,?\n7,8,\n9,nan,x\n9,NaN,x\n", {0}, "a b | 2 3 >0 | x", 6},
    {"missing where unused", "a,b,c\nNA,1,x\n", {.drop = "a"}, "b | 1 >0 | x", 0},
    {"missing by another text", "a,b\n-999,x\n1,NA\n2,none\n", {.missing = "-999,none"}, "a | 1 >0 | NA", 2},
    {"missing with blanks and quotes", "a,b\n NA ,x\n\"NA\",x\n1,x\n", {0}, "a | 1 >0 | x", 2},
    {"missing is only the empty text", "a,b\n,x\n1,NA\n", {.missing = ""}, "a | 1 >0 | NA", 1},
    {"a class of dropped rows only", "a,b\nNA,p\n1,q\n", {0}, "a | 1 >0 | q", 1},
    {"missing numeric target", "a,b\n1,NA\n2,3\n", {.numeric_target = true}, "a | 2 >3 |", 1},
    {"max_bytes to the byte", "a,b\n1,x\n", {.max_bytes = 8}, "a | 1 >0 | x", 0},
};

static void csv_reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_tables / sizeof *good_tables; i++) {
        const good_table *g = &good_tables[i];
        gr_csv_report report = {-1, -1};
        watch_memory(0);
        gr_dataset *set = gr_csv_read(put_text(g->text), &g->options, &report);
        if (!set) fail_msg("%s: %s", g->name, gr_last_error());
        if (strcmp(dump(set), g->expected) != 0)
            fail_msg("%s: \"%s\", expected \"%s\"", g->name, dump(set), g->expected);
        assert_int_equal(gr_dtype_of(gr_dataset_x(set)), GR_F32);
        assert_int_equal(gr_rank(gr_dataset_x(set)), 2);
        assert_int_equal(gr_dtype_of(gr_dataset_y(set)), g->options.numeric_target ? GR_F32 : GR_I32);
        assert_int_equal(gr_rank(gr_dataset_y(set)), g->options.numeric_target ? 2 : 1);
        if (report.dropped != g->dropped) fail_msg("%s: %d dropped", g->name, (int)report.dropped);
        assert_int_equal(report.rows, gr_dataset_size(set));
        gr_dataset_free(set);
        assert_int_equal(the_watch.live, 0);
    }
}

static void csv_needs_no_options(void **state)
{
    (void)state;
    gr_dataset *set = gr_csv_read(put_text("a,b\n1,x\n"), NULL, NULL);
    assert_non_null(set);
    assert_int_equal(gr_dataset_classes(set), 1);
    assert_null(gr_dataset_class_name(set, 1));
    assert_null(gr_dataset_class_name(set, -1));
    assert_null(gr_dataset_feature_name(set, 1));
    gr_dataset_free(set);
}

/* ---- CSV: what is refused ----------------------------------------------------------------------------------- */

typedef struct bad_table {
    const char *name, *text;
    gr_csv_options options;
    gr_status status;
    const char *message; /* a part of it */
} bad_table;

static const bad_table bad_tables[] = {
    {"empty", "", {0}, GR_ERR_FORMAT, "no rows"},
    {"only a mark", "\xEF\xBB\xBF", {0}, GR_ERR_FORMAT, "no rows"},
    {"only empty lines", "\n\n\r\n", {0}, GR_ERR_FORMAT, "line 4: no rows; 0 were dropped"},
    {"only a header", "a,b\n", {0}, GR_ERR_FORMAT, "no rows below the header"},
    {"all skipped", "a,b\n1,x\n", {.skip_lines = 9}, GR_ERR_FORMAT, "no rows"},
    {"all dropped", "a,b\nNA,x\n1,\n", {0}, GR_ERR_FORMAT, "line 4: no rows below the header; 2 were dropped"},
    {"a field too few", "a,b,c\n1,2,x\n3,x\n", {0}, GR_ERR_FORMAT, "line 3: 2 fields: expected 3"},
    {"a field too many", "a,b\n1,x\n\n1,x,\n", {0}, GR_ERR_FORMAT, "line 4: 3 fields: expected 2"},
    {"one field", "a,b\n1\n", {0}, GR_ERR_FORMAT, "line 2: 1 field: expected 2"},
    {"width after quoted line ends", "a,b\n1,\"x\n\n\ny\"\n2\n", {0}, GR_ERR_FORMAT, "line 6: 1 field"},
    {"width after CRLF", "a,b\r\n1,\"x\r\n\"\r\n2\r\n", {0}, GR_ERR_FORMAT, "line 4: 1 field"},
    {"width after skipped lines", "#\n#\na,b\n1\n", {.skip_lines = 2}, GR_ERR_FORMAT, "line 4: 1 field"},
    {"no number", "a,b\n1,x\ntwo,x\n", {0}, GR_ERR_FORMAT, "line 3, column 1 (a): \"two\" is not a number"},
    {"no number, no header", "1,2,x\n3,4y,x\n", {.no_header = true}, GR_ERR_FORMAT, "line 2, column 2: \"4y\" is"},
    {"no number in a field of two lines", "a,b\n\"1\n2\",x\n", {0}, GR_ERR_FORMAT, "line 2, column 1 (a): \"1?2\""},
    {"and behind such a field", "a,b,c\n\"1\",\"p\n\",q\n", {.target = "b"}, GR_ERR_FORMAT, "line 3, column 3 (c)"},
    {"no number in a dropped row", "a,b,c\nNA,q,x\n", {0}, GR_ERR_FORMAT, "line 2, column 2 (b): \"q\""},
    {"infinity", "a,b\ninf,x\n", {0}, GR_ERR_FORMAT, "\"inf\" is not a number"},
    {"too large", "a,b\n1e39,x\n", {0}, GR_ERR_FORMAT, "column 1 (a): \"1e39\" is too large for f32"},
    {"too small", "a,b\n-1e9999999999999999999,x\n", {0}, GR_ERR_FORMAT, "too large for f32"},
    {"numeric target", "a,b\n1,x\n", {.numeric_target = true}, GR_ERR_FORMAT, "line 2, column 2 (b): \"x\" is not a"},
    {"missing", "a,b\nNA,x\n", {.error_on_missing = true}, GR_ERR_FORMAT, "line 2, column 1 (a): \"NA\" stands"},
    {"missing target", "a,b\n1,\n", {.error_on_missing = true}, GR_ERR_FORMAT, "line 2, column 2 (b): \"\" stands"},
    {"open quote", "a,b\n1,\"x\n2,y\n", {0}, GR_ERR_FORMAT, "line 2, column 2 (b): the quote that opens here is"},
    {"open quote at the end", "a,b\n1,\"", {0}, GR_ERR_FORMAT, "line 2, column 2 (b): the quote that opens here"},
    {"open quote, escaped", "a,b\n1,\"x\"\"", {0}, GR_ERR_FORMAT, "line 2, column 2 (b): the quote that opens here"},
    {"open quote in the header", "a,\"b\n1,x\n", {0}, GR_ERR_FORMAT, "line 1, column 2: the quote that opens here"},
    {"text behind a quote", "a,b\n1,\"x\" y\n", {0}, GR_ERR_FORMAT, "line 2, column 2 (b): text follows a closing"},
    {"text behind it, lines later", "a,b\n1,\"x\n\n\"y\n", {0}, GR_ERR_FORMAT, "line 4, column 2 (b): text follows"},
    {"quote inside", "a,b\n1,x\"y\"\n", {0}, GR_ERR_FORMAT, "line 2, column 2 (b): a quote inside a field"},
    {"carriage return", "a,b\n1,x\r2,y\n", {0}, GR_ERR_FORMAT, "line 2, column 2 (b): a carriage return without"},
    {"carriage return at the end", "a,b\n1,x\r", {0}, GR_ERR_FORMAT, "line 2, column 2 (b): a carriage return"},
    {"too large a file", "a,b\n1,x\n", {.max_bytes = 7}, GR_ERR_FORMAT, "larger than max_bytes, 7"},
    {"no such target", "a,b\n1,x\n", {.target = "c"}, GR_ERR_OPTION, "target: no column \"c\" among the 2: a, b"},
    {"no such feature", "a,b\n1,x\n", {.features = "a,z"}, GR_ERR_OPTION, "features: no column \"z\""},
    {"no such column to drop", "a,b\n1,x\n", {.drop = "z"}, GR_ERR_OPTION, "drop: no column \"z\""},
    {"no such position", "a,b\n1,x\n", {.target = "2"}, GR_ERR_OPTION, "target: no column \"2\""},
    {"a huge position", "a,b\n1,x\n", {.target = "99999999999999999999"}, GR_ERR_OPTION, "no column \"999999"},
    {"a negative position", "a,b\n1,x\n", {.target = "-1"}, GR_ERR_OPTION, "no column \"-1\""},
    {"a name without a header", "1,x\n", {.no_header = true, .target = "b"}, GR_ERR_OPTION, "no column \"b\" among"},
    {"an empty item", "a,b\n1,x\n", {.features = "a,"}, GR_ERR_OPTION, "features: no column \"\""},
    {"a name of two columns",
     "a,b,a,c\n1,2,3,x\n",
     {.drop = "a"},
     GR_ERR_OPTION,
     "two columns are \"a\": write the position, 0 or 2"},
    {"target as feature", "a,b\n1,x\n", {.features = "a,b"}, GR_ERR_OPTION, "position 1 (b) is already the target"},
    {"dropped as feature", "a,b\n1,x\n", {.features = "a", .drop = "a"}, GR_ERR_OPTION, "0 (a) is already dropped"},
    {"a feature twice", "a,b\n1,x\n", {.features = "a,0"}, GR_ERR_OPTION, "0 (a) is already a feature"},
    {"target dropped", "a,b\n1,x\n", {.drop = "b"}, GR_ERR_OPTION, "drop: the column at position 1 (b) is already"},
    {"no features", "a;b\n1;x\n", {0}, GR_ERR_OPTION, "left for features: line 1 has 1, separated by ','"},
    {"a quote as separator", "a,b\n1,x\n", {.separator = '"'}, GR_ERR_OPTION, "is no separator"},
    {"a line end as separator", "a,b\n1,x\n", {.separator = '\n'}, GR_ERR_OPTION, "is no separator"},
    {"skipping backward", "a,b\n1,x\n", {.skip_lines = -1}, GR_ERR_OPTION, "skip_lines is -1"},
    {"negative max_bytes", "a,b\n1,x\n", {.max_bytes = -1}, GR_ERR_OPTION, "max_bytes is -1"},
};

static void csv_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_tables / sizeof *bad_tables; i++) {
        const bad_table *b = &bad_tables[i];
        gr_csv_report report = {-1, -1};
        const char *path = put_text(b->text);
        watch_memory(0);
        if (gr_csv_read(path, &b->options, &report)) fail_msg("%s: was read", b->name);
        if (strncmp(gr_last_error(), "csv_read: ", 10) != 0) fail_msg("%s: %s", b->name, gr_last_error());
        bool about_file = b->status == GR_ERR_FORMAT;
        if (about_file && !strstr(gr_last_error(), path)) fail_msg("%s: no path in: %s", b->name, gr_last_error());
        assert_error(b->name, b->status, b->message);
        assert_int_equal(report.rows + report.dropped, 0);
        assert_int_equal(the_watch.live, 0);
    }
}

static void csv_refuses_files(void **state)
{
    (void)state;
    assert_null(gr_csv_read(NULL, NULL, NULL));
    assert_error("NULL", GR_ERR_NULL, "path is NULL");
    assert_null(gr_csv_read(path_of("no such file"), NULL, NULL));
    assert_error("no file", GR_ERR_IO, "no such file: No such file");
    assert_null(gr_csv_read(directory, NULL, NULL));
    assert_error("a directory", GR_ERR_IO, "csv_read: ");
    assert_null(gr_csv_read(put("table.csv", "a,b\n1,\0\n", 8), NULL, NULL));
    assert_error("a NUL", GR_ERR_FORMAT, "line 2: a byte 0");
}

static void csv_limits_classes(void **state)
{
    (void)state;
    enum { LINE = 16 };
    char *text = malloc(10001 * LINE + 8), *p = text + sprintf(text, "a,b\n");
    assert_non_null(text);
    for (int i = 0; i < 10000; i++) p += sprintf(p, "%d,c%04d\n", i, 9999 - i);
    gr_dataset *set = gr_csv_read(put_text(text), NULL, NULL);
    if (!set) fail_msg("%s", gr_last_error());
    assert_int_equal(gr_dataset_classes(set), 10000);
    assert_string_equal(gr_dataset_class_name(set, 0), "c0000");
    assert_string_equal(gr_dataset_class_name(set, 9999), "c9999");
    for (int i = 0; i < 10000; i++) assert_int_equal(gr_read_i32(gr_dataset_y(set))[i], 9999 - i);
    gr_dataset_free(set);
    sprintf(p, "1,one more\n");
    assert_null(gr_csv_read(put_text(text), NULL, NULL));
    assert_error("10001 classes", GR_ERR_FORMAT, "line 10002, column 2 (b): \"one more\" would be class 10001");
    free(text);
}

static void csv_limits_columns(void **state)
{
    (void)state;
    size_t size = 3000000;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, ',', size);
    watch_memory(0);
    assert_null(gr_csv_read(put("table.csv", text, size), NULL, NULL));
    assert_error("3 million columns", GR_ERR_FORMAT, "line 1: more than 1000000 fields");
    assert_int_equal(the_watch.live, 0);
    free(text);
}

/* Messages quote what a file holds: not all of it, and nothing that a terminal would obey. */
static void csv_quotes_with_care(void **state)
{
    (void)state;
    char xs[3001] = "", text[4000];
    memset(xs, 'x', sizeof xs - 1);
    snprintf(text, sizeof text, "a,b\n\x1b[31m%s,y\n", xs);
    assert_null(gr_csv_read(put_text(text), NULL, NULL));
    assert_null(strchr(gr_last_error(), '\x1b'));
    assert_error("a long text", GR_ERR_FORMAT, "\"?[31mxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" is not a number");
    memset(xs, 'p', sizeof xs - 1);
    snprintf(text, sizeof text, "%.900s/the_end.csv", xs);
    assert_null(gr_csv_read(text, NULL, NULL));
    assert_error("a long path", GR_ERR_IO, "pppp/the_end.csv: ");
}

/* ---- Numbers ------------------------------------------------------------------------------------------------ */

static bool same_double(double a, double b)
{
    return a == b && signbit(a) == signbit(b);
}

static void numbers_are_strict(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0", "-0", "1", "+1", "-1.5", ".5", "5.", "1e3", "1E+3", "1.e-3", " 7 ", "\t7", "007", "0.1", "3.4028235e38",
        "1e-45", "1e-400", "123456789012345678901234567890", "0.000000000000000000000000000000000001",
        "9007199254740993", "2.2250738585072011e-308", "1.7976931348623157e308", "0e999999999999999999999",
        /* half-way between two doubles, but for a digit behind those that are kept */
        "9007199254740993.000000000000000000000000000000001", "9007199254740993.000000000000000000000000000000000"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double v = 99.0, expected = strtod(good[i], NULL);
        if (!gr_parse_number(good[i], &v)) fail_msg("\"%s\" was refused", good[i]);
        if (!same_double(v, expected)) fail_msg("\"%s\" is %.17g", good[i], v);
    }
    static const char *const bad[] = {"",      " ",    "+",      "-",   ".",     "e5",
                                      "1e",    "1e+",  "--1",    "+-1", "1 2",   "1,5",
                                      "1.2.3", "0x10", "0x1p3",  "inf", "-inf",  "infinity",
                                      "nan",   "NaN",  "nan(1)", "1f",  "1_000", "1'000",
                                      "- 1",   "1e 5", "1e5.0",  "\n1", "1\n",   "\xC2\xA0" /* a no-break space */,
                                      "1e5e5", "1d5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double v;
        if (gr_parse_number(bad[i], &v)) fail_msg("\"%s\" was taken for %g", bad[i], v);
    }
}

/* Against the C library in the C locale, to the last bit. */
static void numbers_are_exact(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(7);
    for (int i = 0; i < 50000; i++) {
        char text[128], *p = text;
        int whole = (int)gr_rng_below(&rng, i % 2 ? 6 : 50), part = (int)gr_rng_below(&rng, i % 3 ? 8 : 50);
        if (gr_rng_below(&rng, 2)) *p++ = '-';
        for (int k = 0; k < whole; k++) *p++ = (char)('0' + gr_rng_below(&rng, 10));
        *p++ = '.';
        for (int k = 0; k < part; k++) *p++ = (char)('0' + gr_rng_below(&rng, 10));
        *p = '\0';
        if (gr_rng_below(&rng, 2)) sprintf(p, "e%d", (int)gr_rng_below(&rng, 700) - 350);
        double v = 0.0, expected = strtod(text, NULL);
        bool has_digits = whole + part > 0;
        assert_int_equal(gr_parse_number(text, &v), has_digits);
        if (has_digits && !same_double(v, expected)) fail_msg("%s is %.17g, not %.17g", text, v, expected);
    }
}

static void numbers_know_no_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "fr_FR.utf8", "fr_FR"};
    const char *set_to = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !set_to; i++) set_to = setlocale(LC_NUMERIC, names[i]);
    if (!set_to) skip(); /* no locale with a decimal comma is installed */
    double v = 0.0, w = 0.0;
    bool with_comma = strtod("1,5", NULL) > 1.25;
    bool parsed = gr_parse_number("1.5", &v) && gr_parse_number("1234567890.12345678901e2", &w);
    bool refused = !gr_parse_number("1,5", &v);
    setlocale(LC_NUMERIC, "C");
    assert_true(with_comma && parsed && refused);
    assert_true(v == 1.5 && w == 123456789012.345678901);
}

/* ---- IDX ---------------------------------------------------------------------------------------------------- */

typedef struct bytes {
    unsigned char at[1 << 17];
    size_t size;
} bytes;

static void add(bytes *b, const void *data, size_t size)
{
    assert_true(b->size + size <= sizeof b->at);
    memcpy(b->at + b->size, data, size);
    b->size += size;
}

static void add_u32(bytes *b, uint32_t v, bool little)
{
    unsigned char p[4];
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> 8 * (little ? i : 3 - i));
    add(b, p, 4);
}

static void add_header(bytes *b, int type, int rank, const uint32_t dims[])
{
    add(b, (unsigned char[]){0, 0, (unsigned char)type, (unsigned char)rank}, 4);
    for (int i = 0; i < rank; i++) add_u32(b, dims[i], false);
}
#define DIMS(...) (int)(sizeof((uint32_t[]){__VA_ARGS__}) / 4), ((uint32_t[]){__VA_ARGS__})

static const char *put_bytes(const char *name, const bytes *b)
{
    return put(name, b->at, b->size);
}

static bytes file, packed; /* too large for a stack */

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
        const char *path = put("file.idx", cases[i].data, cases[i].size);
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

/* ---- gzip --------------------------------------------------------------------------------------------------- */

static uint32_t crc_of(const unsigned char *p, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

/* One more member of a gzip file, in stored blocks. */
static void add_member(bytes *to, const unsigned char *data, size_t size)
{
    add(to, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    size_t at = 0;
    do {
        size_t part = size - at < 60000 ? size - at : 60000;
        unsigned char low = (unsigned char)part, high = (unsigned char)(part >> 8);
        add(to, (unsigned char[]){at + part == size, low, high, low ^ 0xff, high ^ 0xff}, 5);
        add(to, data + at, part);
        at += part;
    } while (at < size);
    add_u32(to, crc_of(data, size), true);
    add_u32(to, (uint32_t)size, true);
}

static const bytes *pack(const bytes *b)
{
    packed.size = 0;
    add_member(&packed, b->at, b->size);
    return &packed;
}

static void make_small(void)
{
    file.size = 0;
    add_header(&file, 0x08, DIMS(3, 2));
    add(&file, "\1\2\3\4\5\6", 6);
}

static bool unpacks(void)
{
    make_small();
    gr_tensor *t = gr_idx_read(put_bytes("file.gz", pack(&file)), false);
    if (!t && gr_last_status() == GR_ERR_UNSUPPORTED) return gr_clear_error(), false;
    if (!t) fail_msg("%s", gr_last_error());
    bool right = gr_size(t) == 6 && gr_get(t, 5) == 6.0;
    gr_tensor_free(t);
    assert_true(right);
    return true;
}

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

/* ---- Images and labels -------------------------------------------------------------------------------------- */

static const char *put_labels(int type, const char *data, uint32_t n)
{
    file.size = 0;
    add_header(&file, type, DIMS(n));
    add(&file, data, n * (type == 0x0C ? 4 : 1));
    return put_bytes("labels.idx", &file);
}

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

/* ---- Data sets ---------------------------------------------------------------------------------------------- */

/* x [n,2] with i and 10 i in row i, y = i % 3. */
static gr_dataset *counted(gr_dtype dtype, int64_t n)
{
    gr_tensor *x = gr_zeros(dtype, GR_SHAPE(n, 2)), *y = gr_zeros(GR_I32, GR_SHAPE(n));
    for (int64_t i = 0; x && y && i < n; i++) {
        assert_int_equal(gr_set(x, 2 * i, (double)i), GR_OK);
        assert_int_equal(gr_set(x, 2 * i + 1, 10.0 * (double)i), GR_OK);
        assert_int_equal(gr_set(y, i, (double)(i % 3)), GR_OK);
    }
    return gr_dataset_new(x, y);
}

static void dataset_is_made(void **state)
{
    (void)state;
    watch_memory(0);
    gr_dataset *set = counted(GR_F64, 5);
    assert_string_equal(dump(set), "| 0 0 >0 | 1 10 >1 | 2 20 >2 | 3 30 >0 | 4 40 >1 |");
    assert_int_equal(gr_dataset_classes(set), 3);
    gr_dataset_free(set);
    gr_tensor *x = gr_ones(GR_F32, GR_SHAPE(4, 3));
    set = gr_dataset_new(x, x);
    assert_int_equal(gr_dataset_size(set), 4);
    assert_int_equal(gr_dataset_classes(set), 0);
    gr_dataset_free(set);
    set = gr_dataset_new(gr_zeros(GR_I32, GR_SHAPE(2, 5)), gr_full(GR_I32, GR_SHAPE(2, 5), 7.0));
    assert_int_equal(gr_dataset_classes(set), 8);
    gr_dataset_free(set);

    assert_null(gr_dataset_new(NULL, gr_ones(GR_F32, GR_SHAPE(2))));
    assert_error("no x", GR_ERR_NULL, "x is NULL");
    assert_null(gr_dataset_new(gr_ones(GR_F32, GR_SHAPE(2)), NULL));
    assert_error("no y", GR_ERR_NULL, "y is NULL");
    assert_null(gr_dataset_new(gr_ones(GR_F32, GR_SHAPE(2, 3)), gr_ones(GR_F32, GR_SHAPE(3))));
    assert_error("rows", GR_ERR_SHAPE, "x is [2,3] and y [3]");
    assert_null(gr_dataset_new(gr_ones(GR_F32, GR_SHAPE(0, 3)), gr_ones(GR_F32, GR_SHAPE(0))));
    assert_error("no rows", GR_ERR_SHAPE, "one at least");
    assert_null(gr_dataset_new(gr_ones(GR_F32, GR_SCALAR), gr_ones(GR_F32, GR_SCALAR)));
    assert_error("scalars", GR_ERR_SHAPE, "one at least");
    x = gr_ones(GR_F32, GR_SCALAR);
    assert_null(gr_dataset_new(x, x));
    gr_clear_error();
    assert_int_equal(the_watch.live, 0);
    gr_dataset_free(NULL);
    assert_int_equal(gr_dataset_size(NULL), 0);
    assert_null(gr_dataset_x(NULL));
    assert_null(gr_dataset_y(NULL));
    assert_int_equal(gr_dataset_classes(NULL), 0);
    assert_null(gr_dataset_class_name(NULL, 0));
    assert_null(gr_dataset_feature_name(NULL, 0));
}

static void dataset_splits(void **state)
{
    (void)state;
    gr_dataset *set = gr_csv_read(put_text("a,b\n0,r\n1,p\n2,q\n3,p\n4,p\n"), NULL, NULL), *first, *second;
    assert_non_null(set);
    assert_int_equal(gr_dataset_split(set, 0.5, NULL, &first, &second), GR_OK);
    assert_string_equal(dump(first), "a | 0 >2 | 1 >0 | 2 >1 | p q r");
    assert_string_equal(dump(second), "a | 3 >0 | 4 >0 | p q r");
    assert_int_equal(gr_dataset_classes(second), 3);
    gr_dataset_free(first);
    gr_dataset_free(second);
    gr_dataset_free(set);

    set = counted(GR_F32, 1000);
    gr_rng rng = gr_rng_seed(1), same = rng, before = rng;
    gr_dataset *again, *rest;
    assert_int_equal(gr_dataset_split(set, 0.8, &rng, &first, &second), GR_OK);
    assert_int_equal(gr_dataset_split(set, 0.8, &same, &again, &rest), GR_OK);
    assert_int_equal(gr_dataset_size(first), 800);
    assert_int_equal(gr_dataset_size(second), 200);
    assert_memory_equal(gr_read_f32(gr_dataset_x(first)), gr_read_f32(gr_dataset_x(again)), 800 * 2 * sizeof(float));
    assert_memory_equal(gr_read_f32(gr_dataset_x(second)), gr_read_f32(gr_dataset_x(rest)), 200 * 2 * sizeof(float));
    assert_memory_not_equal(&rng, &before, sizeof rng);
    int seen[1000] = {0}, moved = 0;
    for (int k = 0; k < 1000; k++) {
        gr_dataset *half = k < 800 ? first : second;
        int row = k < 800 ? k : k - 800, i = (int)gr_get(gr_dataset_x(half), 2 * row);
        assert_true(gr_get(gr_dataset_x(half), 2 * row + 1) == 10.0 * i);
        assert_int_equal(gr_read_i32(gr_dataset_y(half))[row], i % 3);
        seen[i]++;
        moved += i != k;
    }
    for (int i = 0; i < 1000; i++) assert_int_equal(seen[i], 1);
    assert_true(moved > 900);
    gr_dataset_free(first);
    gr_dataset_free(second);
    gr_dataset_free(again);
    gr_dataset_free(rest);

    static const double shares[] = {0.0, 1.0, -1.0, 2.0, (double)NAN, 0.0001, 0.9999};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        first = second = set;
        assert_int_equal(gr_dataset_split(set, shares[i], &rng, &first, &second), GR_ERR_OPTION);
        assert_null(first);
        assert_null(second);
        assert_error("share", GR_ERR_OPTION, i < 5 ? "expected one between 0 and 1" : "leaves a set without any");
    }
    assert_int_equal(gr_dataset_split(set, 0.5, NULL, &first, NULL), GR_ERR_NULL);
    assert_int_equal(gr_dataset_split(set, 0.5, NULL, NULL, &second), GR_ERR_NULL);
    gr_clear_error();
    assert_int_equal(gr_dataset_split(NULL, 0.5, NULL, &first, &second), GR_ERR_NULL);
    gr_dataset_free(set);
}

static void dataset_standardizes(void **state)
{
    (void)state;
    for (int dtype = GR_F32; dtype <= GR_F64; dtype++) {
        double values[4][3] = {{1e6, 0.1, -3}, {1e6 + 1, 0.1, 5}, {1e6 + 2, 0.1, 5}, {1e6 + 3, 0.1, 5}};
        gr_tensor *x = gr_zeros((gr_dtype)dtype, GR_SHAPE(4, 3, 1));
        gr_tensor *other = gr_full((gr_dtype)dtype, GR_SHAPE(1, 3), 0.0);
        for (int i = 0; i < 12; i++) assert_int_equal(gr_set(x, i, values[i / 3][i % 3]), GR_OK);
        gr_dataset *set = gr_dataset_new(x, gr_zeros(GR_F32, GR_SHAPE(4, 1)));
        gr_dataset *held_out = gr_dataset_new(other, gr_zeros(GR_F32, GR_SHAPE(1, 1)));
        uint32_t version = gr_version_of(x);
        assert_int_equal(gr_dataset_standardize(set, &held_out, 1), GR_OK);
        assert_true(gr_version_of(x) != version);
        double tolerance = dtype == GR_F32 ? 1e-6 : 1e-12;
        for (int j = 0; j < 3; j++) {
            double mean = 0.0, square = 0.0;
            for (int i = 0; i < 4; i++) mean += gr_get(x, 3 * i + j) / 4;
            for (int i = 0; i < 4; i++) square += gr_get(x, 3 * i + j) * gr_get(x, 3 * i + j) / 4;
            assert_true(fabs(mean) < tolerance);
            assert_true(fabs(square - (j == 1 ? 0.0 : 1.0)) < tolerance);
            assert_true(j != 1 || square == 0.0);
        }
        double expected[3] = {-1000001.5 / sqrt(1.25), -(dtype == GR_F32 ? (double)0.1f : 0.1), -3.0 / sqrt(12.0)};
        for (int j = 0; j < 3; j++) assert_true(close_to(gr_get(other, j), expected[j], tolerance));
        gr_dataset_free(set);
        gr_dataset_free(held_out);
    }
}

/* A set of views changes what they look into, and a tape that has seen that is told. */
static void standardizing_a_view_is_a_change(void **state)
{
    (void)state;
    gr_tensor *x = gr_uniform(GR_F64, GR_SHAPE(4, 2), 0.0, 1.0, &(gr_rng){{1, 2, 3, 4}});
    gr_dataset *set = gr_dataset_new(gr_view_rows(x, 0, 3), gr_zeros(GR_F64, GR_SHAPE(3)));
    gr_tensor *w = gr_ones(GR_F64, GR_SHAPE(2));
    gr_require_grad(w);
    gr_tape *tape = gr_tape_new();
    gr_tensor *y = gr_sum(tape, gr_mul(tape, x, w), GR_ALL_AXES, false);
    assert_int_equal(gr_dataset_standardize(set, NULL, 0), GR_OK);
    assert_int_equal(gr_backward(tape, y, 0), GR_ERR_STATE);
    assert_error("a view", GR_ERR_STATE, "[4,2], input 0 of mul, was changed");
    gr_tape_free(tape);
    gr_dataset_free(set);
    gr_tensor_free(x);
    gr_tensor_free(w);
}

static void dataset_refuses_to_standardize(void **state)
{
    (void)state;
    gr_dataset *set = counted(GR_F32, 3),
               *integers = gr_dataset_new(gr_zeros(GR_I32, GR_SHAPE(3, 2)), gr_zeros(GR_F32, GR_SHAPE(3)));
    gr_dataset *wide = gr_dataset_new(gr_zeros(GR_F32, GR_SHAPE(3, 4)), gr_zeros(GR_F32, GR_SHAPE(3)));
    gr_dataset *missing = NULL;
    assert_int_equal(gr_dataset_standardize(NULL, NULL, 0), GR_ERR_NULL);
    gr_clear_error();
    assert_int_equal(gr_dataset_standardize(set, NULL, 1), GR_ERR_NULL);
    assert_int_equal(gr_dataset_standardize(set, &wide, -1), GR_ERR_OPTION);
    gr_clear_error();
    assert_int_equal(gr_dataset_standardize(set, &missing, 1), GR_ERR_NULL);
    gr_clear_error();
    assert_int_equal(gr_dataset_standardize(set, &wide, 1), GR_ERR_SHAPE);
    assert_error("features", GR_ERR_SHAPE, "others[0] has 4 features ([3,4]), set 2 ([3,2])");
    assert_int_equal(gr_dataset_standardize(integers, NULL, 0), GR_ERR_DTYPE);
    assert_int_equal(gr_dataset_standardize(set, &integers, 1), GR_ERR_DTYPE);
    assert_int_equal(gr_dataset_standardize(set, &set, 1), GR_ERR_OPTION);
    assert_error("itself", GR_ERR_OPTION, "others[0] is there twice");
    assert_int_equal(gr_set(gr_dataset_x(set), 3, (double)NAN), GR_OK);
    assert_int_equal(gr_dataset_standardize(set, NULL, 0), GR_ERR_VALUE);
    assert_error("NaN", GR_ERR_VALUE, "feature 1 has the mean nan");
    assert_true(gr_get(gr_dataset_x(set), 4) == 2.0);
    gr_dataset_free(set);
    gr_dataset_free(integers);
    gr_dataset_free(wide);
}

static void one_hot_encodes(void **state)
{
    (void)state;
    gr_tensor *index = gr_from(GR_I32, GR_SHAPE(1, 3), (int32_t[]){2, 0, 1});
    for (int dtype = 0; dtype < GR_N_DTYPES; dtype++) {
        gr_tensor *hot = gr_one_hot((gr_dtype)dtype, index, 3);
        assert_non_null(hot);
        assert_int_equal(gr_rank(hot), 3);
        assert_int_equal(gr_dim(hot, 2), 3);
        for (int i = 0; i < 9; i++) assert_true(gr_get(hot, i) == (i == 2 || i == 3 || i == 7 ? 1.0 : 0.0));
        gr_tensor_free(hot);
    }
    assert_null(gr_one_hot(GR_F32, index, 2));
    assert_error("range", GR_ERR_INDEX, "class 2 at [0,0] is outside 0..1");
    assert_null(gr_one_hot(GR_F32, index, -1));
    assert_error("negative", GR_ERR_SHAPE, "negative");
    assert_null(gr_one_hot(GR_F32, NULL, 3));
    assert_error("NULL", GR_ERR_NULL, "one_hot: index is NULL");
    gr_tensor *floats = gr_ones(GR_F32, GR_SHAPE(2)), *deep = gr_zeros(GR_I32, GR_SHAPE(1, 1, 1, 1, 1, 1, 1, 1));
    assert_null(gr_one_hot(GR_F32, floats, 3));
    assert_error("dtype", GR_ERR_DTYPE, "index is f32");
    assert_null(gr_one_hot(GR_F32, deep, 3));
    assert_error("rank", GR_ERR_SHAPE, "no room for another axis");
    gr_tensor_free(index);
    gr_tensor_free(floats);
    gr_tensor_free(deep);
}

static void blobs_are_made(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(3), same = rng;
    gr_dataset *set = gr_make_blobs(1001, 0.25, &rng), *again = gr_make_blobs(1001, 0.25, &same);
    const float *x = gr_read_f32(gr_dataset_x(set));
    assert_memory_equal(x, gr_read_f32(gr_dataset_x(again)), 1001 * 2 * sizeof(float));
    assert_memory_equal(&rng, &same, sizeof rng);
    assert_int_equal(gr_dataset_classes(set), 2);
    double mean[2] = {0.0, 0.0}, square = 0.0;
    for (int i = 0; i < 1001; i++) {
        int class = gr_read_i32(gr_dataset_y(set))[i];
        assert_int_equal(class, i % 2);
        for (int k = 0; k < 2; k++) {
            mean[class] += (double)x[2 * i + k] / 1001;
            double d = (double)x[2 * i + k] - (class ? 1.0 : -1.0);
            square += d * d / 2002;
        }
    }
    assert_true(fabs(mean[0] + 1.0) < 0.05 && fabs(mean[1] - 1.0) < 0.05);
    assert_true(fabs(sqrt(square) - 0.25) < 0.02);
    gr_dataset_free(set);
    gr_dataset_free(again);
    assert_null(gr_make_blobs(0, 1.0, &rng));
    assert_error("no points", GR_ERR_OPTION, "make_blobs: 0 points");
    assert_null(gr_make_blobs(2, -1.0, &rng));
    assert_error("spread", GR_ERR_OPTION, "a spread of -1");
    assert_null(gr_make_blobs(2, (double)NAN, &rng));
    assert_error("spread", GR_ERR_OPTION, "a spread of nan");
    assert_null(gr_make_blobs(2, 1.0, NULL));
    assert_error("NULL", GR_ERR_NULL, "rng is NULL");
    assert_null(gr_make_blobs(INT64_MAX, 1.0, &rng));
    assert_error("too many", GR_ERR_SHAPE, "too many elements");
}

/* ---- Mini-batches ------------------------------------------------------------------------------------------- */

/* One epoch: the rows in the order in which they came. Checks sizes, dtypes and that x and y belong together. */
static void run_epoch(gr_batches *batches, int64_t n, int64_t size, int order[])
{
    int64_t at = 0, count = 0;
    for (; gr_batches_next(batches); count++) {
        gr_tensor *x = gr_batch_x(batches), *y = gr_batch_y(batches);
        int64_t expected = n - at < size ? n - at : size;
        assert_int_equal(gr_dim(x, 0), expected);
        assert_int_equal(gr_dim(x, 1), 2);
        assert_int_equal(gr_dim(y, 0), expected);
        assert_int_equal(gr_dtype_of(y), GR_I32);
        for (int64_t i = 0; i < expected; i++, at++) {
            order[at] = (int)gr_get(x, 2 * i);
            assert_true(gr_get(x, 2 * i + 1) == 10.0 * order[at]);
            assert_int_equal(gr_read_i32(y)[i], order[at] % 3);
        }
    }
    assert_int_equal(at, n);
    assert_int_equal(count, gr_batches_count(batches));
    assert_null(gr_batch_x(batches));
    assert_error("between epochs", GR_ERR_STATE, "batch_x: no batch");
}

static void batches_go_in_order(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 3, 7, 20, 21, INT64_MAX};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        watch_memory(0);
        gr_dataset *set = counted(s % 2 ? GR_F32 : GR_F64, 20);
        gr_batches *batches = gr_batches_new(set, sizes[s], NULL);
        assert_non_null(batches);
        assert_null(gr_batch_y(batches));
        assert_error("before the first", GR_ERR_STATE, "batch_y: no batch before");
        for (int epoch = 0; epoch < 3; epoch++) {
            int order[20];
            run_epoch(batches, 20, sizes[s], order);
            for (int i = 0; i < 20; i++) assert_int_equal(order[i], i);
        }
        gr_batches_free(batches);
        gr_dataset_free(set);
        assert_int_equal(the_watch.live, 0);
    }
}

static void batches_are_shuffled(void **state)
{
    (void)state;
    enum { N = 103, EPOCHS = 4 };
    gr_dataset *set = counted(GR_F32, N);
    gr_rng rng = gr_rng_seed(5), same = rng, before = rng;
    gr_batches *batches = gr_batches_new(set, 10, &rng), *again = gr_batches_new(set, 10, &same);
    assert_memory_not_equal(&rng, &before, sizeof rng);
    int order[EPOCHS][N] = {{0}}, repeated[N];
    for (int e = 0; e < EPOCHS; e++) {
        gr_rng_u64(&rng); /* the order is drawn from a state of its own */
        run_epoch(batches, N, 10, order[e]);
        run_epoch(again, N, 10, repeated);
        assert_memory_equal(order[e], repeated, sizeof repeated);
        int seen[N] = {0};
        for (int i = 0; i < N; i++) seen[order[e][i]]++;
        for (int i = 0; i < N; i++) assert_int_equal(seen[i], 1);
        for (int f = 0; f < e; f++) assert_memory_not_equal(order[e], order[f], sizeof repeated);
    }
    gr_batches_free(batches);
    gr_batches_free(again);
    gr_dataset_free(set);
}

static void batches_allocate_nothing(void **state)
{
    (void)state;
    gr_dataset *set = counted(GR_F32, 50);
    gr_rng rng = gr_rng_seed(5);
    gr_batches *batches = gr_batches_new(set, 16, &rng);
    watch_memory(0);
    for (int epoch = 0; epoch < 3; epoch++)
        while (gr_batches_next(batches)) {}
    assert_int_equal(the_watch.calls, 0);
    gr_set_allocator(NULL);
    gr_batches_free(batches);
    gr_dataset_free(set);
}

/* A tape that saved a batch must hear of its being rewritten, also where the last, smaller one did that. */
static void batches_count_as_changes(void **state)
{
    (void)state;
    gr_dataset *set = counted(GR_F32, 10);
    gr_batches *batches = gr_batches_new(set, 8, NULL);
    assert_true(gr_batches_next(batches));
    const gr_tensor *x = gr_batch_x(batches), *y = gr_batch_y(batches);
    uint32_t x_version = gr_version_of(x), y_version = gr_version_of(y);
    assert_true(gr_batches_next(batches));
    assert_int_equal(gr_dim(gr_batch_x(batches), 0), 2);
    assert_true(gr_version_of(x) != x_version && gr_version_of(y) != y_version);
    x_version = gr_version_of(x);
    assert_false(gr_batches_next(batches));
    assert_true(gr_version_of(x) == x_version);
    assert_true(gr_batches_next(batches));
    assert_true(gr_version_of(x) != x_version);
    gr_batches_free(batches);
    gr_dataset_free(set);
}

static void batches_and_tapes(void **state)
{
    (void)state;
    gr_dataset *set = counted(GR_F32, 10);
    gr_batches *batches = gr_batches_new(set, 8, NULL);
    gr_tape *tape = gr_tape_new();
    gr_tensor *w = gr_ones(GR_F32, GR_SHAPE(2, 1));
    gr_require_grad(w);
    assert_true(gr_batches_next(batches));
    gr_tensor *y = gr_sum(tape, gr_matmul(tape, gr_batch_x(batches), w, 0), GR_ALL_AXES, false);
    assert_true(gr_batches_next(batches));
    assert_int_equal(gr_backward(tape, y, 0), GR_ERR_STATE);
    assert_error("a batch that went on", GR_ERR_STATE, "changed");
    assert_null(gr_dataset_new(y, gr_ones(GR_F32, GR_SHAPE(1))));
    assert_error("a tape's result", GR_ERR_STATE, "dataset_new: x is a result of a tape");
    assert_true(isfinite(gr_item(y)));
    gr_tape_reset(tape);
    assert_int_equal(gr_backward(tape, gr_sum(tape, w, GR_ALL_AXES, false), 0), GR_OK);
    assert_null(gr_dataset_new(gr_ones(GR_F32, GR_SHAPE(2)), gr_gradient(w)));
    assert_error("a gradient", GR_ERR_STATE, "dataset_new: y is the gradient of another tensor");
    assert_true(gr_get(gr_gradient(w), 0) == 1.0);
    gr_tape_free(tape);
    gr_tensor_free(w);
    gr_batches_free(batches);
    gr_dataset_free(set);
}

static void batches_refuse(void **state)
{
    (void)state;
    gr_dataset *set = counted(GR_F32, 10);
    assert_null(gr_batches_new(NULL, 1, NULL));
    assert_error("NULL", GR_ERR_NULL, "batches_new: set is NULL");
    assert_null(gr_batches_new(set, 0, NULL));
    assert_error("0", GR_ERR_OPTION, "a batch of 0 rows");
    assert_null(gr_batches_new(set, -1, NULL));
    assert_error("-1", GR_ERR_OPTION, "a batch of -1 rows");
    assert_false(gr_batches_next(NULL));
    assert_null(gr_batch_x(NULL));
    assert_null(gr_batch_y(NULL));
    assert_int_equal(gr_batches_count(NULL), 0);
    gr_batches_free(NULL);
    gr_dataset_free(set);
}

/* ---- Every allocation fails in turn ------------------------------------------------------------------------- */

/* Each loads, checks and frees what it is about: true when there was memory enough. */
typedef bool (*load)(void);

static bool and_free(gr_dataset *set)
{
    bool loaded = set;
    gr_dataset_free(set);
    return loaded;
}

static bool load_csv(void)
{
    return and_free(gr_csv_read(path_of("table.csv"), NULL, NULL));
}

static bool load_csv_numeric(void)
{
    gr_csv_options options = {.target = "a", .drop = "c", .numeric_target = true};
    return and_free(gr_csv_read(path_of("table.csv"), &options, NULL));
}

static bool and_free_tensor(gr_tensor *t)
{
    bool loaded = t;
    gr_tensor_free(t);
    return loaded;
}

static bool load_idx(void)
{
    return and_free_tensor(gr_idx_read(path_of("file.idx"), false));
}

static bool load_gzip(void)
{
    return and_free_tensor(gr_idx_read(path_of("file.gz"), true));
}

static bool load_pair(void)
{
    return and_free(gr_idx_read_pair(path_of("file.idx"), path_of("labels.idx")));
}

static bool load_blobs(void)
{
    gr_rng rng = gr_rng_seed(1), before = rng;
    bool loaded = and_free(gr_make_blobs(100, 1.0, &rng));
    assert_int_equal(loaded, memcmp(&rng, &before, sizeof rng) != 0);
    return loaded;
}

static bool load_split(void)
{
    gr_rng rng = gr_rng_seed(1), before = rng;
    gr_dataset *set = gr_csv_read(path_of("table.csv"), NULL, NULL), *first = set, *second = set;
    if (!set) return false;
    gr_status status = gr_dataset_split(set, 0.5, &rng, &first, &second);
    if (status) {
        assert_null(first);
        assert_null(second);
        assert_memory_equal(&rng, &before, sizeof rng);
    } else {
        status = gr_dataset_standardize(first, &second, 1);
    }
    gr_dataset_free(first);
    gr_dataset_free(second);
    gr_dataset_free(set);
    return !status;
}

static bool load_batches(void)
{
    gr_rng rng = gr_rng_seed(1), before = rng;
    gr_dataset *set = gr_make_blobs(100, 1.0, &rng);
    before = rng;
    gr_batches *batches = set ? gr_batches_new(set, 30, &rng) : NULL;
    assert_true(batches || memcmp(&rng, &before, sizeof rng) == 0);
    bool loaded = batches && and_free_tensor(gr_one_hot(GR_F32, gr_dataset_y(set), 2));
    gr_batches_free(batches);
    gr_dataset_free(set);
    return loaded;
}

/* Returns how many there are. */
static int64_t every_allocation_fails(const char *name, load loads)
{
    int64_t failures = 0;
    for (;; failures++) {
        watch_memory(failures + 1);
        gr_clear_error();
        bool loaded = loads();
        if (the_watch.live != 0) fail_msg("%s, allocation %lld: leaks", name, (long long)failures + 1);
        if (the_watch.calls <= failures) {
            if (!loaded) fail_msg("%s: %s", name, gr_last_error());
            break;
        }
        if (loaded) fail_msg("%s, allocation %lld: did without it", name, (long long)failures + 1);
        if (gr_last_status() != GR_ERR_MEMORY)
            fail_msg("%s, allocation %lld: %s", name, (long long)failures + 1, gr_last_error());
        the_watch.fail_at = 0;
        if (!loads()) fail_msg("%s, after allocation %lld: %s", name, (long long)failures + 1, gr_last_error());
        if (the_watch.live != 0) fail_msg("%s, after allocation %lld: leaks", name, (long long)failures + 1);
    }
    if (failures < 3) fail_msg("%s: only %lld allocations", name, (long long)failures);
    return failures;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    char table[4000] = "a,b,c\n"; /* long enough to grow twice */
    for (int i = 0; i < 300; i++) sprintf(table + strlen(table), "%d,%d,%s\n", i, i % 7, i % 5 ? "yes" : "no");
    put_text(table);
    put_labels(0x08, "\2\0\2", 3);
    make_small();
    bool zlib = unpacks();
    put_bytes("file.idx", &file);
    every_allocation_fails("csv", load_csv);
    every_allocation_fails("csv with a numeric target", load_csv_numeric);
    every_allocation_fails("pair", load_pair);
    every_allocation_fails("blobs", load_blobs);
    every_allocation_fails("split", load_split);
    every_allocation_fails("batches", load_batches);
    file.size = 0;
    add_header(&file, 0x08, DIMS(100000));
    memset(file.at + file.size, 7, 100000);
    file.size += 100000;
    put_bytes("file.idx", &file);
    int64_t plain = every_allocation_fails("idx", load_idx);
    put_bytes("file.gz", pack(&file));
    if (zlib && every_allocation_fails("gzip", load_gzip) <= plain) fail_msg("zlib's memory is not ours");
}

/* ---- Damaged files ------------------------------------------------------------------------------------------ */

/* One to four bytes changed, taken out or put in, or the end cut off. */
static void damage(bytes *b, gr_rng *rng, const char *favourites, size_t n_favourites)
{
    for (int64_t k = gr_rng_below(rng, 4); k >= 0 && b->size; k--) {
        size_t at = (size_t)gr_rng_below(rng, (int64_t)b->size);
        bool favourite = gr_rng_below(rng, 2);
        unsigned char c = (unsigned char)gr_rng_u64(rng);
        if (favourite) c = (unsigned char)favourites[gr_rng_below(rng, (int64_t)n_favourites)];
        int64_t how = gr_rng_below(rng, 10);
        if (how == 0) b->size = at;
        if (how == 1) memmove(b->at + at, b->at + at + 1, --b->size - at);
        if (how == 2) memmove(b->at + at + 1, b->at + at, b->size++ - at);
        if (how > 1) b->at[at] = c;
    }
}

/* The next file descriptor: the same as before when every file was closed. */
static int next_descriptor(void)
{
    int next = dup(STDERR_FILENO);
    if (next >= 0) close(next);
    return next;
}

/* What comes of a damaged file is a data set that is sound, or an error that says so. */
static bool is_sound(gr_dataset *set)
{
    if (!set) {
        gr_status status = gr_last_status();
        assert_true(status == GR_ERR_FORMAT || status == GR_ERR_OPTION || status == GR_ERR_DTYPE);
        assert_true(strlen(gr_last_error()) > 20);
        return false;
    }
    int64_t n = gr_dataset_size(set);
    const gr_tensor *x = gr_dataset_x(set), *y = gr_dataset_y(set);
    assert_true(n > 0 && gr_dim(x, 0) == n && gr_dim(y, 0) == n && gr_size(y) == n);
    for (int64_t i = 0; i < gr_size(x); i++) assert_true(isfinite(gr_get(x, i)));
    for (int64_t i = 0; i < n; i++) assert_in_range(gr_read_i32(y)[i], 0, gr_dataset_classes(set) - 1);
    gr_dataset_free(set);
    return true;
}

static void damaged_tables(void **state)
{
    (void)state;
    static const char table[] = "\xEF\xBB\xBF"
                                "id,\"si,ze\",\"ki\"\"nd\"\r\n"
                                "1,2.5e1,\"x\r\ny\"\r\n\n2,NA,y\r\n3,-.5,\"y\"\r\n4,6,z";
    static const char favourites[] = "\",\n\r\0;0 9eE.-+\xff";
    gr_rng rng = gr_rng_seed(11);
    int sound = 0, descriptor = next_descriptor();
    for (int round = 0; round < 4000; round++) {
        file.size = 0;
        add(&file, table, sizeof table - 1);
        size_t cut = (size_t)round;
        if (cut < file.size) file.size = cut;
        else damage(&file, &rng, favourites, sizeof favourites - 1);
        watch_memory(0);
        gr_csv_options options = {.no_header = round % 7 == 0, .skip_lines = round % 11 == 0};
        if (round % 3 == 0) options.drop = "0";
        sound += is_sound(gr_csv_read(put_bytes("table.csv", &file), &options, NULL));
        assert_int_equal(the_watch.live, 0);
        assert_true(the_watch.bytes < 1 << 20);
    }
    assert_in_range(sound, 400, 3600);
    assert_int_equal(next_descriptor(), descriptor);
}

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

/* ---- The user's files --------------------------------------------------------------------------------------- */

static void assert_class_counts(const gr_dataset *set, int classes, const int expected[])
{
    int64_t counts[16] = {0};
    assert_int_equal(gr_dataset_classes(set), classes);
    for (int64_t i = 0; i < gr_dataset_size(set); i++) counts[gr_read_i32(gr_dataset_y(set))[i]]++;
    for (int c = 0; c < classes; c++) assert_int_equal(counts[c], expected[c]);
}

static void user_wdbc(void **state)
{
    (void)state;
    const char *path = user_file("tabular/wdbc.csv");
    if (!path) skip();
    gr_csv_options options = {.skip_lines = 1, .no_header = true, .target = "1", .drop = "0"};
    gr_dataset *set = gr_csv_read(path, &options, NULL);
    if (!set) fail_msg("%s", gr_last_error());
    assert_int_equal(gr_dataset_size(set), 569);
    assert_int_equal(gr_dim(gr_dataset_x(set), 1), 30);
    assert_string_equal(gr_dataset_class_name(set, 0), "B");
    assert_string_equal(gr_dataset_class_name(set, 1), "M");
    assert_class_counts(set, 2, (int[]){357, 212});
    assert_true(gr_read_f32(gr_dataset_x(set))[0] == 17.99f && gr_read_f32(gr_dataset_x(set))[29] == 0.1189f);
    gr_dataset_free(set);
    assert_null(gr_csv_read(path, NULL, NULL));
    assert_error("its header", GR_ERR_FORMAT, "line 2: 32 fields: expected 3");
}

static void user_penguins(void **state)
{
    (void)state;
    const char *path = user_file("tabular/penguins.csv");
    if (!path) skip();
    gr_csv_options options = {.target = "species",
                              .features = "bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g"};
    gr_csv_report report;
    gr_dataset *set = gr_csv_read(path, &options, &report);
    if (!set) fail_msg("%s", gr_last_error());
    assert_int_equal(report.rows, 342);
    assert_int_equal(report.dropped, 2);
    assert_class_counts(set, 3, (int[]){151, 68, 123});
    assert_string_equal(gr_dataset_class_name(set, 2), "Gentoo");
    assert_string_equal(gr_dataset_feature_name(set, 3), "body_mass_g");
    assert_true(gr_read_f32(gr_dataset_x(set))[0] == 39.1f && gr_read_f32(gr_dataset_x(set))[3] == 3750.0f);
    gr_dataset_free(set);
    set = gr_csv_read(path, &(gr_csv_options){.target = "species", .drop = "island,sex,year"}, &report);
    assert_int_equal(gr_dataset_size(set), 342);
    gr_dataset_free(set);
    options.error_on_missing = true;
    assert_null(gr_csv_read(path, &options, &report));
    assert_error("missing", GR_ERR_FORMAT, "line 5, column 3 (bill_length_mm): \"NA\" stands for a missing value");
    assert_null(gr_csv_read(path, &(gr_csv_options){.target = "species"}, NULL));
    assert_error("a text", GR_ERR_FORMAT, "line 2, column 2 (island): \"Torgersen\" is not a number");
}

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
        cmocka_unit_test_teardown(csv_reads, stop_watching),
        cmocka_unit_test(csv_needs_no_options),
        cmocka_unit_test_teardown(csv_refuses, stop_watching),
        cmocka_unit_test(csv_refuses_files),
        cmocka_unit_test(csv_limits_classes),
        cmocka_unit_test_teardown(csv_limits_columns, stop_watching),
        cmocka_unit_test(csv_quotes_with_care),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(numbers_know_no_locale),
        cmocka_unit_test(idx_reads_all_types),
        cmocka_unit_test(idx_reads_shapes),
        cmocka_unit_test_teardown(idx_refuses, stop_watching),
        cmocka_unit_test(idx_reads_in_pieces),
        cmocka_unit_test(gzip_is_unpacked),
        cmocka_unit_test_teardown(gzip_is_checked, stop_watching),
        cmocka_unit_test_teardown(gzip_bomb_is_harmless, stop_watching),
        cmocka_unit_test_teardown(idx_reads_pairs, stop_watching),
        cmocka_unit_test_teardown(dataset_is_made, stop_watching),
        cmocka_unit_test_teardown(dataset_splits, stop_watching),
        cmocka_unit_test_teardown(dataset_standardizes, stop_watching),
        cmocka_unit_test(standardizing_a_view_is_a_change),
        cmocka_unit_test_teardown(dataset_refuses_to_standardize, stop_watching),
        cmocka_unit_test(one_hot_encodes),
        cmocka_unit_test(blobs_are_made),
        cmocka_unit_test_teardown(batches_go_in_order, stop_watching),
        cmocka_unit_test(batches_are_shuffled),
        cmocka_unit_test_teardown(batches_allocate_nothing, stop_watching),
        cmocka_unit_test(batches_count_as_changes),
        cmocka_unit_test(batches_and_tapes),
        cmocka_unit_test(batches_refuse),
        cmocka_unit_test_teardown(memory_may_run_out, stop_watching),
        cmocka_unit_test_teardown(damaged_tables, stop_watching),
        cmocka_unit_test_teardown(damaged_idx, stop_watching),
        cmocka_unit_test(user_wdbc),
        cmocka_unit_test(user_penguins),
        cmocka_unit_test(user_mnist),
    };
    return cmocka_run_group_tests_name("data", tests, make_directory, remove_directory);
}
