/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_TABLES_H
#define MEMWATCH_TABLES_H
/*
 * What the kernel side needs to walk a stack: the unwinding rows of every object, built once and
 * shared by all processes, and each process's executable mappings. Functions return 0 or -errno.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "log.h"
#include "object.h"
#include "probe.h"

struct tables;

struct tables *tables__new(struct probe *probe, struct objects *objects, const struct log *log);
void tables__free(struct tables *tables);

/*
 * Reads the executable mappings of `pid`, adds the rows of objects not seen before, and publishes
 * both to the process's book. To be called again whenever the kernel side asks (EVENT_MAPPINGS).
 * -ENOSPC when a table is full: stacks through what did not fit will be marked broken.
 */
int tables__refresh(struct tables *tables, uint32_t book, pid_t pid);
/*
 * The object whose file EVENT_FILE is about, when the book's mappings were read after it and before
 * any change; else NULL.
 */
struct object *tables__object_of(struct tables *tables, const struct event *event);
/*
 * CPython's evaluator is at `address` of `pid`: stacks through its file, of processes whose
 * interpreter nobody has found yet, will be marked broken.
 */
void tables__has_python(struct tables *tables, pid_t pid, const struct mappings *mappings,
			uint64_t address);
/* The book is closed: its slice is free again. */
void tables__forget(struct tables *tables, uint32_t book);

struct tables_size {
	size_t objects;     /* with rows */
	size_t rows, capacity;
	size_t missed;      /* objects whose rows did not fit, or that have no table */
};
struct tables_size tables__size(const struct tables *tables);

#endif
