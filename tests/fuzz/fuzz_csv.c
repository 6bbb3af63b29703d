/* fuzz_csv.c: gr_csv_read(): what it makes of any bytes is a sound data set, or a refusal. */
#include "fuzz.h"

static const gr_csv_options options[] = {
    {.separator = 0}, /* the defaults */
    {.numeric_target = true, .max_bytes = 10000, .dtype = GR_F64},
    {.keep_row_numbers = true},
    {.separator = ';', .no_header = true},
    {.target = "0", .skip_lines = 1},
    {.target = "y", .drop = "a,2", .missing = "?", .error_on_missing = true},
    {.features = "a, b", .separator = '\t'},
    {.max_bytes = 100, .no_header = true, .features = "2,0", .target = "1"},
};

/* With a limit of its size, unpacked, a file fills its buffer, and no byte behind it is read unnoticed. */
static void read_it(const char *path, const gr_csv_options *chosen, size_t size)
{
    gr_csv_report report;
    gr_csv_options limited = *chosen, *o = &limited;
    if (!limited.max_bytes) limited.max_bytes = size ? (int64_t)size : 1;
    gr_dataset *set = gr_csv_read(path, o, &report);
    if (set) {
        const gr_tensor *y = gr_dataset_y(set);
        CLAIM(report.rows == gr_dataset_size(set) && report.dropped >= 0);
        CLAIM(gr_dtype_of(y) == (o->numeric_target ? o->dtype : GR_I32) && gr_dtype_of(gr_dataset_x(set)) == o->dtype);
        for (int c = 1; c < gr_dataset_classes(set); c++)
            CLAIM(strcmp(gr_dataset_class_name(set, c - 1), gr_dataset_class_name(set, c)) < 0);
    } else {
        CLAIM(report.rows == 0 && report.dropped == 0);
    }
    fuzz_claim_sound(set, "csv_read: ");
}

/* The same file, as the test set of a training set that is always the same. */
static void read_like(const char *path)
{
    static const char training[] = "a,b,y\n1,2,M\n2,3,B\n";
    gr_dataset *like =
        gr_csv_read(fuzz_put("training.csv", (const uint8_t *)training, sizeof training - 1), NULL, NULL);
    CLAIM(like);
    gr_dataset *set = gr_csv_read(path, &(gr_csv_options){.like = like}, NULL);
    CLAIM(!set || (gr_dim(gr_dataset_x(set), 1) == 2 && gr_dataset_classes(set) == 2));
    fuzz_claim_sound(set, "csv_read: ");
    gr_dataset_free(like);
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    const char *path = fuzz_put("table.csv", bytes, size);
    read_it(path, &options[0], size);
    if (size % 8 == 0) read_like(path);
    read_it(path, &options[1 + size % (sizeof options / sizeof *options - 1)], size);
}

void fuzz_repair(uint8_t *bytes, size_t size)
{
    (void)bytes;
    (void)size;
}
