/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loading exec|libraries: a child that is held while it is being loaded, at the end of its exec or
 * where the loader first looks for libraries. Says "held PID"; a line lets it go on, to allocate.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "truth.h"

TALLY(loaded);
NOINLINE static struct block loaded(size_t size)
{
	return block__new(&tally_loaded, malloc(size), size);
}

static int allocate(void)
{
	truth__ready();
	for (int i = 0; i < 20; i++) {
		struct block block = loaded(10 + i);

		if (i % 4 == 0)
			block__free(&block);
	}
	return truth__end();
}

static pid_t start_traced(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (!ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			execl("/proc/self/exe", "loading", (char *)NULL);
		_exit(2);
	}
	return pid;
}

static bool stops(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFSTOPPED(status);
}

static bool run_to_open(pid_t pid)
{
	struct user_regs_struct registers;

	do {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) || !stops(pid) ||
		    ptrace(PTRACE_GETREGS, pid, NULL, &registers))
			return false;
	} while (registers.orig_rax != SYS_openat);
	return true;
}

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	if (argc == 1)
		return allocate();
	pid = start_traced();
	if (pid < 0 || !stops(pid) || ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL))
		return 2;
	if (!strcmp(argv[1], "libraries") && !run_to_open(pid))
		return 2;
	truth__print("held %d\n", pid);
	truth__ready();
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	if (waitpid(pid, &status, 0) != pid)
		return 2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
