/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_LIVE_STATE_H
#define MEMWATCH_LIVE_STATE_H
/* What the live view knows and where in it the user is. For the live_*.c alone. */
#include "history.h"
#include "live.h"
#include "tree.h"

enum { LIVE_PLACES = 6, LIVE_TEXT = 80 };

/* Where the user has gone: rows, or the frames of a stack. */
struct place {
	bool frames;
	enum group_key by;
	pid_t pid; /* 0: every process */
	uint64_t start;
	char title[LIVE_TEXT]; /* of what was opened to come here */
	struct charge of; /* strings owned */
	bool has_of;
	uint64_t stack;
	/* The selection. It follows the row unless it never was moved off the first. */
	uint64_t selected;
	bool moved;
	size_t index, top; /* of the selected row, of the first one on the screen */
};

enum prompt { PROMPT_NONE, PROMPT_FIND, PROMPT_OLDER };

struct live {
	struct live_options options;
	struct place places[LIVE_PLACES];
	int depth; /* places[depth] is where the user is */
	enum sort_key sort;
	enum group_key inside; /* how a process's rows were grouped the last time */
	bool from_leaf;
	/* Snapshots; some may be the same one. */
	struct snapshot *newest, *shown, *baseline, *origin;
	bool paused, help;
	int help_top;
	struct own_cost cost;
	struct history *history;
	/* What is on the screen, of `shown`. */
	struct query query;
	struct rows rows;
	struct tree tree;
	bool stale; /* the rows are of an earlier state */
	int error; /* why there are none */
	int page; /* rows that the screen had room for */
	int first_line; /* of the table's rows, when they were drawn last */
	enum prompt prompt;
	char input[LIVE_TEXT], find[LIVE_TEXT], glob[2 * LIVE_TEXT + 3];
	char message[2 * LIVE_TEXT];
	char since[16]; /* clock of the baseline */
	size_t unnamed; /* sites up to here have been looked at for names */
};

static inline struct place *live__place(struct live *live)
{
	return &live->places[live->depth];
}

/* Rows, or branches, that there are. */
static inline size_t live__count(const struct live *live)
{
	return live->places[live->depth].frames ? live->tree.count : live->rows.count;
}

/* Makes the rows what the state says, where they are not; the selection finds its row again. */
void live__update(struct live *live);
/* Frees the snapshot that `*held` was, if nothing else holds it. */
void live__hold(struct live *live, struct snapshot **held, struct snapshot *snapshot);
void live__show(struct live *live, struct snapshot *snapshot);
void live__clock(const struct live *live, const struct snapshot *snapshot, char text[16]);

/* live_move.c: the selection, and places. */
void live__select(struct live *live, size_t index);
void live__follow(struct live *live); /* the selected row, to where it is now */
void live__open(struct live *live); /* what is selected */
bool live__back(struct live *live); /* false: this is the first place */
void place__fini(struct place *place);

/* live_draw.c and the parts it draws. */
enum { LIVE_FIGURE = 10 }; /* columns of a figure, with the space before it */
void live__draw_table(struct live *live, struct canvas *canvas, int line, int lines);
void live__draw_tree(struct live *live, struct canvas *canvas, int line, int lines);
int live__draw_header(struct live *live, struct canvas *canvas,
		      int most); /* how many lines it took */
void live__draw_help(struct live *live, struct canvas *canvas);
enum sort_key live__next_sort(const struct live *live, int step);

#endif
