/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PYTHON_LINES_H
#define MEMWATCH_PYTHON_LINES_H
/* From an instruction to its source line, by the table that a code object carries. Pure. */
#include <stddef.h>
#include <stdint.h>

enum python_lines { /* the table's format */
		    PYTHON_LNOTAB, /* to 3.9: co_lnotab, CPython's Objects/lnotab_notes.txt */
		    PYTHON_LINETABLE, /* 3.10: co_linetable, the same file's second half */
		    PYTHON_LOCATIONS, /* 3.11+: co_linetable, Objects/locations.md */
};

/*
 * The line of the instruction at `offset` bytes in the code, whose first line is `first`; 0: it
 * has none, or the table does not say. A negative offset is a frame before its first instruction.
 * The table is not trusted.
 */
unsigned int python_lines__find(enum python_lines format, const uint8_t *table, size_t size,
				unsigned int first, int64_t offset);

#endif
