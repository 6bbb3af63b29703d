/* broadcast_op.c: calls of the ops in src/autograd/broadcast_op.c. */
#include "sample_kit.h"

static const sample broadcast_samples[] = {
    {.what = "a row to a matrix", .in = {IN(-2, 2, 4)}, .attr = &(gr_type){SHAPE(3, 4)}},
    {.what = "a column to a matrix", .in = {IN(-2, 2, 3, 1)}, .attr = &(gr_type){SHAPE(3, 4)}},
    {.what = "a scalar", .in = {IN_SCALAR(-2, 2)}, .attr = &(gr_type){SHAPE(2, 1, 3)}},
    {.what = "to nothing", .in = {IN(-2, 2, 1)}, .attr = &(gr_type){SHAPE(0)}, .verdict = {GR_CHECK_VACUOUS}},
    {.what = "a smaller shape",
     .in = {IN(-2, 2, 3, 4)},
     .attr = &(gr_type){SHAPE(4)},
     .refused = "does not broadcast to [4]"},
    {.what = "another length",
     .in = {IN(-2, 2, 3)},
     .attr = &(gr_type){SHAPE(4)},
     .refused = "does not broadcast to [4]"},
};

SAMPLES(broadcast_to, broadcast_samples)
