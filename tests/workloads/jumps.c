/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jumps [overflow], with libjump.so preloaded: allocator calls that never return, left by longjmp,
 * with ordinary calls between. overflow: first, 70 of them each deeper than the last. After 64 the
 * kernel arms no return probe in this thread any more (MAX_URETPROBE_DEPTH,
 * kernel/events/uprobes.c).
 */
#include <setjmp.h>
#include <signal.h>

#include "truth.h"

enum { SIZE_JUMPS = 7777, SIZE_SIGNALS = 8888, JUMPS = 200 };

extern void jump__arm(jmp_buf *target) __attribute__((weak));

static jmp_buf target;

TALLY(ordinary);
NOINLINE static struct block ordinary(size_t size)
{
	return block__new(&tally_ordinary, malloc(size), size);
}

TALLY(deeper);
NOINLINE static void deeper(int depth)
{
	volatile char pad[64];

	pad[0] = depth;
	if (depth > 0)
		deeper(depth - 1);
	else
		malloc(SIZE_JUMPS);
	pad[1] = pad[0];
}

TALLY(interrupted);
NOINLINE static struct block interrupted(size_t size)
{
	return block__new(&tally_interrupted, malloc(size), size);
}

/* Below the call that was left: its return slot lies untouched in `pad`, as it was when it was
 * left. */
TALLY(below);
NOINLINE static struct block below(size_t size)
{
	volatile char pad[16384];

	pad[0] = 1;
	return block__new(&tally_below, malloc(size), size + pad[0] - 1);
}

/* Runs inside an allocator call: what it allocates and frees there is that call's own affair. */
static void handler(int number)
{
	(void)number;
	free(malloc(10));
}

static void jump(int depth)
{
	if (setjmp(target) == 0)
		deeper(depth);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = handler };
	int deeper_each = argc == 2 && !strcmp(argv[1], "overflow") ? 70 : 10;

	if (!jump__arm)
		return 2;
	jump__arm(&target);
	sigaction(SIGUSR1, &action, NULL);
	truth__ready();
	for (int i = 0; i < JUMPS; i++) {
		struct block block;

		jump(i % 50);
		ordinary(100 + i);
		block = ordinary(50);
		block__free(&block);
	}
	for (int i = 0; i < deeper_each; i++) /* never back up in between */
		jump(i);
	ordinary(3);
	for (int i = 0; i < 20; i++) {
		jump(i);
		below(600 + i);
	}
	interrupted(SIZE_SIGNALS);
	ordinary(5);
	return truth__end();
}
