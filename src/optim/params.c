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
    for (gr_tensor_list *l = params->lists; l < params->lists + GR_N_LISTS; l++) {
        for (int64_t i = 0; i < l->n; i++) gr_destroy(l->tensors[i]);
        gr_release(l->tensors);
    }
    gr_release(params);
}

/* ---- Adding ------------------------------------------------------------------------------------------------- */

/* The tensor that has this name: parameters first, then buffers. NULL: none. */
static gr_tensor *find_in_set(const gr_params *params, const char *name)
{
    for (const gr_tensor_list *l = params->lists; l < params->lists + GR_N_LISTS; l++)
        for (int64_t i = 0; i < l->n; i++)
            if (strcmp(gr_name(l->tensors[i]), name) == 0) return l->tensors[i];
    return NULL;
}

static gr_status check_name(const char *who, const gr_params *params, const char *name)
{
    if (!params || !name) return gr_fail_null(who, params ? "name" : "the set");
    if (!*name) return gr_fail(GR_ERR_OPTION, "%s: the name is empty", who);
    const gr_tensor *other = find_in_set(params, name);
    if (other)
        return gr_fail(GR_ERR_OPTION, "%s: the set has a %s %s already", who,
                       other->requires_grad ? "parameter" : "buffer", name);
    return GR_OK;
}

/* Whether the set may take the tensor, or free it when it cannot. */
static bool is_free(const char *who, const gr_tensor *w)
{
    if (!w) return gr_fail_null(who, "tensor"), false;
    if (!gr_not_yours(w)) return true;
    gr_fail(GR_ERR_STATE, "%s: %s %s is %s, not yours: give a gr_copy() of it", who, *gr_name(w) ? gr_name(w) : "this",
            GR_SHAPE_TEXT(w), gr_not_yours(w));
    return false;
}

static gr_tensor *add_to_set(const char *who, gr_params *params, int list, const char *name, gr_tensor *w)
{
    if (!is_free(who, w)) return NULL;
    gr_status status = check_name(who, params, name);
    if (!status && list == GR_PARAMETERS && !gr_is_float(gr_type_of(w)))
        status = gr_fail(GR_ERR_DTYPE, "%s: %s is %s, expected f32 or f64", who, name, gr_dtype_name(gr_type_of(w)));
    if (!status && list == GR_BUFFERS && gr_requires_grad(w))
        status = gr_fail(GR_ERR_STATE, "%s: %s requires a gradient: a buffer is not trained", who, name);
    gr_tensor_list *l = status ? NULL : &params->lists[list];
    gr_tensor **tensors = l ? gr_grow_array(l->tensors, l->n, 1, &l->capacity, sizeof *tensors) : NULL;
    if (tensors) l->tensors = tensors;
    if (!tensors || gr_set_name(w, name) || (list == GR_PARAMETERS && gr_require_grad(w)))
        return gr_tensor_free(w), NULL;
    w->owner = GR_PARAMS;
    return tensors[l->n++] = w;
}

gr_tensor *gr_params_add(gr_params *params, const char *name, gr_tensor *w)
{
    return add_to_set("params_add", params, GR_PARAMETERS, name, w);
}

gr_tensor *gr_params_add_buffer(gr_params *params, const char *name, gr_tensor *w)
{
    return add_to_set("params_add_buffer", params, GR_BUFFERS, name, w);
}

/* ---- Looking ------------------------------------------------------------------------------------------------ */

static int count(const gr_params *params, int list) { return params ? (int)params->lists[list].n : 0; }

static gr_tensor *at(const gr_params *params, int list, int position)
{
    return position >= 0 && position < count(params, list) ? params->lists[list].tensors[position] : NULL;
}

int gr_params_count(const gr_params *params) { return count(params, GR_PARAMETERS); }

gr_tensor *gr_params_at(const gr_params *params, int position) { return at(params, GR_PARAMETERS, position); }

int gr_params_buffer_count(const gr_params *params) { return count(params, GR_BUFFERS); }

gr_tensor *gr_params_buffer_at(const gr_params *params, int position) { return at(params, GR_BUFFERS, position); }

int64_t gr_params_elements(const gr_params *params)
{
    int64_t elements = 0;
    const gr_tensor *w;
    for (int i = 0; (w = gr_params_at(params, i)); i++) elements += w->size;
    return elements;
}

gr_tensor *gr_params_get(const gr_params *params, const char *name)
{
    if (!params || !name) return gr_fail_null("params_get", params ? "name" : "the set"), NULL;
    gr_tensor *w = find_in_set(params, name);
    if (!w) gr_fail(GR_ERR_INDEX, "params_get: no parameter is called %s", name);
    return w;
}

gr_status gr_params_fprint(FILE *file, const gr_params *params)
{
    if (!file) return gr_fail_null("params_fprint", "file");
    static const char total[] = "total";
    int name_width = (int)sizeof total - 1, shape_width = 0;
    const gr_tensor *w;
    for (int i = 0; (w = gr_params_at(params, i)); i++) {
        int name = (int)strlen(gr_name(w)), shape = (int)strlen(GR_SHAPE_TEXT(w));
        if (name > name_width) name_width = name;
        if (shape > shape_width) shape_width = shape;
    }
    long long elements = (long long)gr_params_elements(params);
    int width = snprintf(NULL, 0, "%lld", elements);
    for (int i = 0; (w = gr_params_at(params, i)); i++) {
        fprintf(file, "%-*s  %s  %-*s  %*lld\n", name_width, gr_name(w), gr_dtype_name(gr_type_of(w)), shape_width,
                GR_SHAPE_TEXT(w), width, (long long)w->size);
    }
    fprintf(file, "%-*s  %*s  %-*s  %*lld\n", name_width, total, 3, "", shape_width, "", width, elements);
    return gr_file_status("params_fprint", file);
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
    for (int list = 0; list < GR_N_LISTS; list++)
        for (int i = 0; copy && i < count(params, list); i++) {
            const gr_tensor *w = at(params, list, i);
            assert(w);
            gr_tensor *copied = gr_copy_as(gr_is_float(gr_type_of(w)) ? dtype : gr_type_of(w), w);
            if (copied && add_to_set("params_copy_as", copy, list, gr_name(w), copied)) continue;
            gr_params_free(copy);
            copy = NULL;
        }
    return copy;
}

void gr_params_zero_grad(gr_params *params)
{
    for (int i = 0; i < gr_params_count(params); i++) gr_zero_grad(gr_params_at(params, i));
}
