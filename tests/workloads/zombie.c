/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints the pid of a child that has died and is not waited for. */
#include <sys/wait.h>

#include "truth.h"

int main(void)
{
	pid_t pid = fork();
	siginfo_t info;

	if (pid == 0)
		_exit(0);
	if (waitid(P_PID, pid, &info, WEXITED | WNOWAIT))
		return 1;
	truth__print("%d\n", pid);
	truth__flush();
	truth__ready();
	return WORKLOAD_STATUS;
}
