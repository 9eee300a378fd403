/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_DWARF_SCOPE_H
#define MEMWATCH_DWARF_SCOPE_H
/*
 * The namespaces and classes around the functions of a C++ unit that have no linkage name: gcc
 * gives none to a function of internal linkage that was inlined everywhere.
 */
#include <elfutils/libdw.h>
#include <stddef.h>
#include <stdint.h>

#include "string_pool.h"

struct dwarf_scopes {
	struct scope *items;
	size_t count, room;
	struct placed *placed; /* by offset */
	size_t placed_count, placed_room;
};

enum { DWARF_SCOPE_NONE = 0 }; /* the unit itself */

/* The scope that `die` opens inside `around`: in *scope; 0 or -ENOMEM. */
int dwarf_scopes__enter(struct dwarf_scopes *scopes, Dwarf_Die *die, uint32_t around,
			uint32_t *scope);
/* Says where `function` stands. Functions come by ascending offset. 0 or -ENOMEM. */
int dwarf_scopes__place(struct dwarf_scopes *scopes, Dwarf_Die *function, uint32_t scope);
/* `name` of the function at `offset` with its scopes before it, kept in `strings`; `name` itself
 * when it has none, or there is no memory. */
const char *dwarf_scopes__qualify(const struct dwarf_scopes *scopes, Dwarf_Off offset,
				  const char *name, struct string_pool *strings);
void dwarf_scopes__free(struct dwarf_scopes *scopes);

#endif
