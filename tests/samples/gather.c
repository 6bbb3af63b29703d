/* gather.c: calls of the ops in src/autograd/gather.c. */
#include "sample_kit.h"

/* Four indices, in a shape. */
#define INDEX(values_, ...)                                                   \
    {                                                                         \
        SHAPE(__VA_ARGS__), .integer = true, .values = values_, .n_values = 4 \
    }

static const sample gather_samples[] = {
    {.what = "with repeats", .in = {IN(-1, 1, 3, 2), INDEX(((double[]){2, 0, 2, 1}), 4)}},
    {.what = "a matrix of indices", .in = {IN(-1, 1, 3, 2, 2), INDEX(((double[]){2, 0, 2, 1}), 2, 2)}},
    {.what = "numbers by index", .in = {IN(-1, 1, 3), INDEX(((double[]){2, 0, 2, 1}), 4)}},
    {.what = "an index outside",
     .in = {IN(-1, 1, 3, 2), INDEX(((double[]){0, 3, 0, 0}), 2, 2)},
     .refused = "index 3 at [0,1] is outside the 3 rows"},
    {.what = "an index that is no integer", .in = {IN(-1, 1, 3, 2), IN(0, 1, 4)}, .refused = "i32"},
    {.what = "a scalar table",
     .in = {IN_SCALAR(-1, 1), INDEX(((double[]){0, 0, 0, 0}), 2)},
     .refused = "table of rows"},
};

static const sample scatter_samples[] = {
    {.what = "with repeats", .in = {IN(-1, 1, 4, 2), INDEX(((double[]){2, 0, 2, 1}), 4)}, .attr = &(gr_rows_attr){5}},
    {.what = "a matrix of indices",
     .in = {IN(-1, 1, 2, 2, 3), INDEX(((double[]){2, 0, 2, 1}), 2, 2)},
     .attr = &(gr_rows_attr){3}},
    {.what = "an index outside",
     .in = {IN(-1, 1, 4), INDEX(((double[]){0, 0, -1, 0}), 4)},
     .attr = &(gr_rows_attr){3},
     .refused = "index -1 at [2]"},
    {.what = "shapes that do not fit",
     .in = {IN(-1, 1, 3, 2), INDEX(((double[]){0, 0, 0, 0}), 4)},
     .attr = &(gr_rows_attr){3},
     .refused = "does not begin with"},
};

SAMPLES(gather_rows, gather_samples)
SAMPLES(scatter_rows, scatter_samples)
