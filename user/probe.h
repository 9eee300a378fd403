/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PROBE_H
#define MEMWATCH_PROBE_H
/*
 * The BPF side, opened, sized, loaded and read. The only module that knows the skeleton; what it
 * hands out are the records of bpf/memwatch.h. Functions return 0 or -errno.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe_options.h"
#include "../bpf/memwatch.h"

enum program {
	PROGRAM_ENTER,
	PROGRAM_RETURN,
	PROGRAM_RELEASE, /* at the entry of a call that only frees */
	PROGRAM_SESSION, /* both, on session links */
	PROGRAM_LOADER,
	PROGRAM_TRIAL_ENTER,
	PROGRAM_TRIAL_RETURN,
	PROGRAM_TRIAL_SESSION,
	PROGRAMS
};

struct probe;

struct probe *probe__new(const struct probe_options *options); /* NULL and errno */
void probe__free(struct probe *probe);
/* The last lines that libbpf and the verifier said; for the one who reports a failed load. */
const char *probe__complaint(void);

/* The descriptor, or -errno. A program that is seldom needed is loaded now. */
int probe__program(struct probe *probe, enum program program);
struct bpf_program *probe__libbpf_program(const struct probe *probe, enum program program);
int probe__attach_lifecycle(struct probe *probe); /* exec and exit */
uint64_t probe__trial_hits(const struct probe *probe);

const struct probe_options *
probe__options(const struct probe *probe); /* with the defaults filled in */

int probe__add_target(struct probe *probe, pid_t pid);
/* Says that a call may be seen by two links, the old one and its successor: it is one call. */
void probe__set_linked_twice(struct probe *probe, bool twice);
/* Opens a book for a process before the probes are live. Returns its id or -errno. */
int probe__open_book(struct probe *probe, pid_t pid);
/* A book in the kernel's memory, read and written in place; NULL: no such id. */
struct book *probe__book(const struct probe *probe, uint32_t id);
/* Says how Python's frames are found in the process of this book. */
int probe__set_python(struct probe *probe, uint32_t id, const struct python_record *python);
/* Gives a book back; nothing may refer to it any more. */
int probe__release_book(struct probe *probe, uint32_t id);

struct loss_record probe__losses(const struct probe *probe);

/* Each returns non-zero to stop, which is then returned. */
typedef int (*probe_site)(void *context, uint32_t site, const struct site_record *record);
typedef int (*probe_block)(void *context, const struct block_key *key, const struct block *block);
int probe__each_site(struct probe *probe, probe_site call, void *context); /* those in use */
int probe__each_block(struct probe *probe, probe_block call, void *context); /* idle ones, too */
uint64_t probe__block_elements(const struct probe *probe); /* how many there are */
const struct site_record *probe__site(const struct probe *probe, uint32_t site); /* NULL: no such */
int probe__release_site(struct probe *probe, uint32_t site); /* nothing may refer to it any more */
/* Of a book that ended: else a thread may be about to use the element. */
void probe__delete_block(struct probe *probe, const struct block_key *key);
int probe__stack(const struct probe *probe, uint64_t id, struct stack_record *stack);
/* The ids of all stacks; the caller frees. */
int probe__stack_ids(const struct probe *probe, uint64_t **ids, size_t *count);
int probe__delete_stack(struct probe *probe, uint64_t id);

int probe__event_fd(const struct probe *probe); /* readable when there are events */
struct probe_calls {
	int (*event)(void *context, const struct event *event);
	int (*python_copy)(void *context, const struct python_copy *copy);
};
int probe__each_event(struct probe *probe, const struct probe_calls *calls, void *context);

/* The tables of the unwinder. `mappings` and `rows` are arrays in the kernel's memory. */
struct mapping_record *probe__mappings(const struct probe *probe, uint32_t *capacity);
struct unwind_row *probe__rows(const struct probe *probe, uint32_t *capacity);
int probe__set_file(struct probe *probe, const struct file_key *key,
		    const struct file_record *file);
void probe__forget_ask(struct probe *probe, const struct file_key *key); /* if nobody answered */
int probe__set_page(struct probe *probe, const struct page_key *key, const struct page_rows *rows);

#endif
