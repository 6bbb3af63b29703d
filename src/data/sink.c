/* sink.c: writes a file under another name in the same folder and renames it when it is complete. Whoever reads the
 * path meanwhile, or after a failure such as a full disk, finds the file that was there before. */
#define _POSIX_C_SOURCE 200809L /* stat */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "data/internal.h"

struct gr_sink {
    const char *who, *path;
    char *beside; /* the file's name until it is complete; NULL: it is written to `path` itself */
    FILE *file;
    bool failed;
};

static gr_status cannot_write(gr_sink *s)
{
    s->failed = true;
    return gr_fail(GR_ERR_IO, "%s: cannot write %s: %s", s->who, GR_QUOTE_PATH(s->path), strerror(errno));
}

/* Opens a new file, with the first name of path.tmp, path.tmp1, ... that no file has. */
static gr_status open_beside(gr_sink *s)
{
    size_t room = strlen(s->path) + 16;
    s->beside = gr_allocate(room);
    if (!s->beside) return GR_ERR_MEMORY;
    for (int i = 0; i < 1000 && !s->file; i++) {
        if (i == 0) snprintf(s->beside, room, "%s.tmp", s->path);
        else snprintf(s->beside, room, "%s.tmp%d", s->path, i);
        errno = 0;
        s->file = fopen(s->beside, "wbx");
        if (!s->file && errno != EEXIST) break;
    }
    return GR_OK;
}

gr_sink *gr_sink_open(const char *who, const char *path)
{
    if (!path) return gr_fail_null(who, "path"), NULL;
    gr_sink *s = gr_allocate(sizeof *s);
    if (!s) return NULL;
    *s = (gr_sink){.who = who, .path = path};
    struct stat info;
    gr_status status = GR_OK;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) s->file = fopen(path, "wb");
    else status = open_beside(s);
    if (s->file) return s;
    if (!status) cannot_write(s);
    gr_release(s->beside);
    gr_release(s);
    return NULL;
}

gr_status gr_sink_write(gr_sink *s, const void *bytes, size_t size)
{
    if (s->failed) return GR_ERR_IO;
    return fwrite(bytes, 1, size, s->file) == size ? GR_OK : cannot_write(s);
}

gr_status gr_sink_close(gr_sink *s, gr_status status)
{
    if (!s) return status;
    if (fclose(s->file) && !s->failed && !status) status = cannot_write(s);
    if (s->failed && !status) status = GR_ERR_IO;
    if (s->beside && !status && rename(s->beside, s->path)) status = cannot_write(s);
    if (s->beside && status) remove(s->beside);
    gr_release(s->beside);
    gr_release(s);
    return status;
}
