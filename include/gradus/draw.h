/* draw.h: a tape as a picture, with the value and the gradient in every box.
 *
 *     gr_tensor *loss = gr_mse(tape, gr_sigmoid(tape, gr_add(tape, gr_mul(tape, w, x), b)), y, NULL);
 *     if (gr_backward(tape, loss, GR_RETAIN)) return fail(gr_last_error());      // keep what is to be seen
 *     FILE *file = fopen("neuron.dot", "w");
 *     if (gr_draw(file, tape, NULL)) return fail(gr_last_error());
 *     fclose(file);                                                              // dot -Tsvg neuron.dot > neuron.svg
 *
 * The text is Graphviz's language: https://graphviz.org. Leaves are boxes in one colour, results in another, and
 * between them stands the op.
 */
#ifndef GRADUS_DRAW_H
#define GRADUS_DRAW_H

#include <gradus/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gr_draw_options {
    int max_elements; /* a tensor of more shows its smallest, mean and largest instead; 0: 4 */
    bool top_down;    /* default: from left to right */
} gr_draw_options;

/* Writes every node that is on the tape. NULL options are the defaults. Errors: GR_ERR_NULL, GR_ERR_STATE (nothing was
 * recorded), GR_ERR_IO (the file did not take it). */
GR_EXPORT GR_NODISCARD gr_status gr_draw(FILE *file, const gr_tape *tape, const gr_draw_options *options);

#ifdef __cplusplus
}
#endif
#endif
