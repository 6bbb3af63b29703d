/* draw.h: draws a tape as a graph, with the value and the gradient of each tensor in its box.
 *
 *     gr_tensor *loss = gr_mse(tape, gr_sigmoid(tape, gr_add(tape, gr_mul(tape, w, x), b)), y, NULL);
 *     if (gr_backward(tape, loss, GR_RETAIN)) return fail(gr_last_error());      // keep what is to be seen
 *     FILE *file = fopen("neuron.dot", "w");
 *     if (gr_draw(file, tape, NULL)) return fail(gr_last_error());
 *     fclose(file);                                                              // dot -Tsvg neuron.dot > neuron.svg
 *
 * The language is that of Graphviz: https://graphviz.org. Leaves are boxes of one colour, results of another, and an op
 * stands between its inputs and its result.
 */
#ifndef GRADUS_DRAW_H
#define GRADUS_DRAW_H

#include <gradus/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gr_draw_options {
    int max_elements; /* of a tensor with more, the smallest, mean and largest are shown; 0: 4 */
    bool top_down;    /* default: from left to right */
} gr_draw_options;

/* Writes every node of the tape, and flushes the file. NULL options are the defaults. Errors: GR_ERR_NULL,
 * GR_ERR_STATE (nothing is recorded), GR_ERR_OPTION (max_elements below 0), GR_ERR_IO (the file did not take it). */
GR_EXPORT GR_NODISCARD gr_status gr_draw(FILE *file, const gr_tape *tape, const gr_draw_options *options);

#ifdef __cplusplus
}
#endif
#endif
