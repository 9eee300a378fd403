/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "frame_match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "numbering.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct shared { /* a string of either snapshot */
	const char *text;
	uint32_t number; /* from 1 on; 0 stands for no string */
	unsigned char builds[SIDES]; /* as a module: enum builds */
	UT_hash_handle hh;
};
enum builds { HAS_BUILD = 1, COMMON_BUILD = 2 };

struct module_key { /* a build of a module: numbers of shared strings */
	uint32_t module, build_id;
};

/* What is the same for the same code on either side: numbers of shared strings, and a place. */
struct code {
	uint32_t function, file, module, line;
	uint64_t offset;
	uint32_t kind, placed;
};
_Static_assert(sizeof(struct code) == 32, "hashed as bytes: there must be no padding");

struct frame_match {
	struct shared *shared, *items;
	size_t count;
	uint32_t *numbers[SIDES]; /* by the snapshot's string id */
	struct numbering *builds[SIDES];
	bool *is_rebuilt; /* by number */
	struct numbering *codes;
	uint32_t *frames[SIDES]; /* code's number by the snapshot's frame id; NULL: not interned */
};

static uint32_t number_of(const struct frame_match *match, enum side side, const char *string)
{
	return string ? match->numbers[side][snapshot__string_id(string)] : 0;
}

/* Strings are shared as they are met. */
static int share(struct frame_match *match, enum side side, const char *string)
{
	struct shared *shared;
	uint32_t *number;

	if (!string)
		return 0;
	number = &match->numbers[side][snapshot__string_id(string)];
	if (*number)
		return 0;
	HASH_FIND_STR(match->shared, string, shared);
	if (!shared) {
		shared = &match->items[match->count];
		shared->text = string;
		shared->number = (uint32_t)match->count + 1;
		HASH_ADD_KEYPTR(hh, match->shared, shared->text, strlen(string), shared);
		if (!shared->hh.tbl)
			return -ENOMEM;
		match->count++;
	}
	*number = shared->number;
	return 0;
}

static int note_build(struct frame_match *match, enum side side, const struct frame *frame)
{
	const struct module_key key = {
		number_of(match, side, frame->module),
		number_of(match, side, frame->build_id),
	};

	if (!key.module || !key.build_id)
		return 0;
	return numbering__add(match->builds[side], &key) < 0 ? -ENOMEM : 0;
}

static int share_snapshot(struct frame_match *match, enum side side,
			  const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot__process_count(snapshot); i++)
		if (share(match, side, snapshot__process(snapshot, i)->comm))
			return -ENOMEM;
	for (size_t i = 0; i < snapshot__frame_count(snapshot); i++) {
		const struct frame *frame = snapshot__frame(snapshot, i);

		if (share(match, side, frame->function) || share(match, side, frame->file) ||
		    share(match, side, frame->module) || share(match, side, frame->build_id) ||
		    note_build(match, side, frame))
			return -ENOMEM;
	}
	return 0;
}

/* A module was built anew when both have builds of it, and none of them in common. */
static void find_rebuilt(struct frame_match *match)
{
	for (enum side side = SIDE_OLD; side < SIDES; side++)
		for (size_t i = 0; i < numbering__count(match->builds[side]); i++) {
			const struct module_key *key = numbering__key(match->builds[side], i);
			unsigned char *builds = &match->items[key->module - 1].builds[side];

			*builds |= HAS_BUILD;
			if (numbering__find(match->builds[!side], key) >= 0)
				*builds |= COMMON_BUILD;
		}
	for (size_t i = 0; i < match->count; i++)
		match->is_rebuilt[i + 1] = match->items[i].builds[SIDE_OLD] == HAS_BUILD &&
					   match->items[i].builds[SIDE_NOW] == HAS_BUILD;
}

/*
 * Whether the offset is a part of what a frame is. Addresses (code without a file) are others in
 * every process, and so are offsets in a file that was built anew, if there is a name instead.
 */
static bool has_place(const struct frame_match *match, uint32_t module, const struct frame *frame)
{
	bool address = frame->kind != FRAME_NATIVE || !module;

	if (!frame->has_offset)
		return false;
	return !frame->function || !(address || match->is_rebuilt[module]);
}

static struct code code_of(const struct frame_match *match, enum side side,
			   const struct frame *frame)
{
	uint32_t module = number_of(match, side, frame->module);
	bool placed = has_place(match, module, frame);

	return (struct code){
		.function = number_of(match, side, frame->function),
		.file = number_of(match, side, frame->file),
		.module = module,
		.line = frame->line,
		.offset = placed ? frame->offset : 0,
		.kind = frame->kind,
		.placed = placed,
	};
}

/* Stacks have few frames of many: those are compared once. */
static int number_frames(struct frame_match *match, enum side side, const struct snapshot *snapshot)
{
	size_t count = snapshot__frame_count(snapshot);

	match->frames[side] = calloc(count + 1, sizeof(*match->frames[side]));
	if (!match->frames[side])
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct code code = code_of(match, side, snapshot__frame(snapshot, i));
		int64_t number = numbering__add(match->codes, &code);

		if (number < 0)
			return -ENOMEM;
		match->frames[side][i] = (uint32_t)number;
	}
	return 0;
}

static int open_tables(struct frame_match *match, const struct snapshot *old,
		       const struct snapshot *now)
{
	size_t olds = snapshot__string_count(old), nows = snapshot__string_count(now);

	match->items = calloc(olds + nows + 1, sizeof(*match->items));
	match->is_rebuilt = calloc(olds + nows + 1, sizeof(*match->is_rebuilt));
	match->numbers[SIDE_OLD] = calloc(olds + 1, sizeof(uint32_t));
	match->numbers[SIDE_NOW] = calloc(nows + 1, sizeof(uint32_t));
	match->builds[SIDE_OLD] = numbering__new(sizeof(struct module_key));
	match->builds[SIDE_NOW] = numbering__new(sizeof(struct module_key));
	match->codes = numbering__new(sizeof(struct code));
	return match->items && match->is_rebuilt && match->numbers[SIDE_OLD] &&
			       match->numbers[SIDE_NOW] && match->builds[SIDE_OLD] &&
			       match->builds[SIDE_NOW] && match->codes
		       ? 0
		       : -ENOMEM;
}

static int fill(struct frame_match *match, const struct snapshot *old, const struct snapshot *now,
		bool interned)
{
	int error = open_tables(match, old, now);

	error = error ?: share_snapshot(match, SIDE_OLD, old);
	error = error ?: share_snapshot(match, SIDE_NOW, now);
	if (error || !interned)
		return error;
	find_rebuilt(match);
	error = number_frames(match, SIDE_OLD, old);
	return error ?: number_frames(match, SIDE_NOW, now);
}

struct frame_match *frame_match__new(const struct snapshot *old, const struct snapshot *now,
				     bool interned)
{
	struct frame_match *match = calloc(1, sizeof(*match));

	if (match && !fill(match, old, now, interned))
		return match;
	frame_match__free(match);
	return NULL;
}

void frame_match__free(struct frame_match *match)
{
	if (!match)
		return;
	HASH_CLEAR(hh, match->shared);
	for (enum side side = SIDE_OLD; side < SIDES; side++) {
		free(match->numbers[side]);
		numbering__free(match->builds[side]);
		free(match->frames[side]);
	}
	numbering__free(match->codes);
	free(match->is_rebuilt);
	free(match->items);
	free(match);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 32;
}

static uint64_t hash_frame(const struct frame_match *match, enum side side, uint64_t hash,
			   const struct frame *frame)
{
	struct code code;

	if (match->frames[side])
		return mix(hash, match->frames[side][snapshot__frame_id(frame)]);
	code = code_of(match, side, frame);
	hash = mix(hash, (uint64_t)code.function << 32 | code.file);
	return mix(hash, (uint64_t)code.line << 32 | code.module);
}

uint64_t frame_match__stack(const struct frame_match *match, enum side side,
			    const struct stack *stack)
{
	uint64_t hash = stack->end;

	for (uint32_t i = 0; i < stack->depth; i++)
		hash = hash_frame(match, side, hash, stack->frames[i]);
	return hash;
}

uint64_t frame_match__string(const struct frame_match *match, enum side side, const char *string)
{
	return mix(0, number_of(match, side, string));
}

static bool is_same_frame(const struct frame_match *match, enum side a_side, const struct frame *a,
			  enum side b_side, const struct frame *b)
{
	struct code a_code, b_code;

	if (match->frames[a_side])
		return match->frames[a_side][snapshot__frame_id(a)] ==
		       match->frames[b_side][snapshot__frame_id(b)];
	a_code = code_of(match, a_side, a);
	b_code = code_of(match, b_side, b);
	return !memcmp(&a_code, &b_code, sizeof(a_code));
}

bool frame_match__equal(const struct frame_match *match, enum side a_side, const struct stack *a,
			enum side b_side, const struct stack *b)
{
	if (a->depth != b->depth || a->end != b->end)
		return false;
	for (uint32_t i = 0; i < a->depth; i++)
		if (!is_same_frame(match, a_side, a->frames[i], b_side, b->frames[i]))
			return false;
	return true;
}

int frame_match__rebuilt(const struct frame_match *match, const char ***names, size_t *count)
{
	*count = 0;
	*names = calloc(match->count + 1, sizeof(**names));
	if (!*names)
		return -ENOMEM;
	for (size_t i = 0; i < match->count; i++)
		if (match->is_rebuilt[i + 1])
			(*names)[(*count)++] = match->items[i].text;
	return 0;
}
