/* claims.h: the bench on which lesson 4 puts the paper's claims to the test, and the list of its experiments.
 *
 * tables.c has means, spreads and tables, pixels.c a small classifier of pixels and its images. Each of the other files
 * is an experiment with the claims that it tests: what the paper says, what was run, and the verdict. */
#ifndef LESSONS_CLAIMS_H
#define LESSONS_CLAIMS_H

#include "../page.h"

/* ---- A claim and its experiment ----------------------------------------------------------------------------- */

enum { MAX_SEEDS = 64 };
extern int64_t seeds; /* how many runs each experiment makes */

typedef enum verdict { HOLDS, FAILS, DEPENDS } verdict;

typedef struct finding {
    verdict verdict;
    char why[1000];
} finding;

finding found(verdict v, const char *format, ...) GR_PRINTF(2, 3);

/* Where the experiment of a claim puts its tables and plots. */
typedef struct experiment {
    int claim; /* its number, from 1 on */
    const char *title;
    FILE *page;
} experiment;

typedef struct claim {
    const char *title, *equation, *sentence, *run;
    finding (*test)(experiment *e);
    bool robust; /* the lesson fails unless it holds */
} claim;

extern const claim claim_saturation;     /*  1, saturation.c */
extern const claim claim_weighted_bce;   /*  2, trades.c */
extern const claim claim_balanced_bce;   /*  3, rare_foreground.c */
extern const claim claim_focal;          /*  4, focal.c */
extern const claim claim_sensitivity;    /*  5, trades.c */
extern const claim claim_dice;           /*  6, rare_foreground.c */
extern const claim claim_tversky;        /*  7, trades.c */
extern const claim claim_focal_tversky;  /*  8, focal_tversky.c */
extern const claim claim_kl;             /*  9, kl.c */
extern const claim claim_zero_one;       /* 10, zero_one.c */
extern const claim claim_mse_not_convex; /* 11, convexity.c */

/* ---- Spreads and tables (tables.c) -------------------------------------------------------------------------- */

typedef struct spread {
    double mean, sd, least, most;
} spread;

/* Of a number that every seed has. */
spread spread_of(const double v[]);

/* A table, printed, logged as DIR/04_claim_NN_table_N.csv and put into the page at once. */
typedef struct table {
    html_table html;
    FILE *csv;
    int width[MAX_COLUMNS];
} table;

/* A heading of words begins with <, as in page.h. */
table begin_table(experiment *e, int number, int n, const char *const headings[]);
#define BEGIN_TABLE(e, number, ...) \
    begin_table(e, number, COUNT(((const char *[]){__VA_ARGS__})), (const char *[]){__VA_ARGS__})

void cell(table *t, const char *format, ...) GR_PRINTF(2, 3);
void spread_cell(table *t, int digits, const double v[]); /* "12.3 +- 0.4", with so many digits after the point */
void end_table(table *t);

/* "04_claim_03_seeds" */
typedef struct result_name {
    char text[40];
} result_name;
result_name name_of(const experiment *e, const char *suffix);

/* The plot of an experiment, DIR/04_claim_NN.svg. */
FILE *begin_claim_plot(const experiment *e);
void end_claim_plot(experiment *e, FILE *script);

/* ---- Pixels to classify (pixels.c) -------------------------------------------------------------------------- */

enum { SIDE = 32 };

typedef struct pixels {
    gr_tensor *x; /* [images * SIDE * SIDE, 3] */
    gr_tensor *y; /* [images, 1, SIDE, SIDE]: 1 is foreground */
} pixels;

/* What a seed stands for: images to train on, images to judge by, first weights. The same for every loss. */
typedef struct trial {
    pixels train, test;
    gr_rng weights;
} trial;

/* With a fraction of foreground; `hard` is the fraction of images with a quarter of the contrast. */
trial make_trial(int64_t seed, double foreground, double hard);
void free_trial(trial *r);

typedef struct model {
    gr_params *params;
    gr_tensor *w1, *b1, *w2, *b2;
} model;

gr_tensor *logits_of(gr_tape *t, const model *m, const pixels *p);

/* A loss of logits against masks, with the one number that an experiment varies. */
typedef gr_tensor *(*loss_function)(gr_tape *t, gr_tensor *z, gr_tensor *y, double value);

extern const gr_loss_options from_logits;
gr_tensor *bce(gr_tape *t, gr_tensor *z, gr_tensor *y, double unused);
gr_tensor *tversky(gr_tape *t, gr_tensor *z, gr_tensor *y, double beta);

/* Free its params when you are done. */
model train(const trial *r, loss_function loss_of, double value);

/* In percent, over all pixels: the foreground that was missed, the background that was taken for foreground. */
typedef struct score {
    double fn, fp, dice;
} score;

score judge(const model *m, const pixels *p, double threshold);

/* The threshold on the logit that gives the best Dice on the images that were trained on; 0 is p = 1/2. */
double best_threshold(const model *m, const pixels *p);

#endif
