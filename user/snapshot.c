/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "numbering.h"

/* uthash would otherwise exit() when there is no memory; it leaves hh.tbl NULL instead. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct string {
	UT_hash_handle hh;
	uint32_t id;
	char text[];
};

/*
 * Callers hand in the same pointers again and again: a module's name comes with every frame. What
 * a pointer gave the last time is worth one compare (what it points to may have changed since).
 */
enum { RECENT_LEAST = 9, RECENT_MOST = 15 }; /* as powers of two */
struct recent {
	const char *given, *interned;
};

struct snapshot {
	struct snapshot_header header;
	struct numbering *frames;
	struct arena *stack_frames; /* of all stacks */
	struct string *strings;
	struct recent *recent;
	unsigned int recent_bits; /* as many as there are strings, about */
	struct process *processes;
	struct stack *stacks;
	struct site *sites;
	size_t process_count, process_size;
	size_t stack_count, stack_size;
	size_t site_count, site_size;
	bool has_growth, has_change;
};

static int widen_recent(struct snapshot *snapshot)
{
	unsigned int bits = snapshot->recent ? snapshot->recent_bits + 2 : RECENT_LEAST;
	struct recent *recent = calloc((size_t)1 << bits, sizeof(*recent));

	if (!recent)
		return -ENOMEM;
	free(snapshot->recent);
	snapshot->recent = recent;
	snapshot->recent_bits = bits;
	return 0;
}

struct snapshot *snapshot__new(void)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return NULL;
	snapshot->frames = numbering__new(sizeof(struct frame));
	snapshot->stack_frames = arena__new(SIZE_MAX);
	if (snapshot->frames && snapshot->stack_frames && !widen_recent(snapshot))
		return snapshot;
	snapshot__free(snapshot);
	return NULL;
}

void snapshot__free(struct snapshot *snapshot)
{
	struct string *string, *next;

	if (!snapshot)
		return;
	HASH_ITER(hh, snapshot->strings, string, next) {
		HASH_DEL(snapshot->strings, string);
		free(string);
	}
	numbering__free(snapshot->frames);
	free(snapshot->recent);
	arena__free(snapshot->stack_frames);
	free(snapshot->processes);
	free(snapshot->stacks);
	free(snapshot->sites);
	free(snapshot);
}

static const char *intern(struct snapshot *snapshot, const char *text)
{
	size_t length = strlen(text);
	struct string *string;
	unsigned int hash;

	HASH_VALUE(text, length, hash);
	HASH_FIND_BYHASHVALUE(hh, snapshot->strings, text, length, hash, string);
	if (string)
		return string->text;
	string = malloc(sizeof(*string) + length + 1);
	if (!string)
		return NULL;
	memcpy(string->text, text, length + 1);
	string->id = HASH_COUNT(snapshot->strings);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, snapshot->strings, string->text, length, hash, string);
	if (!string->hh.tbl) {
		free(string);
		return NULL;
	}
	return string->text;
}

/* Multiplicative hashing: strings lie at multiples of small numbers. */
static struct recent *recent_place(struct snapshot *snapshot, const char *string)
{
	uint64_t hash = (uintptr_t)string * 0x9e3779b97f4a7c15ULL;

	if (snapshot->recent_bits < RECENT_MOST &&
	    HASH_COUNT(snapshot->strings) >> snapshot->recent_bits)
		widen_recent(snapshot);
	return &snapshot->recent[hash >> (64 - snapshot->recent_bits)];
}

const char *snapshot__intern(struct snapshot *snapshot, const char *string)
{
	struct recent *recent;

	if (!string)
		return NULL;
	recent = recent_place(snapshot, string);
	if (recent->given == string &&
	    (recent->interned == string || !strcmp(recent->interned, string)))
		return recent->interned;
	recent->interned = intern(snapshot, string);
	recent->given = recent->interned ? string : NULL;
	return recent->interned;
}

size_t snapshot__string_count(const struct snapshot *snapshot)
{
	return HASH_COUNT(snapshot->strings);
}

uint32_t snapshot__string_id(const char *interned)
{
	const struct string *string = (const void *)(interned - offsetof(struct string, text));

	return string->id;
}

/* Makes room for one item more. Indices are returned as int, so there are never more than that. */
static int make_room(void *items, size_t *size, size_t count, size_t item)
{
	void **place = items, *moved;
	size_t wanted = *size ? *size * 2 : 64;

	if (count < *size)
		return 0;
	if (wanted > INT32_MAX)
		return -ENOMEM;
	moved = reallocarray(*place, wanted, item);
	if (!moved)
		return -ENOMEM;
	*place = moved;
	*size = wanted;
	return 0;
}

int snapshot__add_process(struct snapshot *snapshot, const struct process *process)
{
	const char *comm = snapshot__intern(snapshot, process->comm);
	const char *container = snapshot__intern(snapshot, process->container);
	struct process *added;

	if ((process->comm && !comm) || (process->container && !container))
		return -ENOMEM;
	if (make_room(&snapshot->processes, &snapshot->process_size, snapshot->process_count,
		      sizeof(*process)))
		return -ENOMEM;
	added = &snapshot->processes[snapshot->process_count];
	*added = *process;
	added->comm = comm;
	added->container = container;
	return (int)snapshot->process_count++;
}

static int intern_field(struct snapshot *snapshot, const char **string)
{
	const char *given = *string;

	*string = snapshot__intern(snapshot, given);
	return given && !*string ? -ENOMEM : 0;
}

const struct frame *snapshot__intern_frame(struct snapshot *snapshot, const struct frame *frame)
{
	struct frame interned = *frame;

	if (intern_field(snapshot, &interned.function) || intern_field(snapshot, &interned.file) ||
	    intern_field(snapshot, &interned.module) || intern_field(snapshot, &interned.path) ||
	    intern_field(snapshot, &interned.build_id))
		return NULL;
	return snapshot__adopt_frame(snapshot, &interned);
}

const struct frame *snapshot__adopt_frame(struct snapshot *snapshot, const struct frame *frame)
{
	int64_t number = numbering__add(snapshot->frames, frame);

	return number < 0 ? NULL : numbering__key(snapshot->frames, (size_t)number);
}

size_t snapshot__frame_count(const struct snapshot *snapshot)
{
	return numbering__count(snapshot->frames);
}

uint32_t snapshot__frame_id(const struct frame *interned)
{
	return (uint32_t)numbering__of(interned);
}

const struct frame *snapshot__frame(const struct snapshot *snapshot, size_t id)
{
	return numbering__key(snapshot->frames, id);
}

const struct frame **snapshot__frames(struct snapshot *snapshot, uint32_t depth)
{
	return arena__alloc(snapshot->stack_frames, depth * sizeof(struct frame *));
}

int snapshot__adopt_stack(struct snapshot *snapshot, const struct stack *stack)
{
	if (make_room(&snapshot->stacks, &snapshot->stack_size, snapshot->stack_count,
		      sizeof(*stack)))
		return -ENOMEM;
	snapshot->stacks[snapshot->stack_count] = *stack;
	return (int)snapshot->stack_count++;
}

static const struct frame *const *intern_frames(struct snapshot *snapshot,
						const struct stack *stack)
{
	const struct frame **frames = snapshot__frames(snapshot, stack->depth);

	for (uint32_t i = 0; frames && i < stack->depth; i++) {
		frames[i] = snapshot__intern_frame(snapshot, stack->frames[i]);
		if (!frames[i])
			return NULL;
	}
	return frames;
}

int snapshot__add_stack(struct snapshot *snapshot, const struct stack *stack)
{
	struct stack copy = *stack;

	copy.frames = intern_frames(snapshot, stack);
	return copy.frames ? snapshot__adopt_stack(snapshot, &copy) : -ENOMEM;
}

int snapshot__name_stack(struct snapshot *snapshot, size_t index, const struct stack *stack)
{
	struct stack named = *stack;

	named.frames = intern_frames(snapshot, stack);
	if (!named.frames)
		return -ENOMEM;
	named.id = snapshot->stacks[index].id;
	named.unnamed = false;
	snapshot->stacks[index] = named;
	return 0;
}

int snapshot__add_site(struct snapshot *snapshot, const struct site *site)
{
	if (site->process >= snapshot->process_count || site->stack >= snapshot->stack_count)
		return -EINVAL;
	if (make_room(&snapshot->sites, &snapshot->site_size, snapshot->site_count, sizeof(*site)))
		return -ENOMEM;
	snapshot->sites[snapshot->site_count] = *site;
	return (int)snapshot->site_count++;
}

int snapshot__adopt_sites(struct snapshot *snapshot, struct site *sites, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (sites[i].process >= snapshot->process_count ||
		    sites[i].stack >= snapshot->stack_count)
			return -EINVAL;
	free(snapshot->sites);
	snapshot->sites = sites;
	snapshot->site_count = snapshot->site_size = count;
	return 0;
}

void snapshot__set_header(struct snapshot *snapshot, const struct snapshot_header *header)
{
	snapshot->header = *header;
	snapshot->header.mode = snapshot__intern(snapshot, header->mode);
}

void snapshot__set_growth(struct snapshot *snapshot)
{
	snapshot->has_growth = true;
}

const struct snapshot_header *snapshot__header(const struct snapshot *snapshot)
{
	return &snapshot->header;
}

bool snapshot__has_growth(const struct snapshot *snapshot)
{
	return snapshot->has_growth;
}

bool snapshot__has_change(const struct snapshot *snapshot)
{
	return snapshot->has_change;
}

size_t snapshot__process_count(const struct snapshot *snapshot)
{
	return snapshot->process_count;
}

const struct process *snapshot__process(const struct snapshot *snapshot, size_t index)
{
	return &snapshot->processes[index];
}

size_t snapshot__stack_count(const struct snapshot *snapshot)
{
	return snapshot->stack_count;
}

const struct stack *snapshot__stack(const struct snapshot *snapshot, size_t index)
{
	return &snapshot->stacks[index];
}

size_t snapshot__site_count(const struct snapshot *snapshot)
{
	return snapshot->site_count;
}

const struct site *snapshot__site(const struct snapshot *snapshot, size_t index)
{
	return &snapshot->sites[index];
}

struct totals snapshot__totals(const struct snapshot *snapshot)
{
	struct totals totals = { 0 };

	for (size_t i = 0; i < snapshot->process_count; i++) {
		const struct process *process = &snapshot->processes[i];

		totals.counters.live_bytes += process->counters.live_bytes;
		totals.counters.live_count += process->counters.live_count;
		totals.counters.freed_bytes += process->counters.freed_bytes;
		totals.counters.freed_count += process->counters.freed_count;
		totals.failed_count += process->failed_count;
		totals.unmatched_frees += process->unmatched_frees;
		totals.growth += process->growth;
		totals.alloc_rate += process->alloc_rate;
		totals.change.bytes += process->change.bytes;
		totals.change.count += process->change.count;
	}
	return totals;
}

/* Growth: what the same site, and the same process, had in the snapshot before. */

struct past_key {
	uint64_t start, stack; /* stack: its id; 0 for the process as a whole */
	int32_t pid;
	uint32_t what; /* enum family, or PAST_PROCESS */
};
enum { PAST_PROCESS = 2 };
_Static_assert(sizeof(struct past_key) == 24, "hashed as bytes: there must be no padding");

struct past {
	struct past_key key;
	const struct counters *counters;
	const struct cleared *cleared;
};

/*
 * Two snapshots of one run have the same things in nearly the same order: what is looked for mostly
 * stands behind what was found last. They are hashed when one does not.
 */
struct pasts {
	const struct snapshot *of; /* processes, then sites; NULL: nothing was there */
	size_t next;
	struct numbering *keys;
	size_t *places; /* by number of a key */
	int error;
};

static struct past_key process_key(const struct process *process)
{
	return (struct past_key){ process->start, 0, process->pid, PAST_PROCESS };
}

static struct past_key site_key(const struct snapshot *snapshot, const struct site *site)
{
	const struct process *process = &snapshot->processes[site->process];

	return (struct past_key){ process->start, snapshot->stacks[site->stack].id, process->pid,
				  site->family };
}

static int pasts__end(struct pasts *pasts)
{
	numbering__free(pasts->keys);
	free(pasts->places);
	return pasts->error;
}

static size_t pasts__count(const struct pasts *pasts)
{
	return pasts->of ? pasts->of->process_count + pasts->of->site_count : 0;
}

static struct past pasts__at(const struct pasts *pasts, size_t place)
{
	const struct snapshot *of = pasts->of;
	const struct process *process;
	const struct site *site;

	if (place < of->process_count) {
		process = &of->processes[place];
		return (struct past){ process_key(process), &process->counters, &process->cleared };
	}
	site = &of->sites[place - of->process_count];
	return (struct past){ site_key(of, site), &site->counters, &site->cleared };
}

static int pasts__hash(struct pasts *pasts)
{
	size_t count = pasts__count(pasts);

	pasts->keys = numbering__new(sizeof(struct past_key));
	pasts->places = calloc(count + 1, sizeof(*pasts->places));
	if (!pasts->keys || !pasts->places)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct past past = pasts__at(pasts, i);
		int64_t number = numbering__add(pasts->keys, &past.key);

		if (number < 0)
			return -ENOMEM;
		pasts->places[number] = i;
	}
	return 0;
}

static bool is_next(const struct pasts *pasts, const struct past_key *key)
{
	struct past past;

	if (pasts->next >= pasts__count(pasts))
		return false;
	past = pasts__at(pasts, pasts->next);
	return !memcmp(&past.key, key, sizeof(*key));
}

/* What was not there before was nothing. */
static struct past pasts__find(struct pasts *pasts, struct past_key key)
{
	static const struct counters no_counters;
	static const struct cleared no_cleared;
	const struct past none = { .counters = &no_counters, .cleared = &no_cleared };
	int64_t number;

	if (!is_next(pasts, &key)) {
		if (!pasts->keys && pasts->of && !pasts->error)
			pasts->error = pasts__hash(pasts);
		number = pasts->of && !pasts->error ? numbering__find(pasts->keys, &key) : -ENOENT;
		if (number < 0)
			return none;
		pasts->next = pasts->places[number];
	}
	return pasts__at(pasts, pasts->next++);
}

static double difference(uint64_t now, uint64_t before)
{
	return now >= before ? (double)(now - before) : -(double)(before - now);
}

static void grow_process(struct process *process, const struct past *past, double interval)
{
	const struct counters *before = past->counters;
	uint64_t allocs = counters__alloc_count(&process->counters);
	uint64_t allocs_before = counters__alloc_count(before) + past->cleared->count;

	/* Fewer allocations than before: exec emptied the books in between. */
	if (allocs < allocs_before)
		allocs_before = 0;
	process->growth = difference(process->counters.live_bytes, before->live_bytes) / interval;
	process->alloc_rate = (double)(allocs - allocs_before) / interval;
}

int snapshot__grow_since(struct snapshot *snapshot, const struct snapshot *before)
{
	double interval = snapshot->header.interval_s;
	struct pasts pasts = { .of = before };

	if (!(interval > 0))
		return 0;
	for (size_t i = 0; i < snapshot->process_count; i++) {
		struct process *process = &snapshot->processes[i];
		struct past past = pasts__find(&pasts, process_key(process));

		grow_process(process, &past, interval);
	}
	for (size_t i = 0; i < snapshot->site_count; i++) {
		struct site *site = &snapshot->sites[i];
		struct past past = pasts__find(&pasts, site_key(snapshot, site));

		site->growth =
			difference(site->counters.live_bytes, past.counters->live_bytes) / interval;
	}
	snapshot->has_growth = !pasts.error;
	return pasts__end(&pasts);
}

static struct delta change_from(const struct counters *before, const struct counters *now)
{
	return (struct delta){
		.bytes = (int64_t)(now->live_bytes - before->live_bytes),
		.count = (int64_t)(now->live_count - before->live_count),
	};
}

int snapshot__change_since(struct snapshot *snapshot, const struct snapshot *baseline)
{
	struct pasts pasts = { .of = baseline };

	for (size_t i = 0; i < snapshot->process_count; i++) {
		struct process *process = &snapshot->processes[i];
		struct past past = pasts__find(&pasts, process_key(process));

		process->change = change_from(past.counters, &process->counters);
	}
	for (size_t i = 0; i < snapshot->site_count; i++) {
		struct site *site = &snapshot->sites[i];
		struct past past = pasts__find(&pasts, site_key(snapshot, site));

		site->change = change_from(past.counters, &site->counters);
	}
	snapshot->has_change = !pasts.error;
	return pasts__end(&pasts);
}

/* More freed then than now: exec emptied the books in between. */
static void clear_counters(struct counters *counters, struct cleared *cleared,
			   const struct past *origin)
{
	uint64_t bytes = counters->freed_bytes + cleared->bytes;
	uint64_t count = counters->freed_count + cleared->count;
	const struct cleared then = {
		.bytes = origin->counters->freed_bytes + origin->cleared->bytes,
		.count = origin->counters->freed_count + origin->cleared->count,
	};

	if (then.count > count || then.bytes > bytes)
		return;
	counters->freed_bytes = bytes - then.bytes;
	counters->freed_count = count - then.count;
	*cleared = then;
}

int snapshot__clear_before(struct snapshot *snapshot, const struct snapshot *origin)
{
	struct pasts pasts = { .of = origin };

	for (size_t i = 0; i < snapshot->process_count; i++) {
		struct process *process = &snapshot->processes[i];
		struct past past = pasts__find(&pasts, process_key(process));

		clear_counters(&process->counters, &process->cleared, &past);
	}
	for (size_t i = 0; i < snapshot->site_count; i++) {
		struct site *site = &snapshot->sites[i];
		struct past past = pasts__find(&pasts, site_key(snapshot, site));

		clear_counters(&site->counters, &site->cleared, &past);
	}
	return pasts__end(&pasts);
}
