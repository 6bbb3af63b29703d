/* checkpoint.h: trained weights to a file and back.
 *
 *     if (gr_params_save(params, "model.safetensors")) return fail(gr_last_error());
 *
 *     gr_params *again = make_model(&rng);                   // the same model, untrained
 *     if (gr_params_load(again, "model.safetensors")) return fail(gr_last_error());
 *         // params_load: model.safetensors: enc1.w is f32 [16,1,3,3] in the file and f32 [8,1,3,3] here
 *
 * The format is safetensors (https://github.com/huggingface/safetensors), which Python reads with
 * safetensors.numpy.load_file(): eight bytes with the length of a header, the header, which is JSON with the name,
 * dtype, shape and place of each tensor, and the numbers, little endian.
 */
#ifndef GRADUS_CHECKPOINT_H
#define GRADUS_CHECKPOINT_H

#include <gradus/optim.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes all parameters and buffers under their names. The file is written beside its place and then put there: after
 * a failure what was there before still is. Errors: GR_ERR_NULL, GR_ERR_SHAPE (an empty set), GR_ERR_OPTION (a name
 * that is not UTF-8 or is __metadata__), GR_ERR_IO, GR_ERR_MEMORY.
 * All of it is on the disk when the function returns. A file that was there keeps its mode, a symbolic link stays and
 * the file that it leads to is replaced; a file that may not be written is GR_ERR_IO. A process that is killed while it
 * saves leaves path.PID-0.tmp, which may be removed. */
GR_EXPORT GR_NODISCARD gr_status gr_params_save(const gr_params *params, const char *path);

/* Reads them back into a set that has the same names with the same dtypes and shapes, in any order; counts as a change
 * of each. The file is taken for hostile: every size is checked before memory is asked for, and tensors must fill the
 * file without gap or overlap. Errors, with the path: GR_ERR_NULL, GR_ERR_IO, GR_ERR_FORMAT (no such format, cut off),
 * GR_ERR_INDEX (a name that only one side has), GR_ERR_DTYPE, GR_ERR_SHAPE, GR_ERR_MEMORY; nothing is changed then. */
GR_EXPORT GR_NODISCARD gr_status gr_params_load(gr_params *params, const char *path);

#ifdef __cplusplus
}
#endif
#endif
