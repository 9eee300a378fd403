/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Allocates, then becomes itself again and allocates something else: only that is live. */
#include "truth.h"

TALLY(before_exec);
NOINLINE static struct block before_exec(size_t size)
{
	return block__new(&tally_before_exec, malloc(size), size);
}

TALLY(after_exec);
NOINLINE static struct block after_exec(size_t size)
{
	return block__new(&tally_after_exec, malloc(size), size);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc == 1) {
		truth__ready();
		for (int i = 0; i < 100; i++)
			before_exec(1000 + i);
		execl("/proc/self/exe", "execs", "again", (char *)NULL);
		return 1;
	}
	for (int i = 0; i < 20; i++) {
		struct block block = after_exec(10 + i);

		if (i % 4 == 0)
			block__free(&block);
	}
	return truth__end();
}
