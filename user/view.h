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
/* Each writes one whole snapshot to `out`; 0 or -errno of the stream (-EPIPE: the reader has gone). */
int view_text__show(FILE *out, const struct snapshot *snapshot, const struct view *view);
int view_json__show(FILE *out, const struct snapshot *snapshot, const struct view *view);

#endif
