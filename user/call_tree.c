/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "call_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "numbering.h"
#include "string_pool.h"

/* What makes two frames one. Strings are the pool's, so that pointers stand for them. */
struct key {
	const char *function, *file, *module;
	uint64_t offset;
	uint32_t line, pid;
	uint32_t kind, frame_kind; /* and whether inlined */
};
_Static_assert(sizeof(struct key) == 48, "hashed as bytes: there must be no padding");

struct making {
	struct call_tree *tree;
	size_t room, frame_room;
	struct numbering *calls;  /* by {parent, frame} */
	struct numbering *frames; /* by key */
	bool two; /* of two snapshots */
	/* Of the snapshot that is being added: */
	const char **texts; /* the pool's, by string id; NULL: not looked for yet */
	uint32_t *numbers; /* of the tree's frame, + 1, by the snapshot's; 0: not looked for yet */
	bool old;
	bool failed; /* a string found no room */
};

static void *make_room(void *items, size_t *room, size_t count, size_t size)
{
	size_t more = *room ? *room * 2 : 1024;

	if (count < *room)
		return items;
	items = reallocarray(items, more, size);
	*room = items ? more : *room;
	return items;
}

static const char *text_of(struct making *making, const char *string)
{
	const char **text;

	if (!string || !*string)
		return NULL;
	text = &making->texts[snapshot__string_id(string)];
	if (!*text)
		*text = string_pool__add(making->tree->strings, string, strlen(string));
	making->failed |= !*text;
	return *text;
}

static int64_t add_frame(struct making *making, const struct call_frame *frame)
{
	struct call_tree *tree = making->tree;
	const struct key key = {
		.function = frame->frame.function,
		.file = frame->frame.file,
		.module = frame->frame.module,
		.offset = frame->frame.offset,
		.line = frame->frame.line,
		.pid = (uint32_t)frame->pid,
		.kind = frame->kind,
		.frame_kind = (uint32_t)frame->frame.kind * 2 + frame->frame.inlined,
	};
	int64_t number = numbering__add(making->frames, &key);
	struct call_frame *frames;

	if (number < 0 || (size_t)number < tree->frame_count)
		return number;
	frames = make_room(tree->frames, &making->frame_room, tree->frame_count, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	tree->frames = frames;
	frames[tree->frame_count++] = *frame;
	return number;
}

/* Goes on to the call of the frame of this number; the same call has the same number, too. */
static int64_t enter(struct making *making, int64_t at, int64_t frame)
{
	struct call_tree *tree = making->tree;
	uint64_t key = (uint64_t)at << 32 | (uint64_t)frame;
	struct call *calls;

	if (at < 0 || frame < 0)
		return at < 0 ? at : frame;
	at = numbering__add(making->calls, &key);
	if (at < 0 || (size_t)at < tree->count)
		return at;
	if (tree->count >= CALL_LIMIT)
		return -EFBIG;
	calls = make_room(tree->items, &making->room, tree->count, sizeof(*calls));
	if (!calls)
		return -ENOMEM;
	tree->items = calls;
	calls[tree->count++] = (struct call){
		.parent = (uint32_t)(key >> 32),
		.frame = (uint32_t)frame,
	};
	return at;
}

static int64_t enter_kind(struct making *making, int64_t at, enum call_kind kind)
{
	const struct call_frame frame = { .kind = kind };

	return enter(making, at, add_frame(making, &frame));
}

static int64_t enter_process(struct making *making, int64_t at, const struct process *process)
{
	const struct call_frame frame = {
		.kind = CALL_PROCESS,
		.pid = making->two ? 0 : process->pid,
		.frame = { .function = text_of(making, process->comm) },
	};

	return enter(making, at, add_frame(making, &frame));
}

static int64_t add_snapshots_frame(struct making *making, const struct frame *frame)
{
	bool placed = frame->has_offset && !frame->function;
	const struct call_frame call = {
		.kind = CALL_FRAME,
		.frame = {
			.kind = frame->kind,
			.inlined = frame->inlined,
			.has_offset = placed,
			.offset = placed ? frame->offset : 0,
			.line = frame->line,
			.function = text_of(making, frame->function),
			.file = text_of(making, frame->file),
			.module = text_of(making, frame->module),
		},
	};

	return add_frame(making, &call);
}

static int64_t enter_frame(struct making *making, int64_t at, const struct frame *frame)
{
	uint32_t *number = &making->numbers[snapshot__frame_id(frame)];

	if (!*number) {
		int64_t added = add_snapshots_frame(making, frame);

		if (added < 0)
			return added;
		*number = (uint32_t)added + 1;
	}
	return enter(making, at, (int64_t)*number - 1);
}

/* The call in which the row's stack ends. */
static int64_t enter_row(struct making *making, const struct row *row)
{
	const struct stack *stack = &row->stack;
	uint32_t depth = stack->depth;
	int64_t at = enter_process(making, 0, row->process);

	if (stack->end != STACK_COMPLETE)
		at = enter_kind(making, at,
				stack->end == STACK_TRUNCATED ? CALL_TRUNCATED : CALL_BROKEN);
	for (; depth > 0 && stack->depth - depth < CALL_DEPTH; depth--)
		at = enter_frame(making, at, stack->frames[depth - 1]);
	return depth ? enter_kind(making, at, CALL_DEEPER) : at;
}

static void add_value(uint64_t *sum, uint64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = UINT64_MAX;
}

static void add_values(uint64_t sums[CALL_VALUES], const uint64_t values[CALL_VALUES])
{
	for (int i = 0; i < CALL_VALUES; i++)
		add_value(&sums[i], values[i]);
}

static void count(struct call *call, const struct counters *counters, bool old)
{
	const uint64_t values[CALL_VALUES] = {
		[SORT_LIVE] = counters->live_bytes,
		[SORT_COUNT] = counters->live_count,
		[SORT_ALLOC] = counters__alloc_bytes(counters),
		[SORT_ALLOCS] = counters__alloc_count(counters),
		[SORT_PEAK] = counters->peak_bytes,
	};

	call->sites++;
	add_values(old ? call->old : call->now, values);
}

static int add_rows(struct making *making, const struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++) {
		int64_t at = enter_row(making, &rows->items[i]);

		if (at < 0 || making->failed)
			return at < 0 ? (int)at : -ENOMEM;
		count(&making->tree->items[at], &rows->items[i].counters, making->old);
	}
	return 0;
}

static int add_snapshot(struct making *making, const struct snapshot *snapshot,
			const struct query *query, bool old)
{
	struct query all = *query;
	struct rows rows = { 0 };
	int error;

	all.by = BY_STACK;
	all.unranked = true;
	making->old = old;
	making->texts = calloc(snapshot__string_count(snapshot) + 1, sizeof(*making->texts));
	making->numbers = calloc(snapshot__frame_count(snapshot) + 1, sizeof(*making->numbers));
	error = making->texts && making->numbers ? snapshot__rows(snapshot, &all, &rows) : -ENOMEM;
	error = error ? error : add_rows(making, &rows);
	rows__free(&rows);
	free(making->texts);
	free(making->numbers);
	return error;
}

/* What ends in a call has been counted in it. Callees come after their callers. */
static void sum_up(struct call_tree *tree)
{
	for (size_t i = tree->count; i-- > 1;) {
		struct call *call = &tree->items[i], *parent = &tree->items[call->parent];

		parent->sites += call->sites;
		add_values(parent->now, call->now);
		add_values(parent->old, call->old);
		add_values(parent->grew, call->grew);
	}
}

static void find_growth(struct call_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		struct call *call = &tree->items[i];

		for (int k = 0; k < CALL_VALUES; k++)
			if (call->now[k] > call->old[k])
				call->grew[k] = call->now[k] - call->old[k];
	}
}

/* Folding. */

/* now - old = grew - shrank. */
static double moved(const struct call *call, int value)
{
	return 2 * (double)call->grew[value] - (double)call->now[value] + (double)call->old[value];
}

static double larger(double share, double part, double whole)
{
	return whole > 0 && part / whole > share ? part / whole : share;
}

/* The largest part of the whole that the call is by any value. No callee has a larger one. */
static double share_of(const struct call *call, const struct call *root)
{
	double share = 0;

	for (int i = 0; i < CALL_VALUES; i++) {
		share = larger(share, (double)call->now[i], (double)root->now[i]);
		share = larger(share, (double)call->old[i], (double)root->old[i]);
		share = larger(share, moved(call, i), moved(root, i));
	}
	return share;
}

static int descending(const void *first, const void *second)
{
	const double *a = first, *b = second;

	return (*a < *b) - (*a > *b);
}

static void absorb(struct call *smaller, const struct call *call)
{
	smaller->sites += call->sites;
	add_values(smaller->now, call->now);
	add_values(smaller->old, call->old);
	add_values(smaller->grew, call->grew);
}

/*
 * Moves what is kept to the front. `places`: where a call has gone, + 1; 0: it is folded. What is
 * folded below a caller is put where the first of them was, so there is always room. `smallers`:
 * by where the caller has gone, where that is.
 */
static void compact(struct call_tree *tree, const double *shares, uint32_t *places,
		    uint32_t *smallers, uint32_t smaller_frame)
{
	size_t count = 0;

	for (size_t i = 0; i < tree->count; i++) {
		struct call call = tree->items[i];
		uint32_t parent = i ? places[call.parent] : 1;

		tree->folded += i && shares[i] <= tree->share;
		if (!parent)
			continue;
		call.parent = parent - 1;
		if (!i || shares[i] > tree->share) {
			tree->items[count++] = call;
			places[i] = (uint32_t)count;
		} else if (smallers[call.parent]) {
			absorb(&tree->items[smallers[call.parent] - 1], &call);
		} else {
			call.frame = smaller_frame;
			tree->items[count++] = call;
			smallers[call.parent] = (uint32_t)count;
		}
	}
	tree->count = count;
}

/* Frames of folded calls only are not needed any more. */
static int drop_frames(struct call_tree *tree)
{
	uint32_t *places = calloc(tree->frame_count + 1, sizeof(*places));
	size_t count = 0;

	if (!places)
		return -ENOMEM;
	for (size_t i = 0; i < tree->count; i++)
		places[tree->items[i].frame] = 1;
	for (size_t i = 0; i < tree->frame_count; i++) {
		if (!places[i])
			continue;
		places[i] = (uint32_t)count;
		tree->frames[count++] = tree->frames[i];
	}
	for (size_t i = 0; i < tree->count; i++)
		tree->items[i].frame = places[tree->items[i].frame];
	tree->frame_count = count;
	free(places);
	return 0;
}

static int fold(struct making *making, size_t most)
{
	const struct call_frame frame = { .kind = CALL_SMALLER };
	struct call_tree *tree = making->tree;
	double *shares = calloc(tree->count + 1, sizeof(*shares));
	double *sorted = calloc(tree->count + 1, sizeof(*sorted));
	uint32_t *places = calloc(tree->count + 1, sizeof(*places));
	uint32_t *smallers = calloc(tree->count + 1, sizeof(*smallers));
	int64_t smaller = add_frame(making, &frame);

	if (shares && sorted && places && smallers && smaller >= 0) {
		for (size_t i = 0; i < tree->count; i++)
			sorted[i] = shares[i] = share_of(&tree->items[i], &tree->items[0]);
		qsort(sorted, tree->count, sizeof(*sorted), descending);
		tree->share = sorted[most];
		compact(tree, shares, places, smallers, (uint32_t)smaller);
	} else {
		smaller = -ENOMEM;
	}
	free(shares);
	free(sorted);
	free(places);
	free(smallers);
	return smaller < 0 ? (int)smaller : drop_frames(tree);
}

static int make(struct making *making, const struct snapshot *now, const struct snapshot *old,
		const struct query *query)
{
	int error = (int)enter_kind(making, 0, CALL_ROOT);

	error = error ? error : add_snapshot(making, now, query, false);
	if (!error && old)
		error = add_snapshot(making, old, query, true);
	return error;
}

int call_tree__make(struct call_tree *tree, const struct snapshot *now, const struct snapshot *old,
		    const struct query *query, size_t most)
{
	struct making making = {
		.tree = tree,
		.two = old,
		.calls = numbering__new(sizeof(uint64_t)),
		.frames = numbering__new(sizeof(struct key)),
	};
	int error = -ENOMEM;

	*tree = (struct call_tree){ .strings = string_pool__new() };
	if (making.calls && making.frames && tree->strings)
		error = make(&making, now, old, query);
	if (!error) {
		find_growth(tree);
		sum_up(tree);
	}
	if (!error && tree->count > most)
		error = fold(&making, most);
	numbering__free(making.calls);
	numbering__free(making.frames);
	return error;
}

void call_tree__free(struct call_tree *tree)
{
	free(tree->items);
	free(tree->frames);
	string_pool__free(tree->strings);
	*tree = (struct call_tree){ 0 };
}
