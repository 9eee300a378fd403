/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints the pid of a child that has died and is not waited for. */
#include "truth.h"

int main(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	truth__print("%d\n", pid);
	truth__flush();
	truth__ready();
	return WORKLOAD_STATUS;
}
