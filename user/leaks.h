/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_LEAKS_H
#define MEMWATCH_LEAKS_H
/*
 * What was never freed and still grows, in a series of snapshots: each is compared with the last
 * one, as in difference.h. Pure, as the model is.
 */
#include "difference.h"
#include "snapshot.h"

struct leaks; /* borrows the last snapshot and the query */

/* NULL: no memory. */
struct leaks *leaks__new(const struct snapshot *last, const struct query *query);
void leaks__free(struct leaks *leaks);
/*
 * The snapshots before the last, one after the other in the order of time; each may go when it was
 * added. None of them: everything grew from nothing, in the time since the probes were live.
 * 0 or -ENOMEM.
 */
int leaks__add(struct leaks *leaks, const struct snapshot *snapshot);

struct leak {
	const struct row *row; /* of the last snapshot */
	uint64_t live_bytes, live_count; /* in it */
	uint64_t grown_bytes; /* since the first one */
	int64_t grown_count;
	uint64_t alloc_bytes; /* since then: what grew is what was not freed of them */
	uint32_t grew; /* times that there was more than in the snapshot before */
};

struct leak_report {
	struct leak *items;
	size_t count;
	size_t all; /* before `top` cut it */
	uint32_t snapshots;
	double seconds; /* from the first to the last; not positive: it is not known */
	struct counters first, last; /* of all sites that the query's filters keep */
	uint64_t grown_bytes; /* of all items */
};

/*
 * Rows that hold more now than at first, ranked by how many bytes they grew, times the share of the
 * snapshots in which they did, times the share of what they allocated meanwhile that was not freed:
 * so what grows steadily and frees nothing is first. Ends the adding. Points into `leaks`. 0 or
 * -ENOMEM.
 */
int leaks__report(struct leaks *leaks, struct leak_report *report);
void leak_report__free(struct leak_report *report);

/* Shares, from 0 to 1. */
double leak__kept(const struct leak *leak);
double leak__grew(const struct leak *leak, const struct leak_report *report);

#endif
