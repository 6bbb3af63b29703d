/* rare_foreground.c: claims 3 and 6, losses that are meant for rare foreground, B-BCE and Dice, against plain BCE. */
#include "claims.h"

/* ---- Two losses at a fraction of foreground ----------------------------------------------------------------- */

/* Two losses, and the fractions of foreground at which they are compared. */
typedef struct pair {
    const char *names[2];
    loss_function losses[2];
    int n;
    double foreground[2];
} pair;

/* How a loss did on each seed; `tuned` with the threshold that is best on the images trained on, instead of p = 1/2. */
typedef struct series {
    double fn[MAX_SEEDS], fp[MAX_SEEDS], dice[MAX_SEEDS], tuned[MAX_SEEDS];
} series;

static void train_pair(const pair *p, double foreground, series out_of[2], FILE *csv)
{
    for (int64_t seed = 0; seed < seeds; seed++) {
        trial r = make_trial(seed, foreground, 0.0);
        for (int k = 0; k < 2; k++) {
            model m = train(&r, p->losses[k], 0.0);
            score s = judge(&m, &r.test, 0.0);
            series *o = &out_of[k];
            o->fn[seed] = s.fn, o->fp[seed] = s.fp, o->dice[seed] = s.dice;
            o->tuned[seed] = judge(&m, &r.test, best_threshold(&m, &r.train)).dice;
            fprintf(csv, "%g,%s,%lld,%.6g,%.6g,%.6g,%.6g\n", 100.0 * foreground, p->names[k], (long long)seed, s.fn,
                    s.fp, s.dice, o->tuned[seed]);
            gr_params_free(m.params);
        }
        free_trial(&r);
    }
}

static void tabulate(experiment *e, const pair *p, series got[][2])
{
    table t = BEGIN_TABLE(e, 1, "<loss", "Dice (%)", "Dice, tuned threshold (%)", "missed foreground (%)",
                          "false alarms (%)");
    for (int i = 0; i < p->n; i++)
        for (int k = 0; k < 2; k++) {
            cell(&t, "%s at %g %%", p->names[k], 100.0 * p->foreground[i]);
            spread_cell(&t, 1, got[i][k].dice);
            spread_cell(&t, 1, got[i][k].tuned);
            spread_cell(&t, 1, got[i][k].fn);
            spread_cell(&t, 2, got[i][k].fp);
        }
    end_table(&t);
}

/* Each seed's Dice under both losses, side by side. */
static void draw(experiment *e, const pair *p)
{
    FILE *g = begin_claim_plot(e);
    fprintf(g, "set ylabel 'Dice on held-out images, in %%'\nset xrange [-0.5:%g]\nset xtics (", 2.0 * p->n - 0.5);
    for (int i = 0; i < 2 * p->n; i++) fprintf(g, "%s'%s' %d", i ? "," : "", p->names[i % 2], i);
    fprintf(g, ")\nset xlabel '");
    for (int i = 0; i < p->n; i++)
        fprintf(g, "%s%g %% foreground", i ? "                              " : "", 100.0 * p->foreground[i]);
    fprintf(g, "'\nset key bottom right\nset offsets 0,0,1,4\nplot ");
    for (int i = 0; i < p->n; i++)
        for (int64_t seed = 0; seed < seeds; seed++)
            fprintf(g,
                    "%s'04_claim_%02d_seeds.csv' using ($1==%g && $3==%lld ? (strcol(2) eq '%s' ? %d : %d) : NaN):6 "
                    "with linespoints lw 1.5 pt 7 ps 0.6 lc rgb '" BLUE "' %s",
                    i + seed ? ", \\\n  " : "", e->claim, 100.0 * p->foreground[i], (long long)seed, p->names[0], 2 * i,
                    2 * i + 1, i + seed ? "notitle" : "title 'one line a seed'");
    fprintf(g, "\n");
    end_claim_plot(e, g);
}

static void compare(experiment *e, const pair *p, series got[][2])
{
    const result_name name = name_of(e, "_seeds");
    FILE *csv = create_csv(name.text, "foreground_percent,loss,seed,false_negatives_percent,false_positives_percent,"
                                      "dice_percent,dice_tuned_percent");
    for (int i = 0; i < p->n; i++) train_pair(p, p->foreground[i], got[i], csv);
    close_file(csv, name.text);
    tabulate(e, p, got);
    draw(e, p);
}

/* Each seed's second less its first. */
static spread difference(const double first[], const double second[])
{
    double d[MAX_SEEDS] = {0};
    for (int64_t i = 0; i < seeds; i++) d[i] = second[i] - first[i];
    return spread_of(d);
}

static int64_t seeds_above(const double first[], const double second[])
{
    int64_t n = 0;
    for (int64_t i = 0; i < seeds; i++) n += second[i] > first[i];
    return n;
}

/* When tuning the threshold takes most of a difference away, the difference was one of thresholds. */
static const char *moves_the_threshold(const spread *d, const spread *tuned)
{
    return fabs(tuned->mean) < 0.5 * fabs(d->mean) ? ": what the loss changed was mostly the threshold" : "";
}

/* ---- 3: balanced cross entropy (Eq. 11) --------------------------------------------------------------------- */

static gr_tensor *balanced_bce(gr_tape *t, gr_tensor *z, gr_tensor *y, double unused)
{
    (void)unused;
    return gr_balanced_bce(t, z, y, &(gr_balanced_bce_options){.base = from_logits});
}

static finding balanced_against_plain(experiment *e)
{
    const pair p = {.names = {"BCE", "B-BCE"}, .losses = {bce, balanced_bce}, .n = 1, .foreground = {0.03}};
    series got[1][2];
    compare(e, &p, got);
    const series *a = &got[0][0], *b = &got[0][1];
    int64_t fewer_missed = seeds - seeds_above(a->fn, b->fn), better = seeds_above(a->dice, b->dice);
    spread fn = difference(a->fn, b->fn), fp = difference(a->fp, b->fp);
    spread d = difference(a->dice, b->dice), tuned = difference(a->tuned, b->tuned);
    verdict v = fewer_missed == seeds && better == seeds ? HOLDS : fewer_missed == 0 && better == 0 ? FAILS : DEPENDS;
    return found(v,
                 "B-BCE misses less of the foreground in %lld of %lld seeds (%+.1f +- %.1f points) "
                 "and pays with false alarms (%+.2f +- %.2f points). "
                 "With so much background these weigh heavily: its Dice is higher in %lld of %lld seeds "
                 "(%+.1f +- %.1f points). "
                 "With a threshold chosen on the training images instead of p = 1/2 "
                 "the difference in Dice is %+.1f +- %.1f points%s. "
                 "Whether it is better depends on what a miss costs beside a false alarm.",
                 (long long)fewer_missed, (long long)seeds, fn.mean, fn.sd, fp.mean, fp.sd, (long long)better,
                 (long long)seeds, d.mean, d.sd, tuned.mean, tuned.sd, moves_the_threshold(&d, &tuned));
}

const claim claim_balanced_bce = {
    .title = "B-BCE on skewed data",
    .equation = "Eq. 11: -(beta y log p + (1-beta)(1-y) log(1-p)), beta = 1 - (sum of y)/(H W)",
    .sentence = "Balanced cross entropy weighs both classes by the other's share, "
                "which is meant for skewed data, where plain BCE is for balanced classes.",
    .run = "BCE against B-BCE where 3 % of the pixels are foreground; "
           "held-out images, threshold p = 1/2 and tuned.",
    .test = balanced_against_plain,
};

/* ---- 6: Dice (Eq. 17) --------------------------------------------------------------------------------------- */

static gr_tensor *dice(gr_tape *t, gr_tensor *z, gr_tensor *y, double unused)
{
    (void)unused;
    return gr_dice(t, z, y, &(gr_overlap_options){.base.from_logits = true});
}

static finding dice_against_bce(experiment *e)
{
    const pair p = {.names = {"BCE", "Dice"}, .losses = {bce, dice}, .n = 2, .foreground = {0.03, 0.2}};
    series got[2][2];
    compare(e, &p, got);
    spread d[2], tuned[2];
    int64_t better[2];
    for (int i = 0; i < 2; i++) {
        d[i] = difference(got[i][0].dice, got[i][1].dice);
        tuned[i] = difference(got[i][0].tuned, got[i][1].tuned);
        better[i] = seeds_above(got[i][0].dice, got[i][1].dice);
    }
    /* An advantage where foreground is rare: in most seeds, and larger than where it is not. */
    bool rare = d[0].mean > 2.0 * d[0].sd / sqrt((double)seeds), more = d[0].mean > d[1].mean;
    verdict v = rare && more && d[1].mean < 0.5 * d[0].mean ? HOLDS : rare || more ? DEPENDS : FAILS;
    return found(v,
                 "Dice less BCE, in points of the Dice score: "
                 "%+.1f +- %.1f at 3 %% foreground, above 0 in %lld of %lld seeds; "
                 "%+.1f +- %.1f at 20 %%, above 0 in %lld. "
                 "With a threshold chosen on the training images instead of p = 1/2 "
                 "it is %+.1f +- %.1f at 3 %% and %+.1f +- %.1f at 20 %%%s.",
                 d[0].mean, d[0].sd, (long long)better[0], (long long)seeds, d[1].mean, d[1].sd, (long long)better[1],
                 tuned[0].mean, tuned[0].sd, tuned[1].mean, tuned[1].sd, moves_the_threshold(&d[0], &tuned[0]));
}

const claim claim_dice = {
    .title = "Dice where foreground is rare",
    .equation = "Eq. 17: 1 - (2 TP + e)/(sum of p + sum of y + e)",
    .sentence = "A loss of the overlap does not drown in background as BCE does. "
                "It should be ahead at 3 % foreground, and about even at 20 %.",
    .run = "BCE against Dice at 3 % and at 20 % foreground; held-out images, threshold p = 1/2 and tuned.",
    .test = dice_against_bce,
};
