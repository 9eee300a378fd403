/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_ARENA_H
#define MEMWATCH_ARENA_H
/* Memory that is taken piece by piece, up to a limit, and given back at once. */
#include <stddef.h>

struct arena;

struct arena *arena__new(size_t limit); /* bytes in all; NULL: no memory */
void arena__free(struct arena *arena);
/* Zeroed, aligned for anything; NULL when there is no memory or the limit is reached. */
void *arena__alloc(struct arena *arena, size_t size);
/* Takes all back; what is needed next is most often there already. */
void arena__clear(struct arena *arena);

#endif
