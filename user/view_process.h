/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_VIEW_PROCESS_H
#define MEMWATCH_VIEW_PROCESS_H
/* What a process is called in text. */
#include "snapshot.h"

enum { PROCESS_TEXT = 300 };
const char *view_process__comm(const struct process *process); /* "[unknown]" if it has none */
/* "perl[24916]": its comm alone where its pid is not known, in files of others. In `text`. */
const char *view_process__name(const struct process *process, char text[PROCESS_TEXT]);

#endif
