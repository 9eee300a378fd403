/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frames of a stack, as a tree that is open along it. */
#include <inttypes.h>
#include <stdio.h>

#include "line.h"
#include "live_state.h"
#include "units.h"
#include "view_stack.h"

enum { INDENT = 2, SOURCE_LEAST = 12 };

static int draw_figures(struct live *live, struct canvas *canvas, int line, unsigned int style,
			const struct branch *branch)
{
	double change = live->baseline ? (double)branch->change.bytes : branch->growth;
	bool known = live->baseline || snapshot__has_growth(live->shown);
	bool wide = canvas__columns(canvas) >= 4 * LIVE_FIGURE;
	char text[UNITS_TEXT];
	int column;

	column = canvas__put_right(canvas, line, 0, LIVE_FIGURE - 1, style,
				   units__size(text, (double)branch->counters.live_bytes, false));
	column = canvas__put(canvas, line, column, 1, style, "");
	if (!wide)
		return column;
	if (canvas__columns(canvas) >= 6 * LIVE_FIGURE) {
		snprintf(text, sizeof(text), "%" PRIu64, branch->counters.live_count);
		column = canvas__put_right(canvas, line, column, LIVE_FIGURE - 1, style, text);
		column = canvas__put(canvas, line, column, 1, style, "");
	}
	units__size(text, change, true);
	column = canvas__put_right(canvas, line, column, LIVE_FIGURE - 1,
				   style | (change > 0   ? STYLE_UP
					    : change < 0 ? STYLE_DOWN
							 : 0),
				   known ? text : "");
	return canvas__put(canvas, line, column, 1, style, "");
}

/* Branches off the path are closed, and say so; only where ways part does the tree step in. */
static int draw_branch(struct canvas *canvas, int line, int column, unsigned int style,
		       const struct branch *branch)
{
	bool utf8 = canvas__utf8(canvas);
	const char *mark = branch->on_path ? (utf8 ? "\u25be " : "- ") : (utf8 ? "\u25b8 " : "+ ");
	int room = canvas__columns(canvas) - column, indent = (int)branch->fork * INDENT;
	char text[FRAME_TEXT];

	indent = indent < room / 3 ? indent : room / 3;
	column = canvas__put(canvas, line, column, indent, style, "");
	if (branch->ends)
		mark = utf8 ? "\u25cf " : "* ";
	column = canvas__put(canvas, line, column, 2, style, mark);
	return canvas__put(canvas, line, column, -1, style | (branch->on_path ? STYLE_BOLD : 0),
			   view_stack__function(&branch->frame, text));
}

static const char *source_of(const struct live *live, const struct frame *frame)
{
	if (!live->options.source || !frame->file || !frame->line)
		return "";
	return live->options.source(live->options.context, frame->file, frame->line);
}

static void draw_row(struct live *live, struct canvas *canvas, int line,
		     const struct branch *branch, bool selected)
{
	unsigned int style = selected ? STYLE_REVERSE : 0;
	const struct frame *frame = &branch->frame;
	int width = canvas__columns(canvas), column;
	const char *source = source_of(live, frame);
	char text[FRAME_TEXT];

	column = draw_figures(live, canvas, line, style, branch);
	column = draw_branch(canvas, line, column, style, branch);
	if (*view_stack__place(frame, text)) {
		column = canvas__put(canvas, line, column, 2, style, "");
		column = canvas__put(canvas, line, column, -1, style,
				     view_stack__place(frame, text));
	} else if (frame->module && frame->function) {
		column = canvas__put(canvas, line, column, 2, style, "");
		column = canvas__put(canvas, line, column, -1, style, frame->module);
	}
	if (frame->inlined)
		column = canvas__put(canvas, line, column, -1, style, " (inlined)");
	if (*source && column + SOURCE_LEAST < width) {
		column = canvas__put(canvas, line, column, 3, style, "");
		canvas__put(canvas, line, column, width - column, style | STYLE_DIM, source);
	} else if (column < width) {
		canvas__put(canvas, line, column, width - column, style, "");
	}
}

static void draw_heading(struct live *live, struct canvas *canvas, int line)
{
	int width = canvas__columns(canvas), column = 0;
	char text[64];

	column = canvas__put_right(canvas, line, column, LIVE_FIGURE - 1, STYLE_REVERSE, "LIVE");
	column = canvas__put(canvas, line, column, 1, STYLE_REVERSE, "");
	if (width >= 6 * LIVE_FIGURE)
		column = canvas__put_right(canvas, line, column, LIVE_FIGURE - 1, STYLE_REVERSE,
					   "BLOCKS");
	if (width >= 6 * LIVE_FIGURE)
		column = canvas__put(canvas, line, column, 1, STYLE_REVERSE, "");
	if (width >= 4 * LIVE_FIGURE)
		column = canvas__put_right(canvas, line, column, LIVE_FIGURE - 1, STYLE_REVERSE,
					   live->baseline ? "CHANGE" : "GROWTH/s");
	if (width >= 4 * LIVE_FIGURE)
		column = canvas__put(canvas, line, column, 1, STYLE_REVERSE, "");
	snprintf(text, sizeof(text), "FRAMES from the %s (r flips)",
		 live->from_leaf ? "leaf" : "root");
	canvas__put(canvas, line, column, width - column, STYLE_REVERSE, text);
}

void live__draw_tree(struct live *live, struct canvas *canvas, int line, int lines)
{
	struct place *place = live__place(live);

	draw_heading(live, canvas, line);
	for (int i = 0; i + 1 < lines && place->top + (size_t)i < live->tree.count; i++)
		draw_row(live, canvas, line + 1 + i, &live->tree.items[place->top + (size_t)i],
			 place->top + (size_t)i == place->index);
}
