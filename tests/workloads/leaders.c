/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that leads the process goes, the process goes on.
 *   early  it has ended before "ready": other threads do the work.
 *   late   at the first line it allocates and ends, while another thread churns; what is live then
 *          is half freed by a third one at the second line.
 *   exec   at the first line another thread makes the process this program anew, whose work waits
 *          for the second line.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>

#include "truth.h"

enum { BLOCKS = 100 };

static struct block blocks[BLOCKS];
static sem_t started;
static int stop;

TALLY(by_leader);
NOINLINE static struct block by_leader(size_t size)
{
	return block__new(&tally_by_leader, malloc(size), size);
}

TALLY(by_thread);
NOINLINE static struct block by_thread(size_t size)
{
	return block__new(&tally_by_thread, malloc(size), size);
}

TALLY(churned);
NOINLINE static struct block churned(size_t size)
{
	return block__new(&tally_churned, malloc(size), size);
}

TALLY(resized);
NOINLINE static struct block resized(struct block block, size_t size)
{
	tally__give(block.tally, block.size);
	return block__new(&tally_resized, realloc(block.address, size), size);
}

static void *churn(void *argument)
{
	sem_wait(&started);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		struct block block = churned(40);

		block = resized(block, 2000);
		block__free(&block);
	}
	return argument;
}

/* The process goes with it, as if main() had returned. */
static void *work(void *argument)
{
	for (int i = 0; i < BLOCKS; i += 2)
		block__free(&blocks[i]);
	for (int i = 0; i < BLOCKS; i += 2)
		blocks[i] = by_thread(10 + i);
	exit(truth__end());
	return argument;
}

static void *work_early(void *argument)
{
	truth__ready();
	return work(argument);
}

static void *work_late(void *argument)
{
	sem_wait(&started);
	truth__ready();
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(*(pthread_t *)argument, NULL);
	return work(NULL);
}

static void *become(void *argument)
{
	sem_wait(&started);
	execl("/proc/self/exe", "leaders", "again", (char *)NULL);
	return argument;
}

static void lead(int threads)
{
	truth__ready();
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = by_leader(1000 + i);
	while (threads--)
		sem_post(&started);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	static pthread_t churner;
	pthread_t other;

	if (!strcmp(mode, "again"))
		work_early(NULL);
	sem_init(&started, 0, 0);
	if (!strcmp(mode, "early")) {
		pthread_create(&other, NULL, work_early, NULL);
	} else if (!strcmp(mode, "late")) {
		pthread_create(&churner, NULL, churn, NULL);
		pthread_create(&other, NULL, work_late, &churner);
		lead(2);
	} else {
		pthread_create(&other, NULL, become, NULL);
		lead(1);
		pause();
	}
	syscall(SYS_exit, 0); /* pthread_exit() would load a library, which allocates */
	return 1;
}
