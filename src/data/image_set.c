/* image_set.c: makes a data set of a folder of images and a folder of masks, paired by the names of their files. */
#define _POSIX_C_SOURCE 200809L /* opendir, strcasecmp */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "data/internal.h"

/* ---- Names -------------------------------------------------------------------------------------------------- */

/* The PNG files of a folder, without the ending and in order. */
typedef struct listing {
    const char *folder;
    char **names;
    int64_t count, capacity;
} listing;

static void free_listing(listing *l)
{
    for (int64_t i = 0; i < l->count; i++) gr_release(l->names[i]);
    gr_release(l->names);
}

/* Adds a file's name, if it is a PNG file: in two texts, one behind the other, so that "x.PNG" is "x" and "PNG". */
static gr_status add_name(listing *l, const char *file)
{
    size_t length = strlen(file);
    if (length < 5 || file[0] == '.' || strcasecmp(file + length - 4, ".png") != 0) return GR_OK;
    char **names = gr_grow_array(l->names, l->count, 1, &l->capacity, sizeof *names);
    if (!names) return GR_ERR_MEMORY;
    l->names = names;
    char *name = gr_allocate(length + 1);
    if (!name) return GR_ERR_MEMORY;
    memcpy(name, file, length + 1);
    name[length - 4] = '\0';
    l->names[l->count++] = name;
    return GR_OK;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static gr_status list_folder(listing *l, const char *folder)
{
    *l = (listing){.folder = folder};
    DIR *dir = opendir(folder);
    if (!dir)
        return gr_fail(GR_ERR_IO, "image_set_read: cannot open the folder %s: %s", GR_QUOTE_PATH(folder),
                       strerror(errno));
    gr_status status = GR_OK;
    errno = 0;
    for (struct dirent *entry; !status && (entry = readdir(dir)); errno = 0) status = add_name(l, entry->d_name);
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

/* The first three of some names, for a message: "a, b, c and 12 more". */
typedef struct few {
    char text[176];
    size_t used;
    int64_t count;
} few;

static void add_few(few *f, const char *name)
{
    if (f->count++ < 3)
        f->used += (size_t)snprintf(f->text + f->used, sizeof f->text - f->used, "%s%s", f->count > 1 ? ", " : "",
                                    GR_QUOTE(name));
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
        if (order < 0) add_few(&no_mask, images->names[i]);
        if (order > 0) add_few(&no_image, masks->names[m]);
        i += order <= 0;
        m += order >= 0;
    }
    if (no_mask.count || no_image.count)
        return gr_fail(GR_ERR_FORMAT, "image_set_read: %s%s%s%s%s: expected a mask of the same name for each image",
                       no_mask.count ? "no mask for " : "", end_few(&no_mask),
                       no_mask.count && no_image.count ? "; " : "", no_image.count ? "no image for " : "",
                       end_few(&no_image));
    if (!images->count)
        return gr_fail(GR_ERR_FORMAT, "image_set_read: no PNG files in %s", GR_QUOTE_PATH(images->folder));
    return GR_OK;
}

/* ---- One pair ----------------------------------------------------------------------------------------------- */

static gr_tensor *read_image(const listing *l, int64_t i, int channels)
{
    const char *name = l->names[i], *ending = name + strlen(name) + 1;
    size_t room = strlen(l->folder) + strlen(name) + 8;
    char *path = gr_allocate(room);
    if (!path) return NULL;
    snprintf(path, room, "%s/%s.%s", l->folder, name, ending);
    gr_tensor *image = gr_png_read(path, channels);
    gr_release(path);
    return image;
}

/* Cuts and resizes an image, which it frees or returns. NULL for NULL, or with an error. */
static gr_tensor *fit(gr_tensor *image, const gr_image_set_options *o, const char *name, bool nearest)
{
    if (image && o->crop_height) {
        gr_tensor *whole = image;
        bool large = whole->shape[1] >= o->crop_height && whole->shape[2] >= o->crop_width;
        if (!large)
            gr_fail(GR_ERR_FORMAT, "image_set_read: %s is %lld x %lld: smaller than the crop of %lld x %lld",
                    GR_QUOTE(name), (long long)whole->shape[1], (long long)whole->shape[2], (long long)o->crop_height,
                    (long long)o->crop_width);
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
static gr_status read_pair(pair *p, const listing *images, const listing *masks, int64_t i, int channels,
                           const gr_image_set_options *o)
{
    p->image = read_image(images, i, channels);
    p->mask = p->image ? read_image(masks, i, 1) : NULL;
    if (!p->mask) return gr_last_status();
    p->differ = p->image->shape[1] != p->mask->shape[1] || p->image->shape[2] != p->mask->shape[2];
    if (p->differ) return GR_OK;
    p->image = fit(p->image, o, images->names[i], false);
    p->mask = p->image ? fit(p->mask, o, images->names[i], true) : p->mask;
    return p->image && p->mask ? GR_OK : gr_last_status();
}

/* ---- All of them -------------------------------------------------------------------------------------------- */

typedef struct image_set {
    listing images, masks;
    int64_t n;
    gr_tensor *x, *y;
    few of_other_shape; /* image and mask differ */
    few of_other_size;  /* not of the size of the first pair */
} image_set;

/* Makes x and y of the size that the first pair has. */
static gr_status make_tensors(image_set *s, const pair *first)
{
    const int64_t *shape = first->image->shape;
    s->x = gr_new("image_set_read", GR_F32, GR_SHAPE(s->n, shape[0], shape[1], shape[2]));
    s->y = s->x ? gr_new("image_set_read", GR_F32, GR_SHAPE(s->n, 1, shape[1], shape[2])) : NULL;
    return s->y ? GR_OK : gr_last_status();
}

static void keep_pair(image_set *s, int64_t i, const pair *p)
{
    memcpy((float *)s->x->data + i * p->image->size, p->image->data, gr_bytes(p->image));
    const float *mask = p->mask->data;
    float *y = (float *)s->y->data + i * p->mask->size;
    for (int64_t k = 0; k < p->mask->size; k++) y[k] = mask[k] > 0.5f ? 1.0f : 0.0f;
}

static gr_status take_pair(image_set *s, int64_t i, const gr_image_set_options *o)
{
    pair p = {0};
    int channels = s->x ? (int)s->x->shape[1] : o->channels;
    gr_status status = read_pair(&p, &s->images, &s->masks, i, channels, o);
    if (!status && p.differ) {
        add_few(&s->of_other_shape, s->images.names[i]);
    } else if (!status) {
        if (!s->x) status = make_tensors(s, &p);
        if (!status && (p.image->shape[1] != s->x->shape[2] || p.image->shape[2] != s->x->shape[3]))
            add_few(&s->of_other_size, s->images.names[i]);
        else if (!status) keep_pair(s, i, &p);
    }
    free_pair(&p);
    return status;
}

static gr_status take_all(image_set *s, const gr_image_set_options *o)
{
    for (int64_t i = 0; i < s->n; i++) {
        gr_status status = take_pair(s, i, o);
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

gr_dataset *gr_image_set_read(const char *images, const char *masks, const gr_image_set_options *options)
{
    static const gr_image_set_options defaults = {0};
    const gr_image_set_options *o = options ? options : &defaults;
    image_set s = {.n = 0};
    gr_dataset *set = NULL;
    gr_status status = check_set_options(o);
    if (!status && (!images || !masks))
        status = gr_fail(GR_ERR_NULL, "image_set_read: no folder of %s", images ? "masks" : "images");
    if (!status) status = list_folder(&s.images, images);
    if (!status) status = list_folder(&s.masks, masks);
    if (!status) status = check_partners(&s.images, &s.masks);
    s.n = o->limit && o->limit < s.images.count ? o->limit : s.images.count;
    if (!status) status = take_all(&s, o);
    if (!status) {
        set = gr_dataset_new(s.x, s.y);
        s.x = s.y = NULL; /* the set's, or freed by the failed call */
    }
    if (set) set->samples = gr_names_new((int)s.n, (const char *const *)s.images.names);
    if (set && !set->samples) {
        gr_dataset_free(set);
        set = NULL;
    }
    gr_tensor_free(s.y);
    gr_tensor_free(s.x);
    free_listing(&s.masks);
    free_listing(&s.images);
    return set;
}
