/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "leaks.h"

#include <errno.h>
#include <stdlib.h>

#include "frame_match.h"

struct past { /* what a row of the last snapshot was before */
	struct counters first;
	struct counters now; /* with the rows that are the same code */
	uint64_t before; /* live bytes in the snapshot before */
	uint32_t grew;
	bool seen; /* it was something else at least once */
};

struct leaks {
	const struct snapshot *last;
	const struct query *query;
	struct query all; /* of it: every row that is not as it was */
	struct difference difference; /* of the one added latest: the rows of leaks are its */
	struct past *pasts; /* by row of the last snapshot */
	size_t count;
	uint32_t snapshots; /* before the last */
	uint64_t first_ns;
	struct counters first;
};

struct leaks *leaks__new(const struct snapshot *last, const struct query *query)
{
	struct leaks *leaks = calloc(1, sizeof(*leaks));

	if (!leaks)
		return NULL;
	leaks->last = last;
	leaks->query = query;
	leaks->all = *query;
	leaks->all.sort = SORT_LIVE;
	leaks->all.top = 0;
	return leaks;
}

void leaks__free(struct leaks *leaks)
{
	if (!leaks)
		return;
	difference__free(&leaks->difference);
	free(leaks->pasts);
	free(leaks);
}

static size_t index_of(const struct leaks *leaks, const struct change *change)
{
	return (size_t)(change->row - leaks->difference.rows[SIDE_NOW].items);
}

/*
 * Rows that are alike in both are in no change: they had then what they have now. Of rows that are
 * the same code, which are one in the first change they are in, it is only a part.
 */
static int start(struct leaks *leaks)
{
	const struct rows *rows = &leaks->difference.rows[SIDE_NOW];

	leaks->count = rows->count;
	leaks->pasts = calloc(rows->count + 1, sizeof(*leaks->pasts));
	if (!leaks->pasts)
		return -ENOMEM;
	for (size_t i = 0; i < rows->count; i++) {
		struct past *past = &leaks->pasts[i];

		past->now = past->first = rows->items[i].counters;
		past->before = past->now.live_bytes;
	}
	return 0;
}

static void note(struct past *past, const struct change *change, bool first)
{
	if (!first && !past->seen) {
		past->first = change->now;
		past->before = change->now.live_bytes;
	}
	past->now = change->now;
	past->seen = true;
	if (first)
		past->first = change->old;
	else if (change->old.live_bytes > past->before)
		past->grew++;
	past->before = change->old.live_bytes;
}

/* Those that have not changed until now were less before, if they were anything. */
static void note_same(struct leaks *leaks, const bool *changed)
{
	for (size_t i = 0; i < leaks->count; i++) {
		struct past *past = &leaks->pasts[i];

		if (changed[i])
			continue;
		if (past->now.live_bytes > past->before)
			past->grew++;
		past->before = past->now.live_bytes;
	}
}

static int note_changes(struct leaks *leaks, bool first)
{
	bool *changed = calloc(leaks->count + 1, sizeof(*changed));

	if (!changed)
		return -ENOMEM;
	for (size_t i = 0; i < leaks->difference.count; i++) {
		const struct change *change = &leaks->difference.items[i];
		size_t index;

		if (change->kind == CHANGE_GONE)
			continue;
		index = index_of(leaks, change);
		changed[index] = true;
		note(&leaks->pasts[index], change, first);
	}
	note_same(leaks, changed);
	free(changed);
	return 0;
}

static int add(struct leaks *leaks, const struct snapshot *snapshot)
{
	bool first = !leaks->pasts;
	int error;

	difference__free(&leaks->difference);
	error = difference__make(&leaks->difference, snapshot, leaks->last, &leaks->all, 0);
	if (!error && first) {
		leaks->first = leaks->difference.old;
		error = start(leaks);
	}
	return error ? error : note_changes(leaks, first);
}

int leaks__add(struct leaks *leaks, const struct snapshot *snapshot)
{
	if (!leaks->snapshots++)
		leaks->first_ns = snapshot__header(snapshot)->time_ns;
	return add(leaks, snapshot);
}

double leak__kept(const struct leak *leak)
{
	return leak->alloc_bytes > leak->grown_bytes
		       ? (double)leak->grown_bytes / (double)leak->alloc_bytes
		       : 1;
}

double leak__grew(const struct leak *leak, const struct leak_report *report)
{
	return (double)leak->grew / (double)(report->snapshots - 1);
}

static struct leak leak_of(const struct past *past, const struct row *row)
{
	uint64_t alloc = counters__alloc_bytes(&past->now);
	uint64_t alloc_first = counters__alloc_bytes(&past->first);

	return (struct leak){
		.row = row,
		.live_bytes = past->now.live_bytes,
		.live_count = past->now.live_count,
		.grown_bytes = past->now.live_bytes - past->first.live_bytes,
		.grown_count = (int64_t)(past->now.live_count - past->first.live_count),
		/* Less than at first: it is another run. */
		.alloc_bytes = alloc > alloc_first ? alloc - alloc_first : alloc,
		/* The last step was into the last snapshot. */
		.grew = past->grew + (past->now.live_bytes > past->before),
	};
}

static double score(const struct leak *leak)
{
	return (double)leak->grown_bytes * leak->grew * leak__kept(leak);
}

static int compare(const void *first, const void *second)
{
	const struct leak *a = first, *b = second;
	double x = score(a), y = score(b);

	if (x != y)
		return x < y ? 1 : -1;
	if (a->grown_bytes != b->grown_bytes)
		return a->grown_bytes < b->grown_bytes ? 1 : -1;
	return stack__compare(&a->row->stack, &b->row->stack);
}

static int fill(struct leaks *leaks, struct leak_report *report)
{
	const struct rows *rows = &leaks->difference.rows[SIDE_NOW];

	report->items = calloc(leaks->count + 1, sizeof(*report->items));
	if (!report->items)
		return -ENOMEM;
	for (size_t i = 0; i < leaks->count; i++) {
		const struct past *past = &leaks->pasts[i];

		if (!past->seen || past->now.live_bytes <= past->first.live_bytes)
			continue;
		report->items[report->count] = leak_of(past, &rows->items[i]);
		report->grown_bytes += report->items[report->count++].grown_bytes;
	}
	qsort(report->items, report->count, sizeof(*report->items), compare);
	report->all = report->count;
	if (leaks->query->top && leaks->query->top < report->count)
		report->count = leaks->query->top;
	return 0;
}

/* Where memwatch has just come everything has grown since. */
static int begin_with_nothing(struct leaks *leaks)
{
	struct snapshot *nothing = snapshot__new();
	int error = nothing ? add(leaks, nothing) : -ENOMEM;

	snapshot__free(nothing);
	return error;
}

int leaks__report(struct leaks *leaks, struct leak_report *report)
{
	const struct snapshot_header *header = snapshot__header(leaks->last);
	int error = 0;

	*report = (struct leak_report){ .seconds = header->elapsed_s };
	if (leaks->snapshots)
		report->seconds = difference__change(leaks->first_ns, header->time_ns) / 1e9;
	else
		error = begin_with_nothing(leaks);
	if (error)
		return error;
	report->snapshots = (leaks->snapshots ? leaks->snapshots : 1) + 1;
	report->first = leaks->first;
	report->last = leaks->difference.now;
	return fill(leaks, report);
}

void leak_report__free(struct leak_report *report)
{
	free(report->items);
	*report = (struct leak_report){ 0 };
}
