/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deep N: one block from N frames below main. Prints its true stack. */
#include "backtrace.h"

static volatile int number = 5;

NOINLINE static int down(int n)
{
	int result = 1;

	if (n > 0)
		result += down(n - 1);
	else
		ALLOCATE("deep");
	return result + number;
}

int main(int argc, char **argv)
{
	backtraces__ready();
	down(argc > 1 ? atoi(argv[1]) : 10);
	return backtraces__end();
}
