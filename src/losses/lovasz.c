/* lovasz.c: the Lovasz extension of the Jaccard loss (Berman, Triki and Blaschko, 2018):
 *
 *     l = sum_i e_i (J(S_i) - J(S_(i-1))),   S_i the i elements with the largest errors e,
 *
 * where J(S) is the Jaccard loss of a mask of P elements of which just those of S are predicted wrongly: of S, let T be
 * in the mask and F outside; then J = 1 - (P-T)/(P+F) = (T+F)/(P+F). In the order of errors J grows by
 *
 *     1 / (P+F) for an element of the mask,   (P-T) / ((P+F) (P+F+1)) for one outside,
 *
 * and these growths are the slope: between ties the order is constant. An element of weight w counts as w elements. */
#include "losses/regions.h"

/* A call: the elements of a region are `rows` rows of `length` elements, `stride` apart. */
typedef struct lovasz {
    const gr_node *n;
    gr_layout l;
    int64_t rows, length, stride;
    const void *weight;
    gr_tensor *growth;
    void *key[2];
    uint32_t *place[2];
} lovasz;

static int64_t region_start(const lovasz *s, int64_t region)
{
    const gr_layout *l = &s->l;
    const int64_t c = l->c - l->first;
    switch (l->region) {
    case GR_PER_PLANE: return (region / c * l->c + l->first + region % c) * l->inner;
    case GR_PER_CLASS: return (l->first + region) * l->inner;
    case GR_PER_SAMPLE: return (region * l->c + l->first) * l->inner;
    default: return l->first * l->inner;
    }
}

static lovasz lovasz_of(const gr_node *n)
{
    const gr_region_attr *a = n->attr;
    lovasz s = {.n = n,
                .l = gr_layout_of(n->in[0], a->region, a->without_background),
                .rows = 1,
                .weight = n->n_in > 2 ? n->in[2]->data : NULL};
    const bool one_class = a->region == GR_PER_PLANE || a->region == GR_PER_CLASS;
    s.length = (one_class ? 1 : s.l.c - s.l.first) * s.l.inner;
    s.stride = s.l.c * s.l.inner;
    if (a->region == GR_PER_CLASS || a->region == GR_WHOLE) s.rows = s.l.n;
    return s;
}

static gr_status lovasz_complain(const gr_node *n, int k, int64_t i);

#define GR_KERNEL_FILE "losses/lovasz.kernels.inc"
#include "tensor/kernel.h"

/* ---- The op --------------------------------------------------------------------------------------------------- */

static gr_status lovasz_shape(const gr_node *n, gr_type *type)
{
    const gr_region_attr *a = n->attr;
    const gr_tensor *e = n->in[0];
    gr_type same;
    if (gr_shape_same(n, &same) || gr_expect_region(n->op->name, e, a->region, a->without_background))
        return gr_last_status();
    gr_layout l = gr_layout_of(e, a->region, a->without_background);
    if (e->size > (int64_t)UINT32_MAX)
        return gr_fail(GR_ERR_SHAPE, "%s: %s is too large to be sorted", n->op->name, GR_SHAPE_TEXT(e));
    type->dtype = gr_type_of(e);
    type->rank = gr_region_shape(&l, type->shape);
    return GR_OK;
}

/* Says what the first element of input k is that is not as it should be. */
static gr_status lovasz_complain(const gr_node *n, int k, int64_t i)
{
    const gr_region_attr *a = n->attr;
    return gr_fail(GR_ERR_VALUE,
                   k == 1 ? "%s: target %g at %s, expected 0 or 1" : "%s: the weight is %g at %s, expected 0 or more",
                   a->who ? a->who : n->op->name, gr_element(n->in[k], i),
                   gr_position_text(&(gr_text){{0}}, n->in[k], i));
}

/* de = g times the growth of J at each element, which the forward pass has saved */
static gr_tensor *lovasz_e(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_region_attr *a = n->attr;
    gr_layout l = gr_layout_of(n->in[0], a->region, a->without_background);
    return gr_mul(t, n->saved, gr_over_regions(t, &l, n->in[0], g));
}

/* The slopes are those of the order; elements that may change places without changing them make no kink. */
static void lovasz_branches(const gr_node *n, uint64_t *signature)
{
    for (int64_t i = 0; n->saved && i < n->saved->size; i++) {
        const double growth = gr_element(n->saved, i);
        int64_t branch;
        memcpy(&branch, &growth, sizeof branch);
        gr_fold_branch(signature, branch);
    }
}

const gr_op gr_op_lovasz = {.name = "lovasz",
                            .formula = "l = sum_i e_i (J_i - J_(i-1)), e falling",
                            .gradient = "de_i = g (J_i - J_(i-1))",
                            .n_in = 2,
                            .n_optional = 1,
                            .shape = lovasz_shape,
                            .attr_size = sizeof(gr_region_attr),
                            .branches = lovasz_branches,
                            .forward = GR_KERNELS(lovasz),
                            .vjp = {lovasz_e}};

/* ---- The losses ------------------------------------------------------------------------------------------------ */

/* The extension over errors e; y as numbers, w NULL for weights of 1. */
static gr_tensor *extension(const gr_region_call *c, gr_tensor *e, gr_tensor *y, gr_tensor *w)
{
    gr_tensor *in[3] = {e, y, w ? gr_broadcast_to(c->t, w, c->x->rank, c->x->shape) : NULL};
    return gr_apply(c->t, &gr_op_lovasz, in, w ? 3 : 2, &c->attr);
}

/* Where an index says which class, the index must be one, and probabilities must be some. */
static gr_status begin(gr_region_call *c, gr_tape *t, const char *who, int has, gr_tensor *x, gr_tensor *y,
                       const gr_region_options *o)
{
    if (gr_region_options_of(c, t, who, has, x, y, o)) return gr_last_status();
    if (y->dtype == GR_I32 && gr_expect_classes(who, &c->attr, x, y)) return gr_last_status();
    return c->attr.from_logits ? GR_OK : gr_expect_counted(who, &c->attr, x, y, c->o.base.weight);
}

/* e = max(0, 1 - x s) with s = 2y - 1 */
gr_tensor *gr_lovasz_hinge(gr_tape *t, gr_tensor *x, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    gr_region_options o = options ? *options : (gr_region_options){0};
    o.base.from_logits = true;
    if (o.softmax) return gr_fail(GR_ERR_OPTION, "lovasz_hinge: has no softmax; see lovasz_softmax"), NULL;
    if (begin(&c, t, "lovasz_hinge", 0, x, y, &o)) return NULL;
    gr_tensor *target = gr_region_target(t, &c.attr, x, y), *w = gr_region_weight(t, &c.attr, x, y, o.base.weight);
    gr_tensor *sign = gr_shift(t, gr_scale(t, target, 2.0), -1.0);
    gr_tensor *e = gr_relu(t, gr_complement(t, gr_mul(t, x, sign)));
    gr_tensor *filled = w ? gr_sum_regions(t, &c.layout, gr_broadcast_to(t, w, x->rank, x->shape)) : NULL;
    return gr_region_reduce(&c, extension(&c, e, target, w), filled);
}

/* e = |y - p|; a region of a class that it has no pixel of does not count */
gr_tensor *gr_lovasz_softmax(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    gr_region_options o = options ? *options : (gr_region_options){0};
    o.softmax = o.base.from_logits;
    if (begin(&c, t, "lovasz_softmax", GR_HAS_ABSENT, p, y, &o)) return NULL;
    gr_tensor *target = gr_region_target(t, &c.attr, p, y), *w = gr_region_weight(t, &c.attr, p, y, o.base.weight);
    gr_tensor *counted =
        o.absent_classes ? gr_broadcast_to(t, gr_constant(t, gr_type_of(p), 1.0), p->rank, p->shape) : target;
    gr_tensor *there = gr_sum_regions(t, &c.layout, gr_weighed(t, counted, w));
    gr_tensor *e = o.softmax
                       ? GR_CALL(class_error, NULL, p, target)
                       : gr_add(t, gr_mul(t, target, gr_complement(t, p)), gr_mul(t, gr_complement(t, target), p));
    return gr_region_reduce(&c, extension(&c, e, target, w), there);
}
