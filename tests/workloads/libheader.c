/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An allocator in front of the C library's (LD_PRELOAD): each block has a header with its size, so
 * that what is freed by the program is not what is freed below.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 16 };

void *malloc(size_t size)
{
	static void *(*below)(size_t);
	char *block;

	if (!below)
		*(void **)&below = dlsym(RTLD_NEXT, "malloc");
	block = size < SIZE_MAX - HEADER ? below(size + HEADER) : NULL;
	if (!block)
		return NULL;
	memcpy(block, &size, sizeof(size));
	return block + HEADER;
}

void free(void *block)
{
	static void (*below)(void *);

	if (!below)
		*(void **)&below = dlsym(RTLD_NEXT, "free");
	if (block)
		below((char *)block - HEADER);
}

void *calloc(size_t count, size_t size)
{
	size_t bytes;
	void *block = __builtin_mul_overflow(count, size, &bytes) ? NULL : malloc(bytes);

	return block ? memset(block, 0, bytes) : NULL;
}

void *realloc(void *old, size_t size)
{
	void *block = malloc(size);
	size_t had = 0;

	if (old && block) {
		memcpy(&had, (char *)old - HEADER, sizeof(had));
		memcpy(block, old, had < size ? had : size);
		free(old);
	}
	return block;
}
