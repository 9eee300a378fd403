/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Four rounds, and a line after each: one site leaks the same every time, one churns and holds
 * more or less at the end of a round, one grows in the first round only.
 */
#include "truth.h"

enum { ROUNDS = 4, HELD = 64 };

TALLY(leak);
NOINLINE static struct block leak(void)
{
	return block__new(&tally_leak, malloc(1000), 1000);
}

TALLY(churn);
NOINLINE static struct block churn(void)
{
	return block__new(&tally_churn, malloc(4000), 4000);
}

TALLY(cache);
NOINLINE static struct block cache(void)
{
	return block__new(&tally_cache, malloc(300000), 300000);
}

/* Of the last blocks `kept` stay until the next round. */
NOINLINE static void turn_over(int kept)
{
	static struct block held[HELD];
	static int count;

	for (int i = 0; i < 500; i++) {
		struct block block = churn();

		block__free(&block);
	}
	while (count > 0)
		block__free(&held[--count]);
	while (count < kept)
		held[count++] = churn();
}

int main(void)
{
	static const int kept[ROUNDS] = { 10, 60, 20, 50 };

	truth__ready();
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 50; i++)
			leak();
		turn_over(kept[round]);
		if (round == 0)
			cache();
		truth__print("round %d\n", round + 1);
		truth__flush();
		truth__hold();
	}
	return truth__end();
}
