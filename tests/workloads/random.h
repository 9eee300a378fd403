/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RANDOM_H
#define RANDOM_H
/* What the programs of random_program have in common. */
#define BACKTRACES_MAX 256
#include "backtrace.h"

enum { DEPTH = 25, ROUNDS = 3 };

typedef int (*pointer)(unsigned long way, int n);

static volatile int number = 5;
static volatile int sink;
static UNUSED unsigned long sort_way;
static UNUSED int sort_n;

/* Each way is taken in turns with all the others. */
static int random__run(pointer first, const unsigned long *ways, int count)
{
	backtraces__ready();
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < count; i++)
			sink = first(ways[i], 0);
	return backtraces__end();
}

#endif
