/* test_schedules.c: learning rates by step. */
#include "optim_kit.h"

/* ---- Schedules --------------------------------------------------------------------------------------------------- */

static void assert_rate(const gr_schedule *schedule, int64_t step, double expected)
{
    double rate = gr_schedule_rate(schedule, step);
    if (!(fabs(rate - expected) <= 1e-15 * (1.0 + fabs(expected))))
        fail_msg("kind %d, step %lld: %.17g, expected %.17g", (int)schedule->kind, (long long)step, rate, expected);
}

static void test_schedules(void **state)
{
    (void)state;
    const double pi = acos(-1.0);
    for (int64_t warmup = 0; warmup <= 5; warmup += 5) {
        const gr_schedule constant = {.base = 0.3, .warmup = warmup};
        const gr_schedule steps = {.kind = GR_STEP, .base = 0.3, .gamma = 0.5, .period = 10, .warmup = warmup};
        const gr_schedule exponential = {.kind = GR_EXPONENTIAL, .base = 0.3, .gamma = 0.9, .warmup = warmup};
        const gr_schedule cosine = {.kind = GR_COSINE, .base = 0.3, .final = 0.1, .period = 20, .warmup = warmup};
        const gr_schedule *const all[] = {&constant, &steps, &exponential, &cosine};
        for (int i = 0; i < COUNT(all); i++) {
            for (int64_t step = 0; step < warmup; step++)
                assert_rate(all[i], step, 0.3 * (double)(step + 1) / (double)(warmup + 1));
            assert_true(gr_schedule_rate(all[i], warmup) == 0.3);
        }
        double power = 0.3;
        for (int64_t s = 0; s < 45; s++) {
            assert_rate(&constant, warmup + s, 0.3);
            assert_rate(&steps, warmup + s, s < 10 ? 0.3 : s < 20 ? 0.15 : s < 30 ? 0.075 : s < 40 ? 0.0375 : 0.01875);
            assert_rate(&exponential, warmup + s, power);
            power *= 0.9;
            assert_rate(&cosine, warmup + s, s >= 20 ? 0.1 : 0.2 + 0.1 * cos(pi * (double)s / 20.0));
        }
        assert_rate(&cosine, warmup + 10, 0.2);
        assert_true(gr_schedule_rate(&cosine, warmup + 20) == 0.1);
        assert_true(gr_schedule_rate(&cosine, INT64_MAX) == 0.1);
    }
    assert_rate(&(gr_schedule){.base = 1.0, .warmup = 3}, 0, 0.25);
    assert_rate(&(gr_schedule){.kind = GR_EXPONENTIAL, .base = 0.01, .gamma = 2.0}, 10, 10.24);
    assert_true(gr_schedule_rate(&(gr_schedule){.base = 1.0, .warmup = INT64_MAX}, 0) > 0.0);
}

static void test_refused_schedules(void **state)
{
    (void)state;
    const struct {
        gr_schedule schedule;
        int64_t step;
        const char *part;
    } cases[] = {
        {{.base = 0.0}, 0, "base is 0"},
        {{.base = -1.0}, 0, "base is -1"},
        {{.base = nan_}, 0, "base"},
        {{.base = infinity}, 0, "base is inf"},
        {{.kind = (gr_schedule_kind)4, .base = 1.0}, 0, "no such kind: 4"},
        {{.kind = (gr_schedule_kind)-1, .base = 1.0}, 0, "no such kind"},
        {{.kind = GR_STEP, .base = 1.0, .period = 3}, 0, "gamma is 0, step needs"},
        {{.kind = GR_STEP, .base = 1.0, .gamma = 0.5}, 0, "period is 0, step needs"},
        {{.kind = GR_STEP, .base = 1.0, .gamma = 0.5, .period = -1}, 0, "period is -1"},
        {{.kind = GR_EXPONENTIAL, .base = 1.0}, 0, "gamma is 0, exponential"},
        {{.kind = GR_EXPONENTIAL, .base = 1.0, .gamma = nan_}, 0, "gamma"},
        {{.kind = GR_EXPONENTIAL, .base = 1.0, .gamma = -0.5}, 0, "gamma is -0.5"},
        {{.kind = GR_EXPONENTIAL, .base = 1.0, .gamma = 10.0}, 400, "past every number at step 400"},
        {{.kind = GR_COSINE, .base = 1.0}, 0, "period is 0, cosine"},
        {{.kind = GR_COSINE, .base = 1.0, .period = 3, .final = -0.1}, 0, "final is -0.1"},
        {{.kind = GR_COSINE, .base = 1.0, .period = 3, .final = infinity}, 0, "final is inf"},
        {{.base = 1.0, .warmup = -1}, 0, "warmup is -1"},
        {{.base = 1.0}, -1, "step -1"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        assert_true(isnan(gr_schedule_rate(&cases[i].schedule, cases[i].step)));
        assert_fails(gr_last_status(), GR_ERR_OPTION, cases[i].part);
    }
    assert_true(isnan(gr_schedule_rate(NULL, 0)));
    assert_fails(gr_last_status(), GR_ERR_NULL, "schedule");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_schedules),
        TEST(test_refused_schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
