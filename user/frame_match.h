/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_FRAME_MATCH_H
#define MEMWATCH_FRAME_MATCH_H
/* Whether frames of two snapshots are the same code (see struct change). */
#include "snapshot.h"

enum side { SIDE_OLD, SIDE_NOW, SIDES };

struct frame_match;

/*
 * `interned`: frames will be those of the snapshots. They have offsets, so modules that were built
 * anew are looked for. NULL: no memory.
 */
struct frame_match *frame_match__new(const struct snapshot *old, const struct snapshot *now,
				     bool interned);
void frame_match__free(struct frame_match *match);

/* Hashes: the same for what is the same, on either side. */
uint64_t frame_match__stack(const struct frame_match *match, enum side side,
			    const struct stack *stack);
uint64_t frame_match__string(const struct frame_match *match, enum side side, const char *string);
bool frame_match__equal(const struct frame_match *match, enum side a_side, const struct stack *a,
			enum side b_side, const struct stack *b);
/* The names of modules that were built anew; the caller frees the array. 0 or -ENOMEM. */
int frame_match__rebuilt(const struct frame_match *match, const char ***names, size_t *count);

#endif
