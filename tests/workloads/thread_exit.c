/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads come, allocate, free some themselves and go; what they left is live, and the main thread
 * frees half of it.
 */
#include <pthread.h>

#include "truth.h"

enum { THREADS = 40, EACH = 10 };

static struct block blocks[THREADS][EACH];

TALLY(by_thread);
NOINLINE static struct block by_thread(size_t size)
{
	return block__new(&tally_by_thread, malloc(size), size);
}

TALLY(churn);
NOINLINE static struct block churn(size_t size)
{
	return block__new(&tally_churn, malloc(size), size);
}

static void *worker(void *argument)
{
	uintptr_t self = (uintptr_t)argument;
	struct block own[EACH];

	for (int i = 0; i < EACH; i++)
		blocks[self][i] = by_thread(64 + self);
	for (int i = 0; i < EACH; i++) /* into the thread's cache, which its end empties */
		own[i] = churn(200 + 16 * i);
	for (int i = 0; i < EACH; i++)
		block__free(&own[i]);
	return NULL;
}

int main(void)
{
	truth__ready();
	for (uintptr_t i = 0; i < THREADS; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, worker, (void *)i))
			return 1;
		pthread_join(thread, NULL);
		for (int j = 0; j < EACH / 2; j++)
			block__free(&blocks[i][j]);
	}
	return truth__end();
}
