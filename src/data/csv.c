/* csv.c: makes a data set of a table: chooses columns and rows, and reads their fields as numbers or classes. */
#include <math.h>
#include <stdio.h>

#include "data/internal.h"

/* A class that the table has named so far; `id` counts classes in the order of their appearance. */
typedef struct class_seen {
    const char *name;
    int32_t id;
} class_seen;

/* A growing array of float or int32_t, 4 bytes each. */
typedef struct column_data {
    void *data;
    int64_t used, capacity;
} column_data;

/* What a column is used as. */
typedef enum role { UNUSED, TARGET, DROPPED, FEATURE, N_ROLES } role;

typedef struct csv_table {
    gr_csv csv;
    const gr_csv_options *options;
    char *roles;  /* the role of each column */
    int *feature; /* the columns that are features, in the order of the data set */
    int n_features, target;
    column_data x, y;    /* x: float; y: float, or int32_t for classes */
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
    const char *list = t->options->missing ? t->options->missing : "NA,NaN,nan,?,";
    item field = without_blanks((item){text, strlen(text)}), it;
    while (next_item(&list, &it))
        if (same(field, it)) return true;
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
    gr_fail(GR_ERR_OPTION, "csv_read: %s: %s: no column \"%s\" among the %d%s", GR_QUOTE_PATH(t->csv.path), option,
            GR_QUOTE(wanted), t->csv.columns, known);
    return -1;
}

/* The column with this name in the header, or else at this position; -1 with an error. */
static int find_column(const csv_table *t, const char *option, item name)
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
    if (found < 0) found = column_at(t, name);
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
    for (int c = 0; c < columns && !is_given(o->features); c++)
        if (t->roles[c] == UNUSED) t->feature[t->n_features++] = c;
    if (t->n_features) return GR_OK;
    return gr_fail(GR_ERR_OPTION, "csv_read: %s: no column is left for features: line %lld has %d, separated by '%c'",
                   GR_QUOTE_PATH(t->csv.path), (long long)t->csv.row_line, columns, t->csv.separator);
}

/* Takes the number of columns, and their names if it is a header, from the first row, and chooses columns. */
static gr_status read_columns(csv_table *t)
{
    gr_csv *csv = &t->csv;
    int columns = csv->columns = csv->width;
    t->roles = gr_allocate((size_t)columns);
    t->feature = t->roles ? gr_allocate_array(columns, sizeof *t->feature) : NULL;
    if (!t->feature) return GR_ERR_MEMORY;
    memset(t->roles, UNUSED, (size_t)columns);
    if (!t->options->no_header) {
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
    char *data = gr_grow_array(a->data, a->used, n, &a->capacity, 4);
    if (!data) return NULL;
    a->data = data;
    return data + 4 * a->used;
}

static gr_status field_fail(const csv_table *t, int column, const char *what)
{
    const gr_csv_field *field = &t->csv.fields[column];
    return gr_csv_fail(&t->csv, GR_ERR_FORMAT, field->line, column + 1, "\"%s\" %s", GR_QUOTE(field->text), what);
}

static gr_status read_float(const csv_table *t, int column, float *value)
{
    double v;
    if (!gr_parse_number(t->csv.fields[column].text, &v))
        return field_fail(t, column, "is not a number: drop the column, or is the text to be in missing?");
    *value = (float)v;
    return isfinite(*value) ? GR_OK : field_fail(t, column, "is too large for f32");
}

/* The id of a class, which is added where it is new. */
static gr_status read_class(csv_table *t, const char *name, int32_t *id)
{
    int low = 0, high = t->n_classes;
    while (low < high) {
        int middle = (low + high) / 2, order = strcmp(name, t->classes[middle].name);
        if (order == 0) return *id = t->classes[middle].id, GR_OK;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    if (t->n_classes == GR_MAX_CLASSES)
        return field_fail(t, t->target, "would be class 10001, of 10000 at most: is it a number? See numeric_target");
    if (!t->classes) t->classes = gr_allocate_array(GR_MAX_CLASSES, sizeof *t->classes);
    if (!t->classes) return GR_ERR_MEMORY;
    memmove(t->classes + low + 1, t->classes + low, (size_t)(t->n_classes - low) * sizeof *t->classes);
    *id = t->n_classes++;
    t->classes[low] = (class_seen){name, *id};
    return GR_OK;
}

/* Reads the number in a field into *value. Sets *missing instead where it is missing. A class is left to read_class(),
 * once the whole row is known to have no missing field. */
static gr_status read_field(const csv_table *t, int column, float *value, bool *missing)
{
    if (is_missing(t, t->csv.fields[column].text)) {
        *missing = true;
        return t->options->error_on_missing ? field_fail(t, column, "stands for a missing value") : GR_OK;
    }
    bool is_class = column == t->target && !t->options->numeric_target;
    return is_class ? GR_OK : read_float(t, column, value);
}

static gr_status read_row(csv_table *t)
{
    const gr_csv *csv = &t->csv;
    if (csv->width != csv->columns)
        return gr_csv_fail(csv, GR_ERR_FORMAT, csv->row_line, 0, "%d field%s: expected %d, as in the first row",
                           csv->width, csv->width == 1 ? "" : "s", csv->columns);
    float *x = room_for(&t->x, t->n_features), *y = x ? room_for(&t->y, 1) : NULL;
    if (!y) return GR_ERR_MEMORY;
    bool missing = false;
    gr_status status = read_field(t, t->target, y, &missing);
    for (int j = 0; j < t->n_features && !status; j++) status = read_field(t, t->feature[j], &x[j], &missing);
    if (!status && !missing && !t->options->numeric_target)
        status = read_class(t, csv->fields[t->target].text, (int32_t *)(void *)y);
    if (status) return status;
    t->report.dropped += missing;
    if (missing) return GR_OK;
    t->report.rows++;
    t->x.used += t->n_features;
    t->y.used++;
    return GR_OK;
}

static gr_status read_table(csv_table *t)
{
    int got = gr_csv_next(&t->csv);
    gr_status status = got > 0 ? read_columns(t) : GR_OK;
    if (got > 0 && !status && !t->options->no_header) got = gr_csv_next(&t->csv);
    for (; got > 0 && !status; got = status ? 0 : gr_csv_next(&t->csv)) status = read_row(t);
    if (status || got < 0) return gr_last_status();
    if (t->report.rows) return GR_OK;
    return gr_csv_fail(&t->csv, GR_ERR_FORMAT, t->csv.line, 0, "no rows%s; %lld were dropped for a missing value",
                       t->csv.header ? " below the header" : "", (long long)t->report.dropped);
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
    int64_t n = t->report.rows;
    bool numeric = t->options->numeric_target;
    gr_tensor *x = gr_from(GR_F32, GR_SHAPE(n, t->n_features), t->x.data), *y = NULL;
    if (x) y = numeric ? gr_from(GR_F32, GR_SHAPE(n, 1), t->y.data) : gr_from(GR_I32, GR_SHAPE(n), t->y.data);
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
    return GR_OK;
}

gr_dataset *gr_csv_read(const char *path, const gr_csv_options *options, gr_csv_report *report)
{
    static const gr_csv_options defaults = {0};
    csv_table t = {.options = options ? options : &defaults};
    if (report) *report = t.report;
    gr_status status = check_csv_options(path, t.options);
    if (!status) status = gr_csv_open(&t.csv, path, t.options);
    if (!status) status = read_table(&t);
    gr_dataset *set = status ? NULL : make_set(&t);
    if (set && report) *report = t.report;
    gr_csv_close(&t.csv);
    gr_release(t.roles);
    gr_release(t.feature);
    gr_release(t.x.data);
    gr_release(t.y.data);
    gr_release(t.classes);
    return set;
}
