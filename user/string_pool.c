/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "string_pool.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct pooled {
	UT_hash_handle hh;
	char text[];
};

struct string_pool {
	struct pooled *items;
};

struct string_pool *string_pool__new(void)
{
	return calloc(1, sizeof(struct string_pool));
}

void string_pool__free(struct string_pool *pool)
{
	struct pooled *pooled, *next;

	if (!pool)
		return;
	HASH_ITER(hh, pool->items, pooled, next) {
		HASH_DEL(pool->items, pooled);
		free(pooled);
	}
	free(pool);
}

const char *string_pool__add(struct string_pool *pool, const char *text, size_t length)
{
	struct pooled *pooled;

	HASH_FIND(hh, pool->items, text, length, pooled);
	if (pooled)
		return pooled->text;
	pooled = calloc(1, sizeof(*pooled) + length + 1);
	if (!pooled)
		return NULL;
	memcpy(pooled->text, text, length);
	HASH_ADD_KEYPTR(hh, pool->items, pooled->text, length, pooled);
	if (pooled->hh.tbl)
		return pooled->text;
	free(pooled);
	return NULL;
}
