/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_GUESSES_H
#define MEMWATCH_UNWIND_GUESSES_H
/*
 * What is held to be so until the code proves it: that a function begins where something points
 * to, that a call returns, that a jump through a table leads to what nothing else does. One proof
 * may be enough for another guess. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "unwind_space.h"

enum { SURE }; /* no guess */

struct guesses {
	struct array items, links, sure;
};

void guesses__init(struct guesses *guesses);
void guesses__release(struct guesses *guesses);
/* Forgets all. 0 or -ENOMEM, as all that follow. */
int guesses__restart(struct guesses *guesses);
int guesses__add(struct guesses *guesses, uint32_t *guess);
/* It is right. SURE may be proved, too. */
void guesses__prove(struct guesses *guesses, uint32_t guess);
/* It is wrong, whatever else may speak for it. Not SURE. */
void guesses__refute(struct guesses *guesses, uint32_t guess);
/* `to` is right if `from` is. */
int guesses__link(struct guesses *guesses, uint32_t from, uint32_t to);
/* Once all is said: proves what follows from what is right. */
int guesses__settle(struct guesses *guesses);
bool guesses__holds(const struct guesses *guesses, uint32_t guess);

#endif
