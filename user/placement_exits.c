/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Follows code along all branches, into its cold parts and tail calls, to every exit. */
#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdlib.h>

#include "elf_code.h"
#include "placement.h"

enum { REGIONS_MAX = 32, PENDING_MAX = 4096, REGION_BYTES_MAX = 1 << 20 };

struct region {
	struct code code;
	uint8_t *seen; /* a bit for every byte that an instruction was decoded at */
};

struct walk {
	placement_fetch fetch;
	void *context;
	placement_known known; /* paths end where these are called; NULL: nowhere */
	void *known_context;
	ZydisDecoder decoder;
	struct region regions[REGIONS_MAX];
	size_t region_count;
	uint64_t pending[PENDING_MAX]; /* addresses still to be followed */
	size_t pending_count;
	uint64_t *exits;
	size_t exit_count, max;
};

static struct region *region_of(struct walk *walk, uint64_t address)
{
	for (size_t i = 0; i < walk->region_count; i++)
		if (address - walk->regions[i].code.address < walk->regions[i].code.size)
			return &walk->regions[i];
	return NULL;
}

/* Finds or fetches the code at `*address`, which becomes the place that a stub there leads to. */
static int enter(struct walk *walk, uint64_t *address, struct region **region)
{
	struct region *new = &walk->regions[walk->region_count];
	struct code code;

	*region = region_of(walk, *address);
	if (*region)
		return 0;
	if (!walk->fetch(walk->context, *address, &code) || !code.size ||
	    code.size > REGION_BYTES_MAX)
		return -ENOTSUP;
	if (*address - code.address >= code.size)
		*address = code.address;
	*region = region_of(walk, *address);
	if (*region)
		return 0;
	if (walk->region_count == REGIONS_MAX)
		return -ENOTSUP;
	new->code = code;
	new->seen = calloc(1, code.size / 8 + 1);
	if (!new->seen)
		return -ENOMEM;
	walk->region_count++;
	*region = new;
	return 0;
}

static int add_exit(struct walk *walk, uint64_t address)
{
	size_t at = walk->exit_count;

	if (at == walk->max)
		return -ENOTSUP;
	for (; at && walk->exits[at - 1] > address; at--)
		walk->exits[at] = walk->exits[at - 1];
	walk->exits[at] = address;
	walk->exit_count++;
	return 0;
}

static int add_pending(struct walk *walk, uint64_t address)
{
	if (walk->pending_count == PENDING_MAX)
		return -ENOTSUP;
	walk->pending[walk->pending_count++] = address;
	return 0;
}

/* Nothing is executed behind these. */
static bool stops(const ZydisDecodedInstruction *instruction)
{
	switch (instruction->mnemonic) {
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
	case ZYDIS_MNEMONIC_INT3:
		return true;
	default:
		return false;
	}
}

static bool is_known(const struct walk *walk, uint64_t address)
{
	return walk->known && walk->known(walk->known_context, address);
}

/* What an instruction at `address` leads to. 1: go on behind it; 0: this path ends; else -errno. */
static int follow(struct walk *walk, uint64_t address, const ZydisDecodedInstruction *instruction,
		  const ZydisDecodedOperand *operand)
{
	bool direct = operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operand->imm.is_relative;
	uint64_t target = address + instruction->length + (direct ? operand->imm.value.u : 0);
	int err = 0;

	switch (instruction->meta.category) {
	case ZYDIS_CATEGORY_RET:
		return instruction->mnemonic == ZYDIS_MNEMONIC_RET ? add_exit(walk, address)
								   : -ENOTSUP;
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_COND_BR:
		break;
	case ZYDIS_CATEGORY_CALL:
		/* One that never returns is taken to return: more is followed, never less. */
		return !direct || !is_known(walk, target);
	default:
		return !stops(instruction);
	}
	if (!direct)
		return -ENOTSUP;
	if (!is_known(walk, target))
		err = add_pending(walk, target);
	return err ? err : instruction->meta.category == ZYDIS_CATEGORY_COND_BR;
}

/* Follows straight on from `address`, until the path ends or meets what was seen. */
static int run(struct walk *walk, uint64_t address)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction instruction;
	struct region *region;
	bool called = false; /* nothing but nops since a call */
	uint64_t at;
	int err = enter(walk, &address, &region);

	if (err)
		return err;
	for (at = address - region->code.address; at < region->code.size;
	     at += instruction.length) {
		if (region->seen[at / 8] >> at % 8 & 1)
			return 0;
		region->seen[at / 8] |= 1u << at % 8;
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&walk->decoder, region->code.bytes + at,
							 region->code.size - at, &instruction,
							 operands)))
			return -ENOTSUP;
		err = follow(walk, region->code.address + at, &instruction, operands);
		if (err <= 0)
			return err;
		called = instruction.meta.category == ZYDIS_CATEGORY_CALL ||
			 (called && instruction.mnemonic == ZYDIS_MNEMONIC_NOP);
	}
	/* A part's end: behind a call that never returns, or it runs on into what is not known. */
	return called ? 0 : -ENOTSUP;
}

static int follow_all(struct walk *walk, uint64_t address)
{
	int err;

	ZydisDecoderInit(&walk->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	err = add_pending(walk, address);
	while (!err && walk->pending_count)
		err = run(walk, walk->pending[--walk->pending_count]);
	for (size_t i = 0; i < walk->region_count; i++)
		free(walk->regions[i].seen);
	return err ? err : (int)walk->exit_count;
}

int placement__exits(placement_fetch fetch, void *context, uint64_t address, uint64_t *exits,
		     size_t max)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	int count;

	if (!walk)
		return -ENOMEM;
	walk->fetch = fetch;
	walk->context = context;
	walk->exits = exits;
	walk->max = max;
	count = follow_all(walk, address);
	free(walk);
	return count;
}

bool placement__passes(placement_fetch fetch, void *context, placement_known known,
		       void *known_context, uint64_t address)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	bool passes;

	if (!walk)
		return false;
	walk->fetch = fetch;
	walk->context = context;
	walk->known = known;
	walk->known_context = known_context;
	passes = follow_all(walk, address) == 0; /* with room for no exit: there is none */
	free(walk);
	return passes;
}
