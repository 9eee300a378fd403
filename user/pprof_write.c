/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "gzip.h"
#include "pprof.h"
#include "pprof_stacks.h"
#include "pprof_texts.h"
#include "pprof_words.h"

enum { FAMILIES = 2, ENDS = 3, LABELS = 6 };

struct writer {
	const struct snapshot *snapshot;
	struct arena *arena;
	struct pprof_texts *texts;
	struct pprof_stacks *stacks;
	Pprof__Profile profile; /* without its samples */
	struct gzip *gzip;
	struct arena *message; /* the bytes of one piece */
	uint64_t *ids; /* of a sample's locations */
	Pprof__Label ***labels; /* by process, family and end: NULL until it is needed */
};

static void *take(struct writer *writer, size_t count, size_t size)
{
	return arena__alloc(writer->arena, count * size);
}

/* With a string or a number; NULL when there is no memory. */
static Pprof__Label *make_label(struct writer *writer, const char *key, int64_t string,
				int64_t number)
{
	Pprof__Label *label = take(writer, 1, sizeof(*label));

	if (!label)
		return NULL;
	pprof__label__init(label);
	label->key = pprof_texts__word(writer->texts, key);
	label->str = string;
	label->num = number;
	return label->key < 0 || string < 0 ? NULL : label;
}

static Pprof__Label *word_label(struct writer *writer, const char *key, const char *word)
{
	return make_label(writer, key, pprof_texts__word(writer->texts, word), 0);
}

static int64_t instance_of(const struct writer *writer, uint32_t process)
{
	pid_t pid = snapshot__process(writer->snapshot, process)->pid;
	int64_t instance = 0;

	for (uint32_t i = 0; i < process; i++)
		instance += snapshot__process(writer->snapshot, i)->pid == pid;
	return instance;
}

/* NULL-terminated; the same for all samples of one process, family and end. */
static Pprof__Label **labels_of(struct writer *writer, const struct site *site, enum stack_end end)
{
	static const char *const ends[] = { NULL, "truncated", "broken" };
	const struct process *process = snapshot__process(writer->snapshot, site->process);
	Pprof__Label ***place =
		&writer->labels[(site->process * FAMILIES + site->family) * ENDS + end];
	Pprof__Label **labels = *place;
	int64_t instance;
	size_t count = 0;

	if (labels)
		return labels;
	labels = take(writer, LABELS + 1, sizeof(*labels));
	if (!labels)
		return NULL;
	instance = instance_of(writer, site->process);
	labels[count++] = make_label(writer, "pid", 0, process->pid);
	if (process->comm && *process->comm)
		labels[count++] = make_label(writer, "comm",
					     pprof_texts__string(writer->texts, process->comm), 0);
	if (process->container)
		labels[count++] = make_label(writer, "container",
					     pprof_texts__string(writer->texts, process->container),
					     0);
	labels[count++] =
		word_label(writer, "family", site->family == FAMILY_MMAP ? "mmap" : "heap");
	if (ends[end])
		labels[count++] = word_label(writer, "stack", ends[end]);
	if (instance)
		labels[count++] = make_label(writer, "instance", 0, instance);
	for (size_t i = 0; i < count; i++)
		if (!labels[i])
			return NULL;
	return *place = labels;
}

static int64_t cut(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* What `rate` was made of: exact up to 2^51 bytes. */
static int64_t change_of(const struct writer *writer, double rate)
{
	return llrint(rate * snapshot__header(writer->snapshot)->interval_s);
}

static void fill_values(const struct writer *writer, const struct site *site,
			int64_t values[VALUES])
{
	const struct counters *counters = &site->counters;

	values[INUSE_OBJECTS] = cut(counters->live_count);
	values[INUSE_SPACE] = cut(counters->live_bytes);
	values[ALLOC_OBJECTS] = cut(counters__alloc_count(counters));
	values[ALLOC_SPACE] = cut(counters__alloc_bytes(counters));
	values[PEAK_SPACE] = cut(counters->peak_bytes);
	values[GROWTH_SPACE] = change_of(writer, site->growth);
}

/* A profile may come in pieces: each holds more of what is repeated. */
static int put(struct writer *writer, const Pprof__Profile *piece)
{
	size_t size = pprof__profile__get_packed_size(piece);
	uint8_t *bytes = arena__alloc(writer->message, size);
	int error;

	if (!bytes)
		return -ENOMEM;
	pprof__profile__pack(piece, bytes);
	error = gzip__add(writer->gzip, bytes, size);
	arena__clear(writer->message);
	return error;
}

static int put_sample(struct writer *writer, const struct site *site)
{
	const struct stack *stack = snapshot__stack(writer->snapshot, site->stack);
	Pprof__Profile piece = PPROF__PROFILE__INIT;
	Pprof__Sample sample = PPROF__SAMPLE__INIT, *only = &sample;
	int64_t values[VALUES];

	fill_values(writer, site, values);
	sample.value = values;
	sample.n_value = writer->profile.n_sample_type;
	sample.label = labels_of(writer, site, stack->end);
	if (!sample.label || pprof_stacks__add(writer->stacks, stack, writer->ids, &sample))
		return -ENOMEM;
	while (sample.label[sample.n_label])
		sample.n_label++;
	piece.sample = &only;
	piece.n_sample = 1;
	return put(writer, &piece);
}

static int put_samples(struct writer *writer)
{
	uint32_t deepest = 0;
	int error = 0;

	for (size_t i = 0; i < snapshot__stack_count(writer->snapshot); i++)
		if (snapshot__stack(writer->snapshot, i)->depth > deepest)
			deepest = snapshot__stack(writer->snapshot, i)->depth;
	writer->ids = take(writer, deepest + 1, sizeof(*writer->ids));
	if (!writer->ids)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot__site_count(writer->snapshot) && !error; i++)
		error = put_sample(writer, snapshot__site(writer->snapshot, i));
	return error;
}

/* Header. */

static Pprof__ValueType *make_type(struct writer *writer, const char *name, const char *unit)
{
	Pprof__ValueType *type = take(writer, 1, sizeof(*type));

	if (!type)
		return NULL;
	pprof__value_type__init(type);
	type->type = pprof_texts__word(writer->texts, name);
	type->unit = pprof_texts__word(writer->texts, unit);
	return type->type < 0 || type->unit < 0 ? NULL : type;
}

static int add_types(struct writer *writer)
{
	size_t count = snapshot__has_growth(writer->snapshot) ? VALUES : GROWTH_SPACE;
	Pprof__ValueType **types = take(writer, count, sizeof(*types));
	Pprof__Profile *profile = &writer->profile;

	if (!types)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		types[i] = make_type(writer, value_names[i], value_units[i]);
		if (!types[i])
			return -ENOMEM;
	}
	profile->sample_type = types;
	profile->n_sample_type = count;
	profile->default_sample_type = types[INUSE_SPACE]->type;
	/* Every byte was looked at. */
	profile->period_type = make_type(writer, "space", "bytes");
	profile->period = 1;
	return profile->period_type ? 0 : -ENOMEM;
}

static int64_t nanoseconds(double seconds)
{
	const double most = 9e9; /* below 2^63 nanoseconds */

	return isnan(seconds) ? 0 : llrint(fmax(-most, fmin(seconds, most)) * 1e9);
}

static int add_header_comments(struct writer *writer)
{
	const struct snapshot_header *header = snapshot__header(writer->snapshot);
	int error = pprof_texts__comment(writer->texts, "memwatch: %s", MEMWATCH_VERSION);

	if (!error && header->mode)
		error = pprof_texts__comment(writer->texts, "mode: %s", header->mode);
	error = error ? error
		      : pprof_texts__comment(writer->texts, "interval_ns: %" PRId64,
					     nanoseconds(header->interval_s));
	for (const struct word *word = loss_words; word->name && !error; word++) {
		const uint64_t *loss = (const void *)((const char *)&header->losses + word->offset);

		if (*loss)
			error = pprof_texts__comment(writer->texts, "%s: %" PRIu64, word->name,
						     *loss);
	}
	return error;
}

/* "process: pid=7 exited=0 start=1 … growth=9 allocs=2 container=y comm=x": the name runs to the
 * end. */
static int add_process_comment(struct writer *writer, const struct process *process)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int error;

	if (!out)
		return -ENOMEM;
	fprintf(out, "pid=%d exited=%d", (int)process->pid, process->exited);
	for (const struct word *word = process_words; word->name; word++)
		fprintf(out, " %s=%" PRIu64, word->name,
			*(const uint64_t *)(const void *)((const char *)process + word->offset));
	if (snapshot__has_growth(writer->snapshot))
		fprintf(out, " growth=%" PRId64 " allocs=%" PRId64,
			change_of(writer, process->growth), change_of(writer, process->alloc_rate));
	if (process->container)
		fprintf(out, " container=%s", process->container);
	if (process->comm)
		fprintf(out, " comm=%s", process->comm);
	error = fclose(out) ? -ENOMEM : pprof_texts__comment(writer->texts, "process: %s", text);
	free(text);
	return error;
}

static int add_comments(struct writer *writer, const struct pprof_note *notes, size_t count)
{
	int error = add_header_comments(writer);

	for (size_t i = 0; i < count && !error; i++)
		error = pprof_texts__comment(writer->texts, "%s: %s", notes[i].key, notes[i].value);
	for (size_t i = 0; i < snapshot__process_count(writer->snapshot) && !error; i++)
		error = add_process_comment(writer, snapshot__process(writer->snapshot, i));
	return error;
}

static int write_profile(struct writer *writer, const struct pprof_note *notes, size_t count)
{
	const struct snapshot_header *header = snapshot__header(writer->snapshot);
	int error;

	writer->labels = take(writer,
			      snapshot__process_count(writer->snapshot) * FAMILIES * ENDS + 1,
			      sizeof(*writer->labels));
	if (!writer->labels)
		return -ENOMEM;
	writer->profile.time_nanos = cut(header->time_ns);
	writer->profile.duration_nanos = nanoseconds(header->elapsed_s);
	error = add_comments(writer, notes, count);
	error = error ? error : add_types(writer);
	error = error ? error : put_samples(writer);
	error = error ? error : pprof_stacks__fill(writer->stacks, &writer->profile);
	if (error)
		return error;
	pprof_texts__fill(writer->texts, &writer->profile);
	return put(writer, &writer->profile);
}

int pprof__write(const struct snapshot *snapshot, const struct pprof_note *notes, size_t count,
		 void **data, size_t *size)
{
	struct writer writer = {
		.snapshot = snapshot,
		.profile = PPROF__PROFILE__INIT,
		.arena = arena__new(SIZE_MAX),
		.message = arena__new(SIZE_MAX),
		.gzip = gzip__new(),
	};
	int error = -ENOMEM;

	if (writer.arena && writer.message && writer.gzip)
		writer.texts = pprof_texts__new(snapshot, writer.arena);
	if (writer.texts)
		writer.stacks = pprof_stacks__new(snapshot, writer.texts, writer.arena);
	if (writer.stacks)
		error = write_profile(&writer, notes, count);
	error = error ? error : gzip__end(writer.gzip, data, size);
	pprof_stacks__free(writer.stacks);
	pprof_texts__free(writer.texts);
	gzip__free(writer.gzip);
	arena__free(writer.message);
	arena__free(writer.arena);
	return error;
}
