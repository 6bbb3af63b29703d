/* unary.c: functions of one tensor, element by element; the activations are in activation.c. */
#include "autograd/op_kit.h"

#define GR_KERNEL_FILE "autograd/unary.kernels.inc"
#include "tensor/kernel.h"

#define UNARY(kernel) .n_in = 1, .shape = gr_shape_same, .forward = GR_KERNELS(kernel##_map)

/* ---- y = -x:  dx = -g --------------------------------------------------------------------------------------- */

static gr_tensor *neg_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)n;
    return gr_neg(t, g);
}

static int neg_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    terms[0] = (gr_term){n->in[0], -1.0};
    return 1;
}

const gr_op gr_op_neg = {
    .name = "neg", .formula = "y = -x", .gradient = "dx = -g", UNARY(neg), .terms = neg_terms, .vjp = {neg_vjp}};

gr_tensor *gr_neg(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(neg, NULL, x);
}

/* ---- y = a x:  dx = a g ------------------------------------------------------------------------------------- */

static gr_tensor *scale_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_scale(t, g, ((const gr_scalars *)n->attr)->a);
}

static int scale_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    terms[0] = (gr_term){n->in[0], ((const gr_scalars *)n->attr)->a};
    return 1;
}

const gr_op gr_op_scale = {.name = "scale",
                           .formula = "y = a x",
                           .gradient = "dx = a g",
                           UNARY(scale),
                           .attr_size = sizeof(gr_scalars),
                           .terms = scale_terms,
                           .vjp = {scale_vjp}};

gr_tensor *gr_scale(gr_tape *t, gr_tensor *x, double factor)
{
    return GR_CALL(scale, &(gr_scalars){.a = factor}, x);
}

/* ---- y = x + a:  dx = g ------------------------------------------------------------------------------------- */

static gr_tensor *shift_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)t;
    (void)n;
    return g;
}

static int shift_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    terms[0] = (gr_term){n->in[0], 1.0};
    terms[1] = (gr_term){NULL, ((const gr_scalars *)n->attr)->a};
    return 2;
}

const gr_op gr_op_shift = {.name = "shift",
                           .formula = "y = x + a",
                           .gradient = "dx = g",
                           UNARY(shift),
                           .attr_size = sizeof(gr_scalars),
                           .terms = shift_terms,
                           .vjp = {shift_vjp}};

gr_tensor *gr_shift(gr_tape *t, gr_tensor *x, double offset)
{
    return GR_CALL(shift, &(gr_scalars){.a = offset}, x);
}

/* ---- y = x^a:  dx = g a x^(a-1), and 0 for a = 0, also at x = 0 --------------------------------------------- */

static gr_tensor *pow_scalar_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    double a = ((const gr_scalars *)n->attr)->a;
    if (a == 0.0) return gr_scale(t, g, 0.0);
    return gr_mul(t, g, gr_scale(t, gr_pow_scalar(t, n->in[0], a - 1.0), a));
}

const gr_op gr_op_pow_scalar = {.name = "pow_scalar",
                                .formula = "y = x^a",
                                .gradient = "dx = g a x^(a-1)",
                                UNARY(pow_scalar),
                                .attr_size = sizeof(gr_scalars),
                                .vjp = {pow_scalar_vjp}};

gr_tensor *gr_pow_scalar(gr_tape *t, gr_tensor *x, double exponent)
{
    return GR_CALL(pow_scalar, &(gr_scalars){.a = exponent}, x);
}

/* ---- y = x^2:  dx = 2 g x ----------------------------------------------------------------------------------- */

static gr_tensor *square_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_scale(t, gr_mul(t, g, n->in[0]), 2.0);
}

const gr_op gr_op_square = {
    .name = "square", .formula = "y = x^2", .gradient = "dx = 2 g x", UNARY(square), .vjp = {square_vjp}};

gr_tensor *gr_square(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(square, NULL, x);
}

/* ---- y = sqrt(x):  dx = g / (2 y) --------------------------------------------------------------------------- */

static gr_tensor *sqrt_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_scale(t, gr_div(t, g, n->out), 0.5);
}

const gr_op gr_op_sqrt = {
    .name = "sqrt", .formula = "y = sqrt(x)", .gradient = "dx = g / (2 y)", UNARY(sqrt), .vjp = {sqrt_vjp}};

gr_tensor *gr_sqrt(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(sqrt, NULL, x);
}

/* ---- y = e^x:  dx = g y ------------------------------------------------------------------------------------- */

static gr_tensor *exp_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, n->out);
}

const gr_op gr_op_exp = {.name = "exp", .formula = "y = e^x", .gradient = "dx = g y", UNARY(exp), .vjp = {exp_vjp}};

gr_tensor *gr_exp(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(exp, NULL, x);
}

/* ---- y = e^x - 1:  dx = g e^x ------------------------------------------------------------------------------- */

static gr_tensor *expm1_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_exp(t, n->in[0]));
}

const gr_op gr_op_expm1 = {
    .name = "expm1", .formula = "y = e^x - 1", .gradient = "dx = g e^x", UNARY(expm1), .vjp = {expm1_vjp}};

gr_tensor *gr_expm1(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(expm1, NULL, x);
}

/* ---- y = log x:  dx = g / x --------------------------------------------------------------------------------- */

static gr_tensor *log_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_div(t, g, n->in[0]);
}

const gr_op gr_op_log = {.name = "log", .formula = "y = log x", .gradient = "dx = g / x", UNARY(log), .vjp = {log_vjp}};

gr_tensor *gr_log(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(log, NULL, x);
}

/* ---- y = log(1 + x):  dx = g / (1 + x) ---------------------------------------------------------------------- */

static gr_tensor *log1p_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_div(t, g, gr_shift(t, n->in[0], 1.0));
}

const gr_op gr_op_log1p = {
    .name = "log1p", .formula = "y = log(1 + x)", .gradient = "dx = g / (1 + x)", UNARY(log1p), .vjp = {log1p_vjp}};

gr_tensor *gr_log1p(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(log1p, NULL, x);
}

/* ---- y = |x|:  dx = g sign(x) ------------------------------------------------------------------------------- */

static gr_tensor *abs_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_sign(t, n->in[0]));
}

const gr_op gr_op_abs = {.name = "abs",
                         .formula = "y = |x|",
                         .gradient = "dx = g sign(x)",
                         UNARY(abs),
                         .branches = gr_branch_sign,
                         .vjp = {abs_vjp}};

gr_tensor *gr_abs(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(abs, NULL, x);
}

/* ---- y = sign(x): steps ------------------------------------------------------------------------------------- */

const gr_op gr_op_sign = {.name = "sign",
                          .formula = "y = [x > 0] - [x < 0]",
                          .gradient = "dx = 0",
                          UNARY(sign),
                          .branches = gr_branch_sign,
                          .vjp = {gr_vjp_zero}};

gr_tensor *gr_sign(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(sign, NULL, x);
}

/* ---- y = sin x:  dx = g cos x ------------------------------------------------------------------------------- */

static gr_tensor *sin_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_cos(t, n->in[0]));
}

const gr_op gr_op_sin = {
    .name = "sin", .formula = "y = sin x", .gradient = "dx = g cos x", UNARY(sin), .vjp = {sin_vjp}};

gr_tensor *gr_sin(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(sin, NULL, x);
}

/* ---- y = cos x:  dx = -g sin x ------------------------------------------------------------------------------ */

static gr_tensor *cos_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_neg(t, gr_mul(t, g, gr_sin(t, n->in[0])));
}

const gr_op gr_op_cos = {
    .name = "cos", .formula = "y = cos x", .gradient = "dx = -g sin x", UNARY(cos), .vjp = {cos_vjp}};

gr_tensor *gr_cos(gr_tape *t, gr_tensor *x)
{
    return GR_CALL(cos, NULL, x);
}

/* ---- y = min(max(x, a), b):  dx = g [a <= x <= b] ----------------------------------------------------------- */

static gr_status clamp_shape(const gr_node *n, gr_type *type)
{
    const gr_scalars *s = n->attr;
    if (!(s->a <= s->b)) return gr_fail(GR_ERR_OPTION, "%s: bounds %g and %g hold nothing", n->op->name, s->a, s->b);
    return gr_shape_same(n, type);
}

/* y = [a <= x <= b] */
static gr_tensor *gr_inside(gr_tape *t, gr_tensor *x, const gr_scalars *bounds)
{
    return GR_CALL(inside, bounds, x);
}

static gr_tensor *clamp_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_inside(t, n->in[0], n->attr));
}

const gr_op gr_op_inside = {.name = "inside",
                            .formula = "y = [a <= x <= b]",
                            .gradient = "dx = 0",
                            .n_in = 1,
                            .shape = clamp_shape,
                            .forward = GR_KERNELS(inside_map),
                            .attr_size = sizeof(gr_scalars),
                            .branches = gr_branch_bounds,
                            .vjp = {gr_vjp_zero}};
const gr_op gr_op_clamp = {.name = "clamp",
                           .formula = "y = min(max(x, a), b)",
                           .gradient = "dx = g [a <= x <= b]",
                           .n_in = 1,
                           .shape = clamp_shape,
                           .forward = GR_KERNELS(clamp_map),
                           .attr_size = sizeof(gr_scalars),
                           .branches = gr_branch_bounds,
                           .vjp = {clamp_vjp}};

gr_tensor *gr_clamp(gr_tape *t, gr_tensor *x, double lo, double hi)
{
    return GR_CALL(clamp, (&(gr_scalars){lo, hi}), x);
}
