/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_PATHS_H
#define MEMWATCH_UNWIND_PATHS_H
/*
 * Following code from the starts of its functions, call by call and branch by branch, until there
 * is nothing new. What holds at an instruction is what holds by whichever path one comes there.
 */
#include "frame_state.h"
#include "unwind_space.h"

enum { UNSEEN, INSIDE, FIRST_VISIT }; /* paths->at: in the middle of an instruction, or a visit */

/* What holds at some instructions of a function. */
struct visit {
	struct frame_state state;
	uint32_t root;
};

/* A function, or what turned out to be called or named like one. */
struct root {
	uint32_t start, end; /* positions; end 0: not known */
	uint32_t last;       /* of its instructions that were met */
	uint32_t waiting;    /* the first of what goes on when it returns, an index; 0: none */
	uint32_t table;      /* the visit of its jumps through tables; 0: none */
	bool tables_differ;
	bool entry;          /* of the program: there is no caller */
	bool returns;
	bool wrong;          /* it cannot be as it was followed */
	bool guessed;        /* nothing but a pointer says that it is a function */
	bool proved;         /* it ends like one: the frame is gone, rbp is the caller's */
};

enum way { WAY_BRANCH, WAY_CALL /* from behind one */, WAY_START /* of a function */ };

/* To go on at `position` with `visit`; or UNWIND_NOWHERE: the function `visit` returns. */
struct edge {
	uint32_t position, visit;
	uint32_t next; /* of a function's list */
	enum way way;
};

struct paths {
	struct space space;
	uint32_t *at; /* by position */
	struct array visits, roots, pending, waiting, named;
	struct array pointed; /* positions that data points to: of functions, or of labels */
	size_t steps; /* left */
	size_t framed, frameless; /* calls */
	bool again;  /* a function was met late, from somewhere else */
	bool called; /* nothing but padding since a call, on the path that is followed */
	struct frame_decoder decoder;
	bool (*ends)(void *context, uint64_t address, bool slot); /* unwind_code_ends; or NULL */
	void *ends_context;
};

static inline struct visit *paths__visit(const struct paths *paths, uint32_t index)
{
	return (struct visit *)paths->visits.items + index;
}

static inline struct root *paths__root(const struct paths *paths, uint32_t index)
{
	return (struct root *)paths->roots.items + index;
}

/* Room for `size` bytes of code; false: no memory. paths__release in any case. */
bool paths__init(struct paths *paths, size_t size);
void paths__release(struct paths *paths);
/* Forgets all but where functions begin, to which it will go. 0 or -errno, as all that follow. */
int paths__restart(struct paths *paths);
/* The function that begins at `position`, known from now on. */
int paths__function(struct paths *paths, uint32_t position, uint32_t *root);
/* Whether a known function begins at `position`; which. */
bool paths__root_at(const struct paths *paths, uint32_t position, uint32_t *root);
/* Whether what was found of a function is to be believed. */
static inline bool root__holds(const struct root *root)
{
	return !root->wrong && (!root->guessed || root->proved);
}
/* Will go to `position` with what holds at `visit`. */
int paths__branch_to(struct paths *paths, uint32_t position, uint32_t visit);
/* Goes wherever it was to go. -E2BIG: there are no more steps left. */
int paths__drain(struct paths *paths);

#endif
