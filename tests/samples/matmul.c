/* matmul.c: calls of the ops in src/autograd/matmul.c. */
#include "sample_kit.h"

static const sample matmul_samples[] = {
    {.what = "A B", .in = {IN(-1, 1, 3, 4), IN(-1, 1, 4, 2)}, .attr = &(gr_matmul_attr){0}},
    {.what = "A^T B", .in = {IN(-1, 1, 4, 3), IN(-1, 1, 4, 2)}, .attr = &(gr_matmul_attr){GR_TRANS_A}},
    {.what = "A B^T", .in = {IN(-1, 1, 3, 4), IN(-1, 1, 2, 4)}, .attr = &(gr_matmul_attr){GR_TRANS_B}},
    {.what = "A^T B^T", .in = {IN(-1, 1, 4, 3), IN(-1, 1, 2, 4)}, .attr = &(gr_matmul_attr){GR_TRANS_A | GR_TRANS_B}},
    {.what = "a column", .in = {IN(-1, 1, 5, 3), IN(-1, 1, 3, 1)}, .attr = &(gr_matmul_attr){0}},
    {.what = "a transposed matrix and a column",
     .in = {IN(-1, 1, 6, 3), IN(-1, 1, 6, 1)},
     .attr = &(gr_matmul_attr){GR_TRANS_A}},
    {.what = "a row", .in = {IN(-1, 1, 1, 6), IN(-1, 1, 6, 3)}, .attr = &(gr_matmul_attr){0}},
    {.what = "a row and a transposed matrix",
     .in = {IN(-1, 1, 1, 3), IN(-1, 1, 5, 3)},
     .attr = &(gr_matmul_attr){GR_TRANS_B}},
    {.what = "an outer product", .in = {IN(-1, 1, 3, 1), IN(-1, 1, 1, 4)}, .attr = &(gr_matmul_attr){0}},
    {.what = "a batch", .in = {IN(-1, 1, 2, 3, 4), IN(-1, 1, 2, 4, 2)}, .attr = &(gr_matmul_attr){0}},
    {.what = "a batch of transposed",
     .in = {IN(-1, 1, 2, 4, 3), IN(-1, 1, 2, 2, 4)},
     .attr = &(gr_matmul_attr){GR_TRANS_A | GR_TRANS_B}},
    {.what = "a batch and one matrix", .in = {IN(-1, 1, 2, 3, 4), IN(-1, 1, 4, 2)}, .attr = &(gr_matmul_attr){0}},
    {.what = "one matrix and a batch", .in = {IN(-1, 1, 3, 4), IN(-1, 1, 2, 4, 2)}, .attr = &(gr_matmul_attr){0}},
    {.what = "batches that broadcast", .in = {IN(-1, 1, 2, 1, 2, 3), IN(-1, 1, 3, 3, 2)}, .attr = &(gr_matmul_attr){0}},
    {.what = "a sum of nothing", .in = {IN(0, 1, 3, 0), IN(0, 1, 0, 2)}, .attr = &(gr_matmul_attr){0}},
    {.what = "no rows", .in = {IN(0, 1, 0, 3), IN(0, 1, 3, 2)}, .attr = &(gr_matmul_attr){0}},
    {.what = "inner dimensions that differ",
     .in = {IN(0, 1, 64, 784), IN(0, 1, 785, 10)},
     .attr = &(gr_matmul_attr){0},
     .refused = "inner dimensions differ: [64,784] x [785,10]"},
    {.what = "a vector", .in = {IN(0, 1, 3), IN(0, 1, 3, 2)}, .attr = &(gr_matmul_attr){0}, .refused = "at least 2"},
    {.what = "batches that do not broadcast",
     .in = {IN(0, 1, 2, 3, 4), IN(0, 1, 3, 4, 2)},
     .attr = &(gr_matmul_attr){0},
     .refused = "do not broadcast"},
    {.what = "unknown flags",
     .in = {IN(0, 1, 2, 2), IN(0, 1, 2, 2)},
     .attr = &(gr_matmul_attr){8},
     .refused = "unknown flags"},
};

static const sample linear_samples[] = {
    {.what = "a layer", .in = {IN(-1, 1, 3, 4), IN(-1, 1, 4, 2), IN(-1, 1, 2)}},
    {.what = "one output", .in = {IN(-1, 1, 5, 3), IN(-1, 1, 3, 1), IN(-1, 1, 1)}},
    {.what = "one sample", .in = {IN(-1, 1, 1, 3), IN(-1, 1, 3, 4), IN(-1, 1, 4)}},
    {.what = "no inputs", .in = {IN(-1, 1, 2, 0), IN(-1, 1, 0, 3), IN(-1, 1, 3)}},
    {.what = "a bias of another length",
     .in = {IN(0, 1, 3, 4), IN(0, 1, 4, 2), IN(0, 1, 3)},
     .refused = "[3,4] x [4,2] + [3]"},
    {.what = "images", .in = {IN(0, 1, 3, 4, 4), IN(0, 1, 4, 2), IN(0, 1, 2)}, .refused = "expected [n,in]"},
};

SAMPLES(matmul, matmul_samples)
SAMPLES(linear, linear_samples)
