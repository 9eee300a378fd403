/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The selection, and where the user goes from it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "live_state.h"
#include "view_stack.h"

/* Where a branch stands in the tree, and its way, are one row in every snapshot. */
static uint64_t branch_identity(const struct branch *branch)
{
	struct frame frame = branch->frame;
	const struct row row = { .frame = &frame };

	if (!frame.function)
		frame.line = (uint32_t)frame.offset;
	return row__identity(&row, BY_LINE) * 31 + branch->level;
}

static uint64_t identity_at(const struct live *live, size_t index)
{
	const struct place *place = &live->places[live->depth];

	if (place->frames)
		return branch_identity(&live->tree.items[index]);
	return row__identity(&live->rows.items[index], place->by);
}

/* The screen shows the selected row, and no void while there are rows above. */
static void scroll(struct live *live)
{
	struct place *place = live__place(live);
	size_t count = live__count(live), page = live->page > 0 ? (size_t)live->page : 1;

	if (place->top + page > count)
		place->top = count > page ? count - page : 0;
	if (place->index < place->top)
		place->top = place->index;
	if (place->index >= place->top + page)
		place->top = place->index + 1 - page;
}

void live__select(struct live *live, size_t index)
{
	struct place *place = live__place(live);
	size_t count = live__count(live);

	place->index = count && index >= count ? count - 1 : index;
	if (!count)
		place->index = 0;
	place->selected = count ? identity_at(live, place->index) : 0;
	scroll(live);
}

static size_t find_selected(const struct live *live)
{
	const struct place *place = &live->places[live->depth];
	size_t count = live__count(live);

	/* Most rows stay where they were. */
	if (place->index < count && identity_at(live, place->index) == place->selected)
		return place->index;
	for (size_t i = 0; i < count; i++)
		if (identity_at(live, i) == place->selected)
			return i;
	return count;
}

void live__follow(struct live *live)
{
	struct place *place = live__place(live);
	size_t index = place->moved ? find_selected(live) : 0;
	size_t above = place->index - place->top;

	if (index == live__count(live)) { /* it is not there any more */
		live__select(live, place->index);
		return;
	}
	/* The row keeps its line on the screen. */
	place->top = index > above ? index - above : 0;
	live__select(live, index);
}

void place__fini(struct place *place)
{
	free((void *)place->of.function);
	free((void *)place->of.file);
	free((void *)place->of.module);
	memset(place, 0, sizeof(*place));
}

static struct place *enter(struct live *live)
{
	const struct place *from = live__place(live);
	struct place *place;

	if (live->depth + 1 == LIVE_PLACES)
		return NULL;
	place = &live->places[++live->depth];
	*place = (struct place){ .by = BY_STACK, .pid = from->pid, .start = from->start };
	live->stale = true;
	return place;
}

static void set_title(struct place *place, const char *text)
{
	size_t length = strnlen(text, sizeof(place->title) - 1);

	memcpy(place->title, text, length);
	place->title[length] = 0;
}

static void open_process(struct live *live, const struct process *process)
{
	struct place *place = enter(live);

	if (!place)
		return;
	place->by = live->inside;
	place->pid = process->pid;
	place->start = process->start;
	snprintf(place->title, sizeof(place->title), "%s[%d]", process->comm ? process->comm : "",
		 process->pid);
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static void open_charge(struct live *live, const struct row *row, enum group_key by)
{
	const struct frame *frame = row->frame;
	struct place *place = enter(live);
	char text[FRAME_TEXT];

	if (!place)
		return;
	place->has_of = true;
	place->of = (struct charge){
		.by = by,
		.function = copy(frame->function),
		.file = copy(frame->file),
		.module = copy(frame->module),
		.line = frame->line,
		.kind = frame->kind,
	};
	set_title(place, frame->function ? frame->function
			 : frame->file   ? view_stack__place(frame, text)
			 : frame->module ? frame->module
					 : "[unknown]");
}

static void open_stack(struct live *live, const struct row *row)
{
	struct place *place = enter(live);
	char text[FRAME_TEXT];

	if (!place)
		return;
	place->frames = true;
	place->pid = row->process->pid;
	place->start = row->process->start;
	place->stack = row->stack.id;
	set_title(place, row->stack.depth ? view_stack__function(row->stack.frames[0], text)
					  : "[unknown]");
}

void live__open(struct live *live)
{
	struct place *place = live__place(live);
	const struct row *row;

	if (place->index >= live__count(live))
		return;
	if (place->frames) { /* the path goes this way from now on */
		place->stack = live->tree.items[place->index].stack;
		place->moved = true;
		live->stale = true;
		return;
	}
	row = &live->rows.items[place->index];
	if (place->by == BY_PROCESS)
		open_process(live, row->process);
	else if (place->by == BY_STACK)
		open_stack(live, row);
	else
		open_charge(live, row, place->by);
}

bool live__back(struct live *live)
{
	if (!live->depth)
		return false;
	place__fini(live__place(live));
	live->depth--;
	live->stale = true;
	return true;
}
