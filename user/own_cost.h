/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_OWN_COST_H
#define MEMWATCH_OWN_COST_H
/* What memwatch's own process uses. */
#include <stdint.h>

#include "live.h"

struct own_clock { /* zeros, to begin with */
	uint64_t cpu_ns, wall_ns;
};

/* Since it was asked the last time. */
struct own_cost own_cost__measure(struct own_clock *clock);

#endif
