/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_STACK_BPF_H
#define MEMWATCH_STACK_BPF_H
/*
 * Which site is this? A memo vouches for it, or the stack is walked and interned. `stacks` holds
 * the normalised frames by their id, a site is one such stack in one book.
 */
#include "account.bpf.h"
#include "python.bpf.h"

enum {
	MEMO_WINDOW =
		7168, /* bytes of stack read at once: as many as the walk, if there is one, needs */
	MEMO_FIRST = 128, /* words that are read when nothing tells how many will be needed */
	MEMO_SLACK = 64, /* words: saved frame pointers are noted late, when they are used */
};

/* What a walk read, and where it ended. Valid only while `sequence` is even and stays the same. */
struct memo {
	u64 sequence;
	u64 slot, rbp;
	u32 book, generation;
	u32 site;
	u32 word_count;
	u16 state, last; /* last: the greatest of places */
	bool uses_rbp, python_own;
	u16 places[WALK_WORDS];
	u64 words[WALK_WORDS];
	struct python_state states[PYTHON_STATES];
	u32 python_states, python_count;
	struct python_frame pythons[PYTHON_FRAMES];
};

struct scratch { /* of one thread: a probe program can be preempted, so none of it is per CPU */
	u64 upper; /* see stack__leads_to */
	u64 ahead; /* words of stack that the memo before took; see stack__look */
	union {
		u64 window[MEMO_WINDOW / 8]; /* to check a memo; then there is no walk yet */
		struct walk walk;
	};
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct memo);
} memos SEC(".maps");

static inline struct memo *memo__of(u32 book, u64 slot, u64 pc)
{
	u32 index = mix(mix(slot, pc), book) >> 16 & memo_mask;

	return bpf_map_lookup_elem(&memos, &index);
}

/*
 * Reads the stack from `slot` on, as far as the memo before had to: that is mostly what the next
 * one needs, and a read more (130 ns) costs what 7 KB more do. How many words there are.
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

struct memo_check {
	const struct memo *memo;
	u64 *window;
	u64 slot;
	u32 first; /* place where the window begins */
	u32 next;  /* word to compare */
	u32 count;
};

/* Reads the part of the stack that begins at place check->first. */
static inline bool memo__look(struct memo_check *check)
{
	u32 bytes = (check->memo->last - check->first + 1) * 8;

	if (bytes > MEMO_WINDOW)
		bytes = MEMO_WINDOW;
	return !bpf_probe_read_user(check->window, bytes,
				    (const void *)(check->slot + check->first * 8ULL));
}

/* How many words are the same, from the first on, in the first window: nearly always it has all. */
__noinline u32 memo__compare(const struct memo *memo, const struct scratch *scratch)
{
	u32 i;

	if (!memo || !scratch)
		return 0;
	for (i = 0; i < WALK_WORDS; i++) {
		u32 place = memo->places[i];

		if (i >= memo->word_count || place >= MEMO_WINDOW / 8 ||
		    scratch->window[place] != memo->words[i])
			break;
	}
	return i;
}

/*
 * One word further up, and the window moved to it when it must be. Ends the loop when it
 * differs.
 */
static long memo__compare_far(u32 unused, struct memo_check *check)
{
	u32 n = check->next;
	u64 place;

	if (n >= WALK_WORDS || n >= check->count)
		return 1;
	place = check->memo->places[n];
	if (place - check->first >= MEMO_WINDOW / 8) {
		check->first = place > MEMO_SLACK ? place - MEMO_SLACK : 0;
		if (!memo__look(check))
			return 1;
	}
	place -= check->first;
	/* One register for check and use: 6.1 does not link 32-bit copies. */
	asm volatile("" : "+r"(place));
	if (place >= MEMO_WINDOW / 8 || check->window[place] != check->memo->words[n])
		return 1;
	check->next = n + 1;
	return 0;
}

/* The thread states run where they ran: what was known of them is the same. */
static inline bool memo__same_states(const struct memo *memo, const struct python_record *python)
{
	if (memo->python_own && python__own_state(python) != memo->states[0].address)
		return false;
	for (u32 i = 0; i < PYTHON_STATES; i++) {
		const struct python_state *old = &memo->states[i];
		struct python_state state;

		if (i >= memo->python_states)
			break;
		if (!python__look(python, old->address, &state) || state.cframe != old->cframe ||
		    state.youngest != old->youngest)
			return false;
	}
	return true;
}

/* Python's frames lie on the heap: they are read again, into what was the window. */
static __noinline bool memo__same_python(const struct memo *memo, struct scratch *scratch, u32 id)
{
	struct python_room *room = (struct python_room *)scratch->window;
	const struct python_record *python = bpf_map_lookup_elem(&pythons, &id);

	if (!python || !memo__same_states(memo, python))
		return false;
	room->marked = 0;
	for (u32 i = 0; i < PYTHON_FRAMES; i++) {
		const struct python_frame *old = &memo->pythons[i];
		struct python_frame frame = {};

		if (i >= memo->python_count)
			break;
		if (!python__read(python, old->frame, room, &frame) || frame.back != old->back ||
		    frame.code != old->code || frame.instruction != old->instruction ||
		    frame.identity != old->identity || frame.marker != old->marker)
			return false;
	}
	return true;
}

/*
 * True when `memo` proves that a walk from here would end at memo->site. All that the walk read is
 * compared, so nothing is taken on trust but the tables, for which the generation stands. `words`
 * of the stack are in the window already.
 */
static inline bool memo__holds(const struct memo *memo, struct scratch *scratch, u64 words, u32 id,
			       u32 generation, u64 slot, u64 rbp)
{
	struct memo_check check = { .memo = memo, .window = scratch->window, .slot = slot };

	if (memo->slot != slot || memo->book != id || memo->generation != generation ||
	    (memo->uses_rbp && memo->rbp != rbp))
		return false;
	check.count = memo->word_count;
	scratch->ahead = memo->last + 1;
	if (memo->last >= words && words < MEMO_WINDOW / 8 && !memo__look(&check))
		return false;
	check.next = memo__compare(memo, scratch);
	if (check.next < check.count)
		bpf_loop(check.count - check.next, memo__compare_far, &check, 0);
	if (check.next != check.count)
		return false;
	return !memo->python_states || memo__same_python(memo, scratch, id);
}

static inline void memo__write(struct memo *memo, const struct walk *walk, u32 generation, u64 rbp,
			       u32 site)
{
	u64 sequence = *(volatile u64 *)&memo->sequence;

	if (walk->word_count > WALK_WORDS || sequence & 1 ||
	    __sync_val_compare_and_swap(&memo->sequence, sequence, sequence + 1) != sequence)
		return;
	memo->slot = walk->slot;
	memo->rbp = rbp;
	memo->uses_rbp = walk->uses_rbp;
	memo->site = site;
	memo->book = walk->book;
	memo->generation = generation;
	memo->word_count = walk->word_count;
	memo->last = walk->last_place;
	memo->state = walk->record.state;
	memo->python_own = walk->python_own;
	memo->python_states = walk->python_states;
	memo->python_count = walk->python_count;
	/* A helper copies what clang will not inline. */
	if (walk->python_states)
		bpf_probe_read_kernel(memo->states, sizeof(memo->states), walk->states);
	if (walk->python_count)
		bpf_probe_read_kernel(memo->pythons, sizeof(memo->pythons), walk->pythons);
	bpf_probe_read_kernel(memo->places, sizeof(memo->places), walk->places);
	bpf_probe_read_kernel(memo->words, sizeof(memo->words), walk->words);
	__sync_fetch_and_add(&memo->sequence, 1);
}

/* Notes the frame at pc and goes to its caller's. */
static long walk__step(u32 unused, struct walk_context *context)
{
	struct walk *walk = context->walk;
	const struct mapping_record *mapping;
	bool evaluator;
	enum step step;
	u64 offset, low;

	if (walk->record.count >= max_frames) {
		walk->record.state = STACK_STATE_TRUNCATED;
		return 1;
	}
	if (walk->in_python) {
		python__step(walk, context->python);
		return 0;
	}
	if (walk->ended)
		return 1;
	mapping = mapping__at(walk, walk->pc - !walk->exact);
	if (!mapping && walk__see_through(walk))
		mapping = mapping__at(walk, walk->pc - 1);
	if (!mapping) {
		walk__push(walk, (u64)FRAME_TAG_ADDRESS << 60 | FRAME_ADDRESS(walk->pc));
		walk->record.book = walk->book;
		return 1; /* broken, as it was when it began */
	}
	offset = walk->pc - mapping->start + mapping->offset;
	if (mapping->object) {
		u64 tag = walk->exact ? FRAME_TAG_EXACT : FRAME_TAG_RETURN;

		walk__push(walk, tag << 60 | (u64)mapping->object << 40 | FRAME_OFFSET(offset));
		evaluator = context->python && python__is_evaluator(context->python, walk->pc - 1);
		if (!context->python && mapping->python)
			walk->no_python = true;
		low = walk->sp;
		step = step__native(walk, mapping->object, offset - !walk->exact);
		if (evaluator)
			python__enter(walk, context->python, low,
				      step == STEP_ON ? walk->sp : ~0ULL);
	} else {
		walk__push(walk, (u64)FRAME_TAG_ADDRESS << 60 | FRAME_ADDRESS(walk->pc));
		walk->record.book = walk->book;
		/* A runtime's code may use rbp for anything (HotSpot): 0 ends no thread. */
		if (!walk->rbp)
			walk->word_count = WALK_WORDS + 1; /* and no memo for such a walk */
		step = walk->rbp ? step__by_pointer(walk) : STEP_BROKEN;
	}
	if (step == STEP_END)
		walk->record.state = STACK_STATE_COMPLETE;
	walk->ended = step != STEP_ON;
	if (walk->ended && !walk->in_python)
		return 1;
	return 0; /* bools in memory may be anything, to the verifier */
}

static inline bool stack__same(const struct stack_record *a, const struct stack_record *b, u32 most)
{
	if (a->count != b->count || a->state != b->state || a->book != b->book)
		return false;
	for (u32 i = 0; i < most; i++) {
		if (i >= a->count)
			break;
		if (a->frames[i] != b->frames[i])
			return false;
	}
	return true;
}

/* The id of the record: its hash, or one of the three after it when that is another stack's. */
static inline u64 stack__intern_in(void *table, u32 most, struct walk *walk, u64 id)
{
	struct stack_record *known;

	for (int i = 0; i < 4; i++, id++) {
		if (!id)
			continue; /* 0 says that there is none */
		known = bpf_map_lookup_elem(table, &id);
		if (!known) {
			if (!bpf_map_update_elem(table, &id, &walk->record, BPF_NOEXIST))
				LOSE(interned);
			known = bpf_map_lookup_elem(table, &id);
		}
		if (!known)
			break;
		if (stack__same(known, &walk->record, most))
			return id;
	}
	LOSE(stacks);
	return 0;
}

static __noinline u64 stack__intern(struct walk *walk)
{
	u64 id;

	if (!walk)
		return 0;
	id = mix(mix(walk->hash, walk->record.state), walk->record.book) & ~(STACK_ID_DEEP | 3);
	if (walk->record.count <= short_frames)
		return stack__intern_in(&stacks, short_frames, walk, id);
	return stack__intern_in(&deep_stacks, max_frames, walk, id | STACK_ID_DEEP);
}

static inline void walk__start(struct walk *walk, u32 id, const struct book *book, u64 slot, u64 pc,
			       u64 rbp)
{
	u64 slice = *(const volatile u64 *)&book->slice;

	walk->pc = pc;
	walk->sp = slot + 8;
	walk->rbp = rbp;
	walk->rbp_slot = walk->near = 0;
	walk->slot = slot;
	walk->hash = 0;
	walk->first_mapping = slice;
	walk->mappings = slice >> 32;
	walk->mapping.start = walk->mapping.end = 0;
	walk->book = id;
	walk->word_count = walk->last_place = 0;
	walk->exact = walk->uses_rbp = walk->no_python = walk->ended = false;
	walk->no_slice = walk->outdated = book__is_changing(book);
	walk->unknown.unknown = 0;
	walk->python_count = walk->python_states = walk->python_list = 0;
	walk->python_room.marked = 0;
	walk->python_begun = walk->python_own = walk->in_python = false;
	walk->record.count = walk->record.book = walk->record.pointers = 0;
	walk->record.state = STACK_STATE_BROKEN;
	walk__note(walk, slot, pc);
}

/*
 * User space is to read the process's mappings again; asked once until it has. Not inline: the
 * event would lie below a whole walk, and 6.1 gives 512 bytes of stack to all frames together.
 */
static __noinline int book__ask_mappings(u32 id, struct book *book)
{
	struct event event = { .type = EVENT_MAPPINGS, .book = id };

	if (!book || __sync_lock_test_and_set(&book->asked, 1))
		return 0;
	event.tgid = book->tgid;
	event__send(&event);
	return 0;
}

/* User space is to say what the file is that the kernel calls so; asked once until it has. */
static __noinline int book__ask_file(u32 id, const struct book *book, const struct walk *walk)
{
	const struct vma_seen *seen = &walk->unknown;
	struct event event = { .type = EVENT_FILE, .book = id };
	struct file_record asked = {};

	if (!book || bpf_map_update_elem(&files, &seen->file, &asked, BPF_NOEXIST))
		return 0;
	event.tgid = book->tgid;
	event.address = seen->mapping.start;
	event.length = seen->mapping.end - seen->mapping.start;
	event.stack = seen->mapping.offset;
	event.other = seen->file.device;
	event.other_address = seen->file.inode;
	event.other_length = seen->unknown;
	event.flags = book->changes;
	if (!event__send(&event))
		bpf_map_delete_elem(&files, &seen->file);
	return 0;
}

static inline void book__count_state(struct book *book, u32 state)
{
	if (state == STACK_STATE_TRUNCATED)
		__sync_fetch_and_add(&book->truncated_stacks, 1);
	else if (state == STACK_STATE_BROKEN)
		__sync_fetch_and_add(&book->broken_stacks, 1);
}

static __noinline u64 stack__walk(struct walk *walk, u32 id, struct book *book)
{
	struct walk_context context = { .walk = walk };

	if (!walk || !book)
		return 0;
	LOSE(walks);
	if (book->python)
		context.python = bpf_map_lookup_elem(&pythons, &id);
	bpf_loop(2 * max_frames, walk__step, &context, 0); /* shim frames are steps too */
	if (walk->no_python)
		walk->record.state = STACK_STATE_BROKEN;
	if (walk->unknown.unknown)
		book__ask_file(id, book, walk);
	if (walk->outdated) {
		walk->word_count = WALK_WORDS + 1;
		book__ask_mappings(id, book);
	}
	return stack__intern(walk);
}

enum reach_answer { REACH_NO, REACH_UNKNOWN, REACH_YES };

struct reach {
	struct walk *walk;
	u64 slot;       /* walk__reach: of the frame that is looked for */
	u32 home;       /* walk__inside: the object that is not to be left */
	u32 object;     /* of the frame that was last */
	enum reach_answer answer;
};

/* One step to the caller. STEP_BROKEN: nothing tells; frame pointers prove nothing (musl). */
static __noinline enum step reach__step(struct reach *reach)
{
	struct walk *walk = reach->walk;
	const struct mapping_record *mapping = mapping__at(walk, walk->pc - !walk->exact);
	enum step step;
	u64 offset;

	if (!mapping)
		return STEP_BROKEN;
	reach->object = mapping->object;
	offset = walk->pc - mapping->start + mapping->offset;
	step = step__native(walk, mapping->object, offset - !walk->exact);
	return walk->record.pointers ? STEP_BROKEN : step;
}

static long walk__reach(u32 unused, struct reach *reach)
{
	enum step step = reach__step(reach);
	u64 slot = reach->walk->sp - 8;

	if (step == STEP_BROKEN)
		reach->answer = REACH_UNKNOWN;
	else
		reach->answer = slot == reach->slot ? REACH_YES : REACH_NO;
	return step != STEP_ON || slot >= reach->slot;
}

/*
 * Whether the call whose return address is in `slot` was made, however indirectly, by the one whose
 * is in scratch->upper (a BPF function has five arguments).
 */
static __noinline enum reach_answer stack__leads_to(struct scratch *scratch, u32 id,
						    struct book *book, u64 slot, u64 rbp)
{
	struct reach reach = { .answer = REACH_UNKNOWN };
	u64 pc;

	if (!book || !scratch || !user__read(slot, &pc))
		return REACH_UNKNOWN;
	reach.slot = scratch->upper;
	reach.walk = &scratch->walk;
	walk__start(&scratch->walk, id, book, slot, pc, rbp);
	bpf_loop(MEMWATCH_MAX_FRAMES, walk__reach, &reach, 0);
	return reach.answer;
}

static long walk__inside(u32 unused, struct reach *reach)
{
	enum step step = reach__step(reach);

	if (step == STEP_END && reach->object == reach->home)
		reach->answer = REACH_YES;
	return step != STEP_ON || reach->object != reach->home;
}

/*
 * Whether the call whose return address is in `slot` was made by nobody but the object in which
 * scratch->upper lies, in a thread that has hardly begun or is about to end.
 */
static __noinline bool stack__stays_inside(struct scratch *scratch, u32 id, struct book *book,
					   u64 slot, u64 rbp)
{
	enum { FEW = 4 };
	struct reach reach = { .answer = REACH_NO };
	const struct mapping_record *mapping;
	u64 pc;

	if (!book || !scratch || !user__read(slot, &pc))
		return false;
	reach.walk = &scratch->walk;
	walk__start(&scratch->walk, id, book, slot, pc, rbp);
	mapping = mapping__at(&scratch->walk, scratch->upper);
	if (!mapping)
		return false;
	reach.home = mapping->object;
	bpf_loop(FEW, walk__inside, &reach, 0);
	return reach.answer == REACH_YES;
}

/* The site of a memo that holds for this call, or 0. */
static inline u32 memo__site(struct memo *memo, struct scratch *scratch, u64 words, u32 id,
			     struct book *book, u64 slot, u64 rbp)
{
	u64 sequence = *(volatile u64 *)&memo->sequence;
	u32 site = memo->site, state = memo->state;

	if (book__is_changing(book) || sequence & 1 ||
	    !memo__holds(memo, scratch, words, id, book->generation, slot, rbp) ||
	    *(volatile u64 *)&memo->sequence != sequence)
		return 0;
	book__count_state(book, state);
	return site;
}

/* The site of the call whose return address is in `slot`; 0 when its stack or site was lost. */
static __noinline u32 stack__capture(struct scratch *scratch, u32 id, struct book *book, u64 slot,
				     u64 rbp)
{
	struct walk *walk;
	struct memo *memo;
	u32 generation, site;
	u64 pc, words;

	if (!scratch || !book)
		return 0;
	words = stack__look(scratch, slot);
	if (!words) {
		LOSE(stacks);
		return 0;
	}
	pc = scratch->window[0];
	memo = memo__of(id, slot, pc);
	site = memo ? memo__site(memo, scratch, words, id, book, slot, rbp) : 0;
	if (site)
		return site;
	generation = book->generation;
	walk = &scratch->walk;
	walk__start(walk, id, book, slot, pc, rbp);
	site = site__of(id, stack__walk(walk, id, book));
	book__count_state(book, walk->record.state);
	if (memo && site)
		memo__write(memo, walk, generation, rbp, site);
	return site;
}

#endif
