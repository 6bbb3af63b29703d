/* test_csv.c: tables of text: what the reader makes of them, what it refuses and with which words, and that neither a
 * hostile file nor a failing allocation harms it. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "data_kit.h"

/* ---- CSV: what is read ------------------------------------------------------------------------------------------- */

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
    {"blanks around fields", "a,b\n 1 , x\n\t2\t,x\n3,x \t\n 4\t,\tx", {0}, "a | 1 >0 | 2 >0 | 3 >0 | 4 >0 | x", 0},
    {"blanks around quotes", "a, \"b\"\n1, \"x\"\n2,\"x\" \r\n3\t,\t\"x\"\t", {0}, "a | 1 >0 | 2 >0 | 3 >0 | x", 0},
    {"blanks within quotes", "a,b\n\" 1 \",\" x\"\n2,x\n", {0}, "a | 1 >0 | 2 >1 |  x x", 0},
    {"blanks within a class", "a,b\n1, x  y \n2,x  y\n", {0}, "a | 1 >0 | 2 >0 | x  y", 0},
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
    {"blanks around names", "ID, Size ,Kind\n1,2,x\n", {.features = "Size"}, "Size | 2 >0 | x", 0},
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
    {"missing, as others write it", "a,b\nN/A,x\n1,NULL\n2,null\n3,#N/A\n4,<NA>\n5,n/a\n6,x\n", {0}, "a | 6 >0 | x", 6},
    {"missing, in a list with blanks", "a,b\n-999,x\n1,none\n2,x\n", {.missing = " -999, none"}, "a | 2 >0 | x", 2},
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
        gr_csv_report report = {.rows = -1, .dropped = -1};
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

/* ---- CSV: what is refused ---------------------------------------------------------------------------------------- */

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
        gr_csv_report report = {.rows = -1, .dropped = -1};
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
    assert_null(gr_csv_read(put_file("table.csv", "a,b\n1,\0\n", 8), NULL, NULL));
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
    assert_null(gr_csv_read(put_file("table.csv", text, size), NULL, NULL));
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

/* ---- Numbers ----------------------------------------------------------------------------------------------------- */

static bool same_double(double a, double b) { return a == b && signbit(a) == signbit(b); }

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

/* ---- Damaged files ----------------------------------------------------------------------------------------------- */

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

/* ---- The user's files -------------------------------------------------------------------------------------------- */

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

int main(int argc, char *argv[])
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
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
        cmocka_unit_test_teardown(damaged_tables, stop_watching),
        cmocka_unit_test(user_wdbc),
        cmocka_unit_test(user_penguins),
    };
    return cmocka_run_group_tests_name("data", tests, make_directory, remove_directory);
}
