/* class_target.c: calls of the ops in src/losses/class_target.c. */
#include "sample_kit.h"

static const sample class_target_samples[] = {
    {.what = "fractions", .in = {IN(0, 1, 3, 4), IN(0.1, 0.4, 3, 4)}, LOSS(0)},
    {.what = "indices, smoothed", .in = {IN(0, 1, 3, 4), INDICES(3)}, LOSS(.label_smoothing = 0.1)},
    {.what = "images, weighted",
     .n_in = 3,
     .in = {IN(0, 1, 2, 4, 2), IN(0.1, 0.4, 2, 4, 2), {SHAPE(4), VALUES(0.5, 2, 0, 1.25)}},
     LOSS(.class_weighted = true)},
    {.what = "indices of another shape",
     .in = {IN(0, 1, 3, 4), INDICES(3, 1)},
     LOSS(0),
     .refused = "i32 [3,1]; expected"},
};

SAMPLES(class_target, class_target_samples)
