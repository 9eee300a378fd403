/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "span.h"

#include <errno.h>
#include <stdlib.h>

int spans__add(struct spans *spans, uint64_t start, uint64_t end, uint32_t item)
{
	if (start >= end)
		return 0;
	if (spans->count == spans->room) {
		size_t room = spans->room ? spans->room * 2 : 16;
		struct span *larger = reallocarray(spans->items, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		spans->items = larger;
		spans->room = room;
	}
	spans->items[spans->count++] = (struct span){ .start = start, .end = end, .item = item };
	return 0;
}

static int span__compare(const void *a, const void *b)
{
	const struct span *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return (left->item > right->item) - (left->item < right->item);
}

void spans__sort(struct spans *spans)
{
	uint64_t reach = 0;

	if (!spans->count)
		return;
	qsort(spans->items, spans->count, sizeof(*spans->items), span__compare);
	for (size_t i = 0; i < spans->count; i++) {
		if (spans->items[i].end > reach)
			reach = spans->items[i].end;
		spans->items[i].reach = reach;
	}
}

/* How many spans start at or before `address`. */
static size_t spans__started(const struct spans *spans, uint64_t address)
{
	size_t low = 0, high = spans->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (spans->items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct span *spans__find(const struct spans *spans, uint64_t address,
			       const struct span *after)
{
	size_t i = after ? (size_t)(after - spans->items) : spans__started(spans, address);

	while (i-- > 0 && spans->items[i].reach > address) {
		if (spans->items[i].end > address)
			return &spans->items[i];
	}
	return NULL;
}

void spans__free(struct spans *spans)
{
	free(spans->items);
	*spans = (struct spans){ 0 };
}
