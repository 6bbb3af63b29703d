/* draw.c: the nodes of a tape in Graphviz's language. */
#include <gradus/draw.h>
#include <math.h>

#include "autograd/tape_internal.h"

typedef struct drawing {
    FILE *file;
    const gr_tape *t;
    int max_elements;
} drawing;

/* A name within a record label, whose special characters are escaped. */
static void put_name(FILE *file, const char *name)
{
    for (; *name; name++) {
        if (strchr("{}|<>\\\" ", *name)) fputc('\\', file);
        fputc(*name, file);
    }
}

/* "2.5000", "0.5 -1 2", or "-3.1 .. 0.02 .. 2.9" for the smallest, the mean and the largest of many. */
static void put_values(const drawing *d, const gr_tensor *x)
{
    if (!x) {
        fputs("none", d->file);
    } else if (gr_is_gone(x)) {
        fputs("given back", d->file);
    } else if (x->size <= d->max_elements) {
        for (int64_t i = 0; i < x->size; i++) fprintf(d->file, "%s%s", i ? " " : "", GR_DIGITS(4, gr_element(x, i)));
    } else {
        double low = gr_element(x, 0), high = low, sum = 0.0;
        for (int64_t i = 0; i < x->size; i++) {
            low = fmin(low, gr_element(x, i));
            high = fmax(high, gr_element(x, i));
            sum += gr_element(x, i);
        }
        fprintf(d->file, "%s .. %s .. %s", GR_DIGITS(3, low), GR_DIGITS(3, sum / (double)x->size), GR_DIGITS(3, high));
    }
}

/* What identifies a tensor in the text: results by their node, leaves by where they are first used. */
static void put_id(const drawing *d, const gr_tensor *x)
{
    if (x->node) {
        fprintf(d->file, "result%lld", (long long)x->node->id);
        return;
    }
    for (const gr_tape_node *node = d->t->first; node; node = node->next)
        for (int i = 0; i < node->call.n_in; i++)
            if (node->call.in[i] == x) {
                fprintf(d->file, "leaf%lld_%d", (long long)node->id, i);
                return;
            }
}

static bool first_use(const drawing *d, const gr_tape_node *here, int input)
{
    for (const gr_tape_node *node = d->t->first; node; node = node->next)
        for (int i = 0; i < node->call.n_in; i++)
            if (node->call.in[i] == here->call.in[input]) return node == here && i == input;
    return false;
}

static void put_box(const drawing *d, const gr_tensor *x, const char *otherwise, const char *colour)
{
    fputs("  ", d->file);
    put_id(d, x);
    fputs(" [shape=record, style=filled, fillcolor=\"", d->file);
    fprintf(d->file, "%s\", label=\"{ ", colour);
    put_name(d->file, *gr_name(x) ? gr_name(x) : otherwise);
    if (x->rank) fprintf(d->file, " %s", GR_SHAPE_TEXT(x));
    fputs(" | value ", d->file);
    put_values(d, x);
    if (x->requires_grad) {
        fputs(" | gradient ", d->file);
        put_values(d, gr_gradient(x));
    }
    fputs(" }\"];\n", d->file);
}

static void put_node(const drawing *d, const gr_tape_node *node)
{
    for (int i = 0; i < node->call.n_in; i++)
        if (!node->call.in[i]->node && first_use(d, node, i))
            put_box(d, node->call.in[i], "constant", node->call.in[i]->requires_grad ? "#cfe8cf" : "#e4e4e4");
    put_box(d, node->call.out, node->call.op->formula ? node->call.op->name : "result", "#cfdff2");
    fprintf(d->file, "  op%lld [shape=ellipse, style=filled, fillcolor=white, label=\"%s\"];\n", (long long)node->id,
            node->call.op->name);
    for (int i = 0; i < node->call.n_in; i++) {
        fputs("  ", d->file);
        put_id(d, node->call.in[i]);
        fprintf(d->file, " -> op%lld;\n", (long long)node->id);
    }
    fprintf(d->file, "  op%lld -> ", (long long)node->id);
    put_id(d, node->call.out);
    fputs(";\n", d->file);
}

gr_status gr_draw(FILE *file, const gr_tape *t, const gr_draw_options *options)
{
    if (!file || !t) return gr_fail_null("draw", file ? "tape" : "file");
    if (!t->first) return gr_fail(GR_ERR_STATE, "draw: nothing was recorded on this tape");
    if (options && options->max_elements < 0)
        return gr_fail(GR_ERR_OPTION, "draw: max_elements is %d, expected 0 or more", options->max_elements);
    drawing d = {
        .file = file, .t = t, .max_elements = options && options->max_elements > 0 ? options->max_elements : 4};
    fprintf(file,
            "digraph tape {\n  rankdir=%s;\n  bgcolor=transparent;\n  node [fontname=\"sans-serif\", fontsize=11];\n"
            "  edge [color=\"#888888\"];\n",
            options && options->top_down ? "TB" : "LR");
    for (const gr_tape_node *node = t->first; node; node = node->next) put_node(&d, node);
    fputs("}\n", file);
    return gr_file_status("draw", file);
}
