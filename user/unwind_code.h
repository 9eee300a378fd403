/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_CODE_H
#define MEMWATCH_UNWIND_CODE_H
/*
 * Rows of code that no call frame information describes, by following its instructions: every path
 * from the starts of its functions, with where the caller's frame is at each step (frame_state.h).
 * Where two paths disagree, or a function returns from elsewhere than it should, nothing is known.
 * Pure: bytes in, rows out. The work is bounded by the size.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/memwatch.h"

struct unwind_code;

/* Whether `size` of the `room` bytes are nothing but what stands between functions. */
bool unwind_code__is_padding(const uint8_t *bytes, size_t size, size_t room);

/* Room for `ranges` of `size` bytes in all; NULL: no memory. */
struct unwind_code *unwind_code__new(size_t size, size_t ranges);
void unwind_code__free(struct unwind_code *code);
/*
 * A stretch of code at the virtual `address`: where its bytes are to be put. In ascending order,
 * and no more in all than there is room for; NULL: no memory.
 */
uint8_t *unwind_code__add_range(struct unwind_code *code, uint64_t address, size_t size);
/* A function begins at `address`; `size` 0: its extent is not known. 0 or -ENOMEM. */
int unwind_code__add_function(struct unwind_code *code, uint64_t address, uint64_t size);
/*
 * The kernel, or the loader, begins at `address`: there is no caller. Unless it is `sure`, only if
 * it looks so: linkers gave libraries an entry, too, which is just where their code begins. The
 * same.
 */
int unwind_code__add_entry(struct unwind_code *code, uint64_t address, bool sure);
/* Data points to `address`: a function or a label. The same. */
int unwind_code__add_pointer(struct unwind_code *code, uint64_t address);
/*
 * Whether a function of another file never returns: the one whose stub is at `address`, or a
 * pointer to it (`slot`).
 */
typedef bool (*unwind_code_ends)(void *context, uint64_t address, bool slot);
void unwind_code__set_ends(struct unwind_code *code, unwind_code_ends ends, void *context);
/* 0; -ENODATA: there is no function; -E2BIG: it is too much work; -ENOMEM. */
int unwind_code__walk(struct unwind_code *code);

/* Whether there is code, not padding, to which nothing led. */
bool unwind_code__has_unseen(struct unwind_code *code);
/* What the functions that were followed do before a call: mostly push %rbp; mov %rsp,%rbp. */
bool unwind_code__keeps_frame_pointers(const struct unwind_code *code);

enum unwind_code_kind {
	UNWIND_CODE_KNOWN,   /* the row says how */
	UNWIND_CODE_UNKNOWN, /* code of which nothing is known */
	UNWIND_CODE_LOST,    /* nothing but that rbp points to no frame of its own */
	UNWIND_CODE_PADDING, /* between functions */
};

/* Called with rising addresses in the range; the first is its start. */
typedef int (*unwind_code_emit)(void *context, uint64_t address, enum unwind_code_kind kind,
				const struct unwind_row *row);
/* The n-th range that was added. Returns 0, or the first thing but 0 that `emit` returned. */
int unwind_code__rows(struct unwind_code *code, size_t n, unwind_code_emit emit, void *context);

#endif
