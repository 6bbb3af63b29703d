/* data.c: the samples of lesson 2: a CSV table, a pair of IDX files, or generated points. */
#include "regression.h"

/* What a person should know of how the table was read. */
static void tell(const gr_csv_report *r)
{
    if (r->first_row_read) printf("  the first row holds numbers, not names: it is the first sample\n");
    if (r->row_numbers)
        printf("  the first column has no name and counts the rows: left out (--row-numbers keeps it)\n");
    if (r->numbered_column)
        printf("  warning: column %d counts the rows: if these are their numbers, --drop %d\n", r->numbered_column,
               r->numbered_column - 1);
    if (r->unnamed) printf("  warning: features without a name: %d\n", r->unnamed);
    if (r->numeric_names)
        printf("  warning: features whose name is a number: %d; if the first row is a sample, --no-header\n",
               r->numeric_names);
    if (r->numeric_classes > 2)
        printf("  warning: the target's %d values are all numbers, and read as classes\n", r->numeric_classes);
    if (r->rounded) printf("  warning: numbers too long for f32, and rounded: %lld\n", (long long)r->rounded);
}

static gr_dataset *read_table(const char *path, const gr_csv_options *columns)
{
    gr_csv_report report;
    gr_dataset *set = need(gr_csv_read(path, columns, &report));
    printf("%s: %lld rows read, %lld dropped for a missing field\n", path, (long long)report.rows,
           (long long)report.dropped);
    tell(&report);
    return set;
}

static gr_dataset *read_source(const source *s, gr_rng *rng)
{
    if (s->idx[0]) return need(gr_idx_read_pair(s->idx[0], s->idx[1]));
    return s->csv ? read_table(s->csv, &s->columns) : need(gr_make_blobs(s->samples, s->spread, rng));
}

/* The samples of a file of their own, with the features and the classes of those for training. */
static gr_dataset *read_test(const source *s, const gr_dataset *training)
{
    gr_csv_options columns = s->columns;
    columns.like = training;
    if (s->test) return read_table(s->test, &columns);
    gr_dataset *set = need(gr_idx_read_pair(s->test_idx[0], s->test_idx[1]));
    const int64_t features = gr_dim(gr_dataset_x(set), 1), expected = gr_dim(gr_dataset_x(training), 1);
    if (features != expected)
        fail("%s: images of %lld pixels, but of %lld for training", s->test_idx[0], (long long)features,
             (long long)expected);
    if (gr_dataset_classes(set) > gr_dataset_classes(training))
        fail("%s: class %d, which is not there for training", s->test_idx[1], gr_dataset_classes(set) - 1);
    return set;
}

/* The data set with its class indices as numbers, which is what MSE compares: 0 or 1 for two classes, and for more a
 * row with a 1 at the class. Takes the set. */
static gr_dataset *with_numbers(gr_dataset *set, int64_t outputs)
{
    gr_tensor *index = gr_dataset_y(set), *y;
    if (outputs > 1) {
        y = need(gr_one_hot(GR_F32, index, outputs));
    } else {
        y = need(gr_zeros(GR_F32, GR_SHAPE(gr_size(index), 1)));
        for (int64_t i = 0; i < gr_size(index); i++) check(gr_set(y, i, gr_get(index, i)));
    }
    gr_dataset *numbers = need(gr_dataset_new(gr_copy(gr_dataset_x(set)), y)); /* x and y are the set's now */
    gr_dataset_free(set);
    return numbers;
}

const char *class_name(const data *d, int c)
{
    static char number[16];
    const char *name = gr_dataset_class_name(d->set, c);
    snprintf(number, sizeof number, "%d", c);
    return name ? name : number;
}

static void describe(const data *d)
{
    const int32_t *index = gr_read_i32(gr_dataset_y(d->set));
    printf("%lld samples, %lld features, %d classes:", (long long)gr_dataset_size(d->set), (long long)d->features,
           d->classes);
    for (int c = 0; c < d->classes && c < 12; c++) {
        int64_t count = 0;
        for (int64_t i = 0; i < gr_dataset_size(d->set); i++) count += index[i] == c;
        printf("%s %s (%lld)", c ? "," : "", class_name(d, c), (long long)count);
    }
    printf("%s\n", d->classes > 12 ? ", ..." : "");
    const int empty = gr_dataset_empty_classes(d->set);
    if (empty > 0)
        printf("  warning: classes that no sample has: %d of %d; does %s stand for no class?\n", empty, d->classes,
               class_name(d, d->classes - 1));
    printf("%lld for training, %lld held out\n", (long long)gr_dataset_size(d->train),
           (long long)gr_dataset_size(d->test));
}

data load(const source *s, gr_rng *rng)
{
    data d = {.set = read_source(s, rng)};
    d.classes = gr_dataset_classes(d.set);
    if (d.classes < 2) fail("there is only one class: nothing to tell apart");
    d.features = gr_dim(gr_dataset_x(d.set), 1);
    d.outputs = d.classes == 2 ? 1 : d.classes;
    if (s->test || s->test_idx[0]) {
        d.train = need(gr_dataset_new(gr_copy(gr_dataset_x(d.set)), gr_copy(gr_dataset_y(d.set))));
        d.test = read_test(s, d.set);
    } else check(gr_dataset_split(d.set, s->train_fraction, rng, &d.train, &d.test));
    /* Columns in centimetres and in grams to one scale; by the training samples alone, or the test would leak. Pixels
     * have one scale already. */
    if (!s->idx[0]) check(gr_dataset_standardize(d.train, &d.test, 1));
    d.train = with_numbers(d.train, d.outputs);
    d.test = with_numbers(d.test, d.outputs);
    describe(&d);
    return d;
}

void free_data(data *d)
{
    gr_dataset_free(d->test);
    gr_dataset_free(d->train);
    gr_dataset_free(d->set);
}

int64_t class_of(const float *row, int64_t outputs, float threshold)
{
    if (outputs == 1) return row[0] > threshold;
    int64_t best = 0;
    for (int64_t c = 1; c < outputs; c++) best = row[c] > row[best] ? c : best;
    return best;
}
