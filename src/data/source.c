/* source.c: a file, plain or gzip'd, as a stream of bytes. What a file claims of its size is not trusted: memory grows
 * with the bytes that are there. zlib takes its memory from the library's allocator. */
#include <errno.h>
#include <stdio.h>
#if GR_WITH_ZLIB
#include <zlib.h>
#endif

#include "data/internal.h"

struct gr_source {
    const char *who, *path;
    FILE *file;
    bool packed;
#if GR_WITH_ZLIB
    z_stream z;
#endif
    bool between;    /* packed: `at` is between two members, where the file may end */
    size_t at, have; /* bytes of input[]: used, and there */
    unsigned char input[1 << 15];
};

/* ---- Quoting ------------------------------------------------------------------------------------------------ */

/* Whether c is a byte of a UTF-8 character other than its first. */
static bool continues(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

const char *gr_quote(gr_quoted *quoted, const char *text, size_t most)
{
    size_t length = strlen(text);
    bool cut = length > most;
    if (cut)
        for (length = most; length && continues(text[length]);) length--;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        quoted->s[i] = c < ' ' || c == 127 ? '?' : text[i];
    }
    memcpy(quoted->s + length, cut ? "..." : "", cut ? 4 : 1);
    return quoted->s;
}

/* A long path loses its beginning, since its end says more. */
const char *gr_quote_path(gr_quoted *quoted, const char *path)
{
    const size_t most = 180;
    size_t length = strlen(path);
    if (length <= most) return gr_quote(quoted, path, most);
    path += length - most;
    while (continues(*path)) path++;
    gr_quote(quoted, path, most);
    memmove(quoted->s + 3, quoted->s, strlen(quoted->s) + 1);
    return memcpy(quoted->s, "...", 3);
}

/* ---- Plain files -------------------------------------------------------------------------------------------- */

/* Reads the next bytes of the file into input[], none at its end. */
static bool fill_input(gr_source *s)
{
    s->at = 0;
    s->have = fread(s->input, 1, sizeof s->input, s->file);
    if (s->have || !ferror(s->file)) return true;
    gr_fail(GR_ERR_IO, "%s: %s: cannot read: %s", s->who, GR_QUOTE_PATH(s->path), strerror(errno));
    return false;
}

/* Takes up to `bytes` bytes of the input; returns how many. */
static size_t take_input(gr_source *s, unsigned char *to, size_t bytes)
{
    size_t part = s->have - s->at < bytes ? s->have - s->at : bytes;
    memcpy(to, s->input + s->at, part);
    s->at += part;
    return part;
}

/* ---- gzip'd files ------------------------------------------------------------------------------------------- */

#if GR_WITH_ZLIB

static voidpf z_allocate(voidpf context, uInt items, uInt size)
{
    (void)context;
    return gr_allocate_array((int64_t)items, size);
}

static void z_release(voidpf context, voidpf memory)
{
    (void)context;
    gr_release(memory);
}

/* Whether zlib succeeded; else an error. Where memory was short, z_allocate() has noted that. */
static bool unpacked(const gr_source *s, int result)
{
    if (result == Z_OK || result == Z_STREAM_END) return true;
    if (result == Z_MEM_ERROR) return false;
    gr_fail(GR_ERR_FORMAT, "%s: %s: the gzip'd data is damaged: %s", s->who, GR_QUOTE_PATH(s->path),
            s->z.msg ? s->z.msg : "not a gzip stream");
    return false;
}

static bool start_unpacking(gr_source *s)
{
    s->z.zalloc = z_allocate;
    s->z.zfree = z_release;
    s->packed = unpacked(s, inflateInit2(&s->z, 16 + MAX_WBITS)); /* 16: gzip, its checksum verified */
    return s->packed;
}

/* Unpacks some of the input to at most `bytes` bytes. Returns how many, -1 with an error. */
static int64_t unpack(gr_source *s, unsigned char *to, size_t bytes)
{
    if (s->between && !unpacked(s, inflateReset(&s->z))) return -1;
    uInt room = bytes < 1u << 30 ? (uInt)bytes : 1u << 30;
    s->z.next_in = s->input + s->at;
    s->z.avail_in = (uInt)(s->have - s->at);
    s->z.next_out = to;
    s->z.avail_out = room;
    int result = inflate(&s->z, Z_NO_FLUSH);
    s->at = s->have - s->z.avail_in;
    s->between = result == Z_STREAM_END;
    return unpacked(s, result) ? (int64_t)(room - s->z.avail_out) : -1;
}

static void stop_unpacking(gr_source *s)
{
    if (s->packed) inflateEnd(&s->z);
}

#else

static bool start_unpacking(gr_source *s)
{
    gr_fail(GR_ERR_UNSUPPORTED, "%s: %s is gzip'd, and this build of Gradus has no zlib: gunzip it first", s->who,
            GR_QUOTE_PATH(s->path));
    return false;
}

static int64_t unpack(gr_source *s, unsigned char *to, size_t bytes) { return (int64_t)take_input(s, to, bytes); }

static void stop_unpacking(gr_source *s) { (void)s; }

#endif

/* ---- Both kinds --------------------------------------------------------------------------------------------- */

gr_source *gr_source_open(const char *who, const char *path)
{
    if (!path) return gr_fail(GR_ERR_NULL, "%s: path is NULL", who), NULL;
    gr_source *s = gr_allocate(sizeof *s);
    if (!s) return NULL;
    memset(s, 0, offsetof(gr_source, input));
    s->who = who;
    s->path = path;
    s->file = fopen(path, "rb");
    if (!s->file) gr_fail(GR_ERR_IO, "%s: cannot open %s: %s", who, GR_QUOTE_PATH(path), strerror(errno));
    bool ready = s->file && fill_input(s);
    if (ready && s->have >= 2 && s->input[0] == 0x1f && s->input[1] == 0x8b) ready = start_unpacking(s);
    if (ready) return s;
    gr_source_close(s);
    return NULL;
}

void gr_source_close(gr_source *s)
{
    if (!s) return;
    stop_unpacking(s);
    if (s->file) fclose(s->file);
    gr_release(s);
}

bool gr_source_is_packed(const gr_source *s) { return s->packed; }

int64_t gr_source_read(gr_source *s, void *to, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        if (s->at == s->have && !fill_input(s)) return -1;
        if (s->at == s->have) {
            if (!s->packed || s->between) break;
            gr_fail(GR_ERR_FORMAT, "%s: %s: the file ends in the middle of its gzip'd data", s->who,
                    GR_QUOTE_PATH(s->path));
            return -1;
        }
        unsigned char *next = (unsigned char *)to + done;
        int64_t part = s->packed ? unpack(s, next, bytes - done) : (int64_t)take_input(s, next, bytes - done);
        if (part < 0) return -1;
        done += (size_t)part;
    }
    return (int64_t)done;
}

char *gr_source_read_all(gr_source *s, uint64_t limit, size_t *size)
{
    const size_t first = 1 << 16;
    if (limit > SIZE_MAX / 4) limit = SIZE_MAX / 4; /* more than any allocator has */
    size_t most = (size_t)limit, capacity = most < first ? most : first, used = 0;
    char *bytes = gr_allocate(capacity + 1);
    while (bytes) {
        int64_t part = gr_source_read(s, bytes + used, capacity - used);
        if (part < 0) break;
        used += (size_t)part;
        if (used < capacity || capacity == most) {
            bytes[ *size = used] = '\0';
            return bytes;
        }
        capacity = capacity > most / 2 ? most : 2 * capacity;
        char *more = gr_allocate(capacity + 1);
        if (!more) break;
        memcpy(more, bytes, used);
        gr_release(bytes);
        bytes = more;
    }
    gr_release(bytes);
    return NULL;
}

int gr_source_ends(gr_source *s)
{
    int64_t got = gr_source_read(s, &(char){0}, 1);
    return got < 0 ? -1 : got == 0;
}
