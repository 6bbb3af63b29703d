/* zero_one.c: claim 10, the 0-1 loss (Eq. 3): no step of any optimizer moves a weight, and along a line of weights it
 * is a staircase, where hinge and BCE are convex. */
#include "claims.h"

enum { ZERO_ONE, HINGE, BCE, N_LOSSES };
static const char *const loss_names[N_LOSSES] = {"0-1", "hinge", "BCE"};

/* The three losses of Eq. 3 to 5 of a score; hinge wants its targets as -1 and +1. */
static gr_tensor *loss_of(gr_tape *t, int which, gr_tensor *z, gr_tensor *y)
{
    if (which == ZERO_ONE) return gr_zero_one(t, z, y, &from_logits);
    if (which == BCE) return gr_bce(t, z, y, &from_logits);
    return gr_hinge(t, z, gr_shift(t, gr_scale(t, y, 2.0), -1.0), NULL);
}

typedef struct points {
    gr_tensor *x, *y; /* [n,2], [n,1] */
} points;

static points make_points(int64_t seed, int64_t n)
{
    gr_rng rng = gr_rng_seed((uint64_t)seed + 1);
    gr_dataset *set = need(gr_make_blobs(n, 1.0, &rng));
    points p = {.x = need(gr_copy(gr_dataset_x(set))), .y = need(gr_zeros(GR_F32, GR_SHAPE(n, 1)))};
    for (int64_t i = 0; i < n; i++) check(gr_set(p.y, i, gr_get(gr_dataset_y(set), i)));
    gr_dataset_free(set);
    return p;
}

static void free_points(points *p)
{
    gr_tensor_free(p->x);
    gr_tensor_free(p->y);
}

/* ---- A hundred steps ---------------------------------------------------------------------------------------- */

enum { N_OPTIMIZERS = 4 };

static gr_optimizer *make_optimizer(int kind, gr_params *params)
{
    switch (kind) {
    case 0: return gr_sgd(params, &(gr_sgd_options){.lr = 0.1});
    case 1: return gr_sgd(params, &(gr_sgd_options){.lr = 0.1, .momentum = 0.9});
    case 2: return gr_adam(params, &(gr_adam_options){.lr = 0.1});
    default: return gr_rmsprop(params, &(gr_rmsprop_options){.lr = 0.1});
    }
}

static int differing(const gr_tensor *a, const gr_tensor *b)
{
    int count = 0;
    for (int64_t i = 0; i < gr_size(a); i++)
        count += memcmp(gr_read_f32(a) + i, gr_read_f32(b) + i, sizeof(float)) != 0;
    return count;
}

/* Trains a hundred steps; returns how many of the three weights are not the same bits as before. */
static int weights_moved(int which, int optimizer, int64_t seed)
{
    points p = make_points(seed, 200);
    gr_rng rng = gr_rng_seed((uint64_t)seed + 100);
    gr_params *params = need(gr_params_new());
    gr_tensor *w = need(gr_params_add(params, "w", gr_normal(GR_F32, GR_SHAPE(2, 1), 0.0, 0.5, &rng)));
    gr_tensor *b = need(gr_params_add(params, "b", gr_normal(GR_F32, GR_SHAPE(1), 0.0, 0.5, &rng)));
    gr_tensor *first_w = need(gr_copy(w)), *first_b = need(gr_copy(b));
    gr_optimizer *o = need(make_optimizer(optimizer, params));
    gr_tape *t = need(gr_tape_new());
    for (int step = 0; step < 100; step++) {
        check(gr_backward(t, need(loss_of(t, which, gr_linear(t, p.x, w, b), p.y)), 0));
        check(gr_step(o));
        gr_tape_reset(t);
    }
    const int moved = differing(first_w, w) + differing(first_b, b);
    gr_tape_free(t);
    gr_optimizer_free(o);
    gr_tensor_free(first_w);
    gr_tensor_free(first_b);
    gr_params_free(params);
    free_points(&p);
    return moved;
}

/* ---- Along a line of weights -------------------------------------------------------------------------------- */

/* z = w (x1 + x2) + 0.3, w from -3 to 3. Counts the inner places where a loss lies above the middle of its neighbours,
 * which a convex function never does, and the jumps of the 0-1 loss. */
static void walk(int64_t seed, FILE *csv, double above[N_LOSSES], double *jumps)
{
    enum { PLACES = 601 };
    static double l[N_LOSSES][PLACES];
    points p = make_points(seed, 40);
    gr_tape *t = need(gr_tape_new());
    gr_set_recording(t, false);
    gr_tensor *b = need(gr_full(GR_F32, GR_SHAPE(1), 0.3));
    *jumps = 0.0;
    for (int i = 0; i < PLACES; i++) {
        gr_tensor *w = need(gr_full(GR_F32, GR_SHAPE(2, 1), -3.0 + 0.01 * i));
        gr_tensor *z = gr_linear(t, p.x, w, b);
        for (int k = 0; k < N_LOSSES; k++) l[k][i] = gr_item(need(loss_of(t, k, z, p.y)));
        if (csv) fprintf(csv, "%.2f,%.9g,%.9g,%.9g\n", -3.0 + 0.01 * i, l[ZERO_ONE][i], l[HINGE][i], l[BCE][i]);
        *jumps += i && l[ZERO_ONE][i] != l[ZERO_ONE][i - 1];
        gr_tape_reset(t);
        gr_tensor_free(w);
    }
    for (int k = 0; k < N_LOSSES; k++) {
        above[k] = 0.0;
        for (int i = 1; i + 1 < PLACES; i++)
            above[k] += l[k][i] > 0.5 * (l[k][i - 1] + l[k][i + 1]) + 1e-5; /* F32 rounds */
    }
    gr_tensor_free(b);
    gr_tape_free(t);
    free_points(&p);
}

/* ---- The experiment ----------------------------------------------------------------------------------------- */

typedef struct counts {
    double moved[N_LOSSES][MAX_SEEDS], above[N_LOSSES][MAX_SEEDS], jumps[MAX_SEEDS];
} counts;

static void measure(const experiment *e, counts *c)
{
    FILE *csv = create_csv(name_of(e, "_stairs").text, "w,zero_one,hinge,bce");
    for (int64_t seed = 0; seed < seeds; seed++) {
        double above[N_LOSSES];
        walk(seed, seed ? NULL : csv, above, &c->jumps[seed]);
        for (int k = 0; k < N_LOSSES; k++) {
            c->above[k][seed] = above[k];
            for (int optimizer = 0; optimizer < N_OPTIMIZERS; optimizer++)
                c->moved[k][seed] += weights_moved(k, optimizer, seed);
        }
    }
    close_file(csv, "04_claim_10_stairs.csv");
}

static void tabulate(experiment *e, const counts *c)
{
    table t = BEGIN_TABLE(e, 1, "<loss", "weights moved, of 12", "places that are not convex");
    for (int k = 0; k < N_LOSSES; k++) {
        cell(&t, "%s", loss_names[k]);
        spread_cell(&t, 1, c->moved[k]);
        spread_cell(&t, 1, c->above[k]);
    }
    end_table(&t);
}

static void draw(experiment *e)
{
    FILE *g = begin_claim_plot(e);
    fprintf(g, "set xlabel 'weight w of z = w (x_1 + x_2) + 0.3'\nset ylabel 'mean loss of 40 points'\n"
               "set yrange [0:3]\nset key top right\n"
               "plot '04_claim_10_stairs.csv' using 1:2 with steps lw 2 lc rgb '" RED "' "
               "title '0-1: flat, with jumps', \\\n"
               "  '' using 1:3 with lines lw 2 lc rgb '" AMBER "' title 'hinge', \\\n"
               "  '' using 1:4 with lines lw 2 lc rgb '" BLUE "' title 'BCE'\n");
    end_claim_plot(e, g);
}

static finding test(experiment *e)
{
    counts c = {.jumps = {0}};
    measure(e, &c);
    tabulate(e, &c);
    draw(e);

    spread moved[N_LOSSES], above[N_LOSSES], jumps = spread_of(c.jumps);
    for (int k = 0; k < N_LOSSES; k++) moved[k] = spread_of(c.moved[k]), above[k] = spread_of(c.above[k]);
    bool stuck = moved[ZERO_ONE].most == 0.0, others = moved[HINGE].least > 0.0 && moved[BCE].least > 0.0;
    bool shape = above[ZERO_ONE].least > 0.0 && above[HINGE].most == 0.0 && above[BCE].most == 0.0;
    return found(stuck && others && shape ? HOLDS : FAILS,
                 "A hundred steps each of plain descent, momentum, Adam and RMSProp change %s bit of the weights "
                 "under the 0-1 loss, in %lld seeds; under hinge and BCE they move. "
                 "Along a line of weights it jumps %.0f +- %.0f times and is flat in between: "
                 "the gradient is 0 wherever there is one. "
                 "Hinge and BCE are convex there. "
                 "(Weight decay would move the weights, but that is not the loss.)",
                 stuck ? "not one" : "some", (long long)seeds, jumps.mean, jumps.sd);
}

const claim claim_zero_one = {
    .title = "Nothing trains on the 0-1 loss",
    .equation = "Eq. 3: 1 where the label is wrong, 0 where it is right",
    .sentence = "The 0-1 loss is not convex and not continuous. So it gives a gradient nothing to go by.",
    .run = "A linear classifier of points in the plane: "
           "a hundred steps of four optimizers, weights compared bit by bit; "
           "and the losses along a line of weights.",
    .test = test,
    .robust = true,
};
