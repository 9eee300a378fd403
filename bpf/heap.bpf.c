// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Probe entry points of the allocator family. Each names what arrived and hands it to the books.
 *
 * Only the outermost call of a thread counts (calloc calls malloc, malloc calls mmap). What that
 * call is waits in the thread's own storage until its return address's slot is popped.
 */
#include "stack.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum { MMAP_FIXED = 0x10 }; /* include/uapi/asm-generic/mman-common.h */

enum {
	NEST_BYTES =
		256
		<< 10, /* an allocator's own calls stay this near; further away is another stack */
};

struct thread {
	u32 book;       /* 0: not known yet */
	u32 kind;       /* of the call that is under way; ENTRY_NONE: there is none */
	u64 slot;       /* where its return address lies */
	u64 cookie;
	u64 size;       /* requested */
	u64 pointer;    /* realloc: the block; posix_memalign: where the address will be */
	u64 length;     /* mremap: of the old range */
	u32 site;
	u32 protection, flags;
	/* the block that was freed last, by which code, and where that returns; until the
	 * thread allocates */
	u64 freed, freed_ip, freed_slot;
	bool has_block; /* `block` was taken off the books by this call */
	u32 moved_pages; /* see code__moves; 0: nothing was */
	u64 moved;
	struct block block;
	struct scratch scratch;
};
_Static_assert(sizeof(struct thread) <= 8192 - 256, "see MEMWATCH_MAX_WORDS");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

/* The calling thread, if its process is to be observed. */
static inline struct thread *thread__current(struct book **book)
{
	struct thread *thread;
	u32 id = 0;

	thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
	if (!thread) {
		id = book__current();
		if (!id)
			return NULL;
		thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL,
					      BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!thread) {
			LOSE(inflight);
			return NULL;
		}
		thread->book = id;
	}
	*book = book__get(thread->book);
	return *book && (*book)->state == BOOK_OPEN ? thread : NULL;
}

/* A load at a fixed place: written in C, clang merges the cases into one load at a computed place,
 * which the verifier refuses ("dereference of modified ctx ptr"). */
#define READ_REGISTER(number, field) \
	case number: \
		asm volatile("%0 = *(u64 *)(%1 + %2)" \
			     : "=r"(value) \
			     : "r"(regs), "i"(__builtin_offsetof(struct pt_regs, field))); \
		return value

/* The register with this number in the x86 encoding. */
static __noinline u64 register__read(struct pt_regs *regs, u32 number)
{
	u64 value;

	switch (number) {
		READ_REGISTER(0, ax);
		READ_REGISTER(1, cx);
		READ_REGISTER(2, dx);
		READ_REGISTER(3, bx);
		READ_REGISTER(5, bp);
		READ_REGISTER(6, si);
		READ_REGISTER(7, di);
		READ_REGISTER(8, r8);
		READ_REGISTER(9, r9);
		READ_REGISTER(10, r10);
		READ_REGISTER(11, r11);
		READ_REGISTER(12, r12);
		READ_REGISTER(13, r13);
		READ_REGISTER(14, r14);
		READ_REGISTER(15, r15);
	}
	return 0;
}

static inline u64 argument(struct pt_regs *regs, u64 cookie, u32 n)
{
	return register__read(regs, COOKIE_ARGUMENT(cookie, n));
}

/*
 * Is the remembered call of this thread still under way, now that another entry comes by at `slot`?
 * It is gone when the stack has been unwound past it (longjmp, a return that was never seen). An
 * entry at the very same slot is its tail call while the slot still holds the trampoline, else a
 * new call. Deeper down the stack tells: the old slot is a return address of the new call's walk,
 * or only a word that nobody has overwritten yet.
 */
static __noinline bool thread__is_nested(struct thread *thread, struct book *book, u64 slot,
					 u64 rbp)
{
	bool armed;
	u64 word;

	if (!thread || slot > thread->slot || thread->slot - slot > NEST_BYTES)
		return false;
	armed = !(thread->cookie & COOKIE_NO_RETURN);
	if (armed && (!user__read(thread->slot, &word) || word != trampoline__address()))
		return false;
	if (slot == thread->slot)
		return armed;
	thread->scratch.upper = thread->slot;
	thread->scratch.callee = 0;
	return stack__leads_to(&thread->scratch, thread->book, book, slot, rbp) != REACH_NO;
}

/*
 * The remembered call never came back, so what it took off the books is where it was. One whose
 * exits have probes of their own has thrown. While links are made anew one at the same slot is most
 * likely this very call, which another link has just seen: no loss, it will be remembered again.
 */
static __noinline void thread__abandon(struct thread *thread, struct book *book, u64 slot)
{
	if (!thread || !book)
		return;
	if (!linked_twice || slot != thread->slot) {
		if (thread->cookie & COOKIE_NO_RETURN)
			__sync_fetch_and_add(&book->failed_count, 1);
		else
			__sync_fetch_and_add(&book->inflight, 1);
	}
	if (thread->has_block)
		block__put_back(thread->book, book, thread->pointer, &thread->block);
	thread->kind = ENTRY_NONE;
}

/*
 * Was a block that is not on the books allocated before we came? Not if the free that is under way
 * called this one (operator delete; an interposer's, with a header in front of its blocks). And not
 * if glibc empties an ending thread's tcache, of what the program has freed before: then nobody but
 * the C library and the thread's start is on the stack.
 */
static __noinline bool free__is_unmatched(struct thread *thread, struct book *book, u64 slot,
					  u64 rbp, u64 ip)
{
	if (!thread || !book)
		return false;
	thread->scratch.upper = thread->freed_slot;
	thread->scratch.callee = thread->freed_ip;
	if (thread->freed && slot < thread->freed_slot && thread->freed_slot - slot <= NEST_BYTES &&
	    stack__leads_to(&thread->scratch, thread->book, book, slot, rbp) == REACH_YES)
		return false;
	thread->scratch.upper = ip;
	return !stack__stays_inside(&thread->scratch, thread->book, book, slot, rbp);
}

/*
 * The free that is under way has jumped to another one, with the block that its header is in front
 * of: there the stack is that of a second free, of what lies just below.
 */
static inline bool free__goes_on(const struct thread *thread, const struct book *book, u64 address,
				 u64 slot, u64 ip)
{
	enum { HEADER_MAX = 64 }; /* few words, or a cache line that aligns the block */
	const struct mapping_record *mapping;
	u64 slice;

	if (!thread->freed || slot != thread->freed_slot || address >= thread->freed ||
	    thread->freed - address > HEADER_MAX)
		return false;
	slice = *(const volatile u64 *)&book->slice;
	mapping = mapping__below(slice, slice >> 32, ip);
	return mapping && (thread->freed_ip < mapping->start || thread->freed_ip >= mapping->end);
}

static inline void free__enter(struct thread *thread, struct book *book, struct pt_regs *regs,
			       u64 cookie, u64 slot)
{
	u64 address = argument(regs, cookie, 0);
	struct block block;

	if (!address)
		return;
	if (block__take(thread->book, address, &block)) {
		block__settle(book, &block);
	} else if (address == thread->freed) { /* by way of another free: cfree, operator delete */
		if (slot == thread->freed_slot) /* by a jump: the first's frame is gone */
			thread->freed_ip = regs->ip;
		return;
	} else if (free__goes_on(thread, book, address, slot, regs->ip) ||
		   !free__is_unmatched(thread, book, slot, regs->bp, regs->ip)) {
		return;
	} else {
		__sync_fetch_and_add(&book->unmatched_frees, 1);
	}
	thread->freed = address;
	thread->freed_ip = regs->ip;
	thread->freed_slot = slot;
}

/*
 * The program, not its loader, takes code off [address, address + length): what comes there next is
 * other code, though nobody will say so. The system call is still to come, so who reads the
 * mappings now reads too early: they are to be read (again) when this thread comes by next.
 */
static __noinline int code__moves(struct thread *thread, struct book *book, u64 address, u64 length)
{
	if (!thread || !book || !book__has_code(book, address, address + length))
		return 0;
	book__change(book, address, address + length);
	thread->moved = address;
	thread->moved_pages = (length + (1 << PAGE_BITS) - 1) >> PAGE_BITS;
	return 0;
}

static inline void code__moved(struct thread *thread, struct book *book)
{
	u64 end = thread->moved + ((u64)thread->moved_pages << PAGE_BITS);

	if (book__has_code(book, thread->moved, end))
		book__change(book, thread->moved, end);
	thread->moved_pages = 0;
	book->asked = 0;
	book__ask_mappings(thread->book, book);
}

static inline void unmap__enter(struct thread *thread, struct book *book, u64 address, u64 length)
{
	struct event event = {
		.type = EVENT_UNMAP,
		.book = thread->book,
		.tgid = book->tgid,
		.address = address,
		.length = length,
	};

	code__moves(thread, book, address, length);
	if (!book->mapped)
		return; /* free unmaps large blocks: they were never on these books */
	event.heap_peak = __sync_lock_test_and_set(&book->mmap_peak, book->heap.live_bytes);
	event__send(&event);
}

/* An overflow stays one: the call will fail, and is no request for 0 bytes. */
static inline u64 product(u64 number, u64 size)
{
	u64 most = size ? ~0ULL / size : ~0ULL;

	asm volatile("" : "+r"(most)); /* else clang wants a 128-bit product */
	return number > most ? ~0ULL : number * size;
}

/* Remembers what will be needed when the call returns. */
static inline void thread__remember(struct thread *thread, struct pt_regs *regs, u64 cookie)
{
	u32 kind = COOKIE_KIND(cookie);

	thread->has_block = false;
	thread->pointer = thread->freed = 0;
	switch (kind) {
	case ENTRY_MALLOC:
		thread->size = argument(regs, cookie, 0);
		break;
	case ENTRY_CALLOC:
		thread->size = product(argument(regs, cookie, 0), argument(regs, cookie, 1));
		break;
	case ENTRY_REALLOC:
	case ENTRY_REALLOCARRAY:
		thread->pointer = argument(regs, cookie, 0);
		thread->size = argument(regs, cookie, 1);
		if (kind == ENTRY_REALLOCARRAY)
			thread->size = product(thread->size, argument(regs, cookie, 2));
		if (thread->pointer)
			thread->has_block =
				block__take(thread->book, thread->pointer, &thread->block);
		break;
	case ENTRY_ALIGNED:
		thread->size = argument(regs, cookie, 1);
		break;
	case ENTRY_POSIX_MEMALIGN:
		thread->pointer = argument(regs, cookie, 0);
		thread->size = argument(regs, cookie, 2);
		break;
	case ENTRY_MMAP:
		thread->size = argument(regs, cookie, 1);
		thread->protection = argument(regs, cookie, 2);
		thread->flags = argument(regs, cookie, 3);
		break;
	case ENTRY_MREMAP:
		thread->pointer = argument(regs, cookie, 0);
		thread->length = argument(regs, cookie, 1);
		thread->size = argument(regs, cookie, 2);
		thread->flags = argument(regs, cookie, 3);
		break;
	}
}

/*
 * An allocator's entry point was reached. NULL when that is nothing to the books: the process is
 * not observed, or the call is part of another.
 */
static __always_inline struct thread *call__begin(struct pt_regs *regs, u64 slot,
						  struct book **book)
{
	struct thread *thread = thread__current(book);

	if (!thread)
		return NULL;
	if (thread->moved_pages)
		code__moved(thread, *book);
	if (thread->kind) {
		if (thread__is_nested(thread, *book, slot, regs->bp))
			return NULL;
		if (!trampoline__is_interrupted(slot))
			thread__abandon(thread, *book, slot);
	}
	return thread;
}

/* One that is done with when it is entered. */
static inline void release__enter(struct pt_regs *regs, u64 cookie)
{
	u64 slot = regs->sp + COOKIE_STACK(cookie);
	struct thread *thread;
	struct book *book;

	thread = call__begin(regs, slot, &book);
	if (!thread)
		return;
	if (COOKIE_KIND(cookie) == ENTRY_FREE)
		free__enter(thread, book, regs, cookie, slot);
	else
		unmap__enter(thread, book, argument(regs, cookie, 0), argument(regs, cookie, 1));
}

/* One that allocates. True when its return is to be seen. */
static __noinline bool call__enter(struct pt_regs *regs, u64 cookie)
{
	u64 slot = regs->sp + COOKIE_STACK(cookie);
	u32 kind = COOKIE_KIND(cookie);
	struct thread *thread;
	struct book *book;

	thread = call__begin(regs, slot, &book);
	if (!thread)
		return false;
	if (kind == ENTRY_FREE) /* never; but without it the verifier has 1.7 times the work */
		return false;
	if (kind == ENTRY_MREMAP) {
		code__moves(thread, book, argument(regs, cookie, 0), argument(regs, cookie, 1));
		if (!book->mapped)
			return false;
	}
	if (trampoline__is_interrupted(slot) ||
	    (!(cookie & COOKIE_NO_RETURN) && trampoline__is_dispatched())) {
		__sync_fetch_and_add(&book->inflight, 1);
		return false;
	}
	thread__remember(thread, regs, cookie);
	thread->slot = slot;
	thread->cookie = cookie;
	thread->site = stack__capture(&thread->scratch, thread->book, book, slot, regs->bp);
	thread->kind = kind;
	if (kind == ENTRY_MMAP && thread->flags & MMAP_FIXED)
		code__moves(thread, book, argument(regs, cookie, 0), thread->size);
	return true;
}

static inline void realloc__return(struct thread *thread, struct book *book, u64 address)
{
	if (!address && thread->size) { /* the old block stays as it was */
		__sync_fetch_and_add(&book->failed_count, 1);
		if (thread->has_block)
			block__put_back(thread->book, book, thread->pointer, &thread->block);
		return;
	}
	if (thread->has_block)
		block__settle(book, &thread->block);
	else if (thread->pointer)
		__sync_fetch_and_add(&book->unmatched_frees, 1);
	if (address)
		block__add(thread->book, book, address, thread->size, thread->site);
}

static inline void malloc__return(struct thread *thread, struct book *book, u64 address)
{
	if (address)
		block__add(thread->book, book, address, thread->size, thread->site);
	else
		__sync_fetch_and_add(&book->failed_count, 1);
}

static inline u64 site__stack(u32 site)
{
	const struct site_record *record = bpf_map_lookup_elem(&sites, &site);

	return site && record ? record->stack : 0;
}

/* mmap and mremap: rare, so user space keeps their ranges; here they only get in order. */
static inline void map__return(struct thread *thread, struct book *book, u64 address)
{
	struct event event = {
		.type = thread->kind == ENTRY_MMAP ? EVENT_MAP : EVENT_REMAP,
		.book = thread->book,
		.tgid = book->tgid,
		.stack = site__stack(thread->site),
		.address = address,
		.length = thread->size,
		.other_address = thread->pointer,
		.other_length = thread->length,
		.protection = thread->protection,
		.flags = thread->flags,
	};

	if (address >= -4095UL) {
		__sync_fetch_and_add(&book->failed_count, 1);
		return;
	}
	book->mapped = 1;
	event.heap_peak = __sync_lock_test_and_set(&book->mmap_peak, book->heap.live_bytes);
	event__send(&event);
}

/* The call whose return address was in `slot` is over. */
static __noinline int call__return(struct pt_regs *regs, u64 slot)
{
	u64 result = regs->ax;
	struct thread *thread;
	struct book *book;
	u32 kind;

	thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
	if (!thread || !thread->kind || thread->slot != slot)
		return 0;
	kind = thread->kind;
	book = book__get(thread->book);
	if (!book)
		return 0;
	switch (kind) {
	case ENTRY_REALLOC:
	case ENTRY_REALLOCARRAY:
		realloc__return(thread, book, result);
		break;
	case ENTRY_MMAP:
	case ENTRY_MREMAP:
		map__return(thread, book, result);
		break;
	case ENTRY_POSIX_MEMALIGN:
		if ((u32)result || !user__read(thread->pointer, &result))
			result = 0;
		malloc__return(thread, book, result);
		break;
	default:
		malloc__return(thread, book, result);
	}
	thread->kind = ENTRY_NONE;
	return 0;
}

/*
 * 6.13+: one program for both ends; what it returns at the entry arms the return probe (0) or not.
 * It is at no entry whose return must not be touched: attach.c.
 */
SEC("uprobe")
int heap__session(struct pt_regs *regs)
{
	if (bpf_get_func_ip(regs) != regs->ip)
		return call__return(regs, regs->sp - 8);
	return !call__enter(regs, bpf_get_attach_cookie(regs));
}

SEC("uprobe")
int heap__enter(struct pt_regs *regs)
{
	u64 cookie = bpf_get_attach_cookie(regs);

	if (cookie & COOKIE_EXIT)
		call__return(regs, regs->sp);
	else
		call__enter(regs, cookie);
	return 0;
}

SEC("uprobe")
int heap__release(struct pt_regs *regs)
{
	release__enter(regs, bpf_get_attach_cookie(regs));
	return 0;
}

SEC("uretprobe")
int heap__return(struct pt_regs *regs)
{
	return call__return(regs, regs->sp - 8);
}

/* The loader is about to change the mappings, or has (_dl_debug_state). */
SEC("uprobe")
int loader__change(struct pt_regs *regs)
{
	struct book *book;
	u32 id = book__current();

	book = book__get(id);
	if (!id || !book)
		return 0;
	book__change_anywhere(book);
	book->asked = 0;
	book__ask_mappings(id, book);
	return 0;
}

/*
 * (task, old_pid, bprm). A thread that calls exec becomes the leader, with the leader's id: when it
 * had another one before, it was not.
 */
SEC("raw_tp/sched_process_exec")
int process__exec(struct bpf_raw_tracepoint_args *context)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 tgid = process__current(), id;
	struct thread *thread;

	if ((int)context->args[1] != BPF_CORE_READ(task, pid))
		leader__gone(tgid, 0);
	id = book__replace(tgid);
	thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
	if (!thread)
		return 0;
	if (!id) {
		bpf_task_storage_delete(&threads, bpf_get_current_task_btf());
		return 0;
	}
	thread->kind = ENTRY_NONE;
	thread->book = id;
	return 0;
}

SEC("raw_tp/sched_process_exit")
int process__exit(void *context)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (BPF_CORE_READ(task, signal, live.counter) == 0)
		book__close(process__current());
	else if (leader__ends_alone(task))
		leader__gone(process__current(), 1);
	return 0;
}

/*
 * For the trials of trial.c, and as the trap floor that the bench compares with: what a link of
 * some kind sees, and nothing else.
 */
static inline int trial__count(void)
{
	u32 key = 0;
	u64 *count = bpf_map_lookup_elem(&trials, &key);

	if (count)
		(*count)++; /* trials have one thread; the bench does not look */
	return 0;
}

SEC("uprobe")
int trial__enter(void *regs)
{
	return trial__count();
}

SEC("uretprobe")
int trial__return(void *regs)
{
	return trial__count();
}

SEC("uprobe")
int trial__session(void *regs)
{
	return trial__count();
}
