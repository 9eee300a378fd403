/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_ATTACH_H
#define MEMWATCH_ATTACH_H
/*
 * How programs get to their instructions: a ladder of mechanisms, and which one this kernel and
 * these privileges allow. Found by trying, never by version. Functions return 0 or -errno.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe.h"

/*
 * Whether an armed return probe kills a process under a strict seccomp filter (6.11-6.13: the
 * trampoline makes a system call that no filter knows; fixed by cf6cb56ef244).
 */
struct seccomp_trial {
	int error; /* 0: known */
	bool kills;
};

struct attach_trials {
	int error[RUNGS];             /* 0: works */
	struct seccomp_trial seccomp; /* of the rung that was chosen */
};

const char *rung__name(enum rung rung); /* "session", "multi", "perf" */
/*
 * Tries one rung on a function of our own: a thread calls it, and entry and return must be seen.
 * Where that works a child tries it under seccomp.
 */
int attach__try(enum rung rung, struct seccomp_trial *seccomp);
/*
 * Tries the ladder from the top; stops at the first that works unless `all`. The rung, or
 * -errno.
 */
int attach__choose(struct attach_trials *trials, bool all);

struct attach_point {
	uint64_t offset; /* in the object's file, bytes */
	uint64_t cookie; /* bpf/memwatch.h */
	bool returns;    /* a return probe too */
};

struct attachments; /* links; gone when freed or when the process ends, however it ends */

struct attachments *attachments__new(struct probe *probe); /* NULL: no memory */
void attachments__free(struct attachments *attachments);

/*
 * Probes the file at `path` (a /proc/self/fd/N will do) at every point: in the processes `pids`, or
 * in all when there are none. A point that the kernel refuses is left out; returns how many were
 * taken, or -errno when none was.
 */
int attach__points(struct attachments *attachments, const char *path, const pid_t *pids,
		   size_t pid_count, const struct attach_point *points, size_t count);
/* The loader's notice of a change (PROGRAM_LOADER), at one place. */
int attach__loader(struct attachments *attachments, const char *path, const pid_t *pids,
		   size_t pid_count, uint64_t offset);

#endif
