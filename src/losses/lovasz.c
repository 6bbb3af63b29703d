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

/* ---- Checks ------------------------------------------------------------------------------------------------- */

static gr_status lovasz_shape(const gr_node *n, gr_type *type)
{
    const gr_region_attr *a = gr_region_attr_of(n);
    const gr_tensor *e = n->in[0];
    gr_type same;
    if (gr_shape_same(n, &same) || gr_expect_region(gr_region_who(n), e, a->region, a->without_background))
        return gr_last_status();
    const region_layout l = gr_region_layout_of(n);
    if (e->size > (int64_t)UINT32_MAX)
        return gr_fail(GR_ERR_SHAPE, "%s: %s is too large to be sorted", gr_region_who(n), GR_SHAPE_TEXT(e));
    type->dtype = gr_type_of(e);
    type->rank = gr_region_shape(&l, type->shape);
    return GR_OK;
}

/* Says what element i of input k is, which is not as it should be. */
static gr_status fail_bad_error(const gr_node *n, int k, int64_t i)
{
    if (k == 2) return gr_fail_weight_at(gr_region_who(n), "weight", n->in[k], i);
    return gr_fail(GR_ERR_VALUE, "%s: target %s at %s, expected 0 or 1", gr_region_who(n),
                   GR_NUMBER_TEXT(gr_element(n->in[k], i)), gr_position_text(&(gr_text){{0}}, n->in[k], i));
}

/* ---- Kernels ------------------------------------------------------------------------------------------------ */

/* A call: e, y and w are [n, c, inner]. The elements of a region are `rows` rows of `length`, `stride` apart. */
typedef struct lovasz_call {
    const void *e, *y, *w; /* w may be NULL */
    void *growth;          /* [n, c, inner], or NULL where no gradient will be asked for */
    void *loss;            /* [regions] */
    region_layout l;
    int64_t rows, length, stride;
    void *key[2];       /* [regions, rows*length]: errors as bits in the order of the numbers, */
    uint32_t *place[2]; /* and where in the region they belong; each in two copies, for sorting from one to the other */
} lovasz_call;

static int64_t region_start(const region_layout *l, int64_t region)
{
    const int64_t classes = l->c - l->first, k = l->by_class ? region % classes : 0;
    const int64_t n = !l->by_sample ? 0 : l->by_class ? region / classes : region;
    return (n * l->c + l->first + k) * l->inner;
}

static lovasz_call lovasz_call_of(const gr_node *n)
{
    const region_layout l = gr_region_layout_of(n);
    return (lovasz_call){.e = n->in[0]->data,
                         .y = n->in[1]->data,
                         .w = n->n_in > 2 ? n->in[2]->data : NULL,
                         .loss = n->out->data,
                         .l = l,
                         .rows = l.by_sample ? 1 : l.n,
                         .length = (l.by_class ? 1 : l.c - l.first) * l.inner,
                         .stride = l.c * l.inner};
}

#define GR_KERNEL_FILE "losses/lovasz.kernels.inc"
#include "tensor/kernel.h"

/* ---- The op --------------------------------------------------------------------------------------------------- */

/* de = g times the growth of J at each element, which the forward pass has saved */
static gr_tensor *lovasz_e(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const region_layout l = gr_region_layout_of(n);
    return gr_weighed(t, n->saved, gr_over_regions(t, &l, n->in[0], g));
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

const gr_op gr_op_lovasz = {GR_NAMED(lovasz, "l = sum_i e_i (J_i - J_(i-1)), e falling", "de_i = g (J_i - J_(i-1))"),
                            .n_in = 2,
                            .n_optional = 1,
                            .shape = lovasz_shape,
                            .attr_size = sizeof(gr_region_attr),
                            .branches = lovasz_branches,
                            .forward = GR_KERNELS(lovasz),
                            .vjp = {lovasz_e}};

/* ---- The losses ------------------------------------------------------------------------------------------------ */

/* The extension over errors e; y as numbers, w NULL for weights of 1. */
static gr_tensor *lovasz_extension(const gr_region_call *c, gr_tensor *e, gr_tensor *y, gr_tensor *w)
{
    gr_tensor *in[3] = {e, y, w ? gr_as_wide(c->t, w, c->x->rank, c->x->shape) : NULL}; /* NULL is refused */
    return gr_apply(c->t, &gr_op_lovasz, in, w ? 3 : 2, &c->attr);
}

/* Reads the options. Where an index says which class, it must name one, and probabilities must be some. */
static gr_status begin_lovasz(gr_region_call *c, gr_tape *t, const char *who, gr_tensor *x, gr_tensor *y,
                              const gr_region_options *o)
{
    if (gr_region_options_of(c, t, who, x, y, o) || gr_expect_constant(who, t, y, 1) ||
        gr_expect_region_classes(who, &c->attr, x, y))
        return gr_last_status();
    return o->from_logits ? GR_OK : gr_expect_counted(who, &c->attr, x, y, o->weight);
}

/* e = max(0, 1 - x s) with s = 2y - 1 */
gr_tensor *gr_lovasz_hinge(gr_tape *t, gr_tensor *x, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    gr_region_options o = options ? *options : (gr_region_options){0};
    o.from_logits = true;
    if (o.softmax) return gr_fail(GR_ERR_OPTION, "lovasz_hinge: has no softmax; see lovasz_softmax"), NULL;
    if (begin_lovasz(&c, t, "lovasz_hinge", x, y, &o)) return NULL;
    gr_tensor *target = gr_region_target(t, &c.attr, x, y), *w, *filled = NULL;
    if (gr_region_weight(t, &c.attr, x, y, o.weight, &w)) return NULL;
    if (w && !(filled = gr_sum_regions(t, &c.layout, gr_as_wide(t, w, x->rank, x->shape)))) return NULL;
    if (w) x = gr_where(t, w, x, gr_constant(t, gr_type_of(x), 0.0)); /* the relu of a NaN has a gradient */
    gr_tensor *sign = gr_shift(t, gr_scale(t, target, 2.0), -1.0);
    gr_tensor *e = gr_relu(t, gr_complement(t, gr_mul(t, x, sign)));
    return gr_region_reduce_over(&c, lovasz_extension(&c, e, target, w), filled);
}

/* e = |y - p|; a region of a class that it has no pixel of does not count */
gr_tensor *gr_lovasz_softmax(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_lovasz_softmax_options *options)
{
    gr_region_call c;
    gr_lovasz_softmax_options o = options ? *options : (gr_lovasz_softmax_options){0};
    o.base.softmax = o.base.from_logits;
    if (begin_lovasz(&c, t, "lovasz_softmax", p, y, &o.base)) return NULL;
    gr_tensor *target = gr_region_target(t, &c.attr, p, y), *w;
    if (gr_region_weight(t, &c.attr, p, y, o.base.weight, &w)) return NULL;
    gr_tensor *counted =
        o.absent_classes ? gr_as_wide(t, gr_constant(t, gr_type_of(p), 1.0), p->rank, p->shape) : target;
    gr_tensor *filled = gr_sum_regions(t, &c.layout, w ? gr_weighed(t, w, counted) : counted);
    if (!filled) return NULL;
    gr_tensor *e = o.base.softmax
                       ? GR_CALL(class_error, NULL, p, target)
                       : gr_add(t, gr_mul(t, target, gr_complement(t, p)), gr_mul(t, gr_complement(t, target), p));
    return gr_region_reduce_over(&c, lovasz_extension(&c, e, target, w), filled);
}
