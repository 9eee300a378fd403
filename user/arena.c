/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Chunks double, so that little costs little. From the size of a huge page on they are made of
 * them: hundreds of megabytes touched page by page would cost more time than what is put there.
 */
enum { FIRST_CHUNK = 64 * 1024, HUGE_PAGE = 2 * 1024 * 1024, LAST_CHUNK = 16 * 1024 * 1024 };
enum { ALIGNMENT = 16 };

/*
 * Read by the allocator that is linked (Makefile): large arrays get huge pages, too, and what is to
 * be zero is written, not given back to the kernel and faulted in again. To files of 100 000 sites
 * that was half of the time.
 */
extern const char *malloc_conf;
const char *malloc_conf = "thp:always";

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(ALIGNMENT) char bytes[];
};

struct arena {
	struct chunk *chunks; /* the first is the one being filled */
	size_t left;          /* of the limit */
	size_t next;          /* size of the next chunk */
};

struct arena *arena__new(size_t limit)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (arena) {
		arena->left = limit;
		arena->next = FIRST_CHUNK;
	}
	return arena;
}

static void free_chunks(struct arena *arena, struct chunk *chunk)
{
	struct chunk *next;

	for (; chunk; chunk = next) {
		next = chunk->next;
		arena->left += chunk->size;
		munmap(chunk, sizeof(*chunk) + chunk->size);
	}
}

void arena__free(struct arena *arena)
{
	if (arena)
		free_chunks(arena, arena->chunks);
	free(arena);
}

void arena__clear(struct arena *arena)
{
	struct chunk *kept = arena->chunks;

	if (!kept)
		return;
	free_chunks(arena, kept->next);
	kept->next = NULL;
	memset(kept->bytes, 0, kept->used);
	kept->used = 0;
}

static struct chunk *map_chunk(size_t size)
{
	struct chunk *chunk = mmap(NULL, sizeof(*chunk) + size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (chunk == MAP_FAILED)
		return NULL;
	if (size >= HUGE_PAGE)
		madvise(chunk, sizeof(*chunk) + size, MADV_HUGEPAGE);
	chunk->size = size;
	return chunk;
}

static struct chunk *add_chunk(struct arena *arena, size_t least)
{
	size_t size = least > arena->next ? least : arena->next;
	struct chunk *chunk;

	if (size > arena->left)
		size = arena->left;
	if (size < least || size > SIZE_MAX - sizeof(*chunk))
		return NULL;
	chunk = map_chunk(size);
	if (!chunk)
		return NULL;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	arena->left -= size;
	if (arena->next < LAST_CHUNK)
		arena->next *= 2;
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
