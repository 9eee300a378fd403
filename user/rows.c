/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grouping sites into rows, and ranking them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "filter.h"
#include "snapshot.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Strings are interned, so that pointers stand for them. All zero: no frame has the key. */
struct key {
	const char *function, *file, *module;
	const struct process *process;
	uint32_t line, kind;
};
_Static_assert(sizeof(struct key) == 40, "hashed as bytes: there must be no padding");

struct group {
	struct key key;
	struct frame frame; /* the key as a row shows it */
	const struct frame *frames[1];
	size_t row;
	size_t last_site; /* the last one charged to it, + 1: each is charged once */
	UT_hash_handle hh;
};

struct grouping {
	const struct snapshot *snapshot;
	const struct query *query;
	struct rows *rows;
	size_t room; /* for that many rows */
	struct group *groups;
	size_t site; /* being charged, + 1 */
	bool matches; /* a key of the site is the query's */
};

static bool key__of_frame(struct key *key, const struct frame *frame, enum group_key by)
{
	*key = (struct key){ .kind = frame->kind };
	switch (by) {
	case BY_FUNCTION:
		key->function = frame->function;
		return key->function;
	case BY_LINE:
		key->file = frame->file;
		key->line = frame->line;
		return key->file && key->line;
	case BY_FILE:
		key->file = frame->file;
		return key->file;
	case BY_MODULE:
		key->module = frame->module;
		return key->module;
	default:
		return false;
	}
}

/* Stacks are rows by themselves. */
static size_t first_room(const struct grouping *grouping)
{
	size_t sites = snapshot__site_count(grouping->snapshot);

	return grouping->query->by == BY_STACK ? sites : 256;
}

static struct row *rows__add(struct grouping *grouping)
{
	static const struct frame none;
	struct rows *rows = grouping->rows;

	if (rows->count == grouping->room) {
		size_t room = grouping->room ? grouping->room * 2 : first_room(grouping);
		struct row *items = reallocarray(rows->items, room, sizeof(*items));

		if (!items)
			return NULL;
		rows->items = items;
		grouping->room = room;
	}
	rows->items[rows->count] = (struct row){ .frame = &none };
	return &rows->items[rows->count++];
}

static void row__charge(struct row *row, const struct site *site, const struct process *process)
{
	if (row->merged == 0) {
		row->process = process;
		row->family = site->family;
	}
	if (row->process != process)
		row->process = NULL;
	if (row->family != site->family)
		row->families = true;
	row->counters.live_bytes += site->counters.live_bytes;
	row->counters.live_count += site->counters.live_count;
	row->counters.freed_bytes += site->counters.freed_bytes;
	row->counters.freed_count += site->counters.freed_count;
	row->counters.peak_bytes += site->counters.peak_bytes;
	row->growth += site->growth;
	row->change.bytes += site->change.bytes;
	row->change.count += site->change.count;
	row->merged++;
	row->peak_known = row->merged == 1;
}

static void row__set_key(struct row *row, struct group *group)
{
	const struct key *key = &group->key;

	group->frame = (struct frame){
		.kind = key->kind,
		.function = key->function,
		.file = key->file,
		.line = key->line,
		.module = key->module,
	};
	group->frames[0] = row->frame = &group->frame;
	row->stack.frames = group->frames;
	row->stack.depth = key->function || key->file || key->module;
}

static struct group *group__add(struct grouping *grouping, const struct key *key)
{
	struct group *group = arena__alloc(grouping->rows->keys, sizeof(*group));
	struct row *row = group ? rows__add(grouping) : NULL;

	if (!row)
		return NULL;
	group->key = *key;
	group->row = grouping->rows->count - 1;
	row__set_key(row, group);
	HASH_ADD(hh, grouping->groups, key, sizeof(struct key), group);
	return group->hh.tbl ? group : NULL;
}

static int charge(struct grouping *grouping, const struct key *key, const struct site *site)
{
	struct group *group;

	HASH_FIND(hh, grouping->groups, key, sizeof(*key), group);
	if (!group)
		group = group__add(grouping, key);
	if (!group)
		return -ENOMEM;
	if (group->last_site == grouping->site)
		return 0;
	group->last_site = grouping->site;
	row__charge(&grouping->rows->items[group->row], site,
		    snapshot__process(grouping->snapshot, site->process));
	return 0;
}

/* What is done with a key that a site is charged to: 0, 1 to leave it at that, or -errno. */
typedef int (*key_visit)(struct grouping *grouping, const struct key *key, const struct site *site);

/* Visits the frames that have the key, of Python only or of any kind; returns how many. */
static int visit_frames(struct grouping *grouping, enum group_key by, const struct site *site,
			bool python, key_visit visit)
{
	const struct stack *stack = snapshot__stack(grouping->snapshot, site->stack);
	int visited = 0, result = 0;

	for (uint32_t i = 0; i < stack->depth && !result; i++) {
		struct key key;

		if (python && stack->frames[i]->kind != FRAME_PYTHON)
			continue;
		if (!key__of_frame(&key, stack->frames[i], by))
			continue;
		result = visit(grouping, &key, site);
		visited++;
		if (!grouping->query->cumulative)
			break;
	}
	return result < 0 ? result : visited;
}

static int visit_keys(struct grouping *grouping, enum group_key by, const struct site *site,
		      key_visit visit)
{
	const struct key unknown = { 0 };
	int visited = 0;

	if (!grouping->query->native)
		visited = visit_frames(grouping, by, site, true, visit);
	if (visited == 0)
		visited = visit_frames(grouping, by, site, false, visit);
	if (visited == 0)
		visited = visit(grouping, &unknown, site);
	return visited < 0 ? visited : 0;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* The strings of `of` may be of another snapshot. */
static int match(struct grouping *grouping, const struct key *key, const struct site *site)
{
	const struct charge *of = grouping->query->of;

	(void)site;
	grouping->matches = key->line == of->line && key->kind == of->kind &&
			    same_text(key->function, of->function) &&
			    same_text(key->file, of->file) && same_text(key->module, of->module);
	return grouping->matches;
}

static bool is_charged(struct grouping *grouping, const struct site *site)
{
	grouping->matches = false;
	visit_keys(grouping, grouping->query->of->by, site, match);
	return grouping->matches;
}

static int charge_site(struct grouping *grouping, const struct site *site)
{
	const struct process *process = snapshot__process(grouping->snapshot, site->process);
	const struct key key = { .process = process };
	struct row *row;

	switch (grouping->query->by) {
	case BY_STACK:
		row = rows__add(grouping);
		if (!row)
			return -ENOMEM;
		row__charge(row, site, process);
		row->stack = *snapshot__stack(grouping->snapshot, site->stack);
		row->stack_index = site->stack;
		return 0;
	case BY_PROCESS:
		return charge(grouping, &key, site);
	default:
		return visit_keys(grouping, grouping->query->by, site, charge);
	}
}

static int group_sites(struct grouping *grouping, struct filter *filter)
{
	const struct query *query = grouping->query;
	int error = 0;

	for (size_t i = 0; i < snapshot__site_count(grouping->snapshot) && !error; i++) {
		const struct site *site = snapshot__site(grouping->snapshot, i);

		grouping->site = i + 1;
		if (filter__keeps(filter, site) && (!query->of || is_charged(grouping, site)))
			error = charge_site(grouping, site);
	}
	return error;
}

/* A process's own peak was measured; it is its row's if the row has all of the process's sites. */
static int fill_process_peaks(struct grouping *grouping)
{
	const struct process *first = snapshot__process(grouping->snapshot, 0);
	uint64_t *sites = calloc(snapshot__process_count(grouping->snapshot) + 1, sizeof(*sites));

	if (!sites)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot__site_count(grouping->snapshot); i++)
		sites[snapshot__site(grouping->snapshot, i)->process]++;
	for (size_t i = 0; i < grouping->rows->count; i++) {
		struct row *row = &grouping->rows->items[i];

		if (sites[row->process - first] != row->merged)
			continue;
		row->counters.peak_bytes = row->process->counters.peak_bytes;
		row->peak_known = true;
	}
	free(sites);
	return 0;
}

/* Ranking. Each returns > 0 when `a` stands behind `b`. */

static int descending(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

static int compare_live(const struct row *a, const struct row *b)
{
	return descending(a->counters.live_bytes, b->counters.live_bytes);
}

static int compare_count(const struct row *a, const struct row *b)
{
	return descending(a->counters.live_count, b->counters.live_count);
}

static int compare_alloc(const struct row *a, const struct row *b)
{
	return descending(counters__alloc_bytes(&a->counters), counters__alloc_bytes(&b->counters));
}

static int compare_allocs(const struct row *a, const struct row *b)
{
	return descending(counters__alloc_count(&a->counters), counters__alloc_count(&b->counters));
}

static int compare_peak(const struct row *a, const struct row *b)
{
	return descending(a->counters.peak_bytes, b->counters.peak_bytes);
}

static int compare_growth(const struct row *a, const struct row *b)
{
	return (a->growth < b->growth) - (a->growth > b->growth);
}

static int compare_change(const struct row *a, const struct row *b)
{
	return (a->change.bytes < b->change.bytes) - (a->change.bytes > b->change.bytes);
}

typedef int (*comparison)(const struct row *a, const struct row *b);

static const struct {
	comparison first, then;
} orders[] = {
	[SORT_LIVE] = { compare_live, compare_count },
	[SORT_COUNT] = { compare_count, compare_live },
	[SORT_ALLOC] = { compare_alloc, compare_allocs },
	[SORT_ALLOCS] = { compare_allocs, compare_alloc },
	[SORT_PEAK] = { compare_peak, compare_count },
	[SORT_GROWTH] = { compare_growth, compare_count },
	[SORT_CHANGE] = { compare_change, compare_live },
};

static int compare_text(const char *a, const char *b)
{
	return a == b ? 0 : strcmp(b ? b : "", a ? a : "");
}

static int compare_frames(const struct frame *a, const struct frame *b)
{
	int order = compare_text(a->file, b->file);

	if (!order)
		order = descending(a->line, b->line);
	if (!order)
		order = compare_text(a->function, b->function);
	if (!order)
		order = compare_text(a->module, b->module);
	if (!order)
		order = descending(a->offset, b->offset);
	return order ? order : descending(a->kind, b->kind);
}

int stack__compare(const struct stack *a, const struct stack *b)
{
	for (uint32_t i = 0; i < a->depth && i < b->depth; i++) {
		int order = a->frames[i] == b->frames[i]
				    ? 0
				    : compare_frames(a->frames[i], b->frames[i]);

		if (order)
			return order;
	}
	return descending(a->depth, b->depth);
}

int row__compare(const struct row *a, const struct row *b, enum sort_key sort)
{
	int order = orders[sort].first(a, b);

	return order ? order : orders[sort].then(a, b);
}

static int compare_rows(const void *first, const void *second, void *context)
{
	const enum sort_key *sort = context;
	const struct row *a = *(const struct row *const *)first;
	const struct row *b = *(const struct row *const *)second;
	int order = row__compare(a, b, *sort);

	if (!order)
		order = stack__compare(&a->stack, &b->stack);
	if (!order && a->process && b->process)
		order = descending(b->process->pid, a->process->pid);
	if (!order)
		order = descending(b->family, a->family);
	/* Rows lie in one array in the order of their first site. */
	return order ? order : (a > b) - (a < b);
}

/* Ranks pointers: a row is large. */
static int rank(struct rows *rows, enum sort_key sort, size_t top)
{
	size_t kept = top && top < rows->count ? top : rows->count;
	const struct row **order = malloc((rows->count + 1) * sizeof(*order));
	struct row *ranked = malloc((kept + 1) * sizeof(*ranked));

	if (!order || !ranked) {
		free(order);
		free(ranked);
		return -ENOMEM;
	}
	for (size_t i = 0; i < rows->count; i++)
		order[i] = &rows->items[i];
	qsort_r(order, rows->count, sizeof(*order), compare_rows, &sort);
	for (size_t i = 0; i < kept; i++)
		ranked[i] = *order[i];
	free(order);
	free(rows->items);
	rows->items = ranked;
	rows->count = kept;
	return 0;
}

int snapshot__rows(const struct snapshot *snapshot, const struct query *query, struct rows *rows)
{
	struct grouping grouping = { .snapshot = snapshot, .query = query, .rows = rows };
	struct filter *filter = filter__new(snapshot, query);
	int error;

	*rows = (struct rows){ .keys = arena__new(SIZE_MAX) };
	error = filter && rows->keys ? group_sites(&grouping, filter) : -ENOMEM;
	if (!error && query->by == BY_PROCESS)
		error = fill_process_peaks(&grouping);
	rows->all = rows->count;
	if (!error && !query->unranked)
		error = rank(rows, query->sort, query->top);
	HASH_CLEAR(hh, grouping.groups);
	filter__free(filter);
	if (error)
		rows__free(rows);
	return error;
}

void rows__free(struct rows *rows)
{
	arena__free(rows->keys);
	free(rows->items);
	*rows = (struct rows){ 0 };
}

/* FNV-1a */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3ULL;
	return hash;
}

static uint64_t hash_number(uint64_t hash, uint64_t number)
{
	return hash_bytes(hash, &number, sizeof(number));
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	return text ? hash_bytes(hash, text, strlen(text) + 1) : hash_number(hash, 0);
}

uint64_t row__identity(const struct row *row, enum group_key by)
{
	uint64_t hash = hash_number(0xcbf29ce484222325ULL, by);

	if (by == BY_STACK || by == BY_PROCESS) {
		hash = hash_number(hash, row->process->pid);
		hash = hash_number(hash, row->process->start);
	}
	if (by == BY_STACK) {
		hash = hash_number(hash, row->family);
		return hash_number(hash, row->stack.id);
	}
	hash = hash_text(hash, row->frame->function);
	hash = hash_text(hash, row->frame->file);
	hash = hash_text(hash, row->frame->module);
	hash = hash_number(hash, row->frame->line);
	return hash_number(hash, row->frame->kind);
}
