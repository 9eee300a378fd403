/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_CFI_H
#define MEMWATCH_CFI_H
/*
 * DWARF call frame information (DWARF 5, section 6.4; the .eh_frame variant: LSB Core, chapter 10),
 * read from bytes that nobody vouches for. Only what unwinding x86-64 by rsp, rbp and rip needs is
 * kept. Allocates nothing; the work done is bounded by the section's size.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CFI_RBP = 6, CFI_RSP = 7, CFI_RIP = 16 }; /* psABI x86-64, figure 3.36 */

struct cfi_section {
	const uint8_t *bytes;
	size_t size;      /* below 4 GiB */
	uint64_t address; /* virtual address of the first byte */
	bool debug;       /* .debug_frame, not .eh_frame */
	bool terminated;  /* a zero length ends it: its real size is not known */
};

struct cfi_fde {
	uint64_t start, end;      /* virtual addresses of the code, [start, end) */
	uint32_t cie;             /* position of its CIE in the section */
	uint32_t position, limit; /* of its instructions */
};

enum cfi_kind {
	CFI_UNSPECIFIED,
	CFI_UNDEFINED,
	CFI_SAME_VALUE,
	CFI_OFFSET,         /* saved at CFA + offset */
	CFI_VAL_OFFSET,     /* is CFA + offset */
	CFI_REGISTER,       /* in register `number`; for the CFA: register + offset */
	CFI_EXPRESSION,     /* saved at what the expression gives; for the CFA: that */
	CFI_VAL_EXPRESSION, /* is what the expression gives */
	CFI_INVALID,        /* instructions that make no sense */
};

struct cfi_rule {
	enum cfi_kind kind;
	uint32_t size; /* of the expression, bytes */
	union {
		int64_t offset;
		const uint8_t *expression; /* in the section */
	};
	uint64_t number;
};

struct cfi_rules {
	struct cfi_rule cfa, rbp, rsp, rip;
};

struct cfi_cie {
	bool loaded, valid, augmented, signal;
	uint8_t encoding; /* DW_EH_PE_* of the FDE's addresses */
	uint32_t position;
	uint64_t code_align;
	int64_t data_align;
	struct cfi_rules rules; /* after the initial instructions */
};

struct cfi {
	struct cfi_section section;
	struct cfi_cie cie; /* the one used last */
	uint64_t budget;    /* bytes of CIEs that may still be read */
};

void cfi__init(struct cfi *cfi, const struct cfi_section *section);
/*
 * The next FDE at or after `*position` (0 at first), which moves on. False at the end. What cannot
 * be read is passed over.
 */
bool cfi__next(struct cfi *cfi, size_t *position, struct cfi_fde *fde);

/* Called with rising addresses, all in [fde->start, fde->end), the first being fde->start. */
typedef int (*cfi_emit)(void *context, uint64_t address, const struct cfi_rules *rules,
			bool signal);
/* Runs the FDE; returns 0, or the first thing but 0 that `emit` returned. */
int cfi__run(struct cfi *cfi, const struct cfi_fde *fde, cfi_emit emit, void *context);

/* LEB128 at `*bytes`, which moves on; false when it does not end before `end` or is over-long. */
bool cfi__uleb(const uint8_t **bytes, const uint8_t *end, uint64_t *value);
bool cfi__sleb(const uint8_t **bytes, const uint8_t *end, int64_t *value);

#endif
