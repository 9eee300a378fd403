/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pace.h"

bool pace__allows(struct pace *pace, uint64_t now, uint64_t interval_ns, unsigned int burst)
{
	if (pace->paid > now + (burst - 1) * interval_ns)
		return false;
	if (pace->paid < now)
		pace->paid = now;
	pace->paid += interval_ns;
	return true;
}
