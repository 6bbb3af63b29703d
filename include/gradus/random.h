/* random.h: random numbers from an explicit state.
 *
 *     gr_rng rng = gr_rng_seed(42);
 *     double u = gr_rng_uniform(&rng);      // [0, 1)
 *
 * There is no hidden generator. The same seed gives the same bits on every machine, with every compiler and with
 * every number of threads: the generator is xoshiro256++ (Blackman and Vigna, 2019), seeded by splitmix64, and
 * distributions use only operations that IEEE 754 rounds exactly. A draw from NULL is 0, with GR_ERR_NULL.
 */
#ifndef GRADUS_RANDOM_H
#define GRADUS_RANDOM_H

#include <stdint.h>

#include <gradus/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The state of a generator. A copy, made by assignment, draws the same numbers. */
typedef struct gr_rng {
    uint64_t s[4];
} gr_rng;

/* The state that belongs to a seed; all seeds are equally good. */
GR_EXPORT gr_rng gr_rng_seed(uint64_t seed);

/* Returns a copy of the state and moves `rng` on by 2^128 steps: two generators, for weights and for data, say, whose
 * numbers do not overlap before 2^128 draws. */
GR_EXPORT gr_rng gr_rng_split(gr_rng *rng);

GR_EXPORT uint64_t gr_rng_u64(gr_rng *rng);                 /* 64 random bits */
GR_EXPORT double gr_rng_uniform(gr_rng *rng);               /* a multiple of 2^-53 in [0, 1) */
GR_EXPORT double gr_rng_normal(gr_rng *rng);                /* mean 0, standard deviation 1 */
GR_EXPORT int64_t gr_rng_below(gr_rng *rng, int64_t bound); /* uniform in 0 .. bound-1, without bias; 0 if bound < 1 */

/* Shuffles 0 .. n-1 (Fisher and Yates) into `order`, which has room for n. */
GR_EXPORT void gr_rng_permutation(gr_rng *rng, int64_t n, int64_t order[]);

#ifdef __cplusplus
}
#endif
#endif
