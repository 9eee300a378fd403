/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_ROOTS_H
#define MEMWATCH_UNWIND_ROOTS_H
/*
 * What is known of code that is followed: functions, what holds where in them, and what waits for
 * whether they return.
 */
#include "frame_state.h"
#include "unwind_endings.h"
#include "unwind_guesses.h"
#include "unwind_space.h"

enum { UNSEEN, INSIDE, FIRST_VISIT }; /* paths->at: in the middle of an instruction, or a visit */

/* What holds at some instructions of a function. */
struct visit {
	struct frame_state state;
	uint32_t root;
	uint32_t guess; /* what must be right for all that; see unwind_guesses.h */
};

/* A function, or what turned out to be called or named like one. */
struct root {
	uint32_t start, end; /* positions; end 0: not known */
	uint32_t last;       /* of its instructions that were met */
	uint32_t waiting;    /* the first of what goes on when it returns, an index; 0: none */
	uint32_t table;      /* the visit of its jumps through tables; 0: none */
	uint32_t guess;      /* that it is a function */
	uint32_t left;       /* the guess of a jump by register or memory, all of the frame gone */
	bool tables_differ;
	bool calls;          /* something, with the stack aligned as in a function */
	bool entry;          /* of the program: there is no caller */
	uint8_t returns;     /* enum returns */
	bool wrong;          /* it cannot be as it was followed */
};

enum returns {
	NEVER,
	PERHAPS, /* something else must return */
	LIKELY,  /* it was seen to itself, if a guess is right; its callers are PERHAPS then */
	CERTAINLY,
};

enum way {
	WAY_BRANCH,
	WAY_START,  /* of a function */
	WAY_RETURN, /* from behind a call that returns */
	WAY_DOUBT,  /* from behind one that perhaps does */
};

/* To go on at `position` with `visit`; or UNWIND_NOWHERE: the function `visit` returns. */
struct edge {
	uint32_t position, visit;
	uint32_t next;   /* of a function's list */
	uint32_t callee; /* the function that returns, if one does */
	enum way way;
};

/* A position whose address was taken, by the code of a visit. */
struct name {
	uint32_t position, visit;
};

struct paths {
	struct space space;
	uint32_t *at; /* by position */
	struct array visits, roots, pending, waiting, named;
	struct guesses guesses;
	struct array pointed; /* positions that data points to: of functions, or of labels */
	struct endings endings;
	size_t steps; /* left */
	size_t framed, frameless; /* calls */
	bool again;  /* a function was met late, from somewhere else, or an ending */
	bool called; /* nothing but padding since a call, on the path that is followed */
	uint64_t callee; /* what was called; 0: that is not known */
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
/* A new visit: its index. 1, or -errno; -E2BIG: there are too many. */
int paths__add_visit(struct paths *paths, const struct visit *visit, uint32_t *index);
/* Will go to `position` with what holds at `visit`. */
int paths__push(struct paths *paths, uint32_t position, uint32_t visit, enum way way);
/* Whether a function begins at `position`; which. */
bool paths__root_at(const struct paths *paths, uint32_t position, uint32_t *root);
/* Where it does. */
uint64_t paths__address(struct paths *paths, uint32_t root);
/* A new function, to which it will go, if `guess` is right. */
int paths__add_root(struct paths *paths, uint32_t position, uint32_t guess, uint32_t *index);
/* The function that begins at `position`, for it is called if `guess` is right. */
int paths__function(struct paths *paths, uint32_t position, uint32_t guess, uint32_t *index);
/* Lets `position` (or UNWIND_NOWHERE) go on with `visit` once the function returns. */
int paths__wait(struct paths *paths, uint32_t root, uint32_t position, uint32_t visit);
/* The function does: what waits for it goes on. */
int paths__returns(struct paths *paths, uint32_t index, enum returns returns);
/* Whether what was found is to be believed. Guesses must be settled. */
static inline bool paths__holds(const struct paths *paths, const struct visit *visit)
{
	return !paths__root(paths, visit->root)->wrong &&
	       guesses__holds(&paths->guesses, visit->guess);
}

#endif
