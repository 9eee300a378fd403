/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 }; /* x86-64 */

struct origin { /* one mmap call */
	uint64_t stack, length, birth;
	uint64_t pieces; /* ranges that are left of it */
};

struct range {
	uint64_t start, end; /* whole pages */
	uint64_t slack;      /* bytes at the end of the last page that were not asked for */
	struct origin *origin;
};

struct ranges {
	struct range *items; /* ascending, disjoint */
	size_t count, capacity;
	ranges_report report;
	void *context;
};

struct ranges *ranges__new(ranges_report report, void *context)
{
	struct ranges *ranges = calloc(1, sizeof(*ranges));

	if (!ranges)
		return NULL;
	ranges->report = report;
	ranges->context = context;
	return ranges;
}

static void origin__drop(struct origin *origin)
{
	if (!--origin->pieces)
		free(origin);
}

void ranges__free(struct ranges *ranges)
{
	if (!ranges)
		return;
	for (size_t i = 0; i < ranges->count; i++)
		origin__drop(ranges->items[i].origin);
	free(ranges->items);
	free(ranges);
}

static uint64_t page_up(uint64_t address)
{
	return (address + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* The first range that ends beyond `address`. */
static size_t find(const struct ranges *ranges, uint64_t address)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (ranges->items[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static int insert(struct ranges *ranges, size_t at, struct range range)
{
	if (ranges->count == ranges->capacity) {
		size_t capacity = ranges->capacity ? ranges->capacity * 2 : 16;
		struct range *items = realloc(ranges->items, capacity * sizeof(*items));

		if (!items)
			return -ENOMEM;
		ranges->items = items;
		ranges->capacity = capacity;
	}
	memmove(&ranges->items[at + 1], &ranges->items[at], (ranges->count - at) * sizeof(range));
	ranges->items[at] = range;
	ranges->count++;
	return 0;
}

static void erase(struct ranges *ranges, size_t at)
{
	ranges->count--;
	memmove(&ranges->items[at], &ranges->items[at + 1],
		(ranges->count - at) * sizeof(*ranges->items));
}

static void report_removed(struct ranges *ranges, const struct origin *origin, uint64_t bytes)
{
	struct ranges_change change = {
		.stack = origin->stack,
		.length = origin->length,
		.removed_bytes = bytes,
		.removed_count = !origin->pieces,
	};

	ranges->report(ranges->context, &change);
}

/* Cuts [start, end) out of the range at `at`. Returns how many ranges are there instead, or
 * -ENOMEM. */
static int cut(struct ranges *ranges, size_t at, uint64_t start, uint64_t end)
{
	struct range old = ranges->items[at], *range = &ranges->items[at];
	uint64_t bytes, slack = 0;

	start = start > old.start ? start : old.start;
	if (end >= old.end) {
		end = old.end;
		slack = old.slack;
	}
	bytes = end - start - slack;
	if (start > old.start && end < old.end) { /* the middle: two are left */
		struct range right = { end, old.end, old.slack, old.origin };

		if (insert(ranges, at + 1, right))
			return -ENOMEM;
		ranges->items[at].end = start;
		ranges->items[at].slack = 0;
		old.origin->pieces++;
		report_removed(ranges, old.origin, bytes);
		return 2;
	}
	if (start > old.start) {
		range->end = start;
		range->slack = 0;
	} else if (end < old.end) {
		range->start = end;
	} else {
		erase(ranges, at);
		old.origin->pieces--;
	}
	report_removed(ranges, old.origin, bytes);
	if (old.origin->pieces)
		return start > old.start || end < old.end;
	free(old.origin);
	return 0;
}

int ranges__unmap(struct ranges *ranges, uint64_t address, uint64_t length)
{
	uint64_t end = page_up(address + length);
	size_t at;

	if (address % PAGE || !length || end < address)
		return 0; /* the kernel refuses it */
	for (at = find(ranges, address); at < ranges->count && ranges->items[at].start < end;) {
		int left = cut(ranges, at, address, end);

		if (left < 0)
			return left;
		at += left;
	}
	return 0;
}

int ranges__map(struct ranges *ranges, uint64_t address, uint64_t length, uint64_t stack,
		uint64_t birth)
{
	const struct ranges_change change = {
		.stack = stack,
		.length = length,
		.added_bytes = length,
		.added_count = 1,
	};
	struct range range = { address, page_up(address + length), 0, NULL };
	int error;

	if (!length || range.end < address)
		return 0;
	error = ranges__unmap(ranges, address, length);
	if (error)
		return error;
	range.slack = range.end - address - length;
	range.origin = calloc(1, sizeof(*range.origin));
	if (!range.origin)
		return -ENOMEM;
	*range.origin = (struct origin){ stack, length, birth, 1 };
	error = insert(ranges, find(ranges, address), range);
	if (error)
		free(range.origin);
	else
		ranges->report(ranges->context, &change);
	return error;
}

static int is_known(const struct ranges *ranges, uint64_t address, uint64_t length)
{
	size_t at = find(ranges, address);

	return at < ranges->count && ranges->items[at].start < address + (length ? length : 1);
}

int ranges__remap(struct ranges *ranges, uint64_t old_address, uint64_t old_length,
		  uint64_t address, uint64_t length, int keep, uint64_t stack, uint64_t birth)
{
	int error = 0;

	if (!is_known(ranges, old_address, old_length))
		return 0;
	/* An old length of 0 makes a second mapping of shared pages; the first one stays. */
	if (old_length && !keep)
		error = ranges__unmap(ranges, old_address, old_length);
	return error ? error : ranges__map(ranges, address, length, stack, birth);
}

void ranges__each(const struct ranges *ranges, ranges_piece call, void *context)
{
	for (size_t i = 0; i < ranges->count; i++) {
		const struct range *range = &ranges->items[i];
		struct ranges_change piece = {
			.stack = range->origin->stack,
			.length = range->origin->length,
			.added_bytes = range->end - range->start - range->slack,
			.added_count = 1,
		};

		/* Pieces of one mapping lie in order: look back for an earlier one. */
		for (size_t j = 0; range->origin->pieces > 1 && piece.added_count && j < i; j++)
			piece.added_count = ranges->items[j].origin != range->origin;
		call(context, &piece, range->origin->birth);
	}
}
