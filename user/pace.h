/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PACE_H
#define MEMWATCH_PACE_H
/* How often something is done: once an interval on average, some of it one after the other. */
#include <stdbool.h>
#include <stdint.h>

struct pace {
	uint64_t paid; /* ns that what was done is good for; 0: nothing was */
};

/* Whether it is time at `now` (ns); if so, that is one time more. */
bool pace__allows(struct pace *pace, uint64_t now, uint64_t interval_ns, unsigned int burst);

#endif
