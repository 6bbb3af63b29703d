/* schedule.c: the learning rate as a function of the step. */
#include "optim/internal.h"

static const double pi = 3.14159265358979323846;

static bool is_rate(double x) { return x >= 0.0 && isfinite(x); }

/* A kind of schedule. */
typedef struct schedule_kind {
    const char *name;
    bool gamma, period, final;                       /* the numbers that it has */
    double (*rate)(const gr_schedule *c, int64_t s); /* s = 0, 1, ... counts from the end of the warm-up */
} schedule_kind;

static double constant_rate(const gr_schedule *c, int64_t s)
{
    (void)s;
    return c->base;
}

static double step_rate(const gr_schedule *c, int64_t s)
{
    int64_t times = s / c->period;
    return c->base * pow(c->gamma, (double)times);
}

static double exponential_rate(const gr_schedule *c, int64_t s) { return c->base * pow(c->gamma, (double)s); }

static double cosine_rate(const gr_schedule *c, int64_t s)
{
    if (s >= c->period) return c->final;
    return c->final + (c->base - c->final) * (1.0 + cos(pi * ((double)s / (double)c->period))) / 2.0;
}

static const schedule_kind kinds[] = {
    [GR_CONSTANT] = {.name = "constant", .rate = constant_rate},
    [GR_STEP] = {.name = "step", .gamma = true, .period = true, .rate = step_rate},
    [GR_EXPONENTIAL] = {.name = "exponential", .gamma = true, .rate = exponential_rate},
    [GR_COSINE] = {.name = "cosine", .period = true, .final = true, .rate = cosine_rate},
};
_Static_assert(GR_COUNT(kinds) == GR_N_SCHEDULE_KINDS, "each kind of schedule has a row");

static gr_status check_schedule(const gr_schedule *c, int64_t step)
{
    if (!c) return gr_fail_null("schedule_rate", "schedule");
    if ((int)c->kind < 0 || c->kind >= GR_N_SCHEDULE_KINDS)
        return gr_fail(GR_ERR_OPTION, "schedule_rate: no such kind: %d", (int)c->kind);
    const schedule_kind *k = &kinds[c->kind];
    if (!is_rate(c->base) || c->base == 0.0)
        return gr_fail(GR_ERR_OPTION, "schedule_rate: base is %s, expected a number above 0", GR_NUMBER_TEXT(c->base));
    if (k->gamma && (!is_rate(c->gamma) || c->gamma == 0.0))
        return gr_fail(GR_ERR_OPTION, "schedule_rate: gamma is %s, %s needs a number above 0", GR_NUMBER_TEXT(c->gamma),
                       k->name);
    if (k->final && !is_rate(c->final))
        return gr_fail(GR_ERR_OPTION, "schedule_rate: final is %s, %s needs 0 or more", GR_NUMBER_TEXT(c->final),
                       k->name);
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
    if (check_schedule(c, step)) return (double)NAN;
    if (step < c->warmup) return c->base * (((double)step + 1.0) / ((double)c->warmup + 1.0));
    double rate = kinds[c->kind].rate(c, step - c->warmup);
    if (isfinite(rate)) return rate;
    gr_fail(GR_ERR_OPTION, "schedule_rate: gamma %s has grown the rate past every number at step %lld",
            GR_NUMBER_TEXT(c->gamma), (long long)step);
    return (double)NAN;
}
