/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Blocks are inherited by a fork; parent and child free the same ones and allocate their own. */
#include <sys/wait.h>

#include "truth.h"

enum { INHERITED = 50, BOTH_FREE = 20 };

TALLY(inherited);
NOINLINE static struct block inherited(size_t size)
{
	return block__new(&tally_inherited, malloc(size), size);
}

TALLY(parents_own);
NOINLINE static struct block parents_own(size_t size)
{
	return block__new(&tally_parents_own, malloc(size), size);
}

TALLY(childs_own);
NOINLINE static struct block childs_own(size_t size)
{
	return block__new(&tally_childs_own, malloc(size), size);
}

static struct block blocks[INHERITED];

/* The child's books start empty: what it inherited is freed unmatched. */
static int child(void)
{
	memset(&tally_inherited.live_bytes, 0, sizeof(tally_inherited) - sizeof(char *));
	for (int i = 0; i < BOTH_FREE; i++) {
		free(blocks[i].address);
		truth__add(&truth_unmatched, 1);
	}
	for (int i = 0; i < 30; i++)
		childs_own(200 + i);
	truth__say();
	truth__hold();
	return WORKLOAD_STATUS;
}

int main(void)
{
	pid_t pid;
	int status;

	truth__ready();
	for (int i = 0; i < INHERITED; i++)
		blocks[i] = inherited(100 + i);
	pid = fork();
	if (pid == 0)
		return child();
	for (int i = 0; i < BOTH_FREE; i++)
		block__free(&blocks[i]);
	for (int i = 0; i < 40; i++)
		parents_own(300 + i);
	truth__say();
	truth__hold();
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}
