/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * contended LIBRARY: a library comes and goes, each time with allocations, while other threads map
 * and unmap: the lock of the mappings is hardly ever free.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "truth.h"

enum { THREADS = 6, ROUNDS = 100, EACH = 10 };

static atomic_bool over;

static void *churn(void *unused)
{
	enum { SIZE = 1 << 20 };

	(void)unused;
	while (!over) {
		char *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
				0);

		if (at == MAP_FAILED)
			continue;
		*at = 1;
		munmap(at, SIZE);
	}
	return NULL;
}

TALLY(apart);
NOINLINE static struct block apart(size_t size)
{
	return block__new(&tally_apart, malloc(size), size);
}

static int round_of(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	for (int i = 0; i < EACH; i++)
		apart(100 + i);
	return library ? dlclose(library) : -1;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	int err = argc != 2, status;

	truth__ready();
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, churn, NULL);
	for (int i = 0; i < ROUNDS && !err; i++)
		err = round_of(argv[1]);
	over = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	status = truth__end();
	return err ? 1 : status;
}
