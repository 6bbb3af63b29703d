/* tables.c: how lesson 4 tells of its numbers: means with their spread, in tables, and plots. */
#include "claims.h"

#include <stdarg.h>

finding found(verdict v, const char *format, ...)
{
    finding f = {.verdict = v};
    va_list args;
    va_start(args, format);
    vsnprintf(f.why, sizeof f.why, format, args);
    va_end(args);
    return f;
}

spread spread_of(const double v[])
{
    const int64_t n = seeds;
    spread s = {.least = v[0], .most = v[0]};
    for (int64_t i = 0; i < n; i++) {
        s.mean += v[i] / (double)n;
        s.least = fmin(s.least, v[i]);
        s.most = fmax(s.most, v[i]);
    }
    for (int64_t i = 0; i < n; i++) s.sd += (v[i] - s.mean) * (v[i] - s.mean) / (double)(n > 1 ? n - 1 : 1);
    s.sd = sqrt(s.sd);
    return s;
}

/* ---- Tables ------------------------------------------------------------------------------------------------- */

/* Prints and logs a cell of n, the row's end behind the last. */
static void print_cell(const table *t, int column, int n, const char *text)
{
    const char *end = column + 1 == n ? "\n" : "";
    printf(column ? "  %*s%s" : "  %-*s%s", t->width[column], text, end);
    fprintf(t->csv, "%s\"%s\"%s", column ? "," : "", text, end);
}

table begin_table(experiment *e, int number, int n, const char *const headings[])
{
    char suffix[20];
    snprintf(suffix, sizeof suffix, "_table_%d", number);
    table t = {.csv = create_file(name_of(e, suffix).text, ".csv")};
    printf("\n");
    for (int i = 0; i < n; i++) {
        const char *heading = headings[i] + (headings[i][0] == '<');
        const int length = (int)strlen(heading);
        t.width[i] = length > 15 ? length : 15;
        print_cell(&t, i, n, heading);
    }
    t.html = begin_html_table(e->page, n, headings);
    return t;
}

void cell(table *t, const char *format, ...)
{
    char text[100];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    print_cell(t, t->html.column, t->html.columns, text);
    put_cell(&t->html, "%s", text);
}

void spread_cell(table *t, int digits, const double v[])
{
    spread s = spread_of(v);
    cell(t, "%.*f +- %.*f", digits, s.mean, digits, s.sd);
}

void end_table(table *t)
{
    close_file(t->csv, "a table of results");
    end_html_table(&t->html, "");
}

/* ---- Plots -------------------------------------------------------------------------------------------------- */

result_name name_of(const experiment *e, const char *suffix)
{
    result_name name;
    snprintf(name.text, sizeof name.text, "04_claim_%02d%s", e->claim, suffix);
    return name;
}

FILE *begin_claim_plot(const experiment *e) { return begin_plot(name_of(e, "").text, 460, 340); }

void end_claim_plot(experiment *e, FILE *script)
{
    const result_name name = name_of(e, "");
    finish_plot(script, name.text);
    put_plot(e->page, name.text, e->title, "");
}
