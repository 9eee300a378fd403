/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PPROF_H
#define MEMWATCH_PPROF_H
/*
 * Snapshot <-> gzipped pprof profile. What memwatch wrote is read back as it was, but for the ids
 * of stacks: those are hashes of their frames, so that the same stack has the same id in any file.
 * Profiles that others wrote are read as far as they hold a heap.
 *
 * In memwatch's files: sample types alloc_objects, alloc_space, inuse_objects, inuse_space
 * (default), peak_space and, where rates are known, growth_space (live bytes since the snapshot
 * before). Labels: pid, comm, container, family; stack ("truncated", "broken"); instance (of
 * processes with one pid, which). Addresses are offsets in the mapping's file. Comments are "key:
 * value".
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot.h"

struct pprof_note { /* a comment of the caller's: where and how it was recorded */
	const char *key, *value;
};

/* A new buffer, which the caller frees; 0 or -errno. Figures above 2^63 - 1 are cut to that. */
int pprof__write(const struct snapshot *snapshot, const struct pprof_note *notes, size_t count,
		 void **data, size_t *size);

struct profile {
	struct snapshot *snapshot;
	unsigned int holds; /* 1 << enum sort_key of each figure that the file has */
	bool own; /* memwatch wrote it */
};

enum { PPROF_WHY = 120 };
/*
 * Nothing in the data is trusted; memory and time are bounded. 0; or -EBADMSG and in `why` what is
 * wrong, fit to stand after "FILE: "; or -ENOMEM. profile__free in any case.
 */
int pprof__read(const void *data, size_t size, struct profile *profile, char why[PPROF_WHY]);
void profile__free(struct profile *profile);

#endif
