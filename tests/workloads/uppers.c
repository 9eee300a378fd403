/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * uppers LEVELS ROOM: stacks that differ in one upper frame only. Between main and bottom stand
 * LEVELS frames with ROOM bytes of locals, all of them `left` but one that is `right`, each in
 * turn. The stack pointer of the allocation and its caller stay what they are: the program ends
 * with another status if not. What such a stack allocates has a size of its own; all of them take
 * turns, so that none is its own predecessor.
 */
#include <alloca.h>

#include "truth.h"

enum { ROUNDS = 3, SIZE = 1000, NOBODY = -1 };

static int levels;
static int right_level; /* 0: the one above bottom */
static size_t room;
static uintptr_t bottom_place;

static void next(int level);

NOINLINE static void bottom(void)
{
	uintptr_t place = (uintptr_t)__builtin_frame_address(0);

	if (bottom_place && bottom_place != place)
		_exit(WORKLOAD_ABANDONED);
	bottom_place = place;
	if (!malloc(SIZE + right_level))
		_exit(WORKLOAD_ABANDONED);
}

/* Two of the same shape. */
#define LEVEL(name) \
	NOINLINE static void name(int level) \
	{ \
		volatile char *locals = (char *)alloca(room); \
\
		locals[0] = level; \
		next(level - 1); \
		locals[0] = level; \
	}
LEVEL(left)
LEVEL(right)

__attribute__((always_inline)) static inline void next(int level)
{
	if (level < 0)
		bottom();
	else if (level == right_level)
		right(level);
	else
		left(level);
	__asm__ volatile("");
}

static void say(int changed)
{
	truth__print("{\"size\":%d,\"count\":%d,\"frames\":[\"bottom\"", SIZE + changed, ROUNDS);
	for (int level = 0; level < levels; level++)
		truth__print(",\"%s\"", level == changed ? "right" : "left");
	truth__print(",\"main\"]}\n");
	truth__flush();
}

int main(int argc, char **argv)
{
	levels = argc > 1 ? atoi(argv[1]) : 20;
	room = argc > 2 ? atoi(argv[2]) : 16;
	truth__ready();
	for (int round = 0; round < ROUNDS; round++)
		for (right_level = NOBODY; right_level < levels; right_level++)
			next(levels - 1);
	for (int changed = NOBODY; changed < levels; changed++)
		say(changed);
	truth__print("{\"end\":true}\n");
	truth__flush();
	truth__hold();
	return WORKLOAD_STATUS;
}
