/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_DWARF_INDEX_H
#define MEMWATCH_DWARF_INDEX_H
/*
 * Which functions, inlined and real, DWARF puts an address in, and which lines. Indexed by itself:
 * .debug_aranges need not be there (clang leaves it out), and dwarf_getscopes() takes milliseconds
 * a call. Units, functions and what is inlined into one are read when they are first asked for.
 * Not thread-safe (libdw is not).
 */
#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

struct dwarf_index;

struct dwarf_frame {
	/* linkage name, else name; NULL when not known. Lives as long as the index */
	const char *function;
	const char *file;     /* NULL when not known */
	unsigned int line;    /* 0 when not known */
	uint64_t start;       /* of the real function, an address; 0 when inlined or not known */
	bool plain;           /* `function` is no linkage name */
	bool inlined;
};

struct dwarf_index *dwarf_index__new(Dwarf *dwarf); /* which must live as long; NULL: no memory */
void dwarf_index__free(struct dwarf_index *index);
/* Fills at most `max` frames, innermost first; how many, or -ENOMEM. */
int dwarf_index__find(struct dwarf_index *index, uint64_t address, struct dwarf_frame *frames,
		      int max);

#endif
