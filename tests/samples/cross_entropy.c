/* cross_entropy.c: calls of the ops in src/losses/cross_entropy.c. */
#include "sample_kit.h"

#define INDICES(...)                                                                                                \
    {                                                                                                               \
        .rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .shape = {__VA_ARGS__}, .integer = true, \
        VALUES(2, 0, 1, 2)                                                                                          \
    }
#define FOUR_CLASSES                      \
    {                                     \
        SHAPE(4), VALUES(0.5, 2, 0, 1.25) \
    }

static const sample samples[] = {
    {.what = "logits by index", .in = {IN(-2, 2, 3, 4), INDICES(3)}, LOSS(.from_logits = true)},
    {.what = "logits by share", .in = {IN(-2, 2, 3, 4), IN(0.1, 0.4, 3, 4)}, LOSS(.from_logits = true)},
    {.what = "probabilities by index, summed", .in = {IN(0.1, 0.9, 3, 4), INDICES(3)}, LOSS(.reduction = GR_SUM)},
    {.what = "probabilities by share", .in = {IN(0.1, 0.9, 3, 4), IN(0.1, 0.4, 3, 4)}, LOSS(0)},
    {.what = "images, none reduced",
     .in = {IN(-2, 2, 2, 3, 2, 2), INDICES(2, 2, 2)},
     LOSS(.from_logits = true, .reduction = GR_NONE)},
    {.what = "images by share", .in = {IN(-2, 2, 2, 3, 2), IN(0.1, 0.4, 2, 3, 2)}, LOSS(.from_logits = true)},
    {.what = "smoothed index", .in = {IN(-2, 2, 3, 4), INDICES(3)}, LOSS(.from_logits = true, .label_smoothing = 0.1)},
    {.what = "smoothed shares, none reduced",
     .in = {IN(-2, 2, 3, 4), IN(0.1, 0.4, 3, 4)},
     LOSS(.from_logits = true, .label_smoothing = 0.1, .reduction = GR_NONE)},
    {.what = "an ignored class",
     .in = {IN(-2, 2, 4, 4), INDICES(4)},
     LOSS(.from_logits = true, .ignore = true, .ignore_index = 2)},
    {.what = "weights of classes",
     .n_in = 3,
     .in = {IN(-2, 2, 3, 4), INDICES(3), FOUR_CLASSES},
     LOSS(.from_logits = true, .class_weighted = true)},
    {.what = "weights of classes, shares",
     .n_in = 3,
     .in = {IN(0.1, 0.9, 3, 4), IN(0.1, 0.4, 3, 4), FOUR_CLASSES},
     LOSS(.class_weighted = true)},
    {.what = "all weights",
     .n_in = 4,
     .in = {IN(-2, 2, 2, 4, 2), INDICES(2, 2), WEIGHTS(2, 2), FOUR_CLASSES},
     LOSS(.from_logits = true, .weighted = true, .class_weighted = true)},
    {.what = "extreme logits",
     .in = {{SHAPE(3, 3), VALUES(1000, -1000, 0, 40, -40, 39, -100, 100, 1)}, INDICES(3)},
     LOSS(.from_logits = true)},
    {.what = "many classes", .in = {IN(-2, 2, 3, 70), INDICES(3)}, LOSS(.from_logits = true)},
    {.what = "one class", .in = {IN(-2, 2, 3, 1), IN(0.1, 1, 3, 1)}, LOSS(.from_logits = true)},
    {.what = "all ignored",
     .in = {IN(-2, 2, 1, 4), INDICES(1)},
     LOSS(.from_logits = true, .ignore = true, .ignore_index = 2)},
    {.what = "a class that is none",
     .in = {IN(-2, 2, 3, 2), INDICES(3)},
     LOSS(.from_logits = true),
     .refused = "class 2 at [0] is outside the 2 classes"},
    {.what = "logits for probabilities", .in = {IN(2, 3, 3, 4), INDICES(3)}, LOSS(0), .refused = "are these logits?"},
    {.what = "a negative share",
     .in = {IN(-2, 2, 1, 3), {SHAPE(1, 3), VALUES(1, -0.5, 0.5)}},
     LOSS(.from_logits = true),
     .refused = "target -0.5 at [0,1]"},
    {.what = "a vector",
     .in = {IN(-2, 2, 3), INDICES(3)},
     LOSS(.from_logits = true),
     .refused = "expected classes along axis 1"},
    {.what = "indices of another shape",
     .in = {IN(-2, 2, 3, 4), INDICES(3, 1)},
     LOSS(.from_logits = true),
     .refused = "the target [3,1]"},
    {.what = "a mean over nothing",
     .in = {IN(0, 1, 0, 3), INDICES(0)},
     LOSS(.from_logits = true),
     .refused = "a mean over nothing"},
    {.what = "too few class weights",
     .n_in = 3,
     .in = {IN(-2, 2, 3, 3), INDICES(3), FOUR_CLASSES},
     LOSS(.from_logits = true, .class_weighted = true),
     .refused = "the class_weight is [4], expected [3]"},
    {.what = "ignored shares",
     .in = {IN(-2, 2, 3, 4), IN(0, 1, 3, 4)},
     LOSS(.from_logits = true, .ignore = true),
     .refused = "ignore_index goes with class indices"},
};

static const sample target_samples[] = {
    {.what = "shares", .in = {IN(0, 1, 3, 4), IN(0.1, 0.4, 3, 4)}, LOSS(0)},
    {.what = "indices, smoothed", .in = {IN(0, 1, 3, 4), INDICES(3)}, LOSS(.label_smoothing = 0.1)},
    {.what = "images, weighted",
     .n_in = 3,
     .in = {IN(0, 1, 2, 4, 2), IN(0.1, 0.4, 2, 4, 2), FOUR_CLASSES},
     LOSS(.class_weighted = true)},
    {.what = "indices of another shape", .in = {IN(0, 1, 3, 4), INDICES(3, 1)}, LOSS(0), .refused = "the target [3,1]"},
};

SAMPLES(cross_entropy, samples)
SAMPLES(kl, samples)
SAMPLES(class_target, target_samples)
