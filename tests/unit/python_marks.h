/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PYTHON_MARKS_H
#define MEMWATCH_PYTHON_MARKS_H
/*
 * What the kernel side says of a code object, read by nothing but a struct python_record. cmocka.h
 * and what it needs must be included before.
 */
#include <sys/types.h>
#include <sys/uio.h>

#include "bpf/memwatch.h"

static inline void peek_at(pid_t pid, uint64_t address, void *buffer, size_t size)
{
	struct iovec local = { buffer, size }, remote = { (void *)(uintptr_t)address, size };

	assert_int_equal(process_vm_readv(pid, &local, 1, &remote, 1, 0), size);
}

static inline uint64_t peek(pid_t pid, uint64_t address, size_t size)
{
	uint64_t value = 0;

	peek_at(pid, address, &value, size);
	return value;
}

static inline struct python_marks marks_of(pid_t pid, const struct python_record *python,
					   uint64_t code)
{
	struct python_marks marks = { 0 };
	uint64_t file = peek(pid, code + python->code_file, 8), size, state;

	peek_at(pid, code + python->code_parts, marks.parts, sizeof(marks.parts));
	peek_at(pid, code + python->code_contents, marks.contents, sizeof(marks.contents));
	marks.first_line = peek(pid, code + python->code_first_line, 4);
	if (python->code_version) {
		marks.version = peek(pid, code + python->code_version, 4);
		return marks;
	}
	/*
	 * To 3.11 a str has its length at 16, in the byte at 32 a character's size (bits 2-4) and
	 * whether it is ASCII (bit 6), and its characters at 48, or at 72 if it is not.
	 */
	state = peek(pid, file + 32, 1);
	marks.file_length = peek(pid, file + 16, 8) * (state >> 2 & 7);
	size = marks.file_length < 64 ? marks.file_length : 64;
	if (size)
		peek_at(pid, file + (state & 1 << 6 ? 48 : 72) + marks.file_length - size,
			marks.file_end, size);
	return marks;
}

/* A frame's two words. */
static inline uint64_t code_word(uint64_t code, uint32_t identity)
{
	return (uint64_t)FRAME_TAG_CODE << 60 | (uint64_t)(identity & 0xfff) << 48 | code;
}

static inline uint64_t instruction_word(uint64_t instruction, uint32_t identity)
{
	return (uint64_t)FRAME_TAG_INSTRUCTION << 60 | (uint64_t)(identity >> 12) << 40 |
	       FRAME_OFFSET(instruction);
}

#endif
