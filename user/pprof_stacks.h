/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PPROF_STACKS_H
#define MEMWATCH_PPROF_STACKS_H
/* Stacks, on their way into a profile: its locations, functions and mappings. */
#include "arena.h"
#include "pprof_texts.h"
#include "snapshot.h"
#include "user/pprof.pb-c.h"

struct pprof_stacks;

/* What it is given must outlive it. NULL: no memory. */
struct pprof_stacks *pprof_stacks__new(const struct snapshot *snapshot, struct pprof_texts *texts,
				       struct arena *arena);
void pprof_stacks__free(struct pprof_stacks *stacks);
/* Fills the sample's locations, in an array with room for the stack's depth; 0 or -ENOMEM. */
int pprof_stacks__add(struct pprof_stacks *stacks, const struct stack *stack, uint64_t *ids,
		      Pprof__Sample *sample);
/* Gives the profile the tables of all that was added; 0 or -ENOMEM. */
int pprof_stacks__fill(struct pprof_stacks *stacks, Pprof__Profile *profile);

#endif
