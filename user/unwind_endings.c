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

static int address__compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void sort(struct array *addresses)
{
	if (addresses->count)
		qsort(addresses->items, addresses->count, addresses->size, address__compare);
}

static int add(struct endings *endings, uint64_t callee)
{
	uint64_t *known = array__add(&endings->known);

	if (!known)
		return -ENOMEM;
	*known = callee;
	return 0;
}

int endings__learn(struct endings *endings, bool (*returns)(void *, uint64_t), void *context)
{
	size_t before = endings->known.count;
	uint64_t *suspects = endings->suspects.items;
	size_t count = 0;
	int err = 0;

	sort(&endings->suspects);
	for (size_t i = 0; i < endings->suspects.count; i++)
		if ((!count || suspects[count - 1] != suspects[i]) &&
		    !endings__have(endings, suspects[i]) && !returns(context, suspects[i]))
			suspects[count++] = suspects[i];
	endings->suspects.count = 0;
	for (size_t i = 0; i < count && !err; i++)
		err = add(endings, suspects[i]);
	sort(&endings->known);
	return err ? err : endings->known.count > before;
}

bool endings__have(const struct endings *endings, uint64_t callee)
{
	const struct array *known = &endings->known;

	return known->count &&
	       bsearch(&callee, known->items, known->count, known->size, address__compare);
}
