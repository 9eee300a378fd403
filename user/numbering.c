/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "numbering.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

enum { FIRST_SLOTS = 1024 }; /* a power of two */
enum { CHUNK = 256 }; /* keys that are allocated together */

struct item {
	uint64_t number;
	uint64_t key[];
};

struct slot {
	uint32_t taken; /* number + 1; 0: free */
	uint32_t hash; /* of the key: others are hardly ever looked at */
};

/* Open addressing. At most half of the slots are taken. */
struct numbering {
	size_t words; /* of a key */
	size_t count, slots;
	size_t chunk_count;
	uint64_t **chunks; /* of items; there is room for as many as half of the slots need */
	struct arena *arena; /* of the chunks */
	struct slot *table;
};

static uint32_t hash_key(const struct numbering *numbering, const uint64_t *key)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < numbering->words; i++) {
		hash = (hash ^ key[i]) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 32;
	}
	return (uint32_t)hash;
}

struct numbering *numbering__new(size_t key_size)
{
	struct numbering *numbering = calloc(1, sizeof(*numbering));

	if (!numbering)
		return NULL;
	numbering->words = key_size / sizeof(uint64_t);
	numbering->slots = FIRST_SLOTS;
	numbering->chunks = calloc(FIRST_SLOTS / 2 / CHUNK, sizeof(*numbering->chunks));
	numbering->table = calloc(FIRST_SLOTS, sizeof(*numbering->table));
	numbering->arena = arena__new(SIZE_MAX);
	if (numbering->chunks && numbering->table && numbering->arena)
		return numbering;
	numbering__free(numbering);
	return NULL;
}

void numbering__free(struct numbering *numbering)
{
	if (!numbering)
		return;
	arena__free(numbering->arena);
	free(numbering->chunks);
	free(numbering->table);
	free(numbering);
}

void numbering__clear(struct numbering *numbering)
{
	memset(numbering->table, 0, numbering->slots * sizeof(*numbering->table));
	numbering->count = 0;
}

static struct item *item_at(const struct numbering *numbering, size_t number)
{
	uint64_t *chunk = numbering->chunks[number / CHUNK];

	return (void *)(chunk + number % CHUNK * (1 + numbering->words));
}

/* The slot that holds the key, or the free one where it would be. */
static struct slot *slot_of(const struct numbering *numbering, const uint64_t *key, uint32_t hash)
{
	size_t mask = numbering->slots - 1, size = numbering->words * sizeof(*key);

	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		struct slot *slot = &numbering->table[i];

		if (!slot->taken || (slot->hash == hash &&
				     !memcmp(item_at(numbering, slot->taken - 1)->key, key, size)))
			return slot;
	}
}

static void fill_slots(struct slot *to, size_t slots, const struct slot *from, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t at = from[i].hash & (slots - 1);

		if (!from[i].taken)
			continue;
		while (to[at].taken)
			at = (at + 1) & (slots - 1);
		to[at] = from[i];
	}
}

static int grow(struct numbering *numbering)
{
	size_t slots = numbering->slots * 4;
	struct slot *table;
	uint64_t **chunks;

	if (slots / 2 > UINT32_MAX)
		return -ENOMEM;
	chunks = reallocarray(numbering->chunks, slots / 2 / CHUNK, sizeof(*chunks));
	if (!chunks)
		return -ENOMEM;
	numbering->chunks = chunks;
	table = calloc(slots, sizeof(*table));
	if (!table)
		return -ENOMEM;
	fill_slots(table, slots, numbering->table, numbering->slots);
	free(numbering->table);
	numbering->table = table;
	numbering->slots = slots;
	return 0;
}

static int append(struct numbering *numbering, const uint64_t *key)
{
	size_t size = numbering->words * sizeof(*key), number = numbering->count;
	struct item *item;

	if (number / CHUNK == numbering->chunk_count) {
		uint64_t *chunk = arena__alloc(numbering->arena, CHUNK * (sizeof(*item) + size));

		if (!chunk)
			return -ENOMEM;
		numbering->chunks[numbering->chunk_count++] = chunk;
	}
	numbering->count++;
	item = item_at(numbering, number);
	item->number = number;
	memcpy(item->key, key, size);
	return 0;
}

int64_t numbering__find(const struct numbering *numbering, const void *key)
{
	uint32_t taken = slot_of(numbering, key, hash_key(numbering, key))->taken;

	return taken ? (int64_t)taken - 1 : -ENOENT;
}

int64_t numbering__add(struct numbering *numbering, const void *key)
{
	uint32_t hash = hash_key(numbering, key);
	struct slot *slot = slot_of(numbering, key, hash);

	if (slot->taken)
		return (int64_t)slot->taken - 1;
	if (numbering->count == numbering->slots / 2) {
		if (grow(numbering))
			return -ENOMEM;
		slot = slot_of(numbering, key, hash);
	}
	if (append(numbering, key))
		return -ENOMEM;
	*slot = (struct slot){ (uint32_t)numbering->count, hash };
	return (int64_t)numbering->count - 1;
}

size_t numbering__count(const struct numbering *numbering)
{
	return numbering->count;
}

const void *numbering__key(const struct numbering *numbering, size_t number)
{
	return item_at(numbering, number)->key;
}

size_t numbering__of(const void *key)
{
	return (size_t)((const uint64_t *)key)[-1];
}
