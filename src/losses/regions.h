/* regions.h: which elements of a prediction are counted together, and what losses of regions share. */
#ifndef GR_LOSSES_REGIONS_H
#define GR_LOSSES_REGIONS_H

#include <gradus/segmentation.h>

#include "losses/class_target.h"

/* ---- A prediction [n, c, inner] as regions ------------------------------------------------------------------- */

typedef struct region_layout {
    int64_t n, c, inner;      /* see class_planes.h */
    int64_t first;            /* the first class that is counted */
    bool by_sample, by_class; /* what tells regions apart: both, one of the two, or nothing */
} region_layout;

/* Refuses a region that a prediction of this shape does not have. */
gr_status gr_expect_region(const char *who, const gr_tensor *x, gr_region region, bool without_background);

region_layout gr_region_layout(const gr_tensor *x, gr_region region, bool without_background);

/* Where classes do not matter: planes that lie side by side in a region as one. */
region_layout gr_merged_planes(region_layout l);

/* The number of regions, and the shape of a tensor with a number for each. */
int64_t gr_region_count(const region_layout *l);
int gr_region_shape(const region_layout *l, int64_t shape[2]);

/* The region of the plane of class k in image n. */
static inline int64_t gr_region_at(const region_layout *l, int64_t n, int64_t k)
{
    const int64_t sample = l->by_sample ? n : 0;
    return l->by_class ? sample * (l->c - l->first) + (k - l->first) : sample;
}

/* Numbers of regions, so that they broadcast over a prediction x: 0 for a class that is not counted. And the other
 * way: x summed over each region. */
gr_tensor *gr_over_regions(gr_tape *t, const region_layout *l, const gr_tensor *x, gr_tensor *numbers);
gr_tensor *gr_sum_regions(gr_tape *t, const region_layout *l, gr_tensor *x);

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

static inline const gr_region_attr *gr_region_attr_of(const gr_node *n) { return n->attr; }

/* In whose name an op refuses. */
static inline const char *gr_region_who(const gr_node *n)
{
    const char *who = gr_region_attr_of(n)->who;
    return who ? who : n->op->name;
}

static inline region_layout gr_region_layout_of(const gr_node *n)
{
    return gr_region_layout(n->in[0], gr_region_attr_of(n)->region, gr_region_attr_of(n)->without_background);
}

/* Refuses inputs that do not fit together. `weight` may be NULL. */
gr_status gr_expect_region_inputs(const char *who, const gr_region_attr *a, const gr_tensor *x, const gr_tensor *y,
                                  const gr_tensor *weight);

/* Refuses the first index that names no class; of a target that is no I32, nothing. */
gr_status gr_expect_region_classes(const char *who, const gr_region_attr *a, const gr_tensor *x, const gr_tensor *y);

/* Whether element i of a prediction is counted: of a class that is, and not ignored. */
bool gr_is_counted(const gr_region_attr *a, const region_layout *l, const gr_tensor *y, int64_t i);

/* Refuses the first weight below 0 and the first prediction that is no probability, among those that are counted;
 * logits may be anything. */
gr_status gr_expect_counted(const char *who, const gr_region_attr *a, const gr_tensor *x, const gr_tensor *y,
                            const gr_tensor *weight);

/* The target as numbers of x's shape, 0 where it is ignored: a class index as 1 for that class. */
gr_tensor *gr_region_target(gr_tape *t, const gr_region_attr *a, gr_tensor *x, gr_tensor *y);

/* *factor becomes that of each element, broadcasting over x: 0 where the target is ignored; NULL for all 1. `weight`
 * may be NULL. The second form is d times it, and 0 where it is 0 whatever d is there. */
gr_status gr_region_weight(gr_tape *t, const gr_region_attr *a, const gr_tensor *x, gr_tensor *y, gr_tensor *weight,
                           gr_tensor **factor);
gr_tensor *gr_region_weighed(gr_tape *t, const gr_region_attr *a, const gr_tensor *x, gr_tensor *y, gr_tensor *weight,
                             gr_tensor *d);

/* ---- A loss of regions ----------------------------------------------------------------------------------------- */

/* One call: what all losses take, and the soft counts, each of the shape of the regions. */
typedef struct gr_region_call {
    gr_tape *t;
    const char *who;
    gr_region_options o;
    gr_region_attr attr;
    region_layout layout;
    gr_tensor *x, *y;
    gr_tensor *tp, *fp, *fn, *tn;
} gr_region_call;

/* Reads what all losses take, for a loss called `who`; the second function counts, too. */
gr_status gr_region_options_of(gr_region_call *c, gr_tape *t, const char *who, gr_tensor *x, gr_tensor *y,
                               const gr_region_options *options);
gr_status gr_region_begin(gr_region_call *c, gr_tape *t, const char *who, gr_tensor *x, gr_tensor *y,
                          const gr_region_options *options);

/* Refuses an option that is no number of 0 or more. */
gr_status gr_expect_not_negative(const char *who, const char *what, double x);

/* e as a loss uses it: 1 where the option is left 0, and 0 where it is `unsmoothed`. */
gr_status gr_complete_epsilon(const char *who, double *epsilon, bool unsmoothed);

/* Numbers of regions times the class weights, if there are any. */
gr_tensor *gr_region_class_weighed(const gr_region_call *c, gr_tensor *numbers);

/* Losses of regions, weighted by class and reduced. Regions where nothing was counted have loss 0 and do not enter the
 * count of a mean; in the second form those where `filled` is 0. If that is NULL, all count. */
gr_tensor *gr_region_reduce(const gr_region_call *c, gr_tensor *losses);
gr_tensor *gr_region_reduce_over(const gr_region_call *c, gr_tensor *losses, gr_tensor *filled);

/* *filled becomes what is greater than 0 in regions where anything was counted; NULL when that is everywhere. */
gr_status gr_region_filled(const gr_region_call *c, gr_tensor **filled);

/* ---- Ops that formulas are made of ----------------------------------------------------------------------------- */

/* r = a / (a + b), and `of_nothing` where both are 0. Neither is negative. */
gr_tensor *gr_ratio(gr_tape *t, gr_tensor *a, gr_tensor *b, double of_nothing);

/* z = J v with J the derivative of the softmax over axis 1 at x. */
gr_tensor *gr_softmax_grad(gr_tape *t, gr_tensor *x, gr_tensor *v);

#endif
