/* SPDX-License-Identifier: GPL-2.0-or-later */
/* threads N ROUNDS: N threads allocate; most blocks are freed by another thread than their own. */
#include <malloc.h>
#include <pthread.h>

#include "truth.h"

enum { THREADS_MAX = 64, KEPT = 10, STACK_SIZE = 256 << 10 };

/* At the start of every block, so that any thread can free it by its address. */
struct label {
	struct tally *tally;
	uint64_t size;
};

static unsigned int threads, rounds;
static pthread_barrier_t started, done;
static struct label *mailboxes[THREADS_MAX];

static void *keep(struct tally *tally, void *address, uint64_t size)
{
	struct label *label = address;

	if (label) {
		*label = (struct label){ tally, size };
		tally__take(tally, size);
	}
	return label;
}

TALLY(by_malloc);
NOINLINE static void *by_malloc(size_t size)
{
	return keep(&tally_by_malloc, malloc(size), size);
}

TALLY(by_calloc);
NOINLINE static void *by_calloc(size_t size)
{
	return keep(&tally_by_calloc, calloc(1, size), size);
}

TALLY(by_memalign);
NOINLINE static void *by_memalign(size_t size)
{
	return keep(&tally_by_memalign, memalign(64, size), size);
}

TALLY(by_realloc);
NOINLINE static void *by_realloc(struct label *label, size_t size)
{
	struct label old = *label;

	/* Given back first: from here on another thread may be handed the address. */
	tally__give(old.tally, old.size);
	return keep(&tally_by_realloc, realloc(label, size), size);
}

NOINLINE static void release(struct label *label)
{
	if (label)
		tally__give(label->tally, label->size);
	free(label);
}

static struct label *allocate(unsigned int round, size_t size)
{
	switch (round % 8) {
	case 0:
		return by_calloc(size);
	case 1:
		return by_memalign(size);
	case 2:
		return by_realloc(by_malloc(size), size * 3);
	case 3:
		return by_realloc(by_malloc(size), sizeof(struct label));
	default:
		return by_malloc(size);
	}
}

static void *hammer(void *argument)
{
	unsigned int self = (uintptr_t)argument, state = self * 2654435761U + 1;

	pthread_barrier_wait(&started);
	for (unsigned int round = 0; round < rounds; round++) {
		struct label *label;

		state = state * 1103515245 + 12345;
		label = allocate(round, sizeof(*label) + (state >> 16) % 600);
		label = __atomic_exchange_n(&mailboxes[(self + 1 + round) % threads], label,
					    __ATOMIC_ACQ_REL);
		release(label);
	}
	for (unsigned int i = 0; i < KEPT; i++)
		by_malloc(100 + self);
	pthread_barrier_wait(&done);
	for (;;)
		pause();
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_attr_t attributes;

	threads = argc > 1 ? atoi(argv[1]) : 1;
	rounds = argc > 2 ? atoi(argv[2]) : 1000;
	if (threads < 1 || threads > THREADS_MAX)
		return 2;
	pthread_barrier_init(&started, NULL, threads + 1);
	pthread_barrier_init(&done, NULL, threads + 1);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	for (uintptr_t i = 0; i < threads; i++) {
		pthread_t thread;

		if (pthread_create(&thread, &attributes, hammer, (void *)i))
			return 1;
	}
	truth__ready();
	pthread_barrier_wait(&started);
	pthread_barrier_wait(&done);
	return truth__end();
}
