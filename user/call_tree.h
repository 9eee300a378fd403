/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_CALL_TREE_H
#define MEMWATCH_CALL_TREE_H
/*
 * All stacks of a snapshot as one tree from the root: processes, and below them what called what.
 * Calls from one place that came the same way are one. Or the stacks of two snapshots, side by
 * side: processes are then the same when their names are. Pure, as the model is.
 */
#include "snapshot.h"

/* What calls are measured in, by enum sort_key: live, count, alloc, allocs, peak. */
enum { CALL_VALUES = SORT_PEAK + 1 };

enum call_kind {
	CALL_ROOT,
	CALL_PROCESS,   /* its name is the frame's function */
	CALL_FRAME,
	CALL_TRUNCATED, /* stacks that end so */
	CALL_BROKEN,
	CALL_DEEPER,    /* frames beyond CALL_DEPTH */
	CALL_SMALLER,   /* calls that were folded together */
};
enum { CALL_DEPTH = 1000, CALL_LIMIT = 1 << 23 };

struct call_frame {
	enum call_kind kind;
	pid_t pid; /* of a process; 0: of any that has the name */
	struct frame frame; /* what calls have in common: no path, no build-id; an offset only
			     * where there is no function */
};

struct call {
	uint32_t parent; /* index, less than its own; the root's is 0 */
	uint32_t frame;  /* index into frames */
	uint64_t sites;  /* in it, of both snapshots */
	/* Sums over these sites, cut to 64 bits: of peaks, too, which were not at one time. */
	uint64_t now[CALL_VALUES], old[CALL_VALUES];
	/* What the stacks that hold more than they did hold more: never less than now - old. */
	uint64_t grew[CALL_VALUES];
};

struct call_tree {
	struct call *items;
	size_t count;
	struct call_frame *frames;
	size_t frame_count;
	size_t folded; /* calls that are not here but in a CALL_SMALLER */
	double share;  /* none of them is a larger part of the whole, by any value */
	struct string_pool *strings; /* owned: what the frames' strings are in, once each */
};

/*
 * The sites that the query keeps, however it groups and ranks them. `old` NULL: only of `now`. Of
 * more than `most` calls the smallest are folded together, below each call that is left. 0,
 * -ENOMEM or, of more than CALL_LIMIT calls, -EFBIG; call_tree__free in any case. Snapshots may go
 * before the tree.
 */
int call_tree__make(struct call_tree *tree, const struct snapshot *now, const struct snapshot *old,
		    const struct query *query, size_t most);
void call_tree__free(struct call_tree *tree);

#endif
