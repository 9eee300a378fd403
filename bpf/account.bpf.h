/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_ACCOUNT_BPF_H
#define MEMWATCH_ACCOUNT_BPF_H
/*
 * The books: what an allocation, a free, an exec and an exit do to them. A block is charged to its
 * site and to its process at once; `live` and `freed` are kept and `allocated` is their sum, so
 * that no reader can see the three disagree.
 */
#include "maps.bpf.h"
#include "compat.bpf.h"
#include "process.bpf.h"

/* Raises `peak` to `live`; a lost race means that somebody raised it, so look again. */
static inline void account__raise(u64 *peak, u64 live)
{
	u64 seen = *(volatile u64 *)peak;

	for (int i = 0; i < 16 && live > seen; i++)
		seen = __sync_val_compare_and_swap(peak, seen, live);
}

static inline u64 account__add(struct account *account, u64 size)
{
	u64 live = __sync_fetch_and_add(&account->live_bytes, size) + size;

	__sync_fetch_and_add(&account->live_count, 1);
	account__raise(&account->peak_bytes, live);
	return live;
}

static inline void account__subtract(struct account *account, u64 size)
{
	__sync_fetch_and_add(&account->live_bytes, -size);
	__sync_fetch_and_add(&account->live_count, -1);
	__sync_fetch_and_add(&account->freed_bytes, size);
	__sync_fetch_and_add(&account->freed_count, 1);
}

/* The account that a block of this site is charged to. */
static inline struct account *site__account(u32 site, struct book *book)
{
	struct site_record *record = site ? bpf_map_lookup_elem(&sites, &site) : NULL;

	if (!record)
		return &book->unknown;
	return &record->account;
}

/* Takes an unused site number; 0 when there is none. */
static inline u32 site__take(void)
{
	u32 site;

	if (!bpf_map_pop_elem(&free_sites, &site))
		return site;
	if (last_site + 1 >= max_sites)
		return 0;
	site = __sync_fetch_and_add(&last_site, 1) + 1;
	return site < max_sites ? site : 0;
}

/* The number of the site of this stack, made when there is none; 0 when the table is full. */
static __noinline u32 site__of(u32 book, u64 stack)
{
	struct site_key key = { .stack = stack, .book = book };
	struct site_record *record;
	u32 *known, site;

	if (!stack)
		return 0;
	known = bpf_map_lookup_elem(&site_ids, &key);
	if (known)
		return *known;
	site = site__take();
	record = bpf_map_lookup_elem(&sites, &site);
	if (!site || !record) {
		LOSE(sites);
		return 0;
	}
	__builtin_memset(record, 0, sizeof(*record));
	record->stack = stack;
	record->book = book;
	if (!bpf_map_update_elem(&site_ids, &key, &site, BPF_NOEXIST))
		return site;
	record->book = 0; /* another thread was faster, or the table is full */
	bpf_map_push_elem(&free_sites, &site, 0);
	known = bpf_map_lookup_elem(&site_ids, &key);
	if (!known)
		LOSE(sites);
	return known ? *known : 0;
}

/*
 * Takes a block off the table, out of everybody's reach; its charge stays until block__settle.
 *
 * Allocators give the same addresses again and again, and to make and delete an element of the
 * table costs more than to find one: 370 ns of a pair. So the element stays, idle, while the table
 * has few. Nobody else is at it then: the address is the caller's until its free goes on.
 */
static inline bool block__take(u32 id, u64 address, struct block *block)
{
	struct block_key key = { .address = address, .book = id };
	struct block *found = bpf_map_lookup_elem(&blocks, &key);

	if (!found)
		return false;
	*block = *found; /* before it is deleted: the memory is reused at once */
	if (!block->birth || !__sync_lock_test_and_set(&found->birth, 0))
		return false;
	if (block_elements > max_idle && !bpf_map_delete_elem(&blocks, &key))
		__sync_fetch_and_add(&block_elements, -1);
	return true;
}

/* The block that was taken is free. */
static inline void block__settle(struct book *book, const struct block *block)
{
	account__subtract(&book->heap, block->size);
	if (block->weight)
		account__subtract(site__account(block->site, book), block->size);
}

/* The block at `address`, if there is one, is gone, though its free was never seen: the address was
 * handed out again. */
static __noinline int block__forget(u32 id, struct book *book, u64 address)
{
	struct block block;

	if (!book || !block__take(id, address, &block))
		return 0;
	__sync_fetch_and_add(&book->inflight, 1);
	block__settle(book, &block);
	return 0;
}

/* Puts a block on the table. False when that is full. */
static inline bool block__put(u32 id, struct book *book, u64 address, const struct block *block)
{
	struct block_key key = { .address = address, .book = id };
	struct block *found = bpf_map_lookup_elem(&blocks, &key);

	if (found && found->birth) {
		block__forget(id, book, address);
		found = bpf_map_lookup_elem(&blocks, &key);
	}
	if (found) {
		found->size = block->size;
		found->site = block->site;
		found->weight = block->weight;
		*(volatile u64 *)&found->birth = block->birth; /* last: now it is there */
		return true;
	}
	if (bpf_map_update_elem(&blocks, &key, block, BPF_NOEXIST))
		return false;
	__sync_fetch_and_add(&block_elements, 1);
	return true;
}

/* The block that was taken was not freed. */
static inline void block__put_back(u32 id, struct book *book, u64 address,
				   const struct block *block)
{
	if (block__put(id, book, address, block))
		return;
	LOSE(blocks);
	block__settle(book, block);
}

/* An allocation returned. */
static inline void block__add(u32 id, struct book *book, u64 address, u64 size, u32 site)
{
	struct block block = {
		.size = size,
		.birth = bpf_ktime_get_ns(),
		.site = site,
		.weight = size >= min_size && size <= max_size,
	};

	if (!block__put(id, book, address, &block)) {
		LOSE(blocks);
		return;
	}
	if (block.weight)
		account__add(site__account(site, book), size);
	account__raise(&book->mmap_peak, account__add(&book->heap, size));
}

/*
 * A child that has forked and not called exec runs the same code at the same addresses: until
 * user space has looked at it, its parent's mappings are its own.
 */
static inline void book__inherit(struct book *book, u32 id)
{
	enum { FORKNOEXEC = 0x40 }; /* PF_FORKNOEXEC, include/linux/sched.h */
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 parent = process__id(BPF_CORE_READ(task, real_parent)), *known;
	const struct python_record *python;
	const struct book *from;

	if (!(BPF_CORE_READ(task, group_leader, flags) & FORKNOEXEC))
		return;
	known = bpf_map_lookup_elem(&tgids, &parent);
	from = known ? book__get(*known) : NULL;
	if (!from || book__is_changing(from))
		return;
	book->slice = from->slice;
	python = from->python ? bpf_map_lookup_elem(&pythons, known) : NULL;
	if (python && !bpf_map_update_elem(&pythons, &id, python, BPF_ANY))
		book->python = 1;
}

/* Its name now: when user space comes to look, a process that lives for a moment has none. */
static inline void book__name(struct book *book)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	BPF_CORE_READ_STR_INTO(&book->comm, task, group_leader, comm);
}

/* Opens a book. Returns its id, or 0 when there is none left. */
static __noinline u32 book__open(u32 tgid)
{
	u32 id, generation;
	struct book *book;

	if (bpf_map_pop_elem(&free_books, &id)) {
		LOSE(books);
		return 0;
	}
	book = book__get(id);
	if (!book)
		return 0;
	generation = book->generation + 1; /* memos of the book that had this id before are void */
	__builtin_memset(book, 0, sizeof(*book));
	book->generation = generation;
	book->tgid = tgid;
	book__name(book);
	book__inherit(book, id);
	book->state = BOOK_OPEN;
	return id;
}

/* The calling process's book, opened when it has none. Returns 0 when it is not to be observed. */
static __noinline u32 book__current(void)
{
	u32 tgid = process__current();
	struct event event = { .type = EVENT_BOOK, .tgid = tgid };
	u32 *known, id;

	if (!tgid || tgid == self_tgid || (only_targets && !bpf_map_lookup_elem(&targets, &tgid)))
		return 0;
	known = bpf_map_lookup_elem(&tgids, &tgid);
	if (known)
		return *known;
	id = book__open(tgid);
	if (!id)
		return 0;
	if (!bpf_map_update_elem(&tgids, &tgid, &id, BPF_NOEXIST)) {
		event.book = id;
		event__send(&event);
		return id;
	}
	bpf_map_push_elem(&free_books, &id, 0); /* another thread was faster */
	known = bpf_map_lookup_elem(&tgids, &tgid);
	return known ? *known : 0;
}

/* exec: a new book; nothing of the old one is live any more. Returns the new id. */
static inline u32 book__replace(u32 tgid)
{
	struct event event = { .type = EVENT_EXEC, .tgid = tgid };
	u32 *known = bpf_map_lookup_elem(&tgids, &tgid);
	struct book *book;

	if (!known)
		return 0;
	event.other = *known;
	book = book__get(*known);
	if (book)
		book->state = BOOK_REPLACED;
	event.book = book__open(tgid);
	if (event.book)
		bpf_map_update_elem(&tgids, &tgid, &event.book, BPF_ANY);
	else
		bpf_map_delete_elem(&tgids, &tgid);
	event__send(&event);
	return event.book;
}

/* Links that were made for one process hold on to its leader: user space makes them anew. */
static inline void leader__gone(u32 tgid, u32 ended)
{
	struct event event = { .type = EVENT_LEADER, .tgid = tgid, .other = ended };
	u32 *known = bpf_map_lookup_elem(&tgids, &tgid);

	if (!known || !only_targets)
		return;
	event.book = *known;
	event__send(&event);
}

/* exit of the last thread: the accounts stay readable until user space gives the book back. */
static inline void book__close(u32 tgid)
{
	struct event event = { .type = EVENT_EXIT, .tgid = tgid };
	u32 *known = bpf_map_lookup_elem(&tgids, &tgid);
	struct book *book;

	if (!known)
		return;
	event.book = *known;
	book = book__get(*known);
	if (book)
		book->state = BOOK_EXITED;
	bpf_map_delete_elem(&tgids, &tgid);
	event__send(&event);
}

#endif
