/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe_options.h"

#include <sys/sysinfo.h>

#include "../bpf/memwatch.h"

uint32_t probe_options__power(uint64_t n)
{
	uint32_t power = 1;

	while (power < n && power < 1u << 30)
		power <<= 1;
	return power;
}

uint32_t probe_options__idle(const struct probe_options *o)
{
	return o->max_blocks / 8;
}

/*
 * The table of blocks takes 16 bytes a possible element at once (a bucket's head) and about 112 a
 * real one. One element for every 1.5 KB of the machine keeps the first at 1 % of its memory. The
 * kernel rounds up to a power of two.
 */
static uint32_t default_blocks(void)
{
	struct sysinfo info;
	uint64_t wanted = 1 << 20;

	if (!sysinfo(&info))
		wanted = (uint64_t)info.totalram * info.mem_unit / 1536;
	if (wanted > 1 << 24)
		wanted = 1 << 24;
	return (probe_options__power(wanted) >> (probe_options__power(wanted) > wanted)) / 9 * 8;
}

void probe_options__fill(struct probe_options *o)
{
	if (o->trial) {
		o->max_blocks = o->max_stacks = o->max_sites = o->max_books = 1;
		o->max_rows = o->max_mappings = o->memos = o->memos_more = 1;
	}
	o->max_blocks = o->max_blocks ?: default_blocks();
	o->max_frames = o->max_frames ?: MEMWATCH_DEFAULT_FRAMES;
	o->max_stacks = o->max_stacks ?: 128 << 10;
	o->max_books = o->max_books ?: 4096;
	o->max_sites = o->max_sites ?: o->max_stacks * 2 + o->max_books;
	o->max_rows = o->max_rows ?: 4 << 20;
	o->max_mappings = o->max_mappings ?: 64 << 10;
	o->memos = probe_options__power(o->memos ?: 32 << 10);
	o->memos_more = probe_options__power(o->memos_more ?: 8 << 10);
}
