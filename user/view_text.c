/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "line.h"
#include "units.h"
#include "view_process.h"
#include "view_stack.h"

/* What every part of the text needs. */
struct text {
	FILE *out;
	const struct snapshot *snapshot;
	const struct view *view;
	struct rows rows;
	struct line line;
};

static void show_line(struct text *text)
{
	line__show(&text->line, text->out);
}

static void put_size(struct line *line, const char *before, double bytes)
{
	char number[UNITS_TEXT];

	line__format(line, "%s%s", before, units__size(number, bytes, false));
}

static void put_rate(struct line *line, double bytes)
{
	char number[UNITS_TEXT];

	line__format(line, "%s/s", units__size(number, bytes, true));
}

static void put_change(struct line *line, const struct delta *change)
{
	char number[UNITS_TEXT];

	line__format(line, "%s since then", units__size(number, (double)change->bytes, true));
}

static void put_process(struct line *line, const struct process *process)
{
	char name[PROCESS_TEXT];

	line__format(line, "%s%s", view_process__name(process, name),
		     process->exited ? " exited" : "");
}

/* The header: parts, of which none is cut; where the width is limited it takes more lines. */

static void __attribute__((format(printf, 2, 3)))
put_part(struct text *text, const char *format, ...)
{
	struct line *line = &text->line;
	va_list arguments;
	char *part = NULL;
	int length;

	va_start(arguments, format);
	length = vasprintf(&part, format, arguments);
	va_end(arguments);
	if (length < 0) {
		line->error = line->error ? line->error : -ENOMEM;
		return;
	}
	if (line->columns && line->limit && line->columns + 2 + line__width(part) > line->limit)
		show_line(text);
	if (line->columns)
		line__put(line, "  ");
	line__put(line, part);
	free(part);
}

static void put_clock(struct text *text)
{
	time_t seconds = (time_t)(snapshot__header(text->snapshot)->time_ns / 1000000000);
	struct tm tm;
	char clock[16];

	if (!seconds) /* a file of others need not say */
		return;
	if (text->view->utc ? !gmtime_r(&seconds, &tm) : !localtime_r(&seconds, &tm))
		return;
	if (strftime(clock, sizeof(clock), "%H:%M:%S", &tm))
		put_part(text, "%s", clock);
}

static void put_target(struct text *text)
{
	size_t count = snapshot__process_count(text->snapshot), exited = 0;
	char name[PROCESS_TEXT];

	for (size_t i = 0; i < count; i++)
		exited += snapshot__process(text->snapshot, i)->exited;
	if (count == 1) {
		put_part(text, "%s",
			 view_process__name(snapshot__process(text->snapshot, 0), name));
		if (exited)
			put_part(text, "exited");
		return;
	}
	put_part(text, "%zu processes", count);
	if (exited)
		put_part(text, "%zu exited", exited);
}

static void put_totals(struct text *text)
{
	struct totals totals = snapshot__totals(text->snapshot);
	bool rates = snapshot__has_growth(text->snapshot);
	char number[UNITS_TEXT];
	uint64_t peak;

	put_part(text, "live %s in %" PRIu64 " blocks",
		 units__size(number, (double)totals.counters.live_bytes, false),
		 totals.counters.live_count);
	if (rates)
		put_part(text, "%s/s", units__size(number, totals.growth, true));
	if (snapshot__process_count(text->snapshot) == 1 &&
	    !snapshot__header(text->snapshot)->without_peaks) {
		peak = snapshot__process(text->snapshot, 0)->counters.peak_bytes;
		put_part(text, "peak %s", units__size(number, (double)peak, false));
	}
	if (rates)
		put_part(text, "allocs %s/s", units__count(number, totals.alloc_rate));
	if (totals.unmatched_frees)
		put_part(text, "unmatched frees %" PRIu64, totals.unmatched_frees);
	if (totals.failed_count)
		put_part(text, "failed %" PRIu64, totals.failed_count);
}

static void show_losses(struct text *text)
{
	const struct losses *lost = &snapshot__header(text->snapshot)->losses;
	const struct {
		uint64_t count;
		const char *what;
	} losses[] = {
		{ lost->blocks, "blocks not counted" },
		{ lost->sites, "sites not counted" },
		{ lost->stacks, "stacks not kept" },
		{ lost->inflight, "allocations without their return" },
		{ lost->truncated_stacks, "stacks truncated" },
		{ lost->broken_stacks, "stacks broken" },
		{ lost->events, "events dropped" },
	};

	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
		if (losses[i].count)
			put_part(text, "%s%" PRIu64 " %s",
				 text->line.columns ? "" : "lost: ", losses[i].count,
				 losses[i].what);
	}
	if (text->line.columns)
		show_line(text);
}

static void show_header(struct text *text)
{
	const struct query *query = &text->view->query;

	put_clock(text);
	put_target(text);
	put_totals(text);
	show_line(text);
	show_losses(text);
	if (query->cumulative && query->by != BY_STACK && query->by != BY_PROCESS) {
		line__put(&text->line,
			  "cumulative: a site counts in the row of every frame it has");
		show_line(text);
	}
}

/* A row's figures: first the one that it was ranked by. */

static void put_ranked(struct line *line, const struct row *row, enum sort_key sort)
{
	const struct counters *counters = &row->counters;

	switch (sort) {
	case SORT_LIVE:
		put_size(line, "", counters->live_bytes);
		break;
	case SORT_COUNT:
		line__format(line, "%" PRIu64 " blocks", counters->live_count);
		break;
	case SORT_ALLOC:
		put_size(line, "alloc ", counters__alloc_bytes(counters));
		break;
	case SORT_ALLOCS:
		line__format(line, "%" PRIu64 " allocations", counters__alloc_count(counters));
		break;
	case SORT_PEAK:
		put_size(line, row->peak_known ? "peak " : "peak at most ", counters->peak_bytes);
		break;
	case SORT_GROWTH:
		put_rate(line, row->growth);
		break;
	case SORT_CHANGE:
		put_change(line, &row->change);
		break;
	}
}

static void put_average(struct line *line, uint64_t bytes, uint64_t count)
{
	if (count)
		put_size(line, ", average ", (double)bytes / (double)count);
}

static void put_figures(struct line *line, const struct row *row, enum sort_key sort)
{
	const struct counters *counters = &row->counters;
	bool ever = sort == SORT_ALLOC || sort == SORT_ALLOCS;
	uint64_t bytes = ever ? counters__alloc_bytes(counters) : counters->live_bytes;
	uint64_t count = ever ? counters__alloc_count(counters) : counters->live_count;

	put_ranked(line, row, sort);
	if (sort == SORT_PEAK || sort == SORT_GROWTH || sort == SORT_CHANGE)
		put_size(line, "  live ", bytes);
	if (sort == SORT_COUNT || sort == SORT_ALLOCS)
		put_size(line, "  of ", bytes);
	else
		line__format(line, "  in %" PRIu64 " %s", count, ever ? "allocations" : "blocks");
	put_average(line, bytes, count);
	if (ever)
		put_size(line, ", live ", counters->live_bytes);
}

typedef void (*put_row)(struct line *line, const struct row *row, enum sort_key sort);

/* How many columns `put` uses for a row. */
static int measure(put_row put, const struct row *row, enum sort_key sort)
{
	struct line line;
	int columns;

	line__init(&line, 0);
	put(&line, row, sort);
	columns = line.columns;
	line__fini(&line);
	return columns;
}

/* Whose a row is, where that is not said already. */
static void put_owner(struct text *text, const struct row *row)
{
	struct line *line = &text->line;

	if (row->families)
		line__put(line, "  heap and mmap");
	else if (row->family == FAMILY_MMAP)
		line__put(line, "  mmap");
	if (text->view->query.by == BY_PROCESS || snapshot__process_count(text->snapshot) == 1)
		return;
	line__put(line, "  ");
	if (row->process)
		put_process(line, row->process);
	else
		line__put(line, "several processes");
}

/* Rows. */

static int rank_width(const struct text *text)
{
	int width = 2;

	for (size_t limit = 100; text->rows.count >= limit; limit *= 10)
		width++;
	return width;
}

static void put_rank(struct text *text, size_t rank)
{
	line__format(&text->line, "%*zu  ", rank_width(text), rank);
}

static void show_stacks(struct text *text)
{
	for (size_t i = 0; i < text->rows.count && !text->line.error; i++) {
		const struct row *row = &text->rows.items[i];

		put_rank(text, i + 1);
		put_figures(&text->line, row, text->view->query.sort);
		put_owner(text, row);
		show_line(text);
		view_stack__show(text->out, &text->line, &row->stack, text->view->depth);
	}
}

static void put_key(struct text *text, const struct row *row)
{
	struct line *line = &text->line;

	if (text->view->query.by == BY_PROCESS)
		put_process(line, row->process);
	else if (row->stack.depth == 0)
		line__put(line, "[unknown]");
	else if (text->view->query.by == BY_MODULE)
		line__put(line, row->frame->module);
	else
		line__put(line, row->frame->function);
}

enum { NAME_LEAST = 24 }; /* columns that figures leave to names, or they are cut to the first */

/*
 * How wide the figures of the rows are, and which: where there is little room, it is the names
 * that are wanted.
 */
static int choose_figures(const struct text *text, put_row *put)
{
	enum sort_key sort = text->view->query.sort;
	int limit = text->line.limit, width = 0;

	for (size_t i = 0; i < text->rows.count; i++) {
		int figures = measure(*put, &text->rows.items[i], sort);

		width = figures > width ? figures : width;
	}
	if (limit && *put == put_figures && width + NAME_LEAST > limit) {
		*put = put_ranked;
		return choose_figures(text, put);
	}
	return width;
}

/* Function, module and process rows: one line each, the names below each other. */
static void show_names(struct text *text)
{
	put_row put = put_figures;
	int width = choose_figures(text, &put);
	struct line *line = &text->line;

	for (size_t i = 0; i < text->rows.count && !line->error; i++) {
		int names;

		put_rank(text, i + 1);
		names = line->columns + width + 2;
		put(line, &text->rows.items[i], text->view->query.sort);
		line__fill(line, names);
		put_key(text, &text->rows.items[i]);
		put_owner(text, &text->rows.items[i]);
		show_line(text);
	}
}

/* tracemalloc's words. */

static void put_statistic(struct line *line, const char *prefix, uint64_t bytes, uint64_t count)
{
	char number[UNITS_TEXT];

	line__format(line, "%ssize=%s, %scount=%" PRIu64, prefix,
		     units__bytes(number, bytes, false), prefix, count);
	if (count)
		line__format(line, ", average=%s",
			     units__bytes(number, (double)bytes / (double)count, false));
}

static void put_statistics(struct line *line, const struct row *row, enum sort_key sort)
{
	const struct counters *counters = &row->counters;
	char number[UNITS_TEXT];

	if (sort == SORT_PEAK)
		line__format(line, "peak%s%s, ", row->peak_known ? "=" : "<=",
			     units__bytes(number, (double)counters->peak_bytes, false));
	if (sort == SORT_GROWTH)
		line__format(line, "growth=%s/s, ", units__bytes(number, row->growth, true));
	if (sort == SORT_CHANGE)
		line__format(line, "change=%s, ",
			     units__bytes(number, (double)row->change.bytes, true));
	if (sort == SORT_ALLOC || sort == SORT_ALLOCS)
		put_statistic(line, "alloc_", counters__alloc_bytes(counters),
			      counters__alloc_count(counters));
	else
		put_statistic(line, "", counters->live_bytes, counters->live_count);
}

/* A path that leaves no room for the figures gives way to its last part. */
static void put_file(struct line *line, const struct frame *frame, int figures)
{
	const char *file = frame->file;

	if (line->limit && line__width(file) + (int)strlen(":12345: ") + figures > line->limit)
		file = view_stack__last_part(file);
	line__format(line, "%s:%u: ", file, frame->line);
}

static void show_statistics(struct text *text)
{
	enum sort_key sort = text->view->query.sort;

	for (size_t i = 0; i < text->rows.count && !text->line.error; i++) {
		const struct row *row = &text->rows.items[i];

		if (row->stack.depth)
			put_file(&text->line, row->frame, measure(put_statistics, row, sort));
		else
			line__put(&text->line, "[unknown]: ");
		put_statistics(&text->line, row, sort);
		show_line(text);
	}
}

static void show_rows(struct text *text)
{
	switch (text->view->query.by) {
	case BY_STACK:
		show_stacks(text);
		break;
	case BY_LINE:
	case BY_FILE:
		show_statistics(text);
		break;
	default:
		show_names(text);
	}
	if (text->rows.count < text->rows.all) {
		line__format(&text->line, "... %zu more", text->rows.all - text->rows.count);
		show_line(text);
	}
}

int view_text__show(FILE *out, const struct snapshot *snapshot, const struct view *view)
{
	struct text text = { .out = out, .snapshot = snapshot, .view = view };
	int error = snapshot__rows(snapshot, &view->query, &text.rows);

	if (error)
		return error;
	line__init(&text.line, view->columns);
	show_header(&text);
	show_rows(&text);
	error = line__end(&text.line, out);
	rows__free(&text.rows);
	return error;
}
