/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_RANGES_H
#define MEMWATCH_RANGES_H
/*
 * The mappings that one program made for itself, by range. Partial munmap, mremap and MAP_FIXED
 * split and shrink them; every change is reported as bytes and blocks of the stack that mapped
 * them. A mapping counts as one block until its last page has gone. Pure: no system calls.
 */
#include <stddef.h>
#include <stdint.h>

struct ranges;

/* A change of what the mappings made by `stack` hold: never both an addition and a removal. */
struct ranges_change {
	uint64_t stack;
	uint64_t length; /* of the whole mapping, as it was asked for */
	uint64_t added_bytes, added_count;
	uint64_t removed_bytes, removed_count;
};
typedef void (*ranges_report)(void *context, const struct ranges_change *change);

struct ranges *ranges__new(ranges_report report, void *context); /* NULL: no memory */
void ranges__free(struct ranges *ranges);

/* Lengths are in bytes, as requested; a range covers whole pages. 0, or -ENOMEM. `birth` is any
 * clock's ns. */
int ranges__map(struct ranges *ranges, uint64_t address, uint64_t length, uint64_t stack,
		uint64_t birth);
int ranges__unmap(struct ranges *ranges, uint64_t address, uint64_t length);
/* mremap: nothing happens when no part of the old range is known. `keep` is MREMAP_DONTUNMAP. */
int ranges__remap(struct ranges *ranges, uint64_t old_address, uint64_t old_length,
		  uint64_t address, uint64_t length, int keep, uint64_t stack, uint64_t birth);

/* What is mapped now, piece by piece: one of added_bytes, and added_count 1 if it is its mapping's
 * first. */
typedef void (*ranges_piece)(void *context, const struct ranges_change *piece, uint64_t birth);
void ranges__each(const struct ranges *ranges, ranges_piece call, void *context);

#endif
