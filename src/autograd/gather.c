/* gather.c: rows of a table by index (an embedding), and rows added up by index: each is the other's derivative.
 *
 * The table is [rows, ...], the index is I32 of any shape s, what is gathered is s + [...]. */
#include "autograd/op_kit.h"

static gr_status expect_rows_in_range(const gr_node *n, int64_t rows)
{
    const int32_t *index = n->in[1]->data;
    for (int64_t i = 0; i < n->in[1]->size; i++)
        if (index[i] < 0 || index[i] >= rows)
            return gr_fail(GR_ERR_INDEX, "%s: index %d at %s is outside the %lld rows", n->op->name, index[i],
                           gr_position_text(&(gr_text){{0}}, n->in[1], i), (long long)rows);
    return GR_OK;
}

static gr_status expect_float_by_index(const gr_node *n)
{
    gr_dtype x = gr_type_of(n->in[0]), index = gr_type_of(n->in[1]);
    if (gr_is_float(x) && index == GR_I32) return GR_OK;
    return gr_fail(GR_ERR_DTYPE, "%s: expected f32 or f64 by an index of i32: %s by %s", n->op->name, gr_dtype_name(x),
                   gr_dtype_name(index));
}

/* ---- y = table[index]:  dtable = the rows of g added up ------------------------------------------------------ */

static gr_status gather_rows_shape(const gr_node *n, gr_type *type)
{
    if (expect_float_by_index(n)) return gr_last_status();
    const gr_tensor *table = n->in[0], *index = n->in[1];
    if (table->rank < 1 || table->rank - 1 + index->rank > GR_MAX_RANK)
        return gr_fail(GR_ERR_SHAPE, "gather_rows: expected a table of rows: %s by %s", GR_SHAPE_TEXT(table),
                       GR_SHAPE_TEXT(index));
    gr_type_as(type, index);
    type->dtype = gr_type_of(table);
    for (int i = 1; i < table->rank; i++) type->shape[type->rank++] = table->shape[i];
    return GR_OK;
}

static gr_status gather_rows(gr_node *n)
{
    const gr_tensor *table = n->in[0];
    if (expect_rows_in_range(n, table->shape[0])) return gr_last_status();
    const int32_t *index = n->in[1]->data;
    size_t row = table->shape[0] ? gr_bytes(table) / (size_t)table->shape[0] : 0;
    for (int64_t i = 0; i < n->in[1]->size; i++)
        memcpy((char *)n->out->data + (size_t)i * row, (const char *)table->data + (size_t)index[i] * row, row);
    return GR_OK;
}

static gr_tensor *gather_rows_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_scatter_rows(t, g, n->in[1], n->in[0]->shape[0]);
}

const gr_op gr_op_gather_rows = {
    GR_NAMED(gather_rows, "y_i = table[index_i]", "dtable[index_i] += g_i"), .n_in = 2, .shape = gather_rows_shape,
    .forward[GR_ANY_CPU] = {[GR_F32] = gather_rows, [GR_F64] = gather_rows}, .vjp = {gather_rows_vjp}};

gr_tensor *gr_gather_rows(gr_tape *t, gr_tensor *table, gr_tensor *index)
{
    return GR_CALL(gather_rows, NULL, table, index);
}

/* ---- y[index_i] += x_i:  dx = the rows of g ------------------------------------------------------------------ */

static gr_status scatter_rows_shape(const gr_node *n, gr_type *type)
{
    if (expect_float_by_index(n)) return gr_last_status();
    const gr_tensor *x = n->in[0], *index = n->in[1];
    int64_t rows = ((const gr_rows_attr *)n->attr)->rows;
    bool fits = x->rank >= index->rank && x->rank - index->rank < GR_MAX_RANK;
    for (int i = 0; fits && i < index->rank; i++) fits = x->shape[i] == index->shape[i];
    if (!fits)
        return gr_fail(GR_ERR_SHAPE, "scatter_rows: %s does not begin with the index's shape %s", GR_SHAPE_TEXT(x),
                       GR_SHAPE_TEXT(index));
    if (rows < 0) return gr_fail(GR_ERR_OPTION, "scatter_rows: %lld rows", (long long)rows);
    type->dtype = gr_type_of(x);
    type->rank = 0;
    type->shape[type->rank++] = rows;
    for (int i = index->rank; i < x->rank; i++) type->shape[type->rank++] = x->shape[i];
    return GR_OK;
}

static gr_status scatter_rows(gr_node *n)
{
    const gr_tensor *x = n->in[0], *index = n->in[1];
    if (expect_rows_in_range(n, n->out->shape[0])) return gr_last_status();
    int64_t row = index->size ? x->size / index->size : 0;
    memset(n->out->data, 0, gr_bytes(n->out));
    for (int64_t i = 0; i < index->size; i++) {
        int64_t to = ((const int32_t *)index->data)[i] * row, from = i * row;
        if (x->dtype == GR_F32)
            for (int64_t k = 0; k < row; k++) ((float *)n->out->data)[to + k] += ((const float *)x->data)[from + k];
        else
            for (int64_t k = 0; k < row; k++) ((double *)n->out->data)[to + k] += ((const double *)x->data)[from + k];
    }
    return GR_OK;
}

static gr_tensor *scatter_rows_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_gather_rows(t, g, n->in[1]);
}

const gr_op gr_op_scatter_rows = {GR_NAMED(scatter_rows, "y[index_i] += x_i", "dx_i = g[index_i]"),
                                  .n_in = 2,
                                  .shape = scatter_rows_shape,
                                  .forward[GR_ANY_CPU] = {[GR_F32] = scatter_rows, [GR_F64] = scatter_rows},
                                  .attr_size = sizeof(gr_rows_attr),
                                  .vjp = {scatter_rows_vjp}};

gr_tensor *gr_scatter_rows(gr_tape *t, gr_tensor *x, gr_tensor *index, int64_t rows)
{
    return GR_CALL(scatter_rows, &(gr_rows_attr){rows}, x, index);
}
