/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What keys do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "live_state.h"
#include "units.h"

/* Intervals that + and - go through. */
static const uint64_t intervals[] = {
	100000000,  200000000,   500000000,   1000000000,  2000000000,
	5000000000, 10000000000, 30000000000, 60000000000,
};
enum { INTERVALS = sizeof(intervals) / sizeof(intervals[0]) };

static void change_interval(struct live *live, bool longer)
{
	uint64_t now = live->options.interval_ns, next = now;

	for (int i = 0; i < INTERVALS; i++) {
		if (longer && intervals[i] > now) {
			next = intervals[i];
			break;
		}
		if (!longer && intervals[i] < now)
			next = intervals[i];
	}
	live->options.interval_ns = next;
}

/* A substring is a glob with stars around it; the user's own * and ? mean what they mean. */
static void make_glob(struct live *live)
{
	char *out = live->glob;

	*out++ = '*';
	for (const char *in = live->find; *in; in++) {
		if (*in == '[' || *in == '\\')
			*out++ = '\\';
		*out++ = *in;
	}
	*out++ = '*';
	*out = 0;
	live->stale = true;
	live->unnamed = 0;
}

static void set_find(struct live *live, const char *text)
{
	snprintf(live->find, sizeof(live->find), "%s", text);
	make_glob(live);
}

static enum live_wish set_older(struct live *live, const char *text)
{
	uint64_t ns = 0;

	if (*text && units__parse_duration(text, &ns)) {
		live__say(live, "a duration is wanted: 500ms, 2s, 5m");
		return LIVE_WISH_NOTHING;
	}
	live->options.older_ns = ns;
	return LIVE_WISH_OLDER;
}

static void start_prompt(struct live *live, enum prompt prompt)
{
	live->prompt = prompt;
	snprintf(live->input, sizeof(live->input), "%s", prompt == PROMPT_FIND ? live->find : "");
}

/* UTF-8 of a character that fits, at the end of `text`. */
static void append(char text[LIVE_TEXT], int key)
{
	size_t length = strlen(text);
	unsigned int code = (unsigned int)key;

	if (key < 0x20 || key == 0x7f || key > 0x10ffff || length + 5 > LIVE_TEXT)
		return;
	if (code < 0x80) {
		text[length++] = (char)code;
	} else if (code < 0x800) {
		text[length++] = (char)(0xc0 | code >> 6);
		text[length++] = (char)(0x80 | (code & 0x3f));
	} else {
		if (code >= 0x10000) {
			text[length++] = (char)(0xf0 | code >> 18);
			text[length++] = (char)(0x80 | (code >> 12 & 0x3f));
		} else {
			text[length++] = (char)(0xe0 | code >> 12);
		}
		text[length++] = (char)(0x80 | (code >> 6 & 0x3f));
		text[length++] = (char)(0x80 | (code & 0x3f));
	}
	text[length] = 0;
}

static void erase_last(char *text)
{
	size_t length = strlen(text);

	while (length && ((unsigned char)text[--length] & 0xc0) == 0x80)
		;
	text[length] = 0;
}

static enum live_wish prompt_key(struct live *live, int key)
{
	enum prompt prompt = live->prompt;

	if (key == LIVE_KEY_ENTER || key == LIVE_KEY_ESCAPE)
		live->prompt = PROMPT_NONE;
	if (key == LIVE_KEY_ESCAPE)
		*live->input = 0;
	else if (key == LIVE_KEY_BACKSPACE || key == 0x7f || key == 8)
		erase_last(live->input);
	else if (key != LIVE_KEY_ENTER)
		append(live->input, key);
	if (prompt == PROMPT_FIND)
		set_find(live, live->input);
	else if (key == LIVE_KEY_ENTER)
		return set_older(live, live->input);
	return LIVE_WISH_NOTHING;
}

static void take_baseline(struct live *live)
{
	if (!live->shown)
		return;
	live__hold(live, &live->baseline, live->shown);
	snapshot__change_since(live->shown, live->shown);
	if (live->newest != live->shown)
		snapshot__change_since(live->newest, live->shown);
	live__clock(live, live->shown, live->since);
	live->sort = SORT_CHANGE;
	live->stale = true;
}

static void drop_baseline(struct live *live)
{
	live__hold(live, &live->baseline, NULL);
	if (live->sort == SORT_CHANGE)
		live->sort = SORT_LIVE;
	live->stale = true;
}

static void clear_ever(struct live *live)
{
	if (!live->shown)
		return;
	live__hold(live, &live->origin, live->newest);
	snapshot__clear_before(live->newest, live->newest);
	if (live->shown != live->newest)
		snapshot__clear_before(live->shown, live->newest);
	live__say(live, "what is ever allocated counts from now on; peaks stay");
	live->stale = true;
}

static void hold_still(struct live *live)
{
	live->paused = !live->paused;
	if (!live->paused && live->newest)
		live__show(live, live->newest);
}

static void next_group(struct live *live)
{
	struct place *place = live__place(live);

	if (place->frames)
		return;
	place->by = place->by == BY_PROCESS ? BY_STACK : place->by + 1;
	if (place->by == BY_PROCESS && (place->pid || place->has_of))
		place->by = BY_STACK;
	if (place->by != BY_PROCESS)
		live->inside = place->by;
	place->moved = false;
	place->index = place->top = 0;
	live->unnamed = 0;
	live->stale = true;
}

static void move(struct live *live, enum live_action action)
{
	struct place *place = live__place(live);
	size_t page = live->page > 1 ? (size_t)live->page - 1 : 1, index = place->index;

	live__update(live);
	switch (action) {
	case LIVE_UP:
		index -= index > 0;
		break;
	case LIVE_DOWN:
		index++;
		break;
	case LIVE_PAGE_UP:
		index -= index > page ? page : index;
		break;
	case LIVE_PAGE_DOWN:
		index += page;
		break;
	case LIVE_HOME:
		index = 0;
		break;
	default:
		index = live__count(live);
	}
	place->moved = action != LIVE_HOME;
	live__select(live, index);
}

static void sort_by(struct live *live, int step)
{
	live->sort = live__next_sort(live, step);
	live->stale = true;
}

static void open_selected(struct live *live)
{
	live__update(live);
	live__open(live);
}

static void back(struct live *live)
{
	if (!live__back(live) && *live->find)
		set_find(live, "");
}

static void sort_next(struct live *live)
{
	sort_by(live, 0);
}

static void sort_left(struct live *live)
{
	sort_by(live, -1);
}

static void sort_right(struct live *live)
{
	sort_by(live, 1);
}

static void flip(struct live *live)
{
	live->from_leaf = !live->from_leaf;
	live->stale = true;
}

static void ask_find(struct live *live)
{
	start_prompt(live, PROMPT_FIND);
}

static void ask_older(struct live *live)
{
	start_prompt(live, PROMPT_OLDER);
}

static void slower(struct live *live)
{
	change_interval(live, true);
}

static void faster(struct live *live)
{
	change_interval(live, false);
}

static void show_help(struct live *live)
{
	live->help = true;
	live->help_top = 0;
}

/* What an action does here, and what it wishes of the caller. Moves are not here. */
static const struct {
	void (*run)(struct live *live);
	enum live_wish wish;
} acts[] = {
	[LIVE_NOTHING] = { 0 },
	[LIVE_OPEN] = { .run = open_selected },
	[LIVE_BACK] = { .run = back },
	[LIVE_SORT] = { .run = sort_next },
	[LIVE_SORT_LEFT] = { .run = sort_left },
	[LIVE_SORT_RIGHT] = { .run = sort_right },
	[LIVE_GROUP] = { .run = next_group },
	[LIVE_FLIP] = { .run = flip },
	[LIVE_FIND] = { .run = ask_find },
	[LIVE_BASELINE] = { .run = take_baseline },
	[LIVE_NO_BASELINE] = { .run = drop_baseline },
	[LIVE_OLDER] = { .run = ask_older },
	[LIVE_PAUSE] = { .run = hold_still },
	[LIVE_SLOWER] = { .run = slower, .wish = LIVE_WISH_INTERVAL },
	[LIVE_FASTER] = { .run = faster, .wish = LIVE_WISH_INTERVAL },
	[LIVE_WRITE] = { .wish = LIVE_WISH_FILE },
	[LIVE_FLAME] = { .wish = LIVE_WISH_FLAME },
	[LIVE_CLEAR] = { .run = clear_ever },
	[LIVE_HELP] = { .run = show_help },
	[LIVE_QUIT] = { .wish = LIVE_WISH_QUIT },
};

static enum live_wish act(struct live *live, enum live_action action)
{
	if (action >= LIVE_UP && action <= LIVE_END)
		move(live, action);
	else if (acts[action].run)
		acts[action].run(live);
	return acts[action].wish;
}

static enum live_wish help_key(struct live *live, enum live_action action)
{
	if (action == LIVE_DOWN)
		live->help_top++;
	else if (action == LIVE_UP)
		live->help_top -= live->help_top > 0;
	else if (action == LIVE_QUIT)
		return LIVE_WISH_QUIT;
	else
		live->help = false;
	return LIVE_WISH_NOTHING;
}

enum live_wish live__key(struct live *live, int key)
{
	*live->message = 0;
	if (live->prompt != PROMPT_NONE)
		return prompt_key(live, key);
	if (live->help)
		return help_key(live, live_keys__action(key));
	return act(live, live_keys__action(key));
}

void live__click(struct live *live, int line)
{
	struct place *place = live__place(live);
	size_t index = place->top + (size_t)(line - live->first_line);

	*live->message = 0;
	live->help = false;
	if (live->prompt != PROMPT_NONE || line < live->first_line ||
	    line >= live->first_line + live->page)
		return;
	live__update(live);
	if (index >= live__count(live))
		return;
	if (place->moved && index == place->index) {
		live__open(live);
		return;
	}
	place->moved = true;
	live__select(live, index);
}
