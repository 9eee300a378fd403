/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "own_cost.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(file);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

struct own_cost own_cost__measure(struct own_clock *clock)
{
	struct own_clock now = { clock_ns(CLOCK_PROCESS_CPUTIME_ID), clock_ns(CLOCK_MONOTONIC) };
	struct own_cost cost = { .resident_bytes = resident_bytes() };

	if (clock->wall_ns && now.wall_ns > clock->wall_ns)
		cost.cpus = (double)(now.cpu_ns - clock->cpu_ns) /
			    (double)(now.wall_ns - clock->wall_ns);
	*clock = now;
	return cost;
}
