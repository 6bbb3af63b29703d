/* images.c: what the ops on images [N,C,H,W] share: convolution, pooling, upsampling, norms. */
#include "autograd/op_kit.h"

gr_status gr_expect_images(const char *who, const gr_tensor *x)
{
    if (x->rank != 4) return gr_fail(GR_ERR_SHAPE, "%s: expected images [N,C,H,W]: %s", who, GR_SHAPE_TEXT(x));
    if (!x->shape[2] || !x->shape[3]) return gr_fail(GR_ERR_SHAPE, "%s: images of nothing: %s", who, GR_SHAPE_TEXT(x));
    return GR_OK;
}
