/* test_owners.c: what has an owner can be freed by it alone, and given to nobody else. Whatever owns tensors is made,
 * and each of its tensors is freed and handed to whatever takes tensors: all of that is refused, changes nothing, and
 * after it every block of memory is released once (the sanitizers would see it released twice). */
#include "helpers.h"

#include <gradus/gradus.h>

#include "counting.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Owners ---------------------------------------------------------------------------------------------------- */

typedef struct owners {
    gr_params *params, *others;
    gr_dataset *set;
    gr_batches *batches;
    gr_tape *tape;
    gr_tensor *leaf; /* ours: its gradient is not */
} owners;

static owners make_owners(void)
{
    owners o = {.params = gr_params_new(), .others = gr_params_new(), .tape = gr_tape_new()};
    assert_non_null(gr_params_add(o.params, "w", gr_ones(GR_F64, GR_SHAPE(3, 4))));
    assert_non_null(gr_params_add_buffer(o.params, "mean", gr_ones(GR_F64, GR_SHAPE(3, 4))));
    o.set = gr_dataset_new(gr_ones(GR_F64, GR_SHAPE(3, 4)), gr_ones(GR_F64, GR_SHAPE(3, 4)));
    o.batches = gr_batches_new(o.set, 2, NULL);
    o.leaf = gr_ones(GR_F64, GR_SHAPE(3, 4));
    assert_false(gr_require_grad(o.leaf));
    assert_false(gr_backward(o.tape, gr_sum(o.tape, o.leaf, GR_ALL_AXES, false), 0));
    assert_true(gr_batches_next(o.batches));
    return o;
}

static void free_owners(owners *o)
{
    gr_batches_free(o->batches);
    gr_dataset_free(o->set);
    gr_params_free(o->params);
    gr_params_free(o->others);
    gr_tape_free(o->tape);
    gr_tensor_free(o->leaf);
}

static gr_tensor *parameter(owners *o) { return gr_params_at(o->params, 0); }
static gr_tensor *buffer(owners *o) { return gr_params_get(o->params, "mean"); }
static gr_tensor *features(owners *o) { return gr_dataset_x(o->set); }
static gr_tensor *targets(owners *o) { return gr_dataset_y(o->set); }
static gr_tensor *batch_x(owners *o) { return gr_batch_x(o->batches); }
static gr_tensor *batch_y(owners *o) { return gr_batch_y(o->batches); }
static gr_tensor *last_batch(owners *o) { return gr_batches_next(o->batches) ? gr_batch_x(o->batches) : NULL; }
static gr_tensor *result(owners *o) { return gr_square(o->tape, o->leaf); }
static gr_tensor *gradient(owners *o) { return gr_gradient(o->leaf); }

static const struct {
    const char *part; /* of the message */
    gr_tensor *(*tensor)(owners *o);
} owned[] = {{"a tensor of a set of parameters", parameter},
             {"a tensor of a set of parameters", buffer},
             {"a tensor of a data set", features},
             {"a tensor of a data set", targets},
             {"a tensor of an iterator over batches", batch_x},
             {"a tensor of an iterator over batches", batch_y},
             {"a tensor of an iterator over batches", last_batch},
             {"a result of a tape", result},
             {"the gradient of another tensor", gradient}};

/* ---- Takers ---------------------------------------------------------------------------------------------------- */

static gr_tensor *rows_like(const gr_tensor *x) { return gr_ones(GR_F64, GR_SHAPE(gr_dim(x, 0), 1)); }

static bool is_freed(owners *o, gr_tensor *x) { return (void)o, gr_tensor_free(x), false; }
static bool same_set(owners *o, gr_tensor *x) { return gr_params_add(o->params, "new", x) != NULL; }
static bool other_set(owners *o, gr_tensor *x) { return gr_params_add(o->others, "new", x) != NULL; }
static bool as_buffer(owners *o, gr_tensor *x) { return gr_params_add_buffer(o->others, "new", x) != NULL; }
static bool as_x(owners *o, gr_tensor *x) { return (void)o, gr_dataset_new(x, rows_like(x)) != NULL; }
static bool as_y(owners *o, gr_tensor *x) { return (void)o, gr_dataset_new(rows_like(x), x) != NULL; }
static bool as_both(owners *o, gr_tensor *x) { return (void)o, gr_dataset_new(x, x) != NULL; }
static bool bad_call(owners *o, gr_tensor *x) { return gr_params_add(NULL, "", x) || gr_params_add(o->others, "", x); }

static bool (*const takers[])(owners *o, gr_tensor *x) = {is_freed, same_set, other_set, as_buffer,
                                                          as_x,     as_y,     as_both,   bad_call};

static void an_owner_is_the_only_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(owned); i++)
        for (size_t k = 0; k < COUNT(takers); k++) {
            counting memory;
            counting_begin(&memory);
            owners o = make_owners();
            gr_tensor *x = owned[i].tensor(&o);
            assert_non_null(x);
            gr_clear_error();
            if (takers[k](&o, x)) fail_msg("%s: taken in the way %d", owned[i].part, (int)k);
            assert_failed_with(owned[i].part, GR_ERR_STATE, owned[i].part);
            assert_true(gr_get(x, 0) == 1.0); /* it is there, and as it was */
            assert_int_equal(gr_params_count(o.params) + gr_params_buffer_count(o.params), 2);
            assert_int_equal(gr_params_count(o.others) + gr_params_buffer_count(o.others), 0);
            free_owners(&o);
            counting_end();
            assert_int_equal(memory.live, 0);
        }
}

/* A view is the caller's, whoever owns what it is a view of; and what is owned may be used in every other way. */
static void views_and_other_uses(void **state)
{
    (void)state;
    owners o = make_owners();
    for (size_t i = 0; i < COUNT(owned); i++) {
        gr_tensor *x = owned[i].tensor(&o);
        if (x == gr_gradient(o.leaf) || owned[i].tensor == result || owned[i].tensor == last_batch) continue;
        gr_tensor *view = gr_view(x, GR_SHAPE(gr_size(x)));
        assert_non_null(view);
        gr_clear_error();
        gr_tensor_free(view);
        assert_int_equal(gr_last_status(), GR_OK);
        assert_false(gr_require_grad(x)); /* by a batch's pixels one may differentiate */
        assert_non_null(gr_mul(o.tape, x, x));
    }
    free_owners(&o);
}

/* A set finds, saves and loads by name: a second tensor of a name would be lost. */
static void a_set_keeps_its_names(void **state)
{
    (void)state;
    owners o = make_owners();
    gr_tensor *mean = buffer(&o);
    gr_clear_error();
    assert_int_equal(gr_set_name(mean, "w"), GR_ERR_STATE);
    assert_failed_with("renamed", GR_ERR_STATE, "set_name: mean is a tensor of a set of parameters");
    assert_ptr_equal(gr_params_get(o.params, "mean"), mean);
    assert_false(gr_set_name(features(&o), "x"));
    free_owners(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_owner_is_the_only_one),
        cmocka_unit_test(views_and_other_uses),
        cmocka_unit_test(a_set_keeps_its_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
