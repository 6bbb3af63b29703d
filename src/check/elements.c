/* elements.c: derivatives compared one by one: all of them, samples of them, or of each element of the result. */
#include "check/check_internal.h"

gr_status gr_check_element_of(gr_checker *c, int64_t element, double analytic, gr_check_element *e)
{
    gr_slope s;
    gr_probe *p = &c->probe;
    *e = (gr_check_element){.output = -1};
    gr_check_place(c, element, e);
    if (p->output < 0 && gr_probe_on(p, (gr_line){element, element + 1, 0})) return gr_last_status();
    if (gr_estimate(p, c->options.rtol, analytic, &s)) return gr_last_status();
    const gr_judged j = {analytic, fmax(fabs(analytic), fabs(s.value)), gr_probe_scale(p, element)};
    return gr_check_judge(c, &j, &s, e);
}

/* Compares and notes one element. */
static gr_status note_element(gr_checker *c, int64_t element, double analytic)
{
    gr_check_element e;
    if (gr_probe_is_fixed(&c->probe, element)) return GR_OK;
    gr_status status = gr_check_element_of(c, element, analytic, &e);
    if (status) return status;
    gr_check_note(c, &e);
    if (c->probe.output < 0) c->expected[element] = e.verdict == GR_CHECK_FAIL ? e.numeric : analytic;
    return gr_check_progress(c);
}

/* `samples` elements of one input, one from each of as many stretches; all with 0. */
static gr_status check_input(gr_checker *c, int input, int64_t samples)
{
    const int64_t start = c->probe.start[input], size = c->probe.start[input + 1] - start;
    const int64_t count = samples < 1 || samples > size ? size : samples;
    gr_rng rng = gr_rng_seed(c->options.seed + 77u * (unsigned)input);
    for (int64_t i = 0; i < count; i++) {
        const int64_t from = size / count * i + size % count * i / count;
        const int64_t to = size / count * (i + 1) + size % count * (i + 1) / count;
        const int64_t at = start + from + (count == size ? 0 : gr_rng_below(&rng, to - from));
        if (note_element(c, at, c->gradient[at])) return gr_last_status();
    }
    return GR_OK;
}

static gr_status check_inputs(gr_checker *c, int64_t samples)
{
    gr_status status = GR_OK;
    gr_check_measure(c, c->gradient);
    for (int i = 0; i < c->probe.of.n && !status; i++) status = check_input(c, i, samples);
    return status;
}

gr_status gr_check_full(gr_checker *c) { return check_inputs(c, 0); }

gr_status gr_check_sampled(gr_checker *c) { return check_inputs(c, c->options.samples); }

/* Row by row the VJPs of unit vectors; column by column the differences, whose points serve all rows. */
gr_status gr_check_jacobian(gr_checker *c)
{
    gr_probe *p = &c->probe;
    const int64_t inputs = p->n_elements, outputs = p->n_outputs;
    if (outputs == 1) return gr_check_full(c);
    double *rows = gr_probe_room(p, outputs);
    if (!rows) return gr_last_status();
    gr_status status = GR_OK;
    for (int64_t j = 0; j < outputs && !status; j++) status = gr_probe_gradient(p, j, rows + j * inputs);
    for (int64_t j = 0; j < outputs && !status; j++) gr_check_measure(c, rows + j * inputs);
    for (int64_t i = 0; i < inputs && !status; i++) {
        p->output = -1;
        status = gr_probe_on(p, (gr_line){i, i + 1, 0});
        for (int64_t j = 0; j < outputs && !status; j++) {
            p->output = j;
            status = note_element(c, i, rows[j * inputs + i]);
        }
    }
    p->output = -1;
    gr_release(rows);
    return status;
}
