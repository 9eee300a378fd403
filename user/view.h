/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_VIEW_H
#define MEMWATCH_VIEW_H
/* The ways to show a snapshot. No view computes a figure that the model does not have. */
#include <stdio.h>

#include "snapshot.h"

struct view {
	struct query query;
	size_t depth;   /* frames shown; 0: all */
	int columns;    /* width for text; 0: not limited */
	bool utc;       /* clock times in UTC, for tests */
};

/* Each writes and flushes one whole snapshot; 0 or -errno (-EPIPE: the reader has gone). */

/*
 * Ranked text, as in INTERFACE.md. The figure a row begins with is the sort key's. `--by line` and
 * `file` are tracemalloc's lines (a file's line is 0, as there). Names are escaped as line.h says.
 */
int view_text__show(FILE *out, const struct snapshot *snapshot, const struct view *view);

/*
 * One JSON object on one line, as in INTERFACE.md, strings as json.h says. Beyond it:
 *   interval_s                         of the snapshot
 *   growth_bytes_per_s                 of totals, processes and sites, where rates are known
 *   failed_count, unmatched_frees      of processes
 *   end: "truncated" or "broken"       of a site whose stack did not reach the thread's start
 *   left_out                           of a site: frames that `depth` cut off
 * Rows of several sites have no peak_bytes (their peaks were not at one time) but for --by process,
 * and no pid or family when they are of several.
 */
int view_json__show(FILE *out, const struct snapshot *snapshot, const struct view *view);

#endif
