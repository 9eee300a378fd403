/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which objects are probed, and in which processes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf_code.h"
#include "plan.h"
#include "watch_state.h"

static void object_path(const struct object *object, char path[32])
{
	snprintf(path, 32, "/proc/self/fd/%d", object__fd(object));
}

/* The loader calls this function when it has changed the list of mappings (link.h, r_brk). */
static void attach_loader(struct watch *watch, const struct object *object)
{
	const struct elf_symbol *symbols;
	struct elf_code *code;
	uint64_t offset;
	char path[32];
	size_t count;

	if (elf_code__open(object__fd(object), &code))
		return;
	symbols = elf_code__symbols(code, &count);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(symbols[i].name, "_dl_debug_state") &&
		    elf_code__offset(code, symbols[i].address, &offset)) {
			object_path(object, path);
			attach__loader(watch->attachments, path, watch->options.pids,
				       watch->options.pid_count, offset);
			break;
		}
	elf_code__close(code);
}

static void say_plan(const struct watch *watch, const struct object *object,
		     const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_item *item = &plan->items[i];

		if (item->error)
			log__detail(watch->log, "%s: %s is not observed: %s", object__name(object),
				    item->entry.name, strerror(-item->error));
		else
			log__detail(watch->log, "%s: %s+%#lx  %s  (%s)", object__name(object),
				    item->entry.name, (unsigned long)item->placement.offset,
				    item->placement.instruction,
				    item->placement.emulated ? "emulated" : "single-stepped");
	}
}

/* Probes an object's entry points; a file that is none of ours costs nothing further. */
static void attach_object(struct watch *watch, const struct object *object,
			  struct known_object *known, bool avoid_returns)
{
	const struct plan_options options = {
		.heap = true, /* also for the mmap family alone: what malloc maps is malloc's */
		.mmap = watch->options.mmap,
		.avoid_returns = avoid_returns,
	};
	struct plan plan;
	char path[32];
	int error = plan__make(object, &options, &plan);

	if (error)
		log__detail(watch->log, "%s: not looked at: %s", object__path(object),
			    strerror(-error));
	if (error || !plan.count) {
		attach_loader(watch, object);
		return;
	}
	say_plan(watch, object, &plan);
	object_path(object, path);
	known->points = attach__points(watch->attachments, path, watch->options.pids,
				       watch->options.pid_count, plan.points, plan.point_count);
	if (known->points >= 0)
		watch->points += known->points;
	else if (known->points != -ESRCH) /* has ended: that is said elsewhere */
		log__info(watch->log, "%s: cannot be probed: %s", object__path(object),
			  strerror(-known->points));
	known->is_allocator = plan.is_allocator;
	plan__free(&plan);
	attach_loader(watch, object); /* musl's libc is its loader too */
}

static struct known_object *know_object(struct watch *watch, const struct object *object,
					bool avoid_returns)
{
	uint32_t id = object__id(object);
	struct known_object *known;

	HASH_FIND(hh, watch->known_objects, &id, sizeof(id), known);
	if (known)
		return known;
	known = calloc(1, sizeof(*known));
	if (!known)
		return NULL;
	known->id = id;
	HASH_ADD(hh, watch->known_objects, id, sizeof(id), known);
	attach_object(watch, object, known, avoid_returns);
	return known;
}

/* Attaches to whatever allocators `pid` has mapped. How many probes it then has, or -errno. */
int watch__attach_process(struct watch *watch, pid_t pid)
{
	struct process_status status;
	struct mappings mappings;
	int points = 0, error = process__status(pid, &status);

	error = error ?: process__mappings(pid, &mappings);
	if (error)
		return error;
	for (size_t i = 0; i < mappings.count; i++) {
		const struct mapping *mapping = &mappings.items[i];
		struct known_object *known;
		struct object *object;

		if (!(mapping->prot & MAPPING_EXEC))
			continue;
		object = objects__of_mapping(watch->objects, pid, mapping);
		if (!object || mapping->path[0] == '[')
			continue;
		known = know_object(watch, object,
				    watch->seccomp_kills &&
					    (status.seccomp || !watch->options.pid_count));
		if (known && known->points > 0)
			points += known->points;
	}
	mappings__free(&mappings);
	return points;
}
