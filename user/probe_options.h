/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PROBE_OPTIONS_H
#define MEMWATCH_PROBE_OPTIONS_H
/* How the BPF side is to be loaded, and how many elements its tables have. */
#include <stdbool.h>
#include <stdint.h>

/* How a program gets to its instruction; the ladder of attach.c, best first. */
enum rung { RUNG_SESSION, RUNG_MULTI, RUNG_PERF, RUNGS };

struct probe_options {
	enum rung rung;
	bool trial; /* only what a trial of the rung needs: no tables, no books */
	bool only_targets; /* observe only the processes named with probe__add_target */
	uint32_t pid_namespace; /* process__namespace() */
	uint64_t min_size, max_size; /* bytes; blocks outside are in no site */
	/* Sizes of the kernel tables, in elements; 0: the default. */
	uint32_t max_blocks, max_stacks, max_sites, max_books, max_rows, max_mappings;
	uint32_t memos, memos_more; /* powers of two */
	uint32_t max_frames; /* of a stack, up to MEMWATCH_MAX_WORDS; 0: the default */
};

/* The least power of two that is not below n; 2^30 at most. */
uint32_t probe_options__power(uint64_t n);
/* In the table of blocks, room for idle ones (bpf/account.bpf.h) beside those that are wanted. */
uint32_t probe_options__idle(const struct probe_options *o);
void probe_options__fill(struct probe_options *o); /* what is 0 */

#endif
