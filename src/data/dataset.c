/* dataset.c: a data set of features and targets: making, splitting, standardising and encoding it. */
#include <math.h>

#include "data/internal.h"

/* ---- Names -------------------------------------------------------------------------------------------------- */

gr_names *gr_names_new(int count, const char *const texts[])
{
    size_t bytes = sizeof(gr_names) + (size_t)count * sizeof(char *);
    for (int i = 0; i < count; i++) bytes += strlen(texts[i]) + 1;
    gr_names *names = gr_allocate(bytes);
    if (!names) return NULL;
    names->count = count;
    char *to = (char *)&names->texts[count];
    for (int i = 0; i < count; i++) {
        names->texts[i] = strcpy(to, texts[i]);
        to += strlen(to) + 1;
    }
    return names;
}

const char *gr_names_get(const gr_names *names, int index)
{
    return names && index >= 0 && index < names->count ? names->texts[index] : NULL;
}

static int64_t count_names(const gr_names *names) { return names ? names->count : 0; }

/* *to becomes texts order[start], order[start + 1], ..., `count` of them, in the order of `names` where `order` is
 * NULL. False with GR_ERR_MEMORY. Without names there is nothing to do. */
static bool copy_names(gr_names **to, const gr_names *names, const int64_t *order, int64_t start, int64_t count)
{
    if (!names) return true;
    const char **texts = gr_allocate_array(count, sizeof *texts);
    if (!texts) return false;
    for (int64_t i = 0; i < count; i++) texts[i] = gr_names_get(names, (int)(order ? order[start + i] : start + i));
    *to = gr_names_new((int)count, texts);
    gr_release(texts);
    return *to != NULL;
}

/* ---- Making and looking ------------------------------------------------------------------------------------- */

static gr_status check_pair(const gr_tensor *x, const gr_tensor *y)
{
    if (!x || !y) return gr_fail_null("dataset_new", x ? "y" : "x");
    const gr_tensor *not_yours = gr_not_yours(x) ? x : y;
    if (gr_not_yours(not_yours))
        return gr_fail(GR_ERR_STATE, "dataset_new: %s is %s: give a gr_copy() of it", not_yours == x ? "x" : "y",
                       gr_not_yours(not_yours));
    if (x->rank == 0 || y->rank == 0 || x->shape[0] != y->shape[0] || x->shape[0] == 0)
        return gr_fail(GR_ERR_SHAPE, "dataset_new: x is %s and y %s: expected as many rows in both, and one at least",
                       GR_SHAPE_TEXT(x), GR_SHAPE_TEXT(y));
    return GR_OK;
}

/* 1 + the greatest index of an I32 y; 0 for other dtypes. */
static int classes_of_targets(const gr_tensor *y)
{
    int32_t greatest = -1;
    const int32_t *index = y->dtype == GR_I32 ? y->data : NULL;
    for (int64_t i = 0; index && i < y->size; i++)
        if (index[i] > greatest) greatest = index[i];
    return greatest == INT32_MAX ? greatest : greatest + 1;
}

gr_dataset *gr_dataset_new(gr_tensor *x, gr_tensor *y)
{
    gr_dataset *set = check_pair(x, y) ? NULL : gr_allocate(sizeof *set);
    if (set) {
        *set = (gr_dataset){.x = x, .y = y, .n_classes = classes_of_targets(y)};
        x->owner = y->owner = GR_DATASET;
        return set;
    }
    if (y && y != x && !gr_not_yours(y)) gr_tensor_free(y);
    if (x && !gr_not_yours(x)) gr_tensor_free(x);
    return NULL;
}

void gr_dataset_free(gr_dataset *set)
{
    if (!set) return;
    gr_destroy(set->x);
    if (set->y != set->x) gr_destroy(set->y);
    gr_release(set->classes);
    gr_release(set->features);
    gr_release(set->samples);
    gr_release(set);
}

int64_t gr_dataset_size(const gr_dataset *set) { return set ? set->x->shape[0] : 0; }

gr_tensor *gr_dataset_x(const gr_dataset *set) { return set ? set->x : NULL; }

gr_tensor *gr_dataset_y(const gr_dataset *set) { return set ? set->y : NULL; }

int gr_dataset_classes(const gr_dataset *set) { return set ? set->n_classes : 0; }

int gr_dataset_empty_classes(const gr_dataset *set)
{
    const int n = gr_dataset_classes(set);
    if (n == 0 || set->y->dtype != GR_I32) return 0;
    bool *seen = gr_allocate((size_t)n);
    if (!seen) return -1;
    memset(seen, 0, (size_t)n);
    const int32_t *index = set->y->data;
    int empty = n;
    for (int64_t i = 0; i < set->y->size; i++) {
        if (index[i] < 0 || index[i] >= n || seen[index[i]]) continue;
        seen[index[i]] = true;
        empty--;
    }
    gr_release(seen);
    return empty;
}

const char *gr_dataset_class_name(const gr_dataset *set, int index)
{
    return set ? gr_names_get(set->classes, index) : NULL;
}

const char *gr_dataset_feature_name(const gr_dataset *set, int index)
{
    return set ? gr_names_get(set->features, index) : NULL;
}

const char *gr_dataset_sample_name(const gr_dataset *set, int64_t index)
{
    return set && index >= 0 && index < gr_dataset_size(set) ? gr_names_get(set->samples, (int)index) : NULL;
}

/* ---- Rows, and sets of some of them ------------------------------------------------------------------------- */

void gr_copy_rows(gr_tensor *to, const gr_tensor *from, const int64_t *order, int64_t start)
{
    gr_touch(to);
    size_t row = gr_bytes(from) / (size_t)from->shape[0];
    if (!order) {
        memcpy(to->data, (const char *)from->data + (size_t)start * row, gr_bytes(to));
        return;
    }
    char *p = to->data;
    for (int64_t i = 0; i < to->shape[0]; i++, p += row)
        memcpy(p, (const char *)from->data + (size_t)order[start + i] * row, row);
}

gr_tensor *gr_new_rows(const char *who, const gr_tensor *like, int64_t count)
{
    int64_t shape[GR_MAX_RANK];
    memcpy(shape, like->shape, sizeof shape);
    shape[0] = count;
    return gr_new(who, gr_type_of(like), like->rank, shape);
}

static gr_tensor *some_rows(const gr_tensor *from, const int64_t *order, int64_t start, int64_t count)
{
    gr_tensor *rows = gr_new_rows("dataset_split", from, count);
    if (rows) gr_copy_rows(rows, from, order, start);
    return rows;
}

/* The rows order[start], order[start + 1], ..., `count` of them; NULL with GR_ERR_MEMORY. */
static gr_dataset *subset(const gr_dataset *set, const int64_t *order, int64_t start, int64_t count)
{
    gr_tensor *x = some_rows(set->x, order, start, count), *y = x ? some_rows(set->y, order, start, count) : NULL;
    if (!y) return gr_tensor_free(x), NULL;
    gr_dataset *part = gr_dataset_new(x, y);
    if (!part) return NULL;
    part->n_classes = set->n_classes;
    if (copy_names(&part->classes, set->classes, NULL, 0, count_names(set->classes)) &&
        copy_names(&part->features, set->features, NULL, 0, count_names(set->features)) &&
        copy_names(&part->samples, set->samples, order, start, count))
        return part;
    gr_dataset_free(part);
    return NULL;
}

/* The first k rows and the others, in an order drawn from `rng` if there is one. On failure neither is made and `rng`
 * stays as it was. */
static gr_status split_at(const gr_dataset *set, int64_t k, gr_rng *rng, gr_dataset **first, gr_dataset **second)
{
    int64_t n = gr_dataset_size(set), *order = rng ? gr_allocate_array(n, sizeof *order) : NULL;
    if (rng && !order) return GR_ERR_MEMORY;
    gr_rng drawn = rng ? *rng : (gr_rng){{0}};
    if (rng) gr_rng_permutation(&drawn, n, order);
    gr_dataset *a = subset(set, order, 0, k), *b = a ? subset(set, order, k, n - k) : NULL;
    gr_release(order);
    if (!b) {
        gr_dataset_free(a);
        return GR_ERR_MEMORY;
    }
    if (rng) *rng = drawn;
    *first = a;
    *second = b;
    return GR_OK;
}

gr_status gr_dataset_split(const gr_dataset *set, double share, gr_rng *rng, gr_dataset **first, gr_dataset **second)
{
    if (!first || !second)
        return gr_fail(GR_ERR_NULL, "dataset_split: no place for the %s set", first ? "second" : "first");
    *first = *second = NULL;
    if (!set) return gr_fail_null("dataset_split", "set");
    if (!(share > 0.0 && share < 1.0))
        return gr_fail(GR_ERR_OPTION, "dataset_split: a share of %s: expected one between 0 and 1",
                       GR_NUMBER_TEXT(share));
    int64_t n = gr_dataset_size(set), k = (int64_t)floor(share * (double)n + 0.5);
    if (k < 1 || k >= n)
        return gr_fail(GR_ERR_OPTION, "dataset_split: a share of %s of %lld rows leaves a set without any",
                       GR_NUMBER_TEXT(share), (long long)n);
    return split_at(set, k, rng, first, second);
}

/* ---- Standardising ------------------------------------------------------------------------------------------ */

/* Of one feature. */
typedef struct feature_moments {
    double mean, deviation;
} feature_moments;

/* mean_j = x_0j + sum_i (x_ij - x_0j) / n and deviation_j = sqrt(sum_i (x_ij - mean_j)^2 / n) of x [n,features]. The
 * first row is subtracted so that the differences of a constant feature are exactly 0. */
static void measure(const gr_tensor *x, int64_t n, int64_t features, feature_moments *m)
{
    for (int64_t j = 0; j < features; j++) m[j] = (feature_moments){0.0, 0.0};
    for (int64_t i = 0, k = 0; i < n; i++)
        for (int64_t j = 0; j < features; j++, k++) m[j].mean += gr_element(x, k) - gr_element(x, j);
    for (int64_t j = 0; j < features; j++) m[j].mean = gr_element(x, j) + m[j].mean / (double)n;
    for (int64_t i = 0, k = 0; i < n; i++)
        for (int64_t j = 0; j < features; j++, k++) {
            double d = gr_element(x, k) - m[j].mean;
            m[j].deviation += d * d;
        }
    for (int64_t j = 0; j < features; j++) m[j].deviation = sqrt(m[j].deviation / (double)n);
}

/* x [n,features] becomes (x - mean) / deviation, or x - mean where the deviation is 0. Without `write` it only fails
 * where the dtype does not hold one of these. */
static gr_status rescale(gr_tensor *x, int64_t n, int64_t features, const feature_moments *m, bool write)
{
    if (write) gr_touch(x);
    for (int64_t i = 0, k = 0; i < n; i++)
        for (int64_t j = 0; j < features; j++, k++) {
            const double from = gr_element(x, k);
            const double z = (from - m[j].mean) / (m[j].deviation > 0.0 ? m[j].deviation : 1.0);
            if (write) gr_set_element(x, k, z);
            else if (isfinite(from) && !(isfinite(z) && gr_holds(gr_type_of(x), z)))
                return gr_fail(GR_ERR_VALUE,
                               "dataset_standardize: %s at %s lies %s deviations from the mean, which is "
                               "no number of %s",
                               GR_NUMBER_TEXT(from), gr_position_text(&(gr_text){{0}}, x, k), GR_NUMBER_TEXT(z),
                               gr_dtype_name(gr_type_of(x)));
        }
    return GR_OK;
}

static gr_status check_others(const gr_dataset *set, gr_dataset *const others[], int n_others)
{
    if (!set) return gr_fail_null("dataset_standardize", "set");
    if (n_others < 0 || (n_others > 0 && !others))
        return gr_fail(n_others < 0 ? GR_ERR_OPTION : GR_ERR_NULL, "dataset_standardize: %d others%s", n_others,
                       others ? "" : " at NULL");
    for (int i = -1; i < n_others; i++) {
        const gr_dataset *other = i < 0 ? set : others[i];
        if (!other) return gr_fail_null("dataset_standardize", "another set");
        if (!gr_is_float(gr_type_of(other->x)))
            return gr_fail(GR_ERR_DTYPE, "dataset_standardize: x is %s: expected f32 or f64",
                           gr_dtype_name(gr_type_of(other->x)));
        if (gr_features_of(other) != gr_features_of(set))
            return gr_fail(GR_ERR_SHAPE, "dataset_standardize: others[%d] has %lld features (%s), set %lld (%s)", i,
                           (long long)gr_features_of(other), GR_SHAPE_TEXT(other->x), (long long)gr_features_of(set),
                           GR_SHAPE_TEXT(set->x));
        for (int j = -1; j < i; j++)
            if (other == (j < 0 ? set : others[j]))
                return gr_fail(GR_ERR_OPTION, "dataset_standardize: others[%d] is there twice", i);
    }
    return GR_OK;
}

gr_status gr_dataset_standardize(gr_dataset *set, gr_dataset *const others[], int n_others)
{
    gr_status status = check_others(set, others, n_others);
    if (status) return status;
    int64_t features = gr_features_of(set);
    feature_moments *m = gr_allocate_array(features, sizeof *m);
    if (!m) return GR_ERR_MEMORY;
    measure(set->x, gr_dataset_size(set), features, m);
    for (int64_t j = 0; j < features && !status; j++)
        if (!isfinite(m[j].mean) || !isfinite(m[j].deviation))
            status = gr_fail(GR_ERR_VALUE,
                             "dataset_standardize: feature %lld has the mean %s and the deviation %s: "
                             "is a value of it not finite?",
                             (long long)j, GR_NUMBER_TEXT(m[j].mean), GR_NUMBER_TEXT(m[j].deviation));
    for (int pass = 0; pass < 2; pass++)
        for (int i = -1; i < n_others && !status; i++) {
            const gr_dataset *s = i < 0 ? set : others[i];
            status = rescale(s->x, gr_dataset_size(s), features, m, pass == 1);
        }
    gr_release(m);
    return status;
}

/* ---- Encoding ----------------------------------------------------------------------------------------------- */

gr_tensor *gr_one_hot(gr_dtype dtype, const gr_tensor *index, int64_t classes)
{
    if (!index) return gr_fail_null("one_hot", "index"), NULL;
    if (index->dtype != GR_I32)
        return gr_fail(GR_ERR_DTYPE, "one_hot: index is %s: expected i32", gr_dtype_name(gr_type_of(index))), NULL;
    if (index->rank == GR_MAX_RANK)
        return gr_fail(GR_ERR_SHAPE, "one_hot: %s has no room for another axis", GR_SHAPE_TEXT(index)), NULL;
    int64_t shape[GR_MAX_RANK];
    memcpy(shape, index->shape, sizeof shape);
    shape[index->rank] = classes;
    gr_tensor *hot = gr_zeros(dtype, index->rank + 1, shape);
    for (int64_t i = 0; hot && i < index->size; i++) {
        int32_t c = ((const int32_t *)index->data)[i];
        if (c >= 0 && c < classes && !gr_set(hot, i * classes + c, 1.0)) continue;
        gr_fail(GR_ERR_INDEX, "one_hot: class %d at %s is outside 0..%lld", (int)c,
                gr_position_text(&(gr_text){{0}}, index, i), (long long)classes - 1);
        gr_tensor_free(hot);
        return NULL;
    }
    return hot;
}
