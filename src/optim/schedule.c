/* schedule.c: the learning rate as a function of the step. */
#include "optim/internal.h"

static const double pi = 3.14159265358979323846;

static bool is_rate(double x)
{
    return x >= 0.0 && isfinite(x);
}

/* What each kind needs, and its formula for s = 0, 1, ... after the warm-up. */
typedef struct kind {
    const char *name;
    bool gamma, period, final;
    double (*rate)(const gr_schedule *c, int64_t s);
} kind;

static double constant(const gr_schedule *c, int64_t s)
{
    (void)s;
    return c->base;
}

static double stairs(const gr_schedule *c, int64_t s)
{
    int64_t steps_down = s / c->period;
    return c->base * pow(c->gamma, (double)steps_down);
}

static double exponential(const gr_schedule *c, int64_t s)
{
    return c->base * pow(c->gamma, (double)s);
}

static double cosine(const gr_schedule *c, int64_t s)
{
    if (s >= c->period) return c->final;
    return c->final + (c->base - c->final) * (1.0 + cos(pi * ((double)s / (double)c->period))) / 2.0;
}

static const kind kinds[] = {
    [GR_CONSTANT] = {.name = "constant", .rate = constant},
    [GR_STEP] = {.name = "step", .gamma = true, .period = true, .rate = stairs},
    [GR_EXPONENTIAL] = {.name = "exponential", .gamma = true, .rate = exponential},
    [GR_COSINE] = {.name = "cosine", .period = true, .final = true, .rate = cosine},
};

static gr_status check(const gr_schedule *c, int64_t step)
{
    if (!c) return gr_fail_null("schedule_rate", "schedule");
    if ((size_t)c->kind >= sizeof kinds / sizeof *kinds)
        return gr_fail(GR_ERR_OPTION, "schedule_rate: no such kind: %d", (int)c->kind);
    const kind *k = &kinds[c->kind];
    if (!is_rate(c->base) || c->base == 0.0)
        return gr_fail(GR_ERR_OPTION, "schedule_rate: base is %g, expected a number above 0", c->base);
    if (k->gamma && (!is_rate(c->gamma) || c->gamma == 0.0))
        return gr_fail(GR_ERR_OPTION, "schedule_rate: gamma is %g, %s needs a number above 0", c->gamma, k->name);
    if (k->final && !is_rate(c->final))
        return gr_fail(GR_ERR_OPTION, "schedule_rate: final is %g, %s needs 0 or more", c->final, k->name);
    if (k->period && c->period < 1)
        return gr_fail(GR_ERR_OPTION, "schedule_rate: period is %lld, %s needs 1 or more", (long long)c->period,
                       k->name);
    if (c->warmup < 0)
        return gr_fail(GR_ERR_OPTION, "schedule_rate: warmup is %lld, expected 0 or more", (long long)c->warmup);
    if (step < 0) return gr_fail(GR_ERR_OPTION, "schedule_rate: step %lld is below 0", (long long)step);
    return GR_OK;
}

double gr_schedule_rate(const gr_schedule *c, int64_t step)
{
    if (check(c, step)) return (double)NAN;
    if (step < c->warmup) return c->base * (((double)step + 1.0) / ((double)c->warmup + 1.0));
    double rate = kinds[c->kind].rate(c, step - c->warmup);
    if (isfinite(rate)) return rate;
    gr_fail(GR_ERR_OPTION, "schedule_rate: gamma %g has grown the rate past every number at step %lld", c->gamma,
            (long long)step);
    return (double)NAN;
}
