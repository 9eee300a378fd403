/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pprof_stacks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "numbering.h"
#include "pprof_words.h"

/*
 * All mappings begin at 0, so that an address is an offset in the file, and end here, so that
 * readers which compare their sizes find a file that grew to be the same.
 */
static const uint64_t MAPPING_END = 1ULL << 47;

/* Strings are the snapshot's, so that pointers stand for them. Keys have no padding. */
struct mapping_key {
	const char *module, *path, *build_id;
	uint32_t kind, traits;
};
enum { HAS_OFFSET = 1, INLINED = 2 };

struct function_key {
	const char *name, *file;
};

struct line_key { /* a line of a location */
	struct function_key function;
	uint64_t address;
	uint32_t mapping; /* its number + 1; 0: none */
	uint32_t line;
};

struct chain_key { /* frames inlined into each other, innermost first: the last, and those before */
	uint32_t before; /* number of a group + 1; 0: none */
	uint32_t line; /* number of a line */
};

struct pprof_stacks {
	struct arena *arena;
	struct pprof_texts *texts;
	struct numbering *mappings, *functions, *lines, *groups;
	uint32_t *locations; /* by group: the location's id, 0: it is only the begin of others */
	size_t location_room, location_count;
	struct mapping_key last_key; /* neighbouring frames often have one mapping */
	uint32_t last_mapping; /* its number + 1; 0: none yet */
};

struct pprof_stacks *pprof_stacks__new(struct pprof_texts *texts, struct arena *arena)
{
	struct pprof_stacks *stacks = calloc(1, sizeof(*stacks));

	if (!stacks)
		return NULL;
	stacks->texts = texts;
	stacks->arena = arena;
	stacks->mappings = numbering__new(sizeof(struct mapping_key));
	stacks->functions = numbering__new(sizeof(struct function_key));
	stacks->lines = numbering__new(sizeof(struct line_key));
	stacks->groups = numbering__new(sizeof(struct chain_key));
	if (stacks->mappings && stacks->functions && stacks->lines && stacks->groups)
		return stacks;
	pprof_stacks__free(stacks);
	return NULL;
}

void pprof_stacks__free(struct pprof_stacks *stacks)
{
	if (!stacks)
		return;
	numbering__free(stacks->mappings);
	numbering__free(stacks->functions);
	numbering__free(stacks->lines);
	numbering__free(stacks->groups);
	free(stacks->locations);
	free(stacks);
}

static void *take(struct pprof_stacks *stacks, size_t count, size_t size)
{
	return arena__alloc(stacks->arena, count * size);
}

static int64_t mapping_of(struct pprof_stacks *stacks, const struct frame *frame, bool inlined)
{
	const struct mapping_key key = {
		.module = frame->module,
		.path = frame->path,
		.build_id = frame->build_id,
		.kind = frame->kind,
		.traits = (frame->has_offset ? HAS_OFFSET : 0) | (inlined ? INLINED : 0),
	};
	int64_t number;

	if (!frame->module && !frame->path && !frame->build_id && frame->kind == FRAME_UNKNOWN &&
	    !inlined && frame->has_offset == (frame->offset != 0))
		return 0;
	if (stacks->last_mapping && !memcmp(&key, &stacks->last_key, sizeof(key)))
		return stacks->last_mapping;
	number = numbering__add(stacks->mappings, &key);
	if (number < 0)
		return number;
	stacks->last_key = key;
	stacks->last_mapping = (uint32_t)number + 1;
	return number + 1;
}

/* One location can hold both: the first is inlined into the second. */
static bool is_inlined_into(const struct frame *frame, const struct frame *next)
{
	return frame->inlined && frame->kind == next->kind &&
	       frame->has_offset == next->has_offset && frame->offset == next->offset &&
	       frame->module == next->module && frame->path == next->path &&
	       frame->build_id == next->build_id;
}

/* For the location of a group. */
static int make_room(struct pprof_stacks *stacks, size_t group)
{
	size_t room = stacks->location_room ? stacks->location_room : 1024;
	uint32_t *locations;

	while (room <= group)
		room *= 2;
	if (room == stacks->location_room)
		return 0;
	locations = reallocarray(stacks->locations, room, sizeof(*locations));
	if (!locations)
		return -ENOMEM;
	memset(locations + stacks->location_room, 0,
	       (room - stacks->location_room) * sizeof(*locations));
	stacks->locations = locations;
	stacks->location_room = room;
	return 0;
}

/* Id of the location that holds `count` frames. */
static int64_t location_of(struct pprof_stacks *stacks, const struct frame *frames, uint32_t count)
{
	const struct frame *last = &frames[count - 1];
	int64_t mapping = mapping_of(stacks, last, last->inlined), group = -1;

	for (uint32_t i = 0; i < count && mapping >= 0; i++) {
		const struct line_key key = {
			.function = { frames[i].function, frames[i].file },
			.address = frames[i].has_offset ? frames[i].offset : 0,
			.mapping = (uint32_t)mapping,
			.line = frames[i].line,
		};
		int64_t line = numbering__add(stacks->lines, &key);
		struct chain_key pair = { (uint32_t)(group + 1), (uint32_t)line };

		group = line < 0 ? line : numbering__add(stacks->groups, &pair);
		if (group < 0)
			return group;
	}
	if (mapping < 0 || make_room(stacks, (size_t)group))
		return -ENOMEM;
	if (!stacks->locations[group])
		stacks->locations[group] = (uint32_t)++stacks->location_count;
	return stacks->locations[group];
}

/* The first frames of a sample are the sample's last: mappings are numbered from the program on. */
int pprof_stacks__add(struct pprof_stacks *stacks, const struct stack *stack, Pprof__Sample *sample)
{
	uint32_t end = stack->depth;
	uint64_t *ids = take(stacks, stack->depth + 1, sizeof(*ids)), *at = ids + stack->depth;

	if (!ids)
		return -ENOMEM;
	while (end > 0) {
		uint32_t begin = end - 1;
		int64_t location;

		while (begin > 0 &&
		       is_inlined_into(&stack->frames[begin - 1], &stack->frames[begin]))
			begin--;
		location = location_of(stacks, &stack->frames[begin], end - begin);
		if (location < 0)
			return (int)location;
		*--at = (uint64_t)location;
		end = begin;
	}
	sample->location_id = at;
	sample->n_location_id = (size_t)(ids + stack->depth - at);
	return 0;
}

/* Tables. */

static int add_functions(struct pprof_stacks *stacks, Pprof__Profile *profile)
{
	size_t count = numbering__count(stacks->functions);
	Pprof__Function **functions = take(stacks, count + 1, sizeof(*functions));
	Pprof__Function *items = take(stacks, count + 1, sizeof(*items));

	if (!functions || !items)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct function_key *key = numbering__key(stacks->functions, i);
		int64_t name = pprof_texts__string(stacks->texts, key->name);
		int64_t file = pprof_texts__string(stacks->texts, key->file);

		if (name < 0 || file < 0)
			return -ENOMEM;
		pprof__function__init(&items[i]);
		items[i].id = i + 1;
		items[i].name = items[i].system_name = name;
		items[i].filename = file;
		functions[i] = &items[i];
	}
	profile->function = functions;
	profile->n_function = count;
	return 0;
}

static Pprof__Line *make_line(struct pprof_stacks *stacks, const struct line_key *key)
{
	Pprof__Line *line = take(stacks, 1, sizeof(*line));
	int64_t function = numbering__add(stacks->functions, &key->function);

	if (!line || function < 0)
		return NULL;
	pprof__line__init(line);
	line->function_id = (uint64_t)function + 1;
	line->line = key->line;
	return line;
}

/* A location without any name has no line. */
static int fill_location(struct pprof_stacks *stacks, Pprof__Location *location, uint32_t group)
{
	const struct chain_key *key = numbering__key(stacks->groups, group);
	const struct line_key *line = numbering__key(stacks->lines, key->line);
	const struct chain_key *at = key;
	size_t count = 1;

	location->mapping_id = line->mapping;
	location->address = line->address;
	if (!key->before && !line->function.name && !line->function.file && !line->line)
		return 0;
	for (; at->before; at = numbering__key(stacks->groups, at->before - 1))
		count++;
	location->line = take(stacks, count, sizeof(*location->line));
	if (!location->line)
		return -ENOMEM;
	location->n_line = count;
	for (at = key; count > 0; at = numbering__key(stacks->groups, at->before - 1)) {
		location->line[--count] =
			make_line(stacks, numbering__key(stacks->lines, at->line));
		if (!location->line[count])
			return -ENOMEM;
		if (!at->before)
			break;
	}
	return 0;
}

static int add_locations(struct pprof_stacks *stacks, Pprof__Profile *profile)
{
	size_t count = stacks->location_count;
	Pprof__Location **locations = take(stacks, count + 1, sizeof(*locations));
	Pprof__Location *items = take(stacks, count + 1, sizeof(*items));

	if (!locations || !items)
		return -ENOMEM;
	for (size_t group = 0; group < numbering__count(stacks->groups); group++) {
		uint32_t id = stacks->locations[group];
		Pprof__Location *location = id ? &items[id - 1] : NULL;

		if (!location)
			continue;
		pprof__location__init(location);
		location->id = id;
		locations[id - 1] = location;
		if (fill_location(stacks, location, (uint32_t)group))
			return -ENOMEM;
	}
	profile->location = locations;
	profile->n_location = count;
	return 0;
}

/* A comment where the file's name does not say all. */
static int describe_mapping(struct pprof_stacks *stacks, uint64_t id, const struct place *place,
			    const char *filename)
{
	struct place said = place__of_file(filename);

	if (place__equal(place, &said))
		return 0;
	return pprof_texts__comment(stacks->texts, "mapping: %" PRIu64 " %s -%s%s%s%s %s", id,
				    kind_names[place->kind], place->has_offset ? "o" : "",
				    place->inlined ? "i" : "", place->path ? "p" : "",
				    place->module ? "m" : "", place->module ? place->module : "");
}

static Pprof__Mapping *make_mapping(struct pprof_stacks *stacks, uint64_t id,
				    const struct mapping_key *key)
{
	static const char *const marks[] = {
		[FRAME_UNKNOWN] = "",  [FRAME_NATIVE] = "",         [FRAME_PYTHON] = "[python]",
		[FRAME_JIT] = "[jit]", [FRAME_KERNEL] = "[kernel]",
	};
	const struct place place = {
		.kind = key->kind,
		.has_offset = key->traits & HAS_OFFSET,
		.inlined = key->traits & INLINED,
		.module = key->module,
		.path = key->path,
	};
	const char *filename = key->path ? key->path : key->module;
	Pprof__Mapping *mapping = take(stacks, 1, sizeof(*mapping));
	int error = describe_mapping(stacks, id, &place, filename ? filename : marks[key->kind]);

	if (!mapping || error)
		return NULL;
	pprof__mapping__init(mapping);
	mapping->id = id;
	mapping->memory_limit = MAPPING_END;
	mapping->filename = filename ? pprof_texts__string(stacks->texts, filename)
				     : pprof_texts__word(stacks->texts, marks[key->kind]);
	mapping->build_id = pprof_texts__string(stacks->texts, key->build_id);
	/* Nobody needs to look for names: those that can be found were. */
	mapping->has_functions = mapping->has_filenames = true;
	mapping->has_line_numbers = mapping->has_inline_frames = true;
	return mapping->filename < 0 || mapping->build_id < 0 ? NULL : mapping;
}

static int add_mappings(struct pprof_stacks *stacks, Pprof__Profile *profile)
{
	size_t count = numbering__count(stacks->mappings);
	Pprof__Mapping **mappings = take(stacks, count + 1, sizeof(*mappings));

	if (!mappings)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		mappings[i] = make_mapping(stacks, i + 1, numbering__key(stacks->mappings, i));
		if (!mappings[i])
			return -ENOMEM;
	}
	profile->mapping = mappings;
	profile->n_mapping = count;
	return 0;
}

/* Lines make functions: so locations come first. */
int pprof_stacks__fill(struct pprof_stacks *stacks, Pprof__Profile *profile)
{
	int error = add_locations(stacks, profile);

	error = error ? error : add_functions(stacks, profile);
	return error ? error : add_mappings(stacks, profile);
}
