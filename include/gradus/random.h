/* random.h: random numbers from an explicit state.
 *
 *     gr_rng rng = gr_rng_seed(42);
 *     double u = gr_rng_uniform(&rng);      // [0, 1)
 *
 * There is no hidden generator. The same seed gives the same bits on every machine, with every compiler and with
 * every number of threads: the generator is xoshiro256++ (Blackman and Vigna, 2019), seeded by splitmix64, and
 * what is made of its bits uses only operations that IEEE 754 rounds exactly.
 */
#ifndef GRADUS_RANDOM_H
#define GRADUS_RANDOM_H

#include <stdint.h>

#include <gradus/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A state, passed by pointer, copied by assignment: a copy draws the same numbers. */
typedef struct gr_rng {
    uint64_t s[4];
} gr_rng;

/* The state that a seed stands for; any seed is as good as another. */
GR_EXPORT gr_rng gr_rng_seed(uint64_t seed);

/* A state of its own for a second purpose (data beside weights, say), by 2^128 steps away from `rng`, which moves
 * on by as many: the two never meet in practice. */
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
