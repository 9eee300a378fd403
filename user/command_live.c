/* SPDX-License-Identifier: GPL-2.0-or-later */
/* top, on a terminal: keys, snapshots and names are served by turns, keys first. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "export.h"
#include "live.h"
#include "loop.h"
#include "own_cost.h"
#include "save.h"
#include "save_snapshot.h"
#include "show.h"
#include "source.h"
#include "terminal.h"
#include "view.h"

enum { NAMING_NS = 15 * 1000 * 1000, REDRAW_NS = 100 * 1000 * 1000 };

struct viewer {
	const struct options *options;
	struct loop *loop;
	struct terminal *terminal;
	struct live *live;
	struct sources *sources;
	struct own_clock clock;
	uint64_t shown; /* snapshots */
	uint64_t drawn_ns;
	int more; /* eventfd: readable while there are names to look for */
	bool looking;
	bool over;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void draw(struct viewer *viewer)
{
	struct canvas *canvas = terminal__canvas(viewer->terminal);
	char said[160];

	if (!canvas)
		return;
	if (terminal__said(viewer->terminal, said, sizeof(said)))
		live__say(viewer->live, said);
	live__draw(viewer->live, canvas);
	terminal__paint(viewer->terminal, canvas);
	canvas__free(canvas);
	viewer->drawn_ns = now_ns();
}

/* Tells the loop whether to come back at once, to go on with names. */
static void set_looking(struct viewer *viewer, bool looking)
{
	uint64_t one = 1;
	ssize_t done = 0;

	if (looking && !viewer->looking)
		done = write(viewer->more, &one, sizeof(one));
	else if (!looking && viewer->looking)
		done = read(viewer->more, &one, sizeof(one));
	viewer->looking = done < 0 ? viewer->looking : looking;
}

/* 0 or -errno. */
static int take(struct viewer *viewer)
{
	struct snapshot *snapshot = collector__snapshot(loop__collector(viewer->loop));
	struct own_cost cost = own_cost__measure(&viewer->clock);

	if (!snapshot)
		return -errno;
	viewer->shown++;
	watch__sweep(loop__watch(viewer->loop));
	return live__take(viewer->live, snapshot, &cost);
}

/* Some names, for a moment: a key may come. */
static void name_some(struct viewer *viewer)
{
	uint64_t end = now_ns() + NAMING_NS;
	bool named = false;
	int stack = -1;

	while (now_ns() < end && (stack = live__unnamed(viewer->live)) >= 0) {
		if (collector__name(loop__collector(viewer->loop), live__shown(viewer->live),
				    (size_t)stack))
			break;
		named = true;
	}
	if (named)
		live__named(viewer->live);
	set_looking(viewer, stack >= 0);
	if (named && (stack < 0 || now_ns() - viewer->drawn_ns > REDRAW_NS))
		draw(viewer);
}

/* Every stack of it has its names by then: what is in a file is all that will ever be known. */
static void name_all(struct viewer *viewer, struct snapshot *snapshot)
{
	collector__name_all(loop__collector(viewer->loop), snapshot);
	live__named(viewer->live);
}

/* Writers of files give 0 or -errno. */
static int write_snapshot(struct viewer *viewer, struct snapshot *snapshot, const char *path)
{
	size_t size;

	name_all(viewer, snapshot);
	return save_snapshot__write(viewer->options, snapshot, path, &size);
}

/* Where the view shows changes, of these. */
static int write_flamegraph(struct viewer *viewer, struct snapshot *snapshot, const char *path)
{
	struct snapshot *baseline = live__baseline(viewer->live);
	const struct export_flamegraph of = {
		.snapshot = snapshot,
		.base = baseline,
		.name = path,
		.base_name = "baseline",
		.holds = UINT_MAX,
	};
	char *data = NULL;
	size_t size;
	FILE *out = open_memstream(&data, &size);
	int error = -ENOMEM;

	name_all(viewer, snapshot);
	if (baseline)
		name_all(viewer, baseline);
	if (out) {
		error = export__flamegraph(out, &of, live__query(viewer->live));
		error = fclose(out) && !error ? -ENOMEM : error;
	}
	error = error ? error : save__write(path, data, size);
	free(data);
	return error;
}

/* Of what is shown, in the working directory, under a name that tells when. */
static void write_file(struct viewer *viewer, const char *ending,
		       int (*write)(struct viewer *, struct snapshot *, const char *))
{
	struct snapshot *snapshot = live__shown(viewer->live);
	char date[32], path[64], message[128];
	time_t now = time(NULL);
	struct tm tm;
	int error;

	if (!snapshot || !localtime_r(&now, &tm))
		return;
	strftime(date, sizeof(date), "%Y%m%d-%H%M%S", &tm);
	snprintf(path, sizeof(path), "memwatch-%s.%s", date, ending);
	error = write(viewer, snapshot, path);
	snprintf(message, sizeof(message), "%s %s%s%s", error ? "not written:" : "wrote", path,
		 error ? ": " : "", error ? strerror(-error) : "");
	live__say(viewer->live, error == -ENOPKG ? export__no_flamegraph : message);
}

static void grant(struct viewer *viewer, enum live_wish wish)
{
	switch (wish) {
	case LIVE_WISH_NOTHING:
		break;
	case LIVE_WISH_QUIT:
		viewer->over = true;
		break;
	case LIVE_WISH_INTERVAL:
		loop__set_interval(viewer->loop, live__interval(viewer->live));
		break;
	case LIVE_WISH_OLDER:
		collector__set_older(loop__collector(viewer->loop), live__older(viewer->live));
		break;
	case LIVE_WISH_FILE:
		write_file(viewer, "pb.gz", write_snapshot);
		break;
	case LIVE_WISH_FLAME:
		write_file(viewer, "html", write_flamegraph);
		break;
	}
}

static void serve_terminal(struct viewer *viewer)
{
	bool any = false;
	int value;

	while (!viewer->over) {
		enum terminal_event event = terminal__read(viewer->terminal, &value);

		if (event == TERMINAL_NOTHING)
			break;
		any = true;
		if (event == TERMINAL_KEY)
			grant(viewer, live__key(viewer->live, value));
		else if (event == TERMINAL_CLICK)
			live__click(viewer->live, value);
	}
	if (any && !viewer->over)
		draw(viewer);
	viewer->over |= terminal__lost(viewer->terminal);
}

static int serve(struct viewer *viewer)
{
	int events = loop__wait(viewer->loop), error = 0;

	if (events < 0)
		return events;
	if (events & LOOP_INPUT)
		serve_terminal(viewer);
	if (events & LOOP_DUE && !viewer->over) {
		error = take(viewer);
		draw(viewer);
	}
	viewer->over |= events & LOOP_LAST ||
			(viewer->options->count && viewer->shown >= viewer->options->count);
	if (!error && !viewer->over)
		name_some(viewer);
	return error;
}

static const char *source_line(void *context, const char *path, uint32_t line)
{
	return sources__line(context, path, line);
}

static int open_viewer(struct viewer *viewer)
{
	const struct options *o = viewer->options;
	struct live_options options = {
		.query = o->query,
		.processes = o->pid_count != 1 && o->query.by == BY_STACK,
		.interval_ns = o->interval_ns,
		.older_ns = o->older_ns,
		.source = source_line,
	};
	int error;

	options.context = viewer->sources = sources__new();
	viewer->live = live__new(&options);
	viewer->more = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!viewer->sources || !viewer->live || viewer->more < 0)
		return -ENOMEM;
	collector__name_later(loop__collector(viewer->loop));
	viewer->terminal = terminal__new();
	if (!viewer->terminal) {
		log__error("this kind of terminal is not known here: try --plain");
		return -ENOTTY;
	}
	error = loop__listen(viewer->loop, viewer->more);
	error = error ? error : loop__listen(viewer->loop, terminal__input_fd(viewer->terminal));
	error = error ? error : loop__listen(viewer->loop, terminal__resize_fd(viewer->terminal));
	own_cost__measure(&viewer->clock);
	return error;
}

/* What was looked at last stays on the terminal, as text, and as it is now. */
static int leave_last(struct viewer *viewer)
{
	struct view view = {
		.depth = viewer->options->depth,
		.columns = show__columns(),
	};
	int error = 0;

	view.query = live__newest(viewer->live) ? *live__query(viewer->live)
						: viewer->options->query;
	view.query.top = viewer->options->query.top;
	if (!viewer->options->count || viewer->shown < viewer->options->count ||
	    !live__newest(viewer->live))
		error = take(viewer);
	error = error ? error
		      : collector__name_shown(loop__collector(viewer->loop),
					      live__newest(viewer->live), &view.query);
	return error ? error : view_text__show(stdout, live__newest(viewer->live), &view);
}

int command_live(const struct options *options)
{
	struct viewer viewer = { .options = options, .more = -1 };
	int error;

	viewer.loop = loop__new(options);
	if (!viewer.loop)
		return 1;
	error = open_viewer(&viewer);
	if (!error)
		draw(&viewer);
	while (!error && !viewer.over)
		error = serve(&viewer);
	terminal__free(viewer.terminal);
	if (!error)
		error = leave_last(&viewer);
	live__free(viewer.live);
	sources__free(viewer.sources);
	loop__free(viewer.loop);
	if (viewer.more >= 0)
		close(viewer.more);
	return error == -ENOTTY ? 1 : show__status(error);
}
