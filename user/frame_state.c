/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "frame_state.h"

enum {
	RSP = 4,
	RBP = 5,
	R11 = 11,
	NOTHING = -1,
	DEPTH_MAX = 8 << 20, /* UNWIND_RSP_FAR's, and more than a stack usually has */
	RED_ZONE = 128,      /* psABI 3.2.2 */
	CONVENTIONAL = 16,   /* rbp's depth after push %rbp; mov %rsp,%rbp */
};

bool frame_state__same(const struct frame_state *a, const struct frame_state *b)
{
	return a->rsp == b->rsp && a->base == b->base && a->saved == b->saved && a->r11 == b->r11 &&
	       a->rbp == b->rbp && a->outermost == b->outermost;
}

struct frame_state frame_state__join(const struct frame_state *a, const struct frame_state *b)
{
	struct frame_state state = *a;

	if (a->outermost != b->outermost)
		return (struct frame_state){ .rbp = FRAME_RBP_OTHER };
	if (a->rsp != b->rsp)
		state.rsp = 0;
	if (a->rbp != b->rbp || a->base != b->base) {
		state.rbp = frame_state__has_base(a) && frame_state__has_base(b) ? FRAME_RBP_STACK
										 : FRAME_RBP_OTHER;
		state.base = 0;
	}
	if (a->saved != b->saved)
		state.saved = 0;
	if (a->r11 != b->r11)
		state.r11 = 0;
	return state;
}

bool frame_state__is_entry(const struct frame_state *state)
{
	return state->rsp == 8 && state->rbp == FRAME_RBP_CALLERS;
}

static bool row__set_cfa(const struct frame_state *state, struct unwind_row *row)
{
	bool by_rbp = state->rbp == FRAME_RBP_BASE && (!state->rsp || state->base == CONVENTIONAL);
	int32_t depth = by_rbp ? state->base : state->rsp;

	if (!depth || depth % 8)
		return false;
	row->cfa_rule = by_rbp ? UNWIND_RBP : UNWIND_RSP;
	row->cfa = (__s16)(depth / 8);
	if (depth / 8 <= INT16_MAX)
		return true;
	if (by_rbp)
		return false;
	row->cfa_rule = UNWIND_RSP_FAR;
	row->rbp_rule = (__u8)(depth / 8 >> 16 << 4);
	return true;
}

bool frame_state__row(const struct frame_state *state, struct unwind_row *row)
{
	*row = (struct unwind_row){ 0 };
	if (state->outermost) {
		row->cfa_rule = UNWIND_END;
		return true;
	}
	if (!row__set_cfa(state, row))
		return false;
	if (state->saved && state->saved % 8 == 0 && state->saved / 8 <= INT16_MAX) {
		row->rbp_rule |= UNWIND_RBP_CFA;
		row->rbp = (__s16)(-state->saved / 8);
	} else {
		row->rbp_rule |= state->rbp == FRAME_RBP_CALLERS ? UNWIND_RBP_SAME
								 : UNWIND_RBP_LOST;
	}
	return true;
}

void frame_decoder__init(struct frame_decoder *decoder)
{
	ZydisDecoderInit(&decoder->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	frame_decoder__jump(decoder);
}

void frame_decoder__jump(struct frame_decoder *decoder)
{
	decoder->sum = NOTHING;
	decoder->compared = false;
}

static int register_of(ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (ZydisRegisterGetClass(whole) != ZYDIS_REGCLASS_GPR64)
		return NOTHING;
	return ZydisRegisterGetId(whole);
}

static int operand_register(const struct frame_decoder *decoder, unsigned int n)
{
	const ZydisDecodedOperand *operand = &decoder->operands[n];

	if (n >= decoder->instruction.operand_count_visible ||
	    operand->type != ZYDIS_OPERAND_TYPE_REGISTER)
		return NOTHING;
	return register_of(operand->reg.value);
}

/* The depth that a register points at; 0 when it is not known. */
static int32_t state__depth_of(const struct frame_state *state, int reg)
{
	if (reg == RSP)
		return state->rsp;
	if (reg == RBP)
		return state->rbp == FRAME_RBP_BASE ? state->base : 0;
	return reg == R11 ? state->r11 : 0;
}

/* The depth of register + displacement; false when it is not known or nobody's frame. */
static bool operand__depth(const struct frame_state *state, const ZydisDecodedOperand *operand,
			   int32_t *depth)
{
	int32_t base = 0;

	if (operand->mem.index == ZYDIS_REGISTER_NONE &&
	    ZydisRegisterGetClass(operand->mem.base) == ZYDIS_REGCLASS_GPR64)
		base = state__depth_of(state, register_of(operand->mem.base));
	if (!base || operand->mem.segment == ZYDIS_REGISTER_FS ||
	    operand->mem.segment == ZYDIS_REGISTER_GS || operand->mem.disp.value > DEPTH_MAX ||
	    operand->mem.disp.value < -DEPTH_MAX)
		return false;
	*depth = base - (int32_t)operand->mem.disp.value;
	return true;
}

/* A depth that rsp and what is derived from it may have; 0 for any other. */
static int32_t sane(int64_t depth)
{
	return depth >= 8 && depth < DEPTH_MAX ? (int32_t)depth : 0;
}

/* `size` bytes from `depth` on are overwritten. */
static void state__overwrite(struct frame_state *state, int32_t depth, int32_t size)
{
	if (state->saved && depth - size < state->saved && state->saved - 8 < depth)
		state->saved = 0;
}

static void state__set_rbp(struct frame_state *state, enum frame_rbp rbp, int32_t base)
{
	if (rbp == FRAME_RBP_BASE && !base)
		rbp = FRAME_RBP_OTHER;
	state->rbp = rbp;
	state->base = rbp == FRAME_RBP_BASE ? base : 0;
}

/* rsp moves to `depth` (0: nobody knows where to). What it leaves behind may be overwritten. */
static void state__set_rsp(struct frame_state *state, int32_t depth)
{
	bool below = state->rsp && state->saved > state->rsp; /* in the red zone */

	if (depth ? state->saved > depth && !below : below)
		state->saved = 0;
	state->rsp = depth;
}

/* Register `reg` now points at `depth` (0: who knows where). */
static void state__set_register(struct frame_state *state, int reg, int32_t depth)
{
	if (reg == RSP) {
		state__set_rsp(state, depth);
	} else if (reg == RBP) {
		state__set_rbp(state, FRAME_RBP_BASE, depth);
	} else if (reg == R11) {
		state->r11 = depth;
	}
}

/* rbp is stored at `depth`. */
static void state__save_rbp(struct frame_state *state, int32_t depth)
{
	if (state->rbp == FRAME_RBP_CALLERS && !state->saved && depth > 8 && state->rsp &&
	    depth <= state->rsp + RED_ZONE)
		state->saved = depth;
}

/* rbp is loaded from `depth`. */
static void state__load_rbp(struct frame_state *state, int32_t depth)
{
	bool restored = state->saved && depth == state->saved;

	state__set_rbp(state, restored ? FRAME_RBP_CALLERS : FRAME_RBP_OTHER, 0);
	if (restored)
		state->saved = 0;
}

static void decoder__push(const struct frame_decoder *decoder, struct frame_state *state)
{
	int32_t size = decoder->instruction.operand_width / 8;

	if (!state->rsp)
		return;
	state->rsp = sane((int64_t)state->rsp + size);
	state__overwrite(state, state->rsp, size);
	if (operand_register(decoder, 0) == RBP && size == 8)
		state__save_rbp(state, state->rsp);
}

static void decoder__pop(const struct frame_decoder *decoder, struct frame_state *state)
{
	int32_t from = state->rsp, depth, size = decoder->instruction.operand_width / 8;
	int reg = operand_register(decoder, 0);

	if (reg == RBP && size == 8)
		state__load_rbp(state, from);
	else if (reg >= 0)
		state__set_register(state, reg, 0);
	if (from && reg != RSP)
		state__set_rsp(state, sane((int64_t)from - size));
	if (decoder->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
	    operand__depth(state, &decoder->operands[0], &depth))
		state__overwrite(state, depth, size);
}

static void decoder__leave(const struct frame_decoder *decoder, struct frame_state *state)
{
	int32_t from = state__depth_of(state, RBP);

	state__load_rbp(state, decoder->instruction.operand_width == 64 ? from : 0);
	state__set_rsp(state, from ? sane((int64_t)from - 8) : 0);
}

/* mov and lea between rsp, rbp, another register and the frame. False for what is neither. */
static bool decoder__move(const struct frame_decoder *decoder, struct frame_state *state)
{
	const ZydisDecodedOperand *operands = decoder->operands;
	int to = operand_register(decoder, 0), from = operand_register(decoder, 1);
	bool whole = decoder->instruction.operand_width == 64;
	int32_t depth = 0;

	if (decoder->instruction.mnemonic == ZYDIS_MNEMONIC_LEA) {
		if (!whole || !operand__depth(state, &operands[1], &depth))
			depth = 0;
		state__set_register(state, to, sane(depth));
		return true;
	}
	if (decoder->instruction.mnemonic != ZYDIS_MNEMONIC_MOV || !whole)
		return false;
	if (to >= 0 && from >= 0) {
		if (to == RBP && from == RBP)
			return true;
		state__set_register(state, to, state__depth_of(state, from));
		if (to == RBP && from == RSP && !state->rsp)
			state__set_rbp(state, FRAME_RBP_STACK, 0);
		return true;
	}
	if (operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY && from == RBP &&
	    operand__depth(state, &operands[0], &depth)) {
		state__overwrite(state, depth, 8);
		state__save_rbp(state, depth);
		return true;
	}
	if (to == RBP && operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY) {
		state__load_rbp(state, operand__depth(state, &operands[1], &depth) ? depth : 0);
		return true;
	}
	return false;
}

/* add and sub of a constant. */
static bool decoder__adjust(const struct frame_decoder *decoder, struct frame_state *state)
{
	ZydisMnemonic mnemonic = decoder->instruction.mnemonic;
	const ZydisDecodedOperand *by = &decoder->operands[1];
	int reg = operand_register(decoder, 0);
	int32_t depth = state__depth_of(state, reg);
	int64_t down;

	if ((mnemonic != ZYDIS_MNEMONIC_ADD && mnemonic != ZYDIS_MNEMONIC_SUB) || reg < 0 ||
	    by->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || decoder->instruction.operand_width != 64)
		return false;
	down = mnemonic == ZYDIS_MNEMONIC_SUB ? by->imm.value.s : -by->imm.value.s;
	state__set_register(state, reg, depth ? sane(depth + down) : 0);
	return true;
}

/* xor %ebp,%ebp where nothing was saved yet: _start, and a thread's first code. */
static bool decoder__ends_chain(const struct frame_decoder *decoder,
				const struct frame_state *state)
{
	return decoder->instruction.mnemonic == ZYDIS_MNEMONIC_XOR &&
	       operand_register(decoder, 0) == RBP && operand_register(decoder, 1) == RBP &&
	       decoder->instruction.operand_width >= 32 && state->rbp == FRAME_RBP_CALLERS &&
	       !state->saved && state->rsp == 8;
}

/* What any other instruction overwrites. */
static void decoder__clobber(const struct frame_decoder *decoder, struct frame_state *state)
{
	for (int i = 0; i < decoder->instruction.operand_count; i++) {
		const ZydisDecodedOperand *operand = &decoder->operands[i];
		int32_t depth;

		if (!(operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER)
			state__set_register(state, register_of(operand->reg.value), 0);
		else if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
			 operand__depth(state, operand, &depth))
			state__overwrite(state, depth, operand->size / 8);
	}
}

static void decoder__apply(const struct frame_decoder *decoder, struct frame_state *state)
{
	switch (decoder->instruction.mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_PUSHFQ:
	case ZYDIS_MNEMONIC_PUSHF:
		decoder__push(decoder, state);
		return;
	case ZYDIS_MNEMONIC_POP:
	case ZYDIS_MNEMONIC_POPFQ:
	case ZYDIS_MNEMONIC_POPF:
		decoder__pop(decoder, state);
		return;
	case ZYDIS_MNEMONIC_LEAVE:
		decoder__leave(decoder, state);
		return;
	case ZYDIS_MNEMONIC_NOP:
	case ZYDIS_MNEMONIC_ENDBR64:
		return;
	default:
		break;
	}
	if (decoder__ends_chain(decoder, state))
		state->outermost = true;
	if (!decoder__move(decoder, state) && !decoder__adjust(decoder, state))
		decoder__clobber(decoder, state);
}

/* The callee has what lies below rsp, and r11. */
static void state__call(struct frame_state *state)
{
	if (state->saved > state->rsp && state->rsp)
		state->saved = 0;
	state->r11 = 0;
}

static enum frame_flow decoder__flow(const struct frame_decoder *decoder)
{
	switch (decoder->instruction.meta.category) {
	case ZYDIS_CATEGORY_CALL:
		return FLOW_CALL;
	case ZYDIS_CATEGORY_COND_BR:
		return FLOW_BRANCH;
	case ZYDIS_CATEGORY_UNCOND_BR:
		return FLOW_JUMP;
	case ZYDIS_CATEGORY_RET:
		return FLOW_RETURN;
	default:
		break;
	}
	switch (decoder->instruction.mnemonic) {
	case ZYDIS_MNEMONIC_HLT:
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
		return FLOW_STOP;
	default:
		return FLOW_ON;
	}
}

/*
 * A table's jump: of memory by an index, or of a register to which the table's address was added.
 * That of another register is one, too, unless all of the frame is gone: then it is a call at the
 * function's end, as what goes through memory always is.
 */
static bool decoder__is_computed(const struct frame_decoder *decoder,
				 const struct frame_state *state)
{
	const ZydisDecodedOperand *operand = &decoder->operands[0];

	if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY)
		return operand->mem.index != ZYDIS_REGISTER_NONE;
	return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       (register_of(operand->reg.value) == decoder->sum ||
		(state->rsp && !frame_state__is_entry(state)));
}

static void decoder__find_target(const struct frame_decoder *decoder,
				 const struct frame_state *state, uint64_t address,
				 struct frame_step *step)
{
	const ZydisDecodedOperand *operand = &decoder->operands[0];

	uint64_t next = address + step->length;

	step->direct = operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operand->imm.is_relative;
	step->slot = operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
		     operand->mem.base == ZYDIS_REGISTER_RIP;
	if (step->direct)
		step->target = next + (uint64_t)operand->imm.value.s;
	else if (step->slot)
		step->target = next + (uint64_t)operand->mem.disp.value;
	else if (step->flow == FLOW_JUMP)
		step->computed = decoder__is_computed(decoder, state);
}

/* lea of a function: somebody will call it. */
static void decoder__find_name(const struct frame_decoder *decoder, uint64_t address,
			       struct frame_step *step)
{
	const ZydisDecodedOperand *from = &decoder->operands[1];

	if (decoder->instruction.mnemonic != ZYDIS_MNEMONIC_LEA ||
	    from->mem.base != ZYDIS_REGISTER_RIP)
		return;
	step->names_code = true;
	step->target = address + step->length + (uint64_t)from->mem.disp.value;
}

/* The registers of interest to the instructions that follow. */
static void decoder__remember(struct frame_decoder *decoder, const struct frame_state *state)
{
	int to = operand_register(decoder, 0), from = operand_register(decoder, 1);

	if (decoder->instruction.mnemonic == ZYDIS_MNEMONIC_ADD && to >= 0 &&
	    decoder->instruction.operand_width == 64)
		decoder->sum = to;
	else if (to == decoder->sum)
		decoder->sum = NOTHING;
	decoder->compared = decoder->instruction.mnemonic == ZYDIS_MNEMONIC_CMP && state->r11 &&
			    decoder->instruction.operand_width == 64 &&
			    ((to == RSP && from == R11) || (to == R11 && from == RSP));
}

/*
 * The end of a loop that touches a large frame page by page (-fstack-clash-protection): it is left
 * when rsp has come to where r11 points.
 */
void frame_decoder__pass(struct frame_decoder *decoder, struct frame_state *state)
{
	if (decoder->compared && decoder->instruction.mnemonic == ZYDIS_MNEMONIC_JNZ)
		state->rsp = state->r11;
	decoder->compared = false;
}

static bool decoder__is_filler(const struct frame_decoder *decoder)
{
	return decoder->instruction.mnemonic == ZYDIS_MNEMONIC_NOP ||
	       (decoder->instruction.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
		decoder->instruction.opcode == 0x90); /* xchg %ax,%ax */
}

bool frame_decoder__step(struct frame_decoder *decoder, const uint8_t *bytes, size_t size,
			 uint64_t address, struct frame_state *state, struct frame_step *step)
{
	*step = (struct frame_step){ .flow = FLOW_BAD };
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder->decoder, bytes, size,
						 &decoder->instruction, decoder->operands)))
		return false;
	step->length = decoder->instruction.length;
	step->flow = decoder__flow(decoder);
	if (step->flow != FLOW_ON && step->flow != FLOW_STOP) {
		decoder__find_target(decoder, state, address, step);
		if (step->flow == FLOW_CALL) {
			state__call(state);
			frame_decoder__jump(decoder);
		}
		return true;
	}
	step->filler = decoder__is_filler(decoder);
	decoder__find_name(decoder, address, step);
	decoder__apply(decoder, state);
	decoder__remember(decoder, state);
	return true;
}

size_t frame_decoder__padding(struct frame_decoder *decoder, const uint8_t *bytes, size_t size)
{
	if (size && !bytes[0])
		return 1; /* between two objects that were linked together */
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder->decoder, bytes, size,
						 &decoder->instruction, decoder->operands)))
		return 0;
	if (!decoder__is_filler(decoder) && decoder->instruction.mnemonic != ZYDIS_MNEMONIC_INT3)
		return 0;
	return decoder->instruction.length;
}
