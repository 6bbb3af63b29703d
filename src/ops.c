/* ops.c: the table of all ops: those of src/autograd and the losses, which stand on them. */
#include "losses/loss_kit.h"

#define GR_OP(name) &gr_op_##name,
static const gr_op *const table[] = {
#include "autograd/ops.def"
#include "losses/losses.def"
};
#undef GR_OP

const gr_op *gr_op_at(int position) { return position >= 0 && position < GR_COUNT(table) ? table[position] : NULL; }
