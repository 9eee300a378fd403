/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sites N PER [BYTES]: N different stacks, told apart by the bits of a number; PER blocks of 32
 * bytes from each. With BYTES each has so many, site i in 2^(i mod 8) blocks, PER times.
 */
#include "truth.h"

enum { BITS = 14 };

static size_t size = 32;

static void turn(unsigned int number, int bits);

TALLY(bottom);
NOINLINE static void bottom(void)
{
	block__new(&tally_bottom, malloc(size), size);
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
	unsigned int bytes = argc > 3 ? atoi(argv[3]) : 0;

	truth__ready();
	for (unsigned int i = 0; i < each; i++)
		for (unsigned int n = 0; n < number; n++) {
			unsigned int blocks = bytes ? 1 << n % 8 : 1;

			size = bytes ? bytes / blocks : size;
			for (unsigned int block = 0; block < blocks; block++)
				turn(n, BITS);
		}
	return truth__end();
}
