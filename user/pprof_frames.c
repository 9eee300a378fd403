/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pprof_frames.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numbering.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* In all stacks of a file: each takes 8 bytes. A hundred thousand stacks of 30 have 3 million. */
enum { MAX_FRAMES = 32 * 1024 * 1024 };
enum { ENDS = 3 };

struct location {
	const struct frame **frames;
	uint32_t count;
	uint64_t hash; /* of what is in the frames */
};

struct known_stack {
	int index;
	UT_hash_handle hh; /* by the ids of the sample's locations */
};

struct pprof_frames {
	const Pprof__Profile *profile;
	const struct pprof_comments *comments;
	struct snapshot *snapshot;
	char *why;
	struct numbering *functions, *mappings, *locations; /* ids */
	struct location *items; /* by location */
	const struct frame **all; /* of the locations */
	size_t total;
	struct known_stack *stacks[ENDS];
	struct arena *arena;
};

static int __attribute__((format(printf, 2, 3)))
refuse(struct pprof_frames *frames, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(frames->why, PPROF_WHY, format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

/*
 * Ids are any numbers but 0, each used once. The items begin with a message's base, then their
 * id.
 */
static struct numbering *number_ids(struct pprof_frames *frames, const char *what, size_t count,
				    uint64_t (*id_of)(const Pprof__Profile *, size_t), int *error)
{
	struct numbering *ids = numbering__new(sizeof(uint64_t));

	if (!ids)
		*error = -ENOMEM;
	for (size_t i = 0; i < count && !*error; i++) {
		uint64_t id = id_of(frames->profile, i);
		int64_t number = numbering__add(ids, &id);

		if (number < 0)
			*error = -ENOMEM;
		else if (!id || (size_t)number != i)
			*error = refuse(frames, "is damaged: %s %zu has no id of its own", what, i);
	}
	return ids;
}

static uint64_t function_id(const Pprof__Profile *profile, size_t index)
{
	return profile->function[index]->id;
}

static uint64_t mapping_id(const Pprof__Profile *profile, size_t index)
{
	return profile->mapping[index]->id;
}

static uint64_t location_id(const Pprof__Profile *profile, size_t index)
{
	return profile->location[index]->id;
}

/* The snapshot's own copy. NULL and an error set: there is none; NULL alone: it is "". */
static const char *string(struct pprof_frames *frames, int64_t index, int *error)
{
	const char *text = NULL;

	if (index < 0 || (uint64_t)index >= frames->profile->n_string_table) {
		*error = refuse(frames, "is damaged: string %" PRId64 " is missing", index);
		return NULL;
	}
	if (!*frames->profile->string_table[index])
		return NULL;
	text = snapshot__intern(frames->snapshot, frames->profile->string_table[index]);
	*error = text ? *error : -ENOMEM;
	return text;
}

/* What all frames of a location have in common. */
static int place_frame(struct pprof_frames *frames, const Pprof__Location *location,
		       struct frame *frame)
{
	const Pprof__Mapping *mapping;
	struct place place;
	int64_t index = -1;
	int error = 0;

	*frame = (struct frame){ .has_offset = location->address, .offset = location->address };
	if (!location->mapping_id)
		return 0;
	index = numbering__find(frames->mappings, &location->mapping_id);
	if (index < 0)
		return refuse(frames, "is damaged: mapping %" PRIu64 " is missing",
			      location->mapping_id);
	mapping = frames->profile->mapping[index];
	frame->build_id = string(frames, mapping->build_id, &error);
	frame->path = string(frames, mapping->filename, &error);
	if (error)
		return error;
	place = frames->comments->places && frames->comments->places[index]
			? *frames->comments->places[index]
			: place__of_file(frame->path ? frame->path : "");
	frame->kind = place.kind;
	frame->inlined = place.inlined;
	frame->has_offset = place.has_offset;
	frame->offset = !place.has_offset ? 0
			: location->address < mapping->memory_start
				? location->address
				: location->address - mapping->memory_start + mapping->file_offset;
	frame->module = snapshot__intern(frames->snapshot, place.module);
	frame->path = snapshot__intern(frames->snapshot, place.path);
	return (place.module && !frame->module) || (place.path && !frame->path) ? -ENOMEM : 0;
}

/* Files of others do not say what language a frame is in. */
static bool is_python(const char *file)
{
	size_t length = file ? strlen(file) : 0;

	return length > 3 && !strcmp(file + length - 3, ".py");
}

static int name_frame(struct pprof_frames *frames, const Pprof__Line *line, struct frame *frame)
{
	const Pprof__Function *function;
	int64_t index;
	int error = 0;

	frame->line = line->line > 0 && line->line <= UINT32_MAX ? (uint32_t)line->line : 0;
	if (!line->function_id)
		return 0;
	index = numbering__find(frames->functions, &line->function_id);
	if (index < 0)
		return refuse(frames, "is damaged: function %" PRIu64 " is missing",
			      line->function_id);
	function = frames->profile->function[index];
	frame->function = string(frames, function->name, &error);
	if (!error && !frame->function)
		frame->function = string(frames, function->system_name, &error);
	if (!error)
		frame->file = string(frames, function->filename, &error);
	if (!frames->comments->own && is_python(frame->file)) {
		frame->kind = FRAME_PYTHON;
		frame->has_offset = false;
		frame->offset = 0;
	}
	return error;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

static uint64_t mix_string(uint64_t hash, const char *text)
{
	for (; text && *text; text++)
		hash = mix(hash, (unsigned char)*text);
	return mix(hash, 256);
}

static uint64_t hash_frame(uint64_t hash, const struct frame *frame)
{
	hash = mix(hash, frame->kind * 4 + frame->inlined * 2 + frame->has_offset);
	hash = mix(mix(hash, frame->line), frame->offset);
	hash = mix_string(mix_string(hash, frame->function), frame->file);
	return mix_string(mix_string(hash, frame->module), frame->build_id);
}

static int fill_location(struct pprof_frames *frames, struct location *item,
			 const Pprof__Location *location)
{
	struct frame place;
	int error = place_frame(frames, location, &place);

	item->count = location->n_line ? (uint32_t)location->n_line : 1;
	for (uint32_t i = 0; i < item->count && !error; i++) {
		struct frame frame = place;

		frame.inlined |= i + 1 < location->n_line;
		if (location->n_line)
			error = name_frame(frames, location->line[i], &frame);
		item->hash = hash_frame(item->hash, &frame);
		item->frames[i] = snapshot__intern_frame(frames->snapshot, &frame);
		error = error || item->frames[i] ? error : -ENOMEM;
	}
	return error;
}

static int fill_locations(struct pprof_frames *frames)
{
	const Pprof__Profile *profile = frames->profile;
	size_t count = 0;
	const struct frame **next;
	int error = 0;

	for (size_t i = 0; i < profile->n_location; i++)
		count += profile->location[i]->n_line ? profile->location[i]->n_line : 1;
	if (count > MAX_FRAMES)
		return refuse(frames, "has more than %d frames", MAX_FRAMES);
	frames->items = calloc(profile->n_location + 1, sizeof(*frames->items));
	next = frames->all = calloc(count + 1, sizeof(*frames->all));
	if (!frames->items || !frames->all)
		return -ENOMEM;
	for (size_t i = 0; i < profile->n_location && !error; i++) {
		frames->items[i].frames = next;
		error = fill_location(frames, &frames->items[i], profile->location[i]);
		next += frames->items[i].count;
	}
	return error;
}

static int fill(struct pprof_frames *frames)
{
	const Pprof__Profile *profile = frames->profile;
	int error = 0;

	frames->functions =
		number_ids(frames, "function", profile->n_function, function_id, &error);
	frames->mappings = number_ids(frames, "mapping", profile->n_mapping, mapping_id, &error);
	frames->locations =
		number_ids(frames, "location", profile->n_location, location_id, &error);
	return error ? error : fill_locations(frames);
}

int pprof_frames__new(struct pprof_frames **made, const Pprof__Profile *profile,
		      const struct pprof_comments *comments, struct snapshot *snapshot,
		      char why[PPROF_WHY])
{
	struct pprof_frames *frames = calloc(1, sizeof(*frames));

	*made = frames;
	if (!frames)
		return -ENOMEM;
	frames->profile = profile;
	frames->comments = comments;
	frames->snapshot = snapshot;
	frames->why = why;
	frames->arena = arena__new(SIZE_MAX);
	return frames->arena ? fill(frames) : -ENOMEM;
}

void pprof_frames__free(struct pprof_frames *frames)
{
	if (!frames)
		return;
	for (int end = 0; end < ENDS; end++)
		HASH_CLEAR(hh, frames->stacks[end]);
	numbering__free(frames->functions);
	numbering__free(frames->mappings);
	numbering__free(frames->locations);
	arena__free(frames->arena);
	free(frames->items);
	free(frames->all);
	free(frames);
}

/* Ids are most often the numbers from 1 on, in their order. */
static const struct location *find_location(const struct pprof_frames *frames, uint64_t id)
{
	size_t count = numbering__count(frames->locations);
	int64_t index = (int64_t)id - 1;

	if (id > count || location_id(frames->profile, (size_t)index) != id)
		index = numbering__find(frames->locations, &id);
	return index < 0 ? NULL : &frames->items[index];
}

/* How many frames the sample's locations have in all, if there is room for them. */
static int measure(struct pprof_frames *frames, const Pprof__Sample *sample, uint32_t *depth)
{
	size_t count = 0;

	for (size_t i = 0; i < sample->n_location_id; i++) {
		const struct location *location = find_location(frames, sample->location_id[i]);

		if (!location)
			return refuse(frames, "is damaged: location %" PRIu64 " is missing",
				      sample->location_id[i]);
		count += location->count;
		if (frames->total + count > MAX_FRAMES)
			return refuse(frames, "has more than %d frames in its stacks", MAX_FRAMES);
	}
	frames->total += count;
	*depth = (uint32_t)count;
	return 0;
}

static int add_stack(struct pprof_frames *frames, const Pprof__Sample *sample, enum stack_end end)
{
	struct stack stack = { .end = end, .id = end };
	int error = measure(frames, sample, &stack.depth);
	const struct frame **next;

	if (error)
		return error;
	stack.frames = next = snapshot__frames(frames->snapshot, stack.depth);
	if (!next)
		return -ENOMEM;
	for (size_t i = 0; i < sample->n_location_id; i++) {
		const struct location *location = find_location(frames, sample->location_id[i]);

		memcpy(next, location->frames, location->count * sizeof(*next));
		next += location->count;
		stack.id = mix(stack.id, location->hash);
	}
	return snapshot__adopt_stack(frames->snapshot, &stack);
}

int pprof_frames__add(struct pprof_frames *frames, const Pprof__Sample *sample, enum stack_end end)
{
	size_t size = sample->n_location_id * sizeof(*sample->location_id);
	const void *ids = sample->location_id ? (const void *)sample->location_id : "";
	struct known_stack *known;
	int index;

	if (size > INT32_MAX)
		return refuse(frames, "has a stack that is too deep");
	HASH_FIND(hh, frames->stacks[end], ids, size, known);
	if (known)
		return known->index;
	index = add_stack(frames, sample, end);
	known = arena__alloc(frames->arena, sizeof(*known));
	if (index < 0 || !known)
		return index < 0 ? index : -ENOMEM;
	known->index = index;
	HASH_ADD_KEYPTR(hh, frames->stacks[end], ids, size, known);
	return known->hh.tbl ? index : -ENOMEM;
}
