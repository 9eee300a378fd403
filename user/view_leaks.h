/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_VIEW_LEAKS_H
#define MEMWATCH_VIEW_LEAKS_H
/* A leak report as text and as JSON. */
#include "leaks.h"
#include "view.h"

/* Each writes and flushes the whole; 0 or -errno (-EPIPE: the reader has gone). */
int view_leaks__text(FILE *out, const struct leak_report *report, const struct view *view);
/*
 * One JSON object on one line; `last` is the header of the last snapshot. "never_freed" is a share
 * from 0 to 1; "grew" says in how many steps of the series the row did.
 */
int view_leaks__json(FILE *out, const struct leak_report *report, const struct view *view,
		     const struct snapshot_header *last);

#endif
