/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PPROF_TEXTS_H
#define MEMWATCH_PPROF_TEXTS_H
/* A profile's string table, being written, and its comments. Errors are -ENOMEM. */
#include "arena.h"
#include "snapshot.h"
#include "user/pprof.pb-c.h"

struct pprof_texts;

/* Both must outlive it. NULL: no memory. */
struct pprof_texts *pprof_texts__new(const struct snapshot *snapshot, struct arena *arena);
void pprof_texts__free(struct pprof_texts *texts);

/* Each returns the index in the table. A string of the snapshot's (NULL is ""). */
int64_t pprof_texts__string(struct pprof_texts *texts, const char *string);
/* A literal: one pointer is one entry. */
int64_t pprof_texts__word(struct pprof_texts *texts, const char *word);

int pprof_texts__comment(struct pprof_texts *texts, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Gives the profile the table and the comments; they live as long as `texts`. */
void pprof_texts__fill(const struct pprof_texts *texts, Pprof__Profile *profile);

#endif
