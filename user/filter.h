/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_FILTER_H
#define MEMWATCH_FILTER_H
/* Which stacks --include and --exclude keep (snapshot.h, struct query). */
#include "snapshot.h"

struct filter; /* borrows the snapshot and the globs */

struct filter *filter__new(const struct snapshot *snapshot, const char *const *include,
			   const char *const *exclude); /* NULL: no memory */
void filter__free(struct filter *filter);
bool filter__keeps(struct filter *filter, uint32_t stack); /* by the stack's index */

#endif
