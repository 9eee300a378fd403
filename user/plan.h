/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PLAN_H
#define MEMWATCH_PLAN_H
/* What is probed in one object: its allocator entry points, each with its place and how its return
 * is seen. */
#include <stdbool.h>
#include <stddef.h>

#include "allocator.h"
#include "attach.h"
#include "object.h"
#include "placement.h"

struct plan_options {
	bool heap, mmap;    /* families wanted */
	bool avoid_returns; /* no return probe at all: see `returns` by the `ret` instructions */
};

enum plan_return { PLAN_NO_RETURN, PLAN_RETURN_PROBE, PLAN_EXIT_PROBES, PLAN_UNOBSERVABLE };

struct plan_item {
	struct entry entry;
	struct placement placement;
	enum plan_return returns;
	int error;    /* why it is not observed; 0: it is */
	size_t exits; /* with PLAN_EXIT_PROBES, how many */
};

struct plan {
	struct plan_item *items;
	size_t count;
	struct attach_point *points;
	size_t point_count;
	bool is_allocator; /* defines malloc: what it maps inside is its own affair */
};

/* 0 with no items when the object has no entry points; -ENOEXEC when it is no usable ELF file; else
 * -errno. */
int plan__make(const struct object *object, const struct plan_options *options, struct plan *plan);
void plan__free(struct plan *plan);

#endif
