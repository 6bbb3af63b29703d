/* test_saving.c: what saving leaves behind, for each function that saves a file: after a kill at any moment and on a
 * full disk the whole of the old file or of the new; the rights and the symbolic links that were there. */
#define _GNU_SOURCE /* unshare */
#define _POSIX_C_SOURCE 200809L
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#ifdef __linux__
#include <sched.h>
#include <sys/mount.h>
#endif

#include <gradus/checkpoint.h>
#include <gradus/data.h>

enum { SIDE = 128 };

/* ---- Two functions that save, and the number that is found in what they saved ------------------------------------ */

static gr_tensor *grey(int value) { return gr_full(GR_F32, GR_SHAPE(SIDE, SIDE), value / 255.0); }

/* The value of all elements, 0 .. 255; -1 where they differ. */
static int value_of(const gr_tensor *x)
{
    for (int64_t i = 1; i < gr_size(x); i++)
        if (gr_get(x, i) != gr_get(x, 0)) return -1;
    return (int)(255.0 * gr_get(x, 0) + 0.5);
}

static gr_status save_weights(const char *path, int value)
{
    gr_params *params = gr_params_new();
    assert_non_null(gr_params_add(params, "w", grey(value)));
    gr_status status = gr_params_save(params, path);
    gr_params_free(params);
    return status;
}

static int load_weights(const char *path)
{
    gr_params *params = gr_params_new();
    gr_tensor *w = gr_params_add(params, "w", grey(255));
    int value = gr_params_load(params, path) ? -1 : value_of(w);
    gr_params_free(params);
    return value;
}

static gr_status save_image(const char *path, int value)
{
    gr_tensor *image = grey(value);
    gr_status status = gr_png_write(path, image);
    gr_tensor_free(image);
    return status;
}

static int load_image(const char *path)
{
    gr_tensor *image = gr_png_read(path, 0);
    int value = image ? value_of(image) : -1;
    gr_tensor_free(image);
    return value;
}

typedef struct format {
    const char *name;
    gr_status (*save)(const char *path, int value);
    int (*load)(const char *path);
} format;
static const format formats[] = {{"weights", save_weights, load_weights}, {"image", save_image, load_image}};

/* How many of `formats` this build has. */
static int n_formats;

static int set_up(void **state)
{
    if (make_directory(state)) return -1;
    n_formats = save_image(path_of("try"), 1) == GR_ERR_UNSUPPORTED ? 1 : 2;
    gr_clear_error();
    return 0;
}

static void saves(const format *f, const char *path, int value)
{
    if (f->save(path, value)) fail_msg("%s: %s", f->name, gr_last_error());
    if (f->load(path) != value) fail_msg("%s: loaded %d for %d", f->name, f->load(path), value);
}

/* ---- Kills ------------------------------------------------------------------------------------------------------- */

/* Saves 1, 2, ... 250, 1, 2, ... until it is killed, and writes a byte when it begins. */
static void save_for_ever(const char *path, int begun)
{
    if (write(begun, "!", 1) != 1) _exit(1);
    for (int i = 0;; i++)
        if (save_weights(path, 1 + i % 250)) _exit(2);
}

static void a_kill_leaves_a_whole_file(void **state)
{
    (void)state;
    enum { KILLS = 200, LONGEST_US = 4000 };
    files_in(directory, true);
    const char *path = path_of("w.safetensors");
    saves(&formats[0], path, 251);
    gr_rng rng = gr_rng_seed(11);
    for (int i = 0; i < KILLS; i++) {
        int begun[2];
        char byte;
        assert_int_equal(pipe(begun), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) save_for_ever(path, begun[1]);
        assert_int_equal(read(begun[0], &byte, 1), 1);
        nanosleep(&(struct timespec){.tv_nsec = (long)(gr_rng_uniform(&rng) * LONGEST_US * 1000.0)}, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status)); /* it had not failed */
        close(begun[0]);
        close(begun[1]);
        if (load_weights(path) < 0) fail_msg("kill %d: %s", i, gr_last_error());
    }
    /* Some were killed in the midst of a file, and what they left is in nobody's way. */
    assert_true(files_in(directory, false) > 1);
    saves(&formats[0], path, 252);
}

/* More of them than a process would try names, by the names of this one, too. */
static void what_the_dead_left_is_in_nobodys_way(void **state)
{
    (void)state;
    files_in(directory, true);
    enum { LEFT = 1100 };
    for (int i = 0; i < LEFT; i++) {
        char name[64];
        snprintf(name, sizeof name, i ? "x.tmp%d" : "x.tmp", i);
        put_file(name, "left", 4);
        snprintf(name, sizeof name, "x.%ld-%d.tmp", (long)getpid(), i);
        put_file(name, "left", 4);
    }
    saves(&formats[0], path_of("x"), 3);
    assert_int_equal(files_in(directory, false), 2 * LEFT + 1);
    size_t size;
    unsigned char *bytes = get_file(path_of("x.tmp"), &size);
    assert_int_equal(size, 4);
    free(bytes);
    files_in(directory, true);
}

static void long_names_have_room(void **state)
{
    (void)state;
    files_in(directory, true);
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0'; /* the longest that Linux takes */
    for (int k = 0; k < n_formats; k++) saves(&formats[k], path_of(name), 4);
    assert_int_equal(files_in(directory, false), 1);
}

/* ---- Full disks -------------------------------------------------------------------------------------------------- */

/* With room for `bytes` more: 0, or which of the things that must hold did not. */
static int is_harmless(const format *f, const char *path, int error)
{
    int before = files_in(directory, false);
    if (f->save(path, 7) != GR_ERR_IO) return 1;
    if (!strstr(gr_last_error(), strerror(error))) return 2;
    if (f->load(path) != 5) return 3;
    return files_in(directory, false) == before ? 0 : 4;
}

static void a_file_that_may_not_grow(void **state)
{
    (void)state;
    files_in(directory, true);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (int k = 0; k < n_formats; k++) {
        const format *f = &formats[k];
        const char *path = path_of(f->name);
        saves(f, path, 5);
        struct stat info;
        assert_int_equal(stat(path, &info), 0);
        for (rlim_t most = 0; most < (rlim_t)info.st_size; most += (rlim_t)info.st_size / 16) {
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){most, before.rlim_max}), 0);
            int wrong = is_harmless(f, path, EFBIG);
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
            if (wrong) fail_msg("%s, at most %lld bytes: %d: %s", f->name, (long long)most, wrong, gr_last_error());
        }
        saves(f, path, 6);
    }
    signal(SIGXFSZ, SIG_DFL);
}

#ifdef __linux__
enum { NO_MOUNT = 77 };

/* On a file system of 256 KB, which a filler leaves no room on. */
static int fill_a_small_disk(void)
{
    if (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL)) return NO_MOUNT;
    if (mount("gradus-test", directory, "tmpfs", 0, "size=256k")) return NO_MOUNT;
    for (int k = 0; k < n_formats; k++)
        if (formats[k].save(path_of(formats[k].name), 5)) return 10;
    FILE *filler = fopen(path_of("filler"), "wb");
    while (filler && fputc('x', filler) != EOF && !fflush(filler)) {}
    if (!filler) return 11;
    fclose(filler);
    for (int k = 0; k < n_formats; k++) {
        int wrong = is_harmless(&formats[k], path_of(formats[k].name), ENOSPC);
        if (wrong) return 20 + 10 * k + wrong;
    }
    remove(path_of("filler"));
    return formats[0].save(path_of("weights"), 6) || load_weights(path_of("weights")) != 6 ? 12 : 0;
}
#endif

static void a_small_disk_that_is_full(void **state)
{
    (void)state;
    files_in(directory, true);
#ifdef __linux__
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(fill_a_small_disk());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != NO_MOUNT) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return;
    }
#endif
    print_message("no file system can be mounted here\n");
    skip();
}

/* ---- Rights and links -------------------------------------------------------------------------------------------- */

static mode_t mode_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 0777;
}

static void rights_are_kept(void **state)
{
    (void)state;
    files_in(directory, true);
    mode_t before = umask(027);
    for (int k = 0; k < n_formats; k++) {
        const char *path = path_of(formats[k].name);
        saves(&formats[k], path, 1);
        assert_int_equal(mode_of(path), 0640); /* a new file's are the user's choice */
        static const mode_t modes[] = {0600, 0644, 0666, 0755};
        for (int i = 0; i < 4; i++) {
            assert_int_equal(chmod(path, modes[i]), 0);
            saves(&formats[k], path, 2 + i);
            assert_int_equal(mode_of(path), modes[i]);
        }
    }
    umask(before);
}

static void a_file_that_may_not_be_written_stays(void **state)
{
    (void)state;
    files_in(directory, true);
    const char *path = path_of("keep");
    saves(&formats[0], path, 5);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(chmod(directory, 0777), 0);
    uid_t before = geteuid();
    if (before == 0) assert_int_equal(seteuid(65534), 0); /* root may do anything */
    int wrong = is_harmless(&formats[0], path, EACCES);
    assert_int_equal(seteuid(before), 0);
    assert_int_equal(wrong, 0);
}

static void is_a_link(const char *path)
{
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
}

static void links_are_followed(void **state)
{
    (void)state;
    files_in(directory, true);
    assert_int_equal(mkdir(path_of("images"), 0777), 0);
    assert_int_equal(symlink("second", path_of("first")), 0); /* to a link, to a file of another folder, absent yet */
    assert_int_equal(symlink("images/file", path_of("second")), 0);
    assert_int_equal(symlink(path_of("second"), path_of("absolute")), 0);
    static const char *const names[] = {"first", "second", "absolute"};
    for (int k = 0; k < n_formats; k++)
        for (int i = 0; i < 3; i++) {
            saves(&formats[k], path_of(names[i]), 10 * k + i);
            assert_int_equal(formats[k].load(path_of("images/file")), 10 * k + i);
            is_a_link(path_of("first"));
            is_a_link(path_of("second"));
            is_a_link(path_of("absolute"));
        }
    assert_int_equal(files_in(path_of("images"), false), 1);

    assert_int_equal(symlink("round", path_of("round")), 0);
    assert_int_equal(save_weights(path_of("round"), 1), GR_ERR_IO);
    assert_error("a link to itself", GR_ERR_IO, strerror(ELOOP));
    static const char *const links[] = {"first", "second", "absolute", "round"};
    for (int i = 0; i < 4; i++) assert_int_equal(remove(path_of(links[i])), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kill_leaves_a_whole_file),
        cmocka_unit_test(what_the_dead_left_is_in_nobodys_way),
        cmocka_unit_test(long_names_have_room),
        cmocka_unit_test(a_file_that_may_not_grow),
        cmocka_unit_test(a_small_disk_that_is_full),
        cmocka_unit_test(rights_are_kept),
        cmocka_unit_test(a_file_that_may_not_be_written_stays),
        cmocka_unit_test(links_are_followed),
    };
    return cmocka_run_group_tests_name("saving", tests, set_up, remove_directory);
}
