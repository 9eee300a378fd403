/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handlers allocate and free, on the thread's stack and on one of their own. */
#include <signal.h>

#include "truth.h"

enum { SIGNALS = 100 };

static char other_stack[64 << 10];
static struct block last;

TALLY(in_handler);
NOINLINE static struct block in_handler(size_t size)
{
	return block__new(&tally_in_handler, malloc(size), size);
}

TALLY(outside);
NOINLINE static struct block outside(size_t size)
{
	return block__new(&tally_outside, malloc(size), size);
}

static void handler(int number)
{
	if (number == SIGUSR1 && last.address)
		block__free(&last);
	in_handler(number == SIGUSR1 ? 40 : 50);
}

int main(void)
{
	stack_t stack = { .ss_sp = other_stack, .ss_size = sizeof(other_stack) };
	struct sigaction here = { .sa_handler = handler };
	struct sigaction there = { .sa_handler = handler, .sa_flags = SA_ONSTACK };

	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &here, NULL);
	sigaction(SIGUSR2, &there, NULL);
	truth__ready();
	for (int i = 0; i < SIGNALS; i++) {
		last = outside(100 + i);
		raise(i % 2 ? SIGUSR1 : SIGUSR2);
		outside(7);
	}
	return truth__end();
}
