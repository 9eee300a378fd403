/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SAMPLE_H
#define SAMPLE_H
/* A snapshot made by hand, for the tests of the model and of the views. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/snapshot.h"

/* 2026-11-22T12:00:05.123Z */
#define SAMPLE_TIME 1795348805123456789ULL

enum { PERL, PYTHON }; /* processes */
enum { PERL_STACK, PYTHON_STACK, NAMELESS_STACK, EMPTY_STACK };

static const struct frame perl_frames[] = {
	{ .kind = FRAME_NATIVE,
	  .has_offset = true,
	  .offset = 703382,
	  .function = "Perl_safesysmalloc",
	  .file = "/src/perl/util.c",
	  .line = 154,
	  .module = "perl",
	  .path = "/usr/bin/perl" },
	{ .kind = FRAME_NATIVE,
	  .has_offset = true,
	  .offset = 900,
	  .function = "Perl_newSV",
	  .file = "sv.c",
	  .line = 2011,
	  .module = "perl",
	  .inlined = true },
	{ .kind = FRAME_NATIVE,
	  .has_offset = true,
	  .offset = 900,
	  .function = "main",
	  .file = "perlmain.c",
	  .line = 117,
	  .module = "perl" },
};
static const struct frame python_frames[] = {
	{ .kind = FRAME_NATIVE,
	  .has_offset = true,
	  .offset = 4660,
	  .function = "PyFloat_FromDouble",
	  .module = "python3.11" },
	{ .kind = FRAME_PYTHON, .function = "build", .file = "/srv/floats.py", .line = 5 },
	{ .kind = FRAME_PYTHON, .function = "build", .file = "/srv/floats.py", .line = 5 },
	{ .kind = FRAME_PYTHON, .function = "<module>", .file = "/srv/floats.py", .line = 9 },
	{ .kind = FRAME_NATIVE,
	  .has_offset = true,
	  .offset = 77,
	  .function = "main",
	  .file = "python.c",
	  .line = 15,
	  .module = "python3.11" },
};
static const struct frame nameless_frames[] = {
	{ .kind = FRAME_NATIVE, .has_offset = true, .offset = 0xabc, .module = "libx.so" },
	{ .kind = FRAME_UNKNOWN, .has_offset = true, .offset = 0x7f0000001000 },
	{ .kind = FRAME_JIT },
};

/* Its index. */
static inline int sample_stack(struct snapshot *snapshot, const struct frame *frames,
			       uint32_t depth, enum stack_end end, uint64_t id)
{
	const struct frame *pointers[32];
	const struct stack stack = { .frames = pointers, .depth = depth, .end = end, .id = id };

	assert_true(depth <= 32);
	for (uint32_t i = 0; i < depth; i++)
		pointers[i] = &frames[i];
	return snapshot__add_stack(snapshot, &stack);
}

static inline void sample_site(struct snapshot *snapshot, uint32_t process, uint32_t stack,
			       enum family family, struct counters counters)
{
	const struct site site = {
		.process = process,
		.stack = stack,
		.family = family,
		.counters = counters,
	};

	assert_true(snapshot__add_site(snapshot, &site) >= 0);
}

static inline void sample_processes(struct snapshot *snapshot)
{
	const struct process perl = {
		.pid = 24916,
		.comm = "perl",
		.container = "web-1",
		.start = 1,
		.failed_count = 1,
		.unmatched_frees = 2,
		.counters = { 3146304, 102335, 1000, 10, 4194304 },
	};
	const struct process python = {
		.pid = 77,
		.comm = "python3",
		.exited = true,
		.start = 2,
		.counters = { 5200, 203, 4800, 100, 6000 },
	};

	assert_int_equal(snapshot__add_process(snapshot, &perl), PERL);
	assert_int_equal(snapshot__add_process(snapshot, &python), PYTHON);
}

static inline void sample_stacks(struct snapshot *snapshot)
{
	sample_stack(snapshot, perl_frames, 3, STACK_COMPLETE, 100);
	sample_stack(snapshot, python_frames, 5, STACK_TRUNCATED, 101);
	sample_stack(snapshot, nameless_frames, 3, STACK_BROKEN, 102);
	assert_int_equal(sample_stack(snapshot, NULL, 0, STACK_COMPLETE, 103), EMPTY_STACK);
}

/* The sites of each process add up to the process. */
static inline struct snapshot *sample(void)
{
	struct snapshot *snapshot = snapshot__new();
	const struct snapshot_header header = {
		.time_ns = SAMPLE_TIME,
		.elapsed_s = 5,
		.interval_s = 2,
		.mode = "exact",
	};

	assert_non_null(snapshot);
	snapshot__set_header(snapshot, &header);
	sample_processes(snapshot);
	sample_stacks(snapshot);
	sample_site(snapshot, PERL, PERL_STACK, FAMILY_HEAP,
		    (struct counters){ 3145728, 102330, 900, 9, 3145800 });
	sample_site(snapshot, PERL, NAMELESS_STACK, FAMILY_HEAP,
		    (struct counters){ 576, 5, 100, 1, 600 });
	sample_site(snapshot, PYTHON, PYTHON_STACK, FAMILY_HEAP,
		    (struct counters){ 4800, 200, 0, 0, 4800 });
	sample_site(snapshot, PYTHON, PYTHON_STACK, FAMILY_MMAP,
		    (struct counters){ 300, 2, 4800, 100, 5000 });
	sample_site(snapshot, PYTHON, EMPTY_STACK, FAMILY_HEAP,
		    (struct counters){ 100, 1, 0, 0, 100 });
	return snapshot;
}

/* One process "x[1]", one site on the frames; for what the sample does not have. */
static inline struct snapshot *sample_of(const struct frame *frames, uint32_t depth,
					 const char *comm)
{
	struct snapshot *snapshot = snapshot__new();
	const struct process process = { .pid = 1, .comm = comm, .counters = { 32, 1, 0, 0, 32 } };

	assert_non_null(snapshot);
	assert_int_equal(snapshot__add_process(snapshot, &process), 0);
	assert_int_equal(sample_stack(snapshot, frames, depth, STACK_COMPLETE, 0), 0);
	sample_site(snapshot, 0, 0, FAMILY_HEAP, (struct counters){ 32, 1, 0, 0, 32 });
	return snapshot;
}

#endif
