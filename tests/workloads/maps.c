/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * maps CASE: what the mmap family can do. A site's bytes are those of its ranges that are still
 * mapped; counts are exact in the cases that do not split a range.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "truth.h"

#define PAGE 4096UL

static const int rw = PROT_READ | PROT_WRITE;
static const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;

static char *map__new(struct tally *tally, void *address, size_t size)
{
	if (address == MAP_FAILED) {
		truth__add(&truth_failed, 1);
		return NULL;
	}
	tally__take(tally, size);
	return address;
}

TALLY(private_map);
NOINLINE static char *private_map(size_t size)
{
	return map__new(&tally_private_map, mmap(NULL, size, rw, anonymous, -1, 0), size);
}

TALLY(shared_map);
NOINLINE static char *shared_map(size_t size)
{
	int flags = MAP_SHARED | MAP_ANONYMOUS;

	return map__new(&tally_shared_map, mmap(NULL, size, rw, flags, -1, 0), size);
}

/* Over whatever is there; the caller knows whose it was. */
TALLY(fixed_map);
NOINLINE static char *fixed_map(char *address, size_t size)
{
	void *got = mmap(address, size, rw, anonymous | MAP_FIXED, -1, 0);

	return map__new(&tally_fixed_map, got, size);
}

TALLY(moved_map);
NOINLINE static char *moved_map(char *old, size_t old_size, size_t size, int flags, char *to)
{
	return mremap(old, old_size, size, flags, to);
}

static void unmap(struct tally *tally, char *address, size_t size)
{
	munmap(address, size);
	tally->live_bytes -= size;
	tally->freed_bytes += size;
}

static void unmap_whole(struct tally *tally, char *address, size_t size)
{
	munmap(address, size);
	tally__give(tally, size);
}

static void whole(void)
{
	char *a = private_map(3 * PAGE), *b = shared_map(5 * PAGE);

	private_map(7 * PAGE);
	shared_map(11 * PAGE);
	unmap_whole(&tally_private_map, a, 3 * PAGE);
	unmap_whole(&tally_shared_map, b, 5 * PAGE);
}

static void partial(void)
{
	char *a = private_map(10 * PAGE), *b = shared_map(10 * PAGE);

	unmap(&tally_private_map, a, 2 * PAGE);            /* the front */
	unmap(&tally_private_map, a + 8 * PAGE, 2 * PAGE); /* the back */
	unmap(&tally_shared_map, b + 4 * PAGE, PAGE);      /* a hole */
	unmap(&tally_shared_map, b + 7 * PAGE, PAGE);      /* another in what was split off */
}

/* One munmap over ranges of two sites and over a gap that nobody owns. */
static void across(void)
{
	char *base = mmap(NULL, 64 * PAGE, PROT_NONE, anonymous, -1, 0); /* only a reservation */

	fixed_map(base, 8 * PAGE);
	if (mmap(base + 16 * PAGE, 8 * PAGE, rw, anonymous | MAP_FIXED, -1, 0) != base + 16 * PAGE)
		abort();
	munmap(base + 4 * PAGE, 16 * PAGE);
	tally_fixed_map.live_bytes -= 4 * PAGE;
	tally_fixed_map.freed_bytes += 4 * PAGE;
	munmap(base + 20 * PAGE, 4 * PAGE);
}

static void fixed(void)
{
	char *a = private_map(10 * PAGE);

	fixed_map(a + 2 * PAGE, 3 * PAGE); /* within */
	tally_private_map.live_bytes -= 3 * PAGE;
	tally_private_map.freed_bytes += 3 * PAGE;
}

/* The kernel takes a reservation over a live range as an unmapping: nothing is left to count. */
static void reserved(void)
{
	char *a = private_map(10 * PAGE);

	mmap(NULL, 1 << 30, PROT_NONE, anonymous | MAP_NORESERVE, -1, 0);
	if (mmap(a, 10 * PAGE, PROT_NONE, anonymous | MAP_FIXED, -1, 0) != a)
		abort();
	tally__give(&tally_private_map, 10 * PAGE);
}

static void shrink(void)
{
	char *a = private_map(10 * PAGE);

	if (moved_map(a, 10 * PAGE, 4 * PAGE, 0, NULL) != a)
		abort();
	tally_private_map.live_bytes -= 6 * PAGE;
	tally_private_map.freed_bytes += 6 * PAGE;
}

/* Into the reservation behind it, which was unmapped for it. */
static void grow(void)
{
	char *base = mmap(NULL, 64 * PAGE, PROT_NONE, anonymous, -1, 0);

	fixed_map(base, 4 * PAGE);
	munmap(base + 4 * PAGE, 60 * PAGE);
	if (moved_map(base, 4 * PAGE, 20 * PAGE, 0, NULL) != base)
		abort();
	tally_moved_map.live_bytes += 16 * PAGE; /* the sum of both sites is what holds */
}

static void move(void)
{
	char *room = mmap(NULL, 64 * PAGE, PROT_NONE, anonymous, -1, 0);
	char *a = private_map(6 * PAGE);

	if (moved_map(a, 6 * PAGE, 12 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room) != room)
		abort();
	tally_moved_map.live_bytes += 6 * PAGE;
	fixed_map(a, PAGE); /* the old place is free: nobody's range shrinks by this */
	unmap(&tally_fixed_map, a, PAGE);
}

static void *idle(void *argument)
{
	(void)argument;
	for (;;)
		pause();
	return NULL;
}

/* What is no heap: files, reservations, threads' stacks. */
static void none(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	pthread_t thread;

	mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	mmap(NULL, 100 * PAGE, PROT_NONE, anonymous, -1, 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&thread, NULL, idle, NULL);
	close(fd);
}

static void failing(void)
{
	char *address = mmap(NULL, (size_t)1 << 50, rw, anonymous, -1, 0);

	map__new(&tally_private_map, address, (size_t)1 << 50);
	private_map(PAGE);
	address = shared_map(4 * PAGE);
	if (munmap(address + 1, PAGE) == 0 || munmap(address, 0) == 0)
		abort();
	if (mremap(address, 4 * PAGE, (size_t)1 << 50, MREMAP_MAYMOVE) != MAP_FAILED)
		abort();
	truth__add(&truth_failed, 1);
	if (mmap(address, 4 * PAGE, rw, MAP_PRIVATE | MAP_FIXED, -1, 0) != MAP_FAILED) /* no file */
		abort();
	truth__add(&truth_failed, 1);
}

/* Lengths that are no pages: the kernel takes whole ones. */
static void odd(void)
{
	char *a = private_map(5000), *b = shared_map(8 * PAGE);

	private_map(6000);
	munmap(a, 2 * PAGE);
	tally__give(&tally_private_map, 5000);
	munmap(b, PAGE + 1); /* two pages */
	tally_shared_map.live_bytes -= 2 * PAGE;
	tally_shared_map.freed_bytes += 2 * PAGE;
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "whole", whole },       { "partial", partial }, { "across", across }, { "fixed", fixed },
	{ "reserved", reserved }, { "shrink", shrink },   { "grow", grow },     { "move", move },
	{ "none", none },         { "failing", failing }, { "odd", odd },
};

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (strcmp(cases[i].name, argv[1]))
			continue;
		truth__ready();
		cases[i].run();
		return truth__end();
	}
	return 2;
}
