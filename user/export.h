/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_EXPORT_H
#define MEMWATCH_EXPORT_H
/*
 * A snapshot in the formats of others. Each writes and flushes the sites that the query's filters
 * keep, ranked by its `sort`, all of them; 0 or -errno.
 */
#include <stdio.h>

#include "snapshot.h"

/* "comm;root;...;leaf VALUE", a site a line, as flamegraph.pl reads it; VALUE is what `sort` says.
 * A site whose value is 0 is left out. */
int export__folded(FILE *out, const struct snapshot *snapshot, const struct query *query);
/* speedscope's own JSON: a profile for each of bytes and blocks in use, allocated, and peaks. */
int export__speedscope(FILE *out, const struct snapshot *snapshot, const struct query *query);
/* RFC 4180, with a header. `stack` is root first, as in folded. */
int export__csv(FILE *out, const struct snapshot *snapshot, const struct query *query);

/* What a flame graph is of: one snapshot, or what changed since another. */
struct export_flamegraph {
	const struct snapshot *snapshot, *base; /* NULL: no other */
	const char *name, *base_name; /* as the page calls them */
	unsigned int holds; /* 1 << enum sort_key: what both have figures of */
};
/*
 * A web page that stands alone. `sort` is what it shows first. It has all calls, but of more than
 * EXPORT_CALLS the smallest are folded together, and it says so. -ENOPKG: see below; -ENODATA: they
 * hold none of what it can show.
 */
int export__flamegraph(FILE *out, const struct export_flamegraph *of, const struct query *query);
enum { EXPORT_CALLS = 30000 };
bool export__has_flamegraph(void);
extern const char export__no_flamegraph[]; /* why there is none */

enum { EXPORT_NAME = 1024 };
/* A frame in one word: its function, or where it is. Without ';' and control characters. */
const char *export__name(const struct frame *frame, char text[EXPORT_NAME]);
/* What a row counts by `sort`; there is no count of growth, which is 0. */
uint64_t export__value(const struct counters *counters, enum sort_key sort);

#endif
