/* regions.h: which elements of a prediction are counted together, and what losses of regions share. */
#ifndef GR_LOSSES_REGIONS_H
#define GR_LOSSES_REGIONS_H

#include <gradus/segmentation.h>

#include "losses/loss_kit.h"

/* ---- A prediction as [n, c, inner] --------------------------------------------------------------------------- */

typedef struct gr_layout {
    gr_region region;
    int64_t n, c, inner;
    int64_t first; /* the first class that is counted */
} gr_layout;

/* Refuses a region that a prediction of this shape does not have. */
gr_status gr_expect_region(const char *who, const gr_tensor *x, gr_region region, bool without_background);

gr_layout gr_layout_of(const gr_tensor *x, gr_region region, bool without_background);

/* Where classes do not matter: planes that lie side by side in a region as one. */
gr_layout gr_layout_merged(gr_layout l);

/* The number of regions, and the shape of a tensor with a number for each. */
int64_t gr_region_count(const gr_layout *l);
int gr_region_shape(const gr_layout *l, int64_t shape[2]);

/* The region of the plane of class c in image n. */
static inline int64_t gr_region_at(const gr_layout *l, int64_t n, int64_t c)
{
    switch (l->region) {
    case GR_PER_PLANE: return n * (l->c - l->first) + (c - l->first);
    case GR_PER_CLASS: return c - l->first;
    case GR_PER_SAMPLE: return n;
    default: return 0;
    }
}

/* Numbers of regions, so that they broadcast over a prediction x: 0 for a class that is not counted. And the other
 * way: x summed over each region. */
gr_tensor *gr_over_regions(gr_tape *t, const gr_layout *l, const gr_tensor *x, gr_tensor *numbers);
gr_tensor *gr_sum_regions(gr_tape *t, const gr_layout *l, gr_tensor *x);

/* ---- Prediction, target and weight of ops on regions: in[0], in[1], and the last input or none ---------------- */

typedef struct gr_region_attr {
    const char *who; /* the loss that asks, for messages; NULL: the op itself */
    gr_region region;
    bool from_logits, softmax, without_background, ignore;
    double ignore_index;
} gr_region_attr;

/* balanced_bce: its numbers are beta, if that is fixed, and the margin. */
typedef struct gr_balanced_attr {
    gr_loss_attr loss;
    gr_region region;
    bool fixed;
} gr_balanced_attr;

/* Refuses inputs that do not fit together. `weight` may be NULL. */
gr_status gr_expect_region_inputs(const char *who, const gr_region_attr *a, const gr_tensor *x, const gr_tensor *y,
                                  const gr_tensor *weight);

/* Refuses the first class that is none; y is I32. */
gr_status gr_expect_classes(const char *who, const gr_region_attr *a, const gr_tensor *x, const gr_tensor *y);

/* Whether element i of a prediction is counted: of a class that is, and not ignored. */
bool gr_is_counted(const gr_region_attr *a, const gr_layout *l, const gr_tensor *y, int64_t i);

/* Refuses the first weight below 0 and the first prediction that is no probability, among those that are counted;
 * logits may be anything. */
gr_status gr_expect_counted(const char *who, const gr_region_attr *a, const gr_tensor *x, const gr_tensor *y,
                            const gr_tensor *weight);

/* The target as numbers of x's shape, 0 where it is ignored: class indices as shares of 1. */
gr_tensor *gr_region_target(gr_tape *t, const gr_region_attr *a, gr_tensor *x, gr_tensor *y);

/* The factor of each element, broadcasting over x: 0 where the target is ignored. NULL, and no error, for all 1. */
gr_tensor *gr_region_weight(gr_tape *t, const gr_region_attr *a, const gr_tensor *x, gr_tensor *y, gr_tensor *weight);

/* d w, and 0 where w is 0, whatever d is there; d where w is NULL. */
gr_tensor *gr_weighed(gr_tape *t, gr_tensor *d, gr_tensor *w);

/* A tensor [N,...] of pixels with axis 1 put back, so that it broadcasts over x. */
gr_tensor *gr_over_pixels(gr_tape *t, const gr_tensor *x, gr_tensor *pixels);

/* ---- A loss of regions ----------------------------------------------------------------------------------------- */

/* Which of its numbers a loss has; the others are refused. */
enum {
    GR_HAS_EPSILON = 1,
    GR_HAS_SIDES = 2, /* fp_weight, fn_weight */
    GR_HAS_GAMMA = 4,
    GR_HAS_ALPHA = 8,
    GR_HAS_W = 16,
    GR_HAS_MIX = 32,
    GR_HAS_ABSENT = 64
};

/* One call: the options with their defaults in place, and the soft counts, each of the shape of the regions. */
typedef struct gr_region_call {
    gr_tape *t;
    const char *who;
    gr_region_options o;
    gr_region_attr attr;
    gr_layout layout;
    gr_tensor *x, *y;
    gr_tensor *tp, *fp, *fn, *tn;
} gr_region_call;

/* Reads the options of a loss called `who`; the second function counts, too. */
gr_status gr_region_options_of(gr_region_call *c, gr_tape *t, const char *who, int has, gr_tensor *x, gr_tensor *y,
                               const gr_region_options *options);
gr_status gr_region_begin(gr_region_call *c, gr_tape *t, const char *who, int has, gr_tensor *x, gr_tensor *y,
                          const gr_region_options *options);

/* Losses of regions, weighted by class and reduced; `filled`, when given, is 0 for regions that are not there. */
gr_tensor *gr_region_reduce(const gr_region_call *c, gr_tensor *losses, gr_tensor *filled);

/* What is greater than 0 in regions where anything was counted; NULL when that is everywhere. */
gr_tensor *gr_region_filled(const gr_region_call *c);

/* ---- Ops that formulas are made of ----------------------------------------------------------------------------- */

/* s = a / (a + b), and `empty` where both are 0. Neither is negative. */
gr_tensor *gr_share(gr_tape *t, gr_tensor *a, gr_tensor *b, double empty);

/* z = J v with J the derivative of the softmax over axis 1 at x. */
gr_tensor *gr_softmax_grad(gr_tape *t, gr_tensor *x, gr_tensor *v);

#endif
