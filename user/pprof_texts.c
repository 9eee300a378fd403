/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pprof_texts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pprof_words.h"

enum { WORDS = 64 };

struct pprof_texts {
	struct arena *arena;
	char **table;
	size_t count, room;
	int64_t *known; /* by the snapshot's string id: index, 0: not added yet */
	int64_t *comments;
	size_t comment_count, comment_room;
	const char *words[WORDS];
	int64_t word_indices[WORDS];
	size_t word_count;
};

/* Room for one item more in an array that is realloc's. */
static int grow(void *items, size_t *room, size_t count, size_t size)
{
	size_t wanted = *room ? *room * 2 : 256;
	void **place = items, *moved;

	if (count < *room)
		return 0;
	moved = reallocarray(*place, wanted, size);
	if (!moved)
		return -ENOMEM;
	*place = moved;
	*room = wanted;
	return 0;
}

static int64_t add(struct pprof_texts *texts, const char *text)
{
	char *copy = arena__alloc(texts->arena, strlen(text) * 4 + 1);

	if (!copy || grow(&texts->table, &texts->room, texts->count, sizeof(*texts->table)))
		return -ENOMEM;
	copy[words__encode(copy, text)] = '\0';
	texts->table[texts->count] = copy;
	return (int64_t)texts->count++;
}

struct pprof_texts *pprof_texts__new(const struct snapshot *snapshot, struct arena *arena)
{
	struct pprof_texts *texts = calloc(1, sizeof(*texts));

	if (!texts)
		return NULL;
	texts->arena = arena;
	texts->known = calloc(snapshot__string_count(snapshot) + 1, sizeof(*texts->known));
	if (texts->known && add(texts, "") == 0)
		return texts;
	pprof_texts__free(texts);
	return NULL;
}

void pprof_texts__free(struct pprof_texts *texts)
{
	if (!texts)
		return;
	free(texts->table);
	free(texts->known);
	free(texts->comments);
	free(texts);
}

int64_t pprof_texts__string(struct pprof_texts *texts, const char *string)
{
	int64_t *known, index;

	if (!string || !*string)
		return 0;
	known = &texts->known[snapshot__string_id(string)];
	if (*known)
		return *known;
	index = add(texts, string);
	if (index > 0)
		*known = index;
	return index;
}

int64_t pprof_texts__word(struct pprof_texts *texts, const char *word)
{
	int64_t index;

	if (!*word)
		return 0;
	for (size_t i = 0; i < texts->word_count; i++)
		if (texts->words[i] == word)
			return texts->word_indices[i];
	index = add(texts, word);
	if (index > 0 && texts->word_count < WORDS) {
		texts->words[texts->word_count] = word;
		texts->word_indices[texts->word_count++] = index;
	}
	return index;
}

int pprof_texts__comment(struct pprof_texts *texts, const char *format, ...)
{
	va_list arguments;
	char *text = NULL;
	int64_t index;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return -ENOMEM;
	index = add(texts, text);
	free(text);
	if (index < 0 || grow(&texts->comments, &texts->comment_room, texts->comment_count,
			      sizeof(*texts->comments)))
		return -ENOMEM;
	texts->comments[texts->comment_count++] = index;
	return 0;
}

void pprof_texts__fill(const struct pprof_texts *texts, Pprof__Profile *profile)
{
	profile->string_table = texts->table;
	profile->n_string_table = texts->count;
	profile->comment = texts->comments;
	profile->n_comment = texts->comment_count;
}
