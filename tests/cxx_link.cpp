// cxx_link.cpp: the public headers declare C functions to a C++ program, and it finds them in the library.
#include <cstdio>

#include <gradus/gradus.h>

int main()
{
    gr_tape *tape = gr_tape_new();
    gr_tensor *w = gr_scalar(GR_F64, 3.0);
    gr_status status = gr_require_grad(w);
    if (status == GR_OK) status = gr_backward(tape, gr_square(tape, w), 0);
    if (status != GR_OK) std::fprintf(stderr, "%s\n", gr_last_error());

    const bool right = status == GR_OK && gr_item(gr_gradient(w)) == 6.0;
    gr_tape_free(tape);
    gr_tensor_free(w);
    return right ? 0 : 1;
}
