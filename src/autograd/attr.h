/* attr.h: what the records of the ops carry as options. The shape rule of an op checks them, its kernels and VJPs read
 * them, and whoever writes a call down reads them from the node. */
#ifndef GR_AUTOGRAD_ATTR_H
#define GR_AUTOGRAD_ATTR_H

#include <gradus/nn.h>
#include <gradus/op.h>

/* Functions of one tensor with one or two numbers: scale, shift, pow_scalar, clamp, leaky_relu, elu. */
typedef struct gr_scalars {
    double a, b;
} gr_scalars;

/* sum, mean, max, min, logsumexp. */
typedef struct gr_reduce_attr {
    int n_axes; /* 0: all of them */
    int axes[GR_MAX_RANK];
    bool keep;
} gr_reduce_attr;

/* softmax, log_softmax, concat. */
typedef struct gr_axis_attr {
    int axis;
} gr_axis_attr;

/* permute: axis i of the result is axes[i] of the input. */
typedef struct gr_permute_attr {
    int n, axes[GR_MAX_RANK];
} gr_permute_attr;

/* slice and pad. */
typedef struct gr_range_attr {
    int axis;
    int64_t start, stop;   /* of slice */
    int64_t before, after; /* of pad */
    double value;
} gr_range_attr;

typedef struct gr_cast_attr {
    gr_dtype dtype;
} gr_cast_attr;

/* gather_rows, scatter_rows: of the table. */
typedef struct gr_rows_attr {
    int64_t rows;
} gr_rows_attr;

/* matmul: GR_TRANS_A, GR_TRANS_B. */
typedef struct gr_matmul_attr {
    int flags;
} gr_matmul_attr;

/* conv2d, conv_transpose2d, conv2d_kernel. No 0 of the options stands for 1 here. */
typedef struct gr_conv_attr {
    gr_conv2d_options o;
    int64_t size[2]; /* rows and columns that do not follow from the inputs: of the adjoint's images, of the kernel */
} gr_conv_attr;

/* Pooling: rows, then columns. */
typedef struct gr_pool_attr {
    int64_t kernel[2], stride[2], padding[2];
    bool exclude_padding;
    int64_t size[2]; /* of the image, for the adjoint of the mean */
} gr_pool_attr;

typedef struct gr_upsample_attr {
    int64_t size[2]; /* of the result: rows and columns */
    gr_upsample_mode mode;
} gr_upsample_attr;

/* batch_norm2d, layer_norm, group_norm. */
typedef enum gr_norm_kind { GR_NORM_BATCH, GR_NORM_LAYER, GR_NORM_GROUP } gr_norm_kind;
typedef struct gr_norm_attr {
    gr_norm_kind kind;
    int n_axes;     /* layer_norm: the last so many */
    int64_t groups; /* group_norm */
    double epsilon;
    bool gamma, beta; /* which of the two there are, in this order, after x */
} gr_norm_attr;

typedef struct gr_dropout_attr {
    double p;     /* of an element to go */
    uint64_t key; /* decides, with its index, whether it does */
} gr_dropout_attr;

#endif
