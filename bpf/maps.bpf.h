/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_MAPS_BPF_H
#define MEMWATCH_MAPS_BPF_H
/*
 * Every map, and the configuration that the loader sets before the programs are verified. A size
 * of 1 is set by the loader (user/probe.c).
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "memwatch.h"

const volatile __u32 self_tgid;      /* never observed */
const volatile __u32 pid_namespace;  /* inode of the one that memwatch is in; 0: the initial one */
const volatile _Bool only_targets;  /* observe the processes in `targets` alone */
const volatile __u64 min_size, max_size = ~0ULL; /* blocks outside are in no site */
const volatile __u32 max_sites;
const volatile __u64 max_idle;       /* elements of `blocks` up to which free leaves them there */
const volatile __u32 memo_mask, more_mask; /* elements of memos and memos_more, less 1 */
const volatile __u32 max_frames = MEMWATCH_DEFAULT_FRAMES; /* of a stack */
const volatile __u32 max_words = MEMWATCH_DEEP_WORDS; /* of its record */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32); /* tgid */
	__type(value, u8);
} targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32); /* tgid */
	__type(value, u32); /* book */
} tgids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct book);
} books SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1);
	__type(value, u32);
} free_books SEC(".maps");

/* The books proper: no LRU here, it would evict live blocks (FACTS.md, hazard 12). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct block_key);
	__type(value, struct block);
} blocks SEC(".maps");

__u64 block_elements; /* in `blocks` */

/*
 * Sites are numbered, and a block knows its site's number: the hot path looks nothing up. A new
 * site takes a number that user space gave back, else the next one.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct site_record);
} sites SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct site_key);
	__type(value, u32);
} site_ids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1);
	__type(value, u32);
} free_sites SEC(".maps");

/*
 * User space makes every link anew, and until the old ones are gone a call may be seen by both, one
 * right after the other.
 */
__u32 linked_twice;

__u32 last_site; /* the highest number that was ever taken */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u64)); /* hash of the frames, or a few more */
	__uint(value_size, sizeof(struct stack_record)); /* less: MEMWATCH_SHORT_WORDS */
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u64));
	__uint(value_size, sizeof(struct stack_record)); /* less: max_words */
} deep_stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct mapping_record);
} mappings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct file_key);
	__type(value, struct file_record);
} files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct page_key);
	__type(value, struct page_rows);
} pages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct unwind_row);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, u32); /* book */
	__type(value, struct python_record);
} pythons SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1);
} events SEC(".maps");

/* Of struct python_copy. Code that finds no room is none the worse: its name is read later. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1);
} python_copies SEC(".maps");

/* Whose copies were sent. One that is forgotten is sent again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct python_key);
	__type(value, u8);
} python_sent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct loss_record);
} losses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} trials SEC(".maps");

#define LOSE(what) \
	do { \
		u32 zero_ = 0; \
		struct loss_record *losses_ = bpf_map_lookup_elem(&losses, &zero_); \
		if (losses_) \
			__sync_fetch_and_add(&losses_->what, 1); \
	} while (0)

static inline struct book *book__get(u32 id)
{
	return bpf_map_lookup_elem(&books, &id);
}

/* Mappings have changed since the slice was read, and its marks do not say which. */
static inline bool book__is_changing(const struct book *book)
{
	return (s32)(book->changed_anywhere - book->changes_seen) > 0;
}

/* False: there was no room, and it is counted. */
static inline bool event__send(struct event *event)
{
	event->time = bpf_ktime_get_ns();
	if (!bpf_ringbuf_output(&events, event, sizeof(*event), 0))
		return true;
	LOSE(events);
	return false;
}

#endif
