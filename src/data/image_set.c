/* image_set.c: makes a data set of a folder of images and a folder of masks, paired by the names of their files. Masks
 * are read twice: first to learn what all of them hold (mask_values.c), then with what that means. */
#define _POSIX_C_SOURCE 200809L /* opendir, stat, strcasecmp */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#include "data/internal.h"

/* ---- Names -------------------------------------------------------------------------------------------------- */

/* The files of a folder that count, in the order of their names. */
typedef struct listing {
    const char *folder;
    char **names; /* without ending and suffix; behind the 0 stands the name in the folder: "x", "x_mask.PNG" */
    int64_t count, capacity;
    int64_t left_out; /* other files and folders */
} listing;

static void free_listing(listing *l)
{
    for (int64_t i = 0; i < l->count; i++) gr_release(l->names[i]);
    gr_release(l->names);
}

static const char *file_of(const listing *l, int64_t i) { return l->names[i] + strlen(l->names[i]) + 1; }

static bool is_png(const char *file)
{
    const size_t length = strlen(file);
    return length > 4 && strcasecmp(file + length - 4, ".png") == 0;
}

/* "folder/file", for gr_release(). */
static char *path_in(const char *folder, const char *file)
{
    const size_t room = strlen(folder) + strlen(file) + 2;
    char *path = gr_allocate(room);
    if (path) snprintf(path, room, "%s/%s", folder, file);
    return path;
}

static gr_status add_name(listing *l, const char *file, size_t length)
{
    char **names = gr_grow_array(l->names, l->count, 1, &l->capacity, sizeof *names);
    if (!names) return GR_ERR_MEMORY;
    l->names = names;
    const size_t whole = strlen(file) + 1;
    char *name = gr_allocate(length + 1 + whole);
    if (!name) return GR_ERR_MEMORY;
    memcpy(name, file, length);
    name[length] = '\0';
    memcpy(name + length + 1, file, whole);
    l->names[l->count++] = name;
    return GR_OK;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int compare_name(const void *name, const void *b) { return strcmp(name, *(char *const *)b); }

/* Which names a folder is searched for. */
typedef struct filter {
    const char *suffix;    /* of the masks; NULL: none */
    bool masks;            /* names must have the suffix; of images must not */
    const listing *images; /* a folder of the name of one of these counts; NULL: none does */
} filter;

/* Whether the newest name is that of an image, and its file a folder. -1 with an error. */
static int is_folder_of_masks(const listing *l, const listing *images)
{
    struct stat info;
    const char *name = l->names[l->count - 1];
    if (!images->count || !bsearch(name, images->names, (size_t)images->count, sizeof(char *), compare_name)) return 0;
    char *path = path_in(l->folder, file_of(l, l->count - 1));
    const bool folder = path && stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    gr_release(path);
    return path ? folder : -1;
}

/* Adds a file, or a folder, if it is one that counts. */
static gr_status take_file(listing *l, const char *file, const filter *f)
{
    if (file[0] == '.') return GR_OK;
    const size_t length = strlen(file) - (is_png(file) ? 4 : 0), tail = f->suffix ? strlen(f->suffix) : 0;
    const bool has = tail && length > tail && memcmp(file + length - tail, f->suffix, tail) == 0;
    l->left_out++;
    if ((tail && has != f->masks) || (!is_png(file) && !f->images)) return GR_OK;
    if (add_name(l, file, length - (has ? tail : 0))) return GR_ERR_MEMORY;
    const int counts = is_png(file) ? 1 : is_folder_of_masks(l, f->images);
    if (counts > 0) l->left_out--;
    else gr_release(l->names[--l->count]);
    return counts < 0 ? GR_ERR_MEMORY : GR_OK;
}

static gr_status list_folder(listing *l, const char *folder, const filter *f)
{
    *l = (listing){.folder = folder};
    DIR *dir = opendir(folder);
    if (!dir)
        return gr_fail(GR_ERR_IO, "image_set_read: cannot open the folder %s: %s", GR_QUOTE_PATH(folder),
                       strerror(errno));
    gr_status status = GR_OK;
    errno = 0;
    for (struct dirent *entry; !status && (entry = readdir(dir)); errno = 0) status = take_file(l, entry->d_name, f);
    if (!status && errno)
        status =
            gr_fail(GR_ERR_IO, "image_set_read: cannot read the folder %s: %s", GR_QUOTE_PATH(folder), strerror(errno));
    closedir(dir);
    if (!status && l->count > INT32_MAX)
        status = gr_fail(GR_ERR_FORMAT, "image_set_read: too many files in %s", GR_QUOTE_PATH(folder));
    if (status || !l->count) return status;
    qsort(l->names, (size_t)l->count, sizeof *l->names, compare_names);
    for (int64_t i = 1; i < l->count; i++)
        if (strcmp(l->names[i - 1], l->names[i]) == 0)
            return gr_fail(GR_ERR_FORMAT, "image_set_read: two files of %s have the name %s", GR_QUOTE_PATH(folder),
                           GR_QUOTE(l->names[i]));
    return GR_OK;
}

/* The first three of some names, for a message, each with what is to be said of it: "a, b, c and 12 more". */
typedef struct few {
    char text[320];
    size_t used;
    int64_t count;
} few;

static void add_few(few *f, const char *name, const char *what)
{
    if (f->count++ < 3)
        f->used += (size_t)snprintf(f->text + f->used, sizeof f->text - f->used, "%s%s%s", f->count > 1 ? ", " : "",
                                    GR_QUOTE(name), what);
}

static const char *end_few(few *f)
{
    if (f->count > 3) snprintf(f->text + f->used, sizeof f->text - f->used, " and %lld more", (long long)f->count - 3);
    return f->text;
}

/* Whether each image has a mask and each mask an image. Both lists are sorted, so one pass along both finds the names
 * that only one of them has. */
static gr_status check_partners(const listing *images, const listing *masks)
{
    few no_mask = {{0}, 0, 0}, no_image = {{0}, 0, 0};
    for (int64_t i = 0, m = 0; i < images->count || m < masks->count;) {
        int order = i == images->count ? 1 : m == masks->count ? -1 : strcmp(images->names[i], masks->names[m]);
        if (order < 0) add_few(&no_mask, images->names[i], "");
        if (order > 0) add_few(&no_image, masks->names[m], "");
        i += order <= 0;
        m += order >= 0;
    }
    if (no_mask.count || no_image.count)
        return gr_fail(GR_ERR_FORMAT,
                       "image_set_read: %s%s%s%s%s: expected a mask of the same name for each image, but for .suffix",
                       no_mask.count ? "no mask for " : "", end_few(&no_mask),
                       no_mask.count && no_image.count ? "; " : "", no_image.count ? "no image for " : "",
                       end_few(&no_image));
    if (images->count) return GR_OK;
    return gr_fail(GR_ERR_FORMAT, "image_set_read: no PNG files in %s, and %lld others", GR_QUOTE_PATH(images->folder),
                   (long long)images->left_out);
}

/* ---- One image, one mask ------------------------------------------------------------------------------------ */

static gr_tensor *read_image(const listing *l, int64_t i, int channels)
{
    char *path = path_in(l->folder, file_of(l, i));
    gr_tensor *image = path ? gr_png_read(path, channels) : NULL;
    gr_release(path);
    return image;
}

/* What the pixels of a mask mean, [1,H,W]; before that is decided their values are met, and it is all 0. */
static gr_tensor *read_mask_file(const char *folder, const char *file, gr_mask_values *values)
{
    char *path = path_in(folder, file);
    gr_tensor *mask = path ? gr_png_map(path, gr_mask_value, values) : NULL;
    gr_release(path);
    return mask;
}

/* Rows and columns of an image or a mask, as "4 x 6". */
#define SIZE_TEXT(x) size_text(&(gr_text){{0}}, (x))
static const char *size_text(gr_text *text, const gr_tensor *x)
{
    snprintf(text->s, sizeof text->s, "%lld x %lld", (long long)x->shape[1], (long long)x->shape[2]);
    return text->s;
}

/* The union of two masks of one image, in the first of them; the second is freed. */
static gr_status join(gr_tensor *all, gr_tensor *mask, const char *folder)
{
    gr_status status = GR_OK;
    float *to = all->data;
    const float *from = mask->data;
    if (!gr_same_shape(all, mask))
        status = gr_fail(GR_ERR_FORMAT, "image_set_read: the masks in %s differ in size: %s and %s",
                         GR_QUOTE_PATH(folder), SIZE_TEXT(all), SIZE_TEXT(mask));
    for (int64_t k = 0; !status && k < all->size; k++) to[k] = from[k] > to[k] ? from[k] : to[k];
    gr_tensor_free(mask);
    return status;
}

static gr_tensor *read_mask_folder(const char *folder, gr_mask_values *values)
{
    listing l = {0};
    gr_tensor *all = NULL;
    gr_status status = list_folder(&l, folder, &(filter){0});
    if (!status && values->classes)
        status =
            gr_fail(GR_ERR_FORMAT, "image_set_read: %s is a folder: expected one label map", GR_QUOTE_PATH(folder));
    if (!status && !l.count)
        status =
            gr_fail(GR_ERR_FORMAT, "image_set_read: no PNG files in %s: expected a black one if there is no object",
                    GR_QUOTE_PATH(folder));
    for (int64_t i = 0; !status && i < l.count; i++) {
        gr_tensor *mask = read_mask_file(folder, file_of(&l, i), values);
        if (!mask) status = gr_last_status();
        else if (all) status = join(all, mask, folder);
        else all = mask;
    }
    values->left_out += values->decided ? 0 : l.left_out;
    free_listing(&l);
    if (!status) return all;
    gr_tensor_free(all);
    return NULL;
}

static gr_tensor *read_mask(const listing *l, int64_t i, gr_mask_values *values)
{
    if (is_png(file_of(l, i))) return read_mask_file(l->folder, file_of(l, i), values);
    char *folder = path_in(l->folder, file_of(l, i));
    gr_tensor *mask = folder ? read_mask_folder(folder, values) : NULL;
    gr_release(folder);
    return mask;
}

/* Cuts and resizes an image, which it frees or returns. NULL for NULL, or with an error. */
static gr_tensor *fit(gr_tensor *image, const gr_image_set_options *o, const char *name, bool nearest)
{
    if (image && o->crop_height) {
        gr_tensor *whole = image;
        bool large = whole->shape[1] >= o->crop_height && whole->shape[2] >= o->crop_width;
        if (!large)
            gr_fail(GR_ERR_FORMAT, "image_set_read: %s is %s: smaller than the crop of %lld x %lld", GR_QUOTE(name),
                    SIZE_TEXT(whole), (long long)o->crop_height, (long long)o->crop_width);
        image = large ? gr_crop_middle(whole, o->crop_height, o->crop_width) : NULL;
        gr_tensor_free(whole);
    }
    if (image && o->height && (image->shape[1] != o->height || image->shape[2] != o->width)) {
        gr_tensor *whole = image;
        image = gr_resize(whole, o->height, o->width, nearest);
        gr_tensor_free(whole);
    }
    return image;
}

/* ---- All of them -------------------------------------------------------------------------------------------- */

typedef struct image_set {
    const gr_image_set_options *options;
    listing images, masks;
    int64_t n;
    gr_mask_values values;
    gr_tensor *x, *y;
    few of_other_shape;          /* image and mask differ */
    few of_other_size;           /* not of the size of the first pair */
    int64_t foreground, ignored; /* pixels */
    gr_image_set_report report;
} image_set;

/* Before anything else, so that what masks can mean is decided by all of them. */
static gr_status meet_masks(image_set *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        gr_tensor *mask = read_mask(&s->masks, i, &s->values);
        if (!mask) return gr_last_status();
        gr_tensor_free(mask);
        s->report.joined += !is_png(file_of(&s->masks, i));
    }
    return gr_mask_values_decide(&s->values, s->report.meaning, sizeof s->report.meaning);
}

typedef struct pair {
    gr_tensor *image, *mask;
    bool differ; /* the two differ in shape: neither has been cut or resized */
} pair;

static void free_pair(pair *p)
{
    gr_tensor_free(p->image);
    gr_tensor_free(p->mask);
    *p = (pair){0};
}

/* Reads pair i into *p, which the caller frees also after a failure. */
static gr_status read_pair(pair *p, image_set *s, int64_t i)
{
    const char *name = s->images.names[i];
    p->image = read_image(&s->images, i, s->x ? (int)s->x->shape[1] : s->options->channels);
    p->mask = p->image ? read_mask(&s->masks, i, &s->values) : NULL;
    if (!p->mask) return gr_last_status();
    p->differ = p->image->shape[1] != p->mask->shape[1] || p->image->shape[2] != p->mask->shape[2];
    if (p->differ) return GR_OK;
    p->image = fit(p->image, s->options, name, false);
    p->mask = p->image ? fit(p->mask, s->options, name, true) : p->mask;
    return p->image && p->mask ? GR_OK : gr_last_status();
}

/* Makes x and y of the size that the first pair has. */
static gr_status make_tensors(image_set *s, const pair *first)
{
    const int64_t *shape = first->image->shape;
    s->x = gr_new("image_set_read", GR_F32, GR_SHAPE(s->n, shape[0], shape[1], shape[2]));
    if (!s->x) return gr_last_status();
    if (s->values.classes) s->y = gr_new("image_set_read", GR_I32, GR_SHAPE(s->n, shape[1], shape[2]));
    else s->y = gr_new("image_set_read", GR_F32, GR_SHAPE(s->n, 1, shape[1], shape[2]));
    return s->y ? GR_OK : gr_last_status();
}

static void keep_pair(image_set *s, int64_t i, const pair *p)
{
    const float *image = p->image->data, *mask = p->mask->data;
    const int64_t size = p->mask->size;
    memcpy((float *)s->x->data + i * p->image->size, image, gr_bytes(p->image));
    int64_t same = 1, foreground = 0, ignored = 0;
    while (same < p->image->size && image[same] == image[0]) same++;
    for (int64_t k = 0; k < size; k++) {
        ignored += mask[k] == GR_IGNORED;
        foreground += mask[k] > 0.0f && mask[k] != GR_IGNORED;
        if (s->values.classes) ((int32_t *)s->y->data)[i * size + k] = (int32_t)mask[k];
        else ((float *)s->y->data)[i * size + k] = mask[k];
    }
    s->foreground += foreground;
    s->ignored += ignored;
    s->report.blank += same == p->image->size;
    s->report.empty += !foreground;
    s->report.full += foreground == size - ignored;
}

static gr_status take_pair(image_set *s, int64_t i)
{
    pair p = {0};
    char sizes[3 * GR_SHAPE_TEXT_SIZE];
    gr_status status = read_pair(&p, s, i);
    if (!status && p.differ) {
        snprintf(sizes, sizeof sizes, " (%s, its mask %s)", SIZE_TEXT(p.image), SIZE_TEXT(p.mask));
        add_few(&s->of_other_shape, s->images.names[i], sizes);
    } else if (!status) {
        if (!s->x) status = make_tensors(s, &p);
        snprintf(sizes, sizeof sizes, " (%s)", SIZE_TEXT(p.image));
        if (!status && (p.image->shape[1] != s->x->shape[2] || p.image->shape[2] != s->x->shape[3]))
            add_few(&s->of_other_size, s->images.names[i], sizes);
        else if (!status) keep_pair(s, i, &p);
    }
    free_pair(&p);
    return status;
}

static gr_status take_all(image_set *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        gr_status status = take_pair(s, i);
        if (status) return status;
    }
    if (s->of_other_shape.count)
        return gr_fail(GR_ERR_FORMAT, "image_set_read: image and mask differ in size: %s", end_few(&s->of_other_shape));
    if (s->of_other_size.count)
        return gr_fail(GR_ERR_FORMAT,
                       "image_set_read: not of the size of the first, %lld x %lld: %s: give a size or a crop",
                       (long long)s->x->shape[2], (long long)s->x->shape[3], end_few(&s->of_other_size));
    return GR_OK;
}

static gr_status check_set_options(const gr_image_set_options *o)
{
    if (o->channels != 0 && o->channels != 1 && o->channels != 3)
        return gr_fail(GR_ERR_OPTION, "image_set_read: channels is %d: expected 1, 3 or 0", o->channels);
    if (o->limit < 0)
        return gr_fail(GR_ERR_OPTION, "image_set_read: limit is %lld: expected 0 or more", (long long)o->limit);
    const int64_t sides[][2] = {{o->crop_height, o->crop_width}, {o->height, o->width}};
    for (int i = 0; i < 2; i++) {
        const int64_t h = sides[i][0], w = sides[i][1];
        if (h < 0 || w < 0 || !h != !w || h > GR_MAX_SIDE || w > GR_MAX_SIDE)
            return gr_fail(GR_ERR_OPTION, "image_set_read: a %s of %lld x %lld: expected 1 to %d both, or 0 both",
                           i ? "size" : "crop", (long long)h, (long long)w, GR_MAX_SIDE);
    }
    return GR_OK;
}

static gr_status list_both(image_set *s, const char *images, const char *masks)
{
    if (!images || !masks) return gr_fail(GR_ERR_NULL, "image_set_read: no folder of %s", images ? "masks" : "images");
    gr_status status = list_folder(&s->images, images, &(filter){.suffix = s->options->suffix});
    if (!status) status = list_folder(&s->masks, masks, &(filter){s->options->suffix, true, &s->images});
    if (!status) status = check_partners(&s->images, &s->masks);
    const int64_t limit = s->options->limit;
    s->n = limit && limit < s->images.count ? limit : s->images.count;
    return status;
}

/* The set of x and y, which it then owns. */
static gr_dataset *make_image_set(image_set *s)
{
    gr_dataset *set = gr_dataset_new(s->x, s->y);
    s->x = s->y = NULL; /* the set's, or freed by the failed call */
    if (!set) return NULL;
    set->n_classes = s->values.classes;
    set->samples = gr_names_new((int)s->n, (const char *const *)s->images.names);
    if (set->samples) return set;
    gr_dataset_free(set);
    return NULL;
}

static void finish_report(image_set *s, const gr_dataset *set)
{
    const int64_t pixels = set->y->size;
    s->report.images = s->n;
    s->report.left_out = s->images.left_out + s->masks.left_out + s->values.left_out;
    s->report.ignored = (double)s->ignored / (double)pixels;
    s->report.foreground = pixels > s->ignored ? (double)s->foreground / (double)(pixels - s->ignored) : 0.0;
}

gr_dataset *gr_image_set_read(const char *images, const char *masks, const gr_image_set_options *options,
                              gr_image_set_report *report)
{
    static const gr_image_set_options defaults = {0};
    image_set s = {.options = options ? options : &defaults};
    gr_status status = check_set_options(s.options);
    if (!status) status = gr_mask_values_init(&s.values, s.options);
    if (!status) status = list_both(&s, images, masks);
    if (!status) status = meet_masks(&s);
    if (!status) status = take_all(&s);
    gr_dataset *set = status ? NULL : make_image_set(&s);
    if (set) finish_report(&s, set);
    if (report) *report = set ? s.report : (gr_image_set_report){0};
    gr_tensor_free(s.y);
    gr_tensor_free(s.x);
    gr_mask_values_free(&s.values);
    free_listing(&s.masks);
    free_listing(&s.images);
    return set;
}
