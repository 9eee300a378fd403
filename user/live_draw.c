/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The screen: where its parts are, at any size. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "line.h"
#include "live_state.h"
#include "units.h"

/* The header: parts, of which none is cut while there are lines; the first ones matter most. */
struct flow {
	struct canvas *canvas;
	int line, column, most; /* most: lines */
	bool full;
};

static void __attribute__((format(printf, 3, 4)))
put_part(struct flow *flow, unsigned int style, const char *format, ...)
{
	int width, columns = canvas__columns(flow->canvas);
	char text[160];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	width = line__width(text);
	if (flow->column && flow->column + 2 + width > columns) {
		if (flow->line + 1 >= flow->most) {
			flow->full = true;
			return;
		}
		flow->line++;
		flow->column = 0;
	}
	if (flow->full)
		return;
	flow->column += flow->column ? 2 : 0;
	width = flow->column + width > columns ? columns - flow->column : width;
	flow->column = canvas__put(flow->canvas, flow->line, flow->column, width, style, text);
}

static void put_target(struct flow *flow, const struct snapshot *snapshot)
{
	const struct process *process;
	size_t count = snapshot__process_count(snapshot);

	if (count != 1) {
		put_part(flow, STYLE_BOLD, "%zu processes", count);
		return;
	}
	process = snapshot__process(snapshot, 0);
	put_part(flow, STYLE_BOLD, "%s[%d]%s", process->comm ? process->comm : "", process->pid,
		 process->exited ? " exited" : "");
}

static void put_totals(struct flow *flow, const struct live *live)
{
	const struct snapshot *snapshot = live->shown;
	struct totals totals = snapshot__totals(snapshot);
	char number[UNITS_TEXT];

	put_part(flow, STYLE_BOLD, "live %s in %" PRIu64 " blocks",
		 units__size(number, (double)totals.counters.live_bytes, false),
		 totals.counters.live_count);
	if (live->baseline)
		put_part(flow,
			 totals.change.bytes < 0 ? STYLE_DOWN
			 : totals.change.bytes   ? STYLE_UP
						 : 0,
			 "%s since %s", units__size(number, (double)totals.change.bytes, true),
			 live->since);
	if (snapshot__has_growth(snapshot)) {
		put_part(flow,
			 totals.growth < 0   ? STYLE_DOWN
			 : totals.growth > 0 ? STYLE_UP
					     : 0,
			 "%s/s", units__size(number, totals.growth, true));
		put_part(flow, 0, "%s allocs/s", units__count(number, totals.alloc_rate));
	}
	if (snapshot__process_count(snapshot) == 1)
		put_part(flow, 0, "peak %s",
			 units__size(number,
				     (double)snapshot__process(snapshot, 0)->counters.peak_bytes,
				     false));
	if (totals.unmatched_frees)
		put_part(flow, 0, "unmatched frees %" PRIu64, totals.unmatched_frees);
	if (totals.failed_count)
		put_part(flow, 0, "failed %" PRIu64, totals.failed_count);
}

static void put_losses(struct flow *flow, const struct losses *lost)
{
	const struct {
		uint64_t count;
		const char *what;
	} losses[] = {
		{ lost->blocks, "blocks" },
		{ lost->sites, "sites" },
		{ lost->stacks, "stacks" },
		{ lost->inflight, "returns" },
		{ lost->events, "events" },
		{ lost->truncated_stacks, "stacks truncated" },
		{ lost->broken_stacks, "stacks broken" },
	};

	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++)
		if (losses[i].count)
			put_part(flow, STYLE_BOLD, "%s%" PRIu64 " %s", i < 5 ? "LOST " : "",
				 losses[i].count, losses[i].what);
}

static void put_cost(struct flow *flow, const struct live *live)
{
	char number[UNITS_TEXT], cpu[UNITS_TEXT];

	put_part(flow, STYLE_DIM, "memwatch %s%% CPU, %s", units__count(cpu, live->cost.cpus * 100),
		 units__size(number, (double)live->cost.resident_bytes, false));
	put_part(flow, STYLE_DIM, "every %g s", (double)live->options.interval_ns / 1e9);
}

int live__draw_header(struct live *live, struct canvas *canvas, int most)
{
	struct flow flow = { .canvas = canvas, .most = most };
	char clock[16];

	if (live->paused)
		put_part(&flow, STYLE_BOLD | STYLE_REVERSE, "PAUSED");
	put_target(&flow, live->shown);
	put_totals(&flow, live);
	put_losses(&flow, &snapshot__header(live->shown)->losses);
	put_cost(&flow, live);
	live__clock(live, live->shown, clock);
	put_part(&flow, STYLE_DIM, "%s", clock);
	return flow.line + 1;
}

/* Where the user is and what is left out. */
static void draw_place(struct live *live, struct canvas *canvas, int line)
{
	const char *arrow = canvas__utf8(canvas) ? " \u203a " : " > ";
	struct flow flow = { .canvas = canvas, .line = line, .most = line + 1 };
	char path[LIVE_PLACES * (LIVE_TEXT + 8)], older[UNITS_TEXT];
	int length;

	length = snprintf(path, sizeof(path), "%s", live->options.processes ? "all" : "");
	for (int i = 1; i <= live->depth; i++)
		length += snprintf(path + length, sizeof(path) - (size_t)length, "%s%s",
				   length ? arrow : "", live->places[i].title);
	if (length)
		put_part(&flow, STYLE_BOLD, "%s", path);
	put_part(&flow, 0, "%zu row%s", live__count(live), live__count(live) == 1 ? "" : "s");
	if (*live->find)
		put_part(&flow, STYLE_BOLD, "/%s", live->find);
	if (live->options.older_ns)
		put_part(&flow, STYLE_BOLD, "older than %s",
			 units__duration(older, live->options.older_ns));
	if (live->query.include || live->query.exclude)
		put_part(&flow, 0, "filtered");
	if (live->query.cumulative)
		put_part(&flow, 0, "cumulative");
	if (live__unnamed(live) >= 0)
		put_part(&flow, STYLE_DIM, "looking for names");
	if (live->error)
		put_part(&flow, STYLE_BOLD, "%s",
			 live->places[live->depth].frames && live->error == -2
				 ? "this stack is not there any more"
				 : strerror(-live->error));
}

static void draw_footer(struct live *live, struct canvas *canvas, int line)
{
	const char *keys = "Enter open  Esc back  s sort  g rows  / find  b baseline  o older  "
			   "Space pause  w write  ? help  q quit";
	char text[LIVE_TEXT + 32];
	int columns = canvas__columns(canvas);

	if (live->prompt != PROMPT_NONE) {
		snprintf(text, sizeof(text), "%s%s_",
			 live->prompt == PROMPT_FIND ? "/" : "older than: ", live->input);
		canvas__put(canvas, line, 0, columns, STYLE_BOLD, text);
	} else if (*live->message) {
		canvas__put(canvas, line, 0, columns, STYLE_BOLD, live->message);
	} else {
		canvas__put(canvas, line, 0, columns, STYLE_DIM,
			    columns < 40 ? "? help  q quit" : keys);
	}
}

void live__draw_help(struct live *live, struct canvas *canvas)
{
	int lines = canvas__lines(canvas), line = 0;
	const struct live_binding *table;
	size_t count;

	table = live_keys__table(&count);
	for (size_t i = 0, row = 0; i < count && line < lines; i++) {
		if (!table[i].name || (int)row++ < live->help_top)
			continue;
		canvas__put(canvas, line, 1, 13, STYLE_BOLD, table[i].name);
		canvas__put(canvas, line, 15, canvas__columns(canvas) - 15, 0, table[i].help);
		line++;
	}
}

static int graph_lines(int lines)
{
	return lines >= 40 ? 6 : lines >= 24 ? 4 : lines >= 14 ? 2 : 0;
}

/* From the top: header, graph, place, table; the footer last. Small screens go without some. */
void live__draw(struct live *live, struct canvas *canvas)
{
	int lines = canvas__lines(canvas), line = 0, graph = graph_lines(lines), rest;

	if (live->help) {
		live__draw_help(live, canvas);
		return;
	}
	if (!live->shown) {
		canvas__put(canvas, 0, 0, -1, 0, "waiting for the first snapshot");
		draw_footer(live, canvas, lines - 1);
		return;
	}
	live__update(live);
	line = live__draw_header(live, canvas, lines >= 24 ? 4 : lines >= 10 ? 2 : 1);
	history__draw(live->history, canvas, line, graph);
	line += graph;
	rest = lines - line - (lines >= 8) - 1; /* heading and rows */
	live->page = rest > 1 ? rest - 1 : 1;
	live__select(live, live__place(live)->index); /* the screen may have another size now */
	if (lines >= 8)
		draw_place(live, canvas, line++);
	live->first_line = line + 1;
	if (live__place(live)->frames)
		live__draw_tree(live, canvas, line, rest);
	else
		live__draw_table(live, canvas, line, rest);
	draw_footer(live, canvas, lines - 1);
}
