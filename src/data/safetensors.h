/* safetensors.h: the header of a safetensors file, entry by entry. */
#ifndef GR_DATA_SAFETENSORS_H
#define GR_DATA_SAFETENSORS_H

#include "tensor/internal.h"

/* "name": {"dtype": "F32", "shape": [3,4], "data_offsets": [begin,end]}; begin <= end. */
typedef struct gr_entry {
    const char *name;
    char dtype[8];
    int rank;
    int64_t shape[GR_MAX_RANK];
    int64_t begin, end;
} gr_entry;

/* What is done with each entry, whose name is good until it returns; it stops at a failure. */
typedef gr_status (*gr_take_entry)(void *context, const gr_entry *entry);

/* Reads a header, which it changes and which is followed by a 0. On damage GR_ERR_FORMAT with what is wrong in
 * `reason`; a failure of take() is returned as it is, with no reason. */
gr_status gr_read_entries(char *header, size_t size, gr_take_entry take, void *context, char reason[80]);

bool gr_is_utf8(const char *text);

#endif
