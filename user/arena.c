/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>

enum { CHUNK = 1 << 20, ALIGNMENT = 16 };

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(ALIGNMENT) char bytes[];
};

struct arena {
	struct chunk *chunks; /* the first is the one being filled */
	size_t left; /* of the limit */
};

struct arena *arena__new(size_t limit)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (arena)
		arena->left = limit;
	return arena;
}

void arena__free(struct arena *arena)
{
	struct chunk *chunk, *next;

	if (!arena)
		return;
	for (chunk = arena->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(arena);
}

/* calloc: fresh pages are zero already, and are touched only when they are used. */
static struct chunk *add_chunk(struct arena *arena, size_t least)
{
	size_t size = least > CHUNK ? least : CHUNK;
	struct chunk *chunk;

	if (size > arena->left)
		size = arena->left;
	if (size < least)
		return NULL;
	chunk = calloc(1, sizeof(*chunk) + size);
	if (!chunk)
		return NULL;
	chunk->size = size;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	arena->left -= size;
	return chunk;
}

void *arena__alloc(struct arena *arena, size_t size)
{
	struct chunk *chunk = arena->chunks;
	void *place;

	if (size > SIZE_MAX - ALIGNMENT)
		return NULL;
	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (!chunk || chunk->size - chunk->used < size)
		chunk = add_chunk(arena, size);
	if (!chunk)
		return NULL;
	place = chunk->bytes + chunk->used;
	chunk->used += size;
	return place;
}
