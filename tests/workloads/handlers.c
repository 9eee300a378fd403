/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * handlers above|below: signals interrupt a thread in malloc; their handler maps memory, and runs
 * on a stack of its own that lies above, or below, the thread's.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "truth.h"

enum { INTERRUPTED = 200, STACK = 1 << 20 };

static char *stacks; /* below, the thread's, above */
static volatile bool in_malloc;
static volatile int interrupted;

TALLY(churned);
NOINLINE static struct block churned(size_t size)
{
	void *address;

	in_malloc = true;
	address = malloc(size);
	in_malloc = false;
	return block__new(&tally_churned, address, size);
}

static void handler(int number)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)number;
	munmap(page, 4096);
	if (in_malloc)
		interrupted++;
}

static void *churn(void *handlers)
{
	stack_t stack = { .ss_sp = handlers, .ss_size = STACK };
	struct block block;

	sigaltstack(&stack, NULL);
	for (int i = 0; interrupted < INTERRUPTED; i++) {
		block = churned(100 + i % 1000);
		block__free(&block);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
	bool above = argc > 1 && !strcmp(argv[1], "above");
	pthread_attr_t attributes;
	pthread_t thread;

	stacks = mmap(NULL, 3 * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigaction(SIGUSR1, &action, NULL);
	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, stacks + STACK, STACK);
	truth__ready();
	pthread_create(&thread, &attributes, churn, stacks + (above ? 2 * STACK : 0));
	while (interrupted < INTERRUPTED) {
		pthread_kill(thread, SIGUSR1);
		usleep(50);
	}
	pthread_join(thread, NULL);
	return truth__end();
}
