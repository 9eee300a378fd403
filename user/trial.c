/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The trials of attach.h: what works is found out on a function of our own. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach.h"
#include "process.h"

int trial__target(int n);

__attribute__((noinline, noclone)) int trial__target(int n)
{
	asm volatile("" : "+r"(n) : : "memory");
	return n + 1;
}

static void *call_target(void *unused)
{
	trial__target(0);
	return unused;
}

/* Where trial__target is in our own file. */
static int target_offset(uint64_t *offset)
{
	uint64_t address = (uintptr_t)trial__target;
	const struct mapping *mapping;
	struct mappings mappings;
	int error = process__mappings(getpid(), &mappings);

	if (error)
		return error;
	mapping = mappings__find(&mappings, address);
	if (mapping)
		*offset = address - mapping->start + mapping->offset;
	error = mapping ? 0 : -ENOENT;
	mappings__free(&mappings);
	return error;
}

struct trial {
	struct probe *probe;
	struct attachments *attachments;
};

static void trial__end(struct trial *trial)
{
	attachments__free(trial->attachments);
	probe__free(trial->probe);
}

static int trial__begin(struct trial *trial, enum rung rung)
{
	const struct probe_options options = { .rung = rung, .trial = true };

	trial->probe = probe__new(&options);
	return trial->probe ? 0 : -errno;
}

/* Probes the target's entry and return, in the process `pid` or (0) wherever it runs. */
static int trial__attach(struct trial *trial, pid_t pid)
{
	struct attach_point point = { .returns = true };
	int taken = target_offset(&point.offset);

	if (taken)
		return taken;
	attachments__free(trial->attachments);
	trial->attachments = attachments__new(trial->probe);
	if (!trial->attachments)
		return -ENOMEM;
	taken = attach__points(trial->attachments, "/proc/self/exe", &pid, pid ? 1 : 0, &point, 1);
	return taken < 0 ? taken : 0;
}

/*
 * The call comes from a thread: before 6.10 a link's filter let one thread through, not a
 * process.
 */
static int try_thread(struct trial *trial)
{
	int error = trial__attach(trial, getpid());
	pthread_t thread;

	error = error ?: -pthread_create(&thread, NULL, call_target, NULL);
	if (error)
		return error;
	pthread_join(thread, NULL);
	return probe__trial_hits(trial->probe) == 2 ? 0 : -EOPNOTSUPP;
}

static void call_target_confined(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0))
		syscall(SYS_exit, 1);
	trial__target(0);
	syscall(SYS_exit, 0); /* exit_group is not among the four calls that strict mode knows */
}

static int try_confined(struct trial *trial, bool *kills)
{
	int error = trial__attach(trial, 0), status;
	pid_t child;

	if (error)
		return error;
	child = fork();
	if (child == 0)
		call_target_confined();
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -errno;
	*kills = WIFSIGNALED(status);
	return 0;
}

int attach__try(enum rung rung, struct seccomp_trial *seccomp)
{
	struct trial trial = { 0 };
	int error = trial__begin(&trial, rung);

	error = error ?: try_thread(&trial);
	if (!error) /* with the same programs: to load them takes longer than to try */
		seccomp->error = try_confined(&trial, &seccomp->kills);
	trial__end(&trial);
	return error;
}

int attach__choose(struct attach_trials *trials, bool all)
{
	int chosen = -EOPNOTSUPP;

	for (int rung = 0; rung < RUNGS; rung++) {
		struct seccomp_trial seccomp = { 0 };

		if (chosen >= 0 && !all)
			break;
		trials->error[rung] = attach__try(rung, &seccomp);
		if (trials->error[rung] || chosen >= 0)
			continue;
		chosen = rung;
		trials->seccomp = seccomp;
	}
	return chosen < 0 ? trials->error[RUNG_SESSION] : chosen;
}
