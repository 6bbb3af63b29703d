/* status.h: errors: a status, and a message of one sentence.
 *
 * The library never prints an error, exits or aborts because of what a caller did. A function that returns a pointer
 * returns NULL when it fails; most others that can fail return a gr_status, and the compiler warns where that is
 * ignored. Either way gr_last_error() has the message:
 *
 *     gr_tensor *y = gr_matmul(tape, x, w, 0);
 *     if (!y) fprintf(stderr, "%s\n", gr_last_error());
 *         // matmul: inner dimensions differ: [64,784] x [785,10]
 *
 * NULL in, NULL out: an op that is given the NULL of an op that failed returns NULL and keeps that op's message, so
 * that a nested expression is checked once, at its end.
 *
 * NULL is never a crash. Where a comment says what it stands for, as for options, whose defaults it means, it stands
 * for that. To free or to reset NULL does nothing; a NULL tensor prints as "(null)", and its name is ""; to ask NULL
 * for a number, a flag or a member gives 0 or NaN, false or NULL. Everything else is GR_ERR_NULL. Objects that
 * were freed are not found out.
 */
#ifndef GRADUS_STATUS_H
#define GRADUS_STATUS_H

#include <gradus/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every status: its name and its meaning. The enum and gr_status_text() are both made from this list. */
#define GR_STATUS_LIST(X)                                             \
    X(GR_OK, "success")                                               \
    X(GR_ERR_NULL, "an argument is NULL")                             \
    X(GR_ERR_SHAPE, "shapes or ranks do not fit")                     \
    X(GR_ERR_DTYPE, "a dtype is not the one expected")                \
    X(GR_ERR_VALUE, "a value lies outside what the function is for")  \
    X(GR_ERR_INDEX, "an index or axis is out of range")               \
    X(GR_ERR_OPTION, "an option is unknown or contradicts another")   \
    X(GR_ERR_STATE, "the object is not in a state that allows this")  \
    X(GR_ERR_MEMORY, "out of memory")                                 \
    X(GR_ERR_IO, "a file could not be opened, read or written")       \
    X(GR_ERR_FORMAT, "a file does not hold what its format promises") \
    X(GR_ERR_UNSUPPORTED, "this build was made without what is needed")

#define GR_STATUS_ENUM(name, text) name,
typedef enum gr_status { GR_STATUS_LIST(GR_STATUS_ENUM) GR_N_STATUSES } gr_status;
#undef GR_STATUS_ENUM

#if defined __GNUC__
#define GR_NODISCARD __attribute__((warn_unused_result))
#else
#define GR_NODISCARD
#endif

#if defined __MINGW32__ && !defined __clang__ /* where `printf` is that of an old library, without %zu */
#define GR_PRINTF(fmt, args) __attribute__((format(gnu_printf, fmt, args)))
#elif defined __GNUC__
#define GR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define GR_PRINTF(fmt, args)
#endif

/* The meaning of a status, as a constant string; "unknown status" for a number that is none. */
GR_EXPORT const char *gr_status_text(gr_status status);

/* The message of the newest failure in this thread; "" when there was none since gr_clear_error(). Borrowed: valid
 * until the next failure in this thread. */
GR_EXPORT const char *gr_last_error(void);

/* The status of the newest failure in this thread; GR_OK when there was none since gr_clear_error(). */
GR_EXPORT gr_status gr_last_status(void);

/* Forgets the failure of this thread. */
GR_EXPORT void gr_clear_error(void);

/* For ops of your own: notes a failure of this thread and returns `status`. The message is cut at 511 bytes;
 * a NULL format is the text of the status. */
GR_EXPORT gr_status gr_fail(gr_status status, const char *format, ...) GR_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
