/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dwarf.h>
#include <string.h>

#include "unwind_row.h"

enum { UNIT = 8, ADDEND_MAX = 15, FAR_MAX = 0xfffff };

/*
 * An expression of the only form that compilers and hand-written assembly use: *(reg + offset) +
 * addend.
 */
struct sum {
	uint64_t number;
	int64_t offset;
	bool deref;
	uint64_t addend; /* of what was read */
};

/*
 * The lazy PLT's: before its push an entry has one word less on the stack than after. binutils
 * (elf_x86_64_eh_frame_lazy_plt and relatives) writes the push's end as lit11, lit10, lit9 or lit5.
 *   breg7 8, breg16 0, lit15, and, LIT, ge, lit3, shl, plus
 */
static bool expression__is_plt(const struct cfi_rule *rule, unsigned int *bound)
{
	static const uint8_t head[] = { DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and };
	static const uint8_t tail[] = { DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus };
	const uint8_t *bytes = rule->expression;

	if (rule->size != sizeof(head) + 1 + sizeof(tail) || memcmp(bytes, head, sizeof(head)) ||
	    memcmp(bytes + sizeof(head) + 1, tail, sizeof(tail)))
		return false;
	*bound = bytes[sizeof(head)] - DW_OP_lit0;
	return *bound < 16;
}

/* What is added to the value so far: plus_uconst n, or litN plus. */
static bool expression__addend(const uint8_t **at, const uint8_t *end, uint64_t *addend)
{
	uint8_t op = *(*at)++;

	if (op == DW_OP_plus_uconst)
		return cfi__uleb(at, end, addend);
	*addend = op - DW_OP_lit0;
	return op >= DW_OP_lit0 && op <= DW_OP_lit31 && *at < end && *(*at)++ == DW_OP_plus;
}

static bool expression__sum(const struct cfi_rule *rule, struct sum *sum)
{
	const uint8_t *at = rule->expression, *end = at + rule->size;
	uint64_t added = 0;

	*sum = (struct sum){ 0 };
	if (at == end || *at < DW_OP_breg0 || *at > DW_OP_breg31)
		return false;
	sum->number = *at++ - DW_OP_breg0;
	if (!cfi__sleb(&at, end, &sum->offset))
		return false;
	if (at < end && *at != DW_OP_deref) {
		if (!expression__addend(&at, end, &added))
			return false;
		sum->offset = (int64_t)((uint64_t)sum->offset + added);
	}
	if (at < end && *at == DW_OP_deref) {
		sum->deref = true;
		at++;
	}
	return at == end || (expression__addend(&at, end, &sum->addend) && at == end);
}

/* `offset` in a row's units; false when it does not fit. */
static bool row__units(int64_t offset, __s16 *units)
{
	if (offset % UNIT || offset / UNIT > INT16_MAX || offset / UNIT < INT16_MIN)
		return false;
	*units = (__s16)(offset / UNIT);
	return true;
}

static bool row__set_register(struct unwind_row *row, uint64_t number, int64_t offset)
{
	row->cfa_rule = number == CFI_RBP ? UNWIND_RBP : UNWIND_RSP;
	return (number == CFI_RBP || number == CFI_RSP) && row__units(offset, &row->cfa);
}

/* A frame of 256 KiB or more: programs do keep a megabyte of buffer on the stack. */
static bool row__set_far(struct unwind_row *row, uint64_t number, int64_t offset)
{
	if (number != CFI_RSP || offset < 0 || offset % UNIT || offset / UNIT > FAR_MAX)
		return false;
	row->cfa_rule = UNWIND_RSP_FAR;
	row->cfa = (__s16)(offset / UNIT);
	row->rbp_rule = (__u8)(offset / UNIT >> 16 << 4);
	return true;
}

static bool row__set_expression(struct unwind_row *row, const struct cfi_rule *cfa)
{
	unsigned int bound;
	struct sum sum;

	if (expression__is_plt(cfa, &bound)) {
		row->cfa_rule = UNWIND_PLT;
		row->cfa = (__s16)bound;
		return true;
	}
	if (!expression__sum(cfa, &sum) || !row__set_register(row, sum.number, sum.offset))
		return false;
	if (!sum.deref)
		return !sum.addend;
	row->cfa_rule = sum.number == CFI_RBP ? UNWIND_DEREF_RBP : UNWIND_DEREF_RSP;
	row->rbp_rule = (__u8)(sum.addend / UNIT << 4);
	return sum.addend % UNIT == 0 && sum.addend / UNIT <= ADDEND_MAX;
}

/* A walk takes the CFA for the caller's rsp and the word below it for the return address. */
static bool rules__usual(const struct cfi_rules *rules)
{
	const struct cfi_rule *rip = &rules->rip, *rsp = &rules->rsp;

	return (rip->kind == CFI_UNSPECIFIED ||
		(rip->kind == CFI_OFFSET && rip->offset == -UNIT)) &&
	       (rsp->kind == CFI_UNSPECIFIED || (rsp->kind == CFI_VAL_OFFSET && rsp->offset == 0));
}

static bool row__set_cfa(struct unwind_row *row, const struct cfi_rules *rules)
{
	if (!rules__usual(rules))
		return false;
	if (rules->cfa.kind == CFI_REGISTER)
		return row__set_register(row, rules->cfa.number, rules->cfa.offset) ||
		       row__set_far(row, rules->cfa.number, rules->cfa.offset);
	return rules->cfa.kind == CFI_EXPRESSION && row__set_expression(row, &rules->cfa);
}

static enum unwind_rbp row__rbp(struct unwind_row *row, const struct cfi_rule *rbp)
{
	struct sum sum;

	switch (rbp->kind) {
	case CFI_UNSPECIFIED:
	case CFI_SAME_VALUE:
		return UNWIND_RBP_SAME;
	case CFI_OFFSET:
		return row__units(rbp->offset, &row->rbp) ? UNWIND_RBP_CFA : UNWIND_RBP_LOST;
	case CFI_REGISTER:
		return rbp->number == CFI_RBP ? UNWIND_RBP_SAME : UNWIND_RBP_LOST;
	case CFI_EXPRESSION:
	case CFI_VAL_EXPRESSION:
		if (!expression__sum(rbp, &sum) || sum.number != CFI_RBP || sum.deref || sum.addend)
			return UNWIND_RBP_LOST;
		if (rbp->kind == CFI_VAL_EXPRESSION)
			return sum.offset ? UNWIND_RBP_LOST : UNWIND_RBP_SAME;
		return row__units(sum.offset, &row->rbp) ? UNWIND_RBP_RBP : UNWIND_RBP_LOST;
	default:
		return UNWIND_RBP_LOST;
	}
}

struct unwind_row unwind_row__of_rules(const struct cfi_rules *rules, bool signal)
{
	struct unwind_row row = { 0 };

	if (rules->cfa.kind == CFI_INVALID)
		return (struct unwind_row){ .cfa_rule = UNWIND_UNSUPPORTED };
	if (signal)
		return (struct unwind_row){ .cfa_rule = UNWIND_SIGNAL };
	if (rules->rip.kind == CFI_UNDEFINED)
		return (struct unwind_row){ .cfa_rule = UNWIND_END };
	/*
	 * Such is the rule of _dl_runtime_resolve_xsavec (glibc 2.36): CFA = rbx + 32. It
	 * calls nobody but _dl_fixup, which saves rbx 40 below its own CFA, so *(rsp - 40) + 32
	 * holds at that call's return address; but not in a signal that comes before that push.
	 */
	if (!row__set_cfa(&row, rules))
		return (struct unwind_row){ .cfa_rule = UNWIND_UNSUPPORTED };
	row.rbp_rule |= row__rbp(&row, &rules->rbp);
	return row;
}
