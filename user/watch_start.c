/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How watching begins: what this kernel allows, whom we may watch, and everything in place before
 * it is live. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "loader.h"
#include "watch_state.h"

enum { LOADER_POLL_NS = 1000 * 1000, UNSAID_S = 1 }; /* a wait that is longer is said */

static int choose_rung(struct watch *watch)
{
	struct attach_trials trials = { 0 };
	int rung = watch->options.rung;

	if (rung >= 0) {
		int error = attach__try(rung, &trials.seccomp);

		if (error) {
			log__error("--attach %s does not work here: %s%s%s", rung__name(rung),
				   strerror(-error), *probe__complaint() ? "; " : "",
				   probe__complaint());
			return error;
		}
	} else {
		rung = attach__choose(&trials, false);
	}
	if (rung < 0) {
		if (rung == -EPERM || rung == -EACCES)
			log__error(
				"not permitted to use BPF and uprobes: run it with sudo, or with "
				"CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE");
		else
			log__error("no way to attach works on this kernel: %s (%s)",
				   strerror(-rung), probe__complaint());
		return rung;
	}
	watch->rung = rung;
	watch->seccomp_kills = trials.seccomp.kills;
	log__detail(watch->log, "attaching by %s links%s", rung__name(rung),
		    watch->seccomp_kills ? "; return probes would kill confined processes here: "
					   "their returns are seen at `ret` instructions"
					 : "");
	return 0;
}

static int enter_namespace(struct watch *watch)
{
	int error = process__namespace(&watch->options.probe.pid_namespace);

	if (error)
		log__error("/proc is of another PID namespace than memwatch: mount one of its own "
			   "(unshare --mount-proc), or start memwatch outside");
	return error;
}

static bool is_translated(pid_t pid, const char *help)
{
	if (!process__is_translated(pid))
		return false;
	log__error("process %d is run by valgrind, and would end at the first probe it meets%s",
		   pid, help);
	return true;
}

static int check_pid(pid_t pid)
{
	struct process_status status;
	int error = process__status(pid, &status);

	if (error == -ESRCH || error == -ENOENT)
		log__error("no process %d", pid);
	else if (error)
		log__error("process %d cannot be looked at: %s", pid, strerror(-error));
	else if (status.state == PROCESS_KERNEL_THREAD)
		log__error("process %d is a kernel thread: it has no user memory", pid);
	else if (status.state == PROCESS_ZOMBIE)
		log__error("process %d is a zombie: it has ended and its memory is gone", pid);
	else if (status.tgid != pid)
		log__error("%d is a thread of process %d: use -p %d", pid, status.tgid,
			   status.tgid);
	else if (pid == getpid())
		log__error("memwatch does not observe itself");
	else if (!is_translated(pid, ""))
		return 0;
	return -EINVAL;
}

/* No entry point in it: says what was looked at. */
static void say_no_allocator(struct watch *watch, pid_t pid)
{
	char looked[512] = "";
	struct mappings mappings;
	uint32_t last = 0;

	if (process__mappings(pid, &mappings) || !mappings.count) {
		log__error("process %d has ended", pid);
		return;
	}
	for (size_t i = 0; i < mappings.count; i++) {
		struct object *object = NULL;

		if (mappings.items[i].prot & MAPPING_EXEC && mappings.items[i].path[0] == '/')
			object = objects__of_mapping(watch->objects, pid, &mappings.items[i]);
		if (!object || object__id(object) == last)
			continue;
		last = object__id(object);
		snprintf(looked + strlen(looked), sizeof(looked) - strlen(looked), "%s%s",
			 *looked ? ", " : "", object__name(object));
	}
	mappings__free(&mappings);
	log__error("process %d: no allocator found (malloc and its family) in %s: a static program "
		   "needs its symbol table; Go has an allocator of its own",
		   pid, *looked ? looked : "its files");
}

/* Before the probes are live each process has a book, its mappings and the rows. */
static int prepare_targets(struct watch *watch)
{
	for (size_t i = 0; i < watch->options.pid_count; i++) {
		pid_t pid = watch->options.pids[i];
		struct process_status status;
		int error = probe__add_target(watch->probe, pid);

		error = error ?: watch__open(watch, pid);
		if (error) {
			log__error("process %d: %s", pid, strerror(-error));
			return error;
		}
		if (!process__status(pid, &status) && status.leader_ended)
			watch__leader_gone(watch, pid, true);
	}
	return 0;
}

/* Opens its book, if it is to be observed. */
static int prepare_process(struct watch *watch, pid_t pid)
{
	struct process_status status;
	char comm[COMM_SIZE];
	int error;

	if (pid == getpid() || process__status(pid, &status) || status.state != PROCESS_ALIVE ||
	    process__comm(pid, comm) || !watch__wants(watch, comm))
		return 0;
	error = watch__open(watch, pid);
	if (error == -ESRCH || error == -ENOENT || error == -EACCES || error == -EPERM)
		return 0; /* it has ended, or is not ours to look at */
	if (error)
		log__error("process %d: %s", pid, strerror(-error));
	return error;
}

static int prepare_system(struct watch *watch)
{
	pid_t *pids;
	size_t count;
	int error = process__list(&pids, &count);

	if (error) {
		log__error("the processes cannot be listed: %s", strerror(-error));
		return error;
	}
	for (size_t i = 0; i < count && !error; i++)
		error = is_translated(pids[i], ": -p observes others")
				? -EPERM
				: prepare_process(watch, pids[i]);
	free(pids);
	return error;
}

/*
 * As watch__attach_process; a process whose loader has not come to an allocator yet is waited for,
 * as long as that takes. What it maps meanwhile is probed at once.
 */
static int attach_loaded(struct watch *watch, pid_t pid)
{
	const struct timespec pause = { .tv_nsec = LOADER_POLL_NS };
	int points = watch__attach_process(watch, pid);
	time_t began = time(NULL);
	bool waited = false, said = false;

	if (points)
		return points;
	for (; points >= 0 && loader__is_busy(pid); waited = true) {
		if (!said && time(NULL) - began > UNSAID_S) {
			log__info(watch->log, "waiting for process %d to be loaded", pid);
			said = true;
		}
		nanosleep(&pause, NULL);
		watch__handle(watch);
		points = watch__attach_process(watch, pid);
	}
	if (waited)
		watch__reread(watch, pid);
	return watch__attach_process(watch, pid); /* it may have been done since we looked */
}

static int attach_targets(struct watch *watch)
{
	for (size_t i = 0; i < watch->options.pid_count; i++) {
		pid_t pid = watch->options.pids[i];
		int points = attach_loaded(watch, pid);

		if (points > 0)
			continue;
		if (points == -EACCES || points == -EPERM)
			log__error("process %d: not permitted to read its mappings: run with sudo",
				   pid);
		else if (points < 0)
			log__error("process %d has ended", pid);
		else
			say_no_allocator(watch, pid);
		return -ENOENT;
	}
	return 0;
}

static int start_probe(struct watch *watch)
{
	struct probe_options options = watch->options.probe;
	int error;

	options.rung = watch->rung;
	options.only_targets = watch->options.pid_count > 0;
	watch->probe = probe__new(&options);
	if (!watch->probe) {
		error = -errno;
		log__error("the BPF programs could not be loaded: %s (%s)%s", strerror(-error),
			   probe__complaint(),
			   error == -ENOMEM || error == -E2BIG
				   ? ": smaller --max-blocks or --max-stacks would help"
				   : "");
		return error;
	}
	watch->attachments = attachments__new(watch->probe);
	watch->tables = tables__new(watch->probe, watch->objects, watch->log);
	error = watch->attachments && watch->tables ? 0 : -ENOMEM;
	error = error ?: probe__attach_lifecycle(watch->probe);
	if (error)
		log__error("the process tracepoints cannot be attached: %s", strerror(-error));
	return error;
}

int watch__start(struct watch *watch)
{
	int error = enter_namespace(watch);

	for (size_t i = 0; i < watch->options.pid_count && !error; i++)
		error = check_pid(watch->options.pids[i]);
	error = error ?: choose_rung(watch);
	error = error ?: start_probe(watch);
	if (!error)
		error = watch->options.pid_count ? prepare_targets(watch) : prepare_system(watch);
	watch->live = true;
	error = error ?: attach_targets(watch);
	if (error)
		return error;
	if (!watch->options.pid_count) {
		watch__scan_processes(watch);
		if (!watch->points) {
			log__error("no process with a known allocator was found");
			return -ENOENT;
		}
	}
	return 0;
}
