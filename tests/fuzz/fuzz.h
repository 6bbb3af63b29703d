/* fuzz.h: what the fuzz targets share. A target is fuzz_one(), which is given the bytes of a file and claims things of
 * what a reader makes of them, and fuzz_repair(), which makes the checksums of changed bytes right again. */
#ifndef GR_TESTS_FUZZ_H
#define GR_TESTS_FUZZ_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gradus/data.h>

void fuzz_one(const uint8_t *bytes, size_t size);

/* Keeps the size. Three in four of the files that are tried went through it. */
void fuzz_repair(uint8_t *bytes, size_t size);

/* Stops the run, and libFuzzer keeps the file, unless it is so. */
#define CLAIM(so)                                                                                  \
    do {                                                                                           \
        if (!(so)) {                                                                               \
            fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #so, gr_last_error()); \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The path of a name in a folder of this run's own. Valid until the eighth call after it. */
const char *fuzz_path(const char *name);

/* Makes the file of that name hold these bytes; returns its path. */
const char *fuzz_put(const char *name, const uint8_t *bytes, size_t size);

/* After a reader returned NULL: the failure is one that a file can be blamed for, and its message says so. */
void fuzz_claim_refused(const char *who);

/* The data set has n samples of finite numbers and a target for each, and it knows its classes. Frees it. */
void fuzz_claim_sound(gr_dataset *set, const char *who);

/* The same dtype, shape and bits. */
bool fuzz_same(const gr_tensor *a, const gr_tensor *b);

uint32_t fuzz_crc(const uint8_t *bytes, size_t size); /* of PNG and gzip */
void fuzz_put_u32(uint8_t *to, uint32_t v, bool little);
uint32_t fuzz_u32(const uint8_t *from, bool little);

/* PNG: the checksum of each chunk, and of an IDAT that holds one stored block. */
void fuzz_repair_png(uint8_t *bytes, size_t size);

#endif
