/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "save_snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "pprof.h"
#include "save.h"

enum { NOTES = 6, NOTE_TEXT = 64 };

struct notes {
	struct pprof_note items[NOTES];
	size_t count;
	struct utsname system;
	char *target;
	char older[NOTE_TEXT], least[NOTE_TEXT], most[NOTE_TEXT];
};

static void add_note(struct notes *notes, const char *key, const char *value)
{
	notes->items[notes->count++] = (struct pprof_note){ key, value };
}

/* As it would be typed; the caller frees. */
static char *target_of(const struct options *options)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < options->pid_count; i++)
		fprintf(out, "%s%d", i ? "," : "-p ", (int)options->pids[i]);
	if (options->name)
		fprintf(out, "-n %s", options->name);
	if (!options->pid_count && !options->name)
		fputs("the whole system", out);
	return fclose(out) ? NULL : text;
}

/* Under what conditions the figures came to be. */
static void fill_notes(struct notes *notes, const struct options *o)
{
	*notes = (struct notes){ .target = target_of(o) };
	if (!uname(&notes->system))
		add_note(notes, "kernel", notes->system.release);
	if (notes->target)
		add_note(notes, "target", notes->target);
	if (!o->query.heap || !o->query.mmap)
		add_note(notes, "families", o->query.heap ? "heap" : "mmap");
	snprintf(notes->older, NOTE_TEXT, "%" PRIu64 " ns", o->older_ns);
	snprintf(notes->least, NOTE_TEXT, "%" PRIu64, o->min_size);
	snprintf(notes->most, NOTE_TEXT, "%" PRIu64, o->max_size);
	if (o->older_ns)
		add_note(notes, "older", notes->older);
	if (o->min_size)
		add_note(notes, "min_size", notes->least);
	if (o->max_size != UINT64_MAX)
		add_note(notes, "max_size", notes->most);
}

int save_snapshot__write(const struct options *options, const struct snapshot *snapshot,
			 const char *path, size_t *size)
{
	struct notes notes;
	void *data = NULL;
	int error;

	fill_notes(&notes, options);
	error = pprof__write(snapshot, notes.items, notes.count, &data, size);
	error = error ? error : save__write(path, data, *size);
	free(notes.target);
	free(data);
	return error;
}
