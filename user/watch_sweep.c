/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What processes that ended leave in the kernel's tables, taken out when it was shown. */
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

static int sweep_site(void *context, const struct site_key *key, const struct account *account)
{
	struct watch *watch = context;

	(void)account;
	if (is_gone(watch, key->book))
		probe__delete_site(watch->probe, key);
	return 0;
}

/* Books that ended and were shown. `blocks`: how many live blocks are still in the table for them. */
static size_t count_gone(const struct watch *watch, uint64_t *blocks)
{
	size_t gone = 0;

	*blocks = 0;
	for (struct watched *watched = watch->watched; watched; watched = watched->hh.next)
		if (watched->exited && watched->shown) {
			gone++;
			*blocks += probe__book(watch->probe, watched->book)->heap.live_count;
		}
	return gone;
}

void watch__sweep(struct watch *watch)
{
	const struct probe_options *sizes = probe__options(watch->probe);
	struct watched *watched, *next;
	uint64_t blocks;
	size_t gone = count_gone(watch, &blocks);

	if (!gone)
		return;
	/* Blocks that no book refers to harm nobody but by their room; to look for them costs a
	 * pass over the whole table. */
	if (blocks && gone < sizes->max_books / 4 && blocks < sizes->max_blocks / 4)
		return;
	if (blocks)
		probe__each_block(watch->probe, sweep_block, watch);
	probe__each_site(watch->probe, sweep_site, watch);
	HASH_ITER(hh, watch->watched, watched, next)
		if (watched->exited && watched->shown)
			watch__drop(watch, watched);
}
