/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_OPTIONS_H
#define MEMWATCH_OPTIONS_H
/* The command line: one table for parsing and --help. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "log.h"
#include "snapshot.h"

enum verb { VERB_TOP, VERB_RECORD, VERB_REPORT, VERB_DIFF, VERB_EXPORT, VERB_DOCTOR };
enum export_format {
	EXPORT_NONE,
	EXPORT_FOLDED,
	EXPORT_FLAMEGRAPH,
	EXPORT_SPEEDSCOPE,
	EXPORT_JSON,
	EXPORT_CSV,
};

struct options {
	enum verb verb;
	pid_t *pids;
	size_t pid_count;
	const char *name;         /* glob; NULL: none */
	struct query query;
	size_t depth;             /* frames shown; 0: all */
	uint64_t min_size, max_size; /* bytes */
	uint64_t older_ns;
	uint32_t max_blocks, max_stacks, max_frames; /* 0: the default */
	int rung;                 /* enum rung, or -1: choose */
	bool json, plain, help, version;
	struct log log;
	uint64_t interval_ns;
	uint64_t count;           /* snapshots; 0: until the end */
	const char *output;       /* file to write; NULL: none */
	uint64_t for_ns, every_ns; /* record; 0: no limit, no series */
	const char *const *files; /* to read */
	size_t file_count;
	bool leaks;               /* report: of a series */
	enum export_format format;
	const char *base;         /* export: the file to compare with; NULL: none */
	uint64_t grew;            /* diff: rows that grew by at least that many bytes; 0: all */
	uint64_t fail_on_growth;  /* diff: more bytes are a failure; UINT64_MAX: none are */
	const char **globs;       /* owned: what query.include and query.exclude point into */
};

/* 0; or -EINVAL after saying on standard error, in one line, what is wrong. options__free either
 * way. */
int options__parse(struct options *options, int argc, char **argv);
void options__free(struct options *options);
void options__help(FILE *out);

#endif
