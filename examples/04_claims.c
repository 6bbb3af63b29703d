/* Lesson 4, the paper's claims put to the test. Eleven sentences of J. Yuan, "Loss Function", that a program can check,
 * each with an experiment in a file of 04_claims/ and a row of the table at the end.
 *
 * An experiment is run with several seeds, and what it compares is compared within a seed: the same images, the same
 * first weights, another loss. It prints its numbers as mean +- standard deviation over the seeds and a verdict that is
 * made from the numbers: holds, fails, or depends, with the reason.
 *
 * Seven of the claims are about pixels. They use a classifier that trains in a blink (04_claims/pixels.c). */
#include "04_claims/claims.h"

int64_t seeds = 8;

static const claim *const claims[] = {
    &claim_saturation, &claim_weighted_bce,  &claim_balanced_bce, &claim_focal,    &claim_sensitivity,    &claim_dice,
    &claim_tversky,    &claim_focal_tversky, &claim_kl,           &claim_zero_one, &claim_mse_not_convex,
};

static const char *const verdict_names[] = {"holds", "fails", "depends"};

/* ---- On the terminal ---------------------------------------------------------------------------------------- */

/* Prose in lines of at most 105 characters. */
static void print_wrapped(const char *head, const char *text)
{
    int column = printf("  %-8s", head);
    while (*text) {
        int word = (int)strcspn(text, " ");
        if (column + word > 105) column = printf("\n%10s", "") - 1;
        column += printf(" %.*s", word, text);
        text += word;
        text += strspn(text, " ");
    }
    printf("\n");
}

static void print_claim(int number, const claim *c)
{
    printf("\n---- %d. %s\n\n", number, c->title);
    print_wrapped("", c->equation);
    print_wrapped("claim:", c->sentence);
    print_wrapped("run:", c->run);
}

static void print_finding(const finding *f)
{
    char head[20];
    snprintf(head, sizeof head, "%s:", verdict_names[f->verdict]);
    printf("\n");
    print_wrapped(head, f->why);
}

/* ---- In the folder ------------------------------------------------------------------------------------------ */

/* What the experiment found: DIR/04_claim_NN.csv. */
static void log_finding(const experiment *e, const claim *c, const finding *f)
{
    const result_name name = name_of(e, "");
    FILE *csv = create_csv(name.text, "what,text");
    const char *const rows[][2] = {
        {"title", c->title},
        {"equation", c->equation},
        {"claim", c->sentence},
        {"run", c->run},
        {"verdict", verdict_names[f->verdict]},
        {"why", f->why},
    };
    for (int i = 0; i < COUNT(rows); i++) {
        fprintf(csv, "%s,", rows[i][0]);
        put_quoted(csv, rows[i][1]);
        fprintf(csv, "\n");
    }
    fprintf(csv, "seeds,%lld\n", (long long)seeds);
    close_file(csv, name.text);
}

static void put_verdict(FILE *page, verdict v)
{
    fprintf(page, "<span class=\"verdict %s\">%s</span>", verdict_names[v], verdict_names[v]);
}

/* The claim's row in the list of all of them, as a part of its own: another run may test another claim. */
static void write_row(const experiment *e, const finding *f)
{
    FILE *page = begin_part(name_of(e, "_row").text);
    fprintf(page, "<tr><td>%d</td><td class=\"words\"><a href=\"#claim-%d\">", e->claim, e->claim);
    put_text(page, e->title);
    fprintf(page, "</a></td><td>");
    put_verdict(page, f->verdict);
    fprintf(page, "</td></tr>\n");
    end_part(page);
}

/* The claim, what was run, the tables and plots of the experiment, and what it found. */
static void write_claim(const experiment *e, const claim *c, const finding *f, const char *results)
{
    FILE *page = begin_part(name_of(e, "").text);
    fprintf(page, "<h3 id=\"claim-%d\">%d. ", e->claim, e->claim);
    put_text(page, c->title);
    fprintf(page, " ");
    put_verdict(page, f->verdict);
    fprintf(page, "</h3>\n<blockquote><p>");
    put_text(page, c->sentence);
    fprintf(page, "</p></blockquote>\n<p class=\"equation\">");
    put_text(page, c->equation);
    fprintf(page, "</p>\n<p><span class=\"label\">What was run.</span> ");
    put_text(page, c->run);
    fprintf(page, " Seeds: %lld.</p>\n%s", (long long)seeds, results);
    fprintf(page, "<div class=\"finding %s\"><p><strong>It %s.</strong> ", verdict_names[f->verdict],
            verdict_names[f->verdict]);
    put_text(page, f->why);
    fprintf(page, "</p></div>\n");
    end_part(page);
}

/* The list, then the claims, as far as this run or one before it has tested them. */
static void write_part(void)
{
    FILE *page = begin_part("04_claims");
    fprintf(page,
            "<p>Eleven sentences of J. Yuan, &ldquo;Loss Function&rdquo;, each with an experiment. "
            "What is compared is compared within a seed: the same data, the same first weights, another loss. "
            "Numbers are mean \u00b1 standard deviation over the seeds, and the verdict is made from them.</p>\n");
    html_table t = BEGIN_HTML_TABLE(page, "", "<claim", "verdict");
    int there = 0;
    for (int i = 0; i < COUNT(claims); i++)
        there += include_part(page, name_of(&(experiment){.claim = i + 1}, "_row").text);
    end_html_table(&t, "");
    if (there < COUNT(claims))
        put_missing(page, "some of the eleven claims. Run <code>04_claims</code> with the same <code>--out</code>.");
    for (int i = 0; i < COUNT(claims); i++) include_part(page, name_of(&(experiment){.claim = i + 1}, "").text);
    end_part(page);
}

/* ---- The lesson --------------------------------------------------------------------------------------------- */

/* The results of an experiment are kept until the verdict is known, which stands above them. */
static finding test_claim(int number, const claim *c)
{
    char *results = NULL;
    size_t length = 0;
    experiment e = {.claim = number, .title = c->title, .page = open_memstream(&results, &length)};
    if (!e.page) fail("out of memory");
    print_claim(number, c);
    const finding f = c->test(&e);
    close_file(e.page, "the results of an experiment");
    log_finding(&e, c, &f);
    write_row(&e, &f);
    write_claim(&e, c, &f, results);
    free(results);
    print_finding(&f);
    return f;
}

int main(int argc, char *argv[])
{
    int64_t only = 0, wanted_seeds = 0;
    const option options[] = {
        {"--claim", "N", "this one alone, 1 to 11", INTEGER, &only, 1, COUNT(claims)},
        {"--seeds", "N", "runs of each experiment (8, in the short form 3)", INTEGER, &wanted_seeds, 2, MAX_SEEDS},
    };
    read_options(argc, argv, "Lesson 4: eleven claims of the paper about its losses, each put to the test.", options,
                 COUNT(options));
    seeds = wanted_seeds ? wanted_seeds : quick ? 3 : 8;
    const int first = only ? (int)only - 1 : 0, last = only ? (int)only : COUNT(claims);

    finding findings[COUNT(claims)];
    printf("Lesson 4: the paper's claims, with %lld seeds each; "
           "numbers are mean +- standard deviation over the seeds.\n",
           (long long)seeds);
    for (int i = first; i < last; i++) findings[i] = test_claim(i + 1, claims[i]);
    write_part();

    int wrong = 0;
    printf("\n");
    for (int i = first; i < last; i++) {
        const bool bad = claims[i]->robust && findings[i].verdict != HOLDS;
        printf("%3d  %-8s %s%s\n", i + 1, verdict_names[findings[i].verdict], claims[i]->title,
               bad ? "   <- expected to hold" : "");
        wrong += bad;
    }
    if (wrong) fail("%d of the claims that are expected to hold did not", wrong);
    return 0;
}
