/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_leaks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "line.h"
#include "units.h"
#include "view_json.h"
#include "view_process.h"
#include "view_stack.h"

/* Text. */

struct text {
	FILE *out;
	const struct leak_report *report;
	const struct view *view;
	struct line line;
};

static void show_line(struct text *text)
{
	line__show(&text->line, text->out);
}

static double growth(const struct leak_report *report, double bytes)
{
	return report->seconds > 0 ? bytes / report->seconds : 0;
}

/* "+1.5 MiB/s, ", if the time is known. */
static void put_rate(struct text *text, double bytes)
{
	char rate[UNITS_TEXT];

	if (text->report->seconds > 0)
		line__format(&text->line, "%s/s, ",
			     units__size(rate, growth(text->report, bytes), true));
}

static void put_time(struct text *text)
{
	char duration[UNITS_TEXT];

	if (text->report->seconds > 0)
		line__format(&text->line, " in %s",
			     units__elapsed(duration, text->report->seconds));
}

static void show_header(struct text *text)
{
	const struct leak_report *report = text->report;
	char first[UNITS_TEXT], last[UNITS_TEXT], change[UNITS_TEXT];
	double grown = difference__change(report->first.live_bytes, report->last.live_bytes);

	line__format(&text->line, "live %s -> %s (",
		     units__size(first, (double)report->first.live_bytes, false),
		     units__size(last, (double)report->last.live_bytes, false));
	put_rate(text, grown);
	line__format(&text->line, "%s", units__size(change, grown, true));
	put_time(text);
	line__format(&text->line, "), %u snapshots", report->snapshots);
	show_line(text);
	if (!report->all)
		line__put(&text->line, "nothing grew");
	else
		line__format(&text->line, "grew and was not freed: %s in %zu rows",
			     units__size(change, (double)report->grown_bytes, true), report->all);
	show_line(text);
}

static void put_key(struct text *text, const struct row *row)
{
	enum group_key by = text->view->query.by;
	struct line *line = &text->line;
	char place[FRAME_TEXT];

	line__put(line, "  ");
	if (by == BY_PROCESS)
		line__put(line, view_process__comm(row->process));
	else if (!row->stack.depth)
		line__put(line, "[unknown]");
	else if (by == BY_FUNCTION)
		line__put(line, row->frame->function);
	else if (by == BY_MODULE)
		line__put(line, row->frame->module);
	else if (by == BY_FILE)
		line__put(line, row->frame->file);
	else
		line__put(line, view_stack__place(row->frame, place));
}

static void show_leak(struct text *text, size_t index)
{
	const struct leak *leak = &text->report->items[index];
	char grown[UNITS_TEXT], alloc[UNITS_TEXT], live[UNITS_TEXT];
	struct line *line = &text->line;

	line__format(line, "%2zu  ", index + 1);
	put_rate(text, (double)leak->grown_bytes);
	line__format(line, "%s: %.0f%% of %s never freed, grew %u of %u times, now %s in %" PRIu64,
		     units__size(grown, (double)leak->grown_bytes, true), leak__kept(leak) * 100,
		     units__size(alloc, (double)leak->alloc_bytes, false), leak->grew,
		     text->report->snapshots - 1,
		     units__size(live, (double)leak->live_bytes, false), leak->live_count);
	if (text->view->query.by == BY_STACK && leak->row->family == FAMILY_MMAP)
		line__put(line, "  mmap");
	if (text->view->query.by != BY_STACK)
		put_key(text, leak->row);
	show_line(text);
	if (text->view->query.by == BY_STACK)
		view_stack__show(text->out, line, &leak->row->stack, text->view->depth);
}

int view_leaks__text(FILE *out, const struct leak_report *report, const struct view *view)
{
	struct text text = { .out = out, .report = report, .view = view };

	line__init(&text.line, view->columns);
	show_header(&text);
	for (size_t i = 0; i < report->count && !text.line.error; i++)
		show_leak(&text, i);
	if (report->count < report->all) {
		line__format(&text.line, "... %zu more", report->all - report->count);
		show_line(&text);
	}
	return line__end(&text.line, out);
}

/* JSON. */

static void show_growth(struct json *json, const struct leak_report *report, double bytes)
{
	if (report->seconds > 0)
		json__real(json, "growth_bytes_per_s", growth(report, bytes));
}

static void show_totals(struct json *json, const struct leak_report *report)
{
	json__open(json, "totals", '{');
	json__integer(json, "live_bytes", report->last.live_bytes);
	json__integer(json, "live_count", report->last.live_count);
	json__change(json, "live_bytes_change", report->first.live_bytes, report->last.live_bytes);
	json__change(json, "live_count_change", report->first.live_count, report->last.live_count);
	show_growth(json, report,
		    difference__change(report->first.live_bytes, report->last.live_bytes));
	json__close(json, '}');
}

static void show_item(struct json *json, const struct leak_report *report, const struct leak *leak,
		      const struct view *view)
{
	const struct row *row = leak->row;
	int64_t count = leak->grown_count;

	json__open(json, NULL, '{');
	if (view->query.by == BY_PROCESS)
		json__string(json, "comm", row->process->comm);
	if (!row->families)
		json__string(json, "family", row->family == FAMILY_MMAP ? "mmap" : "heap");
	json__integer(json, "live_bytes", leak->live_bytes);
	json__integer(json, "live_count", leak->live_count);
	json__integer(json, "live_bytes_change", leak->grown_bytes);
	json__change(json, "live_count_change", count < 0 ? (uint64_t)-count : 0,
		     count < 0 ? 0 : (uint64_t)count);
	show_growth(json, report, (double)leak->grown_bytes);
	json__integer(json, "alloc_bytes_change", leak->alloc_bytes);
	json__real(json, "never_freed", leak__kept(leak));
	json__integer(json, "grew", leak->grew);
	view_json__stack(json, &row->stack, view);
	json__close(json, '}');
}

int view_leaks__json(FILE *out, const struct leak_report *report, const struct view *view,
		     const struct snapshot_header *last)
{
	struct json *json = malloc(sizeof(*json));
	int error;

	if (!json)
		return -ENOMEM;
	json__init(json, out);
	json__open(json, NULL, '{');
	json__integer(json, "version", 1);
	view_json__time(json, last->time_ns);
	json__integer(json, "snapshots", report->snapshots);
	if (report->seconds > 0)
		json__real(json, "seconds", report->seconds);
	show_totals(json, report);
	json__open(json, "leaks", '[');
	for (size_t i = 0; i < report->count && !json->error; i++)
		show_item(json, report, &report->items[i], view);
	json__close(json, ']');
	json__close(json, '}');
	error = json__end(json);
	free(json);
	return error;
}
