/* segmenter.h: what the files of lesson 3 share: 03_segmenter.c, the training; net.h, the network; data.c, its images;
 * losses.c, all losses by name; judge.c, the metrics; results.c, pictures and tables. */
#ifndef LESSONS_SEGMENTER_H
#define LESSONS_SEGMENTER_H

#include "../common.h"
#include "net.h"

/* ---- Data --------------------------------------------------------------------------------------------------- */

typedef struct source {
    const char *images, *masks, *test_images, *test_masks; /* folders; NULL: generated */
    const char *suffix, *values, *ignore;                  /* of the masks, as the library has them */
    int64_t classes;                                       /* of label maps; 0: masks */
    int64_t size;                                          /* resized to so many pixels on a side; 0: as they are */
    double test_fraction;
    gr_shapes_options shapes;
} source;

typedef struct data {
    gr_dataset *train, *test; /* x [n,C,H,W], y [n,1,H,W] in {0,1} or I32 [n,H,W]; train NULL: there is only a test */
    int64_t channels, classes;
} data;

enum { MOST_CLASSES = 255, IGNORED = 255 }; /* in label maps */

/* Reads or makes the images, of so many channels (0: as they are), splits them, and says what they are. */
data load(const source *s, int64_t channels, gr_rng *rng);

/* Images come brighter and darker: each to mean 0 and standard deviation 1, by its own pixels alone. */
void standardize(gr_tensor *images);

/* ---- The losses --------------------------------------------------------------------------------------------- */

typedef struct named_loss {
    const char *name, *what;
    gr_tensor *(*of)(gr_tape *t, gr_tensor *z, gr_tensor *y); /* logits z [N,1,H,W] against masks y of that shape */
} named_loss; /* cross entropy also takes logits [N,K,H,W] and label maps, I32 [N,H,W] */

enum { N_LOSSES = 24 };
extern const named_loss losses[N_LOSSES];

/* ---- Judging ------------------------------------------------------------------------------------------------ */

/* Means over the images, each judged by itself, and the worst of them. Of several classes an image's Dice is the mean
 * of those that occur in it, and images that are ignored all over do not count. */
typedef struct score {
    gr_metrics mean;
    double worst; /* Dice */
    int64_t which, images;
    gr_confusion of_class[MOST_CLASSES]; /* all images together */
} score;

/* The network on each image of a set; without a network (m NULL) what guess() makes of them. */
score judge(gr_tape *t, const segmenter *m, const gr_dataset *set);

/* Image i of a set as [1,C,H,W], a view: yours. */
gr_tensor *row_of(gr_tensor *images, int64_t i);

/* Logits [1,K,H,W] of an image [1,C,H,W], yours: by the network, and without training. That is by Otsu's threshold;
 * of several classes it is class 0 everywhere. */
gr_tensor *look_at(gr_tape *t, const segmenter *m, const gr_tensor *image);
gr_tensor *guess(const gr_tensor *image, int64_t classes);
const char *guess_name(int64_t classes);

/* The class of the largest logit at each pixel, I32 [1,H,W]: yours. */
gr_tensor *largest(const gr_tensor *z);

/* ---- Training and results ----------------------------------------------------------------------------------- */

typedef struct plan {
    int64_t epochs, batch;
    double rate;
} plan;

typedef struct run {
    const char *name, *what;
    gr_params *params;
    segmenter m;     /* of those parameters */
    double *history; /* mean training loss of each epoch; NULL: loaded, not trained */
    score held_out;
    double seconds; /* of training */
} run;

/* The table on the terminal, a row as soon as it is known. */
void print_head(void);
void print_score(const char *what, const score *s, double seconds);

/* Of several classes: the Dice of each. */
void print_classes(const score *s, int64_t classes);

/* Logs, draws and writes the page of n runs beside what needs no training; of the pictures, the last is `worst`. */
void show_runs(const run runs[], int n, const score *untrained, const gr_dataset *test, const plan *p, int64_t worst);

/* Segments one image of the reader's, a PNG of any size: its probabilities and its mask as pictures. */
void predict(const run *r, const char *path);

#endif
