/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/uapi/linux/bpf.h of 6.6 and 6.13, which Debian 12's headers do not have. */
enum { LINK_UPROBE_MULTI = 48, LINK_UPROBE_SESSION = 57, MULTI_RETURN = 1 };

struct multi_attr { /* union bpf_attr, link_create.uprobe_multi */
	uint32_t prog_fd, target_fd, attach_type, attach_flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t count, flags, pid, zero;
};
_Static_assert(offsetof(struct multi_attr, pid) == 56, "the kernel's layout");

struct attachments {
	struct probe *probe;
	int *fds; /* of multi and session links */
	size_t fd_count;
	struct bpf_link **links; /* of perf_event uprobes */
	size_t link_count;
};

const char *rung__name(enum rung rung)
{
	static const char *const names[RUNGS] = { "session", "multi", "perf" };

	return rung < RUNGS ? names[rung] : "none";
}

struct attachments *attachments__new(struct probe *probe)
{
	struct attachments *attachments = calloc(1, sizeof(*attachments));

	if (attachments)
		attachments->probe = probe;
	return attachments;
}

void attachments__free(struct attachments *attachments)
{
	if (!attachments)
		return;
	for (size_t i = 0; i < attachments->fd_count; i++)
		close(attachments->fds[i]);
	for (size_t i = 0; i < attachments->link_count; i++)
		bpf_link__destroy(attachments->links[i]);
	free(attachments->fds);
	free(attachments->links);
	free(attachments);
}

static int keep_fd(struct attachments *a, int fd)
{
	int *fds = realloc(a->fds, (a->fd_count + 1) * sizeof(*fds));

	if (!fds) {
		close(fd);
		return -ENOMEM;
	}
	a->fds = fds;
	a->fds[a->fd_count++] = fd;
	return 0;
}

static int keep_link(struct attachments *a, struct bpf_link *link)
{
	struct bpf_link **links = realloc(a->links, (a->link_count + 1) * sizeof(*links));

	if (!links) {
		bpf_link__destroy(link);
		return -ENOMEM;
	}
	a->links = links;
	a->links[a->link_count++] = link;
	return 0;
}

struct place { /* where one program goes */
	const char *path;
	pid_t pid; /* 0: everywhere */
	const uint64_t *offsets, *cookies;
	size_t count;
	bool returns; /* at the returns of the functions that begin there */
	bool session; /* at their returns too, where the program says so at the entry */
};

static int link_multi(struct attachments *a, int program, const struct place *place)
{
	struct multi_attr attr = {
		.prog_fd = program,
		.attach_type = place->session ? LINK_UPROBE_SESSION : LINK_UPROBE_MULTI,
		.path = (uintptr_t)place->path,
		.offsets = (uintptr_t)place->offsets,
		.cookies = (uintptr_t)place->cookies,
		.count = place->count,
		.flags = place->returns ? MULTI_RETURN : 0,
		.pid = place->pid,
	};
	int fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : keep_fd(a, fd);
}

static int link_perf(struct attachments *a, enum program program, const struct place *place,
		     size_t n)
{
	LIBBPF_OPTS(bpf_uprobe_opts, options, .bpf_cookie = place->cookies[n],
		    .retprobe = place->returns);
	struct bpf_link *link = bpf_program__attach_uprobe_opts(
		probe__libbpf_program(a->probe, program), place->pid ?: -1, place->path,
		place->offsets[n], &options);

	return link ? keep_link(a, link) : -errno;
}

/* Takes as many of the place's points as the kernel will have. How many, or the last -errno. */
static int link_program(struct attachments *a, enum program program, const struct place *place)
{
	enum rung rung = probe__options(a->probe)->rung;
	int fd = probe__program(a->probe, program), error = 0, taken = 0;

	if (fd < 0)
		return fd;
	if (rung != RUNG_PERF) {
		error = link_multi(a, fd, place);
		if (!error || place->count == 1)
			return error ?: (int)place->count;
	}
	for (size_t i = 0; i < place->count; i++) {
		struct place one = *place;

		one.offsets += i;
		one.cookies += i;
		one.count = 1;
		if (rung == RUNG_PERF)
			error = link_perf(a, program, place, i);
		else
			error = link_multi(a, fd, &one);
		taken += !error;
	}
	return taken ?: error;
}

/*
 * Only a call whose return is to be seen is in a session. There the kernel replaces the word at the
 * stack pointer in every process in which the code is probed, by another link or because it was
 * forked from ours: for those a session's program is not run, and that counts as the 0 which arms a
 * return probe (uprobe_multi_link_handler, 6.18). Behind a `push` that word is the caller's
 * register, and what is thrown does not get past a return probe: the process ends.
 */
static enum program program_at(const struct attachments *a, const struct attach_point *point)
{
	const struct probe_options *options = probe__options(a->probe);
	enum entry_kind kind = COOKIE_KIND(point->cookie);

	if (point->returns && options->rung == RUNG_SESSION)
		return options->trial ? PROGRAM_TRIAL_SESSION : PROGRAM_SESSION;
	if (options->trial)
		return PROGRAM_TRIAL_ENTER;
	if (kind == ENTRY_FREE || kind == ENTRY_MUNMAP)
		return PROGRAM_RELEASE;
	return PROGRAM_ENTER;
}

/*
 * A session's link sees both ends of a call; else the returns have a link of their own, and get it
 * first: an entry whose return is not seen would be remembered for nothing.
 */
static int link_alike(struct attachments *a, struct place *place, const struct attach_point *point)
{
	enum program program = program_at(a, point);
	bool trial = probe__options(a->probe)->trial;
	int error = 0;

	place->session = program == PROGRAM_SESSION || program == PROGRAM_TRIAL_SESSION;
	place->returns = point->returns && !place->session;
	if (place->returns)
		error = link_program(a, trial ? PROGRAM_TRIAL_RETURN : PROGRAM_RETURN, place);
	place->returns = false;
	return error < 0 ? error : link_program(a, program, place);
}

static bool are_alike(const struct attachments *a, const struct attach_point *one,
		      const struct attach_point *other)
{
	return one->returns == other->returns && program_at(a, one) == program_at(a, other) &&
	       (one->cookie & COOKIE_EXIT) == (other->cookie & COOKIE_EXIT);
}

static int link_points(struct attachments *a, struct place *place,
		       const struct attach_point *points, size_t count)
{
	uint64_t *offsets = calloc(count, sizeof(*offsets)),
		 *cookies = calloc(count, sizeof(*cookies));
	int error = offsets && cookies ? 0 : -ENOMEM, taken = 0;
	bool exits_seen = true; /* so far */

	for (size_t i = 0; i < count && error != -ENOMEM; i += place->count) {
		for (size_t n = i; n < count && are_alike(a, points + n, points + i); n++) {
			offsets[n] = points[n].offset;
			cookies[n] = points[n].cookie;
			place->count = n - i + 1;
		}
		if (points[i].cookie & COOKIE_NO_RETURN && !exits_seen)
			continue; /* it would be remembered for nothing, too */
		place->offsets = offsets + i;
		place->cookies = cookies + i;
		error = link_alike(a, place, points + i);
		if (error > 0)
			taken += error;
		if (points[i].cookie & COOKIE_EXIT)
			exits_seen = error == (int)place->count;
	}
	free(offsets);
	free(cookies);
	return taken ?: error;
}

int attach__points(struct attachments *a, const char *path, const pid_t *pids, size_t pid_count,
		   const struct attach_point *points, size_t count)
{
	int best = -ESRCH;

	for (size_t i = 0; i < (pid_count ?: 1); i++) {
		struct place place = { .path = path, .pid = pid_count ? pids[i] : 0 };
		int taken = link_points(a, &place, points, count);

		if (taken > best || best == -ESRCH)
			best = taken;
	}
	return best;
}

int attach__loader(struct attachments *a, const char *path, const pid_t *pids, size_t pid_count,
		   uint64_t offset)
{
	uint64_t cookie = 0;
	int best = -ESRCH;

	for (size_t i = 0; i < (pid_count ?: 1); i++) {
		struct place place = {
			.path = path,
			.pid = pid_count ? pids[i] : 0,
			.offsets = &offset,
			.cookies = &cookie,
			.count = 1,
		};
		int taken = link_program(a, PROGRAM_LOADER, &place);

		if (taken > best || best == -ESRCH) /* one that has ended is none of the others' */
			best = taken;
	}
	return best < 0 ? best : 0;
}
