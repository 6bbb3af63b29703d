/* error.c: the newest failure of each thread, as a status and a sentence. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tensor/internal.h"

static _Thread_local gr_status last_status;
static _Thread_local char last_error[512];

#define STATUS_TEXT(name, text) [name] = text,
static const char *const status_texts[] = {GR_STATUS_LIST(STATUS_TEXT)};
_Static_assert(GR_COUNT(status_texts) == GR_N_STATUSES, "each status has a text");

const char *gr_status_text(gr_status status)
{
    bool known = (int)status >= 0 && status < GR_N_STATUSES;
    return known ? status_texts[status] : "unknown status";
}

const char *gr_last_error(void) { return last_error; }

gr_status gr_last_status(void) { return last_status; }

void gr_clear_error(void)
{
    last_status = GR_OK;
    last_error[0] = '\0';
}

gr_status gr_fail(gr_status status, const char *format, ...)
{
    if (!format) format = gr_status_text(status);
    char text[sizeof last_error]; /* not last_error itself: an argument may be gr_last_error() */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(last_error, text, sizeof last_error);
    return last_status = status;
}

gr_status gr_fail_null(const char *who, const char *what)
{
    return last_status ? last_status : gr_fail(GR_ERR_NULL, "%s: %s is NULL", who, what);
}

const char *gr_shape_text(gr_text *text, int rank, const int64_t shape[])
{
    size_t used = 1;
    text->s[0] = '[';
    for (int i = 0; i < rank; i++)
        used += (size_t)snprintf(text->s + used, sizeof text->s - used, "%s%lld", i ? "," : "", (long long)shape[i]);
    memcpy(text->s + used, "]", 2);
    return text->s;
}

const char *gr_number_text(gr_text *text, double x)
{
    const bool whole = x > -1e15 && x < 1e15 && (double)(int64_t)x == x, single = (double)(float)x == x;
    if (whole) snprintf(text->s, sizeof text->s, "%.0f", x);
    for (int digits = 6; digits <= 17 && !whole; digits++) {
        snprintf(text->s, sizeof text->s, "%.*g", digits, x);
        if (single ? (double)strtof(text->s, NULL) == x : strtod(text->s, NULL) == x) break;
    }
    return text->s;
}

const char *gr_position_text(gr_text *text, const gr_tensor *t, int64_t position)
{
    int64_t index[GR_MAX_RANK];
    for (int axis = t->rank - 1; axis >= 0; axis--) {
        index[axis] = position % t->shape[axis];
        position /= t->shape[axis];
    }
    return gr_shape_text(text, t->rank, index);
}
