/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_DIFFERENCE_H
#define MEMWATCH_DIFFERENCE_H
/*
 * What changed between two snapshots, which may be of different runs: pids, load addresses and the
 * order of things may differ. Pure, as the model is.
 */
#include "snapshot.h"

enum change_kind { CHANGE_GREW, CHANGE_NEW, CHANGE_SHRANK, CHANGE_GONE, CHANGE_KINDS };

/*
 * A row in both, or in one. What it is, is the query's `by`. Stacks are the same when their frames
 * and family are; processes when their names are. The frames of native code are the same in the
 * same place of the same file; where the file was built anew, by function and line.
 */
struct change {
	enum change_kind kind;
	bool families; /* of both; the row's says nothing */
	const struct row *row; /* what it is; of the newer snapshot if it is in both */
	struct counters old, now; /* zeros: it is not there. Peaks of several sites are sums */
};

struct change_sum {
	size_t count;
	double bytes;
};

struct difference {
	struct change *items; /* ranked by how much they changed in what `sort` says; see below */
	size_t count;
	uint64_t grew; /* what did not grow by so many bytes was left out; 0: nothing was */
	size_t all; /* before `top` cut it */
	struct change_sum sums[CHANGE_KINDS]; /* of all */
	struct counters old, now; /* of all sites that the query's filters keep */
	const char **rebuilt; /* names of modules whose files were built anew */
	size_t rebuilt_count;
	struct rows rows[2]; /* of both, not ranked: what changes point to */
};

/*
 * Ranked as tracemalloc does: |size change|, size, |count change|, count, descending (counts first
 * where `sort` is one of them); SORT_GROWTH is SORT_LIVE. What did not change in these is left out,
 * and what did not grow by `grew` bytes if that is not 0. Points into both snapshots. 0 or -ENOMEM.
 */
int difference__make(struct difference *difference, const struct snapshot *old,
		     const struct snapshot *now, const struct query *query, uint64_t grew);
void difference__free(struct difference *difference);

/* The two figures that a difference is about, when it is ranked by `sort`. */
uint64_t difference__size(const struct counters *counters, enum sort_key sort);
uint64_t difference__number(const struct counters *counters, enum sort_key sort);
/* now - old, which may not fit into 64 bits. */
double difference__change(uint64_t old, uint64_t now);

#endif
