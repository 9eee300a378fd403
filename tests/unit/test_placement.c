/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hand-assembled functions: nothing here depends on the machine's libraries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "user/elf_code.h"
#include "user/placement.h"

enum { BASE = 0x401000, RAX = 0, RSI = 6, RDI = 7, L = PLACEMENT_LOST };

struct choice {
	const char *name, *code; /* in hexadecimal */
	unsigned int arguments;
	bool skip_null, unknown_size;
	/* expected: */
	int err;
	uint64_t offset;
	uint32_t stack;
	bool emulated;
	uint8_t registers[2];
};

/* A function a row, with its instructions. */
/* clang-format off */
static const struct choice choices[] = {
	/* push rbp; mov rbp,rsp; ret */
	{ "push at the entry", "55 4889e5 c3", 1, 0, 0, 0, 0, 0, 1, { RDI, RSI } },
	/* push r12; ret */
	{ "push with REX.B", "4154 c3", 1, 0, 0, 0, 0, 0, 1, { RDI, RSI } },
	/* 48 push rbp: REX.W is not emulated; push rbx is */
	{ "push with REX.W", "4855 53 c3", 1, 0, 0, 0, 2, 8, 1, { RDI, RSI } },
	/* nop; ret */
	{ "one-byte nop", "90 c3", 1, 0, 0, 0, 0, 0, 1, { RDI, RSI } },
	/* xchg ax,ax; push rbp: a two-byte nop is not taken for an emulated one */
	{ "two-byte nop", "6690 55 c3", 1, 0, 0, 0, 2, 0, 1, { RDI, RSI } },
	/* endbr64; push rbx; ret */
	{ "endbr64", "f30f1efa 53 c3", 1, 0, 0, 0, 4, 0, 1, { RDI, RSI } },
	/* test rdi,rdi; je +5; push rbp; pop rbp; ret; ret */
	{ "jcc ends the block", "4885ff 7403 55 5d c3 c3", 1, 0, 0, 0, 3, 0, 1, { RDI, RSI } },
	{ "behind the null branch", "4885ff 7403 55 5d c3 c3", 1, 1, 0, 0, 5, 0, 1, { RDI, RSI } },
	/* push rbx; mov rbx,rdi; test rbx,rbx; je +2; push rbp: test of a copy */
	{ "null test of a copy",
	  "53 4889fb 4885db 7402 55 5d 5b c3", 1, 1, 0, 0, 9, 8, 1, { RDI, RSI } },
	/* test rdi,rdi; cmp esi,1; je +2; push rbp: the je is not about null */
	{ "flags overwritten", "4885ff 83fe01 7402 55 5d c3", 1, 1, 0, 0, 6, 0, 1, { RDI, RSI } },
	/* test rsi,rsi: of another argument */
	{ "null test of another", "4885f6 7402 55 5d c3", 1, 1, 0, 0, 3, 0, 1, { RDI, RSI } },
	/* test edi,edi: half of it */
	{ "null test of a half", "85ff 7402 55 5d c3", 1, 1, 0, 0, 2, 0, 1, { RDI, RSI } },
	/* behind the null branch all is single-stepped: the branch itself */
	{ "nothing behind the null branch",
	  "4885ff 7404 488b07 c3 c3", 1, 1, 0, 0, 3, 0, 1, { RDI, RSI } },
	/* mov rsi,rdi; mov rdi,fs:0; cmp rsi,0x400; ja */
	{ "copied argument",
	  "4889fe 64488b3c2500000000 4881fe00040000 7701 c3 c3", 1, 0, 0, 0, 19, 0, 1, { RSI, L } },
	/* lea rax,[rdi]; xor edi,edi; je */
	{ "copied by lea", "488d07 31ff 7401 c3 c3", 1, 0, 0, 0, 5, 0, 1, { RAX, RSI } },
	/* lea rax,[rdi+8]; xor edi,edi; je: a sum is no copy; the entry, single-stepped */
	{ "a sum is no copy", "488d4708 31ff 7401 c3 c3", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	/* mov eax,edi; xor edi,edi; je */
	{ "half a copy", "89f8 31ff 7401 c3 c3", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	/* mov rax,rdi; mov rdi,rax; xor eax,eax; je: back in its own register */
	{ "copied back", "4889f8 4889c7 31c0 7401 c3 c3", 1, 0, 0, 0, 8, 0, 1, { RDI, RSI } },
	/* mov rax,rdi; mov rdi,rsi; mov rsi,rax; je: exchanged */
	{ "exchanged", "4889f8 4889f7 4889c6 7401 c3 c3", 2, 0, 0, 0, 9, 0, 1, { RAX, RDI } },
	/* mov r15,rdi; xor edi,edi; je: r15 cannot be named */
	{ "only in r15", "4989ff 31ff 7401 c3 c3", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	/* mov rax,rdi; mul rsi; jo: rdx is lost by a hidden operand, rdi stays */
	{ "hidden operands", "4889f8 48f7e6 7001 c3 c3", 3, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	{ "hidden operands, two wanted",
	  "4889f8 48f7e6 7001 c3 c3", 2, 0, 0, 0, 6, 0, 1, { RDI, RSI } },
	/* mov al,1 (rax holds a copy); mov dil,0; je: a byte of it is lost, all is */
	{ "a byte overwritten", "40b700 7401 c3 c3", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	/* sub rsp,0x58; mov [rsp+0x40],r8; cmp ecx,7; ja */
	{ "stack by sub",
	  "4883ec58 4c89442440 83f907 7701 c3 c3", 1, 0, 0, 0, 12, 0x58, 1, { RDI, RSI } },
	/* lea rsp,[rsp-0x18]; add rsp,8; je */
	{ "stack by lea and add",
	  "488d6424e8 4883c408 7401 c3 c3", 1, 0, 0, 0, 9, 0x10, 1, { RDI, RSI } },
	/* and rsp,-16; push rbp: where the slot is, is lost */
	{ "stack realigned", "4883e4f0 55 c3", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	/* mov rsp,rax; push rbp */
	{ "stack switched", "4889c4 55 c3", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	/* pop rax; push rbp: above the slot */
	{ "above the slot", "58 55 c3", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	/* 48 push rbp; mov rbp,rsp; mov [rbp-8],rdi; je: a spill is our stack */
	{ "a store to the frame",
	  "4855 4889e5 48897df8 7401 c3 c3", 1, 0, 0, 0, 9, 8, 1, { RDI, RSI } },
	/* mov [rdi],rax; push rbp: a store that another thread could see */
	{ "a store elsewhere", "488907 55 c3", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	/* mov fs:[0],rdi; push */
	{ "a store to a thread variable",
	  "6448893c2500000000 55 c3", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	/* mov rax,[rdi]; push rbp: a load is fine */
	{ "a load", "488b07 55 c3", 1, 0, 0, 0, 3, 0, 1, { RDI, RSI } },
	/* mov eax,9; syscall; push */
	{ "a system call", "b809000000 0f05 55 c3", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	/* xor eax,eax; call: emulated where it is; the stack is not yet pushed to */
	{ "a relative call", "4883ec08 e800000000 c3", 1, 0, 0, 0, 4, 8, 1, { RDI, RSI } },
	/* xor eax,eax; call rax; push */
	{ "an indirect call", "31c0 ffd0 55 c3", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	{ "a jump", "e900010000", 1, 0, 0, 0, 0, 0, 1, { RDI, RSI } },
	{ "a short jump", "eb7f", 1, 0, 0, 0, 0, 0, 1, { RDI, RSI } },
	/* cs jmp, 16-bit jmp: refused by uprobes, and the first instruction of the function */
	{ "a prefixed jump", "2eebfe", 1, 0, 0, -EINVAL, 0, 0, 0, { 0 } },
	{ "a 16-bit jump", "66eb00 c3", 1, 0, 0, -EINVAL, 0, 0, 0, { 0 } },
	/* nopl 0(rax,rax,1); push rbp: never on a five-byte nop, but behind it */
	{ "a five-byte nop, then push", "0f1f440000 55 c3", 1, 0, 0, 0, 5, 0, 1, { RDI, RSI } },
	{ "a five-byte nop, then mov", "0f1f440000 31c0 c3", 1, 0, 0, 0, 5, 0, 0, { RDI, RSI } },
	{ "a five-byte nop of unknown size",
	  "0f1f440000 55 c3 cccccccccccccccc", 1, 0, 1, -EINVAL, 0, 0, 0, { 0 } },
	{ "a five-byte nop of prefixes", "6666666690", 1, 0, 0, -EINVAL, 0, 0, 0, { 0 } },
	/* lock inc [rsp]; int3; hlt; VEX; movbe (three-byte opcode) */
	{ "a locked instruction", "f0ff0424 55 c3", 1, 0, 0, -EINVAL, 0, 0, 0, { 0 } },
	{ "int3", "cc 55 c3", 1, 0, 0, -EINVAL, 0, 0, 0, { 0 } },
	{ "hlt", "f4 55 c3", 1, 0, 0, -EINVAL, 0, 0, 0, { 0 } },
	{ "VEX, then push", "c5f857c0 55 c3", 1, 0, 0, 0, 4, 0, 1, { RDI, RSI } },
	/* xchg r8,rax: uprobes would emulate it as a nop */
	{ "xchg with r8", "4990 c3", 1, 0, 0, 0, 2, 0, 0, { RDI, RSI } },
	/* a: xor eax,eax; b: push rdi; pop rdi; jmp b: the push is met twice */
	{ "a loop into the block", "31c0 57 5f ebfc", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	/* a loop back to the entry is met twice anywhere: the best place stays */
	{ "a loop to the entry", "31c0 57 5f ebfa", 1, 0, 0, 0, 2, 0, 1, { RDI, RSI } },
	/* xor eax,eax; push; pop; jmp to behind the push */
	{ "a loop behind the place", "31c0 57 5f ebfd", 1, 0, 0, 0, 2, 0, 1, { RDI, RSI } },
	/* xor eax,eax; push rdi; pop rdi; jmp rax: anywhere */
	{ "a computed jump", "31c0 57 5f ffe0", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	/* jmp *0(rip): a tail call by a slot, nowhere inside */
	{ "a tail call by a slot", "31c0 57 5f ff2500000000", 1, 0, 0, 0, 2, 0, 1, { RDI, RSI } },
	/* push is the entry: no jump can land before it */
	{ "computed, but at the entry", "57 5f ffe0", 1, 0, 0, 0, 0, 0, 1, { RDI, RSI } },
	/* xor eax,eax; push; (bad) */
	{ "a body that cannot be read", "31c0 57 5f 06", 1, 0, 0, 0, 0, 0, 0, { RDI, RSI } },
	{ "unknown size, push",
	  "55 4889e5 4883ec10 31c0 c9 c3 9090", 1, 0, 1, 0, 0, 0, 1, { RDI, RSI } },
	{ "unknown size, test",
	  "4885ff 7403 55 5d c3 c3 909090909090", 1, 1, 1, 0, 0, 0, 0, { RDI, RSI } },
	{ "an instruction cut off", "48", 1, 0, 0, -EINVAL, 0, 0, 0, { 0 } },
	{ "nonsense", "06", 1, 0, 0, -EINVAL, 0, 0, 0, { 0 } },
	{ "too many arguments", "55 c3", 7, 0, 0, -EINVAL, 0, 0, 0, { 0 } },
};
/* clang-format on */

static unsigned int digit(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

static size_t assemble(const char *text, uint8_t *code)
{
	size_t size = 0;

	for (; *text; text++)
		if (*text != ' ') {
			code[size++] = digit(text[0]) << 4 | digit(text[1]);
			text++;
		}
	return size;
}

static void check_choice(const struct choice *choice)
{
	struct placement placement = { 0 };
	uint8_t code[64];
	size_t size = assemble(choice->code, code);
	int err = placement__choose(code, choice->unknown_size ? 0 : size, BASE, choice->arguments,
				    choice->skip_null, &placement);

	if (err != choice->err || (!err && placement.offset != choice->offset))
		print_error("%s: %d, +%lu\n", choice->name, err, placement.offset);
	assert_int_equal(err, choice->err);
	if (err)
		return;
	assert_int_equal(placement.offset, choice->offset);
	assert_int_equal(placement.stack, choice->stack);
	assert_int_equal(placement.emulated, choice->emulated);
	assert_memory_equal(placement.arguments, choice->registers, 2);
	assert_true(placement.instruction[0]);
}

static void chooses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		check_choice(&choices[i]);
}

static void names_the_instruction(void **state)
{
	struct placement placement;
	uint8_t code[16];
	size_t size = assemble("4885ff 7403 55 5d c3 c3", code);

	(void)state;
	assert_int_equal(placement__choose(code, size, BASE, 1, false, &placement), 0);
	assert_string_equal(placement.instruction, "jz 0x0000000000401008");
	assert_int_equal(placement__choose(code, size, BASE, 1, true, &placement), 0);
	assert_string_equal(placement.instruction, "push %rbp");
}

/* Whatever the bytes: an answer, and never a five-byte nop or a place outside. */
static void survives_any_bytes(void **state)
{
	struct placement placement;
	uint64_t random = 1;
	uint8_t code[48];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t size = round % (sizeof(code) - PLACEMENT_PEEK);

		for (size_t i = 0; i < sizeof(code); i++) {
			random = random * 6364136223846793005 + 1442695040888963407;
			code[i] = random >> 56;
		}
		if (placement__choose(code, size, BASE, round % 7, round & 1, &placement))
			continue;
		assert_true(placement.offset < (size ? size : 1));
		assert_int_equal(placement.stack % 8, 0);
		assert_memory_not_equal(code + placement.offset, "\x0f\x1f\x44\x00\x00", 5);
	}
}

/* The functions of a small program. A stub's code is that of another function. */
struct function {
	uint64_t address, stub_of;
	const char *code;
};

/* clang-format off */
static const struct function program[] = {
	/* test edi,edi; je +1; ret; ret */
	{ 0x1000, 0, "85ff 7401 c3 c3" },
	/* call 0x1000; jmp 0x1040 (to cold part); */
	{ 0x1010, 0, "e8ebffffff eb29" },
	/* je 0x1017 (not in there: unknown) */
	{ 0x1020, 0, "74f5 c3" },
	/* the cold part: call; jmp back into 0x1000 + 4 */
	{ 0x1040, 0, "e8bbffffff ebbd" },
	/* jmp 0x1060, a stub of 0x1000 */
	{ 0x1050, 0, "eb0e" },
	{ 0x1060, 0x1000, NULL },
	/* jmp rax; jmp to unknown; ends in a call; runs out; loops; ud2 */
	{ 0x1070, 0, "ffe0" },
	{ 0x1080, 0, "e900100000" },
	{ 0x1090, 0, "85ff 7401 c3 e800000000 90" },
	{ 0x10a0, 0, "85ff" },
	{ 0x10b0, 0, "ebfe" },
	{ 0x10c0, 0, "0f0b" },
	/* three exits: je +1; ret; je +1; ret; ret */
	{ 0x10d0, 0, "7401 c3 7401 c3 c3" },
	/* call 0x1000; ret */
	{ 0x10e0, 0, "e81bffffff c3" },
	/* test edi,edi; je over the call; call 0x1000; ret */
	{ 0x10f0, 0, "85ff 7405 e807ffffff c3" },
	/* tail jump to 0x1000; ret imm16; iretq; bad */
	{ 0x1100, 0, "e9fbfeffff" },
	{ 0x1110, 0, "c20800" },
	{ 0x1120, 0, "48cf" },
	{ 0x1130, 0, "06" },
};
/* clang-format on */

enum { PROGRAM = sizeof(program) / sizeof(program[0]) };

static const struct function *function_at(uint64_t address)
{
	for (size_t i = 0; i < PROGRAM; i++)
		if (address - program[i].address < 16)
			return &program[i];
	return NULL;
}

static bool fetch(void *context, uint64_t address, struct code *code)
{
	uint8_t(*bytes)[16] = context;
	const struct function *function = function_at(address);
	size_t at;

	if (function && function->stub_of)
		function = function_at(function->stub_of);
	if (!function)
		return false;
	at = function - program;
	code->bytes = bytes[at];
	code->size = assemble(function->code, bytes[at]);
	code->address = function->address;
	return function_at(address)->stub_of || address - code->address < code->size;
}

static void check_exits(uint64_t address, int expected, uint64_t first, uint64_t last)
{
	uint8_t bytes[PROGRAM][16];
	uint64_t exits[3];
	int count = placement__exits(fetch, bytes, address, exits, 3);

	assert_int_equal(count, expected);
	if (count > 0) {
		assert_int_equal(exits[0], first);
		assert_int_equal(exits[count - 1], last);
	}
}

static void finds_exits(void **state)
{
	(void)state;
	check_exits(0x1000, 2, 0x1004, 0x1005);
	check_exits(0x1010, 1, 0x1004,
		    0x1004); /* by a cold part, back into the middle of another */
	check_exits(0x1050, 2, 0x1004, 0x1005); /* through a stub */
	check_exits(0x1090, 1, 0x1094, 0x1094); /* its other path ends in a call */
}

static void knows_what_it_cannot_know(void **state)
{
	uint8_t bytes[PROGRAM][16];
	uint64_t exits[3];

	(void)state;
	check_exits(0x1020, -ENOTSUP, 0, 0);
	check_exits(0x1070, -ENOTSUP, 0, 0);
	check_exits(0x1080, -ENOTSUP, 0, 0);
	check_exits(0x10a0, -ENOTSUP, 0, 0);
	check_exits(0x1120, -ENOTSUP, 0, 0);
	check_exits(0x1130, -ENOTSUP, 0, 0);
	check_exits(0x9000, -ENOTSUP, 0, 0);
	check_exits(0x10b0, 0, 0, 0);
	check_exits(0x10c0, 0, 0, 0);
	check_exits(0x10d0, 3, 0x10d2, 0x10d6);
	assert_int_equal(placement__exits(fetch, bytes, 0x10d0, exits, 2), -ENOTSUP);
	check_exits(0x1110, 1, 0x1110, 0x1110);
}

static bool is_first(void *context, uint64_t address)
{
	(void)context;
	return address == 0x1000;
}

static void knows_wrappers(void **state)
{
	uint8_t bytes[PROGRAM][16];

	(void)state;
	assert_true(placement__passes(fetch, bytes, is_first, NULL, 0x10e0));
	assert_true(placement__passes(fetch, bytes, is_first, NULL, 0x1100));
	assert_true(placement__passes(fetch, bytes, is_first, NULL, 0x1010));
	assert_false(placement__passes(fetch, bytes, is_first, NULL, 0x10f0));
	assert_false(placement__passes(fetch, bytes, is_first, NULL, 0x1000));
	assert_false(placement__passes(fetch, bytes, is_first, NULL, 0x1070));
	assert_false(placement__passes(fetch, bytes, is_first, NULL, 0x9000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chooses),
		cmocka_unit_test(names_the_instruction),
		cmocka_unit_test(survives_any_bytes),
		cmocka_unit_test(finds_exits),
		cmocka_unit_test(knows_what_it_cannot_know),
		cmocka_unit_test(knows_wrappers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
