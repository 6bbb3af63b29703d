/* safetensors.c: a strict reader of the JSON in a safetensors file: an object of objects, each with a dtype, a shape
 * and two offsets, and "__metadata__", an object of texts, which is skipped. Nothing is nested deeper, so the reader
 * needs no recursion; names are unescaped in place, so it needs no memory. */
#include <stdarg.h>
#include <stdio.h>

#include "data/internal.h"

typedef struct reader {
    char *begin, *at, *end;
    char *reason;
} reader;

/* Notes what is wrong at this place, unless something is noted; false. */
static bool wrong(reader *r, const char *what)
{
    if (!*r->reason) snprintf(r->reason, 80, "is damaged at byte %lld: %s", (long long)(r->at - r->begin), what);
    return false;
}

/* ---- Texts -------------------------------------------------------------------------------------------------- */

/* The number of bytes of the UTF-8 character at s; 0 where there is none, as for an overlong form or a surrogate. */
static int utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80) return 1;
    int more = s[0] >= 0xF0 ? 3 : s[0] >= 0xE0 ? 2 : 1;
    if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
    for (int k = 1; k <= more; k++)
        if ((s[k] & 0xC0) != 0x80) return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F)) return 0;
    if ((s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F)) return 0;
    return more + 1;
}

bool gr_is_utf8(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    for (int n; *s; s += n)
        if (!(n = utf8_length(s))) return false;
    return true;
}

/* Four hexadecimal digits; -1 for anything else. */
static int32_t hex4(const char *s)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    int32_t value = 0;
    for (int k = 0; k < 4; k++) {
        const char *digit = s[k] ? strchr(digits, s[k]) : NULL;
        if (!digit) return -1;
        value = value * 16 + (int32_t)(digit - digits < 16 ? digit - digits : digit - digits - 6);
    }
    return value;
}

static char *put_utf8(char *to, int32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    int more = c >= 0x10000 ? 3 : c >= 0x800 ? 2 : 1;
    static const int32_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    *to++ = (char)(lead[more] | c >> 6 * more);
    while (more-- > 0) *to++ = (char)(0x80 | (c >> 6 * more & 0x3F));
    return to;
}

/* \uXXXX, or two of them for a character beyond 16 bits; `at` is behind the first u. */
static bool read_code(reader *r, char **to)
{
    int32_t c = hex4(r->at);
    if (c > 0) r->at += 4;
    if (c >= 0xD800 && c < 0xDC00 && r->at[0] == '\\' && r->at[1] == 'u') {
        int32_t low = hex4(r->at + 2);
        if (low >= 0xDC00 && low < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            r->at += 6;
        }
    }
    if (c <= 0 || (c >= 0xD800 && c < 0xE000)) return wrong(r, "a \\u that is no character");
    *to = put_utf8(*to, c);
    return true;
}

static bool read_escape(reader *r, char **to)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *known = *r->at ? strchr(names, *r->at) : NULL;
    if (*r->at == 'u') return r->at++, read_code(r, to);
    if (!known) return wrong(r, "an unknown escape");
    r->at++;
    *(*to)++ = meanings[known - names];
    return true;
}

/* A text in quotes, unescaped in place, where it ends with a 0: no text is longer than what is in its quotes. */
static char *read_text(reader *r)
{
    if (*r->at != '"') return wrong(r, "a text in quotes expected"), NULL;
    char *start = ++r->at, *to = start;
    while (*r->at != '"') {
        unsigned char c = (unsigned char)*r->at;
        int n = utf8_length((const unsigned char *)r->at);
        if (c < ' ') return wrong(r, r->at == r->end ? "it ends within a text" : "a control character"), NULL;
        if (!n) return wrong(r, "not UTF-8"), NULL;
        if (c == '\\') {
            r->at++;
            if (!read_escape(r, &to)) return NULL;
            continue;
        }
        while (n-- > 0) *to++ = *r->at++;
    }
    r->at++;
    *to = '\0';
    return start;
}

/* ---- Marks and numbers -------------------------------------------------------------------------------------- */

static void skip_blanks(reader *r)
{
    while (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r') r->at++;
}

/* Reads this mark, with blanks around it; false where another character stands. */
static bool accept(reader *r, char mark)
{
    skip_blanks(r);
    if (*r->at != mark) return false;
    r->at++;
    skip_blanks(r);
    return true;
}

/* The same, but another character is an error. */
static bool expect(reader *r, char mark)
{
    static const char *const whats[] = {"{ expected", "} or , expected", ": expected", "[ expected", "] or , expected"};
    return accept(r, mark) || wrong(r, whats[strchr("{}:[]", mark) - "{}:[]"]);
}

/* A whole number without sign, point or exponent, below 2^53. */
static bool read_count(reader *r, int64_t *number)
{
    const char *first = r->at;
    for (*number = 0; *r->at >= '0' && *r->at <= '9'; r->at++) {
        *number = *number * 10 + (*r->at - '0');
        if (*number > (int64_t)1 << 53) return wrong(r, "a number that is too large");
    }
    if (r->at == first) return wrong(r, "a whole number expected");
    if (*first == '0' && r->at - first > 1) return wrong(r, "a number with a 0 in front");
    return true;
}

/* [1,2,3], up to `most` numbers; returns how many, -1 with the reason. */
static int read_numbers(reader *r, int64_t numbers[], int most)
{
    int n = 0;
    if (!expect(r, '[')) return -1;
    if (accept(r, ']')) return 0;
    do {
        if (n == most) return wrong(r, "too many numbers in a list"), -1;
        if (!read_count(r, &numbers[n++])) return -1;
    } while (accept(r, ','));
    return expect(r, ']') ? n : -1;
}

/* ---- Entries ------------------------------------------------------------------------------------------------ */

enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4, ALL = 7 };

static bool read_dtype(reader *r, gr_entry *e)
{
    const char *dtype = read_text(r);
    if (!dtype) return false;
    if (!*dtype || strlen(dtype) >= sizeof e->dtype) return wrong(r, "an unknown dtype");
    for (const char *c = dtype; *c; c++)
        if (!((*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_')) return wrong(r, "an unknown dtype");
    strcpy(e->dtype, dtype);
    return true;
}

static bool read_offsets(reader *r, gr_entry *e)
{
    int64_t offsets[2];
    int n = read_numbers(r, offsets, 2);
    if (n < 0) return false;
    if (n != 2 || offsets[0] > offsets[1]) return wrong(r, "data_offsets are not a beginning and an end");
    e->begin = offsets[0];
    e->end = offsets[1];
    return true;
}

/* One of the three members; *seen has a bit for each that has been read. */
static bool read_member(reader *r, gr_entry *e, int *seen)
{
    const char *key = read_text(r);
    if (!key || !expect(r, ':')) return false;
    int which = strcmp(key, "dtype") == 0          ? DTYPE
                : strcmp(key, "shape") == 0        ? SHAPE
                : strcmp(key, "data_offsets") == 0 ? OFFSETS
                                                   : 0;
    if (!which) return wrong(r, "neither dtype, shape nor data_offsets");
    if (*seen & which) return wrong(r, "a member is there twice");
    *seen |= which;
    if (which == DTYPE) return read_dtype(r, e);
    if (which == SHAPE) return (e->rank = read_numbers(r, e->shape, GR_MAX_RANK)) >= 0;
    return read_offsets(r, e);
}

static bool read_entry(reader *r, gr_entry *e)
{
    int seen = 0;
    if (!expect(r, '{')) return false;
    do {
        if (!read_member(r, e, &seen)) return false;
    } while (accept(r, ','));
    if (!expect(r, '}')) return false;
    return seen == ALL || wrong(r, "dtype, shape or data_offsets is missing");
}

static bool skip_metadata(reader *r)
{
    if (!expect(r, '{')) return false;
    if (accept(r, '}')) return true;
    do {
        if (!read_text(r) || !expect(r, ':') || !read_text(r)) return false;
    } while (accept(r, ','));
    return expect(r, '}');
}

static gr_status read_all(reader *r, gr_take_entry take, void *context)
{
    bool metadata = false;
    if (*r->at != '{') return wrong(r, "{ expected"), GR_ERR_FORMAT; /* the format allows no blank in front */
    accept(r, '{');
    if (accept(r, '}')) return GR_OK;
    do {
        gr_entry e = {.name = read_text(r)};
        if (!e.name || !expect(r, ':')) return GR_ERR_FORMAT;
        if (strcmp(e.name, "__metadata__") == 0) {
            if (metadata) wrong(r, "__metadata__ is there twice");
            if (metadata || !skip_metadata(r)) return GR_ERR_FORMAT;
            metadata = true;
            continue;
        }
        gr_status status = read_entry(r, &e) ? take(context, &e) : GR_ERR_FORMAT;
        if (status) return status;
    } while (accept(r, ','));
    return expect(r, '}') ? GR_OK : GR_ERR_FORMAT;
}

gr_status gr_read_entries(char *header, size_t size, gr_take_entry take, void *context, char reason[80])
{
    reader r = {.begin = header, .at = header, .end = header + size, .reason = reason};
    *reason = '\0';
    gr_status status = read_all(&r, take, context);
    skip_blanks(&r);
    if (!status && r.at != r.end) wrong(&r, "something stands behind it");
    return *reason ? GR_ERR_FORMAT : status;
}
