/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ranked table: figures in columns, and what they are of. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "line.h"
#include "live_state.h"
#include "units.h"
#include "view_stack.h"

static const struct figure {
	enum sort_key sort;
	const char *name;
	int wanted; /* the less, the sooner it is left out */
} figures[] = {
	{ SORT_LIVE, "LIVE", 9 },     { SORT_COUNT, "BLOCKS", 6 }, { SORT_GROWTH, "GROWTH/s", 7 },
	{ SORT_CHANGE, "CHANGE", 8 }, { SORT_PEAK, "PEAK", 5 },    { SORT_ALLOC, "ALLOC", 4 },
	{ SORT_ALLOCS, "ALLOCS", 3 },
};
enum { FIGURES = sizeof(figures) / sizeof(figures[0]), NAME_LEAST = 9, NAME_PART = 2 };

static bool exists(const struct live *live, const struct figure *figure)
{
	return figure->sort != SORT_CHANGE || live->baseline;
}

static int place_of(enum sort_key sort)
{
	for (int i = 0; i < FIGURES; i++)
		if (figures[i].sort == sort)
			return i;
	return 0;
}

/* step 0: the next one, and after the last the first. */
enum sort_key live__next_sort(const struct live *live, int step)
{
	int place = place_of(live->sort), next = place;

	do {
		next += step ? step : 1;
		if (!step)
			next %= FIGURES;
		if (next < 0 || next >= FIGURES)
			return live->sort;
	} while (!exists(live, &figures[next]));
	return figures[next].sort;
}

/* Which figures there is room for: the one that ranks, then by how much they are wanted. */
static void choose(const struct live *live, int columns, bool shown[FIGURES])
{
	int names = columns / NAME_PART > NAME_LEAST ? columns / NAME_PART : NAME_LEAST;
	int room = (columns - names) / LIVE_FIGURE;

	memset(shown, 0, FIGURES * sizeof(*shown));
	shown[place_of(live->sort)] = true;
	for (room--; room > 0; room--) {
		int best = -1;

		for (int i = 0; i < FIGURES; i++)
			if (!shown[i] && exists(live, &figures[i]) &&
			    (best < 0 || figures[i].wanted > figures[best].wanted))
				best = i;
		if (best < 0)
			return;
		shown[best] = true;
	}
}

static unsigned int direction(double value)
{
	return value > 0 ? STYLE_UP : value < 0 ? STYLE_DOWN : 0;
}

static const char *count_text(char text[UNITS_TEXT], uint64_t count)
{
	if (count >= 1000000000)
		return units__count(text, (double)count);
	snprintf(text, UNITS_TEXT, "%" PRIu64, count);
	return text;
}

/* A figure as text, and its style. */
static unsigned int put_figure(char text[UNITS_TEXT], const struct live *live,
			       const struct row *row, enum sort_key sort)
{
	const struct counters *counters = &row->counters;

	switch (sort) {
	case SORT_LIVE:
		units__size(text, (double)counters->live_bytes, false);
		break;
	case SORT_COUNT:
		count_text(text, counters->live_count);
		break;
	case SORT_ALLOC:
		units__size(text, (double)counters__alloc_bytes(counters), false);
		break;
	case SORT_ALLOCS:
		count_text(text, counters__alloc_count(counters));
		break;
	case SORT_PEAK:
		/* The sum of several sites' peaks is the most that it may have been. */
		*text = '<';
		units__size(text + !row->peak_known, (double)counters->peak_bytes, false);
		break;
	case SORT_GROWTH:
		*text = 0;
		if (snapshot__has_growth(live->shown))
			units__size(text, row->growth, true);
		return direction(row->growth);
	case SORT_CHANGE:
		units__size(text, (double)row->change.bytes, true);
		return direction((double)row->change.bytes);
	}
	return 0;
}

static void draw_heading(struct live *live, struct canvas *canvas, int line,
			 const bool shown[FIGURES])
{
	static const char *const names[] = {
		[BY_STACK] = "STACK", [BY_FUNCTION] = "FUNCTION", [BY_LINE] = "LINE",
		[BY_FILE] = "FILE",   [BY_MODULE] = "MODULE",     [BY_PROCESS] = "PROCESS",
	};
	const char *mark = canvas__utf8(canvas) ? "\u25bc" : "*";
	int column = 0;

	for (int i = 0; i < FIGURES; i++) {
		bool ranks = figures[i].sort == live->sort;
		char text[32];

		if (!shown[i])
			continue;
		snprintf(text, sizeof(text), "%s%s", ranks ? mark : "", figures[i].name);
		column = canvas__put_right(canvas, line, column, LIVE_FIGURE - 1,
					   STYLE_REVERSE | (ranks ? STYLE_BOLD : 0), text);
		column = canvas__put(canvas, line, column, 1, STYLE_REVERSE, "");
	}
	canvas__put(canvas, line, column, canvas__columns(canvas) - column, STYLE_REVERSE,
		    names[live__place(live)->by]);
}

/* A stack in a line: where it allocates, and who called that. */
static void put_stack(struct line *line, const struct stack *stack, bool utf8)
{
	char text[FRAME_TEXT];

	if (stack->unnamed) {
		line__put(line, "...");
		return;
	}
	if (!stack->depth)
		line__put(line, "[unknown]");
	for (uint32_t i = 0; i < stack->depth && !line->full; i++) {
		if (i)
			line__put(line, utf8 ? " \u2190 " : " < ");
		line__put(line, view_stack__function(stack->frames[i], text));
		if (!i && *view_stack__place(stack->frames[i], text)) {
			line__put(line, " ");
			line__put(line, text);
		}
	}
	if (stack->end == STACK_TRUNCATED)
		line__put(line, " [truncated]");
	if (stack->end == STACK_BROKEN)
		line__put(line, " [broken]");
}

static void put_process(struct line *line, const struct process *process)
{
	line__format(line, "%s[%d]%s", process->comm ? process->comm : "", (int)process->pid,
		     process->exited ? " exited" : "");
}

static void put_key(struct line *line, const struct row *row, enum group_key by, bool utf8)
{
	char text[FRAME_TEXT];

	if (by == BY_PROCESS)
		put_process(line, row->process);
	else if (by == BY_STACK)
		put_stack(line, &row->stack, utf8);
	else if (!row->stack.depth)
		line__put(line, "[unknown]");
	else if (by == BY_LINE && line->limit < line__width(row->frame->file) + 8)
		line__put(line, view_stack__place(row->frame, text));
	else if (by == BY_LINE)
		line__format(line, "%s:%u", row->frame->file, row->frame->line);
	else
		line__put(line, by == BY_FILE     ? row->frame->file
				: by == BY_MODULE ? row->frame->module
						  : row->frame->function);
}

/* Several processes are told apart, and the mmap family from the heap. */
static void put_name(const struct live *live, struct line *line, const struct row *row, bool utf8)
{
	const struct place *place = &live->places[live->depth];

	if (place->by == BY_STACK && !place->pid && snapshot__process_count(live->shown) > 1) {
		put_process(line, row->process);
		line__put(line, "  ");
	}
	if (!row->families && row->family == FAMILY_MMAP && place->by != BY_PROCESS)
		line__put(line, "mmap: ");
	put_key(line, row, place->by, utf8);
}

static void draw_name(const struct live *live, struct canvas *canvas, int line, int column,
		      unsigned int style, const struct row *row)
{
	int width = canvas__columns(canvas) - column;
	struct line text;

	if (width < 1)
		return;
	line__init(&text,
		   width + 1); /* what is too long is cut by the canvas, and marked; escapes stay */
	put_name(live, &text, row, canvas__utf8(canvas));
	if (!text.error && text.text) {
		text.text[text.length] = 0;
		canvas__put(canvas, line, column, width, style, text.text);
	}
	line__fini(&text);
}

static void draw_row(struct live *live, struct canvas *canvas, int line, const struct row *row,
		     const bool shown[FIGURES], bool selected)
{
	unsigned int style = selected ? STYLE_REVERSE : 0;
	int column = 0;

	for (int i = 0; i < FIGURES; i++) {
		char text[UNITS_TEXT + 1];
		unsigned int colour;

		if (!shown[i])
			continue;
		colour = put_figure(text, live, row, figures[i].sort);
		column = canvas__put_right(canvas, line, column, LIVE_FIGURE - 1, style | colour,
					   text);
		column = canvas__put(canvas, line, column, 1, style, "");
	}
	draw_name(live, canvas, line, column, style, row);
}

void live__draw_table(struct live *live, struct canvas *canvas, int line, int lines)
{
	struct place *place = live__place(live);
	bool shown[FIGURES];

	choose(live, canvas__columns(canvas), shown);
	draw_heading(live, canvas, line, shown);
	for (int i = 0; i + 1 < lines && place->top + (size_t)i < live->rows.count; i++)
		draw_row(live, canvas, line + 1 + i, &live->rows.items[place->top + (size_t)i],
			 shown, place->top + (size_t)i == place->index);
}
