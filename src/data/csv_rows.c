/* csv_rows.c: the grammar of RFC 4180, from a file's bytes to rows of fields. A field's text is taken out of its quotes
 * where it stands in the file's bytes. */
#include <stdarg.h>
#include <stdio.h>

#include "data/internal.h"

gr_status gr_csv_fail(const gr_csv *csv, gr_status status, int64_t line, int column, const char *format, ...)
{
    char text[256], where[96] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    bool named = column && csv->header && column <= csv->columns;
    if (named) snprintf(where, sizeof where, ", column %d (%s)", column, GR_QUOTE(csv->header[column - 1]));
    else if (column) snprintf(where, sizeof where, ", column %d", column);
    return gr_fail(status, "csv_read: %s: line %lld%s: %s", GR_QUOTE_PATH(csv->path), (long long)line, where, text);
}

#define LOOKS "; the separator looks like "
const char *gr_csv_separator_hint(const gr_csv *csv, const char *text)
{
    static const char marks[] = ";\t|, ", *const hints[] = {LOOKS "';'", LOOKS "a tab", LOOKS "'|'", LOOKS "','",
                                                            LOOKS "a blank"};
    for (int k = 0; k < GR_COUNT(hints); k++)
        if (marks[k] != csv->separator && strchr(text, marks[k])) return hints[k];
    return "";
}

const char *gr_csv_row_hint(const gr_csv *csv)
{
    bool blanks = false;
    for (int c = 0; c + 1 < csv->width; c++) blanks |= !*csv->fields[c].text;
    if (blanks && (csv->separator == ' ' || csv->separator == '\t'))
        return "; of several blanks side by side, each separates two columns";
    if (!*csv->fields[csv->width - 1].text) return "; a separator stands at the end of the line";
    return csv->separator == ',' && csv->width > csv->columns ? "; a decimal comma, or one in a text without quotes?"
                                                              : "";
}

/* ---- The file ----------------------------------------------------------------------------------------------- */

/* A byte 0 is refused: texts end at one, so that what follows it in a field would be lost. */
static gr_status refuse_nul(const gr_csv *csv)
{
    const char *nul = memchr(csv->bytes, '\0', (size_t)(csv->end - csv->bytes));
    if (!nul) return GR_OK;
    int64_t line = 1;
    for (const char *p = csv->bytes; p < nul; p++) line += *p == '\n';
    return gr_csv_fail(csv, GR_ERR_FORMAT, line, 0, "a byte 0: this is not a table in ASCII or UTF-8");
}

static gr_status read_bytes(gr_csv *csv, int64_t limit)
{
    gr_source *source = gr_source_open("csv_read", csv->path);
    if (!source) return gr_last_status();
    size_t size = 0;
    csv->bytes = gr_source_read_all(source, (uint64_t)limit, &size);
    int ends = csv->bytes ? gr_source_ends(source) : -1;
    gr_source_close(source);
    if (ends < 0) return gr_last_status();
    if (!ends)
        return gr_fail(GR_ERR_FORMAT, "csv_read: %s: larger than max_bytes, %lld", GR_QUOTE_PATH(csv->path),
                       (long long)limit);
    csv->end = csv->bytes + size;
    return refuse_nul(csv);
}

gr_status gr_csv_open(gr_csv *csv, const char *path, const gr_csv_options *options)
{
    *csv = (gr_csv){.path = path, .separator = options->separator ? options->separator : ',', .line = 1};
    gr_status status = read_bytes(csv, options->max_bytes ? options->max_bytes : (int64_t)1 << 30);
    if (status) return status;
    csv->at = csv->bytes;
    if (strncmp(csv->at, "\xEF\xBB\xBF", 3) == 0) csv->at += 3;
    for (int i = 0; i < options->skip_lines && csv->at < csv->end; i++) {
        char *line_end = strchr(csv->at, '\n');
        csv->at = line_end ? line_end + 1 : csv->end;
        csv->line++;
    }
    return GR_OK;
}

void gr_csv_close(gr_csv *csv)
{
    gr_release(csv->bytes);
    gr_release(csv->fields);
    gr_release(csv->header);
}

/* ---- One field ---------------------------------------------------------------------------------------------- */

static bool is_blank(const gr_csv *csv, char c) { return (c == ' ' || c == '\t') && c != csv->separator; }

static void skip_blanks(gr_csv *csv)
{
    while (is_blank(csv, *csv->at)) csv->at++;
}

/* A field whose opening quote is at `at`. Ends its text with a 0 and leaves `at` behind the closing quote. */
static gr_status quoted_field(gr_csv *csv, gr_csv_field *field, int column)
{
    char *to = field->text = ++csv->at;
    for (;; csv->at++) {
        if (csv->at == csv->end)
            return gr_csv_fail(csv, GR_ERR_FORMAT, field->line, column, "the quote that opens here is never closed");
        if (*csv->at == '"' && *++csv->at != '"') break;
        csv->line += *csv->at == '\n';
        *to++ = *csv->at;
    }
    skip_blanks(csv);
    char next = *csv->at;
    bool ends = csv->at == csv->end || next == csv->separator || next == '\n' || (next == '\r' && csv->at[1] == '\n');
    if (!ends)
        return gr_csv_fail(csv, GR_ERR_FORMAT, csv->line, column,
                           "text follows a closing quote: expected '%c' or the line's end; a quote within quotes is "
                           "written \"\"%s",
                           csv->separator, gr_csv_separator_hint(csv, (char[]){next, '\0'}));
    *to = '\0';
    return GR_OK;
}

/* A field without quotes. Leaves `at` behind it. Its text ends in a 0 where blanks are cut off, and has none yet where
 * `at` is. */
static gr_status plain_field(gr_csv *csv, gr_csv_field *field, int column)
{
    char *p = field->text = csv->at;
    while (*p && *p != csv->separator && *p != '\n' && *p != '\r' && *p != '"') p++;
    csv->at = p;
    if (*p == '"')
        return gr_csv_fail(csv, GR_ERR_FORMAT, csv->line, column,
                           "a quote inside a field that does not begin with one: expected \"a \"\"quoted\"\" word\"");
    if (*p == '\r' && p[1] != '\n')
        return gr_csv_fail(csv, GR_ERR_FORMAT, csv->line, column, "a carriage return without a line feed");
    while (p > field->text && is_blank(csv, p[-1])) p--;
    if (p < csv->at) *p = '\0';
    return GR_OK;
}

/* ---- One row ------------------------------------------------------------------------------------------------ */

static gr_csv_field *new_field(gr_csv *csv)
{
    gr_csv_field *fields = gr_grow_array(csv->fields, csv->width, 1, &csv->capacity, sizeof *fields);
    if (!fields) return NULL;
    csv->fields = fields;
    return &fields[csv->width++];
}

static void skip_empty_lines(gr_csv *csv)
{
    for (;; csv->at++, csv->line++) {
        if (*csv->at == '\r' && csv->at[1] == '\n') csv->at++;
        if (*csv->at != '\n') return;
    }
}

int gr_csv_next(gr_csv *csv)
{
    skip_empty_lines(csv);
    csv->width = 0;
    csv->row_line = csv->line;
    if (csv->at == csv->end) return 0;
    for (bool more = true; more;) {
        if (csv->width == GR_MAX_COLUMNS)
            return gr_csv_fail(csv, GR_ERR_FORMAT, csv->line, 0, "more than %d fields", GR_MAX_COLUMNS), -1;
        gr_csv_field *field = new_field(csv);
        if (!field) return -1;
        field->line = csv->line;
        skip_blanks(csv);
        bool quoted = *csv->at == '"';
        if (quoted ? quoted_field(csv, field, csv->width) : plain_field(csv, field, csv->width)) return -1;
        char *stop = csv->at; /* a separator, a line's end or the end of the bytes */
        more = *stop && *stop == csv->separator;
        if (*stop == '\r') csv->at++;
        csv->line += *csv->at == '\n';
        if (csv->at < csv->end) csv->at++;
        *stop = '\0';
    }
    return 1;
}
