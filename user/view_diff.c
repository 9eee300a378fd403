/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_diff.h"

#include <inttypes.h>
#include <string.h>

#include "line.h"
#include "units.h"
#include "view_process.h"
#include "view_stack.h"

struct text {
	FILE *out;
	const struct difference *difference;
	const struct view *view;
	struct line line;
};

static void show_line(struct text *text)
{
	line__show(&text->line, text->out);
}

/* "+5689", "-12", "+0": of counts, which are exact. */
static void put_change(struct line *line, uint64_t old, uint64_t now)
{
	line__format(line, "%s%" PRIu64, now < old ? "-" : "+", now < old ? old - now : now - old);
}

/* What the figures are of, by how they are ranked. */
static const char *size_name(enum sort_key sort)
{
	return sort == SORT_ALLOC || sort == SORT_ALLOCS ? "allocated"
	       : sort == SORT_PEAK                       ? "peaks"
							 : "live";
}

static const char *number_name(enum sort_key sort)
{
	return sort == SORT_ALLOC || sort == SORT_ALLOCS ? "allocations" : "blocks";
}

static const char *const row_names[] = {
	[BY_STACK] = "stack", [BY_FUNCTION] = "function", [BY_LINE] = "line",
	[BY_FILE] = "file",   [BY_MODULE] = "module",     [BY_PROCESS] = "process",
};

static void show_totals(struct text *text)
{
	enum sort_key sort = text->view->query.sort;
	const struct counters *old = &text->difference->old, *now = &text->difference->now;
	uint64_t sizes[] = { difference__size(old, sort), difference__size(now, sort) };
	uint64_t numbers[] = { difference__number(old, sort), difference__number(now, sort) };
	char before[UNITS_TEXT], after[UNITS_TEXT], change[UNITS_TEXT];

	line__format(&text->line, "%s %s -> %s (%s)", size_name(sort),
		     units__size(before, (double)sizes[0], false),
		     units__size(after, (double)sizes[1], false),
		     units__size(change, difference__change(sizes[0], sizes[1]), true));
	line__format(&text->line, "  %" PRIu64 " -> %" PRIu64 " %s (", numbers[0], numbers[1],
		     number_name(sort));
	put_change(&text->line, numbers[0], numbers[1]);
	line__put(&text->line, ")");
	show_line(text);
}

static void show_sums(struct text *text)
{
	static const char *const names[] = {
		[CHANGE_GREW] = "grew",
		[CHANGE_NEW] = "new",
		[CHANGE_SHRANK] = "shrank",
		[CHANGE_GONE] = "gone",
	};
	const char *row = row_names[text->view->query.by];
	const char *plural = text->view->query.by == BY_PROCESS ? "es" : "s";
	char number[UNITS_TEXT];

	for (enum change_kind kind = 0; kind < CHANGE_KINDS; kind++) {
		const struct change_sum *sum = &text->difference->sums[kind];

		if (!sum->count)
			continue;
		line__format(&text->line, "%s%s %s in %zu %s%s", text->line.columns ? "  " : "",
			     names[kind], units__size(number, sum->bytes, true), sum->count, row,
			     sum->count == 1 ? "" : plural);
	}
	if (!text->difference->all && text->difference->grew)
		line__format(&text->line, "nothing grew by as much as --grew asks for (%s)",
			     units__size(number, (double)text->difference->grew, false));
	else if (!text->difference->all)
		line__put(&text->line, "nothing changed");
	show_line(text);
}

static void show_header(struct text *text)
{
	const struct query *query = &text->view->query;

	show_totals(text);
	show_sums(text);
	if (query->cumulative && query->by != BY_STACK && query->by != BY_PROCESS) {
		line__put(&text->line,
			  "cumulative: a site counts in the row of every frame it has");
		show_line(text);
	}
	for (size_t i = 0; i < text->difference->rebuilt_count; i++) {
		line__put(&text->line, i ? ", " : "built anew, compared by function and line: ");
		line__put(&text->line, text->difference->rebuilt[i]);
	}
	if (text->difference->rebuilt_count)
		show_line(text);
}

/* Rows. */

static void put_figures(struct text *text, const struct change *change)
{
	enum sort_key sort = text->view->query.sort;
	uint64_t old = difference__size(&change->old, sort);
	uint64_t now = difference__size(&change->now, sort);
	uint64_t old_number = difference__number(&change->old, sort);
	uint64_t number = difference__number(&change->now, sort);
	struct line *line = &text->line;
	char size[UNITS_TEXT];

	line__format(line, "%s (", units__size(size, difference__change(old, now), true));
	put_change(line, old_number, number);
	line__format(line, " %s)", number_name(sort));
	line__format(line, "  now %s in %" PRIu64, units__size(size, (double)now, false), number);
	if (change->kind == CHANGE_NEW)
		line__put(line, "  new");
	if (change->kind == CHANGE_GONE)
		line__put(line, "  gone");
	if (text->view->query.by == BY_STACK && change->row->family == FAMILY_MMAP)
		line__put(line, "  mmap");
}

static void put_key(struct text *text, const struct change *change)
{
	struct line *line = &text->line;

	if (text->view->query.by == BY_PROCESS)
		line__put(line, view_process__comm(change->row->process));
	else if (change->row->stack.depth == 0)
		line__put(line, "[unknown]");
	else if (text->view->query.by == BY_MODULE)
		line__put(line, change->row->frame->module);
	else
		line__put(line, change->row->frame->function);
}

static void show_change(struct text *text, size_t index)
{
	const struct change *change = &text->difference->items[index];

	line__format(&text->line, "%2zu  ", index + 1);
	put_figures(text, change);
	if (text->view->query.by != BY_STACK) {
		line__put(&text->line, "  ");
		put_key(text, change);
	}
	show_line(text);
	if (text->view->query.by == BY_STACK)
		view_stack__show(text->out, &text->line, &change->row->stack, text->view->depth);
}

/* tracemalloc's words. */
static void show_statistic(struct text *text, size_t index)
{
	const struct change *change = &text->difference->items[index];
	enum sort_key sort = text->view->query.sort;
	uint64_t old = difference__size(&change->old, sort);
	uint64_t now = difference__size(&change->now, sort);
	uint64_t old_number = difference__number(&change->old, sort);
	uint64_t number = difference__number(&change->now, sort);
	char size[UNITS_TEXT], change_text[UNITS_TEXT];
	struct line *line = &text->line;

	if (change->row->stack.depth)
		line__format(line, "%s:%u: ", change->row->frame->file, change->row->frame->line);
	else
		line__put(line, "[unknown]: ");
	line__format(line, "size=%s (%s), count=%" PRIu64 " (",
		     units__bytes(size, (double)now, false),
		     units__bytes(change_text, difference__change(old, now), true), number);
	put_change(line, old_number, number);
	line__put(line, ")");
	if (number)
		line__format(line, ", average=%s",
			     units__bytes(size, (double)now / (double)number, false));
	show_line(text);
}

int view_diff__text(FILE *out, const struct difference *difference, const struct view *view)
{
	struct text text = { .out = out, .difference = difference, .view = view };
	bool statistics = view->query.by == BY_LINE || view->query.by == BY_FILE;

	line__init(&text.line, view->columns);
	show_header(&text);
	for (size_t i = 0; i < difference->count && !text.line.error; i++)
		if (statistics)
			show_statistic(&text, i);
		else
			show_change(&text, i);
	if (difference->count < difference->all) {
		line__format(&text.line, "... %zu more", difference->all - difference->count);
		show_line(&text);
	}
	return line__end(&text.line, out);
}
