/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A walk through the entry block: where the arguments and the return address are at each step. */
#include <Zydis/Zydis.h>
#include <errno.h>
#include <string.h>

#include "placement.h"

enum {
	RSP = 4,
	RDI = 7,
	R15 = 15,
	STACK_POINTER =
		PLACEMENT_ARGS, /* one more "argument": registers that point into our frame */
	TRACKED,
	BODY_MAX = 1 << 20, /* larger functions are not swept for jumps */
};

struct scan {
	ZydisDecoder decoder;
	ZydisDecodedInstruction instruction;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	const uint8_t *code;
	size_t size;
	uint64_t address;
	uint64_t offset;           /* of `instruction` */
	int64_t stack;             /* bytes pushed since the entry */
	uint16_t holders[TRACKED]; /* registers that hold a value, a bit each */
	bool null_tested;          /* the zero flag says whether the first argument is zero */
};

static const uint8_t argument_registers[PLACEMENT_ARGS] = { RDI, 6, 2, 1, 8, 9 };

/*
 * What uprobes take, a bit each: good_insns_64 and good_2byte_insns of arch/x86/kernel/uprobes.c.
 * Three-byte opcodes and VEX are refused.
 */
static const uint16_t probeable_1byte[16] = {
	0x3f3f, 0x3f3f, 0x3f3f, 0x3f3f, 0x0000, 0xffff, 0x0f38, 0xffff,
	0xfffb, 0xffff, 0xffff, 0xffff, 0x0fcf, 0xff8f, 0x0f0f, 0xf3ec,
};
static const uint16_t probeable_2byte[16] = {
	0xc000, 0xfeff, 0xff0f, 0x000e, 0xffff, 0xffff, 0xffff, 0xc0ff,
	0xffff, 0xffff, 0xbf3f, 0xfeff, 0xffff, 0xfffe, 0xffff, 0x7ffe,
};

static bool decode(struct scan *scan, uint64_t offset)
{
	scan->offset = offset;
	return offset < scan->size &&
	       ZYAN_SUCCESS(ZydisDecoderDecodeFull(&scan->decoder, scan->code + offset,
						   scan->size - offset, &scan->instruction,
						   scan->operands));
}

static int register_of(ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (ZydisRegisterGetClass(whole) != ZYDIS_REGCLASS_GPR64)
		return -1;
	return ZydisRegisterGetId(whole);
}

/* The target of a relative branch, as an offset; false for anything else. */
static bool branch_target(const struct scan *scan, int64_t *target)
{
	const ZydisDecodedOperand *operand = &scan->operands[0];

	if (operand->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !operand->imm.is_relative)
		return false;
	*target = (int64_t)scan->offset + scan->instruction.length + operand->imm.value.s;
	return true;
}

/* A jump through a register or table may land anywhere; one through a fixed slot leaves. */
static bool is_computed_jump(const struct scan *scan)
{
	const ZydisDecodedOperand *operand = &scan->operands[0];

	if (scan->instruction.mnemonic != ZYDIS_MNEMONIC_JMP)
		return false;
	if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY)
		return operand->mem.base != ZYDIS_REGISTER_RIP;
	return operand->type == ZYDIS_OPERAND_TYPE_REGISTER;
}

/*
 * Where, after the entry, the function's own jumps land first: what lies before is reached once
 * a call. A body that cannot be read to its end could jump anywhere.
 */
static uint64_t first_landing(struct scan *scan)
{
	uint64_t first = scan->size;
	uint64_t offset = 0;
	int64_t target;

	if (scan->size > BODY_MAX)
		return 1;
	while (offset < scan->size) {
		if (!decode(scan, offset) || is_computed_jump(scan))
			return 1;
		if (branch_target(scan, &target) && target > 0 && (uint64_t)target < first)
			first = target;
		offset += scan->instruction.length;
	}
	return first;
}

static bool has_prefix(const ZydisDecodedInstruction *instruction, uint8_t value)
{
	for (int i = 0; i < instruction->raw.prefix_count; i++)
		if (instruction->raw.prefixes[i].value == value)
			return true;
	return false;
}

/* Segment prefixes but fs and gs, and lock: is_prefix_bad(). */
static bool has_refused_prefix(const ZydisDecodedInstruction *instruction)
{
	static const uint8_t refused[] = { 0x26, 0x2e, 0x36, 0x3e, 0xf0 };

	for (size_t i = 0; i < sizeof(refused); i++)
		if (has_prefix(instruction, refused[i]))
			return true;
	return false;
}

/* 0x90 with REX.B is an xchg, but branch_setup_xol_ops() would emulate a nop. */
static bool is_mistaken_nop(const ZydisDecodedInstruction *instruction)
{
	return instruction->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && instruction->opcode == 0x90 &&
	       instruction->mnemonic == ZYDIS_MNEMONIC_XCHG &&
	       (instruction->raw.rex.B || instruction->raw.rex.R);
}

static bool is_five_byte_nop(const ZydisDecodedInstruction *instruction)
{
	return instruction->length == 5 && (instruction->mnemonic == ZYDIS_MNEMONIC_NOP ||
					    (instruction->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
					     instruction->opcode == 0x90));
}

static bool is_probeable(const ZydisDecodedInstruction *instruction)
{
	uint8_t opcode = instruction->opcode;

	if (instruction->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return false;
	if (has_refused_prefix(instruction) || is_five_byte_nop(instruction) ||
	    is_mistaken_nop(instruction))
		return false;
	/* 16-bit branches are refused; so is a load of ss, which masks the single-step trap. */
	if (instruction->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE &&
	    has_prefix(instruction, 0x66))
		return false;
	if (instruction->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)
		return opcode != 0x8e && probeable_1byte[opcode >> 4] >> (opcode & 15) & 1;
	if (instruction->opcode_map == ZYDIS_OPCODE_MAP_0F)
		return probeable_2byte[opcode >> 4] >> (opcode & 15) & 1;
	return false;
}

static bool is_emulated(const ZydisDecodedInstruction *instruction)
{
	uint8_t opcode = instruction->opcode;
	uint8_t rex = instruction->length - 1;

	if (instruction->opcode_map == ZYDIS_OPCODE_MAP_0F)
		return opcode >> 4 == 8;
	if (instruction->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
		return false;
	if (opcode >= 0x50 && opcode <= 0x57)
		return rex == 0 || (rex == 1 && has_prefix(instruction, 0x41));
	return (opcode == 0x90 && instruction->length == 1) || opcode >> 4 == 7 || opcode == 0xe8 ||
	       opcode == 0xe9 || opcode == 0xeb;
}

/* Nothing behind these is sure to be reached, or to be in time. */
static bool ends_block(const ZydisDecodedInstruction *instruction)
{
	switch (instruction->meta.category) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_SYSTEM:
	case ZYDIS_CATEGORY_INTERRUPT:
		return true;
	default:
		break;
	}
	return instruction->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE ||
	       (instruction->attributes & ZYDIS_ATTRIB_HAS_LOCK) ||
	       instruction->mnemonic == ZYDIS_MNEMONIC_UD0 ||
	       instruction->mnemonic == ZYDIS_MNEMONIC_UD1 ||
	       instruction->mnemonic == ZYDIS_MNEMONIC_UD2;
}

static bool writes_zero_flag(const ZydisDecodedInstruction *instruction)
{
	const ZydisAccessedFlags *flags = instruction->cpu_flags;

	return flags && (flags->modified | flags->set_0 | flags->set_1 | flags->undefined) &
				ZYDIS_CPUFLAG_ZF;
}

/* The register whose whole value a mov or an empty lea copies, or -1. */
static int copied_register(const struct scan *scan)
{
	const ZydisDecodedOperand *to = &scan->operands[0], *from = &scan->operands[1];

	if (scan->instruction.operand_width != 64 || to->type != ZYDIS_OPERAND_TYPE_REGISTER)
		return -1;
	if (scan->instruction.mnemonic == ZYDIS_MNEMONIC_MOV &&
	    from->type == ZYDIS_OPERAND_TYPE_REGISTER)
		return register_of(from->reg.value);
	if (scan->instruction.mnemonic == ZYDIS_MNEMONIC_LEA && from->size == 64 &&
	    from->mem.index == ZYDIS_REGISTER_NONE && from->mem.disp.value == 0)
		return register_of(from->mem.base);
	return -1;
}

/* By how much push, sub, add and lea move the stack pointer down; false for anything else. */
static bool stack_step(const struct scan *scan, int64_t *step)
{
	const ZydisDecodedOperand *to = &scan->operands[0], *from = &scan->operands[1];
	ZydisMnemonic mnemonic = scan->instruction.mnemonic;

	*step = 8;
	if (mnemonic == ZYDIS_MNEMONIC_PUSH || mnemonic == ZYDIS_MNEMONIC_PUSHFQ)
		return scan->instruction.operand_width == 64;
	if (to->type != ZYDIS_OPERAND_TYPE_REGISTER || to->reg.value != ZYDIS_REGISTER_RSP)
		return false;
	if (mnemonic == ZYDIS_MNEMONIC_LEA) {
		*step = -from->mem.disp.value;
		return from->mem.base == ZYDIS_REGISTER_RSP &&
		       from->mem.index == ZYDIS_REGISTER_NONE;
	}
	if (from->type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return false;
	*step = mnemonic == ZYDIS_MNEMONIC_ADD ? -from->imm.value.s : from->imm.value.s;
	return mnemonic == ZYDIS_MNEMONIC_ADD || mnemonic == ZYDIS_MNEMONIC_SUB;
}

static bool is_ours(const struct scan *scan, const ZydisDecodedOperand *operand)
{
	int base = register_of(operand->mem.base);

	return base >= 0 && (scan->holders[STACK_POINTER] >> base & 1);
}

/* Forgets what is overwritten. False for a store outside the stack, or a lost stack pointer. */
static bool clobber(struct scan *scan)
{
	for (int i = 0; i < scan->instruction.operand_count; i++) {
		const ZydisDecodedOperand *operand = &scan->operands[i];
		int reg;

		if (!(operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY && !is_ours(scan, operand))
			return false;
		if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		reg = register_of(operand->reg.value);
		if (reg == RSP)
			return false;
		for (int n = 0; reg >= 0 && n < TRACKED; n++)
			scan->holders[n] &= ~(1u << reg);
	}
	return true;
}

static void copy(struct scan *scan, int from, int to)
{
	for (int n = 0; n < TRACKED; n++) {
		scan->holders[n] &= ~(1u << to);
		scan->holders[n] |= (scan->holders[n] >> from & 1u) << to;
	}
}

/* Whether the instruction is `test` of the first argument with itself. */
static bool tests_null(const struct scan *scan)
{
	const ZydisDecodedOperand *operands = scan->operands;

	if (scan->instruction.mnemonic != ZYDIS_MNEMONIC_TEST ||
	    scan->instruction.operand_width != 64 ||
	    operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    operands[1].type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    operands[0].reg.value != operands[1].reg.value)
		return false;
	return scan->holders[0] >> register_of(operands[0].reg.value) & 1;
}

/* Goes on behind the instruction. False when the walk ends with it. */
static bool step(struct scan *scan)
{
	int64_t down;
	int from, to;

	if (ends_block(&scan->instruction))
		return false;
	if (writes_zero_flag(&scan->instruction))
		scan->null_tested = tests_null(scan);
	if (stack_step(scan, &down)) {
		scan->stack += down;
		return scan->stack >= 0;
	}
	from = copied_register(scan);
	to = from < 0 ? -1 : register_of(scan->operands[0].reg.value);
	if (to < 0)
		return clobber(scan);
	if (to == RSP)
		return false;
	if (to != from)
		copy(scan, from, to);
	return true;
}

static uint8_t holder_of(const struct scan *scan, unsigned int n)
{
	unsigned int held = scan->holders[n] & ~(1u << R15); /* 15 says "lost" */

	if (held >> argument_registers[n] & 1)
		return argument_registers[n];
	return held ? __builtin_ctz(held) : PLACEMENT_LOST;
}

static bool is_usable(const struct scan *scan, unsigned int arguments)
{
	for (unsigned int n = 0; n < arguments; n++)
		if (holder_of(scan, n) == PLACEMENT_LOST)
			return false;
	return scan->stack % 8 == 0 && is_probeable(&scan->instruction);
}

static void describe(const struct scan *scan, char *text, size_t size)
{
	ZydisFormatter formatter;

	text[0] = 0;
	if (!ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT)) ||
	    !ZYAN_SUCCESS(
		    ZydisFormatterFormatInstruction(&formatter, &scan->instruction, scan->operands,
						    scan->instruction.operand_count_visible, text,
						    size, scan->address + scan->offset, NULL)))
		text[0] = 0;
}

static void record(const struct scan *scan, struct placement *placement)
{
	placement->offset = scan->offset;
	placement->stack = scan->stack;
	placement->emulated = is_emulated(&scan->instruction);
	for (unsigned int n = 0; n < PLACEMENT_ARGS; n++)
		placement->arguments[n] = holder_of(scan, n);
	describe(scan, placement->instruction, sizeof(placement->instruction));
}

static void begin(struct scan *scan, const uint8_t *code, size_t size, uint64_t address)
{
	memset(scan, 0, sizeof(*scan));
	ZydisDecoderInit(&scan->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	scan->code = code;
	scan->size = size;
	scan->address = address;
	for (int n = 0; n < PLACEMENT_ARGS; n++)
		scan->holders[n] = 1u << argument_registers[n];
	scan->holders[STACK_POINTER] = 1u << RSP;
}

/* The branch that a first argument of zero takes. */
static bool is_null_branch(const struct scan *scan)
{
	return scan->null_tested && scan->instruction.mnemonic == ZYDIS_MNEMONIC_JZ;
}

int placement__choose(const uint8_t *code, size_t size, uint64_t address, unsigned int arguments,
		      bool skip_null_first, struct placement *placement)
{
	bool found = false, past_null = false;
	uint64_t landing = 1;
	struct scan scan;

	if (arguments > PLACEMENT_ARGS)
		return -EINVAL;
	begin(&scan, code, size ? size : PLACEMENT_PEEK, address);
	if (size)
		landing = first_landing(&scan);
	for (uint64_t at = 0; at < landing && decode(&scan, at); at += scan.instruction.length) {
		bool emulated = is_emulated(&scan.instruction);
		bool better = !found || (emulated && (!placement->emulated || past_null));

		if (better && is_usable(&scan, arguments)) {
			record(&scan, placement);
			found = true;
		}
		if (found && placement->emulated && (!skip_null_first || (emulated && past_null)))
			break;
		if (skip_null_first && !past_null && is_null_branch(&scan))
			past_null = true;
		else if (!step(&scan))
			break;
	}
	return found ? 0 : -EINVAL;
}
