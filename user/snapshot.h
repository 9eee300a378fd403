/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_SNAPSHOT_H
#define MEMWATCH_SNAPSHOT_H
/*
 * The model: what was observed at one moment, and how it is grouped, filtered, ranked. Pure: no
 * BPF, no /proc, no terminal, no clock. Bytes are bytes requested, counts are blocks.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum frame_kind { FRAME_UNKNOWN, FRAME_NATIVE, FRAME_PYTHON, FRAME_JIT, FRAME_KERNEL };

/*
 * A string that is not known is NULL. Strings and frames are interned in the snapshot and live as
 * long: equal ones are one.
 */
struct frame {
	enum frame_kind kind : 30;
	bool inlined : 1;    /* into the frame that follows it */
	bool has_offset : 1;
	uint32_t line;       /* 0: not known */
	uint64_t offset;     /* native: in the module's file; jit, unknown: the address */
	const char *function;
	const char *file;
	const char *module;   /* last part of the object's path */
	const char *path;     /* the whole */
	const char *build_id; /* hexadecimal */
};
_Static_assert(sizeof(struct frame) == 56, "hashed as bytes: there must be no padding");

/* alloc = live + freed, always: so it is not stored. */
struct counters {
	uint64_t live_bytes, live_count;
	uint64_t freed_bytes, freed_count;
	uint64_t peak_bytes; /* the most live bytes at one time */
};

/* Freed before what snapshot__clear_before was given: in no figure. */
struct cleared {
	uint64_t bytes, count;
};

/* What the live figures have become more since a baseline. */
struct delta {
	int64_t bytes, count;
};

static inline uint64_t counters__alloc_bytes(const struct counters *counters)
{
	return counters->live_bytes + counters->freed_bytes;
}

static inline uint64_t counters__alloc_count(const struct counters *counters)
{
	return counters->live_count + counters->freed_count;
}

enum family { FAMILY_HEAP, FAMILY_MMAP };

enum stack_end { STACK_COMPLETE, STACK_TRUNCATED, STACK_BROKEN };

struct stack {
	const struct frame *const *frames; /* leaf first */
	uint32_t depth;
	enum stack_end end;
	uint64_t id; /* the same stack has the same id in later snapshots of one run */
	bool unnamed; /* nobody has looked for its frames yet: there are none */
};

struct process {
	pid_t pid;
	const char *comm; /* bytes as the kernel gave them */
	const char *container; /* its id or name, one word; NULL: in none, or not known */
	bool exited;
	struct counters counters;
	uint64_t failed_count, unmatched_frees;
	uint64_t start;   /* tells two processes with one pid apart */
	double growth;     /* live bytes per second; filled by snapshot__grow_since */
	double alloc_rate; /* blocks allocated per second; filled by snapshot__grow_since */
	struct delta change; /* filled by snapshot__change_since */
	struct cleared cleared;
};

struct site {
	uint32_t process; /* index into processes */
	uint32_t stack;   /* index into stacks */
	enum family family;
	struct counters counters;
	double growth;    /* live bytes per second; filled by snapshot__grow_since */
	struct delta change; /* filled by snapshot__change_since */
	struct cleared cleared;
};

struct losses {
	uint64_t blocks, sites, stacks, inflight, truncated_stacks, broken_stacks, events;
};

struct snapshot; /* owns everything that it was given */

struct snapshot *snapshot__new(void);
void snapshot__free(struct snapshot *snapshot);

/*
 * Building. Indices are dense and in the order of adding; -ENOMEM when there is no memory, -EINVAL
 * when a site names a process or a stack that was not added. Pointers that reading gave are void
 * after the next addition, interned strings are not.
 */
const char *snapshot__intern(struct snapshot *snapshot, const char *string); /* NULL gives NULL */
const struct frame *snapshot__intern_frame(struct snapshot *snapshot, const struct frame *frame);
/* The same for a frame whose strings are interned. */
const struct frame *snapshot__adopt_frame(struct snapshot *snapshot, const struct frame *frame);
/* Each returns the index. Frames and comm are interned. */
int snapshot__add_process(struct snapshot *snapshot, const struct process *process);
int snapshot__add_stack(struct snapshot *snapshot, const struct stack *stack);
/* Gives a stack that was added without names its frames. 0 or -ENOMEM. */
int snapshot__name_stack(struct snapshot *snapshot, size_t index, const struct stack *stack);
/*
 * The same without a copy: room for a stack's frames, and then the stack, whose frames are there
 * and interned. NULL: no memory.
 */
const struct frame **snapshot__frames(struct snapshot *snapshot, uint32_t depth);
int snapshot__adopt_stack(struct snapshot *snapshot, const struct stack *stack);
int snapshot__add_site(struct snapshot *snapshot, const struct site *site);
/* The same for all of them at once: an array from malloc, which is the snapshot's from now on. */
int snapshot__adopt_sites(struct snapshot *snapshot, struct site *sites, size_t count);

/* What is not of one process. time_ns: CLOCK_REALTIME; elapsed_s: since the probes were live. */
struct snapshot_header {
	uint64_t time_ns;
	double elapsed_s;
	double interval_s; /* since the snapshot before, or since the probes were live */
	const char *mode;  /* "exact" */
	struct losses losses;
	bool without_peaks; /* nobody counted them: they are 0 */
};
/* Rates are known: whoever added processes and sites has filled them. */
void snapshot__set_growth(struct snapshot *snapshot);
void snapshot__set_header(struct snapshot *snapshot, const struct snapshot_header *header);

/* Reading. */
const struct snapshot_header *snapshot__header(const struct snapshot *snapshot);
/* Rates are known. */
bool snapshot__has_growth(const struct snapshot *snapshot);
/*
 * What is interned is numbered from 0, so that a reader can keep what it found out about each
 * string and each frame.
 */
size_t snapshot__string_count(const struct snapshot *snapshot);
uint32_t snapshot__string_id(const char *interned);
size_t snapshot__frame_count(const struct snapshot *snapshot);
uint32_t snapshot__frame_id(const struct frame *interned);
const struct frame *snapshot__frame(const struct snapshot *snapshot, size_t id);
size_t snapshot__process_count(const struct snapshot *snapshot);
const struct process *snapshot__process(const struct snapshot *snapshot, size_t index);
size_t snapshot__stack_count(const struct snapshot *snapshot);
const struct stack *snapshot__stack(const struct snapshot *snapshot, size_t index);
size_t snapshot__site_count(const struct snapshot *snapshot);
const struct site *snapshot__site(const struct snapshot *snapshot, size_t index);
struct totals {
	struct counters counters; /* peak_bytes is 0: of several processes it is not known */
	uint64_t failed_count, unmatched_frees;
	double growth, alloc_rate; /* as in struct process */
	struct delta change;
};
struct totals snapshot__totals(const struct snapshot *snapshot); /* the sum over processes */

/*
 * Fills the rates of sites (matched by pid, start, family and stack id) and processes (pid, start)
 * over the header's interval_s; what was not there before has grown from nothing. `before` NULL:
 * everything has, which is true of the first snapshot when interval_s is the time since the
 * probes were live. Rates stay unknown when interval_s is
 * not positive. Returns 0 or -ENOMEM.
 */
int snapshot__grow_since(struct snapshot *snapshot, const struct snapshot *before);

/* Fills the changes of sites and processes, matched as above. 0 or -ENOMEM. */
int snapshot__change_since(struct snapshot *snapshot, const struct snapshot *baseline);
bool snapshot__has_change(const struct snapshot *snapshot);
/*
 * What was freed by the time of `origin` is cleared from the figures of blocks ever allocated; live
 * ones and peaks stay. After the rates are filled. 0 or -ENOMEM.
 */
int snapshot__clear_before(struct snapshot *snapshot, const struct snapshot *origin);

/* Ranking. */
enum sort_key {
	SORT_LIVE,
	SORT_COUNT,
	SORT_ALLOC,
	SORT_ALLOCS,
	SORT_PEAK,
	SORT_GROWTH,
	SORT_CHANGE,
};
enum group_key { BY_STACK, BY_FUNCTION, BY_LINE, BY_FILE, BY_MODULE, BY_PROCESS };

struct query {
	enum sort_key sort;
	enum group_key by;
	size_t top;      /* 0: all */
	bool unranked;   /* rows stay in the order of their first site, all of them */
	bool cumulative; /* charge every frame of a stack, each once */
	bool native;     /* charge native frames also where there are Python frames */
	bool heap, mmap; /* families wanted */
	/* NULL-terminated globs over file, its last path part, function and module of any frame;
	 * NULL: none. Kept if any `include` matches (when there are any) and no `exclude` does. */
	const char *const *include;
	const char *const *exclude;
	const char *find; /* glob that must match, too, in any case of letters; NULL: none */
	pid_t pid;        /* only this process, */
	uint64_t start;   /* which started then; pid 0: all */
	const struct charge *of; /* only sites that are charged to this; NULL: all */
};

/* What a row of another grouping stands for: the key's fields of a frame, or none of them. */
struct charge {
	enum group_key by; /* not BY_STACK, not BY_PROCESS */
	const char *function, *file, *module;
	uint32_t line;
	enum frame_kind kind;
};

/*
 * A row. BY_STACK it is a site. Otherwise the sites charged to one key are summed, over processes
 * and families; the key of a function, file or module row has the frame's kind in it (a Python and
 * a native `main` are two rows).
 *
 * Which frames a site is charged to: the nearest that has the key, or with `cumulative` every
 * distinct one. Where the stack has Python frames only those are looked at, unless `native` says
 * otherwise or none of them has the key.
 */
struct row {
	const struct process *process; /* NULL: of several processes */
	enum family family;
	bool families;           /* true: of both; `family` says nothing */
	struct stack stack;      /* whole BY_STACK; else one frame with only the key's fields, or
				  * none (depth 0) BY_PROCESS and where no frame has the key */
	const struct frame *frame; /* the one; BY_STACK, and when there is none, an empty one */
	uint32_t stack_index;    /* BY_STACK: in the snapshot */
	struct counters counters;
	bool peak_known;         /* false: peak_bytes is the sum of the sites' own peaks, which
				  * were not at one time: an upper bound. It still ranks. */
	double growth;
	struct delta change;
	uint64_t merged;         /* sites in it; 1 BY_STACK */
};
/* The same for the same row of later snapshots; of another row, hardly ever. */
uint64_t row__identity(const struct row *row, enum group_key by);

struct rows {
	struct row *items; /* ranked; ties go by count (counts: by bytes), then by the stack's
			    * text, both descending as in tracemalloc; then by pid */
	size_t count;
	size_t all;        /* before `top` cut it */
	struct arena *keys; /* frames of rows that are no stacks */
};
/* 0 or -ENOMEM. Rows point into the snapshot, which must outlive them. */
int snapshot__rows(const struct snapshot *snapshot, const struct query *query, struct rows *rows);
void rows__free(struct rows *rows);
/* < 0: `a` stands before `b` by its figures; 0: only their names can tell. */
int row__compare(const struct row *a, const struct row *b, enum sort_key sort);
/* By their text, as rows rank that have the same figures; > 0: `a` stands behind `b`. */
int stack__compare(const struct stack *a, const struct stack *b);

#endif
