/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "live_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct live *live__new(const struct live_options *options)
{
	struct live *live = calloc(1, sizeof(*live));

	if (!live)
		return NULL;
	live->options = *options;
	live->sort = options->query.sort;
	live->places[0].by = options->processes ? BY_PROCESS : options->query.by;
	live->inside = options->query.by == BY_PROCESS ? BY_STACK : options->query.by;
	live->stale = true;
	live->page = 1;
	live->history = history__new();
	if (live->history)
		return live;
	live__free(live);
	return NULL;
}

/* Frees the snapshot that `*held` was, if nothing else holds it. */
void live__hold(struct live *live, struct snapshot **held, struct snapshot *snapshot)
{
	struct snapshot *before = *held;

	*held = snapshot;
	if (before != live->newest && before != live->shown && before != live->baseline &&
	    before != live->origin)
		snapshot__free(before);
}

void live__free(struct live *live)
{
	if (!live)
		return;
	rows__free(&live->rows);
	tree__free(&live->tree);
	for (int i = 0; i < LIVE_PLACES; i++)
		place__fini(&live->places[i]);
	live__hold(live, &live->newest, NULL);
	live__hold(live, &live->shown, NULL);
	live__hold(live, &live->baseline, NULL);
	live__hold(live, &live->origin, NULL);
	history__free(live->history);
	free(live);
}

struct snapshot *live__shown(const struct live *live)
{
	return live->shown;
}

struct snapshot *live__baseline(const struct live *live)
{
	return live->baseline;
}

struct snapshot *live__newest(const struct live *live)
{
	return live->newest;
}

const struct query *live__query(const struct live *live)
{
	return &live->query;
}

uint64_t live__interval(const struct live *live)
{
	return live->options.interval_ns;
}

uint64_t live__older(const struct live *live)
{
	return live->options.older_ns;
}

void live__clock(const struct live *live, const struct snapshot *snapshot, char text[16])
{
	time_t seconds = (time_t)(snapshot__header(snapshot)->time_ns / 1000000000);
	struct tm tm;

	*text = 0;
	if (live->options.utc ? gmtime_r(&seconds, &tm) : localtime_r(&seconds, &tm))
		strftime(text, 16, "%H:%M:%S", &tm);
}

/* Rows point into the snapshot that they are of. */
void live__show(struct live *live, struct snapshot *snapshot)
{
	rows__free(&live->rows);
	tree__free(&live->tree);
	live__hold(live, &live->shown, snapshot);
	live->stale = true;
	live->unnamed = 0;
}

int live__take(struct live *live, struct snapshot *snapshot, const struct own_cost *cost)
{
	int error = snapshot__grow_since(snapshot, live->newest);

	if (!error && live->baseline)
		error = snapshot__change_since(snapshot, live->baseline);
	if (!error && live->origin)
		error = snapshot__clear_before(snapshot, live->origin);
	history__add(live->history, snapshot__header(snapshot)->elapsed_s,
		     snapshot__totals(snapshot).counters.live_bytes);
	live->cost = *cost;
	live__hold(live, &live->newest, snapshot);
	if (!live->paused || !live->shown)
		live__show(live, snapshot);
	return error;
}

void live__named(struct live *live)
{
	live->stale = true;
}

/* The query that makes the place's rows. */
static void make_query(struct live *live)
{
	const struct place *place = live__place(live);

	live->query = live->options.query;
	live->query.sort = live->sort;
	live->query.by = place->by;
	live->query.top = 0;
	live->query.cumulative &= place->by != BY_STACK && place->by != BY_PROCESS;
	live->query.pid = place->pid;
	live->query.start = place->start;
	live->query.of = place->has_of ? &place->of : NULL;
	live->query.find = *live->find && place->by != BY_PROCESS ? live->glob : NULL;
}

static bool holds_find(const struct live *live, const struct process *process)
{
	char text[64];

	snprintf(text, sizeof(text), "%s[%d]", process->comm ? process->comm : "", process->pid);
	return strcasestr(text, live->find);
}

/* Processes are found by their own name, not by what their stacks have. */
static void find_processes(struct live *live)
{
	size_t kept = 0;

	for (size_t i = 0; i < live->rows.count; i++) {
		if (holds_find(live, live->rows.items[i].process))
			live->rows.items[kept++] = live->rows.items[i];
	}
	live->rows.count = kept;
}

void live__update(struct live *live)
{
	const struct place *place = live__place(live);

	if (!live->stale || !live->shown)
		return;
	rows__free(&live->rows);
	tree__free(&live->tree);
	make_query(live);
	if (place->frames)
		live->error = tree__of_stack(live->shown, &live->query, place->stack,
					     live->from_leaf, &live->tree);
	else
		live->error = snapshot__rows(live->shown, &live->query, &live->rows);
	if (!place->frames && place->by == BY_PROCESS && *live->find)
		find_processes(live);
	live->stale = false;
	live__follow(live);
}

void live__say(struct live *live, const char *message)
{
	snprintf(live->message, sizeof(live->message), "%s", message);
}

static bool is_unnamed(const struct live *live, uint32_t stack)
{
	return snapshot__stack(live->shown, stack)->unnamed;
}

static bool needs_all_names(const struct query *query)
{
	return query->of || query->find || query->include || query->exclude;
}

/* Stacks by themselves need the names of those on the screen; all else is made of every name. */
int live__unnamed(struct live *live)
{
	const struct place *place = live__place(live);

	if (!live->shown || (place->by == BY_PROCESS && !place->frames))
		return -1;
	live__update(live);
	if (place->by == BY_STACK && !place->frames && !needs_all_names(&live->query)) {
		for (size_t i = place->top; i < live->rows.count && i < place->top + live->page;
		     i++)
			if (is_unnamed(live, live->rows.items[i].stack_index))
				return (int)live->rows.items[i].stack_index;
		return -1;
	}
	for (; live->unnamed < snapshot__site_count(live->shown); live->unnamed++) {
		const struct site *site = snapshot__site(live->shown, live->unnamed);
		const struct process *process = snapshot__process(live->shown, site->process);

		if ((!place->pid || process->pid == place->pid) && is_unnamed(live, site->stack))
			return (int)site->stack;
	}
	return -1;
}
