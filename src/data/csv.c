/* csv.c: makes a data set of a table: chooses columns and rows, and reads their fields as numbers or classes. */
#include <math.h>
#include <stdio.h>

#include "data/internal.h"

/* A class that the table has named so far; `id` counts classes in the order of their appearance. */
typedef struct class_seen {
    const char *name;
    int32_t id;
} class_seen;

/* A growing array of numbers or class indices. */
typedef struct column_data {
    void *data;
    int64_t used, capacity;
    size_t each; /* bytes of an element */
} column_data;

/* A feature whose value in row k of the file has been from + k so far. */
typedef struct counter {
    int feature, from;
} counter;

/* What a column is used as. */
typedef enum role { UNUSED, TARGET, DROPPED, FEATURE, N_ROLES } role;

typedef struct csv_table {
    gr_csv csv;
    const gr_csv_options *options;
    char *roles;  /* the role of each column */
    int *feature; /* the columns that are features, in the order of the data set */
    int n_features, target;
    bool named; /* an option names a column by the header */
    counter *counters;
    int n_counters;
    int lost; /* the column of the first missing value, its line, and what may be wrong there */
    int64_t lost_line;
    const char *lost_hint;
    column_data x, y;    /* in front of the rows there is room for the header, which may prove to be a sample */
    class_seen *classes; /* sorted by name */
    int n_classes;
    gr_csv_report report;
} csv_table;

/* ---- Lists in options --------------------------------------------------------------------------------------- */

typedef struct item {
    const char *text;
    size_t length;
} item;

/* Takes the next item of a list such as "a,b,c"; false after the last. "" is a list of one empty item. */
static bool next_item(const char **list, item *it)
{
    if (!*list) return false;
    const char *comma = strchr(*list, ',');
    *it = (item){*list, comma ? (size_t)(comma - *list) : strlen(*list)};
    *list = comma ? comma + 1 : NULL;
    return true;
}

static item without_blanks(item it)
{
    while (it.length && (*it.text == ' ' || *it.text == '\t')) it.text++, it.length--;
    while (it.length && (it.text[it.length - 1] == ' ' || it.text[it.length - 1] == '\t')) it.length--;
    return it;
}

static bool same(item a, item b) { return a.length == b.length && memcmp(a.text, b.text, a.length) == 0; }

static bool is_missing(const csv_table *t, const char *text)
{
    const char *list = t->options->missing ? t->options->missing : "NA,NaN,nan,N/A,n/a,#N/A,<NA>,NULL,null,?,";
    item field = without_blanks((item){text, strlen(text)}), it;
    while (next_item(&list, &it))
        if (same(field, without_blanks(it))) return true;
    return false;
}

static bool is_given(const char *option) { return option && *option; }

/* ---- Columns ------------------------------------------------------------------------------------------------ */

/* The column whose position `name` is, in digits; -1 for a name that is none. */
static int column_at(const csv_table *t, item name)
{
    int position = 0;
    for (size_t i = 0; i < name.length; i++) {
        if (name.text[i] < '0' || name.text[i] > '9') return -1;
        position = 10 * position + (name.text[i] - '0');
        if (position >= t->csv.columns) return -1;
    }
    return name.length ? position : -1;
}

/* Of a table of one column: what may separate several, behind a message. */
static const char *lone_column_hint(const csv_table *t)
{
    return t->csv.columns == 1 ? gr_csv_separator_hint(&t->csv, t->csv.fields[0].text) : "";
}

/* Notes that no column has this name; -1. */
static int fail_no_column(const csv_table *t, const char *option, item name)
{
    char wanted[64], known[200];
    snprintf(wanted, sizeof wanted, "%.*s", (int)(name.length < 60 ? name.length : 60), name.text);
    size_t used = 0;
    known[0] = '\0';
    for (int c = 0; t->csv.header && c < t->csv.columns && used < 120; c++)
        used +=
            (size_t)snprintf(known + used, sizeof known - used, "%s%s", c ? ", " : ": ", GR_QUOTE(t->csv.header[c]));
    if (t->report.first_row_read) snprintf(known, sizeof known, ": the first row is a sample, and no header");
    gr_fail(GR_ERR_OPTION, "csv_read: %s: %s: no column \"%s\" among the %d%s%s", GR_QUOTE_PATH(t->csv.path), option,
            GR_QUOTE(wanted), t->csv.columns, known, lone_column_hint(t));
    return -1;
}

/* The column with this name in the header, or else at this position; -1 with an error. */
static int find_column(csv_table *t, const char *option, item name)
{
    int found = -1;
    name = without_blanks(name);
    for (int c = 0; t->csv.header && c < t->csv.columns; c++) {
        if (!same(name, without_blanks((item){t->csv.header[c], strlen(t->csv.header[c])}))) continue;
        if (found >= 0)
            return gr_fail(GR_ERR_OPTION, "csv_read: %s: %s: two columns are \"%s\": write the position, %d or %d",
                           GR_QUOTE_PATH(t->csv.path), option, GR_QUOTE(t->csv.header[c]), found, c),
                   -1;
        found = c;
    }
    if (found >= 0) t->named = true;
    else found = column_at(t, name);
    return found < 0 ? fail_no_column(t, option, name) : found;
}

static gr_status take_column(csv_table *t, const char *option, int column, role as)
{
    static const char *const texts[] = {[TARGET] = "the target", [DROPPED] = "dropped", [FEATURE] = "a feature"};
    _Static_assert(GR_COUNT(texts) == N_ROLES, "each role has a text");
    if (column < 0) return gr_last_status();
    const char *name = t->csv.header ? t->csv.header[column] : NULL;
    if (t->roles[column] != UNUSED)
        return gr_fail(GR_ERR_OPTION, "csv_read: %s: %s: the column at position %d%s%s%s is already %s",
                       GR_QUOTE_PATH(t->csv.path), option, column, name ? " (" : "", name ? GR_QUOTE(name) : "",
                       name ? ")" : "", texts[(int)t->roles[column]]);
    t->roles[column] = (char)as;
    if (as == FEATURE) t->feature[t->n_features++] = column;
    return GR_OK;
}

static gr_status take_columns(csv_table *t, const char *option, const char *list, role as)
{
    item it;
    while (next_item(&list, &it)) {
        gr_status status = take_column(t, option, find_column(t, option, it), as);
        if (status) return status;
    }
    return GR_OK;
}

/* Whether the first column has no name, which is how pandas and R write the numbers of rows. */
static bool begins_unnamed(const csv_table *t) { return t->csv.header && !*t->csv.header[0]; }

/* The features must be those of options->like. */
static gr_status check_like(const csv_table *t)
{
    const gr_dataset *like = t->options->like;
    const int64_t expected = like ? gr_features_of(like) : t->n_features;
    if (t->n_features != expected)
        return gr_fail(GR_ERR_OPTION, "csv_read: %s: %d features: expected %lld, as in options.like",
                       GR_QUOTE_PATH(t->csv.path), t->n_features, (long long)expected);
    for (int j = 0; like && t->csv.header && j < t->n_features; j++) {
        const char *name = t->csv.header[t->feature[j]], *other = gr_names_get(like->features, j);
        if (other && strcmp(name, other) != 0)
            return gr_fail(GR_ERR_OPTION, "csv_read: %s: feature %d is \"%s\": expected \"%s\", as in options.like",
                           GR_QUOTE_PATH(t->csv.path), j, GR_QUOTE(name), GR_QUOTE(other));
    }
    return GR_OK;
}

static gr_status choose_columns(csv_table *t)
{
    const gr_csv_options *o = t->options;
    int columns = t->csv.columns;
    t->target = columns - 1;
    if (is_given(o->target)) t->target = find_column(t, "target", (item){o->target, strlen(o->target)});
    gr_status status = take_column(t, "target", t->target, TARGET);
    if (!status && is_given(o->drop)) status = take_columns(t, "drop", o->drop, DROPPED);
    if (!status && is_given(o->features)) status = take_columns(t, "features", o->features, FEATURE);
    if (status) return status;
    const char *first = o->like ? gr_names_get(o->like->features, 0) : NULL;
    t->report.row_numbers = first && *first && begins_unnamed(t) && t->roles[0] == UNUSED && !is_given(o->features);
    for (int c = t->report.row_numbers; c < columns && !is_given(o->features); c++)
        if (t->roles[c] == UNUSED) t->feature[t->n_features++] = c;
    if (t->n_features) return check_like(t);
    return gr_fail(GR_ERR_OPTION, "csv_read: %s: no column is left for features: line %lld has %d, separated by '%c'%s",
                   GR_QUOTE_PATH(t->csv.path), (long long)t->csv.row_line, columns, t->csv.separator,
                   lone_column_hint(t));
}

/* Whether the newest row is of numbers only, so that it is no header; but 0, 1, 2 ... are names that pandas gives. */
static bool is_all_numbers(const gr_csv *csv)
{
    bool counts = csv->width > 2;
    for (int c = 0; c < csv->width; c++) {
        double v;
        if (!gr_parse_number(csv->fields[c].text, &v)) return false;
        counts = counts && v == c;
    }
    return !counts;
}

/* Takes the number of columns, and their names if it is a header, from the first row, and chooses columns. */
static gr_status read_columns(csv_table *t)
{
    gr_csv *csv = &t->csv;
    const gr_csv_options *o = t->options;
    int columns = csv->columns = csv->width;
    t->roles = gr_allocate((size_t)columns);
    t->feature = t->roles ? gr_allocate_array(columns, sizeof *t->feature) : NULL;
    t->counters = t->feature ? gr_allocate_array(columns, sizeof *t->counters) : NULL;
    if (!t->counters) return GR_ERR_MEMORY;
    memset(t->roles, UNUSED, (size_t)columns);
    t->report.first_row_read = !o->no_header && (o->like ? !o->like->features : is_all_numbers(csv));
    if (!o->no_header && !t->report.first_row_read) {
        csv->header = gr_allocate_array(columns, sizeof *csv->header);
        if (!csv->header) return GR_ERR_MEMORY;
        for (int c = 0; c < columns; c++) csv->header[c] = csv->fields[c].text;
    }
    return choose_columns(t);
}

/* ---- Rows --------------------------------------------------------------------------------------------------- */

/* Where the next n elements go, n > 0; NULL with GR_ERR_MEMORY. */
static void *room_for(column_data *a, int64_t n)
{
    char *data = gr_grow_array(a->data, a->used, n, &a->capacity, a->each);
    if (!data) return NULL;
    a->data = data;
    return data + (size_t)a->used * a->each;
}

static gr_status field_fail(const csv_table *t, int column, const char *what)
{
    const gr_csv_field *field = &t->csv.fields[column];
    return gr_csv_fail(&t->csv, GR_ERR_FORMAT, field->line, column + 1, "\"%s\" %s", GR_QUOTE(field->text), what);
}

static gr_status not_a_number(const csv_table *t, int column)
{
    const gr_csv_field *field = &t->csv.fields[column];
    const char *why = "drop the column, or is the text to be in missing?";
    if (column == t->target) why = "leave out numeric_target if the target is a class";
    if (strpbrk(field->text, ";\t|")) why = "is there another separator?";
    else if (strchr(field->text, ','))
        why = "expected a decimal point: replace decimal commas in the file, and remove others";
    return gr_csv_fail(&t->csv, GR_ERR_FORMAT, field->line, column + 1, "\"%s\" is not a number: %s%s",
                       GR_QUOTE(field->text), why, gr_csv_row_hint(&t->csv));
}

/* Sets element i of x or y; false where the number is too large. */
static bool put_number(csv_table *t, void *to, int64_t i, double v)
{
    if (t->options->dtype == GR_F64) return ((double *)to)[i] = v, isfinite(v);
    const float rounded = (float)v;
    ((float *)to)[i] = rounded;
    t->report.rounded += (double)rounded != v && (fabs(v) > 0x1p24 || fabs(v) < gr_smallest_normal(GR_F32));
    return isfinite(rounded);
}

/* Where a class is among those of the table, or where it belongs; whether it is there. */
static bool find_class(const csv_table *t, const char *name, int *at)
{
    int low = 0, high = t->n_classes;
    while (low < high) {
        int middle = (low + high) / 2, order = strcmp(name, t->classes[middle].name);
        if (order == 0) return *at = middle, true;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return *at = low, false;
}

/* The id of a class, which is added where it is new. */
static gr_status read_class(csv_table *t, const char *name, int32_t *id)
{
    int at;
    if (find_class(t, name, &at)) return *id = t->classes[at].id, GR_OK;
    if (t->options->like) return field_fail(t, t->target, "is no class of options.like");
    if (t->n_classes == GR_MAX_CLASSES)
        return field_fail(t, t->target, "would be class 10001, of 10000 at most: is it a number? See numeric_target");
    if (!t->classes) t->classes = gr_allocate_array(GR_MAX_CLASSES, sizeof *t->classes);
    if (!t->classes) return GR_ERR_MEMORY;
    memmove(t->classes + at + 1, t->classes + at, (size_t)(t->n_classes - at) * sizeof *t->classes);
    *id = t->n_classes++;
    t->classes[at] = (class_seen){name, *id};
    return GR_OK;
}

/* Reads the number in a field into element i of `to`; NaN, and *missing set, where it is missing. A class is left to
 * read_class(), once the whole row is known to have no missing field. */
static gr_status read_field(csv_table *t, int column, void *to, int64_t i, bool *missing)
{
    const char *text = t->csv.fields[column].text;
    const bool is_class = column == t->target && !t->options->numeric_target;
    double v;
    const bool is_number = !is_class && gr_parse_number(text, &v);
    if ((!is_number || t->options->missing) && is_missing(t, text)) {
        if (!is_class) put_number(t, to, i, (double)NAN);
        if (!*missing && !t->report.dropped) t->lost = column;
        *missing = true;
        return t->options->error_on_missing ? field_fail(t, column, "stands for a missing value") : GR_OK;
    }
    if (is_class) return GR_OK;
    if (!is_number) return not_a_number(t, column);
    if (put_number(t, to, i, v)) return GR_OK;
    return field_fail(t, column, t->options->dtype == GR_F64 ? "is too large for f64" : "is too large for f32");
}

static bool element_is(const csv_table *t, const void *x, int64_t i, int64_t n)
{
    return t->options->dtype == GR_F64 ? ((const double *)x)[i] == (double)n : ((const float *)x)[i] == (float)n;
}

/* Keeps the counters that the newest row continues; the first row starts them, at 0 or 1. */
static void count_on(csv_table *t, const void *x)
{
    const int64_t row = t->report.rows + t->report.dropped;
    for (int j = 0; row == 0 && j < t->n_features; j++)
        for (int from = 0; from < 2; from++)
            if (element_is(t, x, j, from)) t->counters[t->n_counters++] = (counter){j, from};
    for (int i = 0; i < t->n_counters;)
        if (element_is(t, x, t->counters[i].feature, t->counters[i].from + row)) i++;
        else t->counters[i] = t->counters[--t->n_counters];
}

static gr_status read_row(csv_table *t)
{
    const gr_csv *csv = &t->csv;
    if (csv->width != csv->columns)
        return gr_csv_fail(csv, GR_ERR_FORMAT, csv->row_line, 0, "%d field%s: expected %d, as in the first row%s",
                           csv->width, csv->width == 1 ? "" : "s", csv->columns, gr_csv_row_hint(csv));
    void *x = room_for(&t->x, t->n_features), *y = x ? room_for(&t->y, 1) : NULL;
    if (!y) return GR_ERR_MEMORY;
    bool missing = false;
    const int64_t rounded = t->report.rounded;
    gr_status status = read_field(t, t->target, y, 0, &missing);
    for (int j = 0; j < t->n_features && !status; j++) status = read_field(t, t->feature[j], x, j, &missing);
    if (!status && !missing && !t->options->numeric_target) status = read_class(t, csv->fields[t->target].text, y);
    if (status) return status;
    count_on(t, x);
    if (missing) {
        if (!t->report.dropped++) t->lost_line = csv->row_line, t->lost_hint = gr_csv_row_hint(csv);
        t->report.rounded = rounded;
        return GR_OK;
    }
    t->report.rows++;
    t->x.used += t->n_features;
    t->y.used++;
    return GR_OK;
}

/* Whether the header is a sample: its features are numbers, and its target is one or a class of the rows below. Then it
 * takes the room in front of them. */
static bool header_is_sample(csv_table *t)
{
    if (!t->csv.header || t->named || t->options->like) return false;
    char *const *header = t->csv.header;
    const int64_t rounded = t->report.rounded;
    double v;
    int at;
    bool reads;
    if (t->options->numeric_target) reads = gr_parse_number(header[t->target], &v) && put_number(t, t->y.data, 0, v);
    else if ((reads = find_class(t, header[t->target], &at))) *(int32_t *)t->y.data = t->classes[at].id;
    for (int j = 0; j < t->n_features && reads; j++)
        reads = gr_parse_number(header[t->feature[j]], &v) && put_number(t, t->x.data, j, v);
    if (!reads) t->report.rounded = rounded;
    return reads;
}

/* Notes that the table has no rows, and why. */
static gr_status fail_no_rows(const csv_table *t)
{
    const gr_csv *csv = &t->csv;
    char first[160] = "";
    if (t->report.dropped)
        snprintf(first, sizeof first, ", the first in line %lld, column %d%s%s%s%s", (long long)t->lost_line,
                 t->lost + 1, csv->header ? " (" : "", csv->header ? GR_QUOTE(csv->header[t->lost]) : "",
                 csv->header ? ")" : "", t->lost_hint);
    return gr_csv_fail(csv, GR_ERR_FORMAT, csv->line, 0, "no rows%s; %lld were dropped for a missing value%s",
                       csv->header ? " below the header" : "", (long long)t->report.dropped, first);
}

static gr_status read_table(csv_table *t)
{
    int got = gr_csv_next(&t->csv);
    gr_status status = got > 0 ? read_columns(t) : GR_OK;
    const bool header = t->csv.header != NULL;
    if (got > 0 && !status && (!room_for(&t->x, t->n_features) || !room_for(&t->y, 1))) status = GR_ERR_MEMORY;
    t->x.used = t->n_features;
    t->y.used = 1;
    if (got > 0 && !status && header) got = gr_csv_next(&t->csv);
    for (; got > 0 && !status; got = status ? 0 : gr_csv_next(&t->csv)) status = read_row(t);
    if (status || got < 0) return gr_last_status();
    if (!t->report.rows) return fail_no_rows(t);
    if (header_is_sample(t)) {
        t->report.first_row_read = true;
        t->report.rows++;
        gr_release(t->csv.header);
        t->csv.header = NULL;
    }
    return GR_OK;
}

/* ---- Row numbers, and other columns that look odd ----------------------------------------------------------- */

static void leave_first_feature_out(csv_table *t)
{
    const int64_t left = --t->n_features;
    const size_t row = (size_t)left * t->x.each;
    char *x = t->x.data;
    for (int64_t i = 0; i < t->y.used; i++)
        memmove(x + (size_t)i * row, x + (size_t)i * (row + t->x.each) + t->x.each, row);
    memmove(t->feature, t->feature + 1, (size_t)left * sizeof *t->feature);
    t->x.used -= t->y.used;
}

/* Leaves out a first column that has no name and counts the rows; says which others count them or have odd names, and
 * whether all classes are numbers. */
static void look_at_columns(csv_table *t)
{
    const gr_csv_options *o = t->options;
    gr_csv_report *r = &t->report;
    const bool may_go = begins_unnamed(t) && t->feature[0] == 0 && t->n_features > 1 && !is_given(o->features) &&
                        !o->like && !o->keep_row_numbers;
    bool goes = false;
    double v;
    for (int i = 0; i < t->n_counters; i++) {
        const int j = t->counters[i].feature, column = t->feature[j] + 1;
        if (j == 0 && may_go) goes = true;
        else if (r->rows > 2 && (!r->numbered_column || column < r->numbered_column)) r->numbered_column = column;
    }
    if (goes) leave_first_feature_out(t);
    r->row_numbers |= goes;
    for (int j = 0; t->csv.header && j < t->n_features; j++) {
        const char *name = t->csv.header[t->feature[j]];
        r->unnamed += !*name;
        r->numeric_names += gr_parse_number(name, &v);
    }
    for (int i = 0; i < t->n_classes; i++) r->numeric_classes += gr_parse_number(t->classes[i].name, &v);
    if (r->numeric_classes < t->n_classes) r->numeric_classes = 0;
}

/* ---- The data set ------------------------------------------------------------------------------------------- */

/* Numbers the classes anew, in the order of their names, and hands the names to the set. */
static gr_status sort_classes(const csv_table *t, gr_dataset *set)
{
    const char **names = gr_allocate_array(t->n_classes, sizeof *names);
    int32_t *rank = names ? gr_allocate_array(t->n_classes, sizeof *rank) : NULL;
    if (rank) {
        for (int i = 0; i < t->n_classes; i++) {
            names[i] = t->classes[i].name;
            rank[t->classes[i].id] = i;
        }
        int32_t *y = set->y->data;
        for (int64_t i = 0; i < set->y->size; i++) y[i] = rank[y[i]];
        set->n_classes = t->n_classes;
        set->classes = gr_names_new(t->n_classes, names);
    }
    gr_release(rank);
    gr_release(names);
    return set->classes ? GR_OK : GR_ERR_MEMORY;
}

static gr_status name_features(const csv_table *t, gr_dataset *set)
{
    if (!t->csv.header) return GR_OK;
    const char **names = gr_allocate_array(t->n_features, sizeof *names);
    for (int j = 0; names && j < t->n_features; j++) names[j] = t->csv.header[t->feature[j]];
    set->features = names ? gr_names_new(t->n_features, names) : NULL;
    gr_release(names);
    return set->features ? GR_OK : GR_ERR_MEMORY;
}

static gr_dataset *make_set(const csv_table *t)
{
    const int64_t n = t->report.rows, unused = t->y.used - n; /* the room in front is */
    const gr_dtype dtype = t->options->dtype;
    const bool numeric = t->options->numeric_target;
    const char *x_data = (char *)t->x.data + (size_t)(unused * t->n_features) * t->x.each;
    const char *y_data = (char *)t->y.data + (size_t)unused * t->y.each;
    gr_tensor *x = gr_from(dtype, GR_SHAPE(n, t->n_features), x_data), *y = NULL;
    if (x) y = numeric ? gr_from(dtype, GR_SHAPE(n, 1), y_data) : gr_from(GR_I32, GR_SHAPE(n), y_data);
    if (!y) return gr_tensor_free(x), NULL;
    gr_dataset *set = gr_dataset_new(x, y);
    if (!set) return NULL;
    if ((numeric || !sort_classes(t, set)) && !name_features(t, set)) return set;
    gr_dataset_free(set);
    return NULL;
}

static gr_status check_csv_options(const char *path, const gr_csv_options *o)
{
    if (!path) return gr_fail(GR_ERR_NULL, "csv_read: path is NULL");
    if (o->separator == '"' || o->separator == '\n' || o->separator == '\r')
        return gr_fail(GR_ERR_OPTION, "csv_read: a quote or a line's end is no separator");
    if (o->skip_lines < 0)
        return gr_fail(GR_ERR_OPTION, "csv_read: skip_lines is %d: expected 0 or more", o->skip_lines);
    if (o->max_bytes < 0)
        return gr_fail(GR_ERR_OPTION, "csv_read: max_bytes is %lld: expected 0 or more", (long long)o->max_bytes);
    if (!gr_is_float(o->dtype))
        return gr_fail(GR_ERR_DTYPE, "csv_read: dtype is %s: expected f32 or f64", gr_dtype_name(o->dtype));
    if (o->like && o->numeric_target != !o->like->classes)
        return gr_fail(GR_ERR_OPTION, "csv_read: options.like has %s: is its target like this one?",
                       o->like->classes ? "classes" : "no names of classes");
    return GR_OK;
}

/* The classes of options->like are the only ones, under their own numbers. */
static gr_status take_classes(csv_table *t)
{
    const gr_names *names = t->options->like ? t->options->like->classes : NULL;
    if (!names) return GR_OK;
    t->classes = gr_allocate_array(names->count, sizeof *t->classes);
    if (!t->classes) return GR_ERR_MEMORY;
    for (; t->n_classes < names->count; t->n_classes++)
        t->classes[t->n_classes] = (class_seen){names->texts[t->n_classes], t->n_classes};
    return GR_OK;
}

gr_dataset *gr_csv_read(const char *path, const gr_csv_options *options, gr_csv_report *report)
{
    static const gr_csv_options defaults = {0};
    csv_table t = {.options = options ? options : &defaults};
    if (report) *report = t.report;
    gr_status status = check_csv_options(path, t.options);
    t.x.each = gr_dtype_bytes(t.options->dtype);
    t.y.each = t.options->numeric_target ? t.x.each : sizeof(int32_t);
    if (!status) status = take_classes(&t);
    if (!status) status = gr_csv_open(&t.csv, path, t.options);
    if (!status) status = read_table(&t);
    if (!status) look_at_columns(&t);
    gr_dataset *set = status ? NULL : make_set(&t);
    if (set && report) *report = t.report;
    gr_csv_close(&t.csv);
    gr_release(t.roles);
    gr_release(t.feature);
    gr_release(t.counters);
    gr_release(t.x.data);
    gr_release(t.y.data);
    gr_release(t.classes);
    return set;
}
