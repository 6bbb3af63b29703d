/* files.h: a folder of its own for the files of a test, and every allocation made to fail in turn. */
#ifndef GR_TESTS_FILES_H
#define GR_TESTS_FILES_H

#ifndef _POSIX_C_SOURCE
#error "define _POSIX_C_SOURCE as 200809L before the first header: mkdtemp"
#endif

#include "counting.h"
#include "helpers.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- The folder --------------------------------------------------------------------------------------------- */

static char directory[256];

static inline const char *path_of(const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static inline int make_directory(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/gradus-test-XXXXXX", parent && *parent ? parent : "/tmp");
    return mkdtemp(directory) ? 0 : -1;
}

/* How many files are in a folder; with `remove_them` none afterwards. */
static inline int files_in(const char *folder, bool remove_them)
{
    DIR *dir = opendir(folder);
    int count = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char path[1024];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stat(path, &info) || S_ISDIR(info.st_mode)) continue;
        count++;
        if (remove_them) remove(path);
    }
    if (dir) closedir(dir);
    return count;
}

static inline int remove_directory(void **state)
{
    (void)state;
    static const char *const folders[] = {"images", "masks"};
    for (int i = 0; i < 2; i++) {
        files_in(path_of(folders[i]), true);
        rmdir(path_of(folders[i]));
    }
    files_in(directory, true);
    return rmdir(directory);
}

static inline const char *put_file(const char *name, const void *bytes, size_t size)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* The bytes of a file, to free. */
static inline unsigned char *get_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    unsigned char *bytes = malloc(1 << 20);
    assert_non_null(bytes);
    *size = fread(bytes, 1, 1 << 20, file);
    assert_true(*size < 1 << 20);
    fclose(file);
    return bytes;
}

/* ---- Failing allocations ------------------------------------------------------------------------------------ */

/* Runs what returns whether it went well once for each of its allocations, which fails; every failure must be one of
 * memory, nothing may leak, and the next run must go well. Returns how many there are. */
static inline int64_t every_allocation_fails(const char *what, bool (*run)(void))
{
    counting memory;
    for (int64_t n = 1;; n++) {
        counting_begin(&memory);
        memory.fail_at = n;
        gr_clear_error();
        bool well = run();
        counting_end();
        if (memory.live || memory.foreign)
            fail_msg("%s: %lld blocks leak when call %lld fails", what, (long long)memory.live, (long long)n);
        if (well && memory.failures) fail_msg("%s went well although call %lld failed", what, (long long)n);
        if (well) return n - 1;
        if (!memory.failures) fail_msg("%s: %s", what, gr_last_error());
        if (gr_last_status() != GR_ERR_MEMORY) fail_msg("%s, call %lld: %s", what, (long long)n, gr_last_error());
        if (!run()) fail_msg("%s, after call %lld: %s", what, (long long)n, gr_last_error());
    }
}

/* The newest failure begins with who failed and holds a part. */
static inline void assert_error(const char *what, gr_status status, const char *part)
{
    assert_failed_with(what, status, part);
    gr_clear_error();
}

#endif
