/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_TABLE_H
#define MEMWATCH_UNWIND_TABLE_H
/*
 * .eh_frame, .debug_frame for what it leaves out, and for what neither describes the code itself
 * (unwind_code.h), of an object -> struct unwind_row of bpf/memwatch.h, sorted by address.
 */
#include <stddef.h>
#include <stdint.h>

#include "object.h"
#include "../bpf/memwatch.h"

/*
 * Rows cover the whole of every executable segment: what nothing is known of is a row of its own
 * that says so (UNWIND_NONE, or UNWIND_UNSUPPORTED among code that does not keep frame pointers).
 * A signal restorer without an FDE is UNWIND_SIGNAL, from the byte before it on. Positions are file
 * offsets: row i of page p holds for [p.page << 16 | row.low, the next row's position). The first
 * row of each page of 64 KiB has low = 0 and repeats what holds there, so that one page's rows are
 * enough for any pc in it; any other row differs from the one before.
 */
struct unwind_page {
	uint32_t page;  /* file offset >> 16 */
	uint32_t first; /* index into rows */
	uint32_t count; /* at least 1 */
};

struct unwind_table {
	struct unwind_row *rows;
	size_t row_count;
	struct unwind_page *pages; /* ascending */
	size_t page_count;
	size_t unsupported; /* rows that are UNWIND_UNSUPPORTED */
};

/*
 * 0; -ENODATA when nothing is known of any of its code; -ENOEXEC when it is no ELF file or a
 * hostile one.
 */
int unwind_table__build(const struct object *object, struct unwind_table *table);
/* The same of a descriptor, which stays the caller's and open. */
int unwind_table__build_fd(int fd, struct unwind_table *table);
void unwind_table__free(struct unwind_table *table);
/* The row that holds at `offset`, or NULL: what the BPF side does, for tests. */
const struct unwind_row *unwind_table__find(const struct unwind_table *table, uint64_t offset);

#endif
