/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_reference.h"

#include <Zydis/Zydis.h>

enum { REGISTERS = 16 };
enum { LOWEST_ADDRESS = 0x10000 }; /* a smaller number in an instruction is no address */
enum { PARTS_MAX = 16 }; /* functions that the body jumps to */

struct scan {
	ZydisDecoder decoder;
	const struct code *code;
	size_t at; /* of what follows the instruction */
	ZydisDecodedInstruction instruction;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static void scan__init(struct scan *scan, const struct code *code)
{
	ZydisDecoderInit(&scan->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	scan->code = code;
	scan->at = 0;
}

/* The next instruction; bytes that are none are passed over. */
static bool scan__next(struct scan *scan)
{
	for (; scan->at < scan->code->size; scan->at++) {
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(
			    &scan->decoder, scan->code->bytes + scan->at,
			    scan->code->size - scan->at, &scan->instruction, scan->operands)))
			continue;
		scan->at += scan->instruction.length;
		return true;
	}
	return false;
}

struct registers { /* those whose value is an address that we know; 0: it is not */
	uint64_t values[REGISTERS];
};

static int register_of(ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15)
		return -1;
	return (int)whole - ZYDIS_REGISTER_RAX;
}

static bool memory_address(const struct scan *scan, const struct registers *registers,
			   const ZydisDecodedOperand *operand, uint64_t *address)
{
	uint64_t base = 0;
	int reg = register_of(operand->mem.base);

	if (operand->mem.index != ZYDIS_REGISTER_NONE ||
	    operand->mem.segment == ZYDIS_REGISTER_FS || operand->mem.segment == ZYDIS_REGISTER_GS)
		return false;
	if (operand->mem.base == ZYDIS_REGISTER_RIP)
		base = scan->code->address + scan->at;
	else if (reg >= 0 && registers->values[reg])
		base = registers->values[reg];
	else if (operand->mem.base != ZYDIS_REGISTER_NONE)
		return false;
	*address = base + (uint64_t)operand->mem.disp.value;
	return true;
}

/* What the instruction's n-th operand refers to; false when it is no address that we can know. */
static bool reference_of(const struct scan *scan, const struct registers *registers, int n,
			 struct python_reference *reference)
{
	const ZydisDecodedOperand *operand = &scan->operands[n];

	if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY) {
		reference->size =
			scan->instruction.mnemonic == ZYDIS_MNEMONIC_LEA ? 0 : operand->size / 8;
		return memory_address(scan, registers, operand, &reference->address);
	}
	if (operand->type != ZYDIS_OPERAND_TYPE_IMMEDIATE ||
	    scan->instruction.mnemonic != ZYDIS_MNEMONIC_MOV)
		return false;
	*reference = (struct python_reference){ operand->imm.value.u, 0 };
	return reference->address >= LOWEST_ADDRESS;
}

/* What the instruction leaves in the registers. */
static void update(struct registers *registers, const struct scan *scan,
		   const struct python_slot *slot)
{
	struct python_reference reference;
	uint64_t value = 0;
	int to = -1;

	if (scan->operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER)
		to = register_of(scan->operands[0].reg.value);
	if (to >= 0 && scan->instruction.operand_count_visible == 2 &&
	    reference_of(scan, registers, 1, &reference)) {
		if (!reference.size)
			value = reference.address;
		else if (slot && slot->slot && reference.address == slot->slot)
			value = slot->value;
	}
	for (int i = 0; i < scan->instruction.operand_count; i++) {
		const ZydisDecodedOperand *operand = &scan->operands[i];
		int reg = operand->type == ZYDIS_OPERAND_TYPE_REGISTER
				  ? register_of(operand->reg.value)
				  : -1;

		if (reg >= 0 && (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			registers->values[reg] = reg == to ? value : 0;
	}
}

void python_reference__each(const struct code *code, const struct python_slot *slot,
			    python_reference_see see, void *context)
{
	struct registers registers = { 0 };
	struct python_reference reference;
	struct scan scan;

	scan__init(&scan, code);
	while (scan__next(&scan)) {
		for (int i = 0; i < scan.instruction.operand_count_visible; i++)
			if (reference_of(&scan, &registers, i, &reference) &&
			    !see(context, &reference))
				return;
		update(&registers, &scan, slot);
	}
}

/* Where a jump leads; false when the instruction is none. */
static bool jump_target(const struct scan *scan, uint64_t *target)
{
	const ZydisDecodedOperand *operand = &scan->operands[0];

	if (scan->instruction.meta.category != ZYDIS_CATEGORY_COND_BR &&
	    scan->instruction.meta.category != ZYDIS_CATEGORY_UNCOND_BR)
		return false;
	if (operand->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !operand->imm.is_relative)
		return false;
	*target = scan->code->address + scan->at + operand->imm.value.u;
	return true;
}

static bool contains(const uint64_t range[2], uint64_t address)
{
	return address - range[0] < range[1] - range[0];
}

struct part { /* a function, as .eh_frame counts them, that the body jumps to */
	uint64_t range[2];
	size_t jumps;
	bool conditional; /* a tail call never is, in what gcc makes */
};

/* Counts a jump to `target`; at most PARTS_MAX parts are told apart. */
static void add_jump(struct elf_code *code, struct part *parts, size_t *count, uint64_t target,
		     bool conditional)
{
	struct part *part = parts;

	while (part < parts + *count && !contains(part->range, target))
		part++;
	if (part == parts + *count) {
		if (*count == PARTS_MAX ||
		    !elf_code__bounds(code, target, &part->range[0], &part->range[1]))
			return;
		(*count)++;
	}
	part->jumps++;
	part->conditional |= conditional;
}

static bool jumps_back(struct elf_code *code, const struct part *part, const uint64_t body[2])
{
	struct scan scan;
	struct code function;
	uint64_t target;

	if (!elf_code__fetch(code, part->range[0], &function))
		return false;
	scan__init(&scan, &function);
	while (scan__next(&scan))
		if (jump_target(&scan, &target) && target != body[0] && contains(body, target))
			return true;
	return false;
}

bool python_reference__cold_part(struct elf_code *code, const uint64_t body[2], uint64_t cold[2])
{
	struct part parts[PARTS_MAX] = { 0 };
	const struct part *best = NULL;
	struct code function;
	size_t count = 0;
	struct scan scan;
	uint64_t target;

	if (!elf_code__fetch(code, body[0], &function))
		return false;
	scan__init(&scan, &function);
	while (scan__next(&scan))
		if (jump_target(&scan, &target) && !contains(body, target))
			add_jump(code, parts, &count, target,
				 scan.instruction.meta.category == ZYDIS_CATEGORY_COND_BR);
	for (size_t i = 0; i < count; i++)
		if ((!best || parts[i].jumps > best->jumps) &&
		    (parts[i].conditional || jumps_back(code, &parts[i], body)))
			best = &parts[i];
	if (!best)
		return false;
	cold[0] = best->range[0];
	cold[1] = best->range[1];
	return true;
}
