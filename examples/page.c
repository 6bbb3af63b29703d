/* page.c: how the pieces of the page are written (page.h). */
#include "page.h"

#include <stdarg.h>

/* ---- Files -------------------------------------------------------------------------------------------------- */

/* Like create_file(), in the folder of parts. */
FILE *begin_part(const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "parts/%s", name);
    return create_file(path, ".html");
}

void end_part(FILE *page) { close_file(page, "a part of the page"); }

typedef struct bytes {
    char *at; /* with a 0 after them; NULL: there is no such file */
    size_t length;
} bytes;

static bytes read_result(const char *name, const char *suffix)
{
    char *path = path_in_out(name, suffix);
    FILE *from = fopen(path, "rb");
    bytes b = {NULL, 0};
    free(path);
    if (!from) return b;
    for (size_t room = 0, got = 1; got; b.length += got) {
        if (b.length + 1 >= room) b.at = realloc(b.at, room = 2 * room + 65536);
        if (!b.at) fail("out of memory");
        got = fread(b.at + b.length, 1, room - b.length - 1, from);
    }
    fclose(from);
    b.at[b.length] = '\0';
    return b;
}

bool include_part(FILE *page, const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "parts/%s", name);
    bytes part = read_result(path, ".html");
    fwrite(part.at ? part.at : "", 1, part.length, page);
    free(part.at);
    return part.length > 0;
}

/* ---- Text --------------------------------------------------------------------------------------------------- */

static bool starts(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* A word, or its Greek letter; returns what is behind it. */
static const char *put_word(FILE *page, const char *text)
{
    static const char *const greek[][2] = {
        {"alpha", "\u03b1"}, {"beta", "\u03b2"}, {"gamma", "\u03b3"}, {"sigma", "\u03c3"}};
    size_t length = 0;
    while (is_letter(text[length])) length++;
    for (int k = 0; k < COUNT(greek); k++)
        if (strlen(greek[k][0]) == length && starts(text, greek[k][0])) return fputs(greek[k][1], page), text + length;
    fwrite(text, 1, length, page);
    return text + length;
}

void put_text(FILE *page, const char *text)
{
    for (char before = ' '; *text; before = text[-1]) {
        if (is_letter(*text)) {
            text = put_word(page, text);
            continue;
        }
        if (*text == '&') fputs("&amp;", page);
        else if (*text == '<') fputs("&lt;", page);
        else if (*text == '>') fputs("&gt;", page);
        else if (*text == '"') fputs(before == ' ' || before == '(' ? "\u201c" : "\u201d", page);
        else if (*text == '\'' && is_letter(before) && is_letter(text[1])) fputs("\u2019", page);
        else if (starts(text, "+-")) fputs("\u00b1", page), text++;
        else fputc(*text, page);
        text++;
    }
}

void put_missing(FILE *page, const char *html, ...)
{
    va_list args;
    va_start(args, html);
    fprintf(page, "<p class=\"missing\">Not here: ");
    vfprintf(page, html, args);
    fprintf(page, "</p>\n");
    va_end(args);
}

/* ---- Tables ------------------------------------------------------------------------------------------------- */

html_table begin_html_table(FILE *page, int columns, const char *const headings[])
{
    html_table t = {.page = page, .columns = columns};
    fprintf(page, "<figure><div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>");
    for (int i = 0; i < columns; i++) {
        t.words[i] = headings[i][0] == '<';
        fprintf(page, "<th scope=\"col\"%s>", t.words[i] ? " class=\"words\"" : "");
        put_text(page, headings[i] + t.words[i]);
        fprintf(page, "</th>");
    }
    fprintf(page, "</tr></thead>\n<tbody>\n");
    return t;
}

void begin_cell(html_table *t)
{
    fprintf(t->page, "%s<td%s>", t->column ? "" : "<tr>", t->words[t->column] ? " class=\"words\"" : "");
}

void end_cell(html_table *t)
{
    t->column = (t->column + 1) % t->columns;
    fprintf(t->page, "</td>%s", t->column ? "" : "</tr>\n");
}

void put_cell(html_table *t, const char *format, ...)
{
    char text[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    begin_cell(t);
    put_text(t->page, text);
    end_cell(t);
}

void end_html_table(html_table *t, const char *html_caption)
{
    fprintf(t->page, "</tbody></table></div>");
    if (*html_caption) fprintf(t->page, "<figcaption>%s</figcaption>", html_caption);
    fprintf(t->page, "</figure>\n");
}

/* ---- Plots: SVG into the page ------------------------------------------------------------------------------- */

/* Where the text behind the end of `what` goes on, or the end of it all. */
static const char *behind(const char *text, const char *what)
{
    const char *found = strstr(text, what);
    return found ? found + strlen(what) : text + strlen(text);
}

/* A tag, from its < on. Names within the drawing get the drawing's name in front, or two plots of the page would call
 * different things the same. */
static const char *put_tag(FILE *page, const char *s, const char *drawing)
{
    static const char *const names[] = {" id=\"", " id='", "href=\"#", "href='#", "url(#"};
    while (*s && *s != '>') {
        int k = 0;
        while (k < COUNT(names) && !starts(s, names[k])) k++;
        if (k < COUNT(names)) {
            fprintf(page, "%s%s-", names[k], drawing);
            s += strlen(names[k]);
        } else fputc(*s++, page);
    }
    fputc('>', page);
    return *s ? s + 1 : s;
}

/* All of a drawing but its own head, its comments and titles, and anything that could run. */
static void put_drawing(FILE *page, const char *s, const char *drawing)
{
    static const char *const dropped[][2] = {
        {"<!--", "-->"}, {"<title", "</title>"}, {"<desc", "</desc>"}, {"<script", "</script>"}, {"<?", "?>"}};
    while (*s) {
        int k = 0;
        while (k < COUNT(dropped) && !starts(s, dropped[k][0])) k++;
        if (k < COUNT(dropped)) s = behind(s, dropped[k][1]);
        else if (starts(s, "<![CDATA[")) s += fprintf(page, "<![CDATA[");
        else if (*s == '<') s = put_tag(page, s, drawing);
        else fputc(*s++, page);
    }
}

/* A wide plot reaches out of the column where there is room. On a small screen it shrinks to two thirds and scrolls. */
void put_plot(FILE *page, const char *name, const char *alt, const char *html_caption)
{
    bytes file = read_result(name, ".svg");
    const char *svg = file.at && strstr(file.at, "</svg>") ? strstr(file.at, "<svg") : NULL;
    const char *box = svg ? strstr(svg, "viewBox=\"") : NULL;
    double x, y, w, h;
    if (!box || sscanf(box, "viewBox=\"%lf %lf %lf %lf", &x, &y, &w, &h) != 4) {
        put_missing(page,
                    "the plot <code>%s.svg</code>, because gnuplot was not installed. "
                    "On Debian and Ubuntu: <code>sudo apt-get install gnuplot-nox</code>. "
                    "Then run the demo again, or, in the folder of this page, <code>gnuplot %s.gp</code>.",
                    name, name);
    } else {
        fprintf(page,
                "<figure%s><div class=\"panel\" tabindex=\"0\">"
                "<svg viewBox=\"%g %g %g %g\" role=\"img\" aria-label=\"",
                w > 700.0 ? " class=\"wide\"" : "", x, y, w, h);
        put_text(page, alt);
        fprintf(page, "\" style=\"min-width:%.0fpx;max-width:%.0fpx\">", w > 700.0 ? 0.65 * w : 0.0, 1.2 * w);
        put_drawing(page, behind(svg, ">"), name);
        fprintf(page, "</div><figcaption>%s</figcaption></figure>\n", html_caption);
    }
    free(file.at);
}

/* ---- Pictures: PNG into the page ---------------------------------------------------------------------------- */

static void put_base64(FILE *page, const unsigned char *b, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < length; i += 3) {
        unsigned three = 0;
        for (size_t k = 0; k < 3; k++) three = three << 8 | (i + k < length ? b[i + k] : 0u);
        for (size_t k = 0; k < 4; k++) fputc(i + k <= length ? digits[three >> (18 - 6 * k) & 63] : '=', page);
    }
}

static unsigned big_endian(const unsigned char *b)
{
    return (unsigned)b[0] << 24 | (unsigned)b[1] << 16 | (unsigned)b[2] << 8 | b[3];
}

bool put_picture(FILE *page, const char *name, const char *alt, const char *html_caption)
{
    bytes file = read_result(name, ".png");
    const unsigned char *png = (const unsigned char *)file.at;
    bool there = file.length > 24 && memcmp(png, "\x89PNG", 4) == 0;
    if (there) {
        unsigned w = big_endian(png + 16), h = big_endian(png + 20); /* IHDR comes first */
        fprintf(page,
                "<figure class=\"wide\"><div class=\"panel dark\" tabindex=\"0\">"
                "<img width=\"%u\" height=\"%u\" style=\"min-width:%.0fpx\" alt=\"",
                w, h, 0.75 * (double)w);
        put_text(page, alt);
        fprintf(page, "\" src=\"data:image/png;base64,");
        put_base64(page, png, file.length);
        fprintf(page, "\"></div><figcaption>%s</figcaption></figure>\n", html_caption);
    }
    free(file.at);
    return there;
}
