/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sites that every ranking orders differently. By live: large small mixed spike churn; by count:
 * small mixed large; by alloc: churn spike large; by allocs: churn small; by peak: spike large.
 */
#include "truth.h"

static volatile int twice = 2; /* not unrolled: one loop is one call site */

TALLY(large);
NOINLINE static struct block large(void)
{
	return block__new(&tally_large, malloc(200000), 200000);
}

TALLY(small);
NOINLINE static struct block small(void)
{
	return block__new(&tally_small, malloc(16), 16);
}

TALLY(mixed);
NOINLINE static struct block mixed(size_t size)
{
	return block__new(&tally_mixed, malloc(size), size);
}

TALLY(spike);
NOINLINE static struct block spike(void)
{
	return block__new(&tally_spike, malloc(900000), 900000);
}

TALLY(churn);
NOINLINE static struct block churn(void)
{
	return block__new(&tally_churn, malloc(1000), 1000);
}

NOINLINE static void many(void)
{
	static volatile size_t sizes[15] = { 100, 100, 100,  100,  100,  100,  100, 100,
					     100, 100, 1000, 1000, 1000, 1000, 1000 };

	for (int i = 0; i < 1000; i++)
		small();
	for (int i = 0; i < 15; i++)
		mixed(sizes[i]);
}

NOINLINE static void few(void)
{
	for (int i = 0; i < twice; i++)
		large();
}

NOINLINE static void passing(void)
{
	struct block block = spike();

	block__free(&block);
	for (int i = 0; i < 3000; i++) {
		block = churn();
		block__free(&block);
	}
}

int main(void)
{
	truth__ready();
	many();
	few();
	passing();
	return truth__end();
}
