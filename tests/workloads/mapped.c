/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mapped FILE: maps a file as code, whatever is in it, as a loader would, then allocates. */
#include <fcntl.h>
#include <sys/mman.h>

#include "truth.h"

TALLY(beside);
NOINLINE static struct block beside(size_t size)
{
	return block__new(&tally_beside, malloc(size), size);
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;

	if (fd < 0 || mmap(NULL, 1 << 20, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		return 2;
	truth__ready();
	for (int i = 0; i < 30; i++)
		beside(10 + i);
	return truth__end();
}
