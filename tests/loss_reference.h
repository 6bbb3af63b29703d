/* loss_reference.h: the losses once more, position by position, as their table of definitions writes them: plain loops
 * in long double, sharing nothing with the library. Beside each number stands the sum of the sizes of its terms: where
 * terms cancel, rounding is as large as they are, whatever the sum is. */
#ifndef GR_TESTS_LOSS_REFERENCE_H
#define GR_TESTS_LOSS_REFERENCE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

typedef long double exact;

typedef struct point {
    exact value, slope, value_size, slope_size;
} point;

static exact above(exact x, exact least) { return x < least ? least : x; }

static exact softplus_of(exact x) { return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x))); }

static exact sigmoid_of(exact x) { return x >= 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x)); }

/* ---- One number against one number; `tiny` is the smallest normal number of the dtype ------------------------- */

static point l1_at(bool logits, exact p, exact y, exact tiny)
{
    (void)logits, (void)tiny;
    const exact d = p - y;
    return (point){fabsl(d), (d > 0) - (d < 0), fabsl(d), 1};
}

static point mse_at(bool logits, exact p, exact y, exact tiny)
{
    (void)logits, (void)tiny;
    const exact d = p - y;
    return (point){d * d, 2 * d, d * d, 2 * fabsl(d)};
}

static point zero_one_at(bool logits, exact p, exact y, exact tiny)
{
    (void)tiny;
    const bool label = logits ? p > 0 : p > 0.5L;
    return (point){label != (y == 1), 0, 1, 0};
}

static point hinge_at(bool logits, exact x, exact y, exact tiny)
{
    (void)logits, (void)tiny;
    const exact l = 1 - y * x;
    return l > 0 ? (point){l, -y, l, 1} : (point){0, 0, 0, 0};
}

static point bce_at(bool logits, exact p, exact y, exact tiny)
{
    point r;
    if (logits) {
        const exact positive = y * sigmoid_of(-p), negative = (1 - y) * sigmoid_of(p);
        r.value = r.value_size = (1 - y) * softplus_of(p) + y * softplus_of(-p);
        r.slope = negative - positive;
        r.slope_size = negative + positive;
    } else {
        const exact positive = y / above(p, tiny), negative = (1 - y) / above(1 - p, tiny);
        const exact log_not_p = 1 - p < tiny ? logl(tiny) : log1pl(-p);
        r.value = r.value_size = -(y * logl(above(p, tiny)) + (1 - y) * log_not_p);
        r.slope = negative - positive;
        r.slope_size = negative + positive;
    }
    return r;
}

/* ---- One row of classes ------------------------------------------------------------------------------------- */

enum { MOST_CLASSES = 300 };

typedef struct row {
    exact value, value_size, slope[MOST_CLASSES], slope_size[MOST_CLASSES];
} row;

/* sum_c w_c t_c (log t_c - log p_c), the first term for KL only; w may be NULL. */
static void class_row(row *r, bool kl, bool logits, int64_t n, const exact x[], const exact t[], const double w[],
                      exact tiny)
{
    exact e[MOST_CLASSES], e_size[MOST_CLASSES], T[MOST_CLASSES], sum = 0;
    int64_t top = 0;
    for (int64_t c = 0; c < n; c++) top = x[c] > x[top] ? c : top;
    for (int64_t c = 0; c < n; c++) {
        e[c] = expl(x[c] - x[top]);
        e_size[c] = e[c] * (1 + x[top] - x[c]); /* rounding the difference moves its exponential by as much */
        sum += e[c];
        T[c] = w ? (exact)w[c] * t[c] : t[c];
    }
    *r = (row){.value = 0};
    for (int64_t c = 0; c < n; c++) {
        exact T_others = 0, others = 0, others_size = 0, beside_top = 0, beside_top_size = 0; /* sums, no differences */
        for (int64_t k = 0; k < n; k++) {
            T_others += k == c ? 0 : T[k];
            others += k == c ? 0 : e[k] / sum;
            others_size += k == c ? 0 : e_size[k] / sum;
            beside_top += k == top ? 0 : e[k];
            beside_top_size += k == top ? 0 : e_size[k];
        }
        const exact p = above(x[c], tiny), log_t = kl && t[c] > 0 ? logl(t[c]) : 0;
        const exact minus_log_p = logits ? x[top] - x[c] + log1pl(beside_top) : -logl(p);
        const exact its_size = logits ? x[top] - x[c] + log1pl(beside_top_size) : -logl(p);
        r->value += T[c] > 0 ? T[c] * (log_t + minus_log_p) : 0;
        r->value_size += T[c] > 0 ? T[c] * (fabsl(log_t) + its_size) : 0;
        r->slope[c] = logits ? e[c] / sum * T_others - T[c] * others : -T[c] / p;
        r->slope_size[c] = logits ? e_size[c] / sum * T_others + T[c] * others_size : T[c] / p;
    }
}

#endif
