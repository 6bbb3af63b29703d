/* tensor.c: what a tensor is, how it is made, looked at, changed and freed. */
#include <math.h>

#include "tensor/internal.h"

static const char *const names_of_dtypes[] = {[GR_F32] = "f32", [GR_F64] = "f64", [GR_I32] = "i32"};
_Static_assert(GR_COUNT(names_of_dtypes) == GR_N_DTYPES, "each dtype has a name");

const char *gr_dtype_name(gr_dtype dtype)
{
    return (int)dtype >= 0 && dtype < GR_N_DTYPES ? names_of_dtypes[dtype] : "no dtype";
}

int gr_axis(int rank, int axis)
{
    if (axis < 0) axis += rank;
    return axis >= 0 && axis < rank ? axis : -1;
}

gr_status gr_fail_value(const char *who, gr_dtype dtype, double value, const char *where)
{
    static const char *const advice[] = {
        [GR_F32] = "f32, which holds numbers up to 3.4028235e38: use f64",
        [GR_F64] = "f64",
        [GR_I32] = "i32, which holds whole numbers from -2^31 to 2^31 - 1: round it, or use f32 or f64"};
    return gr_fail(GR_ERR_VALUE, "%s: %s%s%s is no value of %s", who, GR_NUMBER_TEXT(value), where ? " at " : "",
                   where ? where : "", advice[dtype]);
}

gr_status gr_expect_usable(const char *who, const char *what, gr_dtype dtype, double x)
{
    if (!isfinite(x))
        return gr_fail(GR_ERR_OPTION, "%s: %s is %s, expected a finite number", who, what, GR_NUMBER_TEXT(x));
    if (dtype != GR_F32 || (gr_holds(GR_F32, x) && (x == 0.0 || (float)x != 0.0f))) return GR_OK;
    return gr_fail(GR_ERR_OPTION, "%s: %s is %s, which f32 rounds to %s: use f64, or a number of f32", who, what,
                   GR_NUMBER_TEXT(x), gr_holds(GR_F32, x) ? "0" : "an infinity");
}

/* ---- Making ------------------------------------------------------------------------------------------------- */

int64_t gr_checked_size(const char *who, gr_dtype dtype, int rank, const int64_t shape[])
{
    const int64_t most = (int64_t)1 << 43; /* elements: more than any memory holds, and their bytes still fit int64_t */
    if ((int)dtype < 0 || dtype >= GR_N_DTYPES)
        return gr_fail(GR_ERR_DTYPE, "%s: no such dtype: %d", who, (int)dtype), -1;
    if (rank < 0 || rank > GR_MAX_RANK)
        return gr_fail(GR_ERR_SHAPE, "%s: rank %d is outside 0..%d", who, rank, GR_MAX_RANK), -1;
    if (rank && !shape) return gr_fail(GR_ERR_NULL, "%s: shape is NULL for rank %d", who, rank), -1;
    int64_t size = 1;
    bool empty = false, large = false;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0)
            return gr_fail(GR_ERR_SHAPE, "%s: dimension %d of %s is negative", who, i,
                           gr_shape_text(&(gr_text){{0}}, rank, shape)),
                   -1;
        empty |= shape[i] == 0;
        large |= shape[i] > most || (shape[i] && __builtin_mul_overflow(size, shape[i], &size)) || size > most;
        if (large) size = 1;
    }
    if (large)
        return gr_fail(GR_ERR_SHAPE, "%s: %s has too many elements", who, gr_shape_text(&(gr_text){{0}}, rank, shape)),
               -1;
    return empty ? 0 : size;
}

/* A tensor with nothing but its type. NULL with GR_ERR_MEMORY. */
static gr_tensor *new_header(gr_dtype dtype, int rank, const int64_t shape[], int64_t size)
{
    gr_tensor *t = gr_allocate(sizeof *t);
    if (!t) return NULL;
    memset(t, 0, offsetof(gr_tensor, small));
    gr_tensor_set_type(t, dtype, rank, shape, size);
    return t;
}

gr_tensor *gr_new(const char *who, gr_dtype dtype, int rank, const int64_t shape[])
{
    int64_t size = gr_checked_size(who, dtype, rank, shape);
    gr_tensor *t = size < 0 ? NULL : new_header(dtype, rank, shape, size);
    if (!t) return NULL;
    if (gr_bytes(t) <= sizeof t->small) {
        t->data = t->small;
        return t;
    }
    t->block = gr_block_new(gr_bytes(t));
    if (!t->block) return gr_release(t), NULL;
    t->data = gr_block_data(t->block);
    return t;
}

void gr_destroy(gr_tensor *t)
{
    if (!t) return;
    gr_destroy(t->grad);
    gr_block_free(t->block);
    gr_release(t->name);
    gr_release(t);
}

void gr_tensor_free(gr_tensor *t)
{
    if (!t) return;
    if (gr_not_yours(t))
        gr_fail(GR_ERR_STATE, "gr_tensor_free: this %s is %s, which frees it", GR_SHAPE_TEXT(t), gr_not_yours(t));
    else gr_destroy(t);
}

/* Fills t with start, start + step, ...; NULL for NULL, and with t freed where t cannot hold one of them. */
static gr_tensor *filled(const char *who, gr_tensor *t, double start, double step)
{
    for (int64_t i = 0; t && i < t->size; i++) {
        double value = step != 0.0 ? start + (double)i * step : start;
        if (gr_set_element(t, i, value)) continue;
        gr_fail_value(who, gr_type_of(t), value, NULL);
        gr_tensor_free(t);
        return NULL;
    }
    return t;
}

gr_tensor *gr_zeros(gr_dtype dtype, int rank, const int64_t shape[])
{
    gr_tensor *t = gr_new("zeros", dtype, rank, shape);
    if (t) memset(t->data, 0, gr_bytes(t));
    return t;
}

gr_tensor *gr_ones(gr_dtype dtype, int rank, const int64_t shape[])
{
    return filled("ones", gr_new("ones", dtype, rank, shape), 1.0, 0.0);
}

gr_tensor *gr_full(gr_dtype dtype, int rank, const int64_t shape[], double value)
{
    return filled("full", gr_new("full", dtype, rank, shape), value, 0.0);
}

gr_tensor *gr_scalar(gr_dtype dtype, double value)
{
    return filled("scalar", gr_new("scalar", dtype, GR_SCALAR), value, 0.0);
}

gr_tensor *gr_from(gr_dtype dtype, int rank, const int64_t shape[], const void *data)
{
    gr_tensor *t = gr_new("from", dtype, rank, shape);
    if (t && t->size && !data) {
        gr_fail(GR_ERR_NULL, "from: data is NULL for %s", GR_SHAPE_TEXT(t));
        gr_tensor_free(t);
        return NULL;
    }
    if (t && t->size) memcpy(t->data, data, gr_bytes(t));
    return t;
}

gr_tensor *gr_arange(gr_dtype dtype, double start, double stop, double step)
{
    double steps = (stop - start) / step, count = ceil(steps);
    if (!(isfinite(start) && isfinite(stop) && isfinite(step) && step != 0.0 && steps >= 0.0 && count < 0x1p46)) {
        gr_fail(GR_ERR_VALUE, "arange: no steps of %s lead from %s to %s", GR_NUMBER_TEXT(step), GR_NUMBER_TEXT(start),
                GR_NUMBER_TEXT(stop));
        return NULL;
    }
    return filled("arange", gr_new("arange", dtype, GR_SHAPE((int64_t)count)), start, step);
}

/* ---- Random initial values ---------------------------------------------------------------------------------- */

/* Elements offset + scale * draw(rng). Where the dtype does not hold one, NULL, and rng is as it was. */
static gr_tensor *drawn(const char *who, gr_dtype dtype, int rank, const int64_t shape[], gr_distribution draw,
                        double offset, double scale, gr_rng *rng)
{
    if (!rng) return gr_fail_null(who, "rng"), NULL;
    if (dtype == GR_I32) return gr_fail(GR_ERR_DTYPE, "%s: draws are f32 or f64, not i32", who), NULL;
    gr_tensor *t = gr_new(who, dtype, rank, shape);
    const gr_rng before = *rng;
    for (int64_t i = 0; t && i < t->size; i++) {
        const double value = gr_rng_scaled(rng, draw, offset, scale);
        if (gr_set_element(t, i, value)) continue;
        gr_fail_value(who, dtype, value, NULL);
        gr_tensor_free(t);
        t = NULL;
        *rng = before;
    }
    return t;
}

/* Uniform on [lo, hi): a draw that was rounded up to hi becomes the number below hi. */
static gr_tensor *uniform(const char *who, gr_dtype dtype, int rank, const int64_t shape[], double lo, double hi,
                          gr_rng *rng)
{
    if (dtype == GR_F32 && (gr_expect_held(who, dtype, lo) || gr_expect_held(who, dtype, hi))) return NULL;
    gr_tensor *t = drawn(who, dtype, rank, shape, gr_rng_uniform, lo, hi - lo, rng);
    const double top = dtype == GR_F32 ? (double)(float)hi : hi;
    const double below = dtype == GR_F32 ? (double)nextafterf((float)hi, (float)lo) : nextafter(hi, lo);
    for (int64_t i = 0; t && i < t->size; i++)
        if (gr_element(t, i) >= top) gr_set_element(t, i, below);
    return t;
}

gr_tensor *gr_uniform(gr_dtype dtype, int rank, const int64_t shape[], double lo, double hi, gr_rng *rng)
{
    if (!(lo <= hi && isfinite(hi - lo)))
        return gr_fail(GR_ERR_VALUE, "uniform: no numbers to draw from %s up to %s", GR_NUMBER_TEXT(lo),
                       GR_NUMBER_TEXT(hi)),
               NULL;
    return uniform("uniform", dtype, rank, shape, lo, hi, rng);
}

gr_tensor *gr_normal(gr_dtype dtype, int rank, const int64_t shape[], double mean, double std, gr_rng *rng)
{
    if (!(isfinite(mean) && isfinite(std) && std >= 0.0))
        return gr_fail(GR_ERR_VALUE, "normal: no normal distribution has mean %s and deviation %s",
                       GR_NUMBER_TEXT(mean), GR_NUMBER_TEXT(std)),
               NULL;
    return drawn("normal", dtype, rank, shape, gr_rng_normal, mean, std, rng);
}

/* fan_in and fan_out of a matrix [in,out] or a kernel [out,in,k...]; false with an error for any other shape. */
static bool fans(const char *who, int rank, const int64_t shape[], double *in, double *out)
{
    if (gr_checked_size(who, GR_F32, rank, shape) < 0) return false;
    double field = 1.0;
    for (int i = 2; i < rank; i++) field *= (double)shape[i];
    if (rank < 2 || shape[0] == 0 || shape[1] == 0 || field == 0.0) {
        gr_fail(GR_ERR_SHAPE, "%s: %s has no fan: expected [in,out] or [out,in,k...] without a 0", who,
                gr_shape_text(&(gr_text){{0}}, rank, shape));
        return false;
    }
    bool matrix = rank == 2;
    *in = (double)shape[matrix ? 0 : 1] * field;
    *out = (double)shape[matrix ? 1 : 0] * field;
    return true;
}

/* The standard deviation is sqrt(2 / (fan_in + fan_out)) (Xavier) or sqrt(2 / fan_in) (Kaiming). That of a uniform
 * distribution on [-bound, bound) is bound / sqrt(3). */
static gr_tensor *fan_scaled(const char *who, gr_dtype dtype, int rank, const int64_t shape[], bool xavier,
                             bool is_normal, gr_rng *rng)
{
    double in, out;
    if (!fans(who, rank, shape, &in, &out)) return NULL;
    double std = sqrt(2.0 / (xavier ? in + out : in)), bound = sqrt(3.0) * std;
    return is_normal ? drawn(who, dtype, rank, shape, gr_rng_normal, 0.0, std, rng)
                     : uniform(who, dtype, rank, shape, -bound, bound, rng);
}

gr_tensor *gr_xavier_uniform(gr_dtype dtype, int rank, const int64_t shape[], gr_rng *rng)
{
    return fan_scaled("xavier_uniform", dtype, rank, shape, true, false, rng);
}

gr_tensor *gr_xavier_normal(gr_dtype dtype, int rank, const int64_t shape[], gr_rng *rng)
{
    return fan_scaled("xavier_normal", dtype, rank, shape, true, true, rng);
}

gr_tensor *gr_kaiming_uniform(gr_dtype dtype, int rank, const int64_t shape[], gr_rng *rng)
{
    return fan_scaled("kaiming_uniform", dtype, rank, shape, false, false, rng);
}

gr_tensor *gr_kaiming_normal(gr_dtype dtype, int rank, const int64_t shape[], gr_rng *rng)
{
    return fan_scaled("kaiming_normal", dtype, rank, shape, false, true, rng);
}

/* ---- Looking and changing ----------------------------------------------------------------------------------- */

gr_dtype gr_dtype_of(const gr_tensor *t) { return t ? gr_type_of(t) : GR_F32; }

int gr_rank(const gr_tensor *t) { return t ? t->rank : 0; }

const int64_t *gr_shape(const gr_tensor *t) { return t ? t->shape : NULL; }

int64_t gr_dim(const gr_tensor *t, int axis)
{
    int i = t ? gr_axis(t->rank, axis) : -1;
    return i < 0 ? -1 : t->shape[i];
}

int64_t gr_size(const gr_tensor *t) { return t ? t->size : 0; }

const char *gr_name(const gr_tensor *t) { return t && t->name ? t->name : ""; }

gr_status gr_set_name(gr_tensor *t, const char *name)
{
    if (!t || !name) return gr_fail_null("set_name", t ? "name" : "tensor");
    if (t->deleted) return gr_fail_gone("set_name", "this", t);
    if (t->owner == GR_PARAMS)
        return gr_fail(GR_ERR_STATE, "set_name: %s is %s, which finds and saves it by this name", gr_name(t),
                       gr_not_yours(t));
    char *copy = gr_allocate(strlen(name) + 1);
    if (!copy) return GR_ERR_MEMORY;
    memcpy(copy, name, strlen(name) + 1);
    gr_release(t->name);
    t->name = copy;
    return GR_OK;
}

const char *gr_fate_text(gr_text *text, const gr_tensor *t)
{
    if (t->deleted) snprintf(text->s, sizeof text->s, "a result of %s, and its tape has deleted it since", t->small);
    else if (t->given) snprintf(text->s, sizeof text->s, "given up with gr_give()");
    else
        snprintf(text->s, sizeof text->s,
                 "given back by backward: read it before, keep it with gr_keep(), or run backward with GR_RETAIN");
    return text->s;
}

gr_status gr_fail_gone(const char *who, const char *what, const gr_tensor *t)
{
    assert(gr_is_gone(t));
    return gr_fail(GR_ERR_STATE, "%s: %s %s was %s", who, what, GR_SHAPE_TEXT(t), gr_fate_text(&(gr_text){{0}}, t));
}

/* Whether t is a tensor with values; else an error. */
static bool readable(const char *who, const gr_tensor *t)
{
    if (!t) return gr_fail_null(who, "tensor"), false;
    if (!gr_is_gone(t)) return true;
    gr_fail_gone(who, "this", t);
    return false;
}

static const void *elements(const char *who, const gr_tensor *t, gr_dtype dtype)
{
    if (!readable(who, t)) return NULL;
    if (t->dtype == dtype) return t->data;
    gr_fail(GR_ERR_DTYPE, "%s: the tensor is %s", who, names_of_dtypes[t->dtype]);
    return NULL;
}

const float *gr_read_f32(const gr_tensor *t) { return elements("read_f32", t, GR_F32); }

const double *gr_read_f64(const gr_tensor *t) { return elements("read_f64", t, GR_F64); }

const int32_t *gr_read_i32(const gr_tensor *t) { return elements("read_i32", t, GR_I32); }

/* The elements, and a change counted; NULL as elements(). */
static void *changing(const char *who, gr_tensor *t, gr_dtype dtype)
{
    if (!elements(who, t, dtype)) return NULL;
    gr_touch(t);
    return t->data;
}

float *gr_f32(gr_tensor *t) { return changing("f32", t, GR_F32); }

double *gr_f64(gr_tensor *t) { return changing("f64", t, GR_F64); }

int32_t *gr_i32(gr_tensor *t) { return changing("i32", t, GR_I32); }

double gr_get(const gr_tensor *t, int64_t position)
{
    if (!readable("get", t)) return (double)NAN;
    if (position >= 0 && position < t->size) return gr_element(t, position);
    gr_fail(GR_ERR_INDEX, "get: position %lld is outside the %lld elements of %s", (long long)position,
            (long long)t->size, GR_SHAPE_TEXT(t));
    return (double)NAN;
}

gr_status gr_set(gr_tensor *t, int64_t position, double value)
{
    if (!readable("set", t)) return gr_last_status();
    if (position < 0 || position >= t->size)
        return gr_fail(GR_ERR_INDEX, "set: position %lld is outside the %lld elements of %s", (long long)position,
                       (long long)t->size, GR_SHAPE_TEXT(t));
    if (gr_expect_held("set", gr_type_of(t), value)) return gr_last_status();
    gr_set_element(t, position, value);
    gr_touch(t);
    return GR_OK;
}

double gr_item(const gr_tensor *t)
{
    if (!readable("item", t)) return (double)NAN;
    if (t->size == 1) return gr_element(t, 0);
    gr_fail(GR_ERR_SHAPE, "item: %s has %lld elements, not one", GR_SHAPE_TEXT(t), (long long)t->size);
    return (double)NAN;
}

/* ---- Copies and views --------------------------------------------------------------------------------------- */

gr_tensor *gr_copy(const gr_tensor *t)
{
    return readable("copy", t) ? gr_from(gr_type_of(t), t->rank, t->shape, t->data) : NULL;
}

gr_tensor *gr_copy_as(gr_dtype dtype, const gr_tensor *t)
{
    if (!readable("copy_as", t)) return NULL;
    gr_tensor *copy = gr_new("copy_as", dtype, t->rank, t->shape);
    for (int64_t i = 0; copy && i < t->size; i++)
        if (!gr_set_element(copy, i, gr_element(t, i))) {
            gr_fail_value("copy_as", dtype, gr_element(t, i), gr_position_text(&(gr_text){{0}}, t, i));
            gr_tensor_free(copy);
            return NULL;
        }
    return copy;
}

gr_status gr_assign(gr_tensor *to, const gr_tensor *from)
{
    if (!readable("assign", to) || !readable("assign", from)) return gr_last_status();
    if (to->dtype != from->dtype)
        return gr_fail(GR_ERR_DTYPE, "assign: dtypes differ: %s and %s", names_of_dtypes[to->dtype],
                       names_of_dtypes[from->dtype]);
    if (!gr_same_shape(to, from))
        return gr_fail(GR_ERR_SHAPE, "assign: shapes differ: %s and %s", GR_SHAPE_TEXT(to), GR_SHAPE_TEXT(from));
    memmove(to->data, from->data, gr_bytes(to));
    gr_touch(to);
    return GR_OK;
}

/* A view of `size` elements of t, from element `offset` on. */
static gr_tensor *view_of(gr_tensor *t, int rank, const int64_t shape[], int64_t size, int64_t offset)
{
    gr_tensor *v = new_header(gr_type_of(t), rank, shape, size);
    if (!v) return NULL;
    v->base = t->base ? t->base : t;
    if (v->base->owner == GR_LEAF) v->base->has_views = true;
    v->data = (char *)t->data + (size_t)offset * gr_dtype_bytes(gr_type_of(t));
    return v;
}

/* Whether t may have views: a result of a tape may not, since its buffer goes back to the tape's pool. */
static bool viewable(const char *who, const gr_tensor *t)
{
    if (!t) return gr_fail_null(who, "tensor"), false;
    if (t->tape) return gr_fail(GR_ERR_STATE, "%s: a result of a tape: use gr_reshape() or gr_slice()", who), false;
    return true;
}

gr_tensor *gr_view(gr_tensor *t, int rank, const int64_t shape[])
{
    if (!viewable("view", t)) return NULL;
    int64_t size = gr_checked_size("view", gr_type_of(t), rank, shape);
    if (size < 0) return NULL;
    if (size != t->size) {
        gr_fail(GR_ERR_SHAPE, "view: %s has not as many elements as %s", gr_shape_text(&(gr_text){{0}}, rank, shape),
                GR_SHAPE_TEXT(t));
        return NULL;
    }
    return view_of(t, rank, shape, size, 0);
}

gr_tensor *gr_view_rows(gr_tensor *t, int64_t start, int64_t count)
{
    if (!viewable("view_rows", t)) return NULL;
    if (t->rank == 0) return gr_fail(GR_ERR_SHAPE, "view_rows: a scalar has no rows"), NULL;
    const int64_t rows = t->shape[0], row = rows ? t->size / rows : 0;
    if (start < 0 || count < 0 || start > rows || count > rows - start) {
        gr_fail(GR_ERR_INDEX, "view_rows: %lld rows from %lld on are not all in %s", (long long)count, (long long)start,
                GR_SHAPE_TEXT(t));
        return NULL;
    }
    int64_t shape[GR_MAX_RANK];
    memcpy(shape, t->shape, sizeof shape);
    shape[0] = count;
    return view_of(t, t->rank, shape, count * row, start * row);
}
