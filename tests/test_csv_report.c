/* test_csv_report.c: what tables hold that is easily read as something else: the report says it, and a message that
 * refuses a table says what it looks like. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "data_kit.h"

/* ---- What is read, and said --------------------------------------------------------------------------------- */

typedef struct odd_table {
    const char *name, *text;
    gr_csv_options options;
    const char *expected;
    gr_csv_report report;
} odd_table;

static const odd_table odd_tables[] = {
    {"nothing odd", "a,y\n5,M\n7,B\n", {0}, "a | 5 >1 | 7 >0 | B M", {.rows = 2}},

    /* A first row of numbers is no header. */
    {"numbers only", "5,1\n7,0\n", {0}, "| 5 >1 | 7 >0 | 0 1", {2, .first_row_read = true, .numeric_classes = 2}},
    {"numbers only, positions",
     "1,0,9\n5,0,7\n",
     {.target = "0", .drop = "1"},
     "| 9 >0 | 7 >1 | 1 5",
     {.rows = 2, .first_row_read = true, .numeric_classes = 2}},
    {"a number to predict",
     "5,1.5\n7,0\n",
     {.numeric_target = true},
     "| 5 >1.5 | 7 >0 |",
     {.rows = 2, .first_row_read = true}},
    {"a class of the rows below",
     "5.1,3.5,setosa\n4.9,3,setosa\n7,3.2,virginica\n",
     {0},
     "| 5.1 3.5 >0 | 4.9 3 >0 | 7 3.2 >1 | setosa virginica",
     {.rows = 3, .first_row_read = true}},
    {"behind a column that is dropped",
     "id7,M,17.9\nid8,B,13\nid9,M,12\n",
     {.target = "1", .drop = "0"},
     "| 17.9 >1 | 13 >0 | 12 >1 | B M",
     {.rows = 3, .first_row_read = true}},
    {"a class that no row has", "5.1,sort\n4.9,p\n7,q\n", {0}, "5.1 | 4.9 >0 | 7 >1 | p q", {2, .numeric_names = 1}},
    {"a name for the target", "5.1,p\n4.9,p\n", {.target = "p"}, "5.1 | 4.9 >0 | p", {1, .numeric_names = 1}},
    {"a name and a class", "a,p\n4.9,p\n", {0}, "a | 4.9 >0 | p", {.rows = 1}},
    {"names of pandas",
     "0,1,2\n4,5,6\n4,6,7\n",
     {0},
     "0 1 | 4 5 >0 | 4 6 >1 | 6 7",
     {2, .numeric_names = 2, .numeric_classes = 2}},
    {"years", "2001,2002,y\n4,5,p\n", {0}, "2001 2002 | 4 5 >0 | p", {.rows = 1, .numeric_names = 2}},
    {"no header, as was said", "5,1\n7,0\n", {.no_header = true}, "| 5 >1 | 7 >0 | 0 1", {2, .numeric_classes = 2}},
    {"a header of numbers, lost",
     "2001,2002\n4,5\n",
     {.no_header = true, .skip_lines = 1},
     "| 4 >0 | 5",
     {1, .numeric_classes = 1}},
    {"a number and a name for classes", "a,y\n5,1.5\n7,x\n", {0}, "a | 5 >0 | 7 >1 | 1.5 x", {.rows = 2}},

    /* A first column without a name that counts the rows. */
    {"from 0", ",a,y\n0,5,p\n1,7,q\n2,5,p\n", {0}, "a | 5 >0 | 7 >1 | 5 >0 | p q", {.rows = 3, .row_numbers = true}},
    {"from 1, quoted, as R does",
     "\"\",\"a\",\"y\"\n\"1\",5,\"p\"\n\"2\",7,\"q\"\n",
     {0},
     "a | 5 >0 | 7 >1 | p q",
     {.rows = 2, .row_numbers = true}},
    {"through a row that is dropped",
     ",a,y\n0,5,p\n1,NA,q\n2,5,p\n",
     {0},
     "a | 5 >0 | 5 >0 | p",
     {.rows = 2, .dropped = 1, .row_numbers = true}},
    {"in f64",
     ",a,y\n0,5,p\n1,7,q\n2,5,p\n",
     {.dtype = GR_F64},
     "a | 5 >0 | 7 >1 | 5 >0 | p q",
     {.rows = 3, .row_numbers = true}},
    {"kept",
     ",a,y\n0,5,p\n1,7,q\n2,5,p\n",
     {.keep_row_numbers = true},
     " a | 0 5 >0 | 1 7 >1 | 2 5 >0 | p q",
     {.rows = 3, .numbered_column = 1, .unnamed = 1}},
    {"asked for by its position",
     ",a,y\n0,5,p\n1,7,q\n",
     {.features = "0,1"},
     " a | 0 5 >0 | 1 7 >1 | p q",
     {.rows = 2, .unnamed = 1}},
    {"without a name, but no count",
     ",a,y\n0,5,p\n1,7,q\n3,5,p\n",
     {0},
     " a | 0 5 >0 | 1 7 >1 | 3 5 >0 | p q",
     {.rows = 3, .unnamed = 1}},
    {"from 2", ",a,y\n2,5,p\n3,7,q\n", {0}, " a | 2 5 >0 | 3 7 >1 | p q", {.rows = 2, .unnamed = 1}},
    {"now 0, now 1 ahead", ",a,y\n0,5,p\n2,7,q\n", {0}, " a | 0 5 >0 | 2 7 >1 | p q", {.rows = 2, .unnamed = 1}},
    {"the only feature", ",y\n0,p\n1,q\n", {0}, " | 0 >0 | 1 >1 | p q", {.rows = 2, .unnamed = 1}},
    {"with a name",
     "a,Id,y\n5,1,p\n5,2,q\n4,3,p\n",
     {0},
     "a Id | 5 1 >0 | 5 2 >1 | 4 3 >0 | p q",
     {.rows = 3, .numbered_column = 2}},
    {"the target", "a,Id\n5,1\n5,2\n4,3\n", {.numeric_target = true}, "a | 5 >1 | 5 >2 | 4 >3 |", {.rows = 3}},

    /* Numbers that F32 changes. */
    {"rounded to a neighbour",
     "a,y\n16777217,16777217\n16777216,3\n0.1,33554436\n",
     {.numeric_target = true},
     "a | 1.677722e+07 >1.677722e+07 | 1.677722e+07 >3 | 0.1 >3.355444e+07 |",
     {.rows = 3, .rounded = 2}},
    {"rounded to 0", "a,y\n1e-60,p\n0,q\n1e-40,p\n", {0}, "a | 0 >0 | 0 >1 | 9.999946e-41 >0 | p q", {3, .rounded = 2}},
    {"rounded in a row that is dropped",
     "a,b,y\n16777217,NA,p\n1,2,p\n",
     {0},
     "a b | 1 2 >0 | p",
     {.rows = 1, .dropped = 1}},
    {"rounded in the first row",
     "16777217,p\n4,p\n",
     {0},
     "| 1.677722e+07 >0 | 4 >0 | p",
     {.rows = 2, .rounded = 1, .first_row_read = true}},
};

static void assert_report(const char *what, const gr_csv_report *a, const gr_csv_report *b)
{
    if (a->rows != b->rows || a->dropped != b->dropped || a->rounded != b->rounded ||
        a->first_row_read != b->first_row_read || a->row_numbers != b->row_numbers ||
        a->numbered_column != b->numbered_column || a->unnamed != b->unnamed || a->numeric_names != b->numeric_names ||
        a->numeric_classes != b->numeric_classes)
        fail_msg(
            "%s: rows %d, dropped %d, rounded %d, first row read %d, row numbers %d, numbered column %d, unnamed %d, "
            "numeric names %d, numeric classes %d",
            what, (int)a->rows, (int)a->dropped, (int)a->rounded, a->first_row_read, a->row_numbers, a->numbered_column,
            a->unnamed, a->numeric_names, a->numeric_classes);
}

/* Feature names as dump() writes them end at an empty one, so that names are compared by hand there. */
static const char *with_names(const gr_dataset *set)
{
    static char text[4200];
    const char *all = dump(set), *rows = strstr(all, "| ");
    size_t used = 0;
    for (int j = 0; gr_dataset_feature_name(set, j); j++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s ", gr_dataset_feature_name(set, j));
    snprintf(text + used, sizeof text - used, "%s", rows);
    return text;
}

static void odd_tables_are_reported(void **state)
{
    (void)state;
    for (int i = 0; i < GR_COUNT(odd_tables); i++) {
        const odd_table *o = &odd_tables[i];
        gr_csv_report report = {.rows = -1, .unnamed = -1};
        watch_memory(0);
        gr_dataset *set = gr_csv_read(put_text(o->text), &o->options, &report);
        if (!set) fail_msg("%s: %s", o->name, gr_last_error());
        if (strcmp(with_names(set), o->expected) != 0)
            fail_msg("%s: \"%s\", expected \"%s\"", o->name, with_names(set), o->expected);
        assert_report(o->name, &report, &o->report);
        gr_dataset_free(set);
        assert_int_equal(the_watch.live, 0);
    }
}

/* Numbers in F64 are those of the file, to the last bit; classes stay what they are. */
static void f64_on_request(void **state)
{
    (void)state;
    const char *path = put_text("a,y\n0.1,9007199254740991\n1e-300,1e300\n16777217,-0.1\n");
    gr_csv_report report;
    gr_dataset *set = gr_csv_read(path, &(gr_csv_options){.dtype = GR_F64, .numeric_target = true}, &report);
    if (!set) fail_msg("%s", gr_last_error());
    static const double x[] = {0.1, 1e-300, 16777217}, y[] = {9007199254740991, 1e300, -0.1};
    assert_memory_equal(gr_read_f64(gr_dataset_x(set)), x, sizeof x);
    assert_memory_equal(gr_read_f64(gr_dataset_y(set)), y, sizeof y);
    assert_report("f64", &report, &(gr_csv_report){.rows = 3});
    gr_dataset_free(set);
    set = gr_csv_read(path, &(gr_csv_options){.dtype = GR_F64}, NULL);
    if (!set) fail_msg("%s", gr_last_error());
    assert_int_equal(gr_dtype_of(gr_dataset_y(set)), GR_I32);
    assert_string_equal(gr_dataset_class_name(set, 0), "-0.1");
    gr_dataset_free(set);
    assert_null(gr_csv_read(path, &(gr_csv_options){.dtype = GR_I32}, NULL));
    assert_error("i32", GR_ERR_DTYPE, "dtype is i32: expected f32 or f64");
    assert_null(gr_csv_read(put_text("a,y\n1e309,p\n"), &(gr_csv_options){.dtype = GR_F64}, NULL));
    assert_error("too large", GR_ERR_FORMAT, "line 2, column 1 (a): \"1e309\" is too large for f64");
}

/* ---- What is refused, and with which words ------------------------------------------------------------------ */

static const struct {
    const char *name, *text;
    gr_csv_options options;
    gr_status status;
    const char *message;
} strange_tables[] = {
    {"columns apart by several blanks",
     "1   2  M\n3   4  B\n",
     {.separator = ' ', .no_header = true},
     GR_ERR_FORMAT,
     "no rows; 2 were dropped for a missing value, the first in line 1, column 2; of several blanks side by side, "
     "each"},
    {"with a header", "a  b y\n1  2 M\n", {.separator = ' '}, GR_ERR_FORMAT, "line 2, column 2 (); of several blanks"},
    {"now two, now three",
     "a  y\n1   M\n",
     {.separator = ' '},
     GR_ERR_FORMAT,
     "4 fields: expected 3, as in the first "
     "row; of several blanks"},
    {"blanks, read with ','", "1 2 M\n", {.no_header = true}, GR_ERR_OPTION, "the separator looks like a blank"},
    {"a comma at the end of each line",
     "a,y,\n1,M,\n2,B,\n",
     {.target = "y"},
     GR_ERR_FORMAT,
     "2 were dropped for a missing value, the first in line 2, column 3 (); a separator stands at the end of the line"},
    {"and the target not named", "a,y,\n1,M,\n", {0}, GR_ERR_FORMAT, "in missing?; a separator stands at the end"},
    {"but not of the first",
     "a,y\n1,M,\n",
     {0},
     GR_ERR_FORMAT,
     "3 fields: expected 2, as in the first row; a separator"},
    {"quoted, ';' read with ','", "\"a\";\"y\"\n1;M\n", {0}, GR_ERR_FORMAT, "column 1: text follows a closing quote"},
    {"what it looks like", "\"a\";\"y\"\n1;M\n", {0}, GR_ERR_FORMAT, "the separator looks like ';'"},
    {"quoted, tabs", "\"a\"\t\"y\"\n", {0}, GR_ERR_FORMAT, "a quote within quotes"},
    {"';' read with ','", "a;y\n1;M\n", {0}, GR_ERR_OPTION, "has 1, separated by ','; the separator looks like ';'"},
    {"tabs read with ','", "a\ty\n1\tM\n", {0}, GR_ERR_OPTION, "the separator looks like a tab"},
    {"'|' read with ','", "a|y\n1|M\n", {0}, GR_ERR_OPTION, "the separator looks like '|'"},
    {"',' read with ';'", "a,y\n1,M\n", {.separator = ';'}, GR_ERR_OPTION, "the separator looks like ','"},
    {"';' and ','", "1,5;2,5;M\n", {.no_header = true}, GR_ERR_FORMAT, "column 2: \"5;2\" is not a number: is there"},
    {"a decimal comma",
     "a;y\n1,5;M\n",
     {.separator = ';'},
     GR_ERR_FORMAT,
     "column 1 (a): \"1,5\" is not a number: "
     "expected a decimal point: replace decimal commas in the file"},
    {"decimal commas, read with ','",
     "a,y\n1,5,M\n",
     {0},
     GR_ERR_FORMAT,
     "3 fields: expected 2, as in the first row; a decimal comma, or one in a text without quotes?"},
    {"a row of fewer fields", "a,b,y\n1,M\n", {0}, GR_ERR_FORMAT, "2 fields: expected 3, as in the first row"},
    {"';' read with ',', and a named target",
     "a;y\n1,5;M\n",
     {.target = "y"},
     GR_ERR_OPTION,
     "target: no column \"y\" among the 1: a;y; the separator looks like ';'"},
    {"a class as a number",
     "a,y\n1,M\n",
     {.numeric_target = true},
     GR_ERR_FORMAT,
     "column 2 (y): \"M\" is not a number: leave out numeric_target if the target is a class"},
    {"thousands",
     "a,y\n\"1,000\",M\n",
     {0},
     GR_ERR_FORMAT,
     "column 1 (a): \"1,000\" is not a number: expected a decimal"},
    {"hexadecimal", "a,y\n0x1p3,M\n", {0}, GR_ERR_FORMAT, "column 1 (a): \"0x1p3\" is not a number"},
    {"a name in a first row of numbers", "5,1\n7,0\n", {.target = "y"}, GR_ERR_OPTION, "the first row is a sample"},
};

static void strange_tables_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < GR_COUNT(strange_tables); i++) {
        gr_csv_report report = {.rows = -1, .unnamed = -1};
        watch_memory(0);
        if (gr_csv_read(put_text(strange_tables[i].text), &strange_tables[i].options, &report))
            fail_msg("%s: was read", strange_tables[i].name);
        assert_error(strange_tables[i].name, strange_tables[i].status, strange_tables[i].message);
        assert_report(strange_tables[i].name, &report, &(gr_csv_report){.rows = 0});
        assert_int_equal(the_watch.live, 0);
    }
}

/* ---- A table like another ----------------------------------------------------------------------------------- */

static const char training[] = "a,b,y\n5,6,p\n7,8,q\n7,9,r\n";

static const struct {
    const char *name, *training, *text;
    gr_csv_options options;
    const char *result; /* a dump, or a part of the message */
    bool refused;
} pairs[] = {
    {"the same numbers for classes", training, "a,b,y\n1,2,r\n3,4,q\n", {0}, "a b | 1 2 >2 | 3 4 >1 | p q r", false},
    {"an unknown class",
     training,
     "a,b,y\n1,2,r\n3,4,s\n",
     {0},
     "line 3, column 3 (y): \"s\" is no class of options.like",
     true},
    {"other columns", training, "a,c,y\n1,2,p\n", {0}, "feature 1 is \"c\": expected \"b\", as in options.like", true},
    {"another order", training, "b,a,y\n1,2,p\n", {0}, "feature 0 is \"b\": expected \"a\"", true},
    {"and the order asked for", training, "b,a,y\n1,2,p\n", {.features = "a,b"}, "a b | 2 1 >0 | p q r", false},
    {"a column more", training, "a,b,c,y\n1,2,3,p\n", {0}, "3 features: expected 2, as in options.like", true},
    {"a column less", training, "a,y\n1,p\n", {0}, "1 features: expected 2", true},
    {"no header", training, "1,2,p\n3,4,q\n", {0}, "feature 0 is \"1\": expected \"a\"", true},
    {"no header, as was said", training, "1,2,p\n", {.no_header = true}, "| 1 2 >0 | p q r", false},
    {"row numbers left out of one",
     ",a,y\n0,5,p\n1,6,q\n",
     ",a,y\n7,3,q\n3,5,p\n",
     {0},
     "a | 3 >1 | 5 >0 | p q",
     false},
    {"no header in either", "5,6,p\n7,8,q\n7,9,p\n", "1,2,q\n", {0}, "| 1 2 >1 | p q", false},
    {"a header in one only", "5,6,p\n7,8,p\n", "a,b,y\n1,2,p\n", {0}, "line 1, column 1: \"a\" is not a number", true},
    {"numbers for classes", training, "a,b,y\n1,2,3\n", {.numeric_target = true}, "options.like has classes", true},
};

static void tables_are_alike(void **state)
{
    (void)state;
    for (int i = 0; i < GR_COUNT(pairs); i++) {
        watch_memory(0);
        gr_dataset *first = gr_csv_read(put_text(pairs[i].training), NULL, NULL);
        if (!first) fail_msg("%s: %s", pairs[i].name, gr_last_error());
        gr_csv_options options = pairs[i].options;
        options.like = first;
        gr_dataset *set = gr_csv_read(put_text(pairs[i].text), &options, NULL);
        if (pairs[i].refused) {
            if (set) fail_msg("%s: was read", pairs[i].name);
            if (!strstr(gr_last_error(), pairs[i].result)) fail_msg("%s: %s", pairs[i].name, gr_last_error());
        } else {
            if (!set) fail_msg("%s: %s", pairs[i].name, gr_last_error());
            if (strcmp(dump(set), pairs[i].result) != 0)
                fail_msg("%s: \"%s\", expected \"%s\"", pairs[i].name, dump(set), pairs[i].result);
            assert_int_equal(gr_dataset_classes(set), gr_dataset_classes(first));
        }
        gr_dataset_free(first);
        gr_dataset_free(set);
        gr_clear_error();
        assert_int_equal(the_watch.live, 0);
    }
}

/* ---- Short of memory ---------------------------------------------------------------------------------------- */

static bool reads_both(void)
{
    gr_dataset *first = gr_csv_read(put_text(",a,y\n0,5,p\n1,6,q\n2,7,p\n"), NULL, NULL);
    gr_csv_options options = {.like = first, .dtype = GR_F64};
    gr_dataset *second = first ? gr_csv_read(put_text(",a,y\n0,5,q\n"), &options, NULL) : NULL;
    gr_dataset *third = second ? gr_csv_read(put_text("5.1,p\n4,p\n"), NULL, NULL) : NULL;
    gr_dataset_free(first);
    gr_dataset_free(second);
    gr_dataset_free(third);
    return third != NULL;
}

static void memory_fails(void **state)
{
    (void)state;
    assert_true(every_allocation_fails("csv_read", reads_both) > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(odd_tables_are_reported, stop_watching),
        cmocka_unit_test(f64_on_request),
        cmocka_unit_test_teardown(strange_tables_are_refused, stop_watching),
        cmocka_unit_test_teardown(tables_are_alike, stop_watching),
        cmocka_unit_test_teardown(memory_fails, stop_watching),
    };
    return cmocka_run_group_tests_name("csv_report", tests, make_directory, remove_directory);
}
