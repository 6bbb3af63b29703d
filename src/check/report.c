/* report.c: what is told of a check: a table for people, CSV and JSON for programs. */
#include <stdarg.h>

#include "check/check_internal.h"

/* ---- Text --------------------------------------------------------------------------------------------------- */

/* Where text goes: a file, or memory of which no more than `capacity` is used. */
typedef struct sink {
    FILE *file;
    char *text;
    size_t capacity, length;
} sink;

static GR_PRINTF(2, 3) void say(sink *s, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const size_t left = s->length < s->capacity ? s->capacity - s->length : 0;
    int n = s->file ? vfprintf(s->file, format, arguments)
                    : vsnprintf(left ? s->text + s->length : NULL, left, format, arguments);
    va_end(arguments);
    if (n > 0) s->length += (size_t)n;
}

static void say_counts(sink *s, const gr_check_report *r)
{
    say(s, "%s: %lld compared (%s)", gr_check_verdict_name(r->verdict), (long long)r->compared,
        gr_check_mode_name(r->mode));
    for (int v = 0; v < GR_CHECK_N_VERDICTS; v++)
        if (r->count[v]) say(s, ", %lld %s", (long long)r->count[v], gr_check_verdict_name((gr_check_verdict)v));
    say(s, "; %lld evaluations, %lld backward passes\n", (long long)r->evaluations, (long long)r->backwards);
    if (r->mode == GR_CHECK_TAYLOR)
        say(s, "orders of Taylor's remainders: %s, %s, %s; steps from %s to %s of a direction\n",
            GR_DIGITS(3, r->order[0]), GR_DIGITS(3, r->order[1]), GR_DIGITS(3, r->order[2]), GR_DIGITS(2, r->range[0]),
            GR_DIGITS(2, r->range[1]));
    if (r->culprit_op)
        say(s, "the first op that is wrong by itself: %s, node %lld\n", r->culprit_op, (long long)r->culprit);
    if (r->digits > 0.0 && r->digits < 14.0) say(s, "the function has some %.0f digits\n", r->digits);
    if (*r->hint) say(s, "hint: %s\n", r->hint);
}

#define EXPONENT(digits, x) gr_digits_text(&(gr_text){{0}}, 'e', digits, x)

static void say_element(sink *s, const gr_check_element *e)
{
    say(s, "%-16s %-24s %16s %16s %9s %9s %16s %16s %8s", gr_check_verdict_name(e->verdict), e->place,
        EXPONENT(9, e->analytic), EXPONENT(9, e->numeric), EXPONENT(1, e->error), EXPONENT(1, e->relative),
        EXPONENT(9, e->below), EXPONENT(9, e->above), EXPONENT(1, e->step));
    if (e->left < e->right || e->left > e->right)
        say(s, "  between %s and %s", GR_DIGITS(6, e->left), GR_DIGITS(6, e->right));
    if (e->output >= 0) say(s, "  of output %lld", (long long)e->output);
    if (e->op) say(s, "  %s, node %lld", e->op, (long long)e->node);
    say(s, "\n");
}

static void say_histogram(sink *s, const gr_check_report *r)
{
    say(s, "relative errors:");
    for (int i = 0; i < GR_CHECK_BINS; i++) {
        if (!r->histogram[i]) continue;
        if (i == GR_CHECK_BINS - 1) say(s, "  1 or more: %lld", (long long)r->histogram[i]);
        else say(s, "  <1e%d: %lld", i - 15, (long long)r->histogram[i]);
    }
    say(s, "\n");
}

static void say_report(sink *s, const gr_check_report *r)
{
    say_counts(s, r);
    if (!r->n_worst) return;
    say_histogram(s, r);
    say(s, "%-16s %-24s %16s %16s %9s %9s %16s %16s %8s\n", "the worst", "", "analytic", "numeric", "+-error",
        "relative", "f(x-h)", "f(x+h)", "h");
    for (int i = 0; i < r->n_worst; i++) say_element(s, &r->worst[i]);
}

gr_status gr_check_fprint(FILE *file, const gr_check_report *r)
{
    if (!file || !r) return gr_fail_null("check_fprint", file ? "the report" : "file");
    say_report(&(sink){.file = file}, r);
    return gr_file_status("check_fprint", file);
}

size_t gr_check_format(char *text, size_t capacity, const gr_check_report *r)
{
    sink s = {.text = text, .capacity = text ? capacity : 0};
    if (s.capacity) *text = '\0';
    if (r) say_report(&s, r);
    else gr_fail_null("check_format", "the report");
    return s.length;
}

/* ---- CSV ---------------------------------------------------------------------------------------------------- */

/* The numbers of a comparison, as both CSV and JSON name them. */
#define NUMBER(name) #name, offsetof(gr_check_element, name)
static const struct {
    const char *name;
    size_t offset;
} element_numbers[] = {{NUMBER(analytic)}, {NUMBER(numeric)}, {NUMBER(error)}, {NUMBER(relative)}, {NUMBER(step)},
                       {NUMBER(below)},    {NUMBER(above)},   {NUMBER(left)},  {NUMBER(right)}};
#undef NUMBER

static double number_of(const gr_check_element *e, int i)
{
    return *(const double *)((const char *)e + element_numbers[i].offset);
}

/* Names come from users: quotes are doubled. */
static void csv_text(sink *s, const char *text)
{
    say(s, ",\"");
    for (; *text; text++) say(s, *text == '"' ? "\"\"" : "%c", *text);
    say(s, "\"");
}

gr_status gr_check_fprint_csv(FILE *file, const gr_check_report *r)
{
    if (!file || !r) return gr_fail_null("check_fprint_csv", file ? "the report" : "file");
    sink s = {.file = file};
    say(&s, "verdict,place,input,index,output,op,node");
    for (int k = 0; k < GR_COUNT(element_numbers); k++) say(&s, ",%s", element_numbers[k].name);
    for (int i = 0; i < r->n_worst; i++) {
        const gr_check_element *e = &r->worst[i];
        say(&s, "\n%s", gr_check_verdict_name(e->verdict));
        csv_text(&s, e->place);
        say(&s, ",%d,%lld,%lld", e->input, (long long)e->index, (long long)e->output);
        csv_text(&s, e->op ? e->op : "");
        say(&s, ",%lld", (long long)e->node);
        for (int k = 0; k < GR_COUNT(element_numbers); k++) say(&s, ",%s", GR_DIGITS(17, number_of(e, k)));
    }
    say(&s, "\n");
    return gr_file_status("check_fprint_csv", file);
}

/* ---- JSON --------------------------------------------------------------------------------------------------- */

/* A string, or null, after what stands in front of it. */
static void json_text(sink *s, const char *before, const char *text)
{
    say(s, text ? "%s\"" : "%snull", before);
    if (!text) return;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c == '"' || *c == '\\') say(s, "\\%c", *c);
        else if (*c < 0x20) say(s, "\\u%04x", *c);
        else say(s, "%c", *c);
    say(s, "\"");
}

/* JSON knows no NaN and no infinity. */
static void json_number(sink *s, const char *name, double x)
{
    if (isfinite(x)) say(s, ", \"%s\": %s", name, GR_DIGITS(17, x));
    else say(s, ", \"%s\": \"%s\"", name, isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
}

static void json_orders(sink *s, const gr_check_report *r)
{
    json_number(s, "order_0", r->order[0]);
    json_number(s, "order_1", r->order[1]);
    json_number(s, "order_2", r->order[2]);
    json_number(s, "longest_step", r->range[0]);
    json_number(s, "shortest_step", r->range[1]);
}

static void json_element(sink *s, const gr_check_element *e)
{
    json_text(s, "{\"verdict\": ", gr_check_verdict_name(e->verdict));
    json_text(s, ", \"place\": ", e->place);
    say(s, ", \"input\": %d, \"index\": %lld, \"output\": %lld", e->input, (long long)e->index, (long long)e->output);
    json_text(s, ", \"op\": ", e->op);
    say(s, ", \"node\": %lld", (long long)e->node);
    for (int k = 0; k < GR_COUNT(element_numbers); k++) json_number(s, element_numbers[k].name, number_of(e, k));
    say(s, "}");
}

gr_status gr_check_fprint_json(FILE *file, const gr_check_report *r)
{
    if (!file || !r) return gr_fail_null("check_fprint_json", file ? "the report" : "file");
    sink s = {.file = file};
    json_text(&s, "{\"verdict\": ", gr_check_verdict_name(r->verdict));
    json_text(&s, ", \"mode\": ", gr_check_mode_name(r->mode));
    say(&s, ", \"compared\": %lld, \"failed\": %lld, \"evaluations\": %lld, \"backwards\": %lld, \"counts\": {",
        (long long)r->compared, (long long)r->failed, (long long)r->evaluations, (long long)r->backwards);
    for (int v = 0; v < GR_CHECK_N_VERDICTS; v++)
        say(&s, "%s\"%s\": %lld", v ? ", " : "", gr_check_verdict_name((gr_check_verdict)v), (long long)r->count[v]);
    say(&s, "}, \"histogram\": [");
    for (int i = 0; i < GR_CHECK_BINS; i++) say(&s, "%s%lld", i ? ", " : "", (long long)r->histogram[i]);
    say(&s, "]");
    if (r->mode == GR_CHECK_TAYLOR) json_orders(&s, r);
    json_text(&s, ", \"culprit_op\": ", r->culprit_op);
    say(&s, ", \"culprit\": %lld", (long long)r->culprit);
    json_number(&s, "digits", r->digits);
    json_text(&s, ", \"hint\": ", r->hint);
    say(&s, ", \"worst\": [");
    for (int i = 0; i < r->n_worst; i++) {
        if (i) say(&s, ", ");
        json_element(&s, &r->worst[i]);
    }
    say(&s, "]}\n");
    return gr_file_status("check_fprint_json", file);
}
