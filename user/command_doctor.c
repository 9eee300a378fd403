/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor: what this kernel, these privileges and this target allow, and why not. */
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "attach.h"
#include "command.h"
#include "line.h"
#include "loader.h"
#include "object.h"
#include "plan.h"
#include "process.h"
#include "show.h"
#include "unwind_table.h"

/* One line; names of processes and files are data. */
static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
	struct line line;
	va_list arguments;

	line__init(&line, 0);
	va_start(arguments, format);
	line__vformat(&line, format, arguments);
	va_end(arguments);
	line__show(&line, stdout);
	line__fini(&line);
}

static const struct {
	int number;
	const char *name, *why;
} capabilities[] = {
	{ CAP_BPF, "CAP_BPF", "to load BPF programs" },
	{ CAP_PERFMON, "CAP_PERFMON", "to attach them to uprobes and read user stacks" },
	{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "to read other users' /proc/PID/maps and files" },
};

static bool has_capability(int number)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[number / 32].effective >> (number % 32) & 1;
}

static bool show_privileges(void)
{
	bool root = has_capability(CAP_SYS_ADMIN), all = true;

	for (size_t i = 0; i < sizeof(capabilities) / sizeof(*capabilities); i++) {
		bool has = has_capability(capabilities[i].number) ||
			   (root && capabilities[i].number != CAP_SYS_PTRACE);

		all &= has;
		if (!has)
			say("privileges   no %s, needed %s: run it with sudo", capabilities[i].name,
			    capabilities[i].why);
	}
	if (all)
		say("privileges   all that are needed");
	return all;
}

static int show_links(struct attach_trials *trials)
{
	static const char *const needs[RUNGS] = {
		"a kernel of 6.13 or later",
		"a kernel of 6.10 or later (6.6 to 6.9 filter by thread)",
		"CONFIG_UPROBE_EVENTS and permission for perf_event_open",
	};
	int chosen = attach__choose(trials, true);

	for (int rung = 0; rung < RUNGS; rung++) {
		int error = trials->error[rung];

		if (error)
			say("links        %-8s no: %s; it needs %s", rung__name(rung),
			    strerror(-error), needs[rung]);
		else
			say("links        %-8s works%s", rung__name(rung),
			    rung == chosen ? ", is used" : "");
	}
	return chosen;
}

static void show_seccomp(const struct seccomp_trial *seccomp)
{
	if (seccomp->error) {
		say("seccomp      not known: %s", strerror(-seccomp->error));
	} else if (seccomp->kills) {
		say("seccomp      return probes would kill a process under a seccomp filter: "
		    "none is armed there;");
		say("             returns are seen at `ret` instructions, which costs more");
	} else {
		say("seccomp      return probes are safe in processes under a seccomp filter");
	}
}

static const char *return_text(const struct plan_item *item, char text[64])
{
	switch (item->returns) {
	case PLAN_NO_RETURN:
		return "";
	case PLAN_RETURN_PROBE:
		return ", return probe";
	case PLAN_EXIT_PROBES:
		snprintf(text, 64, ", %zu `ret` probes (single-stepped)", item->exits);
		return text;
	default:
		return "";
	}
}

/* Costs are FACTS of the project's own measurements; here only their order of size is told. */
static const char *cost_text(const struct plan_item *item)
{
	return item->placement.emulated ? "emulated: cheap" : "single-stepped: 2-20 times dearer";
}

static void show_item(const struct plan_item *item)
{
	char text[64];

	if (item->error) {
		say("  %-28s not observed: %s", item->entry.name,
		    item->error == -ENOTSUP ? "its returns cannot all be found"
					    : strerror(-item->error));
		return;
	}
	say("  %-28s +%-4lu %-34s %s%s", item->entry.name, (unsigned long)item->placement.offset,
	    item->placement.instruction, cost_text(item), return_text(item, text));
}

static int show_object(const struct object *object, bool avoid_returns)
{
	const struct plan_options options = { .heap = true,
					      .mmap = true,
					      .avoid_returns = avoid_returns };
	struct plan plan;
	int count, error = plan__make(object, &options, &plan);

	if (error) {
		say("object       %s: not looked at: %s", object__path(object), strerror(-error));
		return 0;
	}
	count = plan.count;
	if (count)
		say("allocator    %s", object__path(object));
	for (size_t i = 0; i < plan.count; i++)
		show_item(&plan.items[i]);
	plan__free(&plan);
	return count;
}

static void show_unwinding(const struct object *object)
{
	struct unwind_table table;
	int error = unwind_table__build(object, &table);

	if (error) {
		say("unwinding    %s: no table (%s): frame pointers are used", object__name(object),
		    strerror(-error));
		return;
	}
	say("unwinding    %-40s %7zu rows, %5zu KiB", object__name(object), table.row_count,
	    table.row_count * sizeof(*table.rows) / 1024);
	unwind_table__free(&table);
}

static int show_objects(struct objects *objects, pid_t pid, const struct mappings *mappings,
			bool avoid_returns, bool unwinding)
{
	uint32_t last = 0;
	int found = 0;

	for (size_t i = 0; i < mappings->count; i++) {
		struct object *object;

		if (!(mappings->items[i].prot & MAPPING_EXEC))
			continue;
		object = objects__of_mapping(objects, pid, &mappings->items[i]);
		if (!object || object__id(object) == last)
			continue;
		last = object__id(object);
		if (unwinding)
			show_unwinding(object);
		else if (mappings->items[i].path[0] != '[')
			found += show_object(object, avoid_returns);
	}
	return found;
}

static int show_target(pid_t pid, bool seccomp_kills)
{
	struct process_status status;
	struct mappings mappings;
	struct objects *objects;
	char comm[COMM_SIZE] = "";
	int found, error = process__status(pid, &status);

	error = error ?: process__mappings(pid, &mappings);
	if (error) {
		log__error("process %d cannot be looked at: %s", pid, strerror(-error));
		return 1;
	}
	if (!mappings.count) {
		log__error("process %d %s: it has no user memory", pid,
			   status.state == PROCESS_KERNEL_THREAD ? "is a kernel thread"
								 : "has ended");
		mappings__free(&mappings);
		return 1;
	}
	process__comm(pid, comm);
	objects = objects__new();
	say("target       %s[%d]%s", comm, pid, status.seccomp ? ", under a seccomp filter" : "");
	found = show_objects(objects, pid, &mappings, seccomp_kills && status.seccomp, false);
	if (!found && loader__is_busy(pid))
		say("allocator    none yet: the process is still being loaded; -p waits for it");
	else if (!found)
		say("allocator    none found: a static program needs its symbol table; "
		    "Go has an allocator of its own");
	show_objects(objects, pid, &mappings, false, true);
	objects__free(objects);
	mappings__free(&mappings);
	return !found;
}

/* Nothing could be said of processes whose numbers are another namespace's. */
static bool show_namespace(void)
{
	uint32_t inode;

	if (process__namespace(&inode)) {
		say("processes    /proc is of another PID namespace than memwatch: mount one of "
		    "its own (unshare --mount-proc), or start memwatch outside");
		return false;
	}
	if (inode)
		say("processes    those of the PID namespace that memwatch runs in");
	return true;
}

int command_doctor(const struct options *options)
{
	struct attach_trials trials = { 0 };
	bool privileged;
	struct utsname name;
	int rung, status;

	uname(&name);
	say("kernel       %s %s %s, %s", name.sysname, name.release, name.machine,
	    access("/sys/kernel/btf/vmlinux", R_OK)
		    ? "no BTF: BPF programs cannot be fitted to it (CONFIG_DEBUG_INFO_BTF)"
		    : "with BTF");
	privileged = show_privileges();
	if (!show_namespace())
		return 1;
	rung = show_links(&trials);
	status = rung < 0 || !privileged;
	if (rung >= 0)
		show_seccomp(&trials.seccomp);
	for (size_t i = 0; i < options->pid_count; i++)
		status |= show_target(options->pids[i], trials.seccomp.kills);
	return show__status(show__flush()) ?: status;
}
