/* mask_values.c: what the pixels of masks mean. Masks come as 0 and 1, 0 and 255, as palettes, colours, in the alpha
 * channel; and the same numbers may be labels. So all values of all masks of a set are met first. What two values can
 * mean in one way only is decided; anything else is refused, with the values and the option that settles it. */
#include <stdio.h>
#include <stdlib.h>

#include "data/internal.h"

enum { MAX_MET = 65536, N_SLOTS = 2 * MAX_MET };

struct gr_met {
    gr_pixel pixel;
    int64_t count; /* of pixels */
    float meaning; /* as gr_mask_value() tells it; below 0: unknown */
};

/* ---- The options -------------------------------------------------------------------------------------------- */

/* Takes an item of a list and the comma behind it; false where it is none. */
static bool take_wanted(const char **list, gr_wanted *w)
{
    static const char digits[] = "0123456789";
    const char *at = *list + strspn(*list, " ");
    char *end = (char *)at;
    if (*at == '#' && strspn(at + 1, "0123456789abcdefABCDEF") == 6) {
        const uint32_t colour = (uint32_t)strtoul(at + 1, &end, 16);
        *w = (gr_wanted){GR_WANT_COLOUR, colour, colour};
    } else if (strncmp(at, "opaque", 6) == 0) {
        *w = (gr_wanted){GR_WANT_OPAQUE, 0, 0};
        end += 6;
    } else if (strspn(at, digits)) {
        const unsigned long lo = strtoul(at, &end, 10);
        const bool range = *end == '-' && strspn(end + 1, digits);
        const unsigned long hi = range ? strtoul(end + 1, &end, 10) : lo;
        if (lo > hi || hi > 65535) return false;
        *w = (gr_wanted){GR_WANT_NUMBER, (uint32_t)lo, (uint32_t)hi};
    }
    end += strspn(end, " ");
    *list = *end == ',' ? end + 1 : end;
    return end != at && (*end == ',' ? end[1] != '\0' : !*end);
}

static gr_status take_list(gr_wanted_list *l, const char *option, const char *list)
{
    const char *at = list;
    do {
        if (l->n == GR_MAX_WANTED || !take_wanted(&at, &l->at[l->n++]))
            return gr_fail(GR_ERR_OPTION,
                           "image_set_read: %s is \"%s\": expected up to %d numbers, ranges as 128-255, colours as "
                           "#ff0000, or opaque, with commas between them",
                           option, GR_QUOTE(list), GR_MAX_WANTED);
    } while (*at);
    return GR_OK;
}

/* The first item of the list that one before it covers in part, so that it can be no class of its own; -1: none. */
static int overlapping(const gr_wanted_list *l)
{
    for (int k = 1; k < l->n; k++)
        for (int i = 0; i < k; i++)
            if (l->at[i].kind == l->at[k].kind && l->at[i].lo <= l->at[k].hi && l->at[k].lo <= l->at[i].hi) return k;
    return -1;
}

gr_status gr_mask_values_init(gr_mask_values *m, const gr_image_set_options *o)
{
    *m = (gr_mask_values){.classes = o->classes, .by_default = !o->values && !o->ignore};
    if (o->classes < 0 || o->classes == 1 || o->classes > GR_IGNORED)
        return gr_fail(GR_ERR_OPTION, "image_set_read: classes is %d: expected 2 to %d, or 0 for masks", o->classes,
                       GR_IGNORED);
    if (o->ignore && !o->classes)
        return gr_fail(GR_ERR_OPTION, "image_set_read: masks have nothing to ignore: give classes = 2 for label maps");
    gr_status status = o->values ? take_list(&m->wanted, "values", o->values) : GR_OK;
    const char *ignore = !o->classes ? "" : o->ignore ? o->ignore : "255";
    if (!status && *ignore) status = take_list(&m->ignored, "ignore", ignore);
    if (!status && o->classes && o->values && m->wanted.n != o->classes)
        status = gr_fail(GR_ERR_OPTION, "image_set_read: %d values for %d classes: expected one for each", m->wanted.n,
                         o->classes);
    const int twice = o->classes && !status ? overlapping(&m->wanted) : -1;
    if (twice >= 0)
        status = gr_fail(GR_ERR_OPTION, "image_set_read: the values of class %d are those of an earlier class", twice);
    if (status) return status;
    m->slots = gr_allocate_array(N_SLOTS, sizeof *m->slots);
    if (!m->slots) return GR_ERR_MEMORY;
    memset(m->slots, 0, N_SLOTS * sizeof *m->slots);
    return GR_OK;
}

void gr_mask_values_free(gr_mask_values *m)
{
    gr_release(m->met);
    gr_release(m->slots);
}

/* ---- Meeting them ------------------------------------------------------------------------------------------- */

static gr_status add_met(gr_mask_values *m, const gr_pixel *p, int32_t *slot)
{
    if (m->decided) return gr_fail(GR_ERR_IO, "image_set_read: a mask was changed while it was read");
    if (m->n == MAX_MET)
        return gr_fail(GR_ERR_FORMAT, "image_set_read: the masks hold more than %d different values: are they masks?",
                       MAX_MET);
    struct gr_met *met = gr_grow_array(m->met, m->n, 1, &m->capacity, sizeof *met);
    if (!met) return GR_ERR_MEMORY;
    m->met = met;
    met[m->n++] = (struct gr_met){.pixel = *p};
    *slot = (int32_t)m->n;
    return GR_OK;
}

static bool same_pixel(const gr_pixel *p, const gr_pixel *q) { return memcmp(p, q, sizeof *p) == 0; }

float gr_mask_value(void *values, const gr_pixel *p)
{
    gr_mask_values *m = values;
    if (!m->n || !same_pixel(p, &m->met[m->last].pixel)) { /* a new run of equal pixels */
        uint64_t key;
        memcpy(&key, p, sizeof key);
        key = (key ^ ((uint64_t)p->number << 2 | p->kind) << 17) * 0x9e3779b97f4a7c15u;
        uint64_t k = (key >> 40) % N_SLOTS;
        while (m->slots[k] && !same_pixel(p, &m->met[m->slots[k] - 1].pixel)) k = (k + 1) % N_SLOTS;
        if (!m->slots[k] && add_met(m, p, &m->slots[k])) return -1.0f;
        m->last = m->slots[k] - 1;
    }
    m->met[m->last].count += !m->decided;
    return m->met[m->last].meaning;
}

/* ---- In words ----------------------------------------------------------------------------------------------- */

enum { UNKNOWN = -1, ANYTHING = -2, ANY_CLASS = -3 };

static bool means(const struct gr_met *met, float meaning)
{
    if (meaning == ANY_CLASS) return met->meaning >= 0.0f && met->meaning < GR_IGNORED;
    return meaning == ANYTHING || met->meaning == meaning;
}

typedef struct met_text {
    char s[320];
} met_text;

/* A value as the option `values` has it, and what else tells it from others. */
static void name_value(char *text, size_t room, const gr_pixel *p)
{
    char colour[20];
    if (p->r % 257 == 0 && p->g % 257 == 0 && p->b % 257 == 0)
        snprintf(colour, sizeof colour, "#%02x%02x%02x", p->r / 257, p->g / 257, p->b / 257);
    else snprintf(colour, sizeof colour, "#%04x%04x%04x", p->r, p->g, p->b);
    size_t used = 0;
    if (p->a == 0) used = (size_t)snprintf(text, room, "transparent ");
    else if (p->a != 65535) used = (size_t)snprintf(text, room, "%.3g %% opaque ", p->a / 655.35);
    if (p->kind == GR_PIXEL_GREY) snprintf(text + used, room - used, "%d", p->number);
    else if (p->kind == GR_PIXEL_COLOUR) snprintf(text + used, room - used, "%s", colour);
    else snprintf(text + used, room - used, "%d, in the palette %s", p->number, colour);
}

/* The next most common value of this meaning after `last`, -1 at first; -1 where there is none. */
static int64_t next_common(const gr_mask_values *m, int64_t last, float meaning)
{
    int64_t best = -1;
    for (int64_t i = 0; i < m->n; i++) {
        if (!means(&m->met[i], meaning)) continue;
        const int64_t count = m->met[i].count, before = last < 0 ? INT64_MAX : m->met[last].count;
        if ((count < before || (count == before && i > last)) && (best < 0 || count > m->met[best].count)) best = i;
    }
    return best;
}

/* The values of this meaning, the most common first: "0 (91 %), 255 (9 %)". */
static const char *met_in_words(met_text *text, const gr_mask_values *m, float meaning)
{
    int64_t total = 0, of_it = 0;
    for (int64_t i = 0; i < m->n; i++) {
        total += m->met[i].count;
        of_it += means(&m->met[i], meaning);
    }
    size_t used = 0;
    int shown = 0;
    text->s[0] = '\0';
    for (int64_t i = -1; shown < 5 && (i = next_common(m, i, meaning)) >= 0; shown++) {
        char name[64];
        name_value(name, sizeof name, &m->met[i].pixel);
        used += (size_t)snprintf(text->s + used, sizeof text->s - used, "%s%s (%.3g %%)", shown ? ", " : "", name,
                                 100.0 * (double)m->met[i].count / (double)total);
    }
    if (of_it > shown) snprintf(text->s + used, sizeof text->s - used, " and %lld more", (long long)of_it - shown);
    return text->s;
}

#define IN_WORDS(m, meaning) met_in_words(&(met_text){{0}}, (m), (meaning))

/* ---- Deciding ----------------------------------------------------------------------------------------------- */

/* What of a value may be its meaning; 0 is black, the first of a palette, transparent. */
typedef uint64_t (*facet)(const gr_pixel *p);

static uint64_t colour_of(const gr_pixel *p) { return (uint64_t)p->r << 32 | (uint64_t)p->g << 16 | p->b; }
static uint64_t index_of(const gr_pixel *p) { return p->number; }
static uint64_t alpha_of(const gr_pixel *p) { return p->a; }

typedef struct facet_count {
    int different; /* 3: or more */
    bool zero;     /* one of them is 0 */
} facet_count;

static facet_count count_facet(const gr_mask_values *m, facet of, bool visible)
{
    facet_count c = {0, false};
    uint64_t seen[3];
    for (int64_t i = 0; i < m->n; i++) {
        const uint64_t v = of(&m->met[i].pixel);
        if (visible && !m->met[i].pixel.a) continue;
        int k = 0;
        while (k < c.different && seen[k] != v) k++;
        if (k == c.different && k < 3) seen[c.different++] = v;
        c.zero |= v == 0;
    }
    return c;
}

/* 0 and one other: that is the foreground. */
static bool is_plain(facet_count c) { return c.different == 2 && c.zero; }

/* Whether colours and a palette's indices say the same of every value. */
static bool agree(const gr_mask_values *m)
{
    for (int64_t i = 0; i < m->n; i++)
        if (!colour_of(&m->met[i].pixel) != !index_of(&m->met[i].pixel)) return false;
    return true;
}

/* The facet by which masks are to be read: what is not 0 is foreground. NULL where several may be meant, or none. */
static facet facet_of_masks(const gr_mask_values *m)
{
    const facet_count alpha = count_facet(m, alpha_of, false), colour = count_facet(m, colour_of, alpha.different > 1);
    if (alpha.different > 1) return is_plain(alpha) && colour.different == 1 ? alpha_of : NULL;
    facet_count index = count_facet(m, index_of, false);
    for (int64_t i = 0; i < m->n; i++)
        if (m->met[i].pixel.kind != GR_PIXEL_INDEX) index.different = 0;
    if (is_plain(colour)) return is_plain(index) && !agree(m) ? NULL : colour_of;
    if (is_plain(index)) return index_of;
    return colour.different == 1 && colour.zero && index.different < 2 ? colour_of : NULL; /* all of it black */
}

/* What is transparent beside what is not has no colour and no number. */
static bool fits(const gr_pixel *p, const gr_wanted *w, bool transparency)
{
    if (w->kind == GR_WANT_OPAQUE) return p->a > 32767;
    if (transparency && !p->a) return false;
    if (w->kind == GR_WANT_NUMBER) return p->kind != GR_PIXEL_COLOUR && p->number >= w->lo && p->number <= w->hi;
    return p->r == 257 * (w->lo >> 16) && p->g == 257 * (w->lo >> 8 & 255) && p->b == 257 * (w->lo & 255);
}

/* The first item of a list that a value fits; -1: none. */
static int find_wanted(const gr_wanted_list *l, const gr_pixel *p, bool transparency)
{
    for (int k = 0; k < l->n; k++)
        if (fits(p, &l->at[k], transparency)) return k;
    return -1;
}

static float class_of(const gr_mask_values *m, const gr_pixel *p, bool transparency)
{
    const gr_wanted any = {GR_WANT_NUMBER, 0, (uint32_t)m->classes - 1};
    int k = find_wanted(&m->wanted, p, transparency);
    if (!m->wanted.n && fits(p, &any, transparency)) k = p->number;
    if (k < 0 && find_wanted(&m->ignored, p, transparency) >= 0) k = GR_IGNORED;
    return (float)k;
}

/* Black, the first of a palette, transparent. */
static bool is_nothing(const gr_pixel *p)
{
    return !p->a || !colour_of(p) || (p->kind == GR_PIXEL_INDEX && !index_of(p));
}

static gr_status decide_masks(gr_mask_values *m, bool transparency, char *text, size_t room)
{
    const facet of = m->wanted.n ? NULL : facet_of_masks(m);
    bool some = false;
    for (int64_t i = 0; i < m->n; i++) {
        const gr_pixel *p = &m->met[i].pixel;
        const bool foreground = of ? of(p) != 0 : find_wanted(&m->wanted, p, transparency) >= 0;
        m->met[i].meaning = foreground ? 1.0f : 0.0f;
        some |= foreground;
    }
    if (!of && !m->wanted.n)
        return gr_fail(GR_ERR_FORMAT,
                       "image_set_read: the masks hold %s: which is foreground? List it in `values`, as numbers, "
                       "ranges (128-255), colours (#ff0000) or opaque; or give `classes`, if they are label maps",
                       IN_WORDS(m, ANYTHING));
    if (!some && m->wanted.n && (m->n > 1 || !is_nothing(&m->met[0].pixel)))
        return gr_fail(GR_ERR_FORMAT, "image_set_read: the masks hold %s: none of these is in `values`",
                       IN_WORDS(m, ANYTHING));
    if (some) snprintf(text, room, "foreground is %s; background is %s", IN_WORDS(m, 1), IN_WORDS(m, 0));
    else snprintf(text, room, "no foreground: all is %s", IN_WORDS(m, 0));
    return GR_OK;
}

static gr_status decide_classes(gr_mask_values *m, bool transparency, char *text, size_t room)
{
    bool unknown = false, has[GR_IGNORED + 1] = {false};
    for (int64_t i = 0; i < m->n; i++) {
        const float meaning = m->met[i].meaning = class_of(m, &m->met[i].pixel, transparency);
        if (meaning < 0.0f) unknown = true;
        else has[(int)meaning] = true;
    }
    int classes = 0;
    for (int k = 0; k < GR_IGNORED; k++) classes += has[k];
    if (unknown)
        return gr_fail(GR_ERR_FORMAT,
                       "image_set_read: the label maps hold %s: which class is %s? Expected 0 to %d; `values` lists "
                       "the value of each class, `ignore` those without",
                       IN_WORDS(m, ANYTHING), IN_WORDS(m, UNKNOWN), m->classes - 1);
    if (has[GR_IGNORED] && classes == has[0] && m->by_default) /* no class but 0 */
        return gr_fail(GR_ERR_FORMAT,
                       "image_set_read: the label maps hold %s, and 255 is ignored: are they masks? Then leave "
                       "`classes` out; or list the value of each class in `values`",
                       IN_WORDS(m, ANYTHING));
    snprintf(text, room, "%d of %d classes: %s%s%s", classes, m->classes, IN_WORDS(m, ANY_CLASS),
             has[GR_IGNORED] ? "; ignored: " : "", has[GR_IGNORED] ? IN_WORDS(m, GR_IGNORED) : "");
    return GR_OK;
}

gr_status gr_mask_values_decide(gr_mask_values *m, char *text, size_t room)
{
    const bool transparency = count_facet(m, alpha_of, false).different > 1;
    m->decided = true;
    return (m->classes ? decide_classes : decide_masks)(m, transparency, text, room);
}
