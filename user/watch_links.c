/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which objects are probed, and in which processes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "elf_code.h"
#include "plan.h"
#include "watch_state.h"

enum { IN_FLIGHT_NS = 100 * 1000 * 1000 }; /* an allocator's call, on a busy processor */

/* How many of the named processes probes are made for; 0: for all there are. */
static size_t pid_count(const struct watch *watch)
{
	return watch->everywhere ? 0 : watch->options.pid_count;
}

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
				       pid_count(watch), offset);
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

static void say_refused(const struct watch *watch, const struct object *object, int taken,
			size_t wanted)
{
	if ((size_t)taken < wanted)
		log__info(watch->log, "%s: %d of %zu probes were taken: some calls are not seen",
			  object__path(object), taken, wanted);
}

/* Probes an object's entry points; a file that is none of ours costs nothing further. */
static void attach_object(struct watch *watch, const struct object *object,
			  struct known_object *known)
{
	const struct plan_options options = {
		.heap = true, /* also for the mmap family alone: what malloc maps is malloc's */
		.mmap = watch->options.mmap,
		.avoid_returns = known->avoid_returns,
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
				       pid_count(watch), plan.points, plan.point_count);
	if (known->points >= 0) {
		watch->points += known->points;
		say_refused(watch, object, known->points, plan.point_count);
	} else if (known->points != -ESRCH) /* has ended: that is said elsewhere */
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
	known->avoid_returns = avoid_returns;
	HASH_ADD(hh, watch->known_objects, id, sizeof(id), known);
	attach_object(watch, object, known);
	return known;
}

/* One of those that the links will be for. */
static bool is_any_confined(const struct watch *watch)
{
	struct process_status status;

	for (size_t i = 0; i < pid_count(watch); i++)
		if (!process__status(watch->options.pids[i], &status) && status.seccomp)
			return true;
	return !pid_count(watch);
}

/* Attaches to whatever allocators `pid` has mapped. How many probes it then has, or -errno. */
int watch__attach_process(struct watch *watch, pid_t pid)
{
	struct mappings mappings;
	int points = 0, error = process__mappings(pid, &mappings);
	bool avoid_returns;

	if (error)
		return error;
	avoid_returns = watch->seccomp_kills && is_any_confined(watch);
	for (size_t i = 0; i < mappings.count; i++) {
		const struct mapping *mapping = &mappings.items[i];
		struct known_object *known;
		struct object *object;

		if (!(mapping->prot & MAPPING_EXEC))
			continue;
		object = objects__of_mapping(watch->objects, pid, mapping);
		if (!object || mapping->path[0] == '[')
			continue;
		known = know_object(watch, object, avoid_returns);
		if (known && known->points > 0)
			points += known->points;
	}
	mappings__free(&mappings);
	return points;
}

/*
 * The old links go last, so that nothing is missed in between; what both see is one call. Only the
 * old ones will see a call return that began before the new ones were in.
 */
static int link_anew(struct watch *watch)
{
	const struct timespec in_flight = { .tv_nsec = IN_FLIGHT_NS };
	struct attachments *old = watch->attachments, *new = attachments__new(watch->probe);

	if (!new)
		return -ENOMEM;
	watch->attachments = new;
	watch->points = 0;
	probe__set_linked_twice(watch->probe, true);
	for (struct known_object *known = watch->known_objects; known; known = known->hh.next) {
		known->avoid_returns |= watch->seccomp_kills && !pid_count(watch);
		attach_object(watch, objects__by_id(watch->objects, known->id), known);
	}
	nanosleep(&in_flight, NULL);
	attachments__free(old);
	probe__set_linked_twice(watch->probe, false);
	return 0;
}

/*
 * The kernel asks a link's process for its memory by the task that led it when the link was made.
 * One that has ended has none: then only links without a process help, and the kernel side tells
 * whose calls they are. A perf link asks at every call, and sees none from the task's end on.
 */
void watch__leader_gone(struct watch *watch, pid_t pid, bool ended)
{
	int error;

	if (watch->everywhere)
		return; /* no link has a process */
	watch->everywhere = ended;
	error = link_anew(watch);
	if (error)
		log__error("process %d: %s", pid, strerror(-error));
	else if (ended && watch->rung == RUNG_PERF)
		log__info(watch->log,
			  "process %d: its main thread has ended: what the others allocated until "
			  "now was not seen",
			  pid);
	else if (ended)
		log__detail(
			watch->log,
			"process %d: its main thread has ended, the others go on: every process's "
			"calls stop at the probes, though only its own count",
			pid);
	else
		log__info(watch->log,
			  "process %d: exec by a thread that is not the main one: what the program "
			  "allocated until now was not seen",
			  pid);
}
