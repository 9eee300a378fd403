/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_GAPS_H
#define MEMWATCH_UNWIND_GAPS_H
/* Code that no FDE describes is followed instruction by instruction (unwind_code.h). */
#include "elf_image.h"
#include "unwind_claims.h"

/*
 * Adds a claim for each stretch of such code, and claims->code, unless nothing is known of any of
 * it. An object whose code is all described costs a look at its claims. 0 or -ENOMEM, -ENOEXEC.
 */
int gaps__follow(struct claims *claims, struct elf_image *image, int fd);

#endif
