/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preexisting FREED REALLOCATED: blocks older than the observer are freed, then some are
 * resized.
 */
#include "truth.h"

enum { OLD_MAX = 1000 };

static void *old[OLD_MAX];

TALLY(fresh);
NOINLINE static struct block fresh(size_t size)
{
	return block__new(&tally_fresh, malloc(size), size);
}

TALLY(resized);
NOINLINE static struct block resized(void *address, size_t size)
{
	return block__new(&tally_resized, realloc(address, size), size);
}

/* Its return address comes to be where that of the call of free before was. */
NOINLINE static void free_next(int next)
{
	free(old[next]);
	__asm__ volatile("");
}

NOINLINE static void free_two(int next)
{
	free(old[next]);
	free_next(next + 1);
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	int freed = argc > 1 ? atoi(argv[1]) : 0, reallocated = argc > 2 ? atoi(argv[2]) : 0;
	int next = 0;

	if (freed < 0 || reallocated < 0 || freed + reallocated > OLD_MAX)
		return 2;
	for (int i = 0; i < OLD_MAX; i++)
		old[i] = malloc(128);
	truth__ready();
	for (int i = 0; i < 25; i++)
		fresh(70 + i);
	for (; next + 1 < freed; next += 2)
		free_two(next);
	for (; next < freed; next++)
		free(old[next]);
	for (int i = 0; i < reallocated; i++)
		resized(old[next++], 500);
	truth__add(&truth_unmatched, freed + reallocated);
	return truth__end();
}
