/* class_target.h: targets of losses whose prediction has its classes along axis 1, [N,C,...]. A target has the
 * prediction's shape and dtype, or is the index of a class for each position, I32 [N,...]. */
#ifndef GR_LOSSES_CLASS_TARGET_H
#define GR_LOSSES_CLASS_TARGET_H

#include "losses/loss_kit.h"
#include "tensor/class_planes.h"

/* Refuses a prediction without classes along axis 1. */
gr_status gr_expect_class_axis(const char *who, const gr_tensor *p);

/* Refuses a target that does not go with the prediction. */
gr_status gr_expect_class_target(const char *who, const gr_tensor *p, const gr_tensor *y);

/* Refuses the first index that names no class of p and is not *ignored, which may be NULL; y is I32. */
gr_status gr_expect_class_indices(const char *who, const gr_tensor *p, const gr_tensor *y, const double *ignored);

/* A number for each position, [N,...], with axis 1 put back, so that it broadcasts over p [N,C,...]. */
gr_tensor *gr_over_classes(gr_tape *t, const gr_tensor *p, gr_tensor *numbers);

/* T = w ((1-s) y + s/C), of p's shape: the target of a node that has gr_loss_attr; and dT/dy d. */
gr_tensor *gr_class_target(gr_tape *t, const gr_node *n);
gr_tensor *gr_through_class_target(gr_tape *t, const gr_node *n, gr_tensor *d);

#endif
