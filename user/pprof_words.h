/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PPROF_WORDS_H
#define MEMWATCH_PPROF_WORDS_H
/* The words of memwatch's profiles that the writer and the reader must agree on. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot.h"

/* Sample types, in the order in which they are written. */
enum value {
	ALLOC_OBJECTS,
	ALLOC_SPACE,
	INUSE_OBJECTS,
	INUSE_SPACE,
	PEAK_SPACE,
	GROWTH_SPACE,
	VALUES
};
extern const char *const value_names[VALUES];
extern const char *const value_units[VALUES];

/* "key: number" of the losses and "key=number" of a process, with their places in the struct. */
struct word {
	const char *name;
	size_t offset; /* of a uint64_t */
};
extern const struct word loss_words[]; /* in struct losses; ends with a NULL name */
extern const struct word process_words[]; /* in struct process */

/* What of a frame a mapping stands for, beside its build-id. Strings are NULL if not known. */
struct place {
	enum frame_kind kind;
	bool has_offset, inlined;
	const char *module, *path;
};
extern const char *const kind_names[]; /* by enum frame_kind */
/* What a mapping's file name says, where no comment says more. */
struct place place__of_file(const char *filename);
bool place__equal(const struct place *a, const struct place *b);

/*
 * Strings of a profile are UTF-8, names may be any bytes: a byte that is none becomes \xNN, and so
 * does the backslash of what looks like that. Each returns how many bytes it wrote to `to`, which
 * has room for four times (encode) or once (decode) the length; no NUL is written.
 */
size_t words__encode(char *to, const char *text);
size_t words__decode(char *to, const char *text);
bool words__is_utf8(const char *text);

#endif
