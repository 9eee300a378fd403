/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_EXITS = 256 };

static bool is_mapping(enum entry_kind kind)
{
	return kind == ENTRY_MMAP || kind == ENTRY_MUNMAP || kind == ENTRY_MREMAP;
}

static uint64_t cookie_of(const struct plan_item *item)
{
	uint64_t cookie = item->entry.kind;

	for (int n = 0; n < PLACEMENT_ARGS; n++)
		cookie |= (uint64_t)item->placement.arguments[n] << (8 + 4 * n);
	cookie |= (uint64_t)(item->placement.stack / 8) << COOKIE_STACK_SHIFT;
	if (item->returns == PLAN_EXIT_PROBES)
		cookie |= COOKIE_NO_RETURN;
	return cookie;
}

/* The kernel arms a return probe in the word under the stack pointer: it must be the return
 * address. */
static void move_to_entry(struct placement *placement)
{
	static const uint8_t registers[PLACEMENT_ARGS] = { 7, 6, 2, 1, 8, 9 };

	placement->offset = 0;
	placement->stack = 0;
	placement->emulated = false;
	memcpy(placement->arguments, registers, sizeof(registers));
	strcpy(placement->instruction, "the entry");
}

static int add_point(struct plan *plan, uint64_t offset, uint64_t cookie, bool returns)
{
	struct attach_point *points;

	for (size_t i = 0; i < plan->point_count; i++)
		if (plan->points[i].offset == offset)
			return 0; /* one `ret` can be the exit of several functions */
	points = realloc(plan->points, (plan->point_count + 1) * sizeof(*points));
	if (!points)
		return -ENOMEM;
	plan->points = points;
	points[plan->point_count++] = (struct attach_point){ offset, cookie, returns };
	return 0;
}

static int add_exits(struct plan *plan, const struct object *object, struct plan_item *item)
{
	uint64_t exits[MAX_EXITS];
	int count = allocator__exits(object, &item->entry, exits, MAX_EXITS), error = 0;

	if (count < 0)
		return count;
	item->exits = count;
	for (int i = 0; i < count && !error; i++)
		error = add_point(plan, exits[i], COOKIE_EXIT | item->entry.kind, false);
	return error;
}

static int plan_item(struct plan *plan, const struct object *object,
		     const struct plan_options *options, struct plan_item *item)
{
	int error = allocator__place(object, &item->entry, &item->placement);

	if (error)
		return error;
	if (!item->entry.uses_return)
		item->returns = PLAN_NO_RETURN;
	else if (item->entry.keeps_return || options->avoid_returns)
		item->returns = PLAN_EXIT_PROBES;
	else
		item->returns = PLAN_RETURN_PROBE;
	if (item->returns == PLAN_RETURN_PROBE && item->placement.stack)
		move_to_entry(&item->placement);
	if (item->returns == PLAN_EXIT_PROBES) {
		error = add_exits(plan, object, item);
		if (error) {
			item->returns = PLAN_UNOBSERVABLE;
			return error;
		}
	}
	return add_point(plan, item->entry.offset + item->placement.offset, cookie_of(item),
			 item->returns == PLAN_RETURN_PROBE);
}

/*
 * The kernel takes the points in their order while the target runs. Frees go first and exits before
 * entries: a block that is recorded must not be freed unseen, nor a call be remembered whose return
 * nobody sees. Points that are alike stand together: they are of one link.
 */
static int rank(const struct attach_point *point)
{
	enum entry_kind kind = COOKIE_KIND(point->cookie);

	if (point->cookie & COOKIE_EXIT)
		return 0;
	if (kind == ENTRY_FREE || kind == ENTRY_MUNMAP)
		return 1;
	if (kind == ENTRY_REALLOC || kind == ENTRY_REALLOCARRAY || kind == ENTRY_MREMAP)
		return 2;
	return point->returns ? 3 : 4;
}

static int compare_points(const void *a, const void *b)
{
	return rank(a) - rank(b);
}

int plan__make(const struct object *object, const struct plan_options *options, struct plan *plan)
{
	struct entry *entries;
	size_t count;
	int error;

	memset(plan, 0, sizeof(*plan));
	error = allocator__entries(object, &entries, &count);
	if (error || !count)
		return error;
	plan->items = calloc(count, sizeof(*plan->items));
	error = plan->items ? 0 : -ENOMEM;
	for (size_t i = 0; i < count && !error; i++) {
		struct plan_item *item = &plan->items[plan->count];

		plan->is_allocator |= !is_mapping(entries[i].kind);
		if (!(is_mapping(entries[i].kind) ? options->mmap : options->heap))
			continue;
		item->entry = entries[i];
		item->error = plan_item(plan, object, options, item);
		if (item->error == -ENOMEM)
			error = -ENOMEM;
		plan->count++;
	}
	free(entries);
	if (error)
		plan__free(plan);
	else
		qsort(plan->points, plan->point_count, sizeof(*plan->points), compare_points);
	return error;
}

void plan__free(struct plan *plan)
{
	free(plan->items);
	free(plan->points);
	memset(plan, 0, sizeof(*plan));
}
