/* activation.c: what stands between the layers of a network. */
#include "autograd/op_kit.h"
#include "tensor/broadcast.h"

#define GR_KERNEL_FILE "autograd/activation.kernels.inc"
#include "tensor/kernel.h"

#define UNARY(kernel) .n_in = 1, .shape = gr_shape_same, .forward = GR_KERNELS(kernel##_map)

/* ---- y = tanh x:  dx = g (1 - y^2) -------------------------------------------------------------------------- */

static gr_tensor *tanh_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_shift(t, gr_neg(t, gr_square(t, n->out)), 1.0));
}

const gr_op gr_op_tanh = {
    .name = "tanh", .formula = "y = tanh x", .gradient = "dx = g (1 - y^2)", UNARY(tanh), .vjp = {tanh_vjp}};

gr_tensor *gr_tanh(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(tanh, NULL, x);
}

/* ---- y = s(x) = 1 / (1 + e^-x):  dx = g y (1 - y) ----------------------------------------------------------- */

/* z = g y (1 - y):  dg = h y (1 - y),  dy = h g (1 - 2y) */
static gr_tensor *sigmoid_grad(gr_tape *t, gr_tensor *g, gr_tensor *y)
{
    return GR_CALL(sigmoid_grad, NULL, g, y);
}

static gr_tensor *sigmoid_grad_g(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    return sigmoid_grad(t, h, n->in[1]);
}

static gr_tensor *sigmoid_grad_y(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    return gr_mul(t, gr_mul(t, h, n->in[0]), gr_shift(t, gr_scale(t, n->in[1], -2.0), 1.0));
}

const gr_op gr_op_sigmoid_grad = {.name = "sigmoid_grad",
                                  .formula = "z = g y (1 - y)",
                                  .gradient = "dg = h y (1 - y), dy = h g (1 - 2 y), h that of z",
                                  .n_in = 2,
                                  .shape = gr_shape_same,
                                  .forward = GR_KERNELS(sigmoid_grad_map),
                                  .vjp = {sigmoid_grad_g, sigmoid_grad_y}};

static gr_tensor *sigmoid_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return sigmoid_grad(t, g, n->out);
}

const gr_op gr_op_sigmoid = {.name = "sigmoid",
                             .formula = "y = 1 / (1 + e^-x)",
                             .gradient = "dx = g y (1 - y)",
                             UNARY(sigmoid),
                             .vjp = {sigmoid_vjp}};

gr_tensor *gr_sigmoid(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(sigmoid, NULL, x);
}

/* ---- y = log s(x):  dx = g s(-x) ---------------------------------------------------------------------------- */

static gr_tensor *log_sigmoid_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_sigmoid(t, gr_neg(t, n->in[0])));
}

const gr_op gr_op_log_sigmoid = {.name = "log_sigmoid",
                                 .formula = "y = -log(1 + e^-x)",
                                 .gradient = "dx = g s(-x)",
                                 UNARY(log_sigmoid),
                                 .vjp = {log_sigmoid_vjp}};

gr_tensor *gr_log_sigmoid(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(log_sigmoid, NULL, x);
}

/* ---- y = log(1 + e^x):  dx = g s(x) ------------------------------------------------------------------------- */

static gr_tensor *softplus_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_sigmoid(t, n->in[0]));
}

const gr_op gr_op_softplus = {.name = "softplus",
                              .formula = "y = log(1 + e^x)",
                              .gradient = "dx = g s(x)",
                              UNARY(softplus),
                              .vjp = {softplus_vjp}};

gr_tensor *gr_softplus(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(softplus, NULL, x);
}

/* ---- y = max(x, 0):  dx = [x > 0] g ------------------------------------------------------------------------- */

/* z = [x > 0 ? a : b] g:  dg = [x > 0 ? a : b] h,  dx = 0 */
static gr_tensor *gate(gr_tape *t, gr_tensor *g, gr_tensor *x, double above, double below)
{
    return GR_CALL(gate, (&(gr_scalars){above, below}), g, x);
}

static gr_tensor *gate_vjp(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    const gr_scalars *s = n->attr;
    return gate(t, h, n->in[1], s->a, s->b);
}

const gr_op gr_op_gate = {.name = "gate",
                          .formula = "z = [x > 0 ? a : b] g",
                          .gradient = "dg = h [x > 0 ? a : b], dx = 0, h that of z",
                          .n_in = 2,
                          .shape = gr_shape_same,
                          .forward = GR_KERNELS(gate_map),
                          .attr_size = sizeof(gr_scalars),
                          .branches = gr_branch_sign_of_second,
                          .vjp = {gate_vjp, gr_vjp_zero}};

static gr_tensor *relu_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gate(t, g, n->out, 1.0, 0.0);
}

const gr_op gr_op_relu = {.name = "relu",
                          .formula = "y = max(x, 0)",
                          .gradient = "dx = g [y > 0]",
                          UNARY(relu),
                          .in_place = true,
                          .branches = gr_branch_sign,
                          .vjp = {relu_vjp}};

gr_tensor *gr_relu(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(relu, NULL, x);
}

/* ---- y = x > 0 ? x : a x:  dx = [x > 0 ? 1 : a] g ----------------------------------------------------------- */

static gr_tensor *leaky_relu_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gate(t, g, n->in[0], 1.0, ((const gr_scalars *)n->attr)->a);
}

const gr_op gr_op_leaky_relu = {.name = "leaky_relu",
                                .formula = "y = x > 0 ? x : a x",
                                .gradient = "dx = g [x > 0 ? 1 : a]",
                                UNARY(leaky_relu),
                                .branches = gr_branch_sign,
                                .attr_size = sizeof(gr_scalars),
                                .vjp = {leaky_relu_vjp}};

gr_tensor *gr_leaky_relu(gr_tape *t, gr_tensor *x, double slope)
{
    return GR_CALL(leaky_relu, &(gr_scalars){.a = slope}, x);
}

/* ---- y = x > 0 ? x : a (e^x - 1):  dx = g (x > 0 ? 1 : a e^x) ----------------------------------------------- */

static gr_tensor *elu_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *x = n->in[0];
    double a = ((const gr_scalars *)n->attr)->a;
    gr_tensor *below = gr_exp(t, gr_clamp(t, x, -(double)INFINITY, 0.0));
    return gr_add(t, gate(t, g, x, 1.0, 0.0), gr_mul(t, gate(t, g, x, 0.0, a), below));
}

const gr_op gr_op_elu = {.name = "elu",
                         .formula = "y = x > 0 ? x : a (e^x - 1)",
                         .gradient = "dx = g [x > 0 ? 1 : a e^x]",
                         UNARY(elu),
                         .branches = gr_branch_sign,
                         .attr_size = sizeof(gr_scalars),
                         .vjp = {elu_vjp}};

gr_tensor *gr_elu(gr_tape *t, gr_tensor *x, double alpha)
{
    return GR_CALL(elu, &(gr_scalars){.a = alpha}, x);
}

/* ---- y = Phi(x):  dx = g phi(x), phi(x) = e^(-x^2/2) / sqrt(2 pi) ------------------------------------------- */

static gr_tensor *normal_density(gr_tape *t, gr_tensor *x)
{
    return gr_scale(t, gr_exp(t, gr_scale(t, gr_square(t, x), -0.5)), 0.39894228040143268);
}

static gr_tensor *normal_cdf_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, normal_density(t, n->in[0]));
}

const gr_op gr_op_normal_cdf = {.name = "normal_cdf",
                                .formula = "y = Phi(x)",
                                .gradient = "dx = g phi(x)",
                                UNARY(normal_cdf),
                                .vjp = {normal_cdf_vjp}};

gr_tensor *gr_normal_cdf(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(normal_cdf, NULL, x);
}

/* ---- y = x Phi(x):  dx = g (Phi(x) + x phi(x)) -------------------------------------------------------------- */

/* Where the slope has long been 0 or 1: an infinity times one of its zeros would be NaN. */
static gr_tensor *held(gr_tape *t, gr_tensor *x)
{
    return gr_clamp(t, x, -1e4, 1e4);
}

static gr_tensor *gelu_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *x = held(t, n->in[0]);
    return gr_mul(t, g, gr_add(t, gr_normal_cdf(t, x), gr_mul(t, x, normal_density(t, x))));
}

const gr_op gr_op_gelu = {.name = "gelu",
                          .formula = "y = x Phi(x)",
                          .gradient = "dx = g (Phi(x) + x phi(x))",
                          UNARY(gelu),
                          .vjp = {gelu_vjp}};

gr_tensor *gr_gelu(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(gelu, NULL, x);
}

/* ---- y = x s(x):  dx = g s(x) (1 + x s(-x)) ----------------------------------------------------------------- */

static gr_tensor *silu_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *x = held(t, n->in[0]), *s_minus = gr_sigmoid(t, gr_neg(t, x));
    return gr_mul(t, g, gr_mul(t, gr_sigmoid(t, x), gr_shift(t, gr_mul(t, x, s_minus), 1.0)));
}

const gr_op gr_op_silu = {.name = "silu",
                          .formula = "y = x / (1 + e^-x)",
                          .gradient = "dx = g s(x) (1 + x s(-x))",
                          UNARY(silu),
                          .vjp = {silu_vjp}};

gr_tensor *gr_silu(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(silu, NULL, x);
}
