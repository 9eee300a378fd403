/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_COMMAND_H
#define MEMWATCH_COMMAND_H
/* The verbs. Each says itself what went wrong and returns the exit status: 0, or 1 when it could
 * not be done. */
#include "options.h"

int command_top(const struct options *options);
int command_live(const struct options *options); /* top, on a terminal */
int command_record(const struct options *options);
int command_report(const struct options *options);
int command_leaks(const struct options *options); /* report --leaks */
int command_diff(const struct options *options); /* also 3: see --fail-on-growth */
int command_export(const struct options *options);
int command_doctor(const struct options *options);

#endif
