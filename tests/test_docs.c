/* test_docs.c: what the documents say is so: the table of ops is that of the code, every function has its comment,
 * every link leads somewhere, a quotation stands where it says. `test_docs --ops` writes docs/ops.md. (Programs in
 * documents are tests of their own: see gr_doc() in CMakeLists.txt.) */
#define _POSIX_C_SOURCE 200809L /* glob */

#include <ctype.h>
#include <glob.h>
#include <unistd.h>

#include "helpers.h"

#include <gradus/op.h>
#include <gradus/segmentation.h>

#define GR_OP(name) #name,
static const char *const loss_ops[] = {
#include "losses/losses.def"
    NULL,
};
#undef GR_OP

/* ---- Reading ------------------------------------------------------------------------------------------------ */

/* The whole of a stream, as a string to free. */
static char *read_all(FILE *file)
{
    size_t used = 0, room = 1 << 16;
    char *text = malloc(room);
    while (text && file && (used += fread(text + used, 1, room - used - 1, file), !feof(file) && !ferror(file))) {
        char *larger = realloc(text, room *= 2);
        if (!larger) free(text);
        text = larger;
    }
    if (text) text[used] = '\0';
    return text;
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *text = read_all(file);
    fclose(file);
    return text;
}

static char *read_source(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", GR_SOURCE_DIR, name);
    char *text = read_text(path);
    if (!text) fail_msg("cannot read %s", path);
    return text;
}

/* Cuts the first line off; NULL at the end. */
static char *next_line(char **text)
{
    char *line = *text;
    if (!*line) return NULL;
    char *end = strchr(line, '\n');
    if (end) *end = '\0';
    *text = end ? end + 1 : line + strlen(line);
    return line;
}

/* ---- The table of ops --------------------------------------------------------------------------------------- */

static const char introduction[] =
    "# The ops\n\n"
    "Made from the records in the code: `test_docs --ops > docs/ops.md` writes this page, and the test `docs`\n"
    "fails when it is out of date.\n\n"
    "How to read it. *g* is the gradient of the result, and what stands behind `dx =` is what input *x*\n"
    "receives, before the engine sums it over the axes along which *x* was broadcast. `[a > b]` is 1 where it\n"
    "holds and 0 elsewhere, `s` is the sigmoid, `Phi` and `phi` are the standard normal distribution and its\n"
    "density. Where an input is not mentioned it has no gradient, and asking for it is an error. `dx = 0` is\n"
    "a gradient of zero, for steps.\n\n"
    "*Kernels*: every op works in F32 and F64. Portable code runs anywhere; where AVX2 and AVX-512 are named\n"
    "the same source is also compiled for those processors, and the best one is taken at run time. Matrix\n"
    "products are OpenBLAS's.\n";

static const char about_ops[] =
    "\n"
    "## Ops\n\n"
    "Declared in [ops.h](../include/gradus/ops.h) and, for images, [nn.h](../include/gradus/nn.h), which also say\n"
    "what each does at its edges. A name in italics has no function of its own: it is part of a derivative, or,\n"
    "as *channel_affine* is of `gr_batch_norm2d()` in use, of an op. `gr_var()`, `gr_transpose()`, `gr_stack()`\n"
    "and `gr_global_avg_pool2d()` are composed of these.\n";

static const char about_losses[] =
    "\n"
    "## Losses\n\n"
    "Declared in [losses.h](../include/gradus/losses.h) and [segmentation.h](../include/gradus/segmentation.h),\n"
    "explained in [losses.md](losses.md). The formulas are those of one position, before weights and the\n"
    "reduction: a mean divides the gradient by the number of positions. Besides prediction and target there\n"
    "may be weights as inputs; they have no gradient. *class_target* is what cross entropy and KL weigh\n"
    "logarithms with. Dice and the other losses of regions are composed of `gr_soft_counts()` and *ratio*,\n"
    "the Lovasz losses of *lovasz* and *class_error*.\n";

/* Whether a public header declares gr_name(). */
static bool is_public(const char *headers, const char *name)
{
    char call[128];
    snprintf(call, sizeof call, "*gr_%s(gr_tape *", name);
    return strstr(headers, call) != NULL;
}

/* In code, in a cell of a table: a bar would end the cell. */
static void write_code(FILE *to, const char *text)
{
    fputc('`', to);
    for (; *text; text++) fprintf(to, *text == '|' ? "\\|" : "%c", *text);
    fputc('`', to);
}

static void write_row(FILE *to, const gr_op *op, const char *headers)
{
    fprintf(to, is_public(headers, op->name) ? "| `gr_%s()` | " : "| *%s* | ", op->name);
    write_code(to, op->formula);
    if (op->n_in == GR_VARIADIC) fprintf(to, " | 1 or more | ");
    else fprintf(to, op->n_optional ? " | %d to %d | " : " | %d | ", op->n_in, op->n_in + op->n_optional);
    write_code(to, op->gradient ? op->gradient : "?");
    fprintf(to, " | %s%s%s |\n", op->forward[GR_ANY_CPU][GR_F32] ? "portable" : "none: a view",
            op->forward[GR_AVX2][GR_F32] ? ", AVX2" : "", op->forward[GR_AVX512][GR_F32] ? ", AVX-512" : "");
}

static bool is_loss(const gr_op *op)
{
    int i = 0;
    while (loss_ops[i] && strcmp(loss_ops[i], op->name) != 0) i++;
    return loss_ops[i] != NULL;
}

static void write_table(FILE *to, bool losses, const char *headers)
{
    fprintf(to, "\n| op | result | inputs | gradient | kernels |\n| --- | --- | --- | --- | --- |\n");
    for (int i = 0; gr_op_at(i); i++)
        if (is_loss(gr_op_at(i)) == losses) write_row(to, gr_op_at(i), headers);
}

/* Two sources, one behind the other. */
static char *read_sources(const char *first, const char *second)
{
    char *a = read_source(first), *b = read_source(second), *both = malloc(strlen(a) + strlen(b) + 1);
    assert_non_null(both);
    strcat(strcpy(both, a), b);
    free(a);
    free(b);
    return both;
}

static void write_ops(FILE *to)
{
    char *ops = read_sources("include/gradus/ops.h", "include/gradus/nn.h");
    char *losses = read_sources("include/gradus/losses.h", "include/gradus/segmentation.h");
    fputs(introduction, to);
    fputs(about_ops, to);
    write_table(to, false, ops);
    fputs(about_losses, to);
    write_table(to, true, losses);
    free(losses);
    free(ops);
}

/* Takes the last cell off the rows of a table, in place. */
static void cut_last_column(char *text)
{
    char *to = text;
    while (*text) {
        char *end = text + strcspn(text, "\n");
        char *stop = end;
        if (*text == '|' && end > text + 1)
            for (stop = end - 1; stop > text && stop[-1] != '|';) stop--;
        memmove(to, text, (size_t)(stop - text));
        to += stop - text;
        if (*end) *to++ = *end++;
        text = end;
    }
    *to = '\0';
}

static void the_table_of_ops_is_up_to_date(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    write_ops(file);
    rewind(file);
    char *now = read_all(file), *page = read_source("docs/ops.md");
    fclose(file);
    assert_non_null(now);
    if (!gr_op_at(0)->forward[GR_AVX2][GR_F32]) { /* the page was written on an x86-64 */
        cut_last_column(now);
        cut_last_column(page);
    }
    if (strcmp(now, page) != 0) fail_msg("docs/ops.md is out of date: test_docs --ops > docs/ops.md");
    free(now);
    free(page);
}

static void columns_can_be_cut(void **state)
{
    (void)state;
    char text[] = "words | here\n| a | b |\n| c \\| d | e |\n";
    cut_last_column(text);
    assert_string_equal(text, "words | here\n| a |\n| c \\| d |\n");
}

static void every_op_states_its_gradient(void **state)
{
    (void)state;
    for (int i = 0; gr_op_at(i); i++)
        if (!gr_op_at(i)->gradient || !*gr_op_at(i)->gradient) fail_msg("%s: .gradient is missing", gr_op_at(i)->name);
}

/* ---- Comments in headers ------------------------------------------------------------------------------------ */

/* How many public functions stand in a paragraph that has no comment. Names the first in `name`. */
static int undocumented(char *header, char name[64])
{
    int found = 0, functions = 0;
    char first[64] = "", *line;
    bool comment = false;
    name[0] = '\0';
    for (char end[] = ""; (line = next_line(&header)) || functions; line = NULL) {
        if (!line) line = end;
        if (*line) {
            comment |= strstr(line, "/*") || strstr(line, "*/");
            char *function = strncmp(line, "GR_EXPORT", 9) == 0 ? strstr(line, "gr_") : NULL;
            for (char *p = function; p; p = strstr(p + 1, "gr_"))
                function = p[strcspn(p, "(, )")] == '(' ? p : function;
            if (function && !functions++) snprintf(first, sizeof first, "%.*s", (int)strcspn(function, "("), function);
            continue;
        }
        if (functions && !comment) {
            if (!found) memcpy(name, first, sizeof first);
            found += functions;
        }
        functions = 0;
        comment = false;
    }
    return found;
}

static void every_function_has_its_comment(void **state)
{
    (void)state;
    glob_t headers;
    int functions = 0;
    assert_int_equal(glob(GR_SOURCE_DIR "/include/gradus/*.h", 0, NULL, &headers), 0);
    for (size_t i = 0; i < headers.gl_pathc; i++) {
        const char *path = headers.gl_pathv[i], *base = strrchr(path, '/') + 1;
        char *text = read_text(path), opening[80], name[64];
        assert_non_null(text);
        snprintf(opening, sizeof opening, "/* %s: ", base);
        if (strncmp(text, opening, strlen(opening)) != 0) fail_msg("%s does not open with \"%s\"", base, opening);
        for (const char *p = text; (p = strstr(p, "\nGR_EXPORT")) != NULL; p++) functions++;
        if (undocumented(text, name)) fail_msg("%s: %s() has no comment", base, name);
        free(text);
    }
    globfree(&headers);
    assert_true(functions > 100);
}

static void a_missing_comment_is_seen(void **state)
{
    (void)state;
    char name[64];
    char good[] = "/* a\n * b */\nGR_EXPORT int gr_a(int x);\nGR_EXPORT gr_t *gr_b(gr_t *x);\n\nGR_EXPORT int "
                  "gr_c(void); /* c */\n";
    assert_int_equal(undocumented(good, name), 0);
    char bad[] = "/* a */\n\nGR_EXPORT GR_NODISCARD gr_t *gr_bad(gr_t *x,\n    int y);\n";
    assert_int_equal(undocumented(bad, name), 1);
    assert_string_equal(name, "gr_bad");
}

/* ---- Links -------------------------------------------------------------------------------------------------- */

/* A heading as the anchor that GitHub makes of it. */
static void anchor_of(const char *heading, char *anchor, size_t room)
{
    size_t n = 0;
    for (; *heading && n + 1 < room; heading++) {
        unsigned char c = (unsigned char)*heading;
        if (c == ' ') anchor[n++] = '-';
        else if (isalnum(c) || c == '-' || c == '_' || c >= 0x80) anchor[n++] = (char)tolower(c);
    }
    anchor[n] = '\0';
}

static bool has_anchor(const char *path, const char *wanted)
{
    char *text = read_text(path), *rest = text, *line, anchor[256];
    bool found = false, code = false;
    while (text && !found && (line = next_line(&rest)) != NULL) {
        if (strncmp(line, "```", 3) == 0) code = !code;
        if (code || *line != '#') continue;
        line += strspn(line, "#");
        anchor_of(line + strspn(line, " "), anchor, sizeof anchor);
        found = strcmp(anchor, wanted) == 0;
    }
    free(text);
    return found;
}

/* Whether a link in the document at `path` leads somewhere; those to other sites are not followed. */
static bool resolves(const char *path, const char *link)
{
    if (strstr(link, "://") || strncmp(link, "mailto:", 7) == 0) return true;
    const char *slash = strrchr(path, '/'), *hash = strchr(link, '#');
    int folder = slash ? (int)(slash - path) : 0, file = hash ? (int)(hash - link) : (int)strlen(link);
    char target[4096];
    if (file) snprintf(target, sizeof target, "%.*s/%.*s", folder, path, file, link);
    else snprintf(target, sizeof target, "%s", path);
    return access(target, F_OK) == 0 && (!hash || has_anchor(target, hash + 1));
}

/* False for what looks like a file of ours and is not there. */
static bool names_what_is_there(const char *word)
{
    static const char *const folders[] = {"include/", "src/",  "examples/", "tests/",
                                          "bench/",   "docs/", "scripts/",  "cmake/"};
    bool ours = false;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        ours |= strncmp(word, folders[i], strlen(folders[i])) == 0;
    if (!ours || strpbrk(word, " *<>{}$.,") != strchr(word, '.') || strstr(word, "..")) return true;
    char target[4096];
    snprintf(target, sizeof target, "%s/%s", GR_SOURCE_DIR, word);
    return access(target, F_OK) == 0;
}

/* Looks at links and at names of files in `code`, outside blocks of code. Returns how many it has seen. */
static int check_line(const char *path, char *line, char complaint[512])
{
    int seen = 0;
    for (char *p = line; (p = strstr(p, "](")) != NULL;) {
        p += 2;
        char *end = strchr(p, ')');
        if (!end) break;
        *end = '\0';
        if (!resolves(path, p)) snprintf(complaint, 512, "%s: the link %s leads nowhere", path, p);
        *end = ')';
        seen++;
    }
    for (char *p = line; (p = strchr(p, '`')) != NULL;) {
        char *end = strchr(++p, '`');
        if (!end) break;
        *end = '\0';
        if (!names_what_is_there(p)) snprintf(complaint, 512, "%s: there is no %s", path, p);
        *end = '`';
        p = end + 1;
        seen++;
    }
    return seen;
}

/* A block of code that opens with the comment `// FILE` is a quotation: each of its lines must stand in that file. */
static void check_quotation(const char *path, const char *line, char **source, char complaint[512])
{
    char name[512] = "";
    if (!*source && sscanf(line, "// %511s", name) == 1 && strncmp(name, "src/", 4) == 0) *source = read_source(name);
    else if (*source && !strstr(*source, line)) snprintf(complaint, 512, "%s: not in the source: %s", path, line);
}

/* "... write `src/some/file.c`:" stands before a file that the reader is to write; the test added_op does so. */
static bool introduces_file(const char *line)
{
    const size_t length = strlen(line);
    return length > 2 && strcmp(line + length - 2, "`:") == 0;
}

/* Goes through a document; returns how many links and names of files it has seen. */
static int check_page(const char *path, char *text, char complaint[512])
{
    int seen = 0;
    bool code = false, first = false;
    char *line, *source = NULL;
    while (!*complaint && (line = next_line(&text)) != NULL) {
        if (strncmp(line + strspn(line, " "), "```", 3) == 0) {
            code = first = !code;
            free(source);
            source = NULL;
        } else if (code) {
            if (first || source) check_quotation(path, line, &source, complaint);
            first = false;
        } else if (!introduces_file(line)) {
            seen += check_line(path, line, complaint);
        }
    }
    free(source);
    return seen;
}

static void pages_are_right(void **state)
{
    (void)state;
    static const char *const folders[] = {"/docs/*.md", "/bench/*.md", "/examples/*.md", "/scripts/*/*.md"};
    glob_t pages;
    int seen = 0;
    assert_int_equal(glob(GR_SOURCE_DIR "/*.md", 0, NULL, &pages), 0);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char pattern[4096];
        snprintf(pattern, sizeof pattern, "%s%s", GR_SOURCE_DIR, folders[i]);
        glob(pattern, GLOB_APPEND, NULL, &pages);
    }
    for (size_t i = 0; i < pages.gl_pathc; i++) {
        char *text = read_text(pages.gl_pathv[i]), complaint[512] = "";
        assert_non_null(text);
        seen += check_page(pages.gl_pathv[i], text, complaint);
        if (*complaint) fail_msg("%s", complaint);
        free(text);
    }
    globfree(&pages);
    assert_true(seen > 20);
}

static void a_wrong_quotation_is_seen(void **state)
{
    (void)state;
    const char *page = GR_SOURCE_DIR "/docs/ops.md";
    char complaint[512] = "";
    char good[] = "```c\n// src/ops.c\nconst gr_op *gr_op_at(int position)\n```\n```c\n// no file\nint x;\n```\n";
    char bad[] = "```c\n// src/ops.c\nint x;\n```\n";
    check_page(page, good, complaint);
    assert_string_equal(complaint, "");
    check_page(page, bad, complaint);
    assert_non_null(strstr(complaint, "int x;"));
}

static void a_broken_link_is_seen(void **state)
{
    (void)state;
    const char *page = GR_SOURCE_DIR "/docs/ops.md";
    char complaint[512] = "";
    char good[] = "[a](losses.md) [b](../README.md#read-on) [c](#losses) [d](https://nowhere.example) `src/ops.c` `y`";
    assert_int_equal(check_line(page, good, complaint), 6);
    assert_string_equal(complaint, "");
    const char *bad[] = {"[a](nothing.md)", "[b](#no-such-heading)", "see `src/nothing.c`"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[64];
        snprintf(line, sizeof line, "%s", bad[i]);
        complaint[0] = '\0';
        check_line(page, line, complaint);
        if (!*complaint) fail_msg("%s went unnoticed", bad[i]);
    }
}

/* ---- The page of the losses ----------------------------------------------------------------------------------- */

/* A text in which a comment's lines are one, to free. */
static char *in_one_line(const char *text)
{
    char *line = malloc(strlen(text) + 1), *to = line;
    assert_non_null(line);
    for (; *text; text++) {
        if (strncmp(text, "\n * ", 4) == 0) text += 3;
        *to++ = *text;
    }
    *to = '\0';
    return line;
}

/* The row of a table of the page that says `function` in one cell and `what`, or anything for NULL, in another, as a
 * copy to free; NULL where there is none. */
static char *row_of(const char *page, const char *function, const char *what)
{
    char cell[80];
    snprintf(cell, sizeof cell, "| `gr_%s()` |", function);
    for (const char *line = page; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (*line != '|') continue;
        char *row = strdup(line);
        assert_non_null(row);
        row[strcspn(row, "\n")] = '\0';
        if (strstr(row, cell) && (!what || strstr(row, what))) return row;
        free(row);
    }
    return NULL;
}

/* The next `code` of a row, without the strokes in front of bars; false at the end. */
static bool next_code(const char **row, char code[512])
{
    const char *from = strchr(*row, '`'), *end = from ? strchr(from + 1, '`') : NULL;
    if (!end) return false;
    for (from++; from < end; from++)
        if (*from != '\\' || from[1] != '|') *code++ = *from;
    *code = '\0';
    *row = end + 1;
    return true;
}

static const gr_op *record_of(const char *name)
{
    int i = 0;
    while (gr_op_at(i) && strcmp(gr_op_at(i)->name, name) != 0) i++;
    return gr_op_at(i);
}

/* A loss with a record: its row has the formula and the gradient of the record. */
static void check_record(const char *page, const gr_op *op, char complaint[512])
{
    char *row = row_of(page, op->name, "=");
    const char *at = row;
    char code[512];
    const char *const expected[] = {NULL, op->formula, op->gradient};
    for (int i = 0; i < 3 && !*complaint; i++)
        if (!row || !next_code(&at, code) || (expected[i] && strcmp(code, expected[i]) != 0))
            snprintf(complaint, 512, "%s: the page does not say %s", op->name, expected[i] ? expected[i] : "its row");
    free(row);
}

/* A loss that is composed of others: what its row says of the value stands in the headers' comments or in a record. */
static void check_composed(const char *page, const char *name, const char *headers, char complaint[512])
{
    char *row = row_of(page, name, "](#"), code[512];
    const char *at = row ? strstr(row, "()` |") : NULL;
    if (!at) snprintf(complaint, 512, "%s: no row with a link on the page", name);
    char *value = at ? strdup(at + 5) : NULL;
    if (value && strstr(value, " | ")) *strstr(value, " | ") = '\0';
    for (at = value; at && next_code(&at, code) && !*complaint;)
        if (!strstr(headers, code) && !strstr(record_of("lovasz")->formula, code))
            snprintf(complaint, 512, "%s: no header says %.300s", name, code);
    free(value);
    free(row);
}

/* Goes through the losses that headers declare; returns how many there are. */
static int check_losses(const char *page, const char *headers, char complaint[512])
{
    int losses = 0;
    char name[64];
    for (const char *at = headers; !*complaint && (at = strstr(at, "GR_EXPORT gr_tensor *gr_")) != NULL; at++) {
        if (sscanf(at, "GR_EXPORT gr_tensor *gr_%63[a-z0-9_](gr_tape", name) != 1) continue;
        const gr_op *op = record_of(name);
        losses++;
        if (op && strcmp(name, "soft_counts") != 0) check_record(page, op, complaint);
        if (!*complaint) check_composed(page, name, headers, complaint);
    }
    return losses;
}

static char *loss_headers(void)
{
    char *both = read_sources("include/gradus/losses.h", "include/gradus/segmentation.h"), *line = in_one_line(both);
    free(both);
    return line;
}

static void the_page_of_losses_is_complete(void **state)
{
    (void)state;
    char *page = read_source("docs/losses.md"), *headers = loss_headers(), complaint[512] = "";
    assert_int_equal(check_losses(page, headers, complaint), 26);
    if (*complaint) fail_msg("%s", complaint);
    for (const char *row = page; (row = strstr(row, "| `gr_")) != NULL; row++) {
        char name[80], declared[120];
        assert_int_equal(sscanf(row, "| `gr_%79[a-z0-9_]()`", name), 1);
        snprintf(declared, sizeof declared, "*gr_%s(gr_tape *", name);
        if (!strstr(headers, declared)) fail_msg("there is no loss gr_%s()", name);
    }
    free(headers);
    free(page);
}

static void a_stale_page_of_losses_is_seen(void **state)
{
    (void)state;
    char *headers = loss_headers();
    static const char *const words[] = {"dp = g sign(p - y), dy = -dp", "`l = (p - y)^2`", "| `gr_dice()`",
                                        "`1 - (TP + e) / (TP + FP + FN + e)`", "| `gr_lovasz_hinge()`"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char *page = read_source("docs/losses.md"), complaint[512] = "", *at = strstr(page, words[i]);
        assert_non_null(at);
        at[strlen(words[i]) / 2] = '#';
        check_losses(page, headers, complaint);
        if (!*complaint) fail_msg("a change of %s went unnoticed", words[i]);
        free(page);
    }
    free(headers);
}

/* Which options a loss of positions takes is what the page says. */
typedef gr_tensor *(*pixel_loss)(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options);
#define WITH_BASE(name)                                                                            \
    static gr_tensor *name(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options) \
    {                                                                                              \
        return gr_##name(t, p, y, &(gr_##name##_options){.base = *options});                       \
    }
WITH_BASE(weighted_bce)
WITH_BASE(balanced_bce)
WITH_BASE(focal)
WITH_BASE(huber)
WITH_BASE(smooth_l1)

static void the_page_knows_the_options_of_losses(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        pixel_loss loss;
    } losses[] = {{"l1", gr_l1},
                  {"mse", gr_mse},
                  {"zero_one", gr_zero_one},
                  {"hinge", gr_hinge},
                  {"bce", gr_bce},
                  {"cross_entropy", gr_cross_entropy},
                  {"kl", gr_kl},
                  {"weighted_bce", weighted_bce},
                  {"balanced_bce", balanced_bce},
                  {"focal", focal},
                  {"huber", huber},
                  {"smooth_l1", smooth_l1}};
    gr_tape *t = gr_tape_new();
    gr_tensor *p = gr_full(GR_F64, GR_SHAPE(1, 2, 3), 0.5), *y = gr_ones(GR_F64, GR_SHAPE(1, 2, 3)),
              *w = gr_ones(GR_F64, GR_SHAPE(2));
    const gr_loss_options options[] = {{.from_logits = true}, {.label_smoothing = 0.1}, {.class_weight = w}};
    char *page = read_source("docs/losses.md");
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        char *row = row_of(page, losses[i].name, "](#");
        assert_non_null(row);
        char *cell = strstr(row, "()` |") + 5;
        for (int k = 0; k < 3; k++, cell = strchr(cell, '|') + 1) {
            const bool said = strncmp(cell, " yes", 4) == 0, so = losses[i].loss(t, p, y, &options[k]);
            if (said != so) fail_msg("%s: the page says %s of option %d", losses[i].name, said ? "yes" : "nothing", k);
        }
        free(row);
    }
    free(page);
    gr_tensor_free(w);
    gr_tensor_free(y);
    gr_tensor_free(p);
    gr_tape_free(t);
}

/* ---- What ops.h says of gr_where() ------------------------------------------------------------------------------ */

/* The derivative by x of where(x > 0, sqrt(x), 0) at 0; guarded: with where(x > 0, x, 1) under the root. */
static double slope_of_where(bool guarded)
{
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_scalar(GR_F64, 0), *zero = gr_constant(t, GR_F64, 0), *one = gr_constant(t, GR_F64, 1);
    assert_false(gr_require_grad(x));
    gr_tensor *positive = gr_greater(t, x, zero), *safe = guarded ? gr_where(t, positive, x, one) : x;
    gr_tensor *y = gr_where(t, positive, gr_sqrt(t, safe), zero);
    assert_true(gr_item(y) == 0.0);
    assert_false(gr_backward(t, y, 0));
    const double slope = gr_item(gr_gradient(x));
    gr_tensor_free(x);
    gr_tape_free(t);
    return slope;
}

static void where_needs_a_safe_input(void **state)
{
    (void)state;
    assert_true(isnan(slope_of_where(false)));
    assert_true(slope_of_where(true) == 0.0);
}

int main(int argc, char *argv[])
{
    if (argc == 2 && strcmp(argv[1], "--ops") == 0) {
        write_ops(stdout);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_ops_is_up_to_date),
        cmocka_unit_test(columns_can_be_cut),
        cmocka_unit_test(every_op_states_its_gradient),
        cmocka_unit_test(every_function_has_its_comment),
        cmocka_unit_test(a_missing_comment_is_seen),
        cmocka_unit_test(pages_are_right),
        cmocka_unit_test(a_broken_link_is_seen),
        cmocka_unit_test(a_wrong_quotation_is_seen),
        cmocka_unit_test(the_page_of_losses_is_complete),
        cmocka_unit_test(a_stale_page_of_losses_is_seen),
        cmocka_unit_test(the_page_knows_the_options_of_losses),
        cmocka_unit_test(where_needs_a_safe_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
