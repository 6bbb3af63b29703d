/* by_hand.h: the second half of lesson 5. */
#ifndef LESSONS_BY_HAND_H
#define LESSONS_BY_HAND_H

#include "../common.h"

/* Checks a gradient with a slip, then the mended one. Returns what the checker says of the slip. */
gr_check_report check_hand_made(gr_rng *rng);

#endif
