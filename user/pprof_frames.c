/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pprof_frames.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numbering.h"

/* In all stacks of a file: each takes 8 bytes. A hundred thousand stacks of 30 have 3 million. */
enum { MAX_FRAMES = 32 * 1024 * 1024 };
/* In the stacks of all samples, of which many may have one: what it takes to read them. */
enum { MAX_SAMPLED_FRAMES = 8 * MAX_FRAMES };
/* Different stacks of one hash: by chance there are never two. */
enum { MAX_SAME_HASH = 64 };

/* Ids are any numbers but 0, each used once; most often those from 1 on, in their order. */
struct ids {
	size_t count;
	struct numbering *numbers; /* NULL: they are */
};

struct place_frame { /* what all frames of a mapping have in common */
	struct frame frame;
	uint64_t base; /* added to an address: the offset in the file */
	uint64_t least; /* of an address to which it is added */
	uint64_t hash;
};

struct names { /* of a function; strings are the snapshot's */
	const char *function, *file;
	bool python; /* as its file says, where nothing else does */
	uint64_t hash;
};

struct location {
	const struct frame **frames;
	uint32_t count;
	uint64_t hash; /* of what is in the frames */
};

struct stack_key { /* the same for few */
	uint64_t id; /* a hash */
	uint64_t which; /* of those with the same */
};

struct pprof_frames {
	const Pprof__Profile *profile;
	const struct pprof_comments *comments;
	struct snapshot *snapshot;
	char *why;
	struct ids function_ids, mapping_ids, location_ids;
	struct names *functions;
	struct place_frame *mappings;
	struct location *locations;
	const struct frame **all; /* of the locations */
	size_t total; /* in the stacks */
	size_t sampled; /* in those of all samples */
	struct numbering *stacks; /* numbers are indices in the snapshot */
	const struct frame **scratch; /* of the stack that is put together */
	size_t room;
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

typedef uint64_t (*id_reader)(const Pprof__Profile *profile, size_t index);

static bool are_dense(const Pprof__Profile *profile, size_t count, id_reader id_of)
{
	for (size_t i = 0; i < count; i++)
		if (id_of(profile, i) != i + 1)
			return false;
	return true;
}

static int number_ids(struct pprof_frames *frames, struct ids *ids, const char *what, size_t count,
		      id_reader id_of)
{
	ids->count = count;
	if (are_dense(frames->profile, count, id_of))
		return 0;
	ids->numbers = numbering__new(sizeof(uint64_t));
	for (size_t i = 0; i < count; i++) {
		uint64_t id = id_of(frames->profile, i);
		int64_t number = ids->numbers ? numbering__add(ids->numbers, &id) : -ENOMEM;

		if (number < 0)
			return -ENOMEM;
		if (!id || (size_t)number != i)
			return refuse(frames, "is damaged: %s %zu has no id of its own", what, i);
	}
	return ids->numbers || !count ? 0 : -ENOMEM;
}

/* Its index; negative: there is none. */
static int64_t find_id(const struct ids *ids, uint64_t id)
{
	if (ids->numbers)
		return numbering__find(ids->numbers, &id);
	return id - 1 < ids->count ? (int64_t)id - 1 : -ENOENT;
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

static int fill_mapping(struct pprof_frames *frames, size_t index)
{
	const Pprof__Mapping *mapping = frames->profile->mapping[index];
	struct place_frame *item = &frames->mappings[index];
	struct frame *frame = &item->frame;
	struct place place;
	int error = 0;

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
	frame->module = snapshot__intern(frames->snapshot, place.module);
	frame->path = snapshot__intern(frames->snapshot, place.path);
	item->least = mapping->memory_start;
	item->base = mapping->file_offset - mapping->memory_start;
	item->hash = mix_string(mix_string(0, frame->path), frame->build_id);
	item->hash = mix_string(item->hash, frame->module);
	return (place.module && !frame->module) || (place.path && !frame->path) ? -ENOMEM : 0;
}

/* Files of others do not say what language a frame is in. */
static bool is_python(const char *file)
{
	size_t length = file ? strlen(file) : 0;

	return length > 3 && !strcmp(file + length - 3, ".py");
}

static int fill_function(struct pprof_frames *frames, size_t index)
{
	const Pprof__Function *function = frames->profile->function[index];
	struct names *names = &frames->functions[index];
	int error = 0;

	names->function = string(frames, function->name, &error);
	if (!error && !names->function)
		names->function = string(frames, function->system_name, &error);
	if (!error)
		names->file = string(frames, function->filename, &error);
	names->python = !frames->comments->own && is_python(names->file);
	names->hash = mix_string(mix_string(0, names->function), names->file);
	return error;
}

/* What all frames of a location have in common. */
static int place_frame(struct pprof_frames *frames, const Pprof__Location *location,
		       struct frame *frame, uint64_t *hash)
{
	const struct place_frame *mapping;
	uint64_t address = location->address;
	int64_t index;

	*frame = (struct frame){ .has_offset = address, .offset = address };
	*hash = 0;
	if (!location->mapping_id)
		return 0;
	index = find_id(&frames->mapping_ids, location->mapping_id);
	if (index < 0)
		return refuse(frames, "is damaged: mapping %" PRIu64 " is missing",
			      location->mapping_id);
	mapping = &frames->mappings[index];
	*frame = mapping->frame;
	*hash = mapping->hash;
	if (frame->has_offset)
		frame->offset = address < mapping->least ? address : address + mapping->base;
	return 0;
}

static int name_frame(struct pprof_frames *frames, const Pprof__Line *line, struct frame *frame,
		      uint64_t *hash)
{
	const struct names *names;
	int64_t index;

	frame->line = line->line > 0 && line->line <= UINT32_MAX ? (uint32_t)line->line : 0;
	if (!line->function_id)
		return 0;
	index = find_id(&frames->function_ids, line->function_id);
	if (index < 0)
		return refuse(frames, "is damaged: function %" PRIu64 " is missing",
			      line->function_id);
	names = &frames->functions[index];
	frame->function = names->function;
	frame->file = names->file;
	*hash = mix(*hash, names->hash);
	if (names->python) {
		frame->kind = FRAME_PYTHON;
		frame->has_offset = false;
		frame->offset = 0;
	}
	return 0;
}

static uint64_t hash_frame(uint64_t hash, const struct frame *frame)
{
	hash = mix(hash, frame->kind * 4 + frame->inlined * 2 + frame->has_offset);
	return mix(mix(hash, frame->line), frame->offset);
}

static int fill_location(struct pprof_frames *frames, struct location *item,
			 const Pprof__Location *location)
{
	struct frame place;
	uint64_t hash;
	int error = place_frame(frames, location, &place, &hash);

	item->hash = hash;
	item->count = location->n_line ? (uint32_t)location->n_line : 1;
	for (uint32_t i = 0; i < item->count && !error; i++) {
		struct frame frame = place;

		frame.inlined |= i + 1 < location->n_line;
		if (location->n_line)
			error = name_frame(frames, location->line[i], &frame, &item->hash);
		item->hash = hash_frame(item->hash, &frame);
		item->frames[i] = snapshot__adopt_frame(frames->snapshot, &frame);
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
	next = frames->all = calloc(count + 1, sizeof(*frames->all));
	if (!frames->all)
		return -ENOMEM;
	for (size_t i = 0; i < profile->n_location && !error; i++) {
		frames->locations[i].frames = next;
		error = fill_location(frames, &frames->locations[i], profile->location[i]);
		next += frames->locations[i].count;
	}
	return error;
}

static int number_all(struct pprof_frames *frames)
{
	const Pprof__Profile *profile = frames->profile;
	int error = number_ids(frames, &frames->function_ids, "function", profile->n_function,
			       function_id);

	error = error ? error
		      : number_ids(frames, &frames->mapping_ids, "mapping", profile->n_mapping,
				   mapping_id);
	return error ? error
		     : number_ids(frames, &frames->location_ids, "location", profile->n_location,
				  location_id);
}

static int fill(struct pprof_frames *frames)
{
	const Pprof__Profile *profile = frames->profile;
	int error;

	frames->functions = calloc(profile->n_function + 1, sizeof(*frames->functions));
	frames->mappings = calloc(profile->n_mapping + 1, sizeof(*frames->mappings));
	frames->locations = calloc(profile->n_location + 1, sizeof(*frames->locations));
	if (!frames->functions || !frames->mappings || !frames->locations)
		return -ENOMEM;
	error = number_all(frames);
	for (size_t i = 0; i < profile->n_function && !error; i++)
		error = fill_function(frames, i);
	for (size_t i = 0; i < profile->n_mapping && !error; i++)
		error = fill_mapping(frames, i);
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
	frames->stacks = numbering__new(sizeof(struct stack_key));
	return frames->stacks ? fill(frames) : -ENOMEM;
}

void pprof_frames__free(struct pprof_frames *frames)
{
	if (!frames)
		return;
	numbering__free(frames->stacks);
	numbering__free(frames->function_ids.numbers);
	numbering__free(frames->mapping_ids.numbers);
	numbering__free(frames->location_ids.numbers);
	free(frames->scratch);
	free(frames->functions);
	free(frames->mappings);
	free(frames->locations);
	free(frames->all);
	free(frames);
}

static int make_room(struct pprof_frames *frames, size_t count)
{
	size_t room = count * 2;
	const struct frame **scratch;

	if (count <= frames->room)
		return 0;
	if (count > MAX_FRAMES)
		return refuse(frames, "has a stack that is too deep");
	scratch = reallocarray(frames->scratch, room, sizeof(*scratch));
	if (!scratch)
		return -ENOMEM;
	frames->scratch = scratch;
	frames->room = room;
	return 0;
}

/* In the scratch. */
static int put_together(struct pprof_frames *frames, const Pprof__Sample *sample,
			struct stack *stack)
{
	size_t depth = 0;

	for (size_t i = 0; i < sample->n_location_id; i++) {
		int64_t index = find_id(&frames->location_ids, sample->location_id[i]);
		const struct location *location = index < 0 ? NULL : &frames->locations[index];
		int error;

		if (!location)
			return refuse(frames, "is damaged: location %" PRIu64 " is missing",
				      sample->location_id[i]);
		frames->sampled += location->count;
		if (frames->sampled > MAX_SAMPLED_FRAMES)
			return refuse(frames, "has more than %d frames in its samples",
				      MAX_SAMPLED_FRAMES);
		error = make_room(frames, depth + location->count);
		if (error)
			return error;
		for (uint32_t k = 0; k < location->count; k++)
			frames->scratch[depth++] = location->frames[k];
		stack->id = mix(stack->id, location->hash);
	}
	stack->frames = frames->scratch;
	stack->depth = (uint32_t)depth;
	return 0;
}

static bool is_same(const struct stack *a, const struct stack *b)
{
	return a->end == b->end && a->depth == b->depth &&
	       !memcmp(a->frames, b->frames, a->depth * sizeof(*a->frames));
}

static int add_stack(struct pprof_frames *frames, struct stack *stack)
{
	const struct frame **copy;

	frames->total += stack->depth;
	if (frames->total > MAX_FRAMES)
		return refuse(frames, "has more than %d frames in its stacks", MAX_FRAMES);
	copy = snapshot__frames(frames->snapshot, stack->depth);
	if (!copy)
		return -ENOMEM;
	if (stack->depth)
		memcpy(copy, stack->frames, stack->depth * sizeof(*copy));
	stack->frames = copy;
	return snapshot__adopt_stack(frames->snapshot, stack);
}

int pprof_frames__add(struct pprof_frames *frames, const Pprof__Sample *sample, enum stack_end end)
{
	struct stack stack = { .end = end, .id = end };
	int error = put_together(frames, sample, &stack);
	struct stack_key key = { .id = stack.id };
	int64_t index;

	if (error)
		return error;
	for (; key.which < MAX_SAME_HASH; key.which++) {
		index = numbering__add(frames->stacks, &key);
		if (index < 0)
			return -ENOMEM;
		if ((size_t)index == snapshot__stack_count(frames->snapshot))
			return add_stack(frames, &stack);
		if (is_same(snapshot__stack(frames->snapshot, (size_t)index), &stack))
			return (int)index;
	}
	return refuse(frames, "has more than %d stacks of one hash", MAX_SAME_HASH);
}
