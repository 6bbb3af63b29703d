/* test_physics.c: functions of several variables in SI units, whose gradients are written by hand in plain C. The right
 * gradient must not FAIL; doubled, negated or by a thousandth too large it must not PASS. A velocity of 0 beside masses
 * of 1e30 kg has no scale that could be found, and is UNRESOLVED; with scales that the caller gives nothing is. */
#include "plain_kit.h"

#include <gradus/random.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { MOST = 39, POINTS = 8 };

/* The factor that all gradients are multiplied by. */
static double factor;

static int scaled(double *g, int n)
{
    for (int k = 0; k < n; k++) g[k] *= factor;
    return 0;
}

/* ---- Argon: the Lennard-Jones energy of a cluster, in joules, by coordinates in metres -------------------------- */

enum { ATOMS = 13 };
static const double sigma = 3.405e-10, epsilon = 1.654e-21;

/* The energy of two atoms; force is (dV/dr) / r. */
static double pair_energy(const double *a, const double *b, double *force)
{
    const double dx = a[0] - b[0], dy = a[1] - b[1], dz = a[2] - b[2], r2 = dx * dx + dy * dy + dz * dz;
    const double s2 = sigma * sigma / r2, s6 = s2 * s2 * s2;
    *force = 4.0 * epsilon * (6.0 * s6 - 12.0 * s6 * s6) / r2;
    return 4.0 * epsilon * (s6 * s6 - s6);
}

static double argon(const double *x, void *context)
{
    double energy = 0.0, force;
    (void)context;
    for (int i = 0; i < ATOMS; i++)
        for (int j = 0; j < i; j++) energy += pair_energy(x + 3 * i, x + 3 * j, &force);
    return energy;
}

static int argon_gradient(const double *x, double *g, void *context)
{
    double force;
    (void)context;
    memset(g, 0, 3 * ATOMS * sizeof *g);
    for (int i = 0; i < ATOMS; i++)
        for (int j = 0; j < i; j++) {
            pair_energy(x + 3 * i, x + 3 * j, &force);
            for (int k = 0; k < 3; k++) {
                g[3 * i + k] += force * (x[3 * i + k] - x[3 * j + k]);
                g[3 * j + k] -= force * (x[3 * i + k] - x[3 * j + k]);
            }
        }
    return scaled(g, 3 * ATOMS);
}

/* Atoms on a cubic lattice, each off its place by up to a tenth; the lattice is wider from point to point. */
static void argon_at(int point, double *x)
{
    gr_rng rng = gr_rng_seed((uint64_t)point);
    const double spacing = sigma * (0.95 + 0.1 * point);
    for (int i = 0; i < ATOMS; i++)
        for (int k = 0; k < 3; k++)
            x[3 * i + k] = spacing * ((const int[]){i % 3, i / 3 % 3, i / 9}[k] + 0.2 * gr_rng_uniform(&rng) - 0.1);
}

/* ---- A Kepler orbit: x is position, velocity and mass of the planet, and the mass of its sun --------------------- */

static const double gravity = 6.6743e-11;

static double energy(const double *x, void *context)
{
    (void)context;
    const double r = sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]);
    return 0.5 * x[6] * (x[3] * x[3] + x[4] * x[4] + x[5] * x[5]) - gravity * x[7] * x[6] / r;
}

static int energy_gradient(const double *x, double *g, void *context)
{
    const double r = sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]);
    for (int k = 0; k < 3; k++) {
        g[k] = gravity * x[7] * x[6] / (r * r) * (x[k] / r);
        g[3 + k] = x[6] * x[3 + k];
    }
    g[6] = energy(x, context) / x[6];
    g[7] = -gravity * x[6] / r;
    return scaled(g, 8);
}

/* m |r x v| */
static void area(const double *x, double *a)
{
    a[0] = x[1] * x[5] - x[2] * x[4];
    a[1] = x[2] * x[3] - x[0] * x[5];
    a[2] = x[0] * x[4] - x[1] * x[3];
}

static double momentum(const double *x, void *context)
{
    double a[3];
    (void)context;
    area(x, a);
    return x[6] * sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2]);
}

static int momentum_gradient(const double *x, double *g, void *context)
{
    double a[3];
    area(x, a);
    g[6] = momentum(x, context) / x[6];
    for (int k = 0; k < 3; k++) { /* d|a|/dr = v x a/|a|,  d|a|/dv = a/|a| x r */
        const int i = (k + 1) % 3, j = (k + 2) % 3;
        g[k] = x[6] * (x[3 + i] * a[j] - x[3 + j] * a[i]) / g[6];
        g[3 + k] = x[6] * (a[i] * x[j] - a[j] * x[i]) / g[6];
    }
    return scaled(g, 7);
}

/* Earth, Mercury, Jupiter, Halley's comet far out and near, the Moon round the Earth, and two in between. */
static void orbit_at(int point, double *x)
{
    static const double orbits[POINTS][8] = {{1.471e11, 0, 0, 0, 3.029e4, 0, 5.972e24, 1.989e30},
                                             {3.1e10, 3.4e10, 1e9, -4.5e4, 3.6e4, 7e3, 3.301e23, 1.989e30},
                                             {-5.2e11, 5.6e11, 9e9, -9.6e3, -8.1e3, 250, 1.898e27, 1.989e30},
                                             {-2.9e12, 4.4e12, -1.5e12, 700, 500, -200, 2.2e14, 1.989e30},
                                             {8.8e10, 0, 0, 0, 5.45e4, 1e3, 2.2e14, 1.989e30},
                                             {3.8e8, 2e7, -3e7, -50, 1.02e3, 90, 7.342e22, 5.972e24},
                                             {1.1e11, -1e11, 3, 2e4, 2.1e4, -1e-3, 5.972e24, 1.989e30},
                                             {7e6, 1e3, 0, 0, 7.5e3, 1, 4.2e5, 5.972e24}};
    memcpy(x, orbits[point], sizeof orbits[point]);
}

/* ---- An RC circuit: the squares of measured charges minus V C (1 - e^(-t/RC)), by V, R and C --------------------- */

enum { TIMES = 12 };

static double charge(const double *x, double t) { return x[0] * x[2] * -expm1(-t / (x[1] * x[2])); }

/* After so many seconds; 5 V, 10 kOhm and 2.2 uF, and an error of a thousandth. */
static double residual(const double *x, int i, double *t)
{
    static const double truth[] = {5.0, 1e4, 2.2e-6};
    *t = 4e-3 * (i + 1);
    return charge(x, *t) - charge(truth, *t) * (1.0 + 1e-3 * sin(7.0 * i));
}

static double circuit(const double *x, void *context)
{
    double sum = 0.0, t;
    (void)context;
    for (int i = 0; i < TIMES; i++) {
        const double d = residual(x, i, &t);
        sum += d * d;
    }
    return sum;
}

static int circuit_gradient(const double *x, double *g, void *context)
{
    double t;
    (void)context;
    memset(g, 0, 3 * sizeof *g);
    for (int i = 0; i < TIMES; i++) {
        const double d = 2.0 * residual(x, i, &t), u = t / (x[1] * x[2]), rest = exp(-u);
        g[0] += d * x[2] * -expm1(-u);
        g[1] -= d * x[0] * x[2] * rest * u / x[1];
        g[2] += d * x[0] * (-expm1(-u) - rest * u);
    }
    return scaled(g, 3);
}

static void circuit_at(int point, double *x)
{
    static const double guesses[POINTS][3] = {{5, 1e4, 2.2e-6}, {5.01, 1e4, 2.2e-6}, {9, 1e3, 1e-6}, {3, 1e5, 1e-5},
                                              {1, 1e6, 4.7e-8}, {12, 4.7e3, 1e-6},   {5, 1e4, 1e-9}, {0.1, 50, 1e-3}};
    memcpy(x, guesses[point], sizeof guesses[point]);
}

/* ---- Arrhenius: two channels of a reaction, and a fit of logarithms ---------------------------------------------- */

static const double gas = 8.314462618;

/* The rate, by both prefactors, both activation energies and the temperature. */
static double rate(const double *x, void *context)
{
    (void)context;
    return x[0] * exp(-x[2] / (gas * x[4])) + x[1] * exp(-x[3] / (gas * x[4]));
}

static int rate_gradient(const double *x, double *g, void *context)
{
    (void)context;
    g[4] = 0.0;
    for (int k = 0; k < 2; k++) {
        g[k] = exp(-x[2 + k] / (gas * x[4]));
        g[2 + k] = -x[k] * g[k] / (gas * x[4]);
        g[4] += x[k] * g[k] * x[2 + k] / (gas * x[4] * x[4]);
    }
    return scaled(g, 5);
}

static void rate_at(int point, double *x)
{
    const double channels[] = {1e13, 3e11, 1e5, 7e4, 250.0 + 150.0 * point};
    memcpy(x, channels, sizeof channels);
}

/* The squares of log A - E / RT - log k, by A and E, of rates measured from 300 to 800 K. */
static double misfit(const double *x, int i, double *kelvin)
{
    *kelvin = 300.0 + 100.0 * i;
    return log(x[0]) - x[1] / (gas * *kelvin) - (log(2e13) - 1.05e5 / (gas * *kelvin) + 0.01 * cos(3.0 * i));
}

static double fit(const double *x, void *context)
{
    double sum = 0.0, kelvin;
    (void)context;
    for (int i = 0; i < 6; i++) {
        const double d = misfit(x, i, &kelvin);
        sum += d * d;
    }
    return sum;
}

static int fit_gradient(const double *x, double *g, void *context)
{
    double kelvin;
    (void)context;
    g[0] = g[1] = 0.0;
    for (int i = 0; i < 6; i++) {
        const double d = 2.0 * misfit(x, i, &kelvin);
        g[0] += d / x[0];
        g[1] -= d / (gas * kelvin);
    }
    return scaled(g, 2);
}

static void fit_at(int point, double *x)
{
    static const double guesses[POINTS][2] = {{1e13, 1e5}, {2e13, 1.05e5}, {2.02e13, 1.05e5}, {1e10, 8e4},
                                              {1e15, 2e5}, {1.0, 1e3},     {3e13, 1.06e5},    {1e-3, 1e5}};
    memcpy(x, guesses[point], sizeof guesses[point]);
}

/* ---- Planck: the radiance of a black body, by frequency and temperature; and the squares of a spectrum ----------- */

static const double planck = 6.62607015e-34, light = 299792458.0, boltzmann = 1.380649e-23;

/* and its derivatives by both */
static double radiance(double hz, double kelvin, double *by_hz, double *by_kelvin)
{
    const double u = planck * hz / (boltzmann * kelvin), b = 2.0 * planck * hz * hz * hz / (light * light) / expm1(u);
    const double v = u / -expm1(-u);
    *by_hz = b * (3.0 - v) / hz;
    *by_kelvin = b * v / kelvin;
    return b;
}

static double body(const double *x, void *context)
{
    double by[2];
    (void)context;
    return radiance(x[0], x[1], &by[0], &by[1]);
}

static int body_gradient(const double *x, double *g, void *context)
{
    (void)context;
    radiance(x[0], x[1], &g[0], &g[1]);
    return scaled(g, 2);
}

static void body_at(int point, double *x)
{
    static const double bodies[POINTS][2] = {{5e14, 5772}, {1e14, 5772}, {3.4e14, 5772},  {1e13, 300},
                                             {3e15, 1e4},  {1e14, 300},  {1.6e11, 2.725}, {1e12, 1e7}};
    memcpy(x, bodies[point], sizeof bodies[point]);
}

/* By the temperature and an emissivity, of a spectrum of 5800 K from 1e14 to 1e15 Hz. */
static double spectrum_and(const double *x, double *g)
{
    double sum = 0.0, by_hz, by_kelvin;
    g[0] = g[1] = 0.0;
    for (int i = 1; i <= 10; i++) {
        const double b = radiance(1e14 * i, x[0], &by_hz, &by_kelvin), slope = by_kelvin;
        const double d = x[1] * b - 0.9 * radiance(1e14 * i, 5800.0, &by_hz, &by_kelvin) * (1.0 + 0.01 * sin(i));
        sum += d * d;
        g[0] += 2.0 * d * x[1] * slope;
        g[1] += 2.0 * d * b;
    }
    return sum;
}

static double spectrum(const double *x, void *context)
{
    double g[2];
    (void)context;
    return spectrum_and(x, g);
}

static int spectrum_gradient(const double *x, double *g, void *context)
{
    (void)context;
    spectrum_and(x, g);
    return scaled(g, 2);
}

static void spectrum_at(int point, double *x)
{
    static const double guesses[POINTS][2] = {{5000, 1},   {5800, 0.9}, {5801, 0.9}, {3000, 0.5},
                                              {1e4, 0.01}, {6000, 0.7}, {300, 1},    {5790, 0.91}};
    memcpy(x, guesses[point], sizeof guesses[point]);
}

/* ---- Checks ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    gr_plain problem;
    void (*at)(int point, double *x);
    int vectors; /* so many elements at the beginning are vectors of three */
} problems[] = {
    {"argon cluster", {.f = argon, .gradient = argon_gradient, .n = 3 * ATOMS}, argon_at, 3 * ATOMS},
    {"Kepler, energy", {.f = energy, .gradient = energy_gradient, .n = 8}, orbit_at, 6},
    {"Kepler, angular momentum", {.f = momentum, .gradient = momentum_gradient, .n = 7}, orbit_at, 6},
    {"RC circuit, charges", {.f = circuit, .gradient = circuit_gradient, .n = 3}, circuit_at, 0},
    {"Arrhenius, two channels", {.f = rate, .gradient = rate_gradient, .n = 5}, rate_at, 0},
    {"Arrhenius, a fit", {.f = fit, .gradient = fit_gradient, .n = 2}, fit_at, 0},
    {"black body", {.f = body, .gradient = body_gradient, .n = 2}, body_at, 0},
    {"black body, a fit", {.f = spectrum, .gradient = spectrum_gradient, .n = 2}, spectrum_at, 0},
};

static const struct {
    gr_check_mode mode;
    bool scaled; /* the caller gives scales */
} ways[] = {{GR_CHECK_FULL, false},   {GR_CHECK_SAMPLED, false}, {GR_CHECK_DIRECTIONAL, false},
            {GR_CHECK_TAYLOR, false}, {GR_CHECK_FULL, true},     {GR_CHECK_DIRECTIONAL, true},
            {GR_CHECK_TAYLOR, true}};

static const double factors[] = {1.0, 2.0, -1.0, 1.001};

/* A tenth of each element, or of the largest of a vector. */
static void scales_of(const double *x, int n, int vectors, double *scale)
{
    for (int k = 0; k < n; k++) {
        const double *v = x + k - k % 3;
        scale[k] = 0.1 * (k < vectors ? fmax(fabs(v[0]), fmax(fabs(v[1]), fabs(v[2]))) : fabs(x[k]));
    }
}

/* How many elements are 1e-9 of the largest or less, which is what a PASS may leave open. */
static int negligible(const double *g, const double *scale, int n)
{
    double largest = 0.0;
    int count = 0;
    for (int k = 0; k < n; k++) largest = fmax(largest, fabs(g[k] * scale[k]));
    for (int k = 0; k < n; k++) count += fabs(g[k] * scale[k]) <= 1e-9 * largest;
    return count;
}

/* Checks problem i at one point in one way, with its gradient as it is or wrong. */
static gr_check_report checked(size_t i, int point, size_t way, bool wrong)
{
    double x[MOST], scale[MOST], g[MOST];
    gr_check_report r;
    gr_plain p = problems[i].problem;
    problems[i].at(point, x);
    scales_of(x, (int)p.n, problems[i].vectors, scale);
    if (ways[way].scaled) p.scale = scale;
    if (gr_check_plain(&p, x, &(gr_check_options){.mode = ways[way].mode}, &r))
        fail_msg("%s: %s", problems[i].name, gr_last_error());
    bool false_verdict = r.verdict == (wrong ? GR_CHECK_PASS : GR_CHECK_FAIL);
    if (wrong && ways[way].mode == GR_CHECK_FULL) {
        p.gradient(x, g, NULL);
        false_verdict |= r.count[GR_CHECK_PASS] > negligible(g, scale, (int)p.n);
    }
    if (false_verdict) gr_check_fprint(stdout, &r);
    if (false_verdict) fail_msg("%s, point %d, the gradient times %g", problems[i].name, point, factor);
    return r;
}

static void in_si_units(void **state)
{
    (void)state;
    int kinks = 0, unresolved_with_scales = 0;
    printf("%-26s %-12s PASS FAIL UNRESOLVED VACUOUS\n", "", "gradient");
    for (size_t f = 0; f < COUNT(factors); f++)
        for (size_t i = 0; i < COUNT(problems); i++) {
            int n[GR_CHECK_N_VERDICTS] = {0};
            factor = factors[f];
            for (int point = 0; point < POINTS; point++)
                for (size_t way = 0; way < COUNT(ways); way++) {
                    const gr_check_report r = checked(i, point, way, f > 0);
                    n[r.verdict]++;
                    unresolved_with_scales += ways[way].scaled && r.verdict == GR_CHECK_UNRESOLVED;
                }
            kinks += n[GR_CHECK_KINK];
            printf("%-26s times %-6g %4d %4d %10d %7d\n", problems[i].name, factor, n[GR_CHECK_PASS], n[GR_CHECK_FAIL],
                   n[GR_CHECK_UNRESOLVED], n[GR_CHECK_VACUOUS]);
        }
    printf("UNRESOLVED with scales given: %d\n", unresolved_with_scales);
    assert_int_equal(kinks, 0);
    assert_int_equal(unresolved_with_scales, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_si_units)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
