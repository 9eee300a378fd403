/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_ROW_H
#define MEMWATCH_UNWIND_ROW_H
/* What DWARF says of a place -> struct unwind_row, as far as a row can hold it. Pure. */
#include <stdbool.h>

#include "cfi.h"
#include "../bpf/memwatch.h"

/* `low` is 0: the caller knows the place. */
struct unwind_row unwind_row__of_rules(const struct cfi_rules *rules, bool signal);

/* The same rule, wherever it holds. */
static inline bool unwind_row__same(const struct unwind_row *a, const struct unwind_row *b)
{
	return a->cfa_rule == b->cfa_rule && a->rbp_rule == b->rbp_rule && a->cfa == b->cfa &&
	       a->rbp == b->rbp;
}

#endif
