/* test_higher_order.c: derivatives of derivatives. */
#include "tape_kit.h"

/* ---- Derivatives of derivatives ---------------------------------------------------------------------------------- */

static gr_tensor *fourth_by_products(gr_tape *t, gr_tensor *x) { return gr_mul(t, x, gr_mul(t, x, gr_mul(t, x, x))); }

static gr_tensor *fourth_by_squares(gr_tape *t, gr_tensor *x) { return gr_square(t, gr_square(t, x)); }

static gr_tensor *fourth_by_power(gr_tape *t, gr_tensor *x) { return gr_pow_scalar(t, x, 4.0); }

static gr_tensor *fourth_by_quotient(gr_tape *t, gr_tensor *x)
{
    return gr_div(t, gr_square(t, gr_mul(t, x, gr_square(t, x))), gr_square(t, x));
}

static gr_tensor *fourth_by_matrices(gr_tape *t, gr_tensor *x)
{
    gr_tensor *m = gr_reshape(t, x, GR_SHAPE(1, 1)), *m2 = gr_matmul(t, m, m, GR_TRANS_B);
    return total(t, gr_matmul(t, m2, m2, 0));
}

/* x^4 at 2, and its derivatives: 16, 32, 48, 48, 24, 0: all of them exact in binary. */
static void five_derivatives_of_x_to_the_fourth(void **state)
{
    fixture *f = *state;
    gr_tensor *(*const forms[])(gr_tape * t, gr_tensor * x) = {fourth_by_products, fourth_by_squares, fourth_by_power,
                                                               fourth_by_quotient, fourth_by_matrices};
    static const double expected[] = {16, 32, 48, 48, 24, 0};
    gr_tensor *x = number(f, 2.0);
    for (size_t i = 0; i < COUNT(forms); i++) {
        gr_tensor *y = forms[i](f->t, x);
        for (int order = 0; order <= 5; order++) {
            if (!y || gr_item(y) != expected[order]) fail_msg("form %zu, derivative %d: %.17g", i, order, gr_item(y));
            if (order == 5 || !gr_requires_grad(y)) break;
            ok(gr_grad(f->t, y, &x, 1, &y, GR_CREATE_GRAPH));
        }
        gr_tape_reset(f->t);
    }
    assert_null(gr_gradient(x));
}

/* d2/dxdy of x^2 y^3 is 6 x y^2 either way round. */
static void mixed_derivatives_commute(void **state)
{
    fixture *f = *state;
    gr_tensor *x = number(f, 5.0), *y = number(f, 2.0), *both[] = {x, y}, *d[2], *dd;
    gr_tensor *z = gr_mul(f->t, gr_square(f->t, x), gr_mul(f->t, y, gr_square(f->t, y)));
    ok(gr_grad(f->t, z, both, 2, d, GR_CREATE_GRAPH));
    for (int i = 0; i < 2; i++) {
        ok(gr_grad(f->t, d[i], &both[1 - i], 1, &dd, GR_RETAIN));
        assert_true(gr_item(dd) == 120.0);
    }
}

/* Of a gradient penalty, (df/dx)^2, into the leaves: f = w x^2, penalty 4 w^2 x^2. */
static void a_penalty_on_a_gradient(void **state)
{
    fixture *f = *state;
    gr_tensor *w = number(f, 3.0), *x = number(f, 2.0), *d;
    gr_tensor *y = gr_mul(f->t, w, gr_square(f->t, x));
    for (int i = 1; i <= 3; i++) { /* again and again on one tape */
        ok(gr_grad(f->t, y, &x, 1, &d, GR_CREATE_GRAPH));
        ok(gr_backward(f->t, gr_square(f->t, d), GR_RETAIN));
        assert_gradient(w, i * 8.0 * 3.0 * 4.0);
        assert_gradient(x, i * 8.0 * 9.0 * 2.0);
    }
}

static gr_tensor *network_loss(gr_tape *t, gr_tensor *const w[2], gr_tensor *x, gr_tensor *target)
{
    gr_tensor *h = gr_tanh(t, gr_matmul(t, x, w[0], 0));
    return gr_cross_entropy(t, gr_matmul(t, h, w[1], 0), target, &(gr_loss_options){.from_logits = true});
}

/* u^T H v of the loss by two differentiations. */
static double hessian_product(fixture *f, gr_tensor *const w[2], gr_tensor *x, gr_tensor *target, gr_tensor *const u[2],
                              gr_tensor *const v[2])
{
    gr_tensor *g[2], *hv[2];
    ok(gr_grad(f->t, network_loss(f->t, w, x, target), w, 2, g, GR_CREATE_GRAPH));
    gr_tensor *gv = gr_add(f->t, total(f->t, gr_mul(f->t, g[0], v[0])), total(f->t, gr_mul(f->t, g[1], v[1])));
    ok(gr_grad(f->t, gv, w, 2, hv, 0));
    double sum = gr_item(total(f->t, gr_mul(f->t, hv[0], u[0]))) + gr_item(total(f->t, gr_mul(f->t, hv[1], u[1])));
    gr_tape_reset(f->t);
    return sum;
}

/* u^T (gradient at w + h v). */
static double gradient_along(fixture *f, gr_tensor *const w[2], gr_tensor *x, gr_tensor *target, gr_tensor *const u[2],
                             gr_tensor *const v[2], double h)
{
    double sum = 0.0;
    gr_tensor *moved[2], *g[2];
    for (int i = 0; i < 2; i++) {
        moved[i] = gr_copy(w[i]);
        ok(gr_require_grad(moved[i]));
        for (int64_t k = 0; k < gr_size(w[i]); k++) ok(gr_set(moved[i], k, gr_get(w[i], k) + h * gr_get(v[i], k)));
    }
    ok(gr_grad(f->t, network_loss(f->t, moved, x, target), moved, 2, g, 0));
    for (int i = 0; i < 2; i++) sum += gr_item(total(f->t, gr_mul(f->t, g[i], u[i])));
    gr_tape_reset(f->t);
    for (int i = 0; i < 2; i++) gr_tensor_free(moved[i]);
    return sum;
}

static void hessian_vector_products(void **state)
{
    fixture *f = *state;
    gr_rng rng = gr_rng_seed(1);
    gr_tensor *w[2], *u[2], *v[2], *x = own(f, gr_normal(GR_F64, GR_SHAPE(6, 4), 0, 1, &rng));
    gr_tensor *target = own(f, gr_from(GR_I32, GR_SHAPE(6), (int32_t[]){0, 1, 2, 2, 1, 0}));
    for (int i = 0; i < 2; i++) {
        const int64_t shape[2] = {i ? 5 : 4, i ? 3 : 5};
        w[i] = leaf(f, gr_normal(GR_F64, 2, shape, 0, 0.7, &rng));
        u[i] = own(f, gr_normal(GR_F64, 2, shape, 0, 1, &rng));
        v[i] = own(f, gr_normal(GR_F64, 2, shape, 0, 1, &rng));
    }
    const double h = 1e-5, uhv = hessian_product(f, w, x, target, u, v), vhu = hessian_product(f, w, x, target, v, u);
    const double numeric =
        (gradient_along(f, w, x, target, u, v, h) - gradient_along(f, w, x, target, u, v, -h)) / (2.0 * h);
    assert_true(fabs(uhv) > 1e-3);
    assert_true(close_to(uhv, vhu, 1e-14));
    assert_true(close_to(uhv, numeric, 1e-8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(five_derivatives_of_x_to_the_fourth),
        TEST(mixed_derivatives_commute),
        TEST(a_penalty_on_a_gradient),
        TEST(hessian_vector_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
