/* params.c: the set of named parameters that optimizers, clipping, saving and printing share. */
#include "internal.h"

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
    gr_release(params->tensors);
    gr_release(params);
}

/* ---- Adding ------------------------------------------------------------------------------------------------- */

static gr_tensor *find(const gr_params *params, const char *name)
{
    for (int i = 0; i < params->n; i++)
        if (strcmp(gr_name(params->tensors[i]), name) == 0) return params->tensors[i];
    return NULL;
}

static gr_status check_new(const gr_params *params, const char *name, const gr_tensor *w)
{
    if (!params || !name) return gr_fail_null("params_add", params ? "name" : "the set");
    if (!*name) return gr_fail(GR_ERR_OPTION, "params_add: the name is empty");
    if (find(params, name)) return gr_fail(GR_ERR_OPTION, "params_add: the set has a parameter %s already", name);
    if (!gr_is_float((gr_dtype)w->dtype))
        return gr_fail(GR_ERR_DTYPE, "params_add: %s is %s, expected f32 or f64", name,
                       gr_dtype_name((gr_dtype)w->dtype));
    return GR_OK;
}

static gr_status make_room(gr_params *params)
{
    if (params->n < params->capacity) return GR_OK;
    int capacity = params->capacity ? 2 * params->capacity : 8;
    gr_tensor **tensors = gr_allocate((size_t)capacity * sizeof *tensors);
    if (!tensors) return GR_ERR_MEMORY;
    if (params->n) memcpy(tensors, params->tensors, (size_t)params->n * sizeof *tensors);
    gr_release(params->tensors);
    params->tensors = tensors;
    params->capacity = capacity;
    return GR_OK;
}

gr_tensor *gr_params_add(gr_params *params, const char *name, gr_tensor *w)
{
    if (!w) return gr_fail_null("params_add", "tensor"), NULL;
    if (w->tape)
        return gr_fail(GR_ERR_STATE, "params_add: this %s is a result of a tape, not yours", GR_SHAPE_OF(w)), NULL;
    for (int i = 0; params && i < params->n; i++)
        if (params->tensors[i] == w)
            return gr_fail(GR_ERR_STATE, "params_add: this tensor is in the set already, as %s", gr_name(w)), NULL;
    if (check_new(params, name, w) || make_room(params) || gr_set_name(w, name) || gr_require_grad(w)) {
        gr_tensor_free(w);
        return NULL;
    }
    return params->tensors[params->n++] = w;
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
        int name = (int)strlen(gr_name(w)), shape = (int)strlen(GR_SHAPE_OF(w));
        if (name > name_width) name_width = name;
        if (shape > shape_width) shape_width = shape;
    }
    long long elements = (long long)gr_params_elements(params);
    int width = snprintf(NULL, 0, "%lld", elements);
    for (int i = 0; i < gr_params_count(params); i++) {
        const gr_tensor *w = params->tensors[i];
        fprintf(file, "%-*s  %s  %-*s  %*lld\n", name_width, gr_name(w), gr_dtype_name((gr_dtype)w->dtype), shape_width,
                GR_SHAPE_OF(w), width, (long long)w->size);
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
    return copy;
}

void gr_params_zero_grad(gr_params *params)
{
    for (int i = 0; i < gr_params_count(params); i++) gr_zero_grad(params->tensors[i]);
}
