/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Calls from one place are one way; strings are interned, so that pointers stand for them. */
struct way {
	const char *function, *file, *module;
	uint64_t offset; /* where there is no function */
	uint32_t line, level;
	uint64_t kind;
};
_Static_assert(sizeof(struct way) == 48, "hashed as bytes: there must be no padding");

struct growing { /* a branch that is being summed up */
	struct way way;
	struct branch branch;
	UT_hash_handle hh;
};

struct making {
	const struct stack *path;
	bool from_leaf;
	struct growing *ways;
	struct growing **levels; /* the path's own, by level */
};

static const struct frame *frame_at(const struct making *making, const struct stack *stack,
				    uint32_t level)
{
	return stack->frames[making->from_leaf ? level : stack->depth - 1 - level];
}

static struct way way_of(const struct frame *frame, uint32_t level)
{
	return (struct way){
		.function = frame->function,
		.file = frame->file,
		.module = frame->module,
		.offset = frame->function ? 0 : frame->offset,
		.line = frame->line,
		.level = level,
		.kind = frame->kind,
	};
}

static bool same_way(const struct frame *a, const struct frame *b)
{
	return a->function == b->function && a->file == b->file && a->module == b->module &&
	       a->line == b->line && a->kind == b->kind && (a->function || a->offset == b->offset);
}

static struct growing *find_or_add(struct making *making, const struct frame *frame, uint32_t level)
{
	const struct way way = way_of(frame, level);
	struct growing *growing;

	HASH_FIND(hh, making->ways, &way, sizeof(way), growing);
	if (growing)
		return growing;
	growing = calloc(1, sizeof(*growing));
	if (!growing)
		return NULL;
	growing->way = way;
	growing->branch.level = level;
	growing->branch.frame = *frame;
	HASH_ADD(hh, making->ways, way, sizeof(way), growing);
	if (growing->hh.tbl)
		return growing;
	free(growing);
	return NULL;
}

static void charge(struct branch *branch, const struct site *site, const struct stack *stack)
{
	branch->counters.live_bytes += site->counters.live_bytes;
	branch->counters.live_count += site->counters.live_count;
	branch->counters.freed_bytes += site->counters.freed_bytes;
	branch->counters.freed_count += site->counters.freed_count;
	branch->growth += site->growth;
	branch->change.bytes += site->change.bytes;
	branch->change.count += site->change.count;
	if (!branch->merged++ || site->counters.live_bytes > branch->most) {
		branch->stack = stack->id;
		branch->most = site->counters.live_bytes;
	}
}

/* Along the path as far as both go the same way; then once more, where it branches off. */
static int add_site(struct making *making, const struct stack *stack, const struct site *site)
{
	uint32_t level = 0;
	struct growing *off;

	while (level < stack->depth && level < making->path->depth &&
	       same_way(frame_at(making, stack, level), frame_at(making, making->path, level)))
		charge(&making->levels[level++]->branch, site, stack);
	if (level == stack->depth)
		return 0;
	off = find_or_add(making, frame_at(making, stack, level), level);
	if (!off)
		return -ENOMEM;
	charge(&off->branch, site, stack);
	return 0;
}

static int lay_path(struct making *making)
{
	const struct stack *path = making->path;

	making->levels = calloc(path->depth + 1, sizeof(struct growing *));
	if (!making->levels)
		return -ENOMEM;
	for (uint32_t i = 0; i < path->depth; i++) {
		struct growing *growing = find_or_add(making, frame_at(making, path, i), i);

		if (!growing)
			return -ENOMEM;
		growing->branch.on_path = true;
		growing->branch.ends = i + 1 == path->depth;
		making->levels[i] = growing;
	}
	return 0;
}

static int add_sites(struct making *making, const struct snapshot *snapshot,
		     const struct query *query)
{
	struct filter *filter = filter__new(snapshot, query);
	int error = filter ? 0 : -ENOMEM;

	for (size_t i = 0; i < snapshot__site_count(snapshot) && !error; i++) {
		const struct site *site = snapshot__site(snapshot, i);

		if (filter__keeps(filter, site))
			error = add_site(making, snapshot__stack(snapshot, site->stack), site);
	}
	filter__free(filter);
	return error;
}

static int compare_siblings(const struct branch *a, const struct branch *b)
{
	uint64_t x = a->counters.live_bytes, y = b->counters.live_bytes;

	if (x != y)
		return x < y ? 1 : -1;
	if (a->on_path != b->on_path)
		return a->on_path ? -1 : 1;
	return strcmp(a->frame.function ?: "", b->frame.function ?: "");
}

static int compare(const void *first, const void *second)
{
	const struct branch *a = *(struct branch *const *)first,
			    *b = *(struct branch *const *)second;

	if (a->level != b->level)
		return a->level < b->level ? -1 : 1;
	return compare_siblings(a, b);
}

/*
 * `order` is by level. What stands behind the path at its level comes after all that is deeper: so
 * the way down puts out what is before the path, and the way up what is behind it.
 */
static void flatten(struct branch **order, size_t count, struct tree *tree)
{
	size_t front = 0, back = count, i = 0;
	uint32_t fork = 0;

	while (i < count) {
		size_t end = i, behind = 0, path = count;

		while (end < count && order[end]->level == order[i]->level) {
			if (order[end]->on_path)
				path = end;
			end++;
		}
		fork += end - i > 1;
		for (size_t k = i; k < end; k++)
			order[k]->fork = fork;
		behind = path < count ? end - path - 1 : 0;
		for (size_t k = i; k < end - behind; k++)
			tree->items[front++] = *order[k];
		back -= behind;
		for (size_t k = 0; k < behind; k++)
			tree->items[back + k] = *order[end - behind + k];
		i = end;
	}
	tree->count = count;
}

static int grow_tree(struct making *making, struct tree *tree)
{
	size_t count = HASH_COUNT(making->ways), i = 0;
	struct branch **order = calloc(count + 1, sizeof(struct branch *));

	tree->items = calloc(count + 1, sizeof(*tree->items));
	if (!order || !tree->items) {
		free(order);
		return -ENOMEM;
	}
	for (struct growing *growing = making->ways; growing; growing = growing->hh.next)
		order[i++] = &growing->branch;
	qsort(order, count, sizeof(*order), compare);
	flatten(order, count, tree);
	free(order);
	return 0;
}

static void making__end(struct making *making)
{
	struct growing *growing, *next;

	HASH_ITER(hh, making->ways, growing, next) {
		HASH_DEL(making->ways, growing);
		free(growing);
	}
	free(making->levels);
}

static const struct stack *find_stack(const struct snapshot *snapshot, uint64_t id)
{
	for (size_t i = 0; i < snapshot__stack_count(snapshot); i++) {
		const struct stack *stack = snapshot__stack(snapshot, i);

		if (stack->id == id)
			return stack;
	}
	return NULL;
}

int tree__of_stack(const struct snapshot *snapshot, const struct query *query, uint64_t stack,
		   bool from_leaf, struct tree *tree)
{
	struct making making = { .path = find_stack(snapshot, stack), .from_leaf = from_leaf };
	int error;

	*tree = (struct tree){ 0 };
	if (!making.path)
		return -ENOENT;
	error = lay_path(&making);
	error = error ?: add_sites(&making, snapshot, query);
	error = error ?: grow_tree(&making, tree);
	making__end(&making);
	if (error)
		tree__free(tree);
	return error;
}

void tree__free(struct tree *tree)
{
	free(tree->items);
	*tree = (struct tree){ 0 };
}
