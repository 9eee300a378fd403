/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_FRAME_STATE_H
#define MEMWATCH_FRAME_STATE_H
/*
 * Where the caller's frame is, as far as an instruction's predecessors tell: what call frame
 * information would say, had the compiler written any. Pure.
 */
#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/memwatch.h"

enum frame_rbp {
	FRAME_RBP_CALLERS, /* rbp is as the caller left it */
	FRAME_RBP_BASE,    /* rbp is CFA - base */
	FRAME_RBP_STACK,   /* the same, but base is not known */
	FRAME_RBP_OTHER,
};

/* Depths are bytes below the CFA; the return address is at 8. */
struct frame_state {
	int32_t rsp;   /* the stack pointer's depth; 0: not known */
	int32_t base;  /* rbp's, if it is FRAME_RBP_BASE */
	int32_t saved; /* where the caller's rbp was put; 0: nowhere that is known */
	int32_t r11;   /* where r11 points; 0: who knows. Loops that touch a large frame use it */
	uint8_t rbp;   /* enum frame_rbp */
	bool outermost; /* psABI 3.4.1: rbp was zeroed and not saved. There is no caller */
};

/* At the entry of a function. */
static inline struct frame_state frame_state__entry(void)
{
	return (struct frame_state){ .rsp = 8 };
}

bool frame_state__same(const struct frame_state *a, const struct frame_state *b);
/* What holds when either may. */
struct frame_state frame_state__join(const struct frame_state *a, const struct frame_state *b);
/* As a function must leave it: the return address on top, rbp the caller's. */
bool frame_state__is_entry(const struct frame_state *state);
/* False when the state is not enough to find the caller. `low` is 0. */
bool frame_state__row(const struct frame_state *state, struct unwind_row *row);
/* Whether rbp points into the function's own frame. */
static inline bool frame_state__has_base(const struct frame_state *state)
{
	return state->rbp == FRAME_RBP_BASE || state->rbp == FRAME_RBP_STACK;
}

enum frame_flow {
	FLOW_ON,     /* to what stands next */
	FLOW_CALL,
	FLOW_JUMP,
	FLOW_BRANCH, /* there or on */
	FLOW_RETURN,
	FLOW_STOP,   /* nowhere */
	FLOW_BAD,    /* no instruction */
};

struct frame_step {
	enum frame_flow flow;
	uint8_t length;
	bool direct;     /* `target` is known */
	bool slot;       /* `target` is where a pointer to it lies, at a fixed address */
	bool computed;   /* a jump by a table */
	bool filler;     /* does nothing */
	bool names_code; /* `target` is an address that was taken */
	uint64_t target;
};

/* Decodes along a path. Remembers a little of what it has just seen. */
struct frame_decoder {
	ZydisDecoder decoder;
	ZydisDecoderContext context;
	ZydisDecodedInstruction instruction;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	int sum;       /* the register to which one was just added, or -1 */
	bool compared; /* rsp with r11, by the instruction before */
};

void frame_decoder__init(struct frame_decoder *decoder);
/* A path begins. */
void frame_decoder__jump(struct frame_decoder *decoder);
/*
 * The instruction at `bytes`, which is at `address`: `state` becomes what holds behind it, and at
 * the target of a branch. False when there is none.
 */
bool frame_decoder__step(struct frame_decoder *decoder, const uint8_t *bytes, size_t size,
			 uint64_t address, struct frame_state *state, struct frame_step *step);
/* After a step that was a FLOW_BRANCH: what holds when it is not taken. */
void frame_decoder__pass(struct frame_decoder *decoder, struct frame_state *state);
/* The length of a filler that nobody runs, or 0. */
size_t frame_decoder__padding(struct frame_decoder *decoder, const uint8_t *bytes, size_t size);

#endif
