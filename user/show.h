/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_SHOW_H
#define MEMWATCH_SHOW_H
/* A snapshot on standard output, as the options have it. */
#include "options.h"
#include "snapshot.h"

int show__columns(void); /* of the terminal that standard output is; 0: it is none */
/* 0, or -errno of the output. */
int show__snapshot(const struct options *options, const struct snapshot *snapshot);
int show__flush(void); /* after other text on standard output: 0, or -errno of it all */
/* What an error of the output means for the exit status; says it, unless the reader has gone. */
int show__status(int error);

#endif
