// cxx_training.cpp: the README's network in C++: shapes and axes as the macros write them, options as variables.
#include <cmath>
#include <cstdint>
#include <cstdio>

#include <gradus/gradus.h>

static int calls;
static std::int64_t next() { return ++calls; }

// The macros evaluate each argument once, whatever its integer type.
static bool lists_are_right()
{
    const short rows = 2;
    gr_tensor *x = gr_ones(GR_F64, GR_SHAPE(rows, 3, next()));
    gr_tape *tape = gr_tape_new();
    gr_tensor *sums = gr_sum(tape, x, GR_AXES(0, -1), false);
    const bool right = calls == 1 && gr_rank(x) == 3 && gr_dim(x, 0) == 2 && gr_dim(x, 2) == 1 && gr_rank(sums) == 1 &&
                       gr_dim(sums, 0) == 3 && gr_get(sums, 2) == 2.0;
    gr_tape_free(tape);
    gr_tensor_free(x);
    return right;
}

static bool network_learns()
{
    const float inputs[] = {0, 0, 0, 1, 1, 0, 1, 1}, targets[] = {0, 1, 1, 0}; // exclusive or
    gr_tensor *x = gr_from(GR_F32, GR_SHAPE(4, 2), inputs), *y = gr_from(GR_F32, GR_SHAPE(4, 1), targets);
    gr_rng rng = gr_rng_seed(1);
    gr_params *params = gr_params_new();
    gr_tensor *w1 = gr_params_add(params, "w1", gr_xavier_uniform(GR_F32, GR_SHAPE(2, 8), &rng));
    gr_tensor *b1 = gr_params_add(params, "b1", gr_zeros(GR_F32, GR_SHAPE(8)));
    gr_tensor *w2 = gr_params_add(params, "w2", gr_xavier_uniform(GR_F32, GR_SHAPE(8, 1), &rng));
    gr_tensor *b2 = gr_params_add(params, "b2", gr_zeros(GR_F32, GR_SHAPE(1)));
    gr_adam_options adam_options = {};
    adam_options.lr = 0.05;
    gr_optimizer *adam = gr_adam(params, &adam_options);
    gr_loss_options loss_options = {};
    loss_options.from_logits = true;
    gr_tape *tape = gr_tape_new();

    double last = NAN;
    gr_status status = GR_OK;
    for (int step = 0; step <= 200 && !status; step++) {
        gr_tensor *hidden = gr_tanh(tape, gr_linear(tape, x, w1, b1));
        gr_tensor *loss = gr_bce(tape, gr_linear(tape, hidden, w2, b2), y, &loss_options);
        last = gr_item(loss);
        status = gr_backward(tape, loss, 0);
        if (!status) status = gr_step(adam);
        gr_tape_reset(tape);
    }
    if (status) std::fprintf(stderr, "%s\n", gr_last_error());
    gr_tape_free(tape);
    gr_optimizer_free(adam);
    gr_params_free(params);
    gr_tensor_free(y);
    gr_tensor_free(x);
    std::printf("loss %.4f after 200 steps\n", last); // the README's 0.002
    return !status && std::fabs(last - 0.002) < 0.0005;
}

int main()
{
    if (!lists_are_right()) return std::fprintf(stderr, "GR_SHAPE or GR_AXES: wrong\n"), 1;
    return network_learns() ? 0 : 1;
}
