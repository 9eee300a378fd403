/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_ENDINGS_H
#define MEMWATCH_UNWIND_ENDINGS_H
/*
 * Functions that never return, as their calls show: behind one of them another function begins. By
 * the address that is called, or the address of a pointer to them. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "unwind_space.h"

struct endings {
	struct array known; /* ascending */
	struct array suspects;
};

void endings__init(struct endings *endings);
void endings__release(struct endings *endings);
/* A function begins behind a call of `callee`. 0 or -ENOMEM. */
int endings__suspect(struct endings *endings, uint64_t callee);
/* Those that were suspected are known from now on, but for those that return. 1: there are new
 * ones; 0 or -ENOMEM. */
int endings__learn(struct endings *endings, bool (*returns)(void *context, uint64_t callee),
		   void *context);
bool endings__have(const struct endings *endings, uint64_t callee);

#endif
