/* params.c: the set of named parameters that optimizers, clipping, saving and printing share. */
#include "optim/internal.h"

gr_params *gr_params_new(void)
{
    gr_params *params = gr_allocate(sizeof *params);
    if (params) *params = (gr_params){0};
    return params;
}

void gr_params_free(gr_params *params)
{
    if (!params) return;
    for (int i = 0; i < params->n; i++) gr_tensor_free(params->tensors[i]);
    for (int i = 0; i < params->n_buffers; i++) gr_tensor_free(params->buffers[i]);
    gr_release(params->tensors);
    gr_release(params->buffers);
    gr_release(params);
}

/* ---- Adding ------------------------------------------------------------------------------------------------- */

static gr_tensor *find(const gr_params *params, const char *name)
{
    for (int i = 0; i < params->n; i++)
        if (strcmp(gr_name(params->tensors[i]), name) == 0) return params->tensors[i];
    for (int i = 0; i < params->n_buffers; i++)
        if (strcmp(gr_name(params->buffers[i]), name) == 0) return params->buffers[i];
    return NULL;
}

static bool holds(const gr_params *params, const gr_tensor *w)
{
    for (int i = 0; i < params->n; i++)
        if (params->tensors[i] == w) return true;
    for (int i = 0; i < params->n_buffers; i++)
        if (params->buffers[i] == w) return true;
    return false;
}

static gr_status check_new(const char *who, const gr_params *params, const char *name)
{
    if (!params || !name) return gr_fail_null(who, params ? "name" : "the set");
    if (!*name) return gr_fail(GR_ERR_OPTION, "%s: the name is empty", who);
    const gr_tensor *other = find(params, name);
    if (other)
        return gr_fail(GR_ERR_OPTION, "%s: the set has a %s %s already", who,
                       other->requires_grad ? "parameter" : "buffer", name);
    return GR_OK;
}

/* A tensor that the set may take, or free when it cannot. */
static bool is_free(const char *who, const gr_params *params, const gr_tensor *w)
{
    if (!w) return gr_fail_null(who, "tensor"), false;
    if (gr_not_yours(w))
        return gr_fail(GR_ERR_STATE, "%s: this %s is %s, not yours", who, GR_SHAPE_TEXT(w), gr_not_yours(w)), false;
    if (params && holds(params, w))
        return gr_fail(GR_ERR_STATE, "%s: this tensor is in the set already, as %s", who, gr_name(w)), false;
    return true;
}

static gr_status make_room(gr_tensor ***tensors, int n, int *capacity)
{
    if (n < *capacity) return GR_OK;
    int larger = *capacity ? 2 * *capacity : 8;
    gr_tensor **moved = gr_allocate((size_t)larger * sizeof *moved);
    if (!moved) return GR_ERR_MEMORY;
    if (n) memcpy(moved, *tensors, (size_t)n * sizeof *moved);
    gr_release(*tensors);
    *tensors = moved;
    *capacity = larger;
    return GR_OK;
}

gr_tensor *gr_params_add(gr_params *params, const char *name, gr_tensor *w)
{
    const char who[] = "params_add";
    if (!is_free(who, params, w)) return NULL;
    gr_status status = check_new(who, params, name);
    if (!status && !gr_is_float((gr_dtype)w->dtype))
        status =
            gr_fail(GR_ERR_DTYPE, "params_add: %s is %s, expected f32 or f64", name, gr_dtype_name((gr_dtype)w->dtype));
    if (status || make_room(&params->tensors, params->n, &params->capacity) || gr_set_name(w, name) ||
        gr_require_grad(w)) {
        gr_tensor_free(w);
        return NULL;
    }
    return params->tensors[params->n++] = w;
}

gr_tensor *gr_params_add_buffer(gr_params *params, const char *name, gr_tensor *w)
{
    const char who[] = "params_add_buffer";
    if (!is_free(who, params, w)) return NULL;
    gr_status status = check_new(who, params, name);
    if (!status && gr_requires_grad(w))
        status = gr_fail(GR_ERR_STATE, "params_add_buffer: %s requires a gradient: a buffer is not trained", name);
    if (status || make_room(&params->buffers, params->n_buffers, &params->buffer_capacity) || gr_set_name(w, name)) {
        gr_tensor_free(w);
        return NULL;
    }
    return params->buffers[params->n_buffers++] = w;
}

/* ---- Looking ------------------------------------------------------------------------------------------------ */

int gr_params_count(const gr_params *params)
{
    return params ? params->n : 0;
}

int64_t gr_params_elements(const gr_params *params)
{
    int64_t elements = 0;
    for (int i = 0; i < gr_params_count(params); i++) elements += params->tensors[i]->size;
    return elements;
}

gr_tensor *gr_params_at(const gr_params *params, int position)
{
    return position >= 0 && position < gr_params_count(params) ? params->tensors[position] : NULL;
}

int gr_params_buffer_count(const gr_params *params)
{
    return params ? params->n_buffers : 0;
}

gr_tensor *gr_params_buffer_at(const gr_params *params, int position)
{
    return position >= 0 && position < gr_params_buffer_count(params) ? params->buffers[position] : NULL;
}

gr_tensor *gr_params_get(const gr_params *params, const char *name)
{
    if (!params || !name) return gr_fail_null("params_get", params ? "name" : "the set"), NULL;
    gr_tensor *w = find(params, name);
    if (!w) gr_fail(GR_ERR_INDEX, "params_get: no parameter is called %s", name);
    return w;
}

void gr_params_fprint(FILE *file, const gr_params *params)
{
    static const char total[] = "total";
    int name_width = (int)sizeof total - 1, shape_width = 0;
    for (int i = 0; i < gr_params_count(params); i++) {
        const gr_tensor *w = params->tensors[i];
        int name = (int)strlen(gr_name(w)), shape = (int)strlen(GR_SHAPE_TEXT(w));
        if (name > name_width) name_width = name;
        if (shape > shape_width) shape_width = shape;
    }
    long long elements = (long long)gr_params_elements(params);
    int width = snprintf(NULL, 0, "%lld", elements);
    for (int i = 0; i < gr_params_count(params); i++) {
        const gr_tensor *w = params->tensors[i];
        fprintf(file, "%-*s  %s  %-*s  %*lld\n", name_width, gr_name(w), gr_dtype_name((gr_dtype)w->dtype), shape_width,
                GR_SHAPE_TEXT(w), width, (long long)w->size);
    }
    fprintf(file, "%-*s  %*s  %-*s  %*lld\n", name_width, total, 3, "", shape_width, "", width, elements);
}

/* ---- All of them -------------------------------------------------------------------------------------------- */

gr_params *gr_params_copy_as(gr_dtype dtype, const gr_params *params)
{
    if (!params) return gr_fail_null("params_copy_as", "the set"), NULL;
    if (!gr_is_float(dtype)) {
        gr_fail(GR_ERR_DTYPE, "params_copy_as: parameters are f32 or f64, not %s", gr_dtype_name(dtype));
        return NULL;
    }
    gr_params *copy = gr_params_new();
    for (int i = 0; copy && i < params->n; i++) {
        gr_tensor *w = gr_copy_as(dtype, params->tensors[i]);
        if (w && gr_params_add(copy, gr_name(params->tensors[i]), w)) continue;
        gr_params_free(copy);
        copy = NULL;
    }
    for (int i = 0; copy && i < params->n_buffers; i++) {
        const gr_tensor *b = params->buffers[i];
        gr_tensor *w = gr_copy_as(gr_is_float((gr_dtype)b->dtype) ? dtype : (gr_dtype)b->dtype, b);
        if (w && gr_params_add_buffer(copy, gr_name(b), w)) continue;
        gr_params_free(copy);
        copy = NULL;
    }
    return copy;
}

void gr_params_zero_grad(gr_params *params)
{
    for (int i = 0; i < gr_params_count(params); i++) gr_zero_grad(params->tensors[i]);
}
