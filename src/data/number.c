/* number.c: decimal text to a double, the same in every locale. strtod() reads the locale's decimal point, so it is
 * only given digits and an exponent. */
#include <stdio.h>
#include <stdlib.h>

#include "data/internal.h"

/* The number +-digits * 10^exponent, without leading zeros. */
typedef struct parsed {
    char digits[48];
    int n;
    int64_t exponent;
    bool negative;
    bool any;  /* there was a digit, which may have been a leading 0 */
    bool more; /* a digit that is not 0 came after the MOST_DIGITS that are kept: the number is a little larger */
} parsed;

enum { MOST_DIGITS = 40 };

/* Reads digits in front of the point or behind it; returns what follows them. */
static const char *read_digits(const char *p, parsed *d, bool fraction)
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

/* Reads the exponent behind an e; returns what follows it, NULL where there are no digits. */
static const char *read_exponent(const char *p, parsed *d)
{
    bool negative = *p == '-';
    if (*p == '+' || *p == '-') p++;
    if (*p < '0' || *p > '9') return NULL;
    int64_t e = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (e < INT64_MAX / 32)
            e = 10 * e + (*p - '0'); /* a larger exponent changes nothing: no file has as many digits */
    d->exponent += negative ? -e : e;
    return p;
}

/* |number| */
static double value_of(parsed *d)
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
    parsed d = {.n = 0};
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
