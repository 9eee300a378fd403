/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_MEMO_BPF_H
#define MEMWATCH_MEMO_BPF_H
/*
 * A memo is what a walk read, and where it ended: it proves that another walk would end there, too,
 * for much less than that walk would take.
 */
#include "account.bpf.h"
#include "python.bpf.h"

enum {
	MEMO_FIRST = 128, /* words that are read when nothing tells how many will be needed */
	MEMO_SLACK = 64, /* words: saved frame pointers are noted late, when they are used */
	MEMO_DEPTH = 6,  /* memos that are looked at for one call */
	MEMO_WORDS = 58, /* that a memo has without more */
	/* what a memo is compared by, in this order: words, rbp, states and frames of CPython */
	MEMO_RBP = WALK_WORDS,
	MEMO_STATES,
	MEMO_FRAMES = MEMO_STATES + PYTHON_STATES,
};

/*
 * Valid only while `sequence` is even and stays the same. The upper 16 bits of a word say where it
 * was read: so many words above the slot.
 */
struct memo {
	u64 sequence;
	u64 slot, rbp;
	u32 book, generation;
	u32 site;
	u16 word_count, last; /* last: where the farthest word is */
	u8 state;
	bool uses_rbp, has_more;
	u64 words[MEMO_WORDS];
};
_Static_assert(sizeof(struct memo) == 512, "there are many");

/* What few need. It belongs to the memo of that index for as long as that has this sequence. */
struct memo_more {
	u64 sequence;
	u64 owner_sequence;
	u32 owner; /* its index */
	u32 python_states, python_count;
	bool python_own;
	u64 pythons_low; /* struct walk's */
	u64 words[WALK_WORDS - MEMO_WORDS];
	struct python_state states[PYTHON_STATES];
	struct python_proof pythons[PYTHON_FRAMES];
};

struct scratch { /* of one thread: a probe program can be preempted, so none of it is per CPU */
	u64 upper, callee; /* see stack__leads_to */
	u64 ahead; /* words of stack that the memo before took; see stack__look */
	union {
		struct { /* to check memos; then there is no walk yet */
			u64 window[MEMO_WINDOW / 8];
			u64 words; /* of the stack that the window has */
			u64 slot, rbp;
			u32 book, generation;
			u32 index;    /* of the memo that is looked at */
			u32 first;    /* where the window begins, in words above the slot */
			u32 position; /* see memo__differs */
			u64 differs;
			u64 size; /* of CPython's frames that the window has then */
			struct python_room room;
		};
		struct walk walk;
	};
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct memo);
} memos SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct memo_more);
} memos_more SEC(".maps");

static inline struct memo_more *memo__more(u32 owner)
{
	u32 index = owner & more_mask;

	return bpf_map_lookup_elem(&memos_more, &index);
}

/*
 * Reads the stack from `slot` on, as far as the memo before had to: that is mostly what the next
 * one needs, and it is the number of reads that costs. How many words there are.
 */
static inline u64 stack__look(struct scratch *scratch, u64 slot)
{
	u64 words = scratch->ahead ?: MEMO_FIRST;

	if (words > MEMO_WINDOW / 8)
		words = MEMO_WINDOW / 8;
	if (!bpf_probe_read_user(scratch->window, words * 8, (const void *)slot))
		return words;
	return user__read(slot, scratch->window); /* the stack may end before */
}

struct memo_check { /* for bpf_loop; pointers cannot be kept in scratch */
	const struct memo *memo;
	const struct memo_more *more; /* or NULL */
	struct scratch *scratch;
};

/* Reads the stack from scratch->first to the memo's last word, or what the window holds of it. */
static inline bool memo__look(const struct memo *memo, struct scratch *scratch)
{
	u32 bytes = (memo->last - scratch->first + 1) * 8;

	if (bytes > MEMO_WINDOW)
		bytes = MEMO_WINDOW;
	return !bpf_probe_read_user(scratch->window, bytes,
				    (const void *)(scratch->slot + scratch->first * 8ULL));
}

static inline bool window__has(const struct scratch *scratch, u64 word)
{
	u64 place = word >> 48;

	return place < MEMO_WINDOW / 8 && scratch->window[place] == FRAME_ADDRESS(word);
}

/* How many words are the same, from the first on, in the first window: nearly always it has all. */
__noinline u32 memo__compare(const struct memo *memo, const struct scratch *scratch)
{
	u32 i;

	if (!memo || !scratch)
		return 0;
	for (i = 0; i < MEMO_WORDS; i++)
		if (i >= memo->word_count || !window__has(scratch, memo->words[i]))
			break;
	return i;
}

/* The same for those `count` that the memo has elsewhere. */
__noinline u32 more__compare(const struct memo_more *more, const struct scratch *scratch, u32 count)
{
	u32 i;

	if (!more || !scratch)
		return 0;
	for (i = 0; i < WALK_WORDS - MEMO_WORDS; i++)
		if (i >= count || !window__has(scratch, more->words[i]))
			break;
	return i;
}

/* The next word, and the window moved to it when it must be. Ends the loop when it differs. */
static long memo__compare_far(u32 unused, struct memo_check *check)
{
	struct scratch *scratch = check->scratch;
	u32 n = scratch->position;
	u64 place, word;

	if (n >= check->memo->word_count)
		return 1;
	if (n < MEMO_WORDS)
		word = check->memo->words[n];
	else if (n < WALK_WORDS && check->more)
		word = check->more->words[n - MEMO_WORDS];
	else
		return 1;
	place = word >> 48;
	if (place - scratch->first >= MEMO_WINDOW / 8) {
		scratch->first = place > MEMO_SLACK ? place - MEMO_SLACK : 0;
		if (!memo__look(check->memo, scratch))
			return 1;
	}
	place -= scratch->first;
	/* One register for check and use: 6.1 does not link 32-bit copies. */
	asm volatile("" : "+r"(place));
	if (place >= MEMO_WINDOW / 8)
		return 1;
	scratch->differs = scratch->window[place];
	if (scratch->differs != FRAME_ADDRESS(word))
		return 1;
	scratch->position = n + 1;
	return 0;
}

/*
 * Many stacks have one slot and pc: all that come through one `operator new`, say. Their memos are
 * a tree. Where the stack differs from one, what it has there leads to the next, which is further
 * on the same way or of no use.
 */
static inline bool memo__differs(struct scratch *scratch, u32 position, u64 has)
{
	scratch->position = position;
	scratch->differs = has;
	return false;
}

/* The thread states run where they ran: what was known of them is the same. */
static __noinline bool more__same_states(const struct memo_more *more, struct scratch *scratch)
{
	u32 id = scratch->book;
	const struct python_record *python = bpf_map_lookup_elem(&pythons, &id);
	u64 own = 0;

	if (!python)
		return false;
	if (more->python_own)
		own = python__own_state(python);
	if (own && own != more->states[0].address)
		return memo__differs(scratch, MEMO_STATES, own);
	for (u32 i = 0; i < PYTHON_STATES; i++) {
		const struct python_state *old = &more->states[i];
		struct python_state state;

		if (i >= more->python_states)
			break;
		if (!python__look(python, old->address, &state))
			return false;
		if (state.cframe != old->cframe || state.youngest != old->youngest)
			return memo__differs(scratch, MEMO_STATES + i, state.youngest);
	}
	return own || !more->python_own;
}

/*
 * From 3.11 on the frames of a thread lie one behind the other, but for generators': one read takes
 * as many as the window has room for. How many bytes.
 */
static __noinline u64 more__look(const struct memo_more *more, struct scratch *scratch,
				 const struct python_record *python)
{
	u64 low = more->pythons_low, size = more->pythons[0].frame - low;

	if (!more->python_count || !size || python->layout == PYTHON_FRAME_OBJECTS)
		return 0;
	scratch->words = 0; /* of the stack, there are none any more */
	size += python->frame_size & PYTHON_FIELD;
	asm volatile("" : "+r"(size)); /* one register for check and use */
	if (size > MEMO_WINDOW || bpf_probe_read_user(scratch->window, size, (const void *)low))
		return 0;
	return size;
}

/* Python's frames lie on the heap: they are read again. */
static __noinline bool more__same_frames(const struct memo_more *more, struct scratch *scratch)
{
	u32 id = scratch->book;
	const struct python_record *python = bpf_map_lookup_elem(&pythons, &id);

	if (!python)
		return false;
	scratch->room.marked = 0;
	scratch->size = more__look(more, scratch, python);
	for (u32 i = 0; i < PYTHON_FRAMES; i++) {
		const struct python_bytes *bytes = NULL;
		struct python_frame frame = {};
		u64 address, place;

		if (i >= more->python_count)
			break;
		address = more->pythons[i].frame;
		place = address - more->pythons_low;
		if (place < scratch->size && place <= MEMO_WINDOW - sizeof(*bytes)) {
			asm volatile("" : "+r"(place)); /* not added before it is checked */
			bytes = (const void *)scratch->window + place;
		}
		if (!python__read(python, address, bytes, &scratch->room, &frame))
			return false;
		if (python__contents(&frame) != more->pythons[i].contents)
			return memo__differs(scratch, MEMO_FRAMES + i,
					     frame.instruction ^ frame.identity);
	}
	return true;
}

/*
 * True when `memo` proves that a walk from here would end at memo->site. All that the walk read of
 * the stack and of CPython is compared, a frame of CPython by a hash of 64 bits. So nothing is
 * taken on trust but the tables, for which the generation stands, and that code without a file
 * stays what it is.
 */
static inline bool memo__holds(const struct memo *memo, const struct memo_more *more,
			       struct scratch *scratch)
{
	struct memo_check check = { .memo = memo, .more = more, .scratch = scratch };
	u32 same;

	scratch->first = 0;
	scratch->ahead = memo->last + 1;
	if (memo->last >= scratch->words && scratch->words < MEMO_WINDOW / 8) {
		if (!memo__look(memo, scratch))
			return false;
		scratch->words = scratch->ahead;
	}
	same = memo__compare(memo, scratch);
	if (same == MEMO_WORDS && more)
		same += more__compare(more, scratch, memo->word_count - MEMO_WORDS);
	scratch->position = same;
	if (scratch->position < memo->word_count)
		bpf_loop(WALK_WORDS, memo__compare_far, &check, 0);
	if (scratch->position != memo->word_count)
		return false;
	if (memo->uses_rbp && memo->rbp != scratch->rbp)
		return memo__differs(scratch, MEMO_RBP, scratch->rbp);
	return !more || !more->python_states ||
	       (more__same_states(more, scratch) && more__same_frames(more, scratch));
}

static inline void book__count_state(struct book *book, u32 state)
{
	if (state == STACK_STATE_TRUNCATED)
		__sync_fetch_and_add(&book->truncated_stacks, 1);
	else if (state == STACK_STATE_BROKEN)
		__sync_fetch_and_add(&book->broken_stacks, 1);
}

/* Makes the sequence odd, when it is even: nobody else writes then. */
static inline bool sequence__begin(u64 *at, u64 *sequence)
{
	*sequence = *(volatile u64 *)at;
	return !(*sequence & 1) &&
	       __sync_val_compare_and_swap(at, *sequence, *sequence + 1) == *sequence;
}

static inline bool more__write(u32 owner, u64 owner_sequence, const struct walk *walk)
{
	struct memo_more *more = memo__more(owner);
	u64 sequence;

	if (!more || !sequence__begin(&more->sequence, &sequence))
		return false;
	more->owner = owner;
	more->owner_sequence = owner_sequence;
	more->python_own = walk->python_own;
	more->python_states = walk->python_states;
	more->python_count = walk->python_count;
	/* A helper copies what clang will not inline. */
	if (walk->python_states)
		bpf_probe_read_kernel(more->states, sizeof(more->states), walk->states);
	more->pythons_low = walk->pythons_low;
	if (walk->python_count)
		bpf_probe_read_kernel(more->pythons, sizeof(more->pythons), walk->pythons);
	if (walk->word_count > MEMO_WORDS)
		bpf_probe_read_kernel(more->words, sizeof(more->words), walk->words + MEMO_WORDS);
	__sync_fetch_and_add(&more->sequence, 1);
	return true;
}

static inline void memo__write(struct memo *memo, u32 index, const struct walk *walk,
			       u32 generation, u64 rbp, u32 site)
{
	u64 sequence;

	if (walk->word_count > WALK_WORDS || !sequence__begin(&memo->sequence, &sequence))
		return;
	memo->has_more = walk->word_count > MEMO_WORDS || walk->python_states;
	memo->slot = walk->slot;
	if (memo->has_more && !more__write(index, sequence + 2, walk))
		memo->slot = 0; /* nobody's */
	memo->rbp = rbp;
	memo->uses_rbp = walk->uses_rbp;
	memo->site = site;
	memo->book = walk->book;
	memo->generation = generation;
	memo->word_count = walk->word_count;
	memo->last = walk->last_place;
	memo->state = walk->record.state;
	bpf_probe_read_kernel(memo->words, sizeof(memo->words), walk->words);
	__sync_fetch_and_add(&memo->sequence, 1);
}

/* The site of the memo of that index, if it holds for this call; else 0. */
__noinline u32 memo__site(struct memo *memo, struct scratch *scratch, struct book *book)
{
	struct memo_more *more = NULL;
	u64 sequence, more_sequence = 0;
	u32 site, state;
	bool holds;

	if (!memo || !scratch || !book)
		return 0;
	sequence = *(volatile u64 *)&memo->sequence;
	site = *(volatile u32 *)&memo->site;
	state = *(volatile u8 *)&memo->state;
	memo__differs(scratch, 0, 0);
	if (sequence & 1 || memo->slot != scratch->slot || memo->book != scratch->book ||
	    memo->generation != scratch->generation)
		return 0;
	if (memo->has_more) {
		more = memo__more(scratch->index);
		if (!more)
			return 0;
		more_sequence = *(volatile u64 *)&more->sequence;
		if (more_sequence & 1 || more->owner != scratch->index ||
		    more->owner_sequence != sequence)
			return 0;
	}
	holds = memo__holds(memo, more, scratch);
	if (*(volatile u64 *)&memo->sequence != sequence ||
	    (more && *(volatile u64 *)&more->sequence != more_sequence)) {
		memo__differs(scratch, 0, 0); /* nor is the window what it seems */
		return 0;
	}
	if (!holds)
		return 0;
	book__count_state(book, state);
	return site;
}

#endif
