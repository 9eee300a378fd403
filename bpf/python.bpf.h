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

/* A field of what was read. Its place is a register of its own: the verifier must see the mask. */
static inline const void *room__field(const struct python_room *room, u64 place)
{
	place &= PYTHON_FIELD;
	asm volatile("" : "+r"(place));
	return room->bytes + place;
}

static inline u64 room__word(const struct python_room *room, u64 place)
{
	return *(const u64 *)room__field(room, place);
}

static inline u32 room__half(const struct python_room *room, u64 place)
{
	return *(const u32 *)room__field(room, place);
}

/*
 * See python_marks. Of Objects/unicodeobject.h to 3.11: the only versions that need it. Two reads,
 * so it is not done again for the next frame of a stack that is of the same file.
 */
static inline void marks__read_file(struct python_room *room, u64 file)
{
	enum { LENGTH = 16, KIND = 2, KINDS = 7, COMPACT = 1 << 5, ASCII = 1 << 6 };
	struct python_marks *marks = &room->marks;
	u64 length, size;

	room->marked = file;
	marks->file_length = 0;
	__builtin_memset(marks->file_end, 0, sizeof(marks->file_end));
	if (bpf_probe_read_user(&room->file, sizeof(room->file), (const void *)(file + LENGTH)) ||
	    !(room->file.state & COMPACT))
		return;
	size = length = room->file.length * (room->file.state >> KIND & KINDS);
	if (size > sizeof(marks->file_end))
		size = sizeof(marks->file_end);
	file += (room->file.state & ASCII ? 48 : 72) + length - size;
	asm volatile("" : "+r"(size)); /* one register for check and use */
	if (size > sizeof(marks->file_end))
		return;
	if (!bpf_probe_read_user(marks->file_end, size, (const void *)file))
		marks->file_length = length;
}

static inline bool python__identify(const struct python_record *python, struct python_room *room,
				    u64 code, u32 *identity)
{
	u64 size = (python->code_parts & PYTHON_FIELD) + sizeof(room->marks.parts);
	struct python_marks *marks = &room->marks;

	if (bpf_probe_read_user(room->bytes, size, (const void *)code))
		return false;
	__builtin_memcpy(marks->parts, room__field(room, python->code_parts), sizeof(marks->parts));
	__builtin_memcpy(marks->contents, room__field(room, python->code_contents),
			 sizeof(marks->contents));
	marks->first_line = room__half(room, python->code_first_line);
	marks->version = 0;
	if (python->code_version) {
		marks->version = room__half(room, python->code_version);
		marks->file_length = 0;
	} else if (room__word(room, python->code_file) != room->marked) {
		marks__read_file(room, room__word(room, python->code_file));
	}
	*identity = python_identity(marks);
	return true;
}

/*
 * Reads of user memory are most of the cost: one for the frame, unless its bytes are there, and one
 * for its code; to 3.11 two more where its file is not the frame's before.
 */
__noinline bool python__read(const struct python_record *python, u64 address,
			     const struct python_bytes *bytes, struct python_room *room,
			     struct python_frame *frame)
{
	if (!python || !room || !frame)
		return false;
	frame->frame = address;
	frame->marker = frame->identity = 0;
	if (bytes)
		__builtin_memcpy(room->bytes, bytes, sizeof(*bytes));
	else if (bpf_probe_read_user(room->bytes, python->frame_size & PYTHON_FIELD,
				     (const void *)address))
		return false;
	frame->back = room__word(room, python->frame_back);
	frame->code = room__word(room, python->frame_code) & ~(u64)python->code_pointer_mask;
	if (python->layout != PYTHON_FRAME_OBJECTS)
		frame->marker = *(const u8 *)room__field(room, python->frame_marker);
	if (python->layout == PYTHON_SHIM && frame->marker >= python->marker_value)
		return true; /* nobody's code */
	if (python->code_bytecode)
		frame->instruction = room__word(room, python->frame_instruction);
	else /* -1 before the first instruction */
		frame->instruction = (s64)(s32)room__half(room, python->frame_instruction);
	return python__identify(python, room, frame->code, &frame->identity);
}

static inline u64 python__contents(const struct python_frame *frame)
{
	u64 hash = mix(mix(mix(0, frame->back), frame->code), frame->instruction);

	return mix(hash, (u64)frame->marker << 32 | frame->identity);
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

	if (n >= max_words)
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
	walk->pythons[n].frame = frame->frame;
	walk->pythons[n].contents = python__contents(frame);
	if (!n || (frame->frame < walk->pythons_low &&
		   walk->pythons[0].frame - frame->frame < MEMO_WINDOW - PYTHON_FIELD))
		walk->pythons_low = frame->frame;
	walk->python_count = n + 1;
}

/*
 * An object of `head` bytes and `length` units; how many bytes there are in `to` then. Not one more
 * than it has is read: behind it may be no memory.
 */
static inline u32 copy__object(void *to, u64 room, u64 from, u64 head, u64 length, u64 unit)
{
	u64 size = head + length * unit;

	if (length > room || size > room)
		size = room;
	asm volatile("" : "+r"(size)); /* one register for check and use */
	if (size > room || bpf_probe_read_user(to, size, (const void *)from))
		return 0;
	return size;
}

static inline u32 copy__bytes(void *to, u64 room, u64 from)
{
	enum { LENGTH = 16, HEAD = 32 };
	u64 length;

	if (!user__read(from + LENGTH, &length))
		return 0;
	return copy__object(to, room, from, HEAD, length, 1);
}

/* Of Objects/unicodeobject.h; see parse_state of user/python_code.c. From 3.12 on without wstr. */
static inline u32 copy__str(void *to, u64 room, u64 from, const struct python_record *python,
			    struct python_text *text)
{
	enum { LENGTH = 16, KIND = 2, KINDS = 7, ASCII = 1 << 6, ELSEWHERE_IN_314 = 14 };
	u64 head = python->code_version ? 56 : 72;
	u32 state;

	if (bpf_probe_read_user(text, sizeof(*text), (const void *)(from + LENGTH)))
		return 0;
	state = text->state;
	if (!(state >> KIND & KINDS))
		state >>= ELSEWHERE_IN_314;
	if (state & ASCII)
		head = python->code_version ? 40 : 48;
	return copy__object(to, room, from, head, text->length, state >> KIND & KINDS);
}

/*
 * Code that is met for the first time, which is what was read last, is sent to user space. 0: there
 * was no room, there may be the next time.
 */
__noinline int python__send(struct walk *walk, const struct python_record *python, u64 code,
			    u32 identity)
{
	struct python_room *room;
	struct python_copy *copy;

	if (!walk || !python)
		return 0;
	copy = bpf_ringbuf_reserve(&python_copies, sizeof(*copy), 0);
	if (!copy)
		return 0;
	room = &walk->python_room;
	copy->key = (struct python_key){ code, identity, walk->book };
	__builtin_memcpy(copy->bytes, room->bytes, sizeof(copy->bytes));
	copy->name_size = copy__str(copy->name, sizeof(copy->name), room->marks.parts[2], python,
				    &room->file);
	copy->lines_size = copy__bytes(copy->lines, sizeof(copy->lines), room->marks.parts[3]);
	copy->file_size = copy__str(copy->file, sizeof(copy->file),
				    room__word(room, python->code_file), python, &room->file);
	copy->head_size = 0;
	if (python->code_bytes)
		copy->head_size = copy__bytes(copy->head, sizeof(copy->head),
					      room__word(room, python->code_bytes));
	bpf_ringbuf_submit(copy, 0);
	return 1;
}

/* Notes one Python frame. */
__noinline int python__step(struct walk *walk, const struct python_record *python)
{
	struct python_frame frame = {};
	struct python_list *list;
	struct python_key key;

	if (!walk || !python)
		return 0;
	walk->near = 0; /* its room is needed */
	list = walk__list(walk);
	if (!list || !python__read(python, list->frame, NULL, &walk->python_room, &frame)) {
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
		if (walk->record.count + 2 > max_words) { /* no half of one */
			walk->record.state = STACK_STATE_TRUNCATED;
			walk->in_python = false;
			walk->ended = true;
			return 0;
		}
		walk__push(walk, (u64)FRAME_TAG_CODE << 60 | (u64)(frame.identity & 0xfff) << 48 |
					 FRAME_ADDRESS(frame.code));
		walk__push(walk, (u64)FRAME_TAG_INSTRUCTION << 60 |
					 (u64)(frame.identity >> 12) << 40 |
					 FRAME_OFFSET(python__offset(python, &frame)));
		walk->frames++;
		walk->record.book = walk->book; /* code objects are one process's */
		key.code = frame.code;
		key.identity = frame.identity;
		key.book = walk->book;
		/* The value is nothing. 6.1 wants both on the stack, or in a map. */
		if (!bpf_map_lookup_elem(&python_sent, &key) &&
		    !bpf_map_update_elem(&python_sent, &key, &key, BPF_NOEXIST) &&
		    !python__send(walk, python, frame.code, frame.identity))
			bpf_map_delete_elem(&python_sent, &key);
	}
	list->frame = frame.back;
	walk->in_python = frame.back && !python__is_last(python, &frame);
	if (!walk->in_python)
		list__leave_call(list, python);
	return 0;
}

#endif
