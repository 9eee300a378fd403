/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_COLLECT_H
#define MEMWATCH_COLLECT_H
/* Reads the books of what is watched, names the stacks, and makes a snapshot of both. */
#include <stdbool.h>
#include <stdint.h>

#include "snapshot.h"
#include "watch.h"

struct collector;

/* `older_ns`: only blocks that have lived at least that long are in sites; 0: all. */
struct collector *collector__new(struct watch *watch, uint64_t older_ns); /* NULL: no memory */
void collector__free(struct collector *collector);

/*
 * Stacks of snapshots to come are left without names until somebody asks: naming all of a busy
 * system's takes seconds. Python's are named all the same: their code may be gone later.
 */
void collector__name_later(struct collector *collector);

/* For the snapshots to come. */
void collector__set_older(struct collector *collector, uint64_t older_ns);

/* Looks for the names of a stack of a snapshot that was left without them. 0 or -ENOMEM. */
int collector__name(struct collector *collector, struct snapshot *snapshot, size_t index);
/* The same, for every stack. */
int collector__name_all(struct collector *collector, struct snapshot *snapshot);
/* The same, for every stack that the query's rows show or are made of. */
int collector__name_shown(struct collector *collector, struct snapshot *snapshot,
			  const struct query *query);

/* Processes that ended stay in the snapshots to come, not only in the next one; until this is unset
 * again. */
void collector__keep(struct collector *collector, bool keep);

/* The state now; the caller frees it. Rates are over the time since the snapshot before. NULL and
 * errno. */
struct snapshot *collector__snapshot(struct collector *collector);

#endif
