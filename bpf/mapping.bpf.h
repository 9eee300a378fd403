/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_MAPPING_BPF_H
#define MEMWATCH_MAPPING_BPF_H
/*
 * A book's slice: where code lies in its process, as user space has read it, and what of that the
 * program has changed since.
 */
#include "maps.bpf.h"

enum {
	MAPPING_STEPS = 12, /* up to 4096 executable mappings a process */
	PAGE_BITS = 12,
};

/* 1 when a < b, else 0; for values below 2^63. No branch: the verifier would follow both. */
static inline u64 below(u64 a, u64 b)
{
	u64 less = a - b;

	asm volatile("" : "+r"(less));
	return less >> 63;
}

/*
 * Functions that are not static are verified once, for any arguments, and not again with each way
 * that leads to them. The searches, and what has loops or many ways through, are such: else the
 * verifier has four times the work, and it is most of what a start takes. Steps that are greater
 * than a table are left out: once one is not, none is, so that this makes few ways.
 */

/* The place of the last of `count` mappings that does not begin above the address; else 0. */
__noinline u32 mapping__search(u32 first, u32 count, u64 address)
{
	struct mapping_record *mapping;
	u64 at = 0, next, take;
	u32 index;

#pragma unroll
	for (int step = MAPPING_STEPS - 1; step >= 0; step--) {
		if (count <= 1U << step)
			continue;
		take = below(at + (1 << step), count);
		next = at + (take << step);
		index = first + next;
		mapping = bpf_map_lookup_elem(&mappings, &index);
		if (!mapping)
			return 0;
		at += (take & (below(address, mapping->start) ^ 1)) << step;
	}
	return at;
}

static inline struct mapping_record *mapping__below(u32 first, u32 count, u64 address)
{
	u32 index = first;

	if (!count)
		return NULL;
	index += mapping__search(first, count, address);
	return bpf_map_lookup_elem(&mappings, &index);
}

/* Its mappings are about to change, or have: the kernel is asked until they were read again. */
static inline void book__change_anywhere(struct book *book)
{
	book->changed_anywhere = __sync_fetch_and_add(&book->changes, 1) + 1;
}

/* Whether code lies in [start, end), as far as is known. */
__noinline bool book__has_code(const struct book *book, u64 start, u64 end)
{
	const struct mapping_record *mapping;
	u64 slice;

	if (!book || start >= end || end >> 63)
		return false;
	slice = *(const volatile u64 *)&book->slice;
	mapping = mapping__below(slice, slice >> 32, end - 1);
	return mapping && mapping->start < end && mapping->end > start;
}

struct marking { /* of what is stale */
	u32 first, index; /* of the slice, and of the mapping that is next, downwards */
	u64 start;
};

static long mapping__mark(u32 unused, struct marking *marking)
{
	struct mapping_record *mapping = bpf_map_lookup_elem(&mappings, &marking->index);

	if (!mapping || mapping->end <= marking->start)
		return 1;
	mapping->stale = 1;
	return marking->index-- == marking->first;
}

/* Code in [start, end) is about to change, or has: the rest stays as it is, and memos are void. */
static __noinline int book__change(struct book *book, u64 start, u64 end)
{
	struct marking marking = { .start = start };
	u64 slice;

	if (!book)
		return 0;
	__sync_fetch_and_add(&book->changes, 1);
	slice = *(const volatile u64 *)&book->slice;
	marking.first = slice;
	marking.index = marking.first + mapping__search(slice, slice >> 32, end - 1);
	bpf_loop(1 << MAPPING_STEPS, mapping__mark, &marking, 0);
	__sync_fetch_and_add(&book->generation, 1);
	return 0;
}

#endif
