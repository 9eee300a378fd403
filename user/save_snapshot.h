/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_SAVE_SNAPSHOT_H
#define MEMWATCH_SAVE_SNAPSHOT_H
/* A snapshot as a file, with the conditions under which it came to be. */
#include "options.h"
#include "snapshot.h"

/* `size`: of the file. 0 or -errno. */
int save_snapshot__write(const struct options *options, const struct snapshot *snapshot,
			 const char *path, size_t *size);

#endif
