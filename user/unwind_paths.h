/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_PATHS_H
#define MEMWATCH_UNWIND_PATHS_H
/*
 * Following code from the starts of its functions, call by call and branch by branch, until there
 * is nothing new. What holds at an instruction is what holds by whichever path one comes there.
 */
#include "unwind_roots.h"

/* Goes wherever it was to go. 0; -E2BIG: it is too much work; -ENOMEM. The same of all below. */
int paths__drain(struct paths *paths);
/* A function may begin at `position`, which nobody has seen. */
int paths__guess_function(struct paths *paths, uint32_t position);
/* Code at `position`, which nobody has seen, may go on with what holds at `visit`. */
int paths__guess_code(struct paths *paths, uint32_t position, uint32_t visit);
/* What has a name begins; nobody has seen it. */
int paths__begin_named(struct paths *paths, const struct name *name);

#endif
