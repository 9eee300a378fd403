/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PERFMAP_H
#define MEMWATCH_PERFMAP_H
/*
 * Names of JIT code, from the perf-PID.map that the runtime writes into /tmp of the target's mount
 * namespace, PID being the one of its own PID namespace. Format: Linux tools/perf/Documentation/
 * jit-interface.txt, "START SIZE name", hexadecimal.
 */
#include <stdint.h>
#include <sys/types.h>

struct perfmap;

/* NULL and errno when the process has no map (ENOENT) or it cannot be read. The file is data from
 * a process that we do not trust: only a regular file is read, bounded, never a FIFO. */
struct perfmap *perfmap__open(pid_t pid);
void perfmap__free(struct perfmap *map);
/* Reads what was appended since; 0 or -errno. Later entries win over earlier ones they overlap. */
int perfmap__refresh(struct perfmap *map);
/* The name of the code at `address`, or NULL. Lives until the next refresh. */
const char *perfmap__find(const struct perfmap *map, uint64_t address);

#endif
