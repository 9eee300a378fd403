/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwind_endings.h"

#include <errno.h>
#include <stdlib.h>

void endings__init(struct endings *endings)
{
	*endings = (struct endings){ .known.size = sizeof(uint64_t),
				     .suspects.size = sizeof(uint64_t) };
}

void endings__release(struct endings *endings)
{
	free(endings->known.items);
	free(endings->suspects.items);
}

int endings__suspect(struct endings *endings, uint64_t callee)
{
	uint64_t *suspect = array__add(&endings->suspects);

	if (!suspect)
		return -ENOMEM;
	*suspect = callee;
	return 0;
}

bool endings__next_suspect(struct endings *endings, uint64_t *callee)
{
	while (endings->suspects.count) {
		*callee = ((uint64_t *)endings->suspects.items)[--endings->suspects.count];
		if (!endings__have(endings, *callee))
			return true;
	}
	return false;
}

int endings__add(struct endings *endings, uint64_t callee)
{
	uint64_t *known = array__add(&endings->known);
	size_t i = endings->known.count - 1;

	if (!known)
		return -ENOMEM;
	for (known = endings->known.items; i && known[i - 1] > callee; i--)
		known[i] = known[i - 1];
	known[i] = callee;
	return 0;
}

static int address__compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

bool endings__have(const struct endings *endings, uint64_t callee)
{
	const struct array *known = &endings->known;

	return known->count &&
	       bsearch(&callee, known->items, known->count, known->size, address__compare);
}
