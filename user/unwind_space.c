/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwind_space.h"

#include <stdlib.h>
#include <string.h>

void *array__add(struct array *array)
{
	void *item;

	if (array->count == array->capacity) {
		size_t capacity = array->capacity ? array->capacity * 2 : 64;

		item = reallocarray(array->items, capacity, array->size);
		if (!item)
			return NULL;
		array->items = item;
		array->capacity = capacity;
	}
	item = (char *)array->items + array->count++ * array->size;
	return memset(item, 0, array->size);
}

bool space__init(struct space *space, size_t size)
{
	*space = (struct space){ .size = size, .ranges.size = sizeof(struct range) };
	if (size >= UNWIND_NOWHERE)
		return false;
	space->bytes = malloc(size);
	return space->bytes;
}

void space__release(struct space *space)
{
	free(space->bytes);
	free(space->ranges.items);
}

uint8_t *space__add(struct space *space, uint64_t address, size_t size)
{
	struct range *range;

	if (size >= space->size - space->used)
		return NULL;
	range = array__add(&space->ranges);
	if (!range)
		return NULL;
	*range = (struct range){ address, (uint32_t)space->used, (uint32_t)(space->used + size) };
	space->used += size + 1; /* what leaves a range by its end is not in the next */
	space->range = NULL;
	return space->bytes + range->start;
}

static bool range__has(const struct range *range, uint64_t address)
{
	return address - range->address < range->end - range->start;
}

static const struct range *space__range_of(struct space *space, uint64_t address)
{
	size_t low = 0, high = space->ranges.count;

	if (space->range && range__has(space->range, address))
		return space->range;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct range *range = space__range(space, middle);

		if (range__has(range, address))
			return space->range = range;
		if (range->address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

uint32_t space__position(struct space *space, uint64_t address)
{
	const struct range *range = space__range_of(space, address);

	return range ? range->start + (uint32_t)(address - range->address) : UNWIND_NOWHERE;
}

const struct range *space__range_at(struct space *space, uint32_t position)
{
	size_t low = 0, high = space->ranges.count;

	if (space->range && position >= space->range->start && position < space->range->end)
		return space->range;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (space__range(space, middle)->start <= position)
			low = middle;
		else
			high = middle;
	}
	return space->range = space__range(space, low);
}
