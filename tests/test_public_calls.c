/* test_public_calls.c: every public function, called with every pointer NULL in turn, with absurd numbers, and with
 * every number of every options struct absurd. public_calls writes these calls from the headers themselves, so that
 * none can be missing. Each runs in a process of its own. Whatever the call, there is no signal and no hang; what is
 * refused is refused with a sentence; and what is accepted gives no NaN and no infinity that was not asked for. */
#define _POSIX_C_SOURCE 200809L /* fork(), mkdtemp() */
#include "files.h"

#include <limits.h>
#include <signal.h>
#include <sys/wait.h>

#include <gradus/gradus.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- What is right -------------------------------------------------------------------------------------------- */

typedef struct world {
    gr_dtype dtype;
    gr_tape *t;
    gr_tensor *m, *four, *square;                 /* [3,4], a leaf; [4]; [4,4] */
    gr_tensor *p, *masks, *signs, *kernel;        /* [2,4,4,5] in 0..1, of 0 and 1, of -1 and 1; [4,4,1,1] */
    gr_tensor *channels, *mean, *scalar, *result; /* [4]; [4]; a recorded [] and [3,4] */
    gr_tensor *single, *wide, *index;             /* f32 [3,4]; f64 [3,4], a leaf; i32 [3] */
    gr_tensor *list[2], *holes[2], *out[2];
    gr_params *params;
    gr_optimizer *sgd;
    gr_dataset *set, *first, *sets[1], *no_sets[1], *none;
    gr_batches *batches;
    gr_rng rng;
    gr_node node;
    gr_type type;
    gr_check_report report;
    gr_check_element element;
    gr_check_point points[2];
    gr_csv_report csv_report;
    gr_image_set_report image_report;
    gr_confusion counts[2];
    FILE *file;
    char text[64];
    double numbers[12], number;
    int64_t shape[2], order[4];
    int axes[1], swapped[2];
    const char *path, *png, *csv, *idx, *idx_images, *image_folder, *mask_folder;
} world;

static gr_tensor *square_of(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)context;
    return gr_square(t, x[n - 1]);
}

static double plain_f(const double *x, void *context)
{
    (void)context;
    return x[0] * x[0] + x[1];
}

static int plain_gradient(const double *x, double *g, void *context)
{
    (void)context;
    g[0] = 2.0 * x[0];
    g[1] = 1.0;
    return 0;
}

static const gr_plain plain_square = {.f = plain_f, .gradient = plain_gradient, .n = 2};

/* a, a + step, ..., and then again from a on after `period` elements. */
static gr_tensor *ramp(gr_dtype dtype, int rank, const int64_t shape[], double a, double step, int period)
{
    gr_tensor *x = gr_zeros(dtype, rank, shape);
    for (int64_t i = 0; i < gr_size(x); i++) assert_false(gr_set(x, i, a + step * (double)(i % period)));
    return x;
}

static void make_tensors(world *w)
{
    const gr_dtype d = w->dtype;
    w->m = ramp(d, GR_SHAPE(3, 4), 0.1, 0.05, 12);
    w->four = ramp(d, GR_SHAPE(4), 0.5, 0.25, 4);
    w->square = ramp(d, GR_SHAPE(4, 4), 0.1, 0.05, 16);
    w->p = ramp(d, GR_SHAPE(2, 4, 4, 5), 0.05, 0.09, 11);
    w->masks = ramp(d, GR_SHAPE(2, 4, 4, 5), 0.0, 1.0, 2);
    w->signs = ramp(d, GR_SHAPE(2, 4, 4, 5), -1.0, 2.0, 2);
    w->kernel = ramp(d, GR_SHAPE(4, 4, 1, 1), 0.1, 0.05, 16);
    w->channels = ramp(d, GR_SHAPE(4), 0.5, 0.25, 4);
    w->mean = ramp(d, GR_SHAPE(4), 0.5, 0.25, 4);
    w->single = ramp(GR_F32, GR_SHAPE(3, 4), 0.1, 0.05, 12);
    w->wide = ramp(GR_F64, GR_SHAPE(3, 4), 0.1, 0.05, 12);
    w->index = gr_from(GR_I32, GR_SHAPE(3), (int32_t[]){2, 0, 1});
    assert_false(gr_require_grad(w->m) || gr_require_grad(w->wide) || gr_require_grad(w->p));
}

static void make_files(world *w)
{
    static const unsigned char labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 1, 0};
    static const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4};
    static char paths[8][512]; /* both worlds have the same files */
    w->csv = strcpy(paths[0], put_file("t.csv", "a,y\n1,m\n2,n\n3,m\n", 16));
    w->idx = strcpy(paths[1], put_file("labels", labels, sizeof labels));
    w->idx_images = strcpy(paths[2], put_file("pixels", images, sizeof images));
    w->path = strcpy(paths[3], path_of("w.safetensors"));
    assert_false(gr_params_save(w->params, w->path));
    w->image_folder = strcpy(paths[4], path_of("images"));
    w->mask_folder = strcpy(paths[5], path_of("masks"));
    w->png = strcpy(paths[6], path_of("images/a.png"));
    mkdir(w->image_folder, 0700);
    mkdir(w->mask_folder, 0700);
    if (gr_png_write(w->png, w->single)) assert_int_equal(gr_last_status(), GR_ERR_UNSUPPORTED);
    gr_tensor *mask = ramp(GR_F32, GR_SHAPE(3, 4), 0.0, 1.0, 2);
    if (gr_png_write(path_of("masks/a.png"), mask)) assert_int_equal(gr_last_status(), GR_ERR_UNSUPPORTED);
    gr_tensor_free(mask);
}

static void make_world(world *w, gr_dtype dtype)
{
    *w = (world){.dtype = dtype, .t = gr_tape_new(), .rng = gr_rng_seed(1), .shape = {3, 4}, .swapped = {1, 0}};
    make_tensors(w);
    w->list[0] = w->list[1] = w->m;
    w->params = gr_params_new();
    gr_tensor *weight = gr_params_add(w->params, "w", gr_copy(w->four));
    w->sgd = gr_sgd(w->params, NULL);
    w->set = gr_dataset_new(gr_copy(w->m), gr_copy(w->index));
    w->first = gr_dataset_new(gr_copy(w->m), gr_copy(w->index));
    w->sets[0] = w->set;
    w->batches = gr_batches_new(w->set, 1, NULL);
    assert_true(weight && w->sgd && w->first && gr_batches_next(w->batches));
    assert_false(gr_backward(w->t, gr_sum(w->t, gr_square(w->t, weight), GR_ALL_AXES, false), 0));
    w->result = gr_square(w->t, w->m);
    w->scalar = gr_sum(w->t, w->result, GR_ALL_AXES, false);
    w->node = (gr_node){.op = gr_op_at(0), .tape = w->t, .in = w->list, .n_in = 2};
    assert_false(gr_check_gradients(square_of, NULL, &w->wide, 1, NULL, &w->report));
    w->points[0].h = w->points[1].h = 0.5;
    w->file = tmpfile();
    assert_true(w->scalar && w->file);
    make_files(w);
}

static void free_world(world *w)
{
    gr_tensor *const all[] = {w->m,      w->four,     w->square, w->p,      w->masks, w->signs,
                              w->kernel, w->channels, w->mean,   w->single, w->wide,  w->index};
    fclose(w->file);
    gr_batches_free(w->batches);
    gr_dataset_free(w->set);
    gr_dataset_free(w->first);
    gr_optimizer_free(w->sgd);
    gr_params_free(w->params);
    gr_tape_free(w->t);
    for (size_t i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
}

/* ---- What came of a call ---------------------------------------------------------------------------------------- */

/* In the exit status of the process: the status in the lower bits. */
typedef int outcome;
enum { STATUS = 15, NOTHING = 16, NOT_FINITE = 32, MUTE = 64, RETURNED = 128 };

/* What a call that failed has noted; MUTE if it said nothing. */
static outcome of_failure(gr_status status)
{
    return (int)status | (status && status == gr_last_status() && *gr_last_error() ? 0 : MUTE);
}

static outcome of_status(gr_status status) { return status ? of_failure(status) : 0; }

static outcome of_pointer(const void *it) { return it ? 0 : of_failure(gr_last_status()) | NOTHING; }

static outcome of_tensor(const gr_tensor *it)
{
    outcome o = of_pointer(it);
    for (int64_t i = 0; i < gr_size(it); i++)
        if (!isfinite(gr_get(it, i))) o |= NOT_FINITE;
    return o;
}

static outcome of_number(double x) { return isnan(x) ? of_failure(gr_last_status()) | NOTHING : (int)gr_last_status(); }

static outcome of_nothing(void) { return (int)gr_last_status(); }

#define GIVES_POINTER(call) _Generic((call), gr_tensor * : of_tensor, default : of_pointer)(call)
#define GIVES_STATUS(call) of_status(call)
#define GIVES_NUMBER(call) of_number(call)
#define GIVES_NOTHING(call) (call, of_nothing())
#define GIVES_VALUE(call) ((void)(call), of_nothing())

typedef struct public_call {
    const char *function, *what, *value; /* "" for the call in which nothing is wrong */
    outcome (*call)(world *w);
} public_call;

#if defined __GNUC__ && !defined __clang__
#pragma GCC diagnostic ignored "-Wnonnull"
#endif
#include "public_calls.inc"

static world worlds[2];

/* The outcome of a call in a process of its own; -1 and a signal's number for one that did not return. */
static outcome made(const public_call *c, world *w, int *signal_)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        for (int i = 1; i < 32; i++) signal(i, SIG_DFL); /* cmocka's would tear the test down */
        alarm(20);
        gr_clear_error();
        _exit(RETURNED | c->call(w));
    }
    int status = 0;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    const bool returned = WIFEXITED(status) && WEXITSTATUS(status) & RETURNED; /* a sanitizer exits with 1 */
    *signal_ = WIFSIGNALED(status) ? WTERMSIG(status) : returned ? 0 : SIGABRT;
    return returned ? WEXITSTATUS(status) & ~RETURNED : -1;
}

/* ---- What is accepted -------------------------------------------------------------------------------------------- */

/* A function, a parameter or field, and values that are accepted: "" for all. A * at the end stands for any ending. */
typedef struct exception {
    const char *function, *what, *values;
} exception;

static bool matches(const char *pattern, const char *text)
{
    const size_t n = strlen(pattern);
    return n && pattern[n - 1] == '*' ? strncmp(pattern, text, n - 1) == 0 : strcmp(pattern, text) == 0;
}

static bool is_among(const exception list[], size_t n, const public_call *c)
{
    for (size_t i = 0; i < n; i++)
        if (matches(list[i].function, c->function) && matches(list[i].what, c->what) &&
            (!*list[i].values || strstr(list[i].values, c->value)))
            return true;
    return false;
}

/* What may be NULL, by the headers: it is a default, or there is nothing to do. */
static const exception may_be_null[] = {
    {"gr_check_*", "context", ""},
    {"*", "options", ""},
    {"gr_format", "text", ""},
    {"gr_check_format", "text", ""},
    {"gr_tensor_free", "*", ""},
    {"gr_tape_free", "*", ""},
    {"gr_params_free", "*", ""},
    {"gr_optimizer_free", "*", ""},
    {"gr_dataset_free", "*", ""},
    {"gr_batches_free", "*", ""},
    {"gr_dataset_size", "set", ""},
    {"gr_dataset_classes", "set", ""},
    {"gr_dataset_split", "rng", ""},
    {"gr_batches_new", "rng", ""},
    {"gr_batches_next", "batches", ""},
    {"gr_batches_count", "batches", ""},
    {"gr_csv_read", "report", ""},
    {"gr_image_set_read", "report", ""},
    {"gr_dataset_empty_classes", "set", ""},
    {"gr_conv*", "b", ""},
    {"gr_batch_norm2d", "gamma", ""},
    {"gr_batch_norm2d", "beta", ""},
    {"gr_layer_norm", "gamma", ""},
    {"gr_layer_norm", "beta", ""},
    {"gr_group_norm", "gamma", ""},
    {"gr_group_norm", "beta", ""},
    {"gr_vjp_zero", "*", ""},
    {"gr_vjp", "cotangent", ""},
    {"gr_apply", "attr", ""},
    {"gr_params_count", "params", ""},
    {"gr_params_elements", "params", ""},
    {"gr_params_buffer_count", "params", ""},
    {"gr_params_fprint", "params", ""},
    {"gr_params_zero_grad", "params", ""},
    {"gr_clip_grad_norm", "norm", ""},
    {"gr_tape_reset", "tape", ""},
    {"gr_zero_grad", "tensor", ""},
    {"gr_set_recording", "tape", ""},
    {"gr_requires_grad", "tensor", ""},
    {"gr_tape_statistics", "tape", ""},
    {"gr_dtype_of", "tensor", ""},
    {"gr_rank", "tensor", ""},
    {"gr_dim", "tensor", ""},
    {"gr_size", "tensor", ""},
    {"gr_format", "tensor", ""},
    {"gr_fprint", "tensor", ""},
    {"gr_name", "tensor", ""},
    {"gr_set_allocator", "allocator", ""},
    {"gr_fail", "format", ""},
};

/* Numbers that mean something however absurd they look: values and targets may be infinite, arithmetic takes NaN too,
 * x^-1e300 is infinite by itself, noise below 0 is none, and a schedule of steps has no final rate. */
static const exception taken[] = {
    {"gr_full", "value", ""},
    {"gr_scalar", "value", ""},
    {"gr_constant", "value", ""},
    {"gr_pad", "value", ""},
    {"gr_scale", "factor", "INFINITY -INFINITY NAN"},
    {"gr_shift", "offset", "INFINITY -INFINITY NAN"},
    {"gr_pow_scalar", "exponent", "INFINITY -INFINITY NAN -1e300"},
    {"gr_make_shapes", ".noise", "-1.0 -1e300"},
    {"gr_schedule_rate", ".final", ""},
    {"*", ".ignore_index", "-1.0 -1e300 INFINITY -INFINITY"},
    {"*", ".base.ignore_index", "-1.0 -1e300 INFINITY -INFINITY"},
};

/* What returns NULL and says nothing: there is none, and to ask is no mistake. */
static const exception answers[] = {
    {"gr_dataset_x", "set", ""},
    {"gr_dataset_y", "set", ""},
    {"gr_dataset_class_name", "*", ""},
    {"gr_dataset_feature_name", "*", ""},
    {"gr_dataset_sample_name", "*", ""},
    {"gr_op_at", "position", ""},
    {"gr_params_at", "*", ""},
    {"gr_params_buffer_at", "*", ""},
    {"gr_gradient", "*", ""},
    {"gr_keep", "tensor", ""},
    {"gr_give", "tensor", ""},
    {"gr_shape", "tensor", ""},
    {"gr_vjp_zero", "g", ""},
};

/* ---- The walk ------------------------------------------------------------------------------------------------- */

/* Why the outcome is wrong; NULL where it is right. */
static const char *complaint(const public_call *c, outcome o, int signal_)
{
    const bool refused = (o & STATUS) != 0, right = !*c->what, null = strstr(c->value, "NULL") != NULL;
    if (signal_ == SIGALRM) return "does not return";
    if (signal_) return "a signal";
    if (strcmp(c->function, "gr_fail") == 0) return NULL; /* it fails whatever it is given */
    if ((o & STATUS) == GR_ERR_UNSUPPORTED) return NULL;  /* a build without PNG or zlib */
    if (o & MUTE && o & NOTHING && is_among(answers, COUNT(answers), c)) return NULL;
    if (o & MUTE && o & NOTHING) return right ? "gives nothing" : "refused without a sentence";
    if (o & MUTE) return "refused without a sentence";
    if (right) return refused ? "the call is right" : NULL;
    if (strcmp(c->value, "NULL") == 0 && is_among(may_be_null, COUNT(may_be_null), c)) return NULL;
    if (null && !refused) return "NULL is accepted";
    if (strcmp(c->value, "NULL") == 0 && (o & STATUS) != GR_ERR_NULL) return "not GR_ERR_NULL";
    if (refused || is_among(taken, COUNT(taken), c)) return NULL;
    if (o & NOT_FINITE) return "gives what is not finite";
    const bool absurd =
        c->value[0] == '-' || strstr(c->value, ")-1") || strstr(c->value, ")99") || strstr("NAN INFINITY", c->value);
    return *c->what == '.' && absurd ? "the option is accepted" : NULL;
}

static void every_call_returns(void **state)
{
    (void)state;
    int wrong = 0, n = COUNT(public_calls);
    for (gr_dtype dtype = GR_F32; dtype <= GR_F64; dtype++)
        for (int i = 0; i < n; i++) {
            int signal_;
            const public_call *c = &public_calls[i];
            const outcome o = made(c, &worlds[dtype], &signal_);
            const char *why = complaint(c, o, signal_);
            if (!why) continue;
            wrong++;
            print_error("%s: %s with %s = %s: %s (%s)\n", gr_dtype_name(dtype), c->function, c->what, c->value, why,
                        signal_ ? "" : gr_status_text((gr_status)(o & STATUS)));
        }
    assert_true(N_FUNCTIONS > 200 && n > 8 * N_FUNCTIONS);
    if (wrong) fail_msg("%d of %d calls", wrong, 2 * n);
}

static int set_up(void **state)
{
    if (make_directory(state)) return -1;
    for (gr_dtype dtype = GR_F32; dtype <= GR_F64; dtype++) make_world(&worlds[dtype], dtype);
    return 0;
}

static int tear_down(void **state)
{
    for (gr_dtype dtype = GR_F32; dtype <= GR_F64; dtype++) free_world(&worlds[dtype]);
    return remove_directory(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_returns),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
