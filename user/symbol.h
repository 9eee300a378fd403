/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_SYMBOL_H
#define MEMWATCH_SYMBOL_H
/*
 * (object, file offset) -> function, file:line and inlined frames. Sources, best first: DWARF
 * (embedded; by build-id under /usr/lib/debug; .gnu_debuglink), .symtab, .gnu_debugdata, .dynsym.
 * Never a wrong nearest name: an address beyond a symbol's size has no name.
 * Nothing here trusts the file: a hostile one costs its names, no more.
 */
#include <stdbool.h>
#include <stdint.h>

#include "object.h"

struct symbols;

struct name {
	const char *function; /* demangled; NULL when not known */
	const char *file;     /* as DWARF gives it, with its directory; NULL when not known */
	unsigned int line;    /* 0 when not known */
	bool inlined;         /* into the name that follows */
};

struct symbols *symbols__new(void);
void symbols__free(struct symbols *symbols);

/*
 * Names of the code at `offset` bytes in the object's file, the innermost inlined function first,
 * the real one last. For a return address the caller passes offset - 1. Fills at most `max` names
 * and returns how many: 0 when nothing is known, -errno on a failure that is not the file's
 * fault. The strings live as long as `symbols`.
 */
int symbols__find(struct symbols *symbols, struct object *object, uint64_t offset,
		  struct name *names, int max);

#endif
