/* results.c: what lesson 3 leaves behind: its metrics as a table and as CSV, its masks as a picture, its part of the
 * page; and the mask of an image of the reader's. */
#include "../page.h"
#include "segmenter.h"
#include "sheet.h"

#define LESSON "03_segmenter"

/* ---- Metrics ------------------------------------------------------------------------------------------------ */

void print_head(void)
{
    printf("\nOn the images held out, means over the images:\n\n"
           "%-36s   IoU   Dice  sensitivity  specificity  worst Dice       s\n",
           "");
}

void print_score(const char *what, const score *s, double seconds)
{
    const gr_metrics *m = &s->mean;
    printf("%-36s %.3f  %.3f        %.3f        %.3f       %.3f", what, m->iou, m->dice, m->sensitivity, m->specificity,
           s->worst);
    if (seconds > 0.0) printf("  %6.1f", seconds);
    printf("\n");
    fflush(stdout);
}

void print_classes(const score *s, int64_t classes)
{
    for (int64_t k = 0; k < classes; k++)
        printf("%s%lld: %.3f", k ? ", " : "Dice over all pixels, by class: ", (long long)k,
               gr_metrics_of(&s->of_class[k]).dice);
    if (classes) printf("\n");
}

static void write_score(FILE *csv, const char *name, const score *s, double seconds, const gr_dataset *test)
{
    const gr_metrics *m = &s->mean;
    const char *worst = gr_dataset_sample_name(test, s->which);
    fprintf(csv, "%s,%.6f,%.6f,%.6f,%.6f,%.6f,", name, m->iou, m->dice, m->sensitivity, m->specificity, s->worst);
    if (worst) put_quoted(csv, worst);
    else fprintf(csv, "%lld", (long long)s->which);
    fprintf(csv, ",%.3f\n", seconds);
}

static void log_runs(const run runs[], int n, const score *untrained, const gr_dataset *test, const plan *p)
{
    FILE *csv = create_csv(LESSON, "loss,iou,dice,sensitivity,specificity,worst_dice,worst_image,training_seconds");
    write_score(csv, guess_name(gr_dataset_classes(test)), untrained, 0.0, test);
    for (int k = 0; k < n; k++) write_score(csv, runs[k].name, &runs[k].held_out, runs[k].seconds, test);
    close_file(csv, LESSON ".csv");
    csv = create_csv("03_training", "loss,epoch,training_loss");
    for (int k = 0; k < n; k++)
        for (int64_t epoch = 0; runs[k].history && epoch < p->epochs; epoch++)
            fprintf(csv, "%s,%lld,%.9g\n", runs[k].name, (long long)epoch + 1, runs[k].history[epoch]);
    close_file(csv, "03_training.csv");
}

/* Mean and worst Dice of each loss beside that of the guess, the first row. */
static void draw_scores(int n)
{
    FILE *s = begin_plot(LESSON, 520, 120 + 22 * n);
    fprintf(s,
            "set yrange [%d.5:-0.5]\nset xrange [0:1]\nset xlabel 'Dice on the images held out'\n"
            "set key outside top center horizontal samplen 1\nset border 1 lc rgb '#666666'\n"
            "plot '" LESSON ".csv' skip 1 using 6:0:($3-$6):(0) with vectors nohead lc rgb '#c9c9c9' lw 2 notitle, "
            "\\\n"
            "  '' skip 1 using 6:0 with points pt 6 lw 2 lc rgb '" RED "' title 'worst image', \\\n"
            "  '' skip 1 using 3:0:ytic(1) with points pt 7 lc rgb '" BLUE "' title 'mean'\n",
            n);
    finish_plot(s, LESSON);
}

/* ---- Pictures ----------------------------------------------------------------------------------------------- */

/* From its darkest value to its brightest, the dark ones lifted: most pixels of a micrograph are. */
static void add_input(sheet *s, const gr_tensor *x)
{
    gr_tensor *shown = need(gr_copy(x));
    float *v = gr_f32(shown), lo = v[0], hi = v[0];
    for (int64_t k = 0; k < gr_size(x); k++) lo = fminf(lo, v[k]), hi = fmaxf(hi, v[k]);
    for (int64_t k = 0; k < gr_size(x); k++) v[k] = hi > lo ? sqrtf((v[k] - lo) / (hi - lo)) : 0.0f;
    add_image(s, "input", v, gr_dim(x, 1));
    gr_tensor_free(shown);
}

/* What logits say: a mask beside the truth, or a label map. */
static void add_answer(sheet *s, const char *name, const gr_tensor *z, const gr_tensor *y)
{
    if (gr_dtype_of(y) == GR_F32) {
        add_mask(s, name, gr_read_f32(z), gr_read_f32(y));
        return;
    }
    gr_tensor *labels = largest(z);
    add_labels(s, name, gr_read_i32(labels));
    gr_tensor_free(labels);
}

static void add_truth(sheet *s, const gr_tensor *y)
{
    if (gr_dtype_of(y) == GR_F32) add_mask(s, "truth", gr_read_f32(y), gr_read_f32(y));
    else add_labels(s, "truth", gr_read_i32(y));
}

/* Input, truth, the guess and what each loss came to, for a few of the images held out, `worst` the last of them. */
static void draw_runs(const run runs[], int n, const gr_dataset *test, int64_t worst)
{
    gr_tensor *x = gr_dataset_x(test);
    const int classes = gr_dataset_classes(test);
    const int64_t all = gr_dataset_size(test), wanted = n > 1 ? 2 : 4, shown = all < wanted ? all : wanted;
    const int64_t pictures = 3 + n, columns = pictures > 6 ? 9 : pictures, rows = (pictures + columns - 1) / columns;
    sheet s = begin_sheet(shown * rows, columns, gr_dim(x, 2), gr_dim(x, 3));
    gr_tape *t = need(gr_tape_new());
    for (int64_t k = 0; k < shown; k++) {
        const int64_t i = k + 1 < shown ? k * all / shown : worst;
        gr_tensor *image = row_of(x, i), *truth = row_of(gr_dataset_y(test), i), *guessed = guess(image, classes);
        next_row(&s);
        add_input(&s, image);
        add_truth(&s, truth);
        add_answer(&s, guess_name(classes), guessed, truth);
        for (int r = 0; r < n; r++) {
            gr_tensor *z = look_at(t, &runs[r].m, image);
            add_answer(&s, runs[r].name, z, truth);
            gr_tensor_free(z);
        }
        gr_tensor_free(guessed);
        gr_tensor_free(truth);
        gr_tensor_free(image);
    }
    gr_tape_free(t);
    if (!classes)
        printf("In the picture white was found, red was said and is not there, blue is there and was missed.\n");
    finish_sheet(&s, LESSON);
}

/* ---- The page ----------------------------------------------------------------------------------------------- */

static void put_score(html_table *t, const char *name, const score *s, double seconds)
{
    const gr_metrics *m = &s->mean;
    put_cell(t, "%s", name);
    put_cell(t, "%.3f", m->iou);
    put_cell(t, "%.3f", m->dice);
    put_cell(t, "%.3f", m->sensitivity);
    put_cell(t, "%.3f", m->specificity);
    put_cell(t, "%.3f", s->worst);
    put_cell(t, seconds > 0.0 ? "%.1f" : "none", seconds);
}

/* Of masks, and of label maps. */
static const char *const what_it_is[] = {
    "trained anew with each loss from the same first weights, on the same images in the same order. Beside it stands "
    "Otsu&rsquo;s threshold, which needs no training: what does not beat it has learned nothing that the brightness of "
    "a pixel does not say. The 0-1 loss is there to show that nothing trains on it.",
    "trained with cross entropy to tell several classes apart. Beside it stands the answer that all is class 0, which "
    "needs no training. An image&rsquo;s numbers are means over the classes that occur in it."};
static const char *const what_is_seen[] = {
    "Held-out images, the truth, Otsu&rsquo;s threshold, and what each loss led to; last the image that the best loss "
    "did worst on. White: found. Red: said, and not there. Blue: there, and missed.",
    "Held-out images, the true classes, class 0 alone, and what the network says; last the image that it did worst on. "
    "Grey: ignored."};

static void write_part(const run runs[], int n, const score *untrained, int64_t classes)
{
    FILE *page = begin_part(LESSON);
    fprintf(page, "<p>A small convolutional network with skip connections, %s</p>\n", what_it_is[classes > 0]);
    if (!put_picture(page, LESSON, "Images, their true masks, and the masks that each loss leads to",
                     what_is_seen[classes > 0]))
        put_missing(page, "the picture <code>" LESSON ".png</code>, for which the library must be built with libpng "
                          "(<code>libpng-dev</code>). ");
    put_plot(page, LESSON, "Mean and worst Dice for each loss",
             "Dice on the images held out: the mean, and the worst image.");
    html_table t = BEGIN_HTML_TABLE(page, "<loss", "IoU", "Dice", "sensitivity", "specificity",
                                    "Dice of the worst image", "training (s)");
    put_score(&t, guess_name(classes), untrained, 0.0);
    for (int k = 0; k < n; k++) put_score(&t, runs[k].name, &runs[k].held_out, runs[k].seconds);
    end_html_table(&t, "Means over the images held out, of each image&rsquo;s number.");
    end_part(page);
}

void show_runs(const run runs[], int n, const score *untrained, const gr_dataset *test, const plan *p, int64_t worst)
{
    log_runs(runs, n, untrained, test, p);
    draw_scores(n);
    draw_runs(runs, n, test, worst);
    write_part(runs, n, untrained, gr_dataset_classes(test));
}

/* ---- One image of the reader's, at its own size ------------------------------------------------------------- */

/* The mask, of 0 and 255, or the label map, of classes, as a picture of its own; and what it is on the sheet. */
static void add_prediction(gr_tape *t, sheet *s, gr_tensor *z, const char *path)
{
    const int64_t h = gr_dim(z, 2), w = gr_dim(z, 3), classes = gr_dim(z, 1);
    gr_tensor *mask = need(gr_zeros(GR_F32, GR_SHAPE(h, w))), *labels = largest(z);
    double share[MOST_CLASSES + 1] = {0};
    for (int64_t k = 0; k < h * w; k++) {
        const int c = classes > 1 ? gr_read_i32(labels)[k] : gr_read_f32(z)[k] > 0.0f;
        gr_f32(mask)[k] = classes > 1 ? (float)c / 255.0f : (float)c;
        share[c] += 100.0 / (double)(h * w);
    }
    if (classes > 1) {
        add_labels(s, "classes", gr_read_i32(labels));
        for (int c = 0; c < classes; c++) printf("%s: %.1f %% of the pixels are of class %d\n", path, share[c], c);
    } else {
        add_image(s, "probability", gr_read_f32(need(gr_sigmoid(t, z))), 1);
        add_image(s, "mask", gr_read_f32(mask), 1);
        printf("%s: %.1f %% of the pixels are foreground\n", path, share[1]);
    }
    write_png("03_mask", mask);
    gr_tensor_free(labels);
    gr_tensor_free(mask);
}

void predict(const run *r, const char *path)
{
    const int64_t channels = gr_dim(r->m.weight[0], 1);
    gr_tensor *image = need(gr_png_read(path, (int)channels));
    const int64_t h = gr_dim(image, 1), w = gr_dim(image, 2);
    gr_tensor *x = need(gr_view(image, GR_SHAPE(1, channels, h, w)));
    standardize(x);
    gr_tape *t = need(gr_tape_new());
    gr_tensor *z = look_at(t, &r->m, x);
    sheet s = begin_sheet(1, gr_dim(z, 1) > 1 ? 2 : 3, h, w);
    add_input(&s, x);
    add_prediction(t, &s, z, path);
    finish_sheet(&s, "03_prediction");
    FILE *page = begin_part("03_prediction");
    put_picture(page, "03_prediction", "An image of the reader&rsquo;s and the mask predicted for it",
                "The image given with <code>--predict</code>.");
    end_part(page);
    gr_tape_free(t);
    gr_tensor_free(z);
    gr_tensor_free(x);
    gr_tensor_free(image);
}
