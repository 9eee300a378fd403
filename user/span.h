/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_SPAN_H
#define MEMWATCH_SPAN_H
/* Address ranges that may overlap or nest, and which of them an address lies in. */
#include <stddef.h>
#include <stdint.h>

struct span {
	uint64_t start, end; /* [start, end) */
	uint64_t reach;      /* the greatest end of this span and all before it */
	uint32_t item;       /* the caller's */
};

struct spans {
	struct span *items;
	size_t count, room;
};

/* An empty range is left out; 0 or -ENOMEM. */
int spans__add(struct spans *spans, uint64_t start, uint64_t end, uint32_t item);
void spans__sort(struct spans *spans); /* after the last add, before the first find */
/*
 * The span around `address` that starts last; of those with one start, the one of the greatest
 * item. With `after`, the next one behind that. NULL: no more.
 */
const struct span *spans__find(const struct spans *spans, uint64_t address,
			       const struct span *after);
void spans__free(struct spans *spans);

#endif
