/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_LIVE_H
#define MEMWATCH_LIVE_H
/*
 * The live view without its terminal: takes snapshots and keys, and draws on a canvas. It computes
 * no figure: those are the model's.
 */
#include <stdbool.h>
#include <stdint.h>

#include "canvas.h"
#include "live_keys.h"
#include "snapshot.h"

struct live;

struct live_options {
	struct query query; /* what it begins with; `top` is not heeded */
	bool processes; /* begin with processes */
	uint64_t interval_ns, older_ns;
	bool utc; /* clock times in UTC, for tests */
	/* The text of a source line, or ""; NULL: there are none. */
	const char *(*source)(void *context, const char *path, uint32_t line);
	void *context;
};

/* What memwatch itself used since the snapshot before. */
struct own_cost {
	double cpus; /* 1.0: one CPU, all the time */
	uint64_t resident_bytes;
};

/* What the caller is asked to do after a key. */
enum live_wish {
	LIVE_WISH_NOTHING,
	LIVE_WISH_QUIT,
	LIVE_WISH_INTERVAL, /* live__interval has changed */
	LIVE_WISH_OLDER, /* live__older has */
	LIVE_WISH_FILE, /* write live__shown to a file, */
	LIVE_WISH_FLAME, /* as a flame graph; and say where with live__say */
};

struct live *live__new(const struct live_options *options); /* NULL: no memory */
void live__free(struct live *live);

/* Takes the snapshot over. Rates and changes are filled here. 0 or -ENOMEM. */
int live__take(struct live *live, struct snapshot *snapshot, const struct own_cost *cost);
/* Names of stacks of the snapshot have become known. */
void live__named(struct live *live);
enum live_wish live__key(struct live *live, int key);
/* A press of the mouse's button on this line: selects a row, or opens the one that is selected. */
void live__click(struct live *live, int line);
void live__say(struct live *live, const char *message); /* shown until the next key */
void live__draw(struct live *live, struct canvas *canvas);

/* The snapshot that is shown; NULL: none yet. While the view is paused the newest is another. */
struct snapshot *live__shown(const struct live *live);
struct snapshot *live__newest(const struct live *live);
struct snapshot *live__baseline(const struct live *live); /* NULL: none was taken */
/* The query that is shown: it ranks the last snapshot that is left on the terminal. */
const struct query *live__query(const struct live *live);
uint64_t live__interval(const struct live *live);
uint64_t live__older(const struct live *live);
/*
 * A stack that is shown and has no names yet, or whose names are needed to make the rows: the index
 * in live__shown. -1: none.
 */
int live__unnamed(struct live *live);

#endif
