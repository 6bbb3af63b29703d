/* consumer.c: a program outside the project, to show that an installed Gradus can be found, linked and run. */
#include <stdio.h>

#include <gradus/gradus.h>

int main(void)
{
    gr_tape *tape = gr_tape_new();
    gr_tensor *w = gr_full(GR_F64, GR_SHAPE(1, 1), 3.0);
    gr_status status = gr_require_grad(w);
    if (!status) status = gr_backward(tape, gr_matmul(tape, w, w, 0), 0);
    if (status) fprintf(stderr, "%s\n", gr_last_error());

    double slope = status ? 0 : gr_get(gr_gradient(w), 0);
    printf("Gradus %s: the slope of w w at 3 is %g\n", GR_VERSION_STRING, slope);
    gr_tape_free(tape);
    gr_tensor_free(w);
    return slope == 6.0 ? 0 : 1;
}
