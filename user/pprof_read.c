/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "gzip.h"
#include "numbering.h"
#include "pprof.h"
#include "pprof_comments.h"
#include "pprof_frames.h"
#include "pprof_words.h"
#include "wire.h"

/*
 * What a file may cost, however small it is packed: a snapshot of 100 000 sites with 30 frames has
 * 20 MB of messages. Samples, which are most of it, are taken apart one by one; the others take
 * some 50 MB then.
 */
static const size_t MAX_UNPACKED = 512 * 1024 * 1024;
static const size_t MAX_MESSAGES = 1024UL * 1024 * 1024;
static const size_t MAX_SAMPLE = 64UL * 1024 * 1024;
enum { SAMPLE_FIELD = 2 }; /* of the profile, as in pprof.proto */
enum { MAX_SAMPLES = 8 * 1024 * 1024 };

/* A process of a file: memwatch's are listed in comments, those of others are in labels. */
struct process_key {
	uint64_t pid;
	uint64_t which; /* own: its instance. Others: index of the name in the string table */
};

struct site_key { /* others have several samples for a site, one for each size of block */
	uint32_t process, stack;
};

struct reading {
	struct profile *out;
	char *why;
	void *unpacked; /* what was packed */
	struct wire messages;
	size_t sample_count;
	struct arena *arena, *sample_arena;
	Pprof__Profile *profile; /* without its samples */
	struct pprof_comments comments;
	struct pprof_frames *frames;
	int column[VALUES]; /* of each value in a sample; -1: the file has none */
	struct numbering *process_keys, *site_keys;
	struct process *processes; /* of others' files: by process key */
	size_t process_room;
	struct site *sites;
	size_t site_count;
	int64_t allocated, counted, peaks; /* sums: none may overflow */
};

static int __attribute__((format(printf, 2, 3)))
refuse(struct reading *reading, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reading->why, PPROF_WHY, format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

/* Bytes to messages. */

static void *allocate(void *arena, size_t size)
{
	return arena__alloc(arena, size);
}

static void ignore(void *arena, void *piece)
{
	(void)arena;
	(void)piece;
}

static bool begins(const struct wire *messages, const char *text)
{
	size_t length = strlen(text);

	return (size_t)(messages->end - messages->at) >= length &&
	       !memcmp(messages->at, text, length);
}

/* Allocators' own profilers write text, of which some tools make profiles. */
static int refuse_strange(struct reading *reading)
{
	if (begins(&reading->messages, "heap profile:"))
		return refuse(reading, "is a heap profile as text: "
				       "`go tool pprof -proto` makes a pprof profile of it");
	if (begins(&reading->messages, "heap_v2/"))
		return refuse(reading, "is a heap profile of jemalloc's, as text for jeprof: "
				       "it is no pprof profile");
	return refuse(reading, "is no pprof profile, or damaged");
}

static int parse(struct reading *reading, const void *data, size_t size)
{
	ProtobufCAllocator allocator = { allocate, ignore, reading->arena };

	reading->profile = pprof__profile__unpack(&allocator, size, data);
	if (!reading->profile)
		return refuse_strange(reading);
	if (!reading->profile->n_sample_type || !reading->profile->n_string_table)
		return refuse(reading, "is no pprof profile: it has no sample types");
	return 0;
}

/* Messages may stand in any order: all but the samples come first. */
static int set_samples_aside(struct reading *reading)
{
	struct wire messages = reading->messages;
	uint8_t *others = malloc((size_t)(messages.end - messages.at) + 1), *to = others;
	struct field field;
	int result;

	if (!others)
		return -ENOMEM;
	while ((result = wire__next(&messages, &field)) > 0) {
		if (field.number == SAMPLE_FIELD && field.data) {
			reading->sample_count++;
			continue;
		}
		memcpy(to, field.whole, field.whole_size);
		to += field.whole_size;
	}
	if (result)
		result = refuse_strange(reading);
	else if (reading->sample_count > MAX_SAMPLES)
		result = refuse(reading, "has more than %d samples", MAX_SAMPLES);
	else
		result = parse(reading, others, (size_t)(to - others));
	free(others);
	return result;
}

static int unpack(struct reading *reading, const void *data, size_t size)
{
	size_t length;
	int error;

	reading->messages = (struct wire){ data, (const uint8_t *)data + size };
	if (size == 0)
		return refuse(reading, "is empty");
	if (!gzip__is(data, size))
		return size > MAX_UNPACKED ? refuse(reading, "is too large") : 0;
	error = gzip__unpack(data, size, MAX_UNPACKED, &reading->unpacked, &length);
	if (error == -EFBIG)
		return refuse(reading, "is too large: it unpacks to more than %zu MiB",
			      MAX_UNPACKED >> 20);
	if (error == -ENODATA)
		return refuse(reading, "is cut off");
	if (error)
		return error == -ENOMEM ? error : refuse(reading, "is damaged: gzip finds errors");
	reading->messages.at = reading->unpacked;
	reading->messages.end = reading->messages.at + length;
	return 0;
}

/* memwatch's own strings may hold escaped bytes. They only get shorter. */
static int check_strings(struct reading *reading)
{
	Pprof__Profile *profile = reading->profile;
	uint64_t first = profile->n_comment ? (uint64_t)profile->comment[0] : UINT64_MAX;
	bool own = first < profile->n_string_table &&
		   !strncmp(profile->string_table[first], "memwatch: ", strlen("memwatch: "));

	for (size_t i = 0; i < profile->n_string_table; i++) {
		char *text = profile->string_table[i];

		if (!words__is_utf8(text))
			return refuse(reading, "is damaged: string %zu is not UTF-8", i);
		if (own)
			text[words__decode(text, text)] = '\0';
	}
	if (*profile->string_table[0])
		return refuse(reading, "is damaged: the first string is not empty");
	return 0;
}

static const char *string(const struct reading *reading, int64_t index)
{
	const Pprof__Profile *profile = reading->profile;

	return (uint64_t)index < profile->n_string_table ? profile->string_table[index] : "";
}

/* Sample types. */

/* Other names of the same: what converters of older formats write. */
static const struct {
	const char *name;
	enum value value;
} aliases[] = {
	{ "objects", INUSE_OBJECTS },
	{ "space", INUSE_SPACE },
	{ "allocations", ALLOC_OBJECTS },
	{ "allocated_bytes", ALLOC_SPACE },
};

static int find_value(const char *name)
{
	for (int i = 0; i < VALUES; i++)
		if (!strcmp(name, value_names[i]))
			return i;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (!strcmp(name, aliases[i].name))
			return (int)aliases[i].value;
	return -1;
}

static int find_columns(struct reading *reading)
{
	const Pprof__Profile *profile = reading->profile;
	const int *column = reading->column;

	for (int i = 0; i < VALUES; i++)
		reading->column[i] = -1;
	for (size_t i = 0; i < profile->n_sample_type && i < INT32_MAX; i++) {
		int value = find_value(string(reading, profile->sample_type[i]->type));

		if (value >= 0 && (value < PEAK_SPACE || reading->comments.own))
			reading->column[value] = (int)i;
	}
	if (column[INUSE_SPACE] < 0 && column[ALLOC_SPACE] < 0)
		return refuse(reading, "holds no memory: its first sample type is %.40s",
			      string(reading, profile->sample_type[0]->type));
	reading->out->holds = (column[INUSE_SPACE] >= 0) << SORT_LIVE |
			      (column[INUSE_OBJECTS] >= 0) << SORT_COUNT |
			      (column[ALLOC_SPACE] >= 0) << SORT_ALLOC |
			      (column[ALLOC_OBJECTS] >= 0) << SORT_ALLOCS |
			      (column[PEAK_SPACE] >= 0) << SORT_PEAK |
			      (column[GROWTH_SPACE] >= 0) << SORT_GROWTH;
	return 0;
}

/* Samples. */

/* Figures of a sample. In the books of others more may be in use than was allocated: sampling. */
static int read_values(struct reading *reading, const Pprof__Sample *sample, struct site *site)
{
	struct counters *counters = &site->counters;
	double interval = reading->comments.interval_s;
	int64_t values[VALUES];

	if (sample->n_value != reading->profile->n_sample_type)
		return refuse(reading, "is damaged: a sample has %zu values, not %zu",
			      sample->n_value, reading->profile->n_sample_type);
	for (int i = 0; i < VALUES; i++) {
		values[i] = reading->column[i] < 0 ? 0 : sample->value[reading->column[i]];
		if (values[i] < 0 && i != GROWTH_SPACE)
			return refuse(reading,
				      "has negative values: it is a difference, no snapshot");
	}
	if (values[ALLOC_SPACE] < values[INUSE_SPACE])
		values[ALLOC_SPACE] = values[INUSE_SPACE];
	if (values[ALLOC_OBJECTS] < values[INUSE_OBJECTS])
		values[ALLOC_OBJECTS] = values[INUSE_OBJECTS];
	if (__builtin_add_overflow(reading->allocated, values[ALLOC_SPACE], &reading->allocated) ||
	    __builtin_add_overflow(reading->counted, values[ALLOC_OBJECTS], &reading->counted) ||
	    __builtin_add_overflow(reading->peaks, values[PEAK_SPACE], &reading->peaks))
		return refuse(reading, "is damaged: its values add up to more than 2^63");
	counters->live_bytes = (uint64_t)values[INUSE_SPACE];
	counters->live_count = (uint64_t)values[INUSE_OBJECTS];
	counters->freed_bytes = (uint64_t)(values[ALLOC_SPACE] - values[INUSE_SPACE]);
	counters->freed_count = (uint64_t)(values[ALLOC_OBJECTS] - values[INUSE_OBJECTS]);
	counters->peak_bytes = (uint64_t)values[PEAK_SPACE];
	site->growth = interval > 0 ? (double)values[GROWTH_SPACE] / interval : 0;
	return 0;
}

static void read_labels(struct reading *reading, const Pprof__Sample *sample,
			struct process_key *key, struct site *site, enum stack_end *end)
{
	bool own = reading->comments.own;

	for (size_t i = 0; i < sample->n_label; i++) {
		const Pprof__Label *label = sample->label[i];
		const char *name = string(reading, label->key);
		const char *text = string(reading, label->str);

		if (!strcmp(name, "pid"))
			key->pid = (uint64_t)label->num;
		else if (!strcmp(name, "comm") && !own)
			key->which = (uint64_t)label->str;
		else if (!strcmp(name, "instance") && own)
			key->which = (uint64_t)label->num;
		else if (!strcmp(name, "family") && !strcmp(text, "mmap"))
			site->family = FAMILY_MMAP;
		else if (!strcmp(name, "stack") && own)
			*end = !strcmp(text, "truncated") ? STACK_TRUNCATED : STACK_BROKEN;
	}
}

/* Of others' files: the name is a label's, or the program's. */
static int name_process(struct reading *reading, struct process *process,
			const struct process_key *key)
{
	const Pprof__Profile *profile = reading->profile;
	struct place place = { 0 };

	process->pid = key->pid <= INT32_MAX ? (pid_t)key->pid : 0;
	process->comm = string(reading, (int64_t)key->which);
	if (!*process->comm && profile->n_mapping) {
		place = place__of_file(string(reading, profile->mapping[0]->filename));
		process->comm = place.module;
	}
	return 0;
}

static int64_t process_of(struct reading *reading, const struct process_key *key)
{
	size_t known = numbering__count(reading->process_keys);
	int64_t index = reading->comments.own ? numbering__find(reading->process_keys, key)
					      : numbering__add(reading->process_keys, key);

	if (index == -ENOENT)
		return refuse(reading, "is damaged: process %" PRIu64 " is not listed", key->pid);
	if (index < 0 || (size_t)index < known)
		return index;
	if (known == reading->process_room) {
		size_t room = known ? known * 2 : 16;
		struct process *processes =
			reallocarray(reading->processes, room, sizeof(*processes));

		if (!processes)
			return -ENOMEM;
		reading->processes = processes;
		reading->process_room = room;
	}
	reading->processes[index] = (struct process){ 0 };
	name_process(reading, &reading->processes[index], key);
	return index;
}

static void charge(struct counters *sum, const struct counters *counters)
{
	sum->live_bytes += counters->live_bytes;
	sum->live_count += counters->live_count;
	sum->freed_bytes += counters->freed_bytes;
	sum->freed_count += counters->freed_count;
}

/* Others': one site for each stack of a process, and processes have what their sites have. */
static int merge_site(struct reading *reading, const struct site *site)
{
	const struct site_key key = { site->process, site->stack };
	int64_t index = numbering__add(reading->site_keys, &key);

	if (index < 0)
		return -ENOMEM;
	charge(&reading->processes[site->process].counters, &site->counters);
	if ((size_t)index < reading->site_count) {
		charge(&reading->sites[index].counters, &site->counters);
		return 0;
	}
	reading->sites[reading->site_count++] = *site;
	return 0;
}

static int read_sample(struct reading *reading, const Pprof__Sample *sample)
{
	struct process_key key = { 0 };
	struct site site = { 0 };
	enum stack_end end = STACK_COMPLETE;
	int error = read_values(reading, sample, &site);
	int64_t process;
	int stack;

	if (error)
		return error;
	read_labels(reading, sample, &key, &site, &end);
	process = process_of(reading, &key);
	if (process < 0)
		return (int)process;
	stack = pprof_frames__add(reading->frames, sample, end);
	if (stack < 0)
		return stack;
	site.process = (uint32_t)process;
	site.stack = (uint32_t)stack;
	if (!reading->comments.own)
		return merge_site(reading, &site);
	reading->sites[reading->site_count++] = site;
	return 0;
}

/* The k-th process with one pid is its instance k. */
static int number_processes(struct reading *reading)
{
	const struct pprof_comments *comments = &reading->comments;
	struct process_key key;

	for (size_t i = 0; i < comments->process_count; i++) {
		key = (struct process_key){ (uint64_t)comments->processes[i].pid, 0 };
		while (numbering__find(reading->process_keys, &key) >= 0)
			key.which++;
		if (numbering__add(reading->process_keys, &key) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int unpack_sample(struct reading *reading, const struct field *field)
{
	ProtobufCAllocator allocator = { allocate, ignore, reading->sample_arena };
	Pprof__Sample *sample = pprof__sample__unpack(&allocator, field->size, field->data);
	int error = sample ? read_sample(reading, sample)
			   : refuse(reading, "is no pprof profile, or damaged");

	arena__clear(reading->sample_arena);
	return error;
}

static int unpack_samples(struct reading *reading)
{
	struct wire messages = reading->messages;
	struct field field;
	int error = 0;

	while (!error && wire__next(&messages, &field) > 0)
		if (field.number == SAMPLE_FIELD && field.data)
			error = unpack_sample(reading, &field);
	return error;
}

static int read_samples(struct reading *reading)
{
	int error;

	reading->process_keys = numbering__new(sizeof(struct process_key));
	reading->site_keys = numbering__new(sizeof(struct site_key));
	reading->sites = calloc(reading->sample_count + 1, sizeof(*reading->sites));
	if (!reading->process_keys || !reading->site_keys || !reading->sites)
		return -ENOMEM;
	error = number_processes(reading);
	error = error ? error
		      : pprof_frames__new(&reading->frames, reading->profile, &reading->comments,
					  reading->out->snapshot, reading->why);
	return error ? error : unpack_samples(reading);
}

/* The snapshot. */

static int add_processes(struct reading *reading)
{
	const struct pprof_comments *comments = &reading->comments;
	size_t count = comments->own ? comments->process_count
				     : numbering__count(reading->process_keys);
	const struct process *processes = comments->own ? comments->processes : reading->processes;

	for (size_t i = 0; i < count; i++)
		if (snapshot__add_process(reading->out->snapshot, &processes[i]) < 0)
			return -ENOMEM;
	return 0;
}

static void set_header(struct reading *reading)
{
	const struct pprof_comments *comments = &reading->comments;
	const Pprof__Profile *profile = reading->profile;
	const struct snapshot_header header = {
		.time_ns = profile->time_nanos > 0 ? (uint64_t)profile->time_nanos : 0,
		.elapsed_s = (double)profile->duration_nanos / 1e9,
		.interval_s = comments->interval_s,
		.mode = comments->own         ? comments->mode
			: profile->period > 1 ? "sampled"
					      : NULL,
		.losses = comments->losses,
		.without_peaks = reading->column[PEAK_SPACE] < 0,
	};

	snapshot__set_header(reading->out->snapshot, &header);
	if (reading->column[GROWTH_SPACE] >= 0 && comments->interval_s > 0)
		snapshot__set_growth(reading->out->snapshot);
}

static int read_profile(struct reading *reading, const void *data, size_t size)
{
	int error = unpack(reading, data, size);

	error = error ? error : set_samples_aside(reading);
	error = error ? error : check_strings(reading);
	error = error ? error
		      : pprof_comments__read(&reading->comments, reading->profile, reading->arena,
					     reading->why);
	error = error ? error : find_columns(reading);
	error = error ? error : read_samples(reading);
	error = error ? error : add_processes(reading);
	if (error)
		return error;
	reading->out->own = reading->comments.own;
	set_header(reading);
	error = snapshot__adopt_sites(reading->out->snapshot, reading->sites, reading->site_count);
	if (!error)
		reading->sites = NULL;
	return error;
}

int pprof__read(const void *data, size_t size, struct profile *profile, char why[PPROF_WHY])
{
	struct reading reading = { .out = profile, .why = why };
	int error = -ENOMEM;

	*profile = (struct profile){ .snapshot = snapshot__new() };
	reading.arena = arena__new(MAX_MESSAGES);
	reading.sample_arena = arena__new(MAX_SAMPLE);
	if (profile->snapshot && reading.arena && reading.sample_arena)
		error = read_profile(&reading, data, size);
	pprof_frames__free(reading.frames);
	numbering__free(reading.process_keys);
	numbering__free(reading.site_keys);
	free(reading.processes);
	free(reading.sites);
	free(reading.unpacked);
	arena__free(reading.sample_arena);
	arena__free(reading.arena);
	return error;
}

void profile__free(struct profile *profile)
{
	snapshot__free(profile->snapshot);
	profile->snapshot = NULL;
}
