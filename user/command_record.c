/* SPDX-License-Identifier: GPL-2.0-or-later */
/* record: snapshots to files, at the end, on SIGUSR1, or one every so often. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "loop.h"
#include "save.h"
#include "save_snapshot.h"
#include "units.h"

/* Between two lines of progress where they do not overwrite each other. */
static const double PROGRESS_S = 10;

struct recording {
	const struct options *options;
	struct loop *loop;
	unsigned int files; /* numbered ones so far */
	double said_s; /* when progress was last a line */
	bool terminal; /* progress is a line that is written over */
	bool failed; /* a file could not be written */
};

static int write_snapshot(const struct recording *recording, const struct snapshot *snapshot,
			  const char *path)
{
	char size_text[UNITS_TEXT];
	size_t size = 0;
	int error = save_snapshot__write(recording->options, snapshot, path, &size);

	if (error)
		log__error("%s: %s", path, strerror(-error));
	else
		log__info(&recording->options->log, "wrote %s: %zu stacks, %s", path,
			  snapshot__stack_count(snapshot),
			  units__size(size_text, (double)size, false));
	return error;
}

static void end_progress(struct recording *recording)
{
	if (recording->terminal)
		fputs("\r\033[K", stderr);
}

/* Processes that ended are in this one, and then in no other. */
static void save(struct recording *recording, bool numbered)
{
	const char *output = recording->options->output;
	char *path = numbered ? save__numbered(output, ++recording->files) : strdup(output);
	const struct snapshot *snapshot;

	collector__keep(loop__collector(recording->loop), false);
	snapshot = loop__snapshot(recording->loop);
	end_progress(recording);
	if (!path || !snapshot || write_snapshot(recording, snapshot, path))
		recording->failed = true;
	collector__keep(loop__collector(recording->loop), recording->options->pid_count > 0);
	watch__sweep(loop__watch(recording->loop));
	free(path);
}

/* The snapshot also finds the names of code that may be gone when the file is written. */
static void progress(struct recording *recording)
{
	const struct snapshot *snapshot = loop__snapshot(recording->loop);
	const struct log *log = &recording->options->log;
	double elapsed = snapshot ? snapshot__header(snapshot)->elapsed_s : 0;
	char live[UNITS_TEXT], text[128];
	struct totals totals;

	if (!recording->options->pid_count)
		watch__sweep(loop__watch(recording->loop));
	if (!snapshot || log->level == LOG_QUIET)
		return;
	totals = snapshot__totals(snapshot);
	snprintf(text, sizeof(text), "%.0f s  live %s in %" PRIu64 " blocks  %zu stacks", elapsed,
		 units__size(live, (double)totals.counters.live_bytes, false),
		 totals.counters.live_count, snapshot__stack_count(snapshot));
	if (recording->terminal) {
		fprintf(stderr, "\rmemwatch: %s\033[K", text);
	} else if (elapsed - recording->said_s >= PROGRESS_S) {
		recording->said_s = elapsed;
		log__info(log, "%s", text);
	}
}

static int record(struct recording *recording)
{
	bool series = recording->options->every_ns;
	int events = 0;

	while (!(events & LOOP_LAST)) {
		events = loop__wait(recording->loop);
		if (events < 0)
			return events;
		if (events & LOOP_LAST)
			save(recording, series);
		else if (events & (LOOP_ASKED | LOOP_EVERY))
			save(recording, true);
		else if (events & LOOP_DUE)
			progress(recording);
	}
	return 0;
}

int command_record(const struct options *options)
{
	struct recording recording = { .options = options };
	int error = save__check(options->output);

	if (error) {
		log__error("%s: cannot be written: %s", options->output, strerror(-error));
		return 1;
	}
	recording.terminal = isatty(STDERR_FILENO) && options->log.level != LOG_QUIET;
	recording.loop = loop__new(options);
	if (!recording.loop)
		return 1;
	/* Of a whole system, what ended long ago would fill the tables. */
	collector__keep(loop__collector(recording.loop), options->pid_count > 0);
	error = record(&recording);
	if (error)
		log__error("%s", strerror(-error));
	loop__free(recording.loop);
	return error || recording.failed;
}
