/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_WATCH_STATE_H
#define MEMWATCH_WATCH_STATE_H
/*
 * What the parts of the watch (watch_events.c, watch_links.c, watch_start.c, watch_sweep.c) share;
 * nobody else includes it.
 */
#include "attach.h"
#include "python.h"
#include "tables.h"
#include "watch.h"

struct known_object { /* one that was looked at for entry points */
	uint32_t id;
	bool is_allocator;
	bool avoid_returns; /* probed without return probes */
	int points; /* probed */
	UT_hash_handle hh;
};

struct known_process { /* one whose objects were looked at */
	pid_t pid;
	uint64_t start;
	bool alive;
	UT_hash_handle hh;
};

struct spare_stack { /* one that no site referred to at the last sweep */
	uint64_t id;
	UT_hash_handle hh;
};

struct watch {
	struct watch_options options;
	const struct log *log;
	struct probe *probe;
	struct attachments *attachments;
	struct objects *objects;
	struct tables *tables;
	struct pythons *pythons;
	struct watched *watched; /* by book */
	struct known_object *known_objects;
	struct known_process *known_processes;
	enum rung rung;
	bool seccomp_kills;
	bool everywhere; /* probes go into all processes, though pids are named */
	bool live; /* probes may go in: what was running before has its tables */
	size_t points;
	uint64_t stacks_deleted;
	struct spare_stack *spares;
	struct process_losses dropped; /* of processes that ended */
};

bool watch__wants(const struct watch *watch, const char *comm); /* by --name */
void watch__forget_spares(struct watch *watch); /* what the sweep remembers */
int watch__start(struct watch *watch);          /* says itself why it cannot; -errno */
int watch__open(struct watch *watch,
		pid_t pid); /* a book for a process, before the probes are live */
int watch__attach_process(struct watch *watch,
			  pid_t pid); /* how many probes it then has, or -errno */
/*
 * The thread that led a process is gone: it has ended, and the others go on; or another one called
 * exec and leads it now. Links that were made for the process see nothing any more, or will not for
 * long: makes them anew.
 */
void watch__leader_gone(struct watch *watch, pid_t pid, bool ended);
void watch__reread(struct watch *watch, pid_t pid); /* its mappings, whenever they last were */
void watch__scan_processes(
	struct watch *watch); /* attaches to what processes unknown so far bring */
void watch__drop(struct watch *watch, struct watched *watched);

#endif
