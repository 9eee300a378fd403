/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_TREE_H
#define MEMWATCH_TREE_H
/*
 * One stack among all others: for each of its frames, from the root or from the leaf, what all
 * stacks that came the same way hold together, and where the others branch off.
 */
#include "snapshot.h"

struct branch {
	uint32_t level; /* frames before this one */
	bool on_path; /* of the stack; else where others branch off */
	bool ends; /* the path does not go on: the stack's last frame */
	uint32_t fork; /* how many of the levels up to here have more than one branch */
	struct frame frame;
	struct counters counters; /* of all sites through here; peak_bytes is no figure */
	double growth;
	struct delta change;
	uint64_t merged; /* sites through here */
	uint64_t stack; /* id of a stack through here: the path's, else the one that holds most */
	uint64_t most; /* live bytes of that one's site */
};

struct tree {
	struct branch *items; /* in the order of a tree that is open along the path */
	size_t count;
};

/*
 * Sites are those that the query keeps; what they are charged to and how they are ranked does not
 * matter. -ENOENT when there is no stack with this id in the snapshot, -ENOMEM.
 */
int tree__of_stack(const struct snapshot *snapshot, const struct query *query, uint64_t stack,
		   bool from_leaf, struct tree *tree);
void tree__free(struct tree *tree);

#endif
