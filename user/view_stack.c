/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_stack.h"

#include <inttypes.h>
#include <string.h>

enum {
	INDENT = 6,
	GAP = 2,
	FUNCTION_LEAST = 12, /* however narrow the terminal is */
	FUNCTION_MOST = 60, /* longer names run over where the width is not limited */
	PLACE_MOST = 40,
};

const char *view_stack__last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

const char *view_stack__function(const struct frame *frame, char text[FRAME_TEXT])
{
	if (frame->function)
		return frame->function;
	if (!frame->has_offset)
		return "[unknown]";
	if (frame->module)
		snprintf(text, FRAME_TEXT, "%s+0x%" PRIx64, frame->module, frame->offset);
	else
		snprintf(text, FRAME_TEXT, "0x%" PRIx64, frame->offset);
	return text;
}

const char *view_stack__place(const struct frame *frame, char text[FRAME_TEXT])
{
	if (!frame->file)
		return "";
	if (!frame->line)
		return view_stack__last_part(frame->file);
	snprintf(text, FRAME_TEXT, "%s:%u", view_stack__last_part(frame->file), frame->line);
	return text;
}

static const char *frame__module(const struct frame *frame)
{
	static const char *const kinds[] = {
		[FRAME_UNKNOWN] = "",  [FRAME_NATIVE] = "",         [FRAME_PYTHON] = "(python)",
		[FRAME_JIT] = "(jit)", [FRAME_KERNEL] = "(kernel)",
	};

	return frame->module ? frame->module : kinds[frame->kind];
}

struct widths {
	int function, place;
	bool cut;
};

static int at_most(int value, int most)
{
	return value < most ? value : most;
}

/* As wide as the stack needs; where the width is limited, the function's name gives way first. */
static struct widths frames__widths(const struct frame *const *frames, uint32_t count, int columns)
{
	struct widths widths = { .cut = columns > 0 };
	int module = 0, room;
	char name[FRAME_TEXT];

	for (uint32_t i = 0; i < count; i++) {
		int function = line__width(view_stack__function(frames[i], name));
		int place = line__width(view_stack__place(frames[i], name));
		int width = line__width(frame__module(frames[i]));

		function = at_most(function, FUNCTION_MOST);
		place = at_most(place, PLACE_MOST);
		widths.function = function > widths.function ? function : widths.function;
		widths.place = place > widths.place ? place : widths.place;
		module = width > module ? width : module;
	}
	room = columns - INDENT - GAP - widths.place - GAP - module;
	if (widths.cut)
		widths.function =
			at_most(widths.function, room > FUNCTION_LEAST ? room : FUNCTION_LEAST);
	return widths;
}

static void show_frame(FILE *out, struct line *line, const struct frame *frame,
		       const struct widths *widths)
{
	char name[FRAME_TEXT];

	line__fill(line, INDENT);
	line__cell(line, view_stack__function(frame, name), widths->function, widths->cut);
	line__put(line, "  ");
	line__cell(line, view_stack__place(frame, name), widths->place, widths->cut);
	line__put(line, widths->place ? "  " : "");
	line__put(line, frame__module(frame));
	if (frame->inlined)
		line__put(line, " (inlined)");
	line__show(line, out);
}

static void show_note(FILE *out, struct line *line, const char *note)
{
	line__format(line, "%*s%s", INDENT, "", note);
	line__show(line, out);
}

void view_stack__show(FILE *out, struct line *line, const struct stack *stack, size_t depth)
{
	uint32_t shown = depth && depth < stack->depth ? (uint32_t)depth : stack->depth;
	struct widths widths = frames__widths(stack->frames, shown, line->limit);

	for (uint32_t i = 0; i < shown; i++)
		show_frame(out, line, stack->frames[i], &widths);
	if (stack->depth == 0)
		show_note(out, line, "[unknown]");
	if (shown < stack->depth) {
		line__format(line, "%*s... %u more frames", INDENT, "", stack->depth - shown);
		line__show(line, out);
	}
	if (stack->end == STACK_TRUNCATED)
		show_note(out, line, "[stack is truncated here]");
	if (stack->end == STACK_BROKEN)
		show_note(out, line, "[stack is broken here]");
}
