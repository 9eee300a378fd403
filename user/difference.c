/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "difference.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frame_match.h"

/* Rows of both by what they are: chains in a table of heads. */
struct matching {
	struct difference *difference;
	const struct query *query;
	struct frame_match *match;
	uint32_t *heads, *nexts; /* index + 1; 0: none */
	uint64_t *hashes; /* by change */
	size_t slots, count;
};

uint64_t difference__size(const struct counters *counters, enum sort_key sort)
{
	switch (sort) {
	case SORT_ALLOC:
	case SORT_ALLOCS:
		return counters__alloc_bytes(counters);
	case SORT_PEAK:
		return counters->peak_bytes;
	default:
		return counters->live_bytes;
	}
}

uint64_t difference__number(const struct counters *counters, enum sort_key sort)
{
	if (sort == SORT_ALLOC || sort == SORT_ALLOCS)
		return counters__alloc_count(counters);
	return counters->live_count;
}

double difference__change(uint64_t old, uint64_t now)
{
	return now >= old ? (double)(now - old) : -(double)(old - now);
}

static void add(struct counters *sum, const struct counters *counters)
{
	sum->live_bytes += counters->live_bytes;
	sum->live_count += counters->live_count;
	sum->freed_bytes += counters->freed_bytes;
	sum->freed_count += counters->freed_count;
	sum->peak_bytes += counters->peak_bytes;
}

/* Matching. */

static uint64_t hash_row(struct matching *matching, const struct row *row, enum side side)
{
	uint64_t hash = frame_match__stack(matching->match, side, &row->stack);

	if (matching->query->by == BY_STACK)
		hash = hash * 2 + row->family;
	if (matching->query->by == BY_PROCESS)
		hash ^= frame_match__string(matching->match, side, row->process->comm);
	return hash;
}

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

static bool is_same(const struct matching *matching, const struct row *a, enum side a_side,
		    const struct row *b, enum side b_side)
{
	if (matching->query->by == BY_PROCESS)
		return same_text(a->process->comm, b->process->comm);
	if (matching->query->by == BY_STACK && a->family != b->family)
		return false;
	return frame_match__equal(matching->match, a_side, &a->stack, b_side, &b->stack);
}

/* Where the sums of what `row` is are kept. The first `first_old` changes are the newer's. */
static struct change *find_or_add(struct matching *matching, const struct row *row, enum side side,
				  size_t first_old)
{
	struct change *changes = matching->difference->items;
	uint64_t hash = hash_row(matching, row, side);
	uint32_t *head = &matching->heads[hash & (matching->slots - 1)];

	for (uint32_t at = *head; at; at = matching->nexts[at - 1]) {
		struct change *change = &changes[at - 1];
		enum side there = at - 1 < first_old ? SIDE_NOW : SIDE_OLD;

		if (matching->hashes[at - 1] != hash ||
		    !is_same(matching, change->row, there, row, side))
			continue;
		change->families |= row->families || change->row->family != row->family;
		return change;
	}
	matching->hashes[matching->count] = hash;
	matching->nexts[matching->count] = *head;
	*head = (uint32_t)matching->count + 1;
	changes[matching->count] = (struct change){ .row = row, .families = row->families };
	return &changes[matching->count++];
}

static int open_table(struct matching *matching, size_t rows)
{
	for (matching->slots = 1024; matching->slots < rows * 2; matching->slots *= 2)
		;
	matching->difference->items = calloc(rows + 1, sizeof(struct change));
	matching->heads = calloc(matching->slots, sizeof(*matching->heads));
	matching->nexts = calloc(rows + 1, sizeof(*matching->nexts));
	matching->hashes = calloc(rows + 1, sizeof(*matching->hashes));
	if (!matching->difference->items || !matching->heads || !matching->nexts ||
	    !matching->hashes || rows >= UINT32_MAX)
		return -ENOMEM;
	return 0;
}

static int match_rows(struct matching *matching, const struct rows *old, const struct rows *now)
{
	size_t first_old;
	int error = open_table(matching, old->count + now->count);

	if (error)
		return error;
	for (size_t i = 0; i < now->count; i++)
		add(&find_or_add(matching, &now->items[i], SIDE_NOW, SIZE_MAX)->now,
		    &now->items[i].counters);
	first_old = matching->count;
	for (size_t i = 0; i < old->count; i++)
		add(&find_or_add(matching, &old->items[i], SIDE_OLD, first_old)->old,
		    &old->items[i].counters);
	return 0;
}

/* Ranking. */

static enum change_kind kind_of(const struct change *change, enum sort_key sort)
{
	uint64_t old = difference__size(&change->old, sort);
	uint64_t now = difference__size(&change->now, sort);
	uint64_t old_number = difference__number(&change->old, sort);
	uint64_t now_number = difference__number(&change->now, sort);

	if (!old && !old_number)
		return CHANGE_NEW;
	if (!now && !now_number)
		return CHANGE_GONE;
	if (now != old)
		return now > old ? CHANGE_GREW : CHANGE_SHRANK;
	return now_number > old_number ? CHANGE_GREW : CHANGE_SHRANK;
}

static bool has_changed(const struct change *change, enum sort_key sort, uint64_t grew)
{
	uint64_t old = difference__size(&change->old, sort);
	uint64_t now = difference__size(&change->now, sort);

	if (grew)
		return now > old && now - old >= grew;
	return now != old ||
	       difference__number(&change->old, sort) != difference__number(&change->now, sort);
}

/* Keeps what has changed, and sums it up. */
static void choose(struct matching *matching, uint64_t grew)
{
	struct difference *difference = matching->difference;
	enum sort_key sort = matching->query->sort;

	for (size_t i = 0; i < matching->count; i++) {
		struct change *change = &difference->items[i];

		if (!has_changed(change, sort, grew))
			continue;
		change->kind = kind_of(change, sort);
		difference->sums[change->kind].count++;
		difference->sums[change->kind].bytes += difference__change(
			difference__size(&change->old, sort), difference__size(&change->now, sort));
		difference->items[difference->count++] = *change;
	}
	difference->all = difference->count;
}

struct order {
	double size_change, number_change;
	uint64_t size, number;
	const struct change *change;
};

static int descending_u64(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

static int descending(double a, double b)
{
	return (a < b) - (a > b);
}

static int compare(const void *first, const void *second, void *context)
{
	const enum sort_key *sort = context;
	const struct order *a = first, *b = second;
	bool by_number = *sort == SORT_COUNT || *sort == SORT_ALLOCS;
	int sizes = descending(a->size_change, b->size_change);
	int numbers = descending(a->number_change, b->number_change);

	sizes = sizes ? sizes : descending_u64(a->size, b->size);
	numbers = numbers ? numbers : descending_u64(a->number, b->number);
	if (by_number && numbers)
		return numbers;
	if (sizes || numbers)
		return sizes ? sizes : numbers;
	sizes = stack__compare(&a->change->row->stack, &b->change->row->stack);
	return sizes ? sizes : (a->change > b->change) - (a->change < b->change);
}

static struct order order_of(const struct change *change, enum sort_key sort)
{
	struct order order = {
		.size = difference__size(&change->now, sort),
		.number = difference__number(&change->now, sort),
		.change = change,
	};

	order.size_change =
		fabs(difference__change(difference__size(&change->old, sort), order.size));
	order.number_change =
		fabs(difference__change(difference__number(&change->old, sort), order.number));
	return order;
}

static int rank(struct difference *difference, const struct query *query)
{
	size_t kept = query->top && query->top < difference->count ? query->top : difference->count;
	struct order *orders = calloc(difference->count + 1, sizeof(*orders));
	struct change *ranked = calloc(kept + 1, sizeof(*ranked));
	enum sort_key sort = query->sort;

	if (!orders || !ranked) {
		free(orders);
		free(ranked);
		return -ENOMEM;
	}
	for (size_t i = 0; i < difference->count; i++)
		orders[i] = order_of(&difference->items[i], sort);
	qsort_r(orders, difference->count, sizeof(*orders), compare, &sort);
	for (size_t i = 0; i < kept; i++)
		ranked[i] = *orders[i].change;
	free(orders);
	free(difference->items);
	difference->items = ranked;
	difference->count = kept;
	return 0;
}

/* What is kept of a snapshot in all: its processes have each site once. */
static int sum_up(const struct snapshot *snapshot, const struct query *query, struct counters *sum)
{
	struct query whole = *query;
	struct rows rows;
	int error;

	whole.by = BY_PROCESS;
	whole.unranked = true;
	error = snapshot__rows(snapshot, &whole, &rows);
	for (size_t i = 0; i < rows.count && !error; i++)
		add(sum, &rows.items[i].counters);
	rows__free(&rows);
	return error;
}

static int match(struct matching *matching, const struct snapshot *old, const struct snapshot *now)
{
	struct rows *rows = matching->difference->rows;
	struct query query = *matching->query;
	int error;

	query.unranked = true;
	error = snapshot__rows(old, &query, &rows[SIDE_OLD]);
	error = error ? error : snapshot__rows(now, &query, &rows[SIDE_NOW]);
	return error ? error : match_rows(matching, &rows[SIDE_OLD], &rows[SIDE_NOW]);
}

int difference__make(struct difference *difference, const struct snapshot *old,
		     const struct snapshot *now, const struct query *query, uint64_t grew)
{
	struct matching matching = { .difference = difference, .query = query };
	int error;

	*difference = (struct difference){ .grew = grew };
	matching.match = frame_match__new(old, now, query->by == BY_STACK);
	error = matching.match ? match(&matching, old, now) : -ENOMEM;
	error = error ? error : sum_up(old, query, &difference->old);
	error = error ? error : sum_up(now, query, &difference->now);
	if (!error) {
		choose(&matching, grew);
		error = rank(difference, query);
	}
	if (!error && query->by == BY_STACK)
		error = frame_match__rebuilt(matching.match, &difference->rebuilt,
					     &difference->rebuilt_count);
	frame_match__free(matching.match);
	free(matching.heads);
	free(matching.nexts);
	free(matching.hashes);
	if (error)
		difference__free(difference);
	return error;
}

void difference__free(struct difference *difference)
{
	free(difference->items);
	free(difference->rebuilt);
	rows__free(&difference->rows[SIDE_OLD]);
	rows__free(&difference->rows[SIDE_NOW]);
	*difference = (struct difference){ 0 };
}
