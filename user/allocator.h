/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_ALLOCATOR_H
#define MEMWATCH_ALLOCATOR_H
/* Which entry points of the allocator family a file defines. The names are data, in allocator.c. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "object.h"
#include "placement.h"
#include "../bpf/memwatch.h" /* enum entry_kind */

struct entry {
	const char *name;     /* "malloc", "operator new(unsigned long)", …; static storage */
	enum entry_kind kind; /* what arrives in which argument */
	bool keeps_return;    /* it may throw, or walks the stack: no return probe may be armed */
	bool uses_return;     /* the books need what it returns */
	uint64_t address;     /* virtual address in the file */
	uint64_t offset;      /* in the file, bytes */
	uint64_t size;        /* of the symbol; 0 when not known */
};

/*
 * The entry points that `object` defines, by .dynsym and .symtab, one per address (aliases are one;
 * an IFUNC or an undefined symbol is none), ascending by address. A function that only jumps to
 * another entry of its kind in the same file (jemalloc's operator delete: `jmp free@plt`) is none
 * either: what goes through it arrives there, and would be seen twice. C++ operators count only in
 * a file that has an allocator beside them (libstdc++ has none), and not when they return only what
 * that file's malloc gave them (libstdc++ in a static program).
 * `*entries` is the caller's to free. 0 with *count = 0 when it defines none; -ENOEXEC when it is
 * no ELF file for this machine or lies about its own shape; else -errno.
 */
int allocator__entries(const struct object *object, struct entry **entries, size_t *count);

/* How many integer arguments a probe on an entry of this kind must find. */
unsigned int entry__arguments(enum entry_kind kind);

/*
 * Where the probe on `entry` goes, as placement__choose(). `placement->offset` counts from
 * entry->address and entry->offset alike.
 */
int allocator__place(const struct object *object, const struct entry *entry,
		     struct placement *placement);

/*
 * The file offsets of every `ret` through which `entry` returns, which no return probe may see, by
 * placement__exits(): how many, at most `max`; -ENOTSUP when they cannot all be known and the entry
 * can therefore not be observed; else -errno.
 */
int allocator__exits(const struct object *object, const struct entry *entry, uint64_t *offsets,
		     size_t max);

#endif
