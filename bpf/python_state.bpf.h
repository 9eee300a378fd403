/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PYTHON_STATE_BPF_H
#define MEMWATCH_PYTHON_STATE_BPF_H
/*
 * Whose Python frames ran in this call of the evaluator? A thread has a thread state for every
 * interpreter that it was in, and what CPython keeps as the thread's own is, to 3.11, the first of
 * them. So a state is taken when its anchor (enum python_anchor) lies in the call's frame of the C
 * stack. A call that is no state's leaves the stack broken.
 */
#include "unwind.bpf.h"

enum {
	TSTATE_NEXT = 8, /* PyThreadState: prev, next, interp in every version */
	SEARCH_STEPS = 4096, /* states, and with PYTHON_ANCHOR_SHIM their frames */
	ANCHOR_OWN = 1, /* an anchor that was not looked for: there is no other interpreter */
};

/* The thread state that CPython keeps for this thread; 0: none. */
__noinline u64 python__own_state(const struct python_record *python)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u64 state, fsbase = BPF_CORE_READ(task, thread.fsbase);
	s32 key;

	if (!python || bpf_probe_read_user(&key, sizeof(key), (const void *)python->tss_key) ||
	    key < 0 || key >= 32) /* PTHREAD_KEY_2NDLEVEL_SIZE: further keys lie elsewhere */
		return 0;
	return user__read(fsbase + python->tss_data + key * 16, &state) ? state : 0;
}

/* A memo is checked by this, and reads of user memory are the cost: no more than needed. */
static inline bool python__look(const struct python_record *python, u64 address,
				struct python_state *state)
{
	bool one = python->cframe_frame == 0xffff, ok;

	state->address = address;
	if (one)
		ok = !bpf_probe_read_user(&state->youngest,
					  sizeof(*state) - offsetof(struct python_state, youngest),
					  (const void *)(address + python->tstate_frame));
	else
		ok = user__read(address + python->tstate_cframe, &state->cframe) &&
		     user__read(state->cframe + python->cframe_frame, &state->youngest);
	if (python->anchor != PYTHON_ANCHOR_CFRAME)
		state->cframe = 0;
	return ok;
}

static inline bool python__is_alone(const struct python_record *python)
{
	u64 interpreter, next;

	return user__read(python->interpreters, &interpreter) &&
	       user__read(interpreter + python->interpreter_next, &next) && !next;
}

struct walk_context { /* bpf_loop's context must be on the BPF stack */
	struct walk *walk;
	const struct python_record *python; /* NULL: the process has no interpreter */
};

/* One frame further; true at a shim frame, and with search->frame 0 at the end. */
static inline bool search__frame(struct python_search *search, const struct python_record *python)
{
	u8 marker = 0;

	if (!search->frame ||
	    bpf_probe_read_user(&marker, 1, (const void *)(search->frame + python->frame_marker)))
		search->frame = 0;
	else if (marker >= python->marker_value)
		return true;
	else if (!user__read(search->frame + python->frame_back, &search->frame))
		search->frame = 0;
	return !search->frame;
}

static long walk__to_shim(u32 unused, struct walk_context *context)
{
	return search__frame(&context->walk->search, context->python);
}

/* The frames of one call of the evaluator are behind it. A shim is looked for when it is needed. */
static inline void list__leave_call(struct python_list *list, const struct python_record *python)
{
	if (list->anchor == ANCHOR_OWN)
		return;
	if (python->anchor != PYTHON_ANCHOR_CFRAME ||
	    !user__read(list->anchor + python->cframe_previous, &list->anchor))
		list->anchor = 0;
}

static inline struct python_list *walk__list(struct walk *walk)
{
	u64 n = walk->python_list;

	asm volatile("" : "+r"(n)); /* one register for check and use: see memo__compare_far */
	if (n >= PYTHON_STATES)
		return NULL;
	asm volatile("" : "+r"(n));
	return &walk->lists[n];
}

/*
 * The shim frame that ends the list's next frames. Not looked for further than a stack goes.
 */
static inline void walk__find_shim(struct walk *walk, const struct python_record *python)
{
	struct walk_context context = { walk, python };
	struct python_list *list = walk__list(walk);

	if (!list || !list->frame || list->anchor || !walk->python_states)
		return;
	walk->search.frame = list->frame;
	if (bpf_loop(max_frames, walk__to_shim, &context, 0) == max_frames)
		list->anchor = ANCHOR_OWN; /* the stack will be a truncated one */
	else
		list->anchor = walk->search.frame;
}

static inline bool walk__runs_here(const struct walk *walk, u64 anchor)
{
	return anchor >= walk->python_low && anchor < walk->python_high;
}

/* The state that walk->search came upon. */
static inline void walk__add_state(struct walk *walk, u64 anchor)
{
	u64 n = walk->python_states;

	asm volatile("" : "+r"(n));
	if (n >= PYTHON_STATES) {
		walk->word_count = WALK_WORDS + 1;
		return;
	}
	asm volatile("" : "+r"(n));
	walk->states[n] = walk->search.state;
	walk->lists[n].frame = walk->search.state.youngest;
	walk->lists[n].anchor = anchor;
	walk->python_states = n + 1;
}

/*
 * Without an anchor the thread's own state is the right one when it holds the interpreters' lock,
 * or when there is but one interpreter. That all calls of the evaluator were its own shows in the
 * end: its list is as long as they are many.
 */
static inline bool python__is_running(const struct python_record *python, u64 address)
{
	u64 holder;

	return python__is_alone(python) ||
	       (user__read(python->holder, &holder) && holder == address);
}

/* The first call of the evaluator in this stack: begins with the thread's own state. */
__noinline int walk__begin_python(struct walk *walk, const struct python_record *python)
{
	u64 address, anchor;

	if (!walk || !python)
		return 0;
	address = python__own_state(python);
	if (!address || !python__look(python, address, &walk->search.state))
		return 0;
	anchor = python->anchor == PYTHON_ANCHOR_CFRAME ? walk->search.state.cframe : ANCHOR_OWN;
	if (python->anchor == PYTHON_ANCHOR_NONE && !python__is_running(python, address)) {
		walk->word_count = WALK_WORDS + 1;
		return 0;
	}
	if (python->anchor == PYTHON_ANCHOR_SHIM && !python__is_alone(python))
		anchor = 0;
	walk__add_state(walk, anchor);
	walk->python_own = true;
	return 0;
}

/* Goes on with the list of a known state, if one runs here. */
static inline bool walk__resume_list(struct walk *walk)
{
	for (u32 i = 0; i < PYTHON_STATES; i++) {
		const struct python_list *list = &walk->lists[i];

		if (i >= walk->python_states)
			break;
		if (!list->frame ||
		    (list->anchor != ANCHOR_OWN && !walk__runs_here(walk, list->anchor)))
			continue;
		walk->python_list = i;
		walk->in_python = true;
		return true;
	}
	return false;
}

static inline long search__interpreter(struct python_search *search,
				       const struct python_record *python)
{
	u64 interpreter = search->interpreter;

	search->complete = !interpreter;
	return !interpreter ||
	       !user__read(interpreter + python->interpreter_threads, &search->next) ||
	       !user__read(interpreter + python->interpreter_next, &search->interpreter);
}

/* Ends the loop when the state's youngest frames run here: it is added. */
static inline long walk__try_anchor(struct walk *walk, u64 anchor)
{
	if (!walk__runs_here(walk, anchor))
		return 0;
	walk__add_state(walk, anchor);
	return 1;
}

static long walk__try_state(u32 unused, struct walk_context *context)
{
	const struct python_record *python = context->python;
	struct walk *walk = context->walk;
	struct python_search *search = &walk->search;
	u64 shim;

	if (search->frame) {
		if (!search__frame(search, python))
			return 0;
		shim = search->frame;
		search->frame = 0;
		return walk__try_anchor(walk, shim);
	}
	if (!search->next)
		return search__interpreter(search, python);
	if (!python__look(python, search->next, &search->state) ||
	    !user__read(search->next + TSTATE_NEXT, &search->next))
		return 1;
	if (python->anchor == PYTHON_ANCHOR_CFRAME)
		return walk__try_anchor(walk, search->state.cframe);
	search->frame = search->state.youngest;
	return 0;
}

/*
 * Looks at every thread state of every interpreter, which may be made and ended meanwhile: the
 * anchor proves what was found, and no memo is kept of a search that did not see them all.
 */
__noinline int walk__search_state(struct walk *walk, const struct python_record *python)
{
	struct walk_context context = { walk, python };
	u32 known;

	if (!walk || !python || python->anchor == PYTHON_ANCHOR_NONE)
		return 0;
	known = walk->python_states;
	walk->search.next = walk->search.frame = 0;
	walk->search.complete = false;
	if (user__read(python->interpreters, &walk->search.interpreter))
		bpf_loop(SEARCH_STEPS, walk__try_state, &context, 0);
	if (!walk->search.complete && walk->python_states == known)
		walk->word_count = WALK_WORDS + 1;
	return 0;
}

/* A native frame of the evaluator was met, [low, high) of the C stack. */
__noinline int python__enter(struct walk *walk, const struct python_record *python, u64 low,
			     u64 high)
{
	if (!walk || !python)
		return 0;
	walk->python_low = low;
	walk->python_high = high;
	if (!walk->python_begun) {
		walk->python_begun = true;
		walk__begin_python(walk, python);
	}
	if (python->anchor == PYTHON_ANCHOR_SHIM)
		walk__find_shim(walk, python);
	if (walk__resume_list(walk))
		return 0;
	walk__search_state(walk, python);
	if (!walk__resume_list(walk))
		walk->no_python = true;
	return 0;
}

#endif
