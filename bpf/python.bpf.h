/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PYTHON_BPF_H
#define MEMWATCH_PYTHON_BPF_H
/*
 * CPython's frames. They lie on a list of the thread state, youngest first; a native frame of the
 * evaluator says that the next ones of the list were running there. Where everything is, user space
 * has found out (struct python_record).
 */
#include "python_state.bpf.h"

static inline bool python__is_evaluator(const struct python_record *python, u64 pc)
{
	return (pc >= python->evaluator[0][0] && pc < python->evaluator[0][1]) ||
	       (pc >= python->evaluator[1][0] && pc < python->evaluator[1][1]);
}

static inline bool python__read(const struct python_record *python, u64 address,
				struct python_frame *frame)
{
	u64 mask = ~(u64)python->code_pointer_mask;
	s32 lasti;

	frame->frame = address;
	frame->marker = 0;
	frame->first_line = 0;
	if (!user__read(address + python->frame_back, &frame->back) ||
	    !user__read(address + python->frame_code, &frame->code))
		return false;
	frame->code &= mask;
	if (python->layout != PYTHON_FRAME_OBJECTS) {
		u8 marker;

		if (bpf_probe_read_user(&marker, 1, (const void *)(address + python->frame_marker)))
			return false;
		frame->marker = marker;
	}
	if (python->layout == PYTHON_SHIM && frame->marker >= python->marker_value)
		return true; /* nobody's code */
	if (bpf_probe_read_user(&frame->first_line, sizeof(frame->first_line),
				(const void *)(frame->code + python->code_first_line)))
		return false;
	if (python->code_bytecode)
		return user__read(address + python->frame_instruction, &frame->instruction);
	if (bpf_probe_read_user(&lasti, sizeof(lasti),
				(const void *)(address + python->frame_instruction)))
		return false;
	frame->instruction = (u64)(s64)lasti; /* -1 before the first instruction */
	return true;
}

/* The instruction as an offset into the code's bytes. */
static inline u64 python__offset(const struct python_record *python,
				 const struct python_frame *frame)
{
	if (python->code_bytecode)
		return frame->instruction - frame->code - python->code_bytecode;
	return frame->instruction * python->instruction_scale;
}

static inline bool python__is_last(const struct python_record *python,
				   const struct python_frame *frame)
{
	switch (python->layout) {
	case PYTHON_ENTRY_FLAG:
		return frame->marker == python->marker_value;
	case PYTHON_SHIM:
		return frame->marker >= python->marker_value;
	default:
		return true;
	}
}

static inline bool python__is_shim(const struct python_record *python,
				   const struct python_frame *frame)
{
	return python->layout == PYTHON_SHIM && frame->marker >= python->marker_value;
}

static inline void walk__push(struct walk *walk, u64 frame)
{
	u32 n = walk->record.count;

	if (n >= max_frames)
		return;
	walk->record.frames[n] = frame;
	walk->record.count = n + 1;
	walk->hash = mix(walk->hash, frame);
}

static inline void walk__note_python(struct walk *walk, const struct python_frame *frame)
{
	u32 n = walk->python_count;

	if (n >= PYTHON_FRAMES) {
		walk->word_count = WALK_WORDS + 1; /* too deep for a memo */
		return;
	}
	walk->pythons[n] = *frame;
	walk->python_count = n + 1;
}

/* Notes one Python frame. */
__noinline int python__step(struct walk *walk, const struct python_record *python)
{
	struct python_frame frame = {};
	struct python_list *list;

	if (!walk || !python)
		return 0;
	list = walk__list(walk);
	if (!list || !python__read(python, list->frame, &frame)) {
		walk->in_python = false;
		walk->no_python = true;
		walk->word_count = WALK_WORDS + 1;
		return 0;
	}
	walk__note_python(walk, &frame);
	if (python__is_shim(python, &frame)) {
		if (!walk__runs_here(walk, frame.frame))
			walk->no_python = true; /* those that were noted run elsewhere */
	} else {
		if (walk->record.count + 2 > max_frames) { /* no half of one */
			walk->record.state = STACK_STATE_TRUNCATED;
			walk->in_python = false;
			walk->ended = true;
			return 0;
		}
		walk__push(walk, (u64)FRAME_TAG_CODE << 60 | (u64)(frame.first_line & 0xfff) << 48 |
					 FRAME_ADDRESS(frame.code));
		walk__push(walk, (u64)FRAME_TAG_INSTRUCTION << 60 |
					 FRAME_OFFSET(python__offset(python, &frame)));
		walk->record.book = walk->book; /* code objects are one process's */
	}
	list->frame = frame.back;
	walk->in_python = frame.back && !python__is_last(python, &frame);
	if (!walk->in_python)
		list__leave_call(list, python);
	return 0;
}

#endif
