/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two threads churn from the start, so that an observer comes and goes in the middle of it. At the
 * test's line every block is replaced by a new one: all that is live then is younger than the
 * observer, and the tally is exact again. "still churning" at the second line: they started anew.
 */
#include <pthread.h>

#include "truth.h"

enum { THREADS = 2, SLOTS = 500 };

static struct block slots[THREADS][SLOTS];
static int stop;
static uint64_t turns;
static pthread_barrier_t stopped, resumed;

TALLY(churned);
NOINLINE static struct block churned(size_t size)
{
	struct block block = block__new(&tally_churned, malloc(size), size);

	if (block.address)
		memset(block.address, 0x5a, size);
	return block;
}

static void check(const struct block *block)
{
	const unsigned char *bytes = block->address;

	for (uint64_t i = 0; bytes && i < block->size; i++)
		if (bytes[i] != 0x5a)
			abort();
}

static void replace(struct block *block, size_t size)
{
	check(block);
	block__free(block);
	*block = churned(size);
}

static void churn_until_stopped(struct block *mine, unsigned int *state)
{
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		*state = *state * 1103515245 + 12345;
		replace(&mine[(*state >> 16) % SLOTS], (*state >> 8) % 300);
		truth__add(&turns, 1);
	}
}

static void *churner(void *argument)
{
	struct block *mine = slots[(uintptr_t)argument];
	unsigned int state = (uintptr_t)argument + 1;

	for (;;) {
		churn_until_stopped(mine, &state);
		for (int i = 0; i < SLOTS; i++)
			replace(&mine[i], 1 + i % 200);
		pthread_barrier_wait(&stopped);
		pthread_barrier_wait(&resumed);
	}
	return NULL;
}

int main(void)
{
	uint64_t before;

	pthread_barrier_init(&stopped, NULL, THREADS + 1);
	pthread_barrier_init(&resumed, NULL, THREADS + 1);
	for (uintptr_t i = 0; i < THREADS; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, churner, (void *)i))
			return 1;
	}
	truth__ready();
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_barrier_wait(&stopped);
	truth__say();
	truth__hold(); /* the observer goes while they churn again */
	before = turns;
	__atomic_store_n(&stop, 0, __ATOMIC_RELEASE);
	pthread_barrier_wait(&resumed);
	while (__atomic_load_n(&turns, __ATOMIC_RELAXED) < before + 20000)
		usleep(1000);
	truth__print("still churning\n");
	truth__flush();
	truth__hold();
	before = __atomic_load_n(&turns, __ATOMIC_RELAXED);
	while (__atomic_load_n(&turns, __ATOMIC_RELAXED) < before + 20000)
		usleep(1000);
	return WORKLOAD_STATUS;
}
