/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PYTHON_H
#define MEMWATCH_PYTHON_H
/*
 * CPython interpreters: where the kernel side finds their frames, and what those are called.
 * Versions 3.8 to 3.14 with glibc; offsets in python_version.c. Functions return 0 or -errno.
 */
#include <stdint.h>
#include <sys/types.h>

#include "object.h"
#include "process.h"
#include "symbol.h"
#include "../bpf/memwatch.h"

struct pythons;

struct pythons *pythons__new(void); /* NULL: no memory */
void pythons__free(struct pythons *pythons);

/*
 * Whether one of these mappings of `pid` holds a CPython interpreter, and how its frames are found.
 * Remembers the process for pythons__name. 0; -ENOENT: there is none; -EOPNOTSUPP: one whose frames
 * cannot be found, `*reason` says why and lives as long as `pythons`; else it is "". A file is
 * looked at once, so that calling again whenever mappings change costs little.
 */
int pythons__detect(struct pythons *pythons, struct objects *objects, pid_t pid,
		    const struct mappings *mappings, struct python_record *record,
		    const char **reason);

/* Whether an object is a CPython interpreter whose frames can be found. */
bool pythons__is_interpreter(struct pythons *pythons, const struct object *object);

/* Names a code object of `pid` from what the kernel side sent of it: it may be gone already. */
void pythons__learn(struct pythons *pythons, pid_t pid, const struct python_copy *copy);

/*
 * Names a frame by the two words that the kernel captured. `function` is the qualified name (to
 * 3.10, which has none, the name), `file` is co_filename, `line` is 0 where the code has none.
 * Names are kept: a code object that was named once has them when it is gone, and when its process
 * is. -ENOENT: it was gone, or replaced, before it was ever named. The strings live as long as
 * `pythons`.
 */
int pythons__name(struct pythons *pythons, pid_t pid, uint64_t code, uint64_t instruction,
		  struct name *name);

/*
 * Forgets the process and its names: to be called at its exec, before pythons__detect looks at the
 * new program, which may have other code at the same addresses; and when the last book of that pid
 * is given back, not when an older one is (of a program that exec replaced, or of a process that
 * had the pid before): the newer one's names would go. Strings handed out stay.
 */
void pythons__forget(struct pythons *pythons, pid_t pid);

#endif
