/* number.c: decimal text to a double, the same in every locale: strtod() takes what the locale calls a decimal point,
 * so it never gets to see one. */
#include <stdio.h>
#include <stdlib.h>

#include "data/internal.h"

/* sign digits * 10^exponent; digits without leading zeros. Those past the room only matter for the side on which a
 * number lies of what precedes them: `more` says that one of them was not 0. */
typedef struct decimal {
    char digits[48];
    int n;
    int64_t exponent;
    bool negative, any, more;
} decimal;

enum { MOST_DIGITS = 40 };

static const char *read_digits(const char *p, decimal *d, bool fraction)
{
    for (; *p >= '0' && *p <= '9'; p++) {
        bool leading = d->n == 0 && *p == '0', kept = !leading && d->n < MOST_DIGITS;
        d->any = true;
        if (kept) d->digits[d->n++] = *p;
        if (!leading && !kept) d->more |= *p != '0';
        if (fraction) d->exponent -= leading || kept;
        else d->exponent += !leading && !kept;
    }
    return p;
}

/* The exponent behind an e; NULL when there are no digits. */
static const char *read_exponent(const char *p, decimal *d)
{
    bool negative = *p == '-';
    if (*p == '+' || *p == '-') p++;
    if (*p < '0' || *p > '9') return NULL;
    int64_t e = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (e < INT64_MAX / 32) e = 10 * e + (*p - '0'); /* no file is long enough to make up for more */
    d->exponent += negative ? -e : e;
    return p;
}

static double value_of(decimal *d)
{
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (d->n == 0) return 0.0;
    if (d->n <= 15 && d->exponent >= -22 && d->exponent <= 22) { /* both factors are exact: one rounding */
        int64_t m = 0;
        for (int i = 0; i < d->n; i++) m = 10 * m + (d->digits[i] - '0');
        return d->exponent < 0 ? (double)m / power[-d->exponent] : (double)m * power[d->exponent];
    }
    if (d->more) {
        d->digits[d->n++] = '1';
        d->exponent--;
    }
    int64_t e = d->exponent < -9999 ? -9999 : d->exponent > 9999 ? 9999 : d->exponent;
    char text[80];
    snprintf(text, sizeof text, "%.*se%d", d->n, d->digits, (int)e);
    return strtod(text, NULL);
}

bool gr_parse_number(const char *p, double *value)
{
    decimal d = {.n = 0};
    while (*p == ' ' || *p == '\t') p++;
    d.negative = *p == '-';
    if (*p == '+' || *p == '-') p++;
    p = read_digits(p, &d, false);
    if (*p == '.') p = read_digits(p + 1, &d, true);
    if (!d.any) return false;
    if (*p == 'e' || *p == 'E') p = read_exponent(p + 1, &d);
    if (!p) return false;
    while (*p == ' ' || *p == '\t') p++;
    if (*p) return false;
    *value = d.negative ? -value_of(&d) : value_of(&d);
    return true;
}
