/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PROCESS_H
#define MEMWATCH_PROCESS_H
/* What /proc says of a process. Functions return 0 or -errno (-ESRCH: no such process any more). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "container.h"

enum { COMM_SIZE = 16 }; /* TASK_COMM_LEN, with its zero */

enum mapping_prot { MAPPING_READ = 1, MAPPING_WRITE = 2, MAPPING_EXEC = 4 };

struct mapping {
	uint64_t start, end; /* addresses, [start, end) */
	uint64_t offset;     /* of `start` in the file, bytes */
	unsigned int prot;   /* of enum mapping_prot */
	bool shared;
	bool deleted;        /* the kernel says " (deleted)"; cut off `path` */
	unsigned int major, minor;
	uint64_t inode;      /* 0: no file */
	/* "", "[heap]", "[vdso]" or a path in the process's namespace, octal escapes undone */
	char *path;
};

struct mappings {
	struct mapping *items; /* by address */
	size_t count;
};

int process__mappings(pid_t pid, struct mappings *mappings); /* the caller frees */
void mappings__free(struct mappings *mappings);
const struct mapping *mappings__find(const struct mappings *mappings,
				     uint64_t address); /* or NULL */

int process__comm(pid_t pid, char comm[COMM_SIZE]);
int process__container(pid_t pid, char id[CONTAINER_SIZE]); /* "": it is in none */

enum process_state { PROCESS_ALIVE, PROCESS_ZOMBIE, PROCESS_KERNEL_THREAD };
struct process_status {
	enum process_state state;
	pid_t tgid;           /* differs from the pid asked for when that is a thread's */
	unsigned int seccomp; /* 0 none, 1 strict, 2 filter: the most restrictive of all threads */
	bool leader_ended;    /* the thread whose id is the process's has, and others go on */
	pid_t inner_pid;      /* the last of NSpid: in its own namespace */
	uint64_t start_time;  /* clock ticks after boot, field 22 of stat */
};
int process__status(pid_t pid, struct process_status *status);

/*
 * Whether valgrind runs the process's program. It reads the code as it is and makes other code of
 * it: what is a probe for the kernel is a breakpoint there, and the program ends by SIGTRAP.
 */
bool process__is_translated(pid_t pid);

/* Every process's pid in /proc, ascending; the caller frees. */
int process__list(pid_t **pids, size_t *count);

/*
 * The inode of our own PID namespace, by which BPF knows it; 0 when it is the initial one. -ESTALE,
 * or -ENOENT for want of /proc/self: /proc is of another namespace, its numbers are not ours.
 */
int process__namespace(uint32_t *inode);

#endif
