/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Code that is loaded and unloaded: two libraries that differ in the name of NAME alone. */
#include <stddef.h>

void *NAME(void *(*allocate)(size_t), size_t size);

static __attribute__((noinline)) void *inner(void *(*allocate)(size_t), size_t size)
{
	void *block = allocate(size);

	__asm__ volatile("");
	return block;
}

void *NAME(void *(*allocate)(size_t), size_t size)
{
	void *block = inner(allocate, size);

	__asm__ volatile("");
	return block;
}
