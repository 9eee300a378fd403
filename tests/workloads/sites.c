/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sites N PER: N different stacks, told apart by the bits of a number; PER blocks of 32 from
 * each.
 */
#include "truth.h"

enum { BITS = 14, SIZE = 32 };

static void turn(unsigned int number, int bits);

TALLY(bottom);
NOINLINE static void bottom(void)
{
	block__new(&tally_bottom, malloc(SIZE), SIZE);
}

NOINLINE static void zero(unsigned int number, int bits)
{
	turn(number, bits);
	__asm__ volatile("");
}

NOINLINE static void one(unsigned int number, int bits)
{
	turn(number, bits);
	__asm__ volatile("");
}

NOINLINE static void turn(unsigned int number, int bits)
{
	if (bits == 0)
		bottom();
	else if (number & 1)
		one(number >> 1, bits - 1);
	else
		zero(number >> 1, bits - 1);
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	unsigned int number = argc > 1 ? atoi(argv[1]) : 1000, each = argc > 2 ? atoi(argv[2]) : 1;

	truth__ready();
	for (unsigned int i = 0; i < each; i++)
		for (unsigned int n = 0; n < number; n++)
			turn(n, BITS);
	return truth__end();
}
