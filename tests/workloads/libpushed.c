/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An allocator (LD_PRELOAD) whose free is probed at a call behind a push: there the caller's
 * register is where the return address was.
 */
#include <stddef.h>
#include <string.h>

static char room[1 << 20];
static size_t taken;
static volatile size_t freed;

void *malloc(size_t size)
{
	size_t bytes = (size + 15) & ~15UL;

	if (bytes < size || bytes > sizeof(room) - taken)
		return NULL;
	taken += bytes;
	return room + taken - bytes;
}

__attribute__((noinline)) static void count(void)
{
	freed++;
}

__attribute__((optimize("no-shrink-wrap"))) void free(void *block)
{
	if (block)
		count();
}

void *calloc(size_t count, size_t size)
{
	size_t bytes;
	void *block = __builtin_mul_overflow(count, size, &bytes) ? NULL : malloc(bytes);

	return block ? memset(block, 0, bytes) : NULL;
}
