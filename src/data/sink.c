/* sink.c: writes a file under another name in the same folder, and renames it when all of it is on the disk. Whoever
 * reads the path meanwhile, or after a kill, a full disk or a power cut, finds all of the old file or of the new. */
#define _POSIX_C_SOURCE 200809L /* fsync, readlink */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef _WIN32
#include <io.h>
#include <windows.h>
#endif

#include "data/internal.h"

enum { PATH_ROOM = 4096, MAX_LINKS = 40, NAME_KEPT = 200 };

struct gr_sink {
    const char *who, *path;
    char target[PATH_ROOM];      /* the file itself: `path`, or where the symbolic link there leads */
    char beside[PATH_ROOM + 64]; /* its name until it is complete; "": it is written to `path` itself */
    FILE *file;
    bool failed;
};

static gr_status cannot_write(gr_sink *s)
{
    const char *why = !s->file && errno == ENOENT ? "its folder does not exist" : strerror(errno);
    s->failed = true;
    return gr_fail(GR_ERR_IO, "%s: cannot write %s: %s", s->who, GR_QUOTE_PATH(s->path), why);
}

/* The length of the folder's part of a path, with its slash. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* ---- What each system does in its own way. False or -1 with errno. ---------------------------------------------- */

#ifdef _WIN32

/* There are no links to follow, and no rights to keep: a file that exists keeps its folder's. */
static bool find_target(gr_sink *s)
{
    errno = ENAMETOOLONG;
    return (size_t)snprintf(s->target, sizeof s->target, "%s", s->path) < sizeof s->target;
}

static int create_file(const char *path, const struct stat *old)
{
    (void)old;
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_BINARY | O_NOINHERIT, 0666);
}

static bool may_write(const char *path) { return access(path, W_OK) == 0; }

static int write_through(FILE *file) { return _commit(_fileno(file)); }

static bool replace_file(const char *from, const char *to)
{
    errno = EACCES;
    return MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH);
}

#else

static bool find_target(gr_sink *s)
{
    char next[PATH_ROOM];
    size_t folder = 0, length = strlen(s->path);
    const char *name = s->path;
    for (int links = 0; folder + length < sizeof s->target; links++) {
        memcpy(s->target + folder, name, length);
        s->target[folder + length] = '\0';
        ssize_t read = readlink(s->target, next, sizeof next);
        if (read < 0) return true; /* a file, or nothing yet */
        if (links == MAX_LINKS) return errno = ELOOP, false;
        name = next;
        length = (size_t)read;
        folder = next[0] == '/' ? 0 : folder_length(s->target);
    }
    return errno = ENAMETOOLONG, false;
}

/* A new file, with the rights of the old one, where there is one, and its owner and group, where we may set them.
 * A group that is not the old one has no rights. Nobody else can open it before that is settled. */
static int create_file(const char *path, const struct stat *old)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, old ? 0600 : 0666);
    if (fd < 0 || !old) return fd;
    mode_t mode = old->st_mode & 0777;
    if (fchown(fd, old->st_uid, old->st_gid) && fchown(fd, (uid_t)-1, old->st_gid)) mode &= ~(mode_t)S_IRWXG;
    (void)fchmod(fd, mode); /* some file systems know no rights */
    return fd;
}

static bool may_write(const char *path) { return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0; }

static int write_through(FILE *file) { return fsync(fileno(file)); }

/* The new name is on the disk when the folder is, where we may read the folder and its file system can say so. */
static bool replace_file(const char *from, const char *to)
{
    if (rename(from, to)) return false;
    char folder[PATH_ROOM + 1];
    snprintf(folder, sizeof folder, "%.*s.", (int)folder_length(to), to);
    int fd = open(folder, O_RDONLY | O_CLOEXEC);
    bool well = fd < 0 || fsync(fd) == 0 || errno == EINVAL;
    if (fd >= 0) close(fd);
    return well;
}

#endif

/* ---- The same on all ------------------------------------------------------------------------------------------- */

/* Creates name.PID-0.tmp in the target's folder, or the next that no file has: what is left there of a process that
 * died says whose it was, and is in nobody's way. */
static void open_beside(gr_sink *s, const struct stat *old)
{
    const int folder = (int)folder_length(s->target);
    int fd = -1;
    for (int i = 0; fd < 0 && (i == 0 || errno == EEXIST); i++) {
        snprintf(s->beside, sizeof s->beside, "%.*s%.*s.%ld-%d.tmp", folder, s->target, NAME_KEPT, s->target + folder,
                 (long)getpid(), i);
        fd = create_file(s->beside, old);
    }
    if (fd >= 0) s->file = fdopen(fd, "wb");
    if (fd >= 0 && !s->file) {
        close(fd);
        remove(s->beside);
    }
}

gr_sink *gr_sink_open(const char *who, const char *path)
{
    if (!path) return gr_fail_null(who, "path"), NULL;
    gr_sink *s = gr_allocate(sizeof *s);
    if (!s) return NULL;
    *s = (gr_sink){.who = who, .path = path};
    struct stat info;
    bool exists = stat(path, &info) == 0;
    if (exists && !S_ISREG(info.st_mode)) s->file = fopen(path, "wb");
    else if (find_target(s) && (!exists || may_write(s->target))) open_beside(s, exists ? &info : NULL);
    if (s->file) return s;
    cannot_write(s);
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
    const bool beside = s->beside[0] != '\0';
    if (!status && s->failed) status = GR_ERR_IO;
    if (!status && beside && (fflush(s->file) || write_through(s->file))) status = cannot_write(s);
    if (fclose(s->file) && !status) status = cannot_write(s);
    if (!status && beside && !replace_file(s->beside, s->target)) status = cannot_write(s);
    if (status && beside) remove(s->beside);
    gr_release(s);
    return status;
}
