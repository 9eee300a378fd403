/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program that handles system calls itself, malloc's too: it would have none to handle. */
#include <signal.h>
#include <sys/prctl.h>

#include "truth.h"

enum { SET_DISPATCH = 59, DISPATCH_ON = 1 }; /* PR_SET_SYSCALL_USER_DISPATCH, linux/prctl.h */

static volatile char blocks;
static volatile int handled;

TALLY(dispatched);
NOINLINE static void dispatched(size_t size)
{
	void *address;

	blocks = 1;
	address = malloc(size);
	blocks = 0;
	block__new(&tally_dispatched, address, size);
}

static void handler(int number)
{
	(void)number;
	blocks = 0;
	handled++;
}

int main(void)
{
	struct sigaction action = { .sa_handler = handler };

	sigaction(SIGSYS, &action, NULL);
	free(malloc(1)); /* the heap is there */
	truth__ready();
	if (prctl(SET_DISPATCH, DISPATCH_ON, 0, 0, &blocks))
		return 1;
	for (int i = 0; i < 20; i++)
		dispatched(100 + i);
	if (handled)
		return 2;
	return truth__end();
}
