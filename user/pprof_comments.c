/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pprof_comments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	struct pprof_comments *comments;
	const Pprof__Profile *profile;
	struct arena *arena;
	char *why;
	uint64_t allocated; /* by all processes: that sums do not overflow */
};

static int refuse(struct reading *reading, const char *what)
{
	snprintf(reading->why, PPROF_WHY, "is damaged: %s", what);
	return -EBADMSG;
}

/* What follows "key" and a separator; NULL: it is another key. */
static const char *value_of(const char *text, const char *key, const char *separator)
{
	size_t length = strlen(key), more = strlen(separator);

	if (strncmp(text, key, length) || strncmp(text + length, separator, more))
		return NULL;
	return text + length + more;
}

/* A number of at most 63 bits, up to a space or the end; true if it is one. */
static bool parse_number(const char *text, int64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoll(text, &end, 10);
	return !errno && end != text && (*end == ' ' || *end == '\0');
}

static bool parse_word(const struct word *words, void *into, const char *text,
		       const char *separator)
{
	for (const struct word *word = words; word->name; word++) {
		const char *value = value_of(text, word->name, separator);
		int64_t number;

		if (!value)
			continue;
		if (!parse_number(value, &number) || number < 0)
			return false;
		*(uint64_t *)(void *)((char *)into + word->offset) = (uint64_t)number;
		return true;
	}
	return true; /* of a later version, perhaps */
}

/* A word, copied into the arena. */
static bool parse_container(struct reading *reading, struct process *process, const char *value)
{
	size_t length = strcspn(value, " ");
	char *copy = arena__alloc(reading->arena, length + 1);

	if (!copy)
		return false;
	process->container = memcpy(copy, value, length);
	return length;
}

/* One "key=number" of a process. */
static bool parse_pair(struct reading *reading, struct process *process, const char *pair)
{
	double interval = reading->comments->interval_s;
	const char *value;
	int64_t number;

	if ((value = value_of(pair, "pid", "="))) {
		process->pid = parse_number(value, &number) ? (pid_t)number : -1;
		return process->pid >= 0 && process->pid == number;
	}
	if ((value = value_of(pair, "exited", "="))) {
		process->exited = *value == '1';
		return true;
	}
	if ((value = value_of(pair, "growth", "="))) {
		process->growth = parse_number(value, &number) ? (double)number / interval : 0;
		return interval > 0;
	}
	if ((value = value_of(pair, "allocs", "="))) {
		process->alloc_rate = parse_number(value, &number) ? (double)number / interval : 0;
		return interval > 0;
	}
	if ((value = value_of(pair, "container", "=")))
		return parse_container(reading, process, value);
	return parse_word(process_words, process, pair, "=");
}

static bool parse_pairs(struct reading *reading, struct process *process, const char *text)
{
	while (text && *text) {
		const char *comm = value_of(text, "comm", "=");

		if (comm) {
			process->comm = comm;
			return true;
		}
		if (!parse_pair(reading, process, text))
			return false;
		text = strchr(text, ' ');
		text += text ? 1 : 0;
	}
	return true;
}

static int read_process(struct reading *reading, const char *text)
{
	struct pprof_comments *comments = reading->comments;
	struct process *process = &comments->processes[comments->process_count];
	const struct counters *counters = &process->counters;

	if (!parse_pairs(reading, process, text) ||
	    __builtin_add_overflow(reading->allocated, counters->live_bytes, &reading->allocated) ||
	    __builtin_add_overflow(reading->allocated, counters->freed_bytes,
				   &reading->allocated) ||
	    __builtin_add_overflow(reading->allocated, counters->live_count, &reading->allocated) ||
	    __builtin_add_overflow(reading->allocated, counters->freed_count, &reading->allocated))
		return refuse(reading, "a process's figures are none");
	comments->process_count++;
	return 0;
}

/* "3 native -opm NAME": pprof_stacks.c wrote it. */
static int read_mapping(struct reading *reading, const char *text)
{
	const Pprof__Profile *profile = reading->profile;
	struct place *place = arena__alloc(reading->arena, sizeof(*place));
	char kind[16], traits[8];
	unsigned long long id;
	int length = 0;

	if (!place)
		return -ENOMEM;
	if (sscanf(text, "%llu %15s -%7[a-z]%n", &id, kind, traits, &length) < 3) {
		*traits = '\0';
		if (sscanf(text, "%llu %15s -%n", &id, kind, &length) < 2)
			length = 0;
	}
	if (!length || text[length] != ' ')
		return refuse(reading, "a mapping's comment");
	for (place->kind = FRAME_KERNEL; place->kind > FRAME_UNKNOWN; place->kind--)
		if (!strcmp(kind, kind_names[place->kind]))
			break;
	place->has_offset = strchr(traits, 'o');
	place->inlined = strchr(traits, 'i');
	place->module = strchr(traits, 'm') ? text + length + 1 : NULL;
	for (size_t i = 0; i < profile->n_mapping; i++) {
		uint64_t name = (uint64_t)profile->mapping[i]->filename;

		if (profile->mapping[i]->id != id || name >= profile->n_string_table)
			continue;
		place->path = strchr(traits, 'p') ? profile->string_table[name] : NULL;
		reading->comments->places[i] = place;
	}
	return 0;
}

static int read_comment(struct reading *reading, const char *text)
{
	struct pprof_comments *comments = reading->comments;
	const char *value;
	int64_t number;

	if ((value = value_of(text, "mode", ": ")))
		comments->mode = value;
	else if ((value = value_of(text, "process", ": ")))
		return read_process(reading, value);
	else if ((value = value_of(text, "mapping", ": ")))
		return read_mapping(reading, value);
	else if ((value = value_of(text, "interval_ns", ": ")))
		comments->interval_s = parse_number(value, &number) ? (double)number / 1e9 : 0;
	else if (!parse_word(loss_words, &comments->losses, text, ": "))
		return refuse(reading, "a loss is no number");
	return 0;
}

static int read_comments(struct reading *reading)
{
	const Pprof__Profile *profile = reading->profile;
	int error = 0;

	for (size_t i = 0; i < profile->n_comment && !error; i++) {
		uint64_t index = (uint64_t)profile->comment[i];

		if (index >= profile->n_string_table)
			return refuse(reading, "a comment is missing");
		error = read_comment(reading, profile->string_table[index]);
	}
	return error;
}

int pprof_comments__read(struct pprof_comments *comments, const Pprof__Profile *profile,
			 struct arena *arena, char why[PPROF_WHY])
{
	struct reading reading = {
		.comments = comments,
		.profile = profile,
		.arena = arena,
		.why = why,
	};
	uint64_t first = profile->n_comment ? (uint64_t)profile->comment[0] : UINT64_MAX;

	*comments = (struct pprof_comments){ 0 };
	comments->own = first < profile->n_string_table &&
			value_of(profile->string_table[first], "memwatch", ": ");
	if (!comments->own)
		return 0;
	comments->processes =
		arena__alloc(arena, (profile->n_comment + 1) * sizeof(*comments->processes));
	comments->places =
		arena__alloc(arena, (profile->n_mapping + 1) * sizeof(*comments->places));
	if (!comments->processes || !comments->places)
		return -ENOMEM;
	return read_comments(&reading);
}
