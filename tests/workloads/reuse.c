/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reuse LIVE: rounds of blocks that are freed again, of another size each, so that they were at
 * many addresses; then LIVE blocks that stay.
 */
#include "truth.h"

enum { ROUNDS = 60, TOGETHER = 100, FIRST = 64, STEP = 32, KEPT = 5000 };

TALLY(passing);
NOINLINE static void passing(size_t size)
{
	struct block blocks[TOGETHER];

	for (int i = 0; i < TOGETHER; i++)
		blocks[i] = block__new(&tally_passing, malloc(size), size);
	for (int i = 0; i < TOGETHER; i++)
		block__free(&blocks[i]);
}

TALLY(kept);
NOINLINE static void kept(void)
{
	block__new(&tally_kept, malloc(KEPT), KEPT);
}

int main(int argc, char **argv)
{
	int live = argc > 1 ? atoi(argv[1]) : 1000;

	truth__ready();
	for (int round = 0; round < ROUNDS; round++)
		passing(FIRST + STEP * round);
	for (int i = 0; i < live; i++)
		kept();
	return truth__end();
}
