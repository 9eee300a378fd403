/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_VIEW_DIFF_H
#define MEMWATCH_VIEW_DIFF_H
/* The ways to show a difference. Each writes and flushes it; 0 or -errno. */
#include <stdio.h>

#include "difference.h"
#include "view.h"

/* Totals first, then rows; `--by line` and `file` are tracemalloc's lines. */
int view_diff__text(FILE *out, const struct difference *difference, const struct view *view);

/*
 * One object on one line:
 *   version, old and new (each time, elapsed_s), totals, grew, new, shrank, gone (each rows,
 *   bytes), rebuilt (names of modules, left out if there are none), changes
 * totals and changes have live_bytes, live_count, alloc_bytes and alloc_count as they are in the
 * newer file, and each with "_change". A change has "kind" (grew, new, shrank, gone), family where
 * it is of one, comm for --by process, and stack as in a snapshot.
 */
int view_diff__json(FILE *out, const struct difference *difference, const struct view *view,
		    const struct snapshot_header *old, const struct snapshot_header *now);

#endif
