/* Lesson 3, a tiny convolutional segmenter: one network (03_segmenter/net.h), trained once with each loss on images and
 * masks of your own or on generated ones, from the same first weights and with the same images in the same order.
 *
 * Beside every loss stands a threshold by Otsu's method, which needs no training: what does not beat it has learned
 * nothing that the brightness of a single pixel does not say. Pictures are judged one by one, and the mean is over
 * pictures. With label maps in the place of masks the network tells several classes apart. */
#include "03_segmenter/segmenter.h"
#include "03_segmenter/turns.h"

#include <time.h>

/* ---- Training ----------------------------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* What a training needs, besides the network. */
typedef struct trainer {
    gr_tape *tape;
    gr_batches *batches;
    gr_optimizer *adam;
    gr_schedule rate;
    gr_rng turns;
    int64_t step;
} trainer;

/* One pass over the images; returns the mean loss. */
static double train_epoch(trainer *t, const segmenter *m, int which)
{
    double sum = 0.0;
    for (; gr_batches_next(t->batches); t->step++) {
        gr_tensor *x = gr_batch_x(t->batches), *y = gr_batch_y(t->batches);
        for (int64_t i = 0; i < gr_dim(x, 0); i++) { /* images and masks alike */
            const int how = (int)gr_rng_below(&t->turns, ways(x));
            turn(x, i, how);
            turn(y, i, how);
        }
        /* The first batches' statistics make a plain mean, later ones take a tenth of it. */
        gr_tensor *z = segment(t->tape, m, x, fmax(0.1, 1.0 / (double)(t->step + 1)));
        gr_tensor *loss = need(losses[which].of(t->tape, z, y));
        check(gr_backward(t->tape, loss, 0));
        check(gr_set_learning_rate(t->adam, gr_schedule_rate(&t->rate, t->step)));
        check(gr_step(t->adam));
        sum += gr_item(loss);
        gr_tape_reset(t->tape);
    }
    return sum / (double)gr_batches_count(t->batches);
}

/* A mask is one number for each pixel. */
static int64_t outputs_of(int64_t classes) { return classes ? classes : 1; }

/* Every loss gets the same `rng`: the same first weights, the same batches, the same turns. */
static run train(const data *d, int which, const plan *p, gr_rng rng)
{
    run r = {.name = losses[which].name, .what = losses[which].what};
    r.history = calloc((size_t)p->epochs, sizeof(double));
    if (!r.history) fail("out of memory");
    gr_rng weights = gr_rng_split(&rng);
    r.params = segmenter_params(GR_F32, d->channels, outputs_of(d->classes), &weights);
    r.m = segmenter_of(r.params);
    trainer t = {.tape = need(gr_tape_new()), .turns = gr_rng_split(&rng)};
    t.batches = need(gr_batches_new(d->train, p->batch, &rng));
    t.adam = need(gr_adamw(r.params, &(gr_adam_options){.weight_decay = 0.01}));
    const int64_t steps = p->epochs * gr_batches_count(t.batches), warmup = steps / 20;
    t.rate = (gr_schedule){.kind = GR_COSINE, .base = p->rate, .period = steps - warmup, .warmup = warmup};

    const double start = now();
    for (int64_t epoch = 0; epoch < p->epochs; epoch++) {
        progress("%s: epoch %lld of %lld", r.name, (long long)epoch + 1, (long long)p->epochs);
        r.history[epoch] = train_epoch(&t, &r.m, which);
        if (!isfinite(r.history[epoch]))
            fail("%s: the loss is %g in epoch %lld: try a smaller --rate", r.name, r.history[epoch],
                 (long long)epoch + 1);
    }
    r.seconds = now() - start;
    end_progress();
    r.held_out = judge(t.tape, &r.m, d->test);
    gr_optimizer_free(t.adam);
    gr_batches_free(t.batches);
    gr_tape_free(t.tape);
    return r;
}

/* ---- The lesson --------------------------------------------------------------------------------------------- */

typedef struct settings {
    source from;
    plan plan;
    const char *loss, *save, *load, *predict;
    int first, last; /* of the losses */
    int64_t seed, side;
    double min_dice, min_worst;
} settings;

static void find_loss(settings *s)
{
    char known[512] = "";
    s->first = 0;
    s->last = N_LOSSES - 1;
    if (strcmp(s->loss, "all") == 0) return;
    for (int k = 0; k < N_LOSSES; k++) {
        if (strcmp(losses[k].name, s->loss) == 0) s->first = s->last = k;
        snprintf(known + strlen(known), sizeof known - strlen(known), " %s", losses[k].name);
    }
    if (s->first != s->last) refuse("--loss %s: expected all or one of%s", s->loss, known);
}

/* Which folders are there, and what is said of their masks. */
static void check_source(settings *s)
{
    const source *from = &s->from;
    if (!from->images != !from->masks) refuse("--images and --masks go together");
    if (!from->test_images != !from->test_masks) refuse("--test-images and --test-masks go together");
    if (from->test_images && !from->images && !s->load) refuse("--test-images needs --images, or --load");
    if (from->test_images && from->images && s->load)
        refuse("--load and --test-images: leave --images out, nothing is trained");
    if ((from->suffix || from->values || from->ignore) && !from->images && !from->test_images)
        refuse("--suffix, --values and --ignore are for folders of masks");
    if (!from->classes) return;
    if (from->classes == 1) refuse("--classes 1: expected 2 or more; leave it out for masks of one thing");
    if (!from->images && !from->test_images && !s->predict) refuse("--classes needs label maps: give --masks");
    if (strcmp(s->loss, "all") != 0 && strcmp(s->loss, "cross-entropy") != 0)
        refuse("--classes trains with cross-entropy, not with --loss %s", s->loss);
    s->loss = "cross-entropy";
}

static void check_settings(settings *s)
{
    const source *from = &s->from;
    check_source(s);
    find_loss(s);
    if (s->load && s->save) refuse("--load and --save: the file is there already");
    if (s->save && s->first != s->last) refuse("--save needs a --loss: of which are the weights?");
    if (s->predict && !s->load && s->first != s->last) refuse("--predict needs a --loss or --load");
    s->from.shapes.height = s->from.shapes.width = s->side;
    if (!s->plan.epochs) s->plan.epochs = from->images ? 80 : 20;
    if (quick) {
        s->plan.epochs = s->plan.epochs < 3 ? s->plan.epochs : 3;
        s->from.shapes.count = from->shapes.count < 24 ? from->shapes.count : 24;
    }
}

static settings read_settings(int argc, char *argv[])
{
    settings s = {.from = {.test_fraction = 0.25, .shapes = {.count = 64, .foreground = 0.1, .hard = 0.25}},
                  .plan = {.batch = 4, .rate = 0.01},
                  .loss = "all",
                  .seed = 1,
                  .side = 64};
    const option options[] = {
        {"--images", "DIR", "images, PNG", TEXT, &s.from.images, 0, 0},
        {"--masks", "DIR", "  masks of the same names, or a folder of several for an image", TEXT, &s.from.masks, 0, 0},
        {"--suffix", "TEXT", "  X_mask.png is the mask of X.png: _mask (none)", TEXT, &s.from.suffix, 0, 0},
        {"--values", "LIST", "  what is foreground: 128-255, 1,3, #ff0000, opaque (found out)", TEXT, &s.from.values, 0,
         0},
        {"--classes", "N", "  masks are label maps with so many classes", INTEGER, &s.from.classes, 1, MOST_CLASSES},
        {"--ignore", "LIST", "  and these values are none (255)", TEXT, &s.from.ignore, 0, 0},
        {"--test-images", "DIR", "  images to be judged on (a share of the others)", TEXT, &s.from.test_images, 0, 0},
        {"--test-masks", "DIR", "  and their masks", TEXT, &s.from.test_masks, 0, 0},
        {"--test-share", "S", "  the share held out (0.25)", NUMBER, &s.from.test_fraction, 0.01, 0.99},
        {"--resize", "N", "  to N x N pixels (as they are)", INTEGER, &s.from.size, 8, 2048},
        {"--samples", "N", "generated images, when no folder is given (64)", INTEGER, &s.from.shapes.count, 4, 100000},
        {"--side", "N", "  N x N pixels (64)", INTEGER, &s.side, 8, 2048},
        {"--foreground", "S", "  share of the pixels that is foreground (0.1)", NUMBER, &s.from.shapes.foreground,
         0.001, 0.9},
        {"--hard", "S", "  share of the images with a quarter of the contrast (0.25)", NUMBER, &s.from.shapes.hard, 0,
         1},
        {"--loss", "NAME", "mse, dice, dice-bce, ..., or all, one after the other (all)", TEXT, &s.loss, 0, 0},
        {"--epochs", "N", "passes over the training images (20; 80 with --images)", INTEGER, &s.plan.epochs, 1, 1e6},
        {"--batch", "N", "images in a step (4)", INTEGER, &s.plan.batch, 1, 1e6},
        {"--rate", "R", "the largest step size of AdamW (0.01)", NUMBER, &s.plan.rate, 1e-6, 10},
        {"--seed", "N", "of images, split, first weights and order (1)", INTEGER, &s.seed, 0, 1e15},
        {"--save", "FILE", "write the trained weights, safetensors", TEXT, &s.save, 0, 0},
        {"--load", "FILE", "take these weights instead of training", TEXT, &s.load, 0, 0},
        {"--predict", "IMAGE", "segment this image; with --load and no folders, do nothing else", TEXT, &s.predict, 0,
         0},
        {"--min-dice", "D", "fail unless the best mean Dice is D", NUMBER, &s.min_dice, 0, 1},
        {"--min-worst", "D", "fail unless the best loss's worst image has a Dice of D", NUMBER, &s.min_worst, 0, 1},
    };
    read_options(
        argc, argv,
        "Lesson 3: a tiny convolutional segmenter, trained with each loss on your images or on generated ones.",
        options, COUNT(options));
    check_settings(&s);
    return s;
}

/* The weights of a file instead of training, for 1 or 3 channels, whichever its first convolution has. A failure
 * leaves the parameters untouched. */
static run load_run(const char *path, int64_t channels, int64_t classes)
{
    gr_rng rng = gr_rng_seed(0);
    run r = {.name = "loaded", .what = "the weights loaded"};
    r.params = segmenter_params(GR_F32, channels, outputs_of(classes), &rng);
    const gr_status status = gr_params_load(r.params, path);
    if (status == GR_ERR_SHAPE && channels == 1) {
        gr_params_free(r.params);
        return load_run(path, 3, classes);
    }
    check(status);
    r.m = segmenter_of(r.params);
    return r;
}

static void free_run(run *r)
{
    gr_params_free(r->params);
    free(r->history);
}

/* Says which has the best mean, and what that is worst at. */
static const run *best_of(const run runs[], int n, const gr_dataset *test)
{
    const run *best = runs;
    for (int k = 1; k < n; k++)
        if (runs[k].held_out.mean.dice > best->held_out.mean.dice) best = &runs[k];
    const char *worst = gr_dataset_sample_name(test, best->held_out.which);
    printf("\n");
    if (n > 1) printf("The best mean Dice is that of %s.\n", best->name);
    if (worst) printf("The worst image of %s is %s.\n", best->name, worst);
    return best;
}

/* Trains with each loss that is asked for, unless runs[0] has been loaded; returns how many runs there are. */
static int run_all(run runs[N_LOSSES], const data *d, const settings *s, gr_rng rng)
{
    int n = 0;
    if (s->load) {
        gr_tape *t = need(gr_tape_new());
        runs[n].held_out = judge(t, &runs[n].m, d->test);
        gr_tape_free(t);
        print_score(runs[n].what, &runs[n].held_out, 0.0);
        return 1;
    }
    for (int k = s->first; k <= s->last; k++, n++) {
        runs[n] = train(d, k, &s->plan, rng);
        print_score(runs[n].what, &runs[n].held_out, runs[n].seconds);
    }
    return n;
}

int main(int argc, char *argv[])
{
    const settings s = read_settings(argc, argv);
    run runs[N_LOSSES] = {{.name = NULL}};
    if (s.load) runs[0] = load_run(s.load, 1, s.from.classes);
    if (s.load && s.predict && !s.from.images && !s.from.test_images) {
        predict(&runs[0], s.predict);
        free_run(&runs[0]);
        return 0;
    }
    gr_rng rng = gr_rng_seed((uint64_t)s.seed);
    data d = load(&s.from, s.load ? gr_dim(runs[0].m.weight[0], 1) : 0, &rng);
    const score untrained = judge(NULL, NULL, d.test);
    print_head();
    print_score(d.classes ? "class 0 everywhere, no training" : "Otsu's threshold, no training", &untrained, 0.0);
    const int n = run_all(runs, &d, &s, rng);
    const run *best = best_of(runs, n, d.test);
    print_classes(&best->held_out, d.classes);
    show_runs(runs, n, &untrained, d.test, &s.plan, best->held_out.which);
    if (s.save) {
        check(gr_params_save(best->params, s.save));
        printf("saved: %s, %lld parameters\n", s.save, (long long)gr_params_elements(best->params));
    }
    if (s.predict) predict(best, s.predict);

    const double dice = best->held_out.mean.dice, worst = best->held_out.worst;
    for (int k = 0; k < n; k++) free_run(&runs[k]);
    gr_dataset_free(d.train);
    gr_dataset_free(d.test);
    if (dice < s.min_dice) fail("the mean Dice came to %.4f, wanted %g", dice, s.min_dice);
    if (worst < s.min_worst) fail("the worst image has a Dice of %.3f, wanted %g", worst, s.min_worst);
    return 0;
}
