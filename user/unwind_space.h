/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_SPACE_H
#define MEMWATCH_UNWIND_SPACE_H
/*
 * Stretches of code in one buffer: a byte has a position there and an address. So has the end of
 * each, at which there is nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame_state.h"

#define UNWIND_NOWHERE UINT32_MAX /* no position */

struct array {
	void *items;
	size_t count, capacity, size; /* size of an item */
};

/* The new last item, zero; NULL: no memory. */
void *array__add(struct array *array);

struct range {
	uint64_t address;
	uint32_t start, end; /* positions */
};

struct space {
	uint8_t *bytes;
	size_t size, used;
	struct array ranges;       /* of struct range, by address */
	const struct range *range; /* the one used last */
};

/* Room for ranges of `size` bytes in all, counting one more for each; false: no memory. */
bool space__init(struct space *space, size_t size);
void space__release(struct space *space);

/* Where the bytes of another range are to be put; NULL: no memory. By rising addresses. */
uint8_t *space__add(struct space *space, uint64_t address, size_t size);
static inline const struct range *space__range(const struct space *space, size_t n)
{
	return (const struct range *)space->ranges.items + n;
}
/* The range of a position that is in one. */
const struct range *space__range_at(struct space *space, uint32_t position);
static inline uint64_t range__address(const struct range *range, uint32_t position)
{
	return range->address + (position - range->start);
}

/* UNWIND_NOWHERE when it is in no range. */
uint32_t space__position(struct space *space, uint64_t address);

#endif
