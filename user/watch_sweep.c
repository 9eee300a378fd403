/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What processes that ended leave in the kernel's tables, taken out when it was shown. */
#include <errno.h>
#include <stdlib.h>

#include "watch_state.h"

static bool is_gone(const struct watch *watch, uint32_t book)
{
	struct watched *watched = watch__find(watch, book);

	return watched && watched->exited && watched->shown;
}

static int sweep_block(void *context, const struct block_key *key, const struct block *block)
{
	struct watch *watch = context;

	(void)block;
	if (is_gone(watch, key->book))
		probe__delete_block(watch->probe, key);
	return 0;
}

static int sweep_site(void *context, uint32_t site, const struct site_record *record)
{
	struct watch *watch = context;

	if (is_gone(watch, record->book))
		probe__release_site(watch->probe, site);
	return 0;
}

/*
 * Books that ended and were shown. `blocks`: how many elements may still be in the table for them,
 * or idle for others.
 */
static size_t count_gone(const struct watch *watch, uint64_t *blocks)
{
	uint64_t live = 0;
	size_t gone = 0;

	*blocks = probe__block_elements(watch->probe);
	for (struct watched *watched = watch->watched; watched; watched = watched->hh.next) {
		const struct book *book = probe__book(watch->probe, watched->book);

		if (watched->exited && watched->shown)
			gone++;
		else if (book)
			live += book->heap.live_count;
	}
	*blocks -= live < *blocks ? live : *blocks;
	return gone;
}

/* Sets of stack ids. */
static int note_stack(struct spare_stack **set, uint64_t id)
{
	struct spare_stack *entry;

	HASH_FIND(hh, *set, &id, sizeof(id), entry);
	if (entry)
		return 0;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->id = id;
	HASH_ADD(hh, *set, id, sizeof(id), entry);
	return 0;
}

static bool has_stack(struct spare_stack *set, uint64_t id)
{
	struct spare_stack *entry;

	HASH_FIND(hh, set, &id, sizeof(id), entry);
	return entry != NULL;
}

static void clear_stacks(struct spare_stack **set)
{
	struct spare_stack *entry, *next;

	HASH_ITER(hh, *set, entry, next) {
		HASH_DEL(*set, entry);
		free(entry);
	}
}

static int note_site(void *context, uint32_t site, const struct site_record *record)
{
	(void)site;
	return note_stack(context, record->stack);
}

static int note_used(struct watch *watch, struct spare_stack **used)
{
	int error = probe__each_site(watch->probe, note_site, used);

	for (struct watched *w = watch->watched; w && !error; w = w->hh.next)
		for (struct map_site *site = w->map_sites; site && !error; site = site->hh.next)
			error = note_stack(used, site->stack);
	return error;
}

/* Deletes what was spare the last time too; notes what is for the next. How many were deleted. */
static uint64_t delete_spares(struct watch *watch, struct spare_stack *used)
{
	struct spare_stack *spares = NULL;
	uint64_t *ids, deleted = 0;
	size_t count;

	if (probe__stack_ids(watch->probe, &ids, &count))
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (has_stack(used, ids[i]))
			continue;
		if (has_stack(watch->spares, ids[i]))
			deleted += !probe__delete_stack(watch->probe, ids[i]);
		else
			note_stack(&spares, ids[i]);
	}
	free(ids);
	clear_stacks(&watch->spares);
	watch->spares = spares;
	return deleted;
}

/*
 * Stacks of processes that have gone fill the table of a long watch. One that no site refers to
 * goes, but not at once: a call that is under way may have just been given it. Memos that knew it
 * are void.
 */
static void sweep_stacks(struct watch *watch)
{
	const struct probe_options *sizes = probe__options(watch->probe);
	uint64_t kept = probe__losses(watch->probe).interned - watch->stacks_deleted;
	struct spare_stack *used = NULL;
	uint64_t deleted = 0;

	if (kept < sizes->max_stacks / 2)
		return;
	if (!note_used(watch, &used))
		deleted = delete_spares(watch, used);
	clear_stacks(&used);
	watch->stacks_deleted += deleted;
	if (!deleted)
		return;
	for (struct watched *w = watch->watched; w; w = w->hh.next)
		__atomic_add_fetch(&probe__book(watch->probe, w->book)->generation, 1,
				   __ATOMIC_SEQ_CST);
}

void watch__sweep(struct watch *watch)
{
	const struct probe_options *sizes = probe__options(watch->probe);
	struct watched *watched, *next;
	uint64_t blocks;
	size_t gone = count_gone(watch, &blocks);

	if (!watch->options.pid_count)
		sweep_stacks(watch);
	if (!gone)
		return;
	/* Blocks that no book refers to harm nobody but by their room; to look for them costs a
	 * pass over the whole table. */
	probe__each_site(watch->probe, sweep_site, watch);
	if (blocks && gone < sizes->max_books / 4 && blocks < sizes->max_blocks / 4)
		return;
	if (blocks)
		probe__each_block(watch->probe, sweep_block, watch);
	HASH_ITER(hh, watch->watched, watched, next)
		if (watched->exited && watched->shown)
			watch__drop(watch, watched);
}

void watch__forget_spares(struct watch *watch)
{
	clear_stacks(&watch->spares);
}
