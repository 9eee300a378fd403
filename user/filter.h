/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_FILTER_H
#define MEMWATCH_FILTER_H
/* Which sites a query keeps (snapshot.h, struct query), whatever they are then charged to. */
#include "snapshot.h"

struct filter; /* borrows the snapshot and the query */

struct filter *filter__new(const struct snapshot *snapshot,
			   const struct query *query); /* NULL: no memory */
void filter__free(struct filter *filter);
bool filter__keeps(struct filter *filter, const struct site *site);

#endif
