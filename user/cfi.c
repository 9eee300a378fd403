/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dwarf.h>
#include <string.h>

#include "cfi.h"

enum {
	REMEMBERED = 16,    /* DW_CFA_remember_state nests; compilers go one deep */
	BUDGET_FACTOR = 32, /* two reads of a short CIE for each short FDE need about three */
	ENCODING_SIZE = 0x0f,
	ENCODING_BASE = 0xf0,
};

/* A place in the section. Once `bad` is set everything read is zero. */
struct cursor {
	const uint8_t *at, *end;
	bool bad;
};

bool cfi__uleb(const uint8_t **bytes, const uint8_t *end, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; *bytes < end && shift < 64; shift += 7) {
		uint8_t byte = *(*bytes)++;

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

bool cfi__sleb(const uint8_t **bytes, const uint8_t *end, int64_t *value)
{
	uint64_t bits = 0;

	for (unsigned int shift = 0; *bytes < end && shift < 64;) {
		uint8_t byte = *(*bytes)++;

		bits |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (byte & 0x80)
			continue;
		if (byte & 0x40 && shift < 64)
			bits |= ~0ULL << shift;
		*value = (int64_t)bits;
		return true;
	}
	*value = 0;
	return false;
}

static uint64_t cursor__uleb(struct cursor *cursor)
{
	uint64_t value = 0;

	if (!cursor->bad && !cfi__uleb(&cursor->at, cursor->end, &value))
		cursor->bad = true;
	return cursor->bad ? 0 : value;
}

static int64_t cursor__sleb(struct cursor *cursor)
{
	int64_t value = 0;

	if (!cursor->bad && !cfi__sleb(&cursor->at, cursor->end, &value))
		cursor->bad = true;
	return cursor->bad ? 0 : value;
}

static const uint8_t *cursor__skip(struct cursor *cursor, uint64_t size)
{
	const uint8_t *at = cursor->at;

	if (cursor->bad || size > (uint64_t)(cursor->end - cursor->at)) {
		cursor->bad = true;
		return NULL;
	}
	cursor->at += size;
	return at;
}

static uint64_t cursor__fixed(struct cursor *cursor, size_t size)
{
	const uint8_t *at = cursor__skip(cursor, size);
	uint64_t value = 0;

	if (at)
		memcpy(&value, at, size);
	return value;
}

static uint64_t cursor__encoded_value(struct cursor *cursor, uint8_t encoding)
{
	switch (encoding & ENCODING_SIZE) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		return cursor__fixed(cursor, 8);
	case DW_EH_PE_udata4:
		return cursor__fixed(cursor, 4);
	case DW_EH_PE_sdata4:
		return (uint64_t)(int32_t)cursor__fixed(cursor, 4);
	case DW_EH_PE_udata2:
		return cursor__fixed(cursor, 2);
	case DW_EH_PE_sdata2:
		return (uint64_t)(int16_t)cursor__fixed(cursor, 2);
	case DW_EH_PE_uleb128:
		return cursor__uleb(cursor);
	case DW_EH_PE_sleb128:
		return (uint64_t)cursor__sleb(cursor);
	}
	cursor->bad = true;
	return 0;
}

/* An address. Relative to text, data or function, indirect, aligned: not in an FDE of x86-64. */
static uint64_t cursor__encoded(struct cursor *cursor, const struct cfi *cfi, uint8_t encoding)
{
	uint64_t here = cfi->section.address + (uint64_t)(cursor->at - cfi->section.bytes);
	uint64_t value = cursor__encoded_value(cursor, encoding);

	switch (encoding & ENCODING_BASE) {
	case 0:
		return value;
	case DW_EH_PE_pcrel:
		return here + value;
	}
	cursor->bad = true;
	return 0;
}

/*
 * The extent of the entry at `position`: its body after the length. False when it leaves the
 * section.
 */
static bool entry__body(const struct cfi *cfi, size_t position, struct cursor *body, bool *wide)
{
	const uint8_t *bytes = cfi->section.bytes;
	uint64_t length;

	*body = (struct cursor){ bytes + position, bytes + cfi->section.size, false };
	length = cursor__fixed(body, 4);
	*wide = length == 0xffffffff;
	if (*wide)
		length = cursor__fixed(body, 8);
	if (body->bad || length > (uint64_t)(body->end - body->at))
		return false;
	body->end = body->at + length;
	return true;
}

/* Reads the CIE pointer or CIE mark; `*cie` is the position of the CIE when the entry is an FDE. */
static bool entry__is_cie(const struct cfi *cfi, struct cursor *body, bool wide, uint64_t *cie)
{
	uint64_t here = (uint64_t)(body->at - cfi->section.bytes);
	/* .eh_frame keeps four bytes even after a 64-bit length */
	uint64_t id = cursor__fixed(body, wide && cfi->section.debug ? 8 : 4);

	*cie = cfi->section.debug ? id : here - id;
	if (!cfi->section.debug)
		return id == 0;
	return id == (wide ? ~0ULL : 0xffffffff);
}

/*
 * The augmentation's letters and their data. What stands after an unknown letter is skipped by its
 * length.
 */
static bool cie__augmentation(struct cfi_cie *cie, const char *letters, struct cursor *body)
{
	struct cursor data;
	uint64_t size;

	if (!*letters)
		return true;
	if (*letters != 'z')
		return false;
	cie->augmented = true;
	size = cursor__uleb(body);
	data.at = cursor__skip(body, size);
	if (!data.at)
		return false;
	data.end = body->at;
	data.bad = false;
	for (letters++; *letters && !data.bad; letters++) {
		if (*letters == 'R')
			cie->encoding = cursor__fixed(&data, 1);
		else if (*letters == 'L')
			cursor__fixed(&data, 1);
		else if (*letters == 'P')
			cursor__encoded_value(&data, cursor__fixed(&data, 1));
		else if (*letters == 'S')
			cie->signal = true;
		else if (*letters != 'B')
			return false;
	}
	return !data.bad;
}

static bool cie__header(struct cfi_cie *cie, struct cursor *body)
{
	uint8_t version = cursor__fixed(body, 1);
	const char *letters = (const char *)body->at;
	const uint8_t *zero = body->bad ? NULL : memchr(body->at, 0, body->end - body->at);
	uint64_t return_register;

	if (!zero || (version != 1 && version != 3 && version != 4))
		return false;
	body->at = zero + 1;
	if (version == 4 && cursor__fixed(body, 2) != 8) /* address size 8, no segments */
		return false;
	cie->code_align = cursor__uleb(body);
	cie->data_align = cursor__sleb(body);
	return_register = version == 1 ? cursor__fixed(body, 1) : cursor__uleb(body);
	cie->encoding = DW_EH_PE_absptr;
	return cie__augmentation(cie, letters, body) && !body->bad && return_register == CFI_RIP;
}

/* The state of a run. */
struct run {
	struct cfi *cfi;
	struct cursor code;
	uint64_t address, end;
	struct cfi_rules rules;
	struct cfi_rules remembered[REMEMBERED];
	unsigned int depth;
	cfi_emit emit; /* NULL: the CIE's own instructions, which have no address */
	void *context;
};

/* Where the rule of a register is kept; `scratch` for those that nobody asks for. */
static struct cfi_rule *run__rule(struct cfi_rules *rules, uint64_t number,
				  struct cfi_rule *scratch)
{
	switch (number) {
	case CFI_RBP:
		return &rules->rbp;
	case CFI_RSP:
		return &rules->rsp;
	case CFI_RIP:
		return &rules->rip;
	}
	return scratch;
}

static int64_t run__scaled(const struct run *run, int64_t factor)
{
	return (int64_t)((uint64_t)factor * (uint64_t)run->cfi->cie.data_align);
}

static struct cfi_rule cursor__expression(struct cursor *code, enum cfi_kind kind)
{
	struct cfi_rule rule = { .kind = kind };
	uint64_t size = cursor__uleb(code);

	rule.expression = cursor__skip(code, size);
	rule.size = rule.expression ? (uint32_t)size : 0;
	return rule;
}

/* Instructions that set the rule of the register `number`. */
static void run__set_register(struct run *run, uint8_t op, uint64_t number)
{
	struct cfi_rule scratch, *rule = run__rule(&run->rules, number, &scratch);
	struct cursor *code = &run->code;

	switch (op) {
	case DW_CFA_offset:
	case DW_CFA_offset_extended:
		*rule = (struct cfi_rule){ .kind = CFI_OFFSET,
					   .offset = run__scaled(run, cursor__uleb(code)) };
		break;
	case DW_CFA_offset_extended_sf:
		*rule = (struct cfi_rule){ .kind = CFI_OFFSET,
					   .offset = run__scaled(run, cursor__sleb(code)) };
		break;
	case DW_CFA_GNU_negative_offset_extended:
		*rule = (struct cfi_rule){ .kind = CFI_OFFSET,
					   .offset = run__scaled(run, -cursor__uleb(code)) };
		break;
	case DW_CFA_val_offset:
		*rule = (struct cfi_rule){ .kind = CFI_VAL_OFFSET,
					   .offset = run__scaled(run, cursor__uleb(code)) };
		break;
	case DW_CFA_val_offset_sf:
		*rule = (struct cfi_rule){ .kind = CFI_VAL_OFFSET,
					   .offset = run__scaled(run, cursor__sleb(code)) };
		break;
	case DW_CFA_restore:
	case DW_CFA_restore_extended:
		*rule = *run__rule(&run->cfi->cie.rules, number, &scratch);
		break;
	case DW_CFA_undefined:
		*rule = (struct cfi_rule){ .kind = CFI_UNDEFINED };
		break;
	case DW_CFA_same_value:
		*rule = (struct cfi_rule){ .kind = CFI_SAME_VALUE };
		break;
	case DW_CFA_register:
		*rule = (struct cfi_rule){ .kind = CFI_REGISTER, .number = cursor__uleb(code) };
		break;
	case DW_CFA_expression:
		*rule = cursor__expression(code, CFI_EXPRESSION);
		break;
	case DW_CFA_val_expression:
		*rule = cursor__expression(code, CFI_VAL_EXPRESSION);
		break;
	}
}

/* Instructions that set the rule of the CFA; false when it is none of these. */
static bool run__set_cfa(struct run *run, uint8_t op)
{
	struct cfi_rule *cfa = &run->rules.cfa;
	struct cursor *code = &run->code;

	switch (op) {
	case DW_CFA_def_cfa:
	case DW_CFA_def_cfa_sf:
		*cfa = (struct cfi_rule){ .kind = CFI_REGISTER, .number = cursor__uleb(code) };
		cfa->offset = op == DW_CFA_def_cfa ? (int64_t)cursor__uleb(code)
						   : run__scaled(run, cursor__sleb(code));
		return true;
	case DW_CFA_def_cfa_register:
		code->bad |= cfa->kind != CFI_REGISTER;
		cfa->number = cursor__uleb(code);
		return true;
	case DW_CFA_def_cfa_offset:
	case DW_CFA_def_cfa_offset_sf:
		code->bad |= cfa->kind != CFI_REGISTER;
		cfa->offset = op == DW_CFA_def_cfa_offset ? (int64_t)cursor__uleb(code)
							  : run__scaled(run, cursor__sleb(code));
		return true;
	case DW_CFA_def_cfa_expression:
		*cfa = cursor__expression(code, CFI_EXPRESSION);
		return true;
	}
	return false;
}

static void run__remember(struct run *run)
{
	if (run->depth == REMEMBERED)
		run->code.bad = true;
	else
		run->remembered[run->depth++] = run->rules;
}

static void run__recall(struct run *run)
{
	if (!run->depth)
		run->code.bad = true;
	else
		run->rules = run->remembered[--run->depth];
}

/* Everything that is neither packed into the opcode's high bits nor about the address. */
static void run__extended(struct run *run, uint8_t op)
{
	switch (op) {
	case DW_CFA_nop:
	case DW_CFA_GNU_window_save:
		return;
	case DW_CFA_GNU_args_size:
		cursor__uleb(&run->code);
		return;
	case DW_CFA_remember_state:
		run__remember(run);
		return;
	case DW_CFA_restore_state:
		run__recall(run);
		return;
	case DW_CFA_offset_extended:
	case DW_CFA_offset_extended_sf:
	case DW_CFA_GNU_negative_offset_extended:
	case DW_CFA_val_offset:
	case DW_CFA_val_offset_sf:
	case DW_CFA_restore_extended:
	case DW_CFA_undefined:
	case DW_CFA_same_value:
	case DW_CFA_register:
	case DW_CFA_expression:
	case DW_CFA_val_expression:
		run__set_register(run, op, cursor__uleb(&run->code));
		return;
	}
	if (!run__set_cfa(run, op))
		run->code.bad = true;
}

/* How far the instruction moves the address; false when it does not. */
static bool run__advance(struct run *run, uint8_t op, uint64_t *delta)
{
	uint64_t target, factor = run->cfi->cie.code_align;

	if ((op & 0xc0) == DW_CFA_advance_loc) {
		*delta = (op & 0x3f) * factor;
		return true;
	}
	switch (op) {
	case DW_CFA_advance_loc1:
		*delta = cursor__fixed(&run->code, 1) * factor;
		return true;
	case DW_CFA_advance_loc2:
		*delta = cursor__fixed(&run->code, 2) * factor;
		return true;
	case DW_CFA_advance_loc4:
		*delta = cursor__fixed(&run->code, 4) * factor;
		return true;
	case DW_CFA_set_loc:
		target = cursor__encoded(&run->code, run->cfi, run->cfi->cie.encoding);
		run->code.bad |= target < run->address;
		*delta = target - run->address;
		return true;
	}
	return false;
}

static int run__emit(struct run *run)
{
	return run->emit(run->context, run->address, &run->rules, run->cfi->cie.signal);
}

/* One instruction. Returns 1 when the rest is of no interest, or what `emit` returned. */
static int run__step(struct run *run)
{
	uint8_t op = cursor__fixed(&run->code, 1);
	uint64_t delta;
	int err;

	if (run__advance(run, op, &delta)) {
		if (!delta || run->code.bad)
			return 0;
		if (!run->emit || delta >= run->end - run->address)
			return 1;
		err = run__emit(run);
		run->address += delta;
		return err;
	}
	if (op & 0xc0)
		run__set_register(run, op & 0xc0, op & 0x3f);
	else
		run__extended(run, op);
	return 0;
}

/* Runs to the end; nonsense makes what is left of the range invalid. */
static int run__all(struct run *run)
{
	int err = 0;

	while (!err && !run->code.bad && run->code.at < run->code.end)
		err = run__step(run);
	if (run->code.bad)
		run->rules.cfa.kind = CFI_INVALID;
	if (err < 0 || !run->emit)
		return err < 0 ? err : 0;
	return run__emit(run);
}

static void cie__initialise(struct cfi *cfi, struct cursor code)
{
	struct run run = { .cfi = cfi, .code = code };

	run__all(&run);
	cfi->cie.rules = run.rules;
}

/* Makes the CIE at `position` the current one; false when it cannot be used. */
static bool cfi__load_cie(struct cfi *cfi, uint64_t position)
{
	struct cfi_cie *cie = &cfi->cie;
	struct cursor body;
	uint64_t size, ignored;
	bool wide;

	if (cie->loaded && cie->position == position)
		return cie->valid;
	if (position >= cfi->section.size || !entry__body(cfi, position, &body, &wide))
		return false;
	size = (uint64_t)(body.end - body.at);
	if (size > cfi->budget)
		return false;
	cfi->budget -= size;
	memset(cie, 0, sizeof(*cie));
	cie->loaded = true;
	cie->position = (uint32_t)position;
	cie->valid = entry__is_cie(cfi, &body, wide, &ignored) && cie__header(cie, &body);
	if (cie->valid)
		cie__initialise(cfi, body);
	return cie->valid;
}

static bool cfi__read_fde(struct cfi *cfi, struct cursor *body, uint64_t cie, struct cfi_fde *fde)
{
	uint64_t size;

	if (!cfi__load_cie(cfi, cie))
		return false;
	fde->cie = (uint32_t)cie;
	fde->start = cursor__encoded(body, cfi, cfi->cie.encoding);
	size = cursor__encoded_value(body, cfi->cie.encoding);
	if (cfi->cie.augmented)
		cursor__skip(body, cursor__uleb(body));
	fde->end = fde->start + size;
	fde->position = (uint32_t)(body->at - cfi->section.bytes);
	fde->limit = (uint32_t)(body->end - cfi->section.bytes);
	return !body->bad && fde->end > fde->start;
}

void cfi__init(struct cfi *cfi, const struct cfi_section *section)
{
	memset(cfi, 0, sizeof(*cfi));
	cfi->section = *section;
	cfi->budget = (uint64_t)section->size * BUDGET_FACTOR;
}

bool cfi__next(struct cfi *cfi, size_t *position, struct cfi_fde *fde)
{
	struct cursor body;
	uint64_t cie;
	bool wide;

	while (*position < cfi->section.size && entry__body(cfi, *position, &body, &wide)) {
		*position = (size_t)(body.end - cfi->section.bytes);
		if (body.at == body.end && cfi->section.terminated)
			return false;
		if (body.at == body.end || entry__is_cie(cfi, &body, wide, &cie))
			continue;
		if (cfi__read_fde(cfi, &body, cie, fde))
			return true;
	}
	return false;
}

int cfi__run(struct cfi *cfi, const struct cfi_fde *fde, cfi_emit emit, void *context)
{
	struct run run = { .cfi = cfi, .address = fde->start, .end = fde->end };

	if (cfi__load_cie(cfi, fde->cie)) {
		run.rules = cfi->cie.rules;
		run.code.at = cfi->section.bytes + fde->position;
		run.code.end = cfi->section.bytes + fde->limit;
		run.code.bad = run.rules.cfa.kind == CFI_INVALID;
	} else {
		run.code.bad = true; /* the budget is used up */
	}
	run.emit = emit;
	run.context = context;
	return run__all(&run);
}
