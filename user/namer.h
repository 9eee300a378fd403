/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_NAMER_H
#define MEMWATCH_NAMER_H
/*
 * A stack as the kernel captured it -> the model's frames, with the names of every source we
 * have.
 */
#include <stddef.h>
#include <sys/types.h>

#include "object.h"
#include "python.h"
#include "snapshot.h"
#include "../bpf/memwatch.h"

struct namer;

struct namer *namer__new(struct objects *objects, struct pythons *pythons); /* NULL: no memory */
void namer__free(struct namer *namer);

/*
 * A process's mappings and its runtime's names are read once a turn. What was captured after a turn
 * began may lie in code that it does not know.
 */
void namer__new_turn(struct namer *namer);

/*
 * The stack `id`, whose frames are `record`; addresses without a file are looked up in the process
 * `pid`. Kept by id, so that a stack is named once. Strings and frames live as long as
 * the namer. NULL: no memory.
 */
const struct stack *namer__stack(struct namer *namer, uint64_t id,
				 const struct stack_record *record, pid_t pid);
/* The stack when it was named before, else NULL: spares reading the record. */
const struct stack *namer__known(struct namer *namer, uint64_t id);

#endif
