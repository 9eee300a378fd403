/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fresh [STACKS]: for each number N on its input, N times malloc(40), each from the next of so many
 * stacks of 20 frames, told apart by the bits of a number. Prints the nanoseconds that one took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* With the leaf, run, main and the three frames above it, 20; 16384 stacks. */
enum { SIZE = 40, BITS = 14 };

static unsigned int stacks = 1 << BITS;

static int turn(unsigned int number, int bits);

static __attribute__((noinline)) int leaf(void)
{
	void *block = malloc(SIZE);

	__asm__ volatile("" : "+r"(block)); /* else the compiler knows that nobody uses it */
	return block != NULL;
}

static __attribute__((noinline)) int zero(unsigned int number, int bits)
{
	return turn(number, bits) + 1;
}

static __attribute__((noinline)) int one(unsigned int number, int bits)
{
	return turn(number, bits) + 2;
}

static inline __attribute__((always_inline)) int turn(unsigned int number, int bits)
{
	if (!bits)
		return leaf() + 1;
	if (number & 1)
		return one(number >> 1, bits - 1) + 1;
	return zero(number >> 1, bits - 1) + 1;
}

static __attribute__((noinline)) double run(unsigned int first, unsigned int count)
{
	struct timespec start, end;
	volatile int sum = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned int i = first; i < first + count; i++) {
		unsigned int n = i % stacks;

		sum += n & 1 ? one(n >> 1, BITS - 1) : zero(n >> 1, BITS - 1);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	return ((end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec)) / count;
}

int main(int argc, char **argv)
{
	unsigned int first = 0;
	char line[64];

	if (argc > 1)
		stacks = atoi(argv[1]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin) && atol(line) > 0) {
		printf("%.1f\n", run(first, atol(line)));
		first += atol(line);
	}
	return 0;
}
