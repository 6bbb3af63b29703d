/* tensor.c: what a tensor is, how it is made, looked at, changed and freed. */
#include <math.h>

#include "tensor/internal.h"

static const char *const dtype_names[GR_N_DTYPES] = {[GR_F32] = "f32", [GR_F64] = "f64", [GR_I32] = "i32"};

const char *gr_dtype_name(gr_dtype dtype)
{
    return (int)dtype >= 0 && dtype < GR_N_DTYPES ? dtype_names[dtype] : "no dtype";
}

int gr_axis(int rank, int axis)
{
    if (axis < 0) axis += rank;
    return axis >= 0 && axis < rank ? axis : -1;
}

/* ---- Making ------------------------------------------------------------------------------------------------- */

int64_t gr_checked_size(const char *who, gr_dtype dtype, int rank, const int64_t shape[])
{
    const int64_t most = (int64_t)1 << 43; /* elements; far above any memory, far below what overflows */
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

gr_tensor *gr_new(const char *who, gr_dtype dtype, int rank, const int64_t shape[])
{
    int64_t size = gr_checked_size(who, dtype, rank, shape);
    if (size < 0) return NULL;
    gr_tensor *t = gr_allocate(sizeof *t);
    if (!t) return NULL;
    memset(t, 0, offsetof(gr_tensor, small));
    gr_tensor_set_type(t, dtype, rank, shape, size);
    if (gr_bytes(t) <= sizeof t->small) {
        t->data = t->small;
        return t;
    }
    t->block = gr_block_new(gr_bytes(t));
    if (!t->block) {
        gr_release(t);
        return NULL;
    }
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

/* Writes one value of any dtype; false when an int32_t cannot hold it. */
static bool store(gr_tensor *t, int64_t i, double value)
{
    switch ((gr_dtype)t->dtype) {
    case GR_F32: ((float *)t->data)[i] = (float)value; return true;
    case GR_F64: ((double *)t->data)[i] = value; return true;
    default:
        if (!(value >= INT32_MIN && value <= INT32_MAX)) return false;
        ((int32_t *)t->data)[i] = (int32_t)value;
        return true;
    }
}

static gr_tensor *filled(const char *who, gr_dtype dtype, int rank, const int64_t shape[], double value)
{
    gr_tensor *t = gr_new(who, dtype, rank, shape);
    if (!t) return NULL;
    for (int64_t i = 0; i < t->size; i++)
        if (!store(t, i, value)) {
            gr_fail(GR_ERR_VALUE, "%s: %g is no value of i32", who, value);
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
    return filled("ones", dtype, rank, shape, 1.0);
}

gr_tensor *gr_full(gr_dtype dtype, int rank, const int64_t shape[], double value)
{
    return filled("full", dtype, rank, shape, value);
}

gr_tensor *gr_scalar(gr_dtype dtype, double value)
{
    return filled("scalar", dtype, GR_SCALAR, value);
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
        gr_fail(GR_ERR_VALUE, "arange: no steps of %g lead from %g to %g", step, start, stop);
        return NULL;
    }
    gr_tensor *t = gr_new("arange", dtype, GR_SHAPE((int64_t)count));
    for (int64_t i = 0; t && i < t->size; i++)
        if (!store(t, i, start + (double)i * step)) {
            gr_fail(GR_ERR_VALUE, "arange: %g is no value of i32", start + (double)i * step);
            gr_tensor_free(t);
            return NULL;
        }
    return t;
}

/* ---- Random initial values ---------------------------------------------------------------------------------- */

static gr_tensor *drawn(const char *who, gr_dtype dtype, int rank, const int64_t shape[], gr_distribution draw,
                        double offset, double scale, gr_rng *rng)
{
    if (!rng) return gr_fail_null(who, "rng"), NULL;
    if (dtype == GR_I32) return gr_fail(GR_ERR_DTYPE, "%s: draws are f32 or f64, not i32", who), NULL;
    gr_tensor *t = gr_new(who, dtype, rank, shape);
    if (!t) return NULL;
    for (int64_t i = 0; i < t->size; i++) store(t, i, gr_rng_scaled(rng, draw, offset, scale));
    return t;
}

/* Where a draw was rounded up to hi itself, the number before it. */
static void keep_below(gr_tensor *t, double lo, double hi)
{
    const float single = nextafterf((float)hi, (float)lo);
    for (int64_t i = 0; i < t->size; i++) {
        if (t->dtype == GR_F64 && ((double *)t->data)[i] >= hi) ((double *)t->data)[i] = nextafter(hi, lo);
        if (t->dtype == GR_F32 && ((float *)t->data)[i] >= (float)hi) ((float *)t->data)[i] = single;
    }
}

static gr_tensor *uniform(const char *who, gr_dtype dtype, int rank, const int64_t shape[], double lo, double hi,
                          gr_rng *rng)
{
    if (!(lo <= hi && isfinite(hi - lo)))
        return gr_fail(GR_ERR_VALUE, "%s: no numbers to draw from %g up to %g", who, lo, hi), NULL;
    gr_tensor *t = drawn(who, dtype, rank, shape, gr_rng_uniform, lo, hi - lo, rng);
    if (t) keep_below(t, lo, hi);
    return t;
}

static gr_tensor *normal(const char *who, gr_dtype dtype, int rank, const int64_t shape[], double mean, double std,
                         gr_rng *rng)
{
    if (!(isfinite(mean) && isfinite(std) && std >= 0.0))
        return gr_fail(GR_ERR_VALUE, "%s: no normal distribution has mean %g and deviation %g", who, mean, std), NULL;
    return drawn(who, dtype, rank, shape, gr_rng_normal, mean, std, rng);
}

gr_tensor *gr_uniform(gr_dtype dtype, int rank, const int64_t shape[], double lo, double hi, gr_rng *rng)
{
    return uniform("uniform", dtype, rank, shape, lo, hi, rng);
}

gr_tensor *gr_normal(gr_dtype dtype, int rank, const int64_t shape[], double mean, double std, gr_rng *rng)
{
    return normal("normal", dtype, rank, shape, mean, std, rng);
}

/* fan_in and fan_out of a weight; false with an error where there is none. */
static bool fans(const char *who, int rank, const int64_t shape[], double *in, double *out)
{
    if (gr_checked_size(who, GR_F32, rank, shape) < 0) return false;
    double field = 1.0;
    for (int i = 2; i < rank; i++) field *= (double)shape[i];
    if (rank < 2 || shape[0] == 0 || shape[1] == 0 || field == 0.0) {
        gr_fail(GR_ERR_SHAPE, "%s: %s has no fan: expected [in,out] or [out,in,k...] without a 0", who,
                gr_shape_text(&(gr_text){{0}}, rank < 0 || rank > GR_MAX_RANK ? 0 : rank, shape));
        return false;
    }
    bool matrix = rank == 2;
    *in = (double)shape[matrix ? 0 : 1] * field;
    *out = (double)shape[matrix ? 1 : 0] * field;
    return true;
}

static gr_tensor *fan_scaled(const char *who, gr_dtype dtype, int rank, const int64_t shape[], bool xavier,
                             bool is_normal, gr_rng *rng)
{
    double in, out;
    if (!fans(who, rank, shape, &in, &out)) return NULL;
    double std = sqrt(2.0 / (xavier ? in + out : in)), bound = sqrt(3.0) * std;
    return is_normal ? normal(who, dtype, rank, shape, 0.0, std, rng)
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

gr_dtype gr_dtype_of(const gr_tensor *t)
{
    return t ? (gr_dtype)t->dtype : GR_F32;
}

int gr_rank(const gr_tensor *t)
{
    return t ? t->rank : 0;
}

const int64_t *gr_shape(const gr_tensor *t)
{
    return t ? t->shape : NULL;
}

int64_t gr_dim(const gr_tensor *t, int axis)
{
    int i = t ? gr_axis(t->rank, axis) : -1;
    return i < 0 ? -1 : t->shape[i];
}

int64_t gr_size(const gr_tensor *t)
{
    return t ? t->size : 0;
}

const char *gr_name(const gr_tensor *t)
{
    return t && t->name ? t->name : "";
}

gr_status gr_set_name(gr_tensor *t, const char *name)
{
    if (!t || !name) return gr_fail_null("set_name", t ? "name" : "tensor");
    char *copy = gr_allocate(strlen(name) + 1);
    if (!copy) return GR_ERR_MEMORY;
    memcpy(copy, name, strlen(name) + 1);
    gr_release(t->name);
    t->name = copy;
    return GR_OK;
}

/* Whether the values are there to be looked at. */
static bool readable(const char *who, const gr_tensor *t)
{
    if (!t) return gr_fail_null(who, "tensor"), false;
    if (t->values_gone || (t->base && t->base->values_gone)) {
        gr_fail(GR_ERR_STATE, "%s: this %s was given %s", who, GR_SHAPE_TEXT(t),
                t->given ? "up with gr_give()"
                         : "back by backward: read it before, keep it with gr_keep(), or run backward with GR_RETAIN");
        return false;
    }
    return true;
}

static const void *elements(const char *who, const gr_tensor *t, gr_dtype dtype)
{
    if (!readable(who, t)) return NULL;
    if (t->dtype == dtype) return t->data;
    gr_fail(GR_ERR_DTYPE, "%s: the tensor is %s", who, dtype_names[t->dtype]);
    return NULL;
}

const float *gr_read_f32(const gr_tensor *t)
{
    return elements("read_f32", t, GR_F32);
}

const double *gr_read_f64(const gr_tensor *t)
{
    return elements("read_f64", t, GR_F64);
}

const int32_t *gr_read_i32(const gr_tensor *t)
{
    return elements("read_i32", t, GR_I32);
}

static void *changing(gr_tensor *t, const void *data)
{
    if (!data) return NULL;
    gr_touch(t);
    return t->data;
}

float *gr_f32(gr_tensor *t)
{
    return changing(t, elements("f32", t, GR_F32));
}

double *gr_f64(gr_tensor *t)
{
    return changing(t, elements("f64", t, GR_F64));
}

int32_t *gr_i32(gr_tensor *t)
{
    return changing(t, elements("i32", t, GR_I32));
}

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
    if (!store(t, position, value)) return gr_fail(GR_ERR_VALUE, "set: %g is no value of i32", value);
    changing(t, t->data);
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
    return readable("copy", t) ? gr_from((gr_dtype)t->dtype, t->rank, t->shape, t->data) : NULL;
}

gr_tensor *gr_copy_as(gr_dtype dtype, const gr_tensor *t)
{
    if (!readable("copy_as", t)) return NULL;
    gr_tensor *copy = gr_new("copy_as", dtype, t->rank, t->shape);
    for (int64_t i = 0; copy && i < t->size; i++)
        if (!store(copy, i, gr_element(t, i))) {
            gr_fail(GR_ERR_VALUE, "copy_as: %g at %s is no value of i32", gr_element(t, i),
                    gr_position_text(&(gr_text){{0}}, t, i));
            gr_tensor_free(copy);
            return NULL;
        }
    return copy;
}

gr_status gr_assign(gr_tensor *to, const gr_tensor *from)
{
    if (!readable("assign", to) || !readable("assign", from)) return gr_last_status();
    if (to->dtype != from->dtype)
        return gr_fail(GR_ERR_DTYPE, "assign: dtypes differ: %s and %s", dtype_names[to->dtype],
                       dtype_names[from->dtype]);
    if (!gr_same_shape(to, from))
        return gr_fail(GR_ERR_SHAPE, "assign: shapes differ: %s and %s", GR_SHAPE_TEXT(to), GR_SHAPE_TEXT(from));
    memmove(to->data, from->data, gr_bytes(to));
    changing(to, to->data);
    return GR_OK;
}

static gr_tensor *view(const char *who, gr_tensor *t, int rank, const int64_t shape[], int64_t offset)
{
    gr_tensor *v = gr_allocate(sizeof *v);
    if (!v) return NULL;
    memset(v, 0, offsetof(gr_tensor, small));
    gr_tensor_set_type(v, (gr_dtype)t->dtype, rank, shape, gr_checked_size(who, (gr_dtype)t->dtype, rank, shape));
    v->base = t->base ? t->base : t;
    v->data = (char *)t->data + (size_t)offset * gr_dtype_bytes((gr_dtype)t->dtype);
    return v;
}

/* Views are of what the caller owns: a tape's buffers come and go. */
static bool viewable(const char *who, const gr_tensor *t)
{
    if (!t) return gr_fail_null(who, "tensor"), false;
    if (t->tape) return gr_fail(GR_ERR_STATE, "%s: a result of a tape: use gr_reshape() or gr_slice()", who), false;
    return true;
}

gr_tensor *gr_view(gr_tensor *t, int rank, const int64_t shape[])
{
    if (!viewable("view", t)) return NULL;
    int64_t size = gr_checked_size("view", (gr_dtype)t->dtype, rank, shape);
    if (size < 0) return NULL;
    if (size != t->size) {
        gr_fail(GR_ERR_SHAPE, "view: %s has not as many elements as %s", gr_shape_text(&(gr_text){{0}}, rank, shape),
                GR_SHAPE_TEXT(t));
        return NULL;
    }
    return view("view", t, rank, shape, 0);
}

gr_tensor *gr_view_rows(gr_tensor *t, int64_t start, int64_t count)
{
    if (!viewable("view_rows", t)) return NULL;
    if (t->rank == 0) return gr_fail(GR_ERR_SHAPE, "view_rows: a scalar has no rows"), NULL;
    int64_t rows = t->shape[0];
    if (start < 0 || count < 0 || start > rows || count > rows - start) {
        gr_fail(GR_ERR_INDEX, "view_rows: %lld rows from %lld on are not all in %s", (long long)count, (long long)start,
                GR_SHAPE_TEXT(t));
        return NULL;
    }
    int64_t shape[GR_MAX_RANK];
    memcpy(shape, t->shape, sizeof shape);
    shape[0] = count;
    return view("view_rows", t, t->rank, shape, rows ? start * (t->size / rows) : 0);
}
