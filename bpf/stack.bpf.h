/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_STACK_BPF_H
#define MEMWATCH_STACK_BPF_H
/*
 * Which site is this? A memo vouches for it, or the stack is walked and interned. `stacks` holds
 * the normalised frames by their id, a site is one such stack in one book.
 */
#include "memo.bpf.h"

/* Notes the frame at pc and goes to its caller's. */
static long walk__step(u32 unused, struct walk_context *context)
{
	struct walk *walk = context->walk;
	const struct mapping_record *mapping;
	bool evaluator;
	enum step step;
	u64 offset, low;

	if (walk->frames >= max_frames || walk->record.count >= max_words) {
		walk->record.state = STACK_STATE_TRUNCATED;
		return 1;
	}
	if (walk->in_python) {
		python__step(walk, context->python);
		return 0;
	}
	if (walk->ended)
		return 1;
	walk->frames++;
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
		step = step__by_code(walk);
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
	if (walk->record.count <= MEMWATCH_SHORT_WORDS)
		return stack__intern_in(&stacks, MEMWATCH_SHORT_WORDS, walk, id);
	return stack__intern_in(&deep_stacks, max_words, walk, id | STACK_ID_DEEP);
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
	walk->frames = walk->python_count = walk->python_states = walk->python_list = 0;
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
	u64 callee;     /* the object of its callee has this address; 0: any */
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

/* The mapping is still that of the frame from which the last step was made. */
static inline bool reach__is_callee(const struct reach *reach)
{
	const struct mapping_record *mapping = &reach->walk->mapping;

	return !reach->callee || (reach->callee >= mapping->start && reach->callee < mapping->end);
}

static long walk__reach(u32 unused, struct reach *reach)
{
	enum step step = reach__step(reach);
	u64 slot = reach->walk->sp - 8;

	if (step == STEP_BROKEN)
		reach->answer = REACH_UNKNOWN;
	else if (slot == reach->slot && reach__is_callee(reach))
		reach->answer = REACH_YES;
	else
		reach->answer = REACH_NO;
	return step != STEP_ON || slot >= reach->slot;
}

/*
 * Whether the call whose return address is in `slot` was made, however indirectly, by the one whose
 * is in scratch->upper (a BPF function has five arguments). By now that may be of another call from
 * the same frame: scratch->callee, if not 0, is code of the one that is meant, and tells it from
 * code of other files.
 */
static __noinline enum reach_answer stack__leads_to(struct scratch *scratch, u32 id,
						    struct book *book, u64 slot, u64 rbp)
{
	struct reach reach = { .answer = REACH_UNKNOWN };
	u64 pc;

	if (!book || !scratch || !user__read(slot, &pc))
		return REACH_UNKNOWN;
	reach.slot = scratch->upper;
	reach.callee = scratch->callee;
	reach.walk = &scratch->walk;
	walk__start(&scratch->walk, id, book, slot, pc, rbp);
	bpf_loop(MEMWATCH_MAX_WORDS, walk__reach, &reach, 0);
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

/* The site of the call whose return address is in `slot`; 0 when its stack or site was lost. */
static __noinline u32 stack__capture(struct scratch *scratch, u32 id, struct book *book, u64 slot,
				     u64 rbp)
{
	u32 generation, site, position = 0, index = 0;
	struct memo *memo = NULL;
	struct walk *walk;
	bool changing;
	u64 pc, hash;

	if (!scratch || !book)
		return 0;
	scratch->words = stack__look(scratch, slot);
	if (!scratch->words) {
		LOSE(stacks);
		return 0;
	}
	pc = scratch->window[0];
	changing = book__is_changing(book);
	generation = book->generation; /* in this order: a change that was seen is over in it */
	if (!changing) {
		scratch->slot = slot;
		scratch->rbp = rbp;
		scratch->book = id;
		scratch->generation = generation;
		hash = mix(mix(slot, pc), id);
		for (int i = 0; i < MEMO_DEPTH; i++) {
			index = hash >> 16 & memo_mask;
			memo = bpf_map_lookup_elem(&memos, &index);
			scratch->index = index;
			site = memo__site(memo, scratch, book);
			if (site)
				return site;
			if (scratch->position <= position || scratch->first)
				break; /* or the window was moved */
			position = scratch->position;
			hash = mix(hash ^ position, scratch->differs);
		}
	}
	walk = &scratch->walk;
	walk__start(walk, id, book, slot, pc, rbp);
	site = site__of(id, stack__walk(walk, id, book));
	book__count_state(book, walk->record.state);
	if (memo && site)
		memo__write(memo, index, walk, generation, rbp, site);
	return site;
}

#endif
