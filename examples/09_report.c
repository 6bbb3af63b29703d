/* Lesson 9, the report: one page, DIR/index.html, of what the other lessons left in the folder for results. Plots,
 * pictures, tables and style are inside it: it needs no network, no other file and no script, and can be mailed.
 *
 * Two things are made here. A small tape is drawn with the value and the gradient in every box (draw.h), and the
 * derivative of every op of the library is checked by finite differences (check.h).
 *
 * A part that is not there is named, with the way to get it; the page is written all the same. */
#include "common.h"

#include "report_style.h"
#include "samples/samples.h"

static FILE *page;

/* ---- Files of the folder ------------------------------------------------------------------------------------ */

typedef struct file {
    char *bytes; /* with a 0 after them; NULL: there is no such file */
    size_t length;
} file;

static file read_result(const char *name, const char *suffix)
{
    char *path = path_in_out(name, suffix);
    FILE *from = fopen(path, "rb");
    file f = {NULL, 0};
    free(path);
    if (!from) return f;
    for (size_t room = 0;;) {
        if (f.length + 1 >= room) f.bytes = realloc(f.bytes, room = 2 * room + 65536);
        if (!f.bytes) fail("out of memory");
        size_t got = fread(f.bytes + f.length, 1, room - f.length - 1, from);
        f.length += got;
        if (!got) break;
    }
    fclose(from);
    f.bytes[f.length] = '\0';
    return f;
}

static bool exists(const char *name, const char *suffix)
{
    char *path = path_in_out(name, suffix);
    bool there = access(path, R_OK) == 0;
    free(path);
    return there;
}

/* A table of texts: the lessons' CSV. The first row is the headings, NULL where they end; other rows have all cells. */
enum { MAX_COLUMNS = 16 };

typedef struct csv {
    file text; /* the cells point into it */
    int64_t rows;
    char *(*cell)[MAX_COLUMNS];
} csv;

/* One cell, its quotes undone in place; *at moves behind it. Returns the character that ended it. */
static char read_cell(char **at, char **cell)
{
    char *from = *at, *to = *at;
    bool quoted = *from == '"';
    *cell = to;
    if (quoted) from++;
    while (*from && (quoted || (*from != ',' && *from != '\n'))) {
        if (quoted && *from == '"') {
            if (from[1] != '"') {
                quoted = false;
                from++;
                continue;
            }
            from++;
        }
        *to++ = *from++;
    }
    char end = *from;
    *at = end ? from + 1 : from;
    *to = '\0';
    return end;
}

static csv read_csv(const char *name)
{
    static char empty[1] = "";
    csv c = {.text = read_result(name, ".csv")};
    int64_t room = 0;
    for (char *at = c.text.bytes; at && *at; c.rows++) {
        if (c.rows == room) c.cell = realloc(c.cell, (size_t)(room = 2 * room + 64) * sizeof *c.cell);
        if (!c.cell) fail("out of memory");
        memset(c.cell[c.rows], 0, sizeof *c.cell);
        char *extra;
        for (int k = 0; read_cell(&at, k < MAX_COLUMNS ? &c.cell[c.rows][k] : &extra) == ',';) k++;
        for (int k = 0; c.rows && k < MAX_COLUMNS; k++) /* a row that is cut off has empty cells */
            if (!c.cell[c.rows][k]) c.cell[c.rows][k] = empty;
    }
    return c;
}

static void free_csv(csv *c)
{
    free(c->cell);
    free(c->text.bytes);
}

static double number(const csv *c, int64_t row, int column)
{
    return strtod(c->cell[row][column], NULL);
}

static bool is(const csv *c, int64_t row, int column, const char *text)
{
    return strcmp(c->cell[row][column], text) == 0;
}

/* The text beside a word in a table of two columns; "" where there is none. */
static const char *beside(const csv *c, const char *word)
{
    for (int64_t i = 1; i < c->rows; i++)
        if (is(c, i, 0, word)) return c->cell[i][1];
    return "";
}

/* ---- Writing HTML ------------------------------------------------------------------------------------------- */

static GR_PRINTF(1, 2) void put(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(page, format, args);
    va_end(args);
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Text as text, set as a printer would: the lessons write beta, +- and straight quotes. */
static void put_text(const char *text)
{
    static const char *const greek[][2] = {
        {"alpha", "\u03b1"}, {"beta", "\u03b2"}, {"gamma", "\u03b3"}, {"sigma", "\u03c3"}};
    char before = ' ';
    while (*text) {
        const char *from = text;
        int k = 0;
        while (letter(*text)) text++;
        while (k < 4 && !(strlen(greek[k][0]) == (size_t)(text - from) && starts(from, greek[k][0]))) k++;
        if (k < 4) put("%s", greek[k][1]);
        else put("%.*s", (int)(text - from), from);
        if (text > from) before = text[-1];
        if (!*text) break;
        if (*text == '&') put("&amp;");
        else if (*text == '<') put("&lt;");
        else if (*text == '>') put("&gt;");
        else if (*text == '"') put(before == ' ' || before == '(' ? "\u201c" : "\u201d");
        else if (*text == '\'' && letter(before) && letter(text[1])) put("\u2019");
        else if (*text == '+' && text[1] == '-') put("\u00b1"), text++;
        else put("%c", *text);
        before = *text++;
    }
}

static void put_section(const char *id, const char *title)
{
    put("<section id=\"%s\">\n<h2>%s</h2>\n", id, title);
}

/* What a part that is not there needs. */
static void put_missing(const char *what, const char *lesson)
{
    put("<p class=\"missing\">Not here: %s. ", what);
    if (lesson)
        put("Run <code>%s</code> with the same <code>--out</code>, or <code>scripts/demo</code>, which runs them "
            "all.</p>\n",
            lesson);
    else put("</p>\n");
}

/* ---- Tables ------------------------------------------------------------------------------------------------- */

/* Which columns of the table that is being written hold words, and the column that comes next. */
static bool words[MAX_COLUMNS];
static int column;

/* Numbers stand to the right, words to the left. A heading of words begins with <. */
static void begin_html_table(int n, const char *const headings[])
{
    put("<figure><div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>");
    for (int i = 0; i < n; i++) {
        words[i] = headings[i][0] == '<';
        put("<th scope=\"col\"%s>", words[i] ? " class=\"words\"" : "");
        put_text(headings[i] + words[i]);
        put("</th>");
    }
    put("</tr></thead>\n<tbody>\n");
}

#define BEGIN_TABLE(...) begin_html_table(COUNT(((const char *[]){__VA_ARGS__})), (const char *[]){__VA_ARGS__})

static void begin_row(void)
{
    put("<tr>");
    column = 0;
}

static void end_row(void)
{
    put("</tr>\n");
}

/* A cell begins; what is in it may be HTML. */
static void begin_cell(void)
{
    put("<td%s>", words[column++] ? " class=\"words\"" : "");
}

static GR_PRINTF(1, 2) void cell(const char *format, ...)
{
    char text[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    begin_cell();
    put_text(text);
    put("</td>");
}

static void end_html_table(const char *caption)
{
    put("</tbody></table></div>");
    if (*caption) put("<figcaption>%s</figcaption>", caption);
    put("</figure>\n");
}

/* A table as the lesson wrote it, if it is there. */
static void put_csv(const char *name, const char *caption)
{
    csv c = read_csv(name);
    if (c.rows > 1) {
        char heading[MAX_COLUMNS][120];
        const char *headings[MAX_COLUMNS];
        int columns = 0;
        for (; columns < MAX_COLUMNS && c.cell[0][columns]; columns++) {
            const char *first = c.cell[1][columns];
            bool number_first = *first && strchr("0123456789+-.", *first);
            snprintf(heading[columns], sizeof heading[columns], "%s%s", number_first ? "" : "<", c.cell[0][columns]);
            headings[columns] = heading[columns];
        }
        begin_html_table(columns, headings);
        for (int64_t i = 1; i < c.rows; i++) {
            begin_row();
            for (int k = 0; k < columns; k++) cell("%s", c.cell[i][k]);
            end_row();
        }
        end_html_table(caption);
    }
    free_csv(&c);
}

/* ---- Plots: SVG into the page ------------------------------------------------------------------------------- */

/* Where the text behind the end of `what` goes on, or the end of it all. */
static const char *behind(const char *text, const char *what)
{
    const char *found = strstr(text, what);
    return found ? found + strlen(what) : text + strlen(text);
}

/* A tag, from its < on. Names within the drawing get a prefix, for every drawing of the page calls its own the same. */
static const char *put_tag(const char *s, int drawing)
{
    static const char *const names[] = {" id=\"", " id='", "href=\"#", "href='#", "url(#"};
    while (*s && *s != '>') {
        int k = 0;
        while (k < COUNT(names) && !starts(s, names[k])) k++;
        if (k < COUNT(names)) {
            put("%sd%d-", names[k], drawing);
            s += strlen(names[k]);
        } else put("%c", *s++);
    }
    put(">");
    return *s ? s + 1 : s;
}

/* All of a drawing but its own head, its comments and titles, and anything that could run. */
static void put_drawing(const char *s, int drawing)
{
    static const struct {
        const char *from, *to;
    } dropped[] = {
        {"<!--", "-->"}, {"<title", "</title>"}, {"<desc", "</desc>"}, {"<script", "</script>"}, {"<?", "?>"}};
    while (*s) {
        int k = 0;
        while (k < COUNT(dropped) && !starts(s, dropped[k].from)) k++;
        if (k < COUNT(dropped)) s = behind(s, dropped[k].to);
        else if (starts(s, "<![CDATA[")) put("<![CDATA["), s += 9;
        else if (*s == '<') s = put_tag(s, drawing);
        else put("%c", *s++);
    }
}

static int drawings = 0;

/* DIR/name.svg with a caption. A wide one reaches out of the column where there is room; on a small screen
 * it shrinks to two thirds and then scrolls. */
static void put_plot(const char *name, const char *lesson, const char *alt, const char *caption)
{
    file f = read_result(name, ".svg");
    const char *svg = f.bytes && strstr(f.bytes, "</svg>") ? strstr(f.bytes, "<svg") : NULL;
    const char *box = svg ? strstr(svg, "viewBox=\"") : NULL;
    double x, y, w, h;
    if (!box || sscanf(box, "viewBox=\"%lf %lf %lf %lf", &x, &y, &w, &h) != 4) {
        char what[200];
        snprintf(what, sizeof what, "the plot <code>%s.svg</code>", name);
        if (!exists(name, ".gp")) put_missing(what, lesson);
        else
            put("<p class=\"missing\">Not here: %s, because gnuplot was not installed. On Debian and Ubuntu: "
                "<code>sudo apt-get install "
                "gnuplot-nox</code>. Then run the demo again, or, in the folder of this page, <code>gnuplot "
                "%s.gp</code>.</p>\n",
                what, name);
    } else {
        drawings++;
        put("<figure%s><div class=\"panel\" tabindex=\"0\"><svg viewBox=\"%g %g %g %g\" role=\"img\" aria-label=\"",
            w > 700.0 ? " class=\"wide\"" : "", x, y, w, h);
        put_text(alt);
        put("\" style=\"min-width:%.0fpx;max-width:%.0fpx\">", w > 700.0 ? 0.65 * w : 0.0, 1.2 * w);
        put_drawing(behind(svg, ">"), drawings);
        put("</div><figcaption>%s</figcaption></figure>\n", caption);
    }
    free(f.bytes);
}

/* ---- Pictures: PNG into the page ---------------------------------------------------------------------------- */

static void put_base64(const unsigned char *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < length; i += 3) {
        unsigned three = 0;
        for (size_t k = 0; k < 3; k++) three = three << 8 | (i + k < length ? bytes[i + k] : 0u);
        for (size_t k = 0; k < 4; k++) fputc(i + k <= length ? digits[three >> (18 - 6 * k) & 63] : '=', page);
    }
}

static unsigned big_endian(const unsigned char *b)
{
    return (unsigned)b[0] << 24 | (unsigned)b[1] << 16 | (unsigned)b[2] << 8 | b[3];
}

/* DIR/name.png with a caption; false where there is none. */
static bool put_picture(const char *name, const char *alt, const char *caption)
{
    file f = read_result(name, ".png");
    const unsigned char *bytes = (const unsigned char *)f.bytes;
    bool there = f.length > 24 && memcmp(bytes, "\x89PNG", 4) == 0;
    if (there) {
        unsigned w = big_endian(bytes + 16), h = big_endian(bytes + 20); /* IHDR comes first */
        put("<figure class=\"wide\"><div class=\"panel dark\" tabindex=\"0\"><img width=\"%u\" height=\"%u\" "
            "style=\"min-width:%.0fpx\" alt=\"",
            w, h, 0.75 * (double)w);
        put_text(alt);
        put("\" src=\"data:image/png;base64,");
        put_base64(bytes, f.length);
        put("\"></div><figcaption>%s</figcaption></figure>\n", caption);
    }
    free(f.bytes);
    return there;
}

/* ---- Lesson 1 ----------------------------------------------------------------------------------------------- */

/* The last step that each loss took from each start. */
static void put_races(void)
{
    csv c = read_csv("01_saturated_neuron");
    if (c.rows > 1) {
        BEGIN_TABLE("<start", "<loss", "steps", "output");
        for (int64_t i = 1; i < c.rows; i++) {
            bool last = i + 1 == c.rows || !is(&c, i + 1, 2, c.cell[i][2]) || !is(&c, i + 1, 0, c.cell[i][0]) ||
                        !is(&c, i + 1, 1, c.cell[i][1]);
            if (!last) continue;
            begin_row();
            cell("w = %g, b = %g", number(&c, i, 0), number(&c, i, 1));
            cell("%s", c.cell[i][2]);
            cell("%s", c.cell[i][3]);
            cell("%.4f", number(&c, i, 6));
            end_row();
        }
        end_html_table("Steps of gradient descent, all of one size, until the output is below 0.1. The target is 0.");
    }
    free_csv(&c);
}

static void put_ratios(void)
{
    static const double shown[] = {0, 1, 2, 4, 8, 16, 24, 32, 36, 40};
    csv c = read_csv("01_gradient");
    if (c.rows > 1) {
        BEGIN_TABLE("z", "of MSE", "of cross entropy", "ratio", "1 / 2sigma'(z)");
        for (int64_t i = 1; i < c.rows; i++) {
            double z = number(&c, i, 0), mse = number(&c, i, 1), ce = number(&c, i, 3);
            int k = 0;
            while (k < COUNT(shown) && shown[k] != z) k++;
            if (k == COUNT(shown)) continue;
            begin_row();
            cell("%g", z);
            cell(mse == 0.0 ? "0" : "%.2e", mse);
            cell("%.4f", ce);
            if (mse == 0.0) cell("none");
            else cell("%.4g", ce / mse);
            cell("%.4g", 0.5 * exp(z) * (1.0 + exp(-z)) * (1.0 + exp(-z)));
            end_row();
        }
        end_html_table("The gradient in z by the tape, target 0. In the last digits before 36.74 the output itself is "
                       "rounded; from there on it "
                       "is exactly 1 and the squared error&rsquo;s gradient exactly 0.");
    }
    free_csv(&c);
}

static void lesson_1(void)
{
    const char *lesson = "01_saturated_neuron";
    put_section("neuron", "The saturated neuron");
    put("<p>One sigmoid neuron begins sure of the wrong answer. Trained with the squared error it hardly moves, for "
        "its gradient "
        "is multiplied by the slope of the sigmoid, which is flat there. In cross entropy&rsquo;s gradient that slope "
        "cancels (Eq. 7 and 8).</p>\n");
    put_plot(lesson, lesson, "Output of the neuron by step for three losses",
             "The neuron&rsquo;s output, step by step, from two starts.");
    put_races();
    put_plot("01_gradient", lesson, "Size of the gradient by z",
             "The gradient by how sure the neuron is. Each unit of z costs the squared error a factor of e.");
    put_ratios();
    put("</section>\n");
}

/* ---- Lesson 2 ----------------------------------------------------------------------------------------------- */

static void lesson_2(void)
{
    const char *lesson = "02_logistic_regression";
    put_section("regression", "Logistic regression");
    put("<p>The same contest with data. One layer is trained with MSE and with cross entropy, on the same batches, "
        "from an ordinary start and "
        "from one that is certain of one class whatever it sees.</p>\n");
    csv c = read_csv(lesson);
    if (c.rows > 1) {
        BEGIN_TABLE("<start", "<loss", "training loss", "right, trained on (%)", "right, held out (%)");
        for (int64_t i = 1; i < c.rows; i++) {
            if (i + 1 < c.rows && is(&c, i + 1, 0, c.cell[i][0]) && is(&c, i + 1, 1, c.cell[i][1])) continue;
            begin_row();
            for (int k = 0; k < 2; k++) cell("%s", c.cell[i][k]);
            cell("%.4f", number(&c, i, 3));
            for (int k = 4; k < 6; k++) cell("%.1f", number(&c, i, k));
            end_row();
        }
        char caption[200];
        snprintf(caption, sizeof caption, "After %.0f epochs. The two losses are not on one scale; the accuracies are.",
                 number(&c, c.rows - 1, 2));
        end_html_table(caption);
    }
    free_csv(&c);
    put_plot(lesson, lesson, "Loss and accuracy by epoch for both losses and both starts",
             "Loss and held-out accuracy by epoch.");
    if (exists("02_boundary", ".gp") || !exists(lesson, ".csv"))
        put_plot("02_boundary", lesson, "Points of two classes and the lines that divide them",
                 "The points, and where each trained model changes its mind.");
    put("</section>\n");
}

/* ---- Lesson 3 ----------------------------------------------------------------------------------------------- */

static void put_scores(const csv *c)
{
    BEGIN_TABLE("<loss", "IoU", "Dice", "sensitivity", "specificity", "Dice of the worst image", "training (s)");
    for (int64_t i = 1; i < c->rows; i++) {
        begin_row();
        cell("%s", c->cell[i][0]);
        for (int k = 1; k <= 5; k++) cell("%.3f", number(c, i, k));
        if (number(c, i, 7) > 0.0) cell("%.1f", number(c, i, 7));
        else cell("none");
        end_row();
    }
    end_html_table("Means over the images held out, of each image&rsquo;s number.");
}

static void lesson_3(void)
{
    const char *lesson = "03_segmenter";
    put_section("segmenter", "The segmenter");
    put("<p>A small convolutional network with skip connections, trained anew with each loss from the same first "
        "weights, on the same images in the same order. Beside it stands Otsu&rsquo;s threshold, which needs no "
        "training: what does not beat it has learned nothing that the brightness of a pixel does not say. The 0-1 loss "
        "is there to show that nothing trains on it.</p>\n");
    csv c = read_csv(lesson);
    if (c.rows > 1) {
        if (!put_picture(
                lesson, "Images, their true masks, and the masks that each loss leads to",
                "Held-out images, the truth, Otsu&rsquo;s threshold, and what each loss led to; last the image "
                "that the best loss did worst on. White: found. Red: said, and not there. Blue: there, and "
                "missed."))
            put_missing("the picture <code>03_segmenter.png</code>, for which the library must be built with libpng "
                        "(<code>libpng-dev</code>)",
                        NULL);
        put_plot(lesson, lesson, "Mean and worst Dice for each loss",
                 "Dice on the images held out: the mean, and the worst image.");
        put_scores(&c);
    } else put_missing("the metrics and pictures of the segmenter", lesson);
    free_csv(&c);
    put_picture("03_prediction", "An image of the reader&rsquo;s and the mask predicted for it",
                "The image given with <code>--predict</code>.");
    put("</section>\n");
}

/* ---- Lesson 4 ----------------------------------------------------------------------------------------------- */

enum { CLAIMS = 11 };

static void claim_name(char name[40], int claim, const char *what)
{
    snprintf(name, 40, "04_claim_%02d%s", claim, what);
}

static void put_verdict(const char *verdict)
{
    put("<span class=\"verdict %s\">%s</span>", verdict, verdict);
}

static void put_claim(int number_of, const csv *c)
{
    char name[40];
    put("<h3 id=\"claim-%d\">%d. ", number_of, number_of);
    put_text(beside(c, "title"));
    put(" ");
    put_verdict(beside(c, "verdict"));
    put("</h3>\n<blockquote><p>");
    put_text(beside(c, "claim"));
    put("</p></blockquote>\n<p class=\"equation\">");
    put_text(beside(c, "equation"));
    put("</p>\n<p><span class=\"label\">What was run.</span> ");
    put_text(beside(c, "run"));
    put(" Seeds: %s.</p>\n", beside(c, "seeds"));
    claim_name(name, number_of, "_table_1");
    put_csv(name, "");
    claim_name(name, number_of, "_table_2");
    put_csv(name, "");
    claim_name(name, number_of, "");
    put_plot(name, "04_claims", beside(c, "title"), "");
    put("<div class=\"finding %s\"><p><strong>It %s.</strong> ", beside(c, "verdict"), beside(c, "verdict"));
    put_text(beside(c, "why"));
    put("</p></div>\n");
}

static void lesson_4(void)
{
    csv claims[CLAIMS];
    int there = 0;
    char name[40];
    for (int i = 0; i < CLAIMS; i++) {
        claim_name(name, i + 1, "");
        claims[i] = read_csv(name);
        there += claims[i].rows > 1;
    }
    put_section("claims", "The paper&rsquo;s claims, put to the test");
    put("<p>Eleven sentences of J. Yuan, &ldquo;Loss Function&rdquo;, each with an experiment. What is compared is "
        "compared within a seed: the same data, the "
        "same first weights, another loss. Numbers are mean \u00b1 standard deviation over the seeds, and the verdict "
        "is made from them.</p>\n");
    if (there) {
        BEGIN_TABLE("", "<claim", "verdict");
        for (int i = 0; i < CLAIMS; i++) {
            if (claims[i].rows <= 1) continue;
            begin_row();
            cell("%d", i + 1);
            begin_cell();
            put("<a href=\"#claim-%d\">", i + 1);
            put_text(beside(&claims[i], "title"));
            put("</a></td>");
            begin_cell();
            put_verdict(beside(&claims[i], "verdict"));
            put("</td>");
            end_row();
        }
        end_html_table("");
    }
    if (there < CLAIMS) put_missing(there ? "some of the eleven claims" : "the claims", "04_claims");
    for (int i = 0; i < CLAIMS; i++) {
        if (claims[i].rows > 1) put_claim(i + 1, &claims[i]);
        free_csv(&claims[i]);
    }
    put("</section>\n");
}

/* ---- A small tape, drawn ------------------------------------------------------------------------------------ */

/* DIR/09_tape.dot, and by Graphviz DIR/09_tape.svg. */
static void draw_tape(void)
{
    gr_tape *t = need(gr_tape_new());
    gr_tensor *x = need(gr_from(GR_F64, GR_SHAPE(1, 2), (double[]){1.0, -2.0}));
    gr_tensor *w = need(gr_from(GR_F64, GR_SHAPE(2, 1), (double[]){0.5, -1.0}));
    gr_tensor *b = need(gr_from(GR_F64, GR_SHAPE(1), (double[]){0.25})), *y = need(gr_zeros(GR_F64, GR_SHAPE(1, 1)));
    gr_tensor *leaves[] = {x, w, b, y};
    static const char *const names[] = {"x", "w", "b", "y"};
    for (int i = 0; i < 4; i++) check(gr_set_name(leaves[i], names[i]));
    check(gr_require_grad(w));
    check(gr_require_grad(b));
    gr_tensor *p = gr_sigmoid(t, gr_add(t, gr_matmul(t, x, w, 0), b));
    check(gr_backward(t, need(gr_bce(t, p, y, NULL)), GR_RETAIN));
    FILE *dot = create_file("09_tape", ".dot");
    check(gr_draw(dot, t, &(gr_draw_options){.top_down = true}));
    close_file(dot, "09_tape.dot");
    for (int i = 0; i < 4; i++) gr_tensor_free(leaves[i]);
    gr_tape_free(t);

    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (chdir(out) == 0) execlp("dot", "dot", "-Tsvg", "-o", "09_tape.svg", "09_tape.dot", (char *)NULL);
        _exit(errno == ENOENT ? 127 : 126);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child) fail("cannot run dot: %s", strerror(errno));
    if (status != 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 127)) fail("Graphviz could not draw 09_tape.dot");
}

static void drawn_tape(void)
{
    put_section("tape", "A tape, with a gradient in every box");
    put("<p>What the library records while it computes <code>loss = bce(sigmoid(x w + b), y)</code>, and what the "
        "backward pass then leaves: read the "
        "values from the top down and the gradients from the bottom up.</p>\n");
    draw_tape();
    if (exists("09_tape", ".svg"))
        put_plot("09_tape", NULL, "The graph of a small computation with values and gradients",
                 "Green: learnt. Grey: data. Blue: results. Made by <code>gr_draw()</code> and Graphviz.");
    else
        put("<p class=\"missing\">Not here: the drawing, because Graphviz is not installed. On Debian and Ubuntu: "
            "<code>sudo apt-get install "
            "graphviz</code>. Then run the demo again, or, in the folder of this page, <code>dot -Tsvg "
            "09_tape.dot</code>.</p>\n");
    put("</section>\n");
}

/* ---- Lesson 5 ----------------------------------------------------------------------------------------------- */

static void lesson_5(void)
{
    const char *lesson = "05_your_own_op";
    put_section("slip", "A slip, and the checker that finds it");
    put("<p>An op of one&rsquo;s own, softsign, with a mistake in its derivative that trains all the same. In the "
        "network that uses "
        "it, these parameters have the wrong gradient, the worst first; the checker then tries each op by itself and "
        "names "
        "<code>broken_softsign</code>.</p>\n");
    csv c = read_csv("05_report"), losses = read_csv("05_training");
    if (c.rows > 1) {
        BEGIN_TABLE("<parameter", "by the tape", "by differences", "relative error");
        for (int64_t i = 1; i < c.rows; i++) {
            begin_row();
            cell("%s", c.cell[i][1]);
            cell("%.8f", number(&c, i, 7));
            cell("%.8f", number(&c, i, 8));
            cell("%.2g", number(&c, i, 10));
            end_row();
        }
        char caption[400];
        int used = snprintf(caption, sizeof caption, "dl/d(parameter) of the network with the broken op.");
        for (int64_t i = 1; i < losses.rows && used < 300; i++)
            if (i + 1 == losses.rows || !is(&losses, i + 1, 0, losses.cell[i][0]))
                used += snprintf(caption + used, sizeof caption - (size_t)used,
                                 " Trained with %s, the loss came to %.6f.", losses.cell[i][0], number(&losses, i, 2));
        end_html_table(caption);
    } else {
        put_missing("the report of the checker", lesson);
    }
    free_csv(&losses);
    free_csv(&c);
    put("</section>\n");
}

/* ---- Every op against finite differences -------------------------------------------------------------------- */

static gr_tensor *make_input(const sample_input *in, gr_rng *rng)
{
    gr_tensor *x = need(gr_zeros(in->integer ? GR_I32 : GR_F64, in->rank, in->shape));
    for (int64_t i = 0; i < gr_size(x); i++) {
        double v = in->values ? in->values[i % in->n_values] : in->lo + (in->hi - in->lo) * gr_rng_uniform(rng);
        check(gr_set(x, i, in->integer ? trunc(v) : v));
    }
    return x;
}

typedef struct call {
    const gr_op *op;
    const sample *s;
} call;

static gr_tensor *run_op(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const call *c = context;
    return gr_apply(t, c->op, x, n, c->s->attr);
}

/* What all samples of an op came to. */
typedef struct checked {
    int64_t compared, failed, kinks, unresolved;
    double worst; /* difference between tape and differences, over the derivative's size or 1 if that is less */
} checked;

static bool has_derivative(const gr_op *op, int i, const gr_tensor *x)
{
    if (gr_dtype_of(x) == GR_I32) return false;
    return op->n_in == GR_VARIADIC ? op->vjp_nth != NULL : i < GR_MAX_VJPS && op->vjp[i] != NULL;
}

static void check_sample(const gr_op *op, const sample *s, checked *sum)
{
    gr_rng rng = gr_rng_seed(7);
    gr_tensor *x[MAX_SAMPLE_INPUTS];
    const int n = s->n_in ? s->n_in : op->n_in;
    int wanted = 0;
    for (int i = 0; i < n; i++) {
        x[i] = make_input(&s->in[i], &rng);
        if (has_derivative(op, i, x[i])) check(gr_require_grad(x[i])), wanted++;
    }
    gr_check_report r;
    call c = {op, s};
    const gr_check_options options = {.mode = quick ? GR_CHECK_SAMPLED : GR_CHECK_FULL, .samples = 3};
    if (wanted) {
        if (gr_check_gradients(run_op, &c, x, n, &options, &r)) fail("%s, %s: %s", op->name, s->what, gr_last_error());
        sum->compared += r.compared;
        sum->failed += r.count[GR_CHECK_FAIL] + r.count[GR_CHECK_NONDETERMINISTIC];
        sum->kinks += r.count[GR_CHECK_KINK];
        sum->unresolved += r.count[GR_CHECK_UNRESOLVED];
        for (int i = 0; i < r.n_worst; i++) {
            const gr_check_element *e = &r.worst[i];
            if (e->verdict == GR_CHECK_UNRESOLVED) continue;
            double error = fabs(e->analytic - e->numeric) / fmax(1.0, fabs(e->analytic));
            sum->worst = error > sum->worst || isnan(error) ? error : sum->worst;
        }
    }
    for (int i = 0; i < n; i++) gr_tensor_free(x[i]);
}

static void gradient_checks(void)
{
    put_section("checks", "Every derivative, checked");
    put("<p>Each op of the library at its sample inputs, in double precision: the derivative by the tape beside the "
        "one that is measured "
        "by finite differences. The error is the largest difference found, relative to the derivative or, where that "
        "is below 1, "
        "absolute. A kink is a place without a derivative, such as 0 for <code>relu</code>; there the tape&rsquo;s "
        "value "
        "lies between the slopes on "
        "both sides.</p>\n");
    BEGIN_TABLE("<op", "compared", "kinks", "error");
    checked all = {0};
    int ops = 0;
    for (int i = 0; gr_op_at(i); i++) {
        const gr_op *op = gr_op_at(i);
        checked sum = {0};
        for (int k = 0; k < samples_of(op).count; k++)
            if (!samples_of(op).at[k].refused && !samples_of(op).at[k].value_only)
                check_sample(op, &samples_of(op).at[k], &sum);
        begin_row();
        begin_cell();
        put("<code>%s</code><br><code class=\"formula\">", op->name);
        put_text(op->formula ? op->formula : "");
        put("</code></td>");
        cell("%lld", (long long)sum.compared);
        cell("%lld", (long long)sum.kinks);
        if (sum.failed) cell("%lld wrong", (long long)sum.failed);
        else if (!sum.compared) cell("none");
        else cell(sum.worst == 0.0 ? "0" : "%.1e", sum.worst);
        end_row();
        ops++;
        all.compared += sum.compared, all.failed += sum.failed, all.kinks += sum.kinks,
            all.unresolved += sum.unresolved;
        all.worst = fmax(all.worst, sum.worst);
    }
    char caption[300];
    snprintf(caption, sizeof caption,
             "%d ops, %lld derivatives, of which %lld at kinks and %lld where the differences could not tell; %lld "
             "wrong, largest "
             "error %.1e.",
             ops, (long long)all.compared, (long long)all.kinks, (long long)all.unresolved, (long long)all.failed,
             all.worst);
    end_html_table(caption);
    put("</section>\n");
    printf("%s\n", caption);
    if (all.failed) fail("%lld derivatives are wrong", (long long)all.failed);
}

/* ---- The page ----------------------------------------------------------------------------------------------- */

int main(int argc, char *argv[])
{
    static const char *const contents[][2] = {
        {"neuron", "The saturated neuron"},
        {"regression", "Logistic regression"},
        {"segmenter", "The segmenter"},
        {"claims", "The paper&rsquo;s claims, put to the test"},
        {"tape", "A tape, with a gradient in every box"},
        {"slip", "A slip, and the checker that finds it"},
        {"checks", "Every derivative, checked"},
    };
    read_options(argc, argv, "Lesson 9: one page, DIR/index.html, of what the other lessons left in DIR.", NULL, 0);
    page = create_file("index", ".html");
    put("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
        "content=\"width=device-width, initial-scale=1\">\n"
        "<title>Gradus: what the lessons found</title>\n<style>\n");
    for (int i = 0; i < COUNT(report_style); i++) put("%s", report_style[i]);
    put("</style>\n</head>\n<body>\n");
    put("<header>\n<h1>What the lessons found</h1>\n<p class=\"lead\">Gradus computes derivatives by remembering what "
        "it did. Here is what that is good "
        "for, in curves, pictures and numbers that were computed on this machine.</p>\n<nav "
        "aria-label=\"Contents\"><ol>\n");
    for (int i = 0; i < COUNT(contents); i++) put("<li><a href=\"#%s\">%s</a></li>\n", contents[i][0], contents[i][1]);
    put("</ol></nav>\n</header>\n<main>\n");
    lesson_1();
    lesson_2();
    lesson_3();
    lesson_4();
    drawn_tape();
    lesson_5();
    gradient_checks();
    put("</main>\n<footer><p>Equations are those of J. Yuan, &ldquo;Loss Function&rdquo;. The numbers behind every "
        "curve lie as CSV beside this "
        "page.</p></footer>\n</body>\n</html>\n");
    close_file(page, "index.html");
    char *path = path_in_out("index", ".html");
    printf("written: %s\n", path);
    free(path);
    return 0;
}
