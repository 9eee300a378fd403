/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_CLAIMS_H
#define MEMWATCH_UNWIND_CLAIMS_H
/*
 * Who says what of an object's code: the FDEs of .eh_frame and .debug_frame, signal restorers, and
 * of what they leave out, the instructions themselves.
 */
#include <stddef.h>
#include <stdint.h>

#include "cfi.h"
#include "elf_image.h"
#include "unwind_code.h"

enum claim_source {
	CLAIM_EH_FRAME,
	CLAIM_DEBUG_FRAME,
	CLAIM_RESTORER,
	CLAIM_CODE,
	CLAIM_UNKNOWN, /* code that could not be followed */
	CLAIM_CFI = CLAIM_RESTORER, /* so many have FDEs */
};

/* Code that something describes. Where two overlap the first has it. */
struct claim {
	uint64_t start, end; /* file offsets */
	uint64_t address;    /* virtual, of `start` */
	uint64_t fde_end;    /* virtual */
	enum claim_source source;
	uint32_t cie, position,
		limit; /* of its struct cfi_fde; or position is the range's number */
};

struct claims {
	struct claim *items; /* by `start` */
	size_t count, capacity;
	size_t fdes; /* of the items */
	struct cfi cfi[CLAIM_CFI];
	struct unwind_code *code;  /* of CLAIM_CODE; NULL when there is none */
	struct unwind_row unknown; /* what is to hold in code of which nothing is known */
};

/* All but what unwind_gaps.h adds. 0; -ENOEXEC; -ENOMEM. claims__free in any case. */
int claims__read(struct claims *claims, struct elf_image *image);
void claims__free(struct claims *claims);

int claims__add(struct claims *claims, const struct claim *claim);
/* Items must be in order when they are used. */
void claims__sort(struct claims *claims);

#endif
