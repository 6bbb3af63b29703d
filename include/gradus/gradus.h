/* gradus.h: all of Gradus, a minimal autodiff training framework.
 *
 *     status.h   errors: a status and a sentence
 *     random.h   random numbers from an explicit state
 *     tensor.h   arrays: start here
 *     tape.h     reverse-mode automatic differentiation
 *     ops.h      the ops that a tape computes
 *     nn.h       convolutions, pooling, normalisation: networks for images
 *     losses.h   the losses that training minimises
 *     segmentation.h  losses of images against masks: Dice, Tversky, focal and others
 *     optim.h    parameters, optimizers, schedules, clipping
 *     data.h     CSV, IDX and PNG files, mini-batches, generated sets
 *     metrics.h  confusion counts and the scores made of them, Otsu's threshold
 *     checkpoint.h  trained weights to a file and back
 *     check.h    derivatives against finite differences
 *     draw.h     a tape as a graph, for Graphviz
 *     op.h       an op of your own
 *
 * Ownership: you free what you create; the tape frees what it computes.
 */
#ifndef GRADUS_GRADUS_H
#define GRADUS_GRADUS_H

#include <gradus/check.h>
#include <gradus/check_plain.h>
#include <gradus/checkpoint.h>
#include <gradus/data.h>
#include <gradus/draw.h>
#include <gradus/losses.h>
#include <gradus/metrics.h>
#include <gradus/nn.h>
#include <gradus/op.h>
#include <gradus/ops.h>
#include <gradus/optim.h>
#include <gradus/random.h>
#include <gradus/segmentation.h>
#include <gradus/status.h>
#include <gradus/tape.h>
#include <gradus/tensor.h>
#include <gradus/version.h>

#endif
