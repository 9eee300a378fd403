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

/* A frame, and those inlined into it: where nothing is said of what it is inlined into, a chain. */
struct location_key {
	uint32_t before; /* number of the chain that is inlined into the frame + 1; 0: none is */
	uint32_t frame; /* its id */
};

struct pprof_stacks {
	const struct snapshot *snapshot;
	struct arena *arena;
	struct pprof_texts *texts;
	struct numbering *mappings, *functions, *chains, *locations;
	uint32_t *alone; /* by frame id: its location, when nothing is inlined into it; 0: new */
};

struct pprof_stacks *pprof_stacks__new(const struct snapshot *snapshot, struct pprof_texts *texts,
				       struct arena *arena)
{
	struct pprof_stacks *stacks = calloc(1, sizeof(*stacks));

	if (!stacks)
		return NULL;
	stacks->snapshot = snapshot;
	stacks->texts = texts;
	stacks->arena = arena;
	stacks->mappings = numbering__new(sizeof(struct mapping_key));
	stacks->functions = numbering__new(sizeof(struct function_key));
	stacks->chains = numbering__new(sizeof(struct location_key));
	stacks->locations = numbering__new(sizeof(struct location_key));
	stacks->alone = calloc(snapshot__frame_count(snapshot) + 1, sizeof(*stacks->alone));
	if (stacks->mappings && stacks->functions && stacks->chains && stacks->locations &&
	    stacks->alone)
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
	numbering__free(stacks->chains);
	numbering__free(stacks->locations);
	free(stacks->alone);
	free(stacks);
}

static void *take(struct pprof_stacks *stacks, size_t count, size_t size)
{
	return arena__alloc(stacks->arena, count * size);
}

/* 0: none is needed. */
static int64_t mapping_of(struct pprof_stacks *stacks, const struct frame *frame)
{
	const struct mapping_key key = {
		.module = frame->module,
		.path = frame->path,
		.build_id = frame->build_id,
		.kind = frame->kind,
		.traits = (frame->has_offset ? HAS_OFFSET : 0) | (frame->inlined ? INLINED : 0),
	};
	int64_t number;

	if (!frame->module && !frame->path && !frame->build_id && frame->kind == FRAME_UNKNOWN &&
	    !frame->inlined && frame->has_offset == (frame->offset != 0))
		return 0;
	number = numbering__add(stacks->mappings, &key);
	return number < 0 ? number : number + 1;
}

/* One location can hold both: the first is inlined into the second. */
static bool is_inlined_into(const struct frame *frame, const struct frame *next)
{
	return frame->inlined && frame->kind == next->kind &&
	       frame->has_offset == next->has_offset && frame->offset == next->offset &&
	       frame->module == next->module && frame->path == next->path &&
	       frame->build_id == next->build_id;
}

/* Id of the location that holds `count` frames. */
static int64_t location_of(struct pprof_stacks *stacks, const struct frame *const *frames,
			   uint32_t count)
{
	struct location_key key = { 0, snapshot__frame_id(frames[0]) };
	int64_t number;

	for (uint32_t i = 1; i < count; i++) {
		number = numbering__add(stacks->chains, &key);
		if (number < 0)
			return number;
		key = (struct location_key){ (uint32_t)number + 1, snapshot__frame_id(frames[i]) };
	}
	number = numbering__add(stacks->locations, &key);
	return number < 0 ? number : number + 1;
}

static int64_t location_alone(struct pprof_stacks *stacks, const struct frame *const *frame)
{
	uint32_t *known = &stacks->alone[snapshot__frame_id(*frame)];
	int64_t id = *known;

	if (!id && (id = location_of(stacks, frame, 1)) > 0)
		*known = (uint32_t)id;
	return id;
}

/* The first frames of a sample are the sample's last: mappings are numbered from the program on. */
int pprof_stacks__add(struct pprof_stacks *stacks, const struct stack *stack, uint64_t *ids,
		      Pprof__Sample *sample)
{
	uint64_t *at = ids + stack->depth;
	uint32_t end = stack->depth;

	while (end > 0) {
		uint32_t begin = end - 1;
		int64_t location;

		while (begin > 0 && is_inlined_into(stack->frames[begin - 1], stack->frames[begin]))
			begin--;
		location = end - begin == 1
				   ? location_alone(stacks, &stack->frames[begin])
				   : location_of(stacks, &stack->frames[begin], end - begin);
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

static Pprof__Line *make_line(struct pprof_stacks *stacks, const struct frame *frame)
{
	const struct function_key key = { frame->function, frame->file };
	Pprof__Line *line = take(stacks, 1, sizeof(*line));
	int64_t function = numbering__add(stacks->functions, &key);

	if (!line || function < 0)
		return NULL;
	pprof__line__init(line);
	line->function_id = (uint64_t)function + 1;
	line->line = frame->line;
	return line;
}

static const struct location_key *chain_before(const struct pprof_stacks *stacks,
					       const struct location_key *key)
{
	return key->before ? numbering__key(stacks->chains, key->before - 1) : NULL;
}

/* A location without any name has no line. */
static int add_lines(struct pprof_stacks *stacks, Pprof__Location *location,
		     const struct location_key *key)
{
	const struct frame *frame = snapshot__frame(stacks->snapshot, key->frame);
	const struct location_key *at;
	size_t count = 0;

	if (!key->before && !frame->function && !frame->file && !frame->line)
		return 0;
	for (at = key; at; at = chain_before(stacks, at))
		count++;
	location->line = take(stacks, count, sizeof(*location->line));
	if (!location->line)
		return -ENOMEM;
	location->n_line = count;
	for (at = key; at; at = chain_before(stacks, at)) {
		frame = snapshot__frame(stacks->snapshot, at->frame);
		location->line[--count] = make_line(stacks, frame);
		if (!location->line[count])
			return -ENOMEM;
	}
	return 0;
}

static int fill_location(struct pprof_stacks *stacks, Pprof__Location *location, size_t number)
{
	const struct location_key *key = numbering__key(stacks->locations, number);
	const struct frame *frame = snapshot__frame(stacks->snapshot, key->frame);
	int64_t mapping = mapping_of(stacks, frame);

	pprof__location__init(location);
	location->id = number + 1;
	location->mapping_id = (uint64_t)mapping;
	location->address = frame->has_offset ? frame->offset : 0;
	return mapping < 0 ? -ENOMEM : add_lines(stacks, location, key);
}

static int add_locations(struct pprof_stacks *stacks, Pprof__Profile *profile)
{
	size_t count = numbering__count(stacks->locations);
	Pprof__Location **locations = take(stacks, count + 1, sizeof(*locations));
	Pprof__Location *items = take(stacks, count + 1, sizeof(*items));

	if (!locations || !items)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		locations[i] = &items[i];
		if (fill_location(stacks, &items[i], i))
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

/* Locations make functions and mappings: so they come first. */
int pprof_stacks__fill(struct pprof_stacks *stacks, Pprof__Profile *profile)
{
	int error = add_locations(stacks, profile);

	error = error ? error : add_functions(stacks, profile);
	return error ? error : add_mappings(stacks, profile);
}
