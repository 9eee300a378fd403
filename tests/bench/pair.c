/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pair DEPTH THREADS: for each number on its input, each thread does so many pairs of malloc(40)
 * and free, DEPTH calls of its own deep. Prints the nanoseconds that one pair took.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SIZE = 40, MAX_THREADS = 64 };

struct work {
	long pairs;
	int depth;
	double ns; /* of one pair */
};

static double now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static __attribute__((noinline)) void pairs(struct work *work)
{
	double start = now_ns();

	for (long i = 0; i < work->pairs; i++) {
		void *block = malloc(SIZE);

		__asm__ volatile("" : "+r"(block)); /* else the pair is optimised away */
		free(block);
	}
	work->ns = (now_ns() - start) / work->pairs;
}

/* Frames such as real ones are: some locals, a saved register, no tail call. */
static __attribute__((noinline)) int down(struct work *work, int depth)
{
	volatile char locals[48];

	locals[depth & 31] = depth;
	if (depth > 1)
		return down(work, depth - 1) + locals[depth & 31];
	pairs(work);
	return locals[depth & 31];
}

static void *run(void *argument)
{
	struct work *work = argument;

	if (work->depth > 1)
		down(work, work->depth - 1);
	else
		pairs(work);
	return NULL;
}

static double run_all(long count, int depth, int threads)
{
	struct work works[MAX_THREADS];
	pthread_t ids[MAX_THREADS];
	double ns = 0;

	for (int i = 0; i < threads; i++) {
		works[i] = (struct work){ .pairs = count, .depth = depth };
		if (pthread_create(&ids[i], NULL, run, &works[i]))
			exit(1);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		ns += works[i].ns / threads;
	}
	return ns;
}

int main(int argc, char **argv)
{
	int depth = argc > 1 ? atoi(argv[1]) : 1, threads = argc > 2 ? atoi(argv[2]) : 1;
	char line[64];

	if (threads < 1 || threads > MAX_THREADS)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin) && atol(line) > 0)
		printf("%.1f\n", run_all(atol(line), depth, threads));
	return 0;
}
