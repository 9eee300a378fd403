/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwind_paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { VISITS_MAX = 1 << 20 }; /* 24 MiB; musl's libc has 12,000 */

bool paths__init(struct paths *paths, size_t size)
{
	*paths = (struct paths){
		.visits.size = sizeof(struct visit),
		.roots.size = sizeof(struct root),
		.pending.size = sizeof(struct edge),
		.waiting.size = sizeof(struct edge),
		.named.size = sizeof(uint32_t),
		.pointed.size = sizeof(uint32_t),
	};
	frame_decoder__init(&paths->decoder);
	paths->at = calloc(size, sizeof(*paths->at));
	return space__init(&paths->space, size) && paths->at;
}

void paths__release(struct paths *paths)
{
	space__release(&paths->space);
	free(paths->at);
	free(paths->visits.items);
	free(paths->roots.items);
	free(paths->pending.items);
	free(paths->waiting.items);
	free(paths->named.items);
	free(paths->pointed.items);
}

/* A new visit: its index. 1, or -errno. */
static int paths__add_visit(struct paths *paths, const struct frame_state *state, uint32_t root,
			    uint32_t *index)
{
	struct visit *visit;

	if (paths->visits.count >= VISITS_MAX)
		return -E2BIG;
	visit = array__add(&paths->visits);
	if (!visit)
		return -ENOMEM;
	visit->state = *state;
	visit->root = root;
	*index = (uint32_t)paths->visits.count - 1;
	return 1;
}

static int paths__push(struct paths *paths, uint32_t position, uint32_t visit, enum way way)
{
	struct edge *edge = array__add(&paths->pending);

	if (!edge)
		return -ENOMEM;
	*edge = (struct edge){ .position = position, .visit = visit, .way = way };
	return 0;
}

/* Whether a function begins at a position; which. */
bool paths__root_at(const struct paths *paths, uint32_t position, uint32_t *root)
{
	if (paths->at[position] < FIRST_VISIT)
		return false;
	*root = paths__visit(paths, paths->at[position])->root;
	return paths__root(paths, *root)->start == position;
}

/* To follow the function from its start. */
static int paths__begin(struct paths *paths, uint32_t root)
{
	struct frame_state entry = frame_state__entry();
	uint32_t visit;
	int err;

	entry.outermost = paths__root(paths, root)->entry;
	err = paths__add_visit(paths, &entry, root, &visit);
	if (err < 0)
		return err;
	paths->at[paths__root(paths, root)->start] = visit;
	return paths__push(paths, paths__root(paths, root)->start, visit, WAY_START);
}

/* The function that begins at `position`, made if need be. 0 or -errno. */
int paths__function(struct paths *paths, uint32_t position, uint32_t *index)
{
	struct root *root;

	if (paths__root_at(paths, position, index))
		return 0;
	paths->again |= paths->at[position] != UNSEEN;
	root = array__add(&paths->roots);
	if (!root)
		return -ENOMEM;
	root->start = root->last = position;
	*index = (uint32_t)paths->roots.count - 1;
	return paths__begin(paths, *index);
}

/* Lets `position` (or UNWIND_NOWHERE) go on with `visit` once the function returns. */
static int paths__wait(struct paths *paths, uint32_t root, uint32_t position, uint32_t visit)
{
	struct edge *edge;

	if (paths__root(paths, root)->returns)
		return paths__push(paths, position, visit, WAY_CALL);
	edge = array__add(&paths->waiting);
	if (!edge)
		return -ENOMEM;
	*edge = (struct edge){ position, visit, paths__root(paths, root)->waiting, WAY_CALL };
	paths__root(paths, root)->waiting = (uint32_t)paths->waiting.count - 1;
	return 0;
}

static int paths__returns(struct paths *paths, uint32_t index)
{
	struct root *root = paths__root(paths, index);
	int err = 0;

	if (root->returns)
		return 0;
	root->returns = true;
	for (uint32_t i = root->waiting; i && !err;) {
		const struct edge *edge = (struct edge *)paths->waiting.items + i;

		err = paths__push(paths, edge->position, edge->visit, WAY_CALL);
		i = edge->next;
	}
	return err;
}

/* A path leaves the function, with all of the frame gone (`gone`) if it is known how much is. */
static void root__end(struct root *root, const struct frame_state *state, bool gone)
{
	if (state->outermost || (state->rsp && !gone))
		root->wrong = true;
	else if (frame_state__is_entry(state))
		root->proved = true;
}

/*
 * The path of `*visit` comes to `position`. 1: on from there with what then holds; 0: it ends,
 * there is nothing new.
 */
static int paths__arrive(struct paths *paths, uint32_t position, uint32_t *visit)
{
	const struct visit new = *paths__visit(paths, *visit);
	struct frame_state joined;
	uint32_t root, known = paths->at[position];
	bool begins;
	struct visit old;
	int go;

	if (known < FIRST_VISIT) {
		paths->at[position] = *visit;
		return 1;
	}
	old = *paths__visit(paths, known);
	begins = paths__root_at(paths, position, &root);
	if (begins && paths->called)
		return 0; /* by a call of another file's, which never returns */
	if (new.root != old.root && paths__wait(paths, old.root, UNWIND_NOWHERE, new.root))
		return -ENOMEM;
	if (begins) {
		/* a guess proves no other */
		if (!paths__root(paths, old.root)->guessed || !frame_state__is_entry(&new.state))
			root__end(paths__root(paths, new.root), &new.state,
				  frame_state__is_entry(&new.state));
		return 0;
	}
	if (new.state.outermost != old.state.outermost)
		paths__root(paths, new.root)->wrong = paths__root(paths, old.root)->wrong = true;
	joined = frame_state__join(&old.state, &new.state);
	if (frame_state__same(&joined, &old.state))
		return 0;
	go = paths__add_visit(paths, &joined, old.root, visit);
	paths->at[position] = *visit;
	return go;
}

/* Whether the step is to a function of another file that never returns. */
static bool paths__ends(const struct paths *paths, const struct frame_step *step)
{
	return paths->ends && (step->direct || step->slot) &&
	       paths->ends(paths->ends_context, step->target, step->slot);
}

/* Out of what is looked at, to a function: all of the frame must be gone. As paths__arrive. */
static int paths__leave(struct paths *paths, const struct frame_step *step, uint32_t visit)
{
	const struct visit *here = paths__visit(paths, visit);

	if (paths__ends(paths, step))
		return 0;
	root__end(paths__root(paths, here->root), &here->state,
		  frame_state__is_entry(&here->state));
	return paths__returns(paths, here->root);
}

/* A jump to what the instruction does not say: through a table, or to a function. */
static int paths__jump(struct paths *paths, const struct frame_step *step, uint32_t visit)
{
	const struct visit *here = paths__visit(paths, visit);
	struct root *root = paths__root(paths, here->root);

	if (!step->computed && !here->state.rsp && here->state.rbp != FRAME_RBP_BASE)
		return 0; /* longjmp's: to another stack */
	if (!step->computed || here->state.outermost)
		return paths__leave(paths, step, visit);
	if (!root->table)
		root->table = visit;
	else if (!frame_state__same(&paths__visit(paths, root->table)->state, &here->state))
		root->tables_differ = true;
	return paths__returns(paths, here->root);
}

static void paths__count_call(struct paths *paths, const struct frame_state *state)
{
	struct unwind_row row;

	if (!frame_state__row(state, &row) || row.cfa_rule == UNWIND_END)
		return;
	if (row.cfa_rule == UNWIND_RBP)
		paths->framed++;
	else
		paths->frameless++;
}

/* On to `next` behind a call, if the callee returns. As paths__arrive. */
static int paths__call(struct paths *paths, const struct frame_step *step, uint32_t next,
		       uint32_t visit)
{
	uint32_t position = step->direct ? space__position(&paths->space, step->target)
					 : UNWIND_NOWHERE;
	uint32_t callee;
	int err;

	paths__count_call(paths, &paths__visit(paths, visit)->state);
	if (position == UNWIND_NOWHERE)
		return !paths__ends(paths, step);
	err = paths__function(paths, position, &callee);
	if (err || paths__root(paths, callee)->returns)
		return err ? err : 1;
	return paths__wait(paths, callee, next, visit);
}

static int paths__branch(struct paths *paths, const struct frame_step *step, uint32_t *visit)
{
	uint32_t position = step->direct ? space__position(&paths->space, step->target)
					 : UNWIND_NOWHERE;
	struct visit here = *paths__visit(paths, *visit);
	const struct frame_state before = here.state;

	int err = position == UNWIND_NOWHERE ? paths__leave(paths, step, *visit)
					     : paths__push(paths, position, *visit, WAY_BRANCH);

	if (err)
		return err;
	frame_decoder__pass(&paths->decoder, &here.state);
	if (frame_state__same(&before, &here.state))
		return 1;
	return paths__add_visit(paths, &here.state, here.root, visit);
}

static int paths__return(struct paths *paths, uint32_t visit)
{
	const struct visit *here = paths__visit(paths, visit);

	root__end(paths__root(paths, here->root), &here->state, here->state.rsp == 8);
	return paths__returns(paths, here->root);
}

/* The address of a function that is taken. */
static int paths__name(struct paths *paths, uint64_t address)
{
	uint32_t position = space__position(&paths->space, address), *named;

	if (position == UNWIND_NOWHERE)
		return 1;
	named = array__add(&paths->named);
	if (!named)
		return -ENOMEM;
	*named = position;
	return 1;
}

/* Marks the instruction's bytes. */
static void paths__cover(struct paths *paths, uint32_t position, uint8_t length, uint32_t root)
{
	struct root *function = paths__root(paths, root);

	for (uint8_t i = 1; i < length; i++)
		if (paths->at[position + i] == UNSEEN)
			paths->at[position + i] = INSIDE;
	if (position > function->last)
		function->last = position;
}

/* One instruction; the position and visit become the next's. As paths__arrive. */
static int paths__step(struct paths *paths, uint32_t *position, uint32_t *visit)
{
	const struct range *range = space__range_at(&paths->space, *position);
	struct visit here = *paths__visit(paths, *visit);
	const struct frame_state before = here.state;
	struct frame_step step;
	uint32_t next;
	int go = 1;

	if (!paths->steps--)
		return -E2BIG;
	if (!frame_decoder__step(&paths->decoder, paths->space.bytes + *position,
				 range->end - *position, range__address(range, *position),
				 &here.state, &step))
		return paths__returns(paths, here.root);
	paths__cover(paths, *position, step.length, here.root);
	next = *position + step.length;
	if (!frame_state__same(&before, &here.state))
		go = paths__add_visit(paths, &here.state, here.root, visit);
	if (go < 0)
		return go;
	*position = next;
	paths->called = step.flow == FLOW_CALL || (paths->called && step.filler);
	switch (step.flow) {
	case FLOW_ON:
		return step.names_code ? paths__name(paths, step.target) : 1;
	case FLOW_CALL:
		return paths__call(paths, &step, next, *visit);
	case FLOW_JUMP:
		if (!step.direct)
			return paths__jump(paths, &step, *visit);
		frame_decoder__jump(&paths->decoder);
		*position = space__position(&paths->space, step.target);
		return *position == UNWIND_NOWHERE ? paths__leave(paths, &step, *visit) : 1;
	case FLOW_BRANCH:
		return paths__branch(paths, &step, visit);
	case FLOW_RETURN:
		return paths__return(paths, *visit);
	default:
		return 0;
	}
}

/* Follows one path to its end. */
static int paths__follow(struct paths *paths, const struct edge *edge)
{
	uint32_t position = edge->position, visit = edge->visit;
	bool begins = edge->way == WAY_START;
	int go = 1;

	if (position == UNWIND_NOWHERE)
		return paths__returns(paths, visit);
	frame_decoder__jump(&paths->decoder);
	paths->called = edge->way == WAY_CALL;
	while (go > 0) {
		if (position >= space__range_at(&paths->space, position)->end)
			return paths__returns(paths, paths__visit(paths, visit)->root);
		if (!begins)
			go = paths__arrive(paths, position, &visit);
		begins = false;
		if (go > 0)
			go = paths__step(paths, &position, &visit);
	}
	return go;
}

int paths__drain(struct paths *paths)
{
	int err = 0;

	while (!err && paths->pending.count) {
		const struct edge edge =
			((struct edge *)paths->pending.items)[--paths->pending.count];

		err = paths__follow(paths, &edge);
	}
	return err;
}

int paths__branch_to(struct paths *paths, uint32_t position, uint32_t visit)
{
	return paths__push(paths, position, visit, WAY_BRANCH);
}

/* Forgets all but where functions are. */
int paths__restart(struct paths *paths)
{
	int err = 0;

	memset(paths->at, 0, paths->space.used * sizeof(*paths->at));
	paths->visits.count = paths->waiting.count = paths->pending.count = paths->named.count = 0;
	paths->framed = paths->frameless = 0;
	paths->again = false;
	if (!array__add(&paths->visits) || !array__add(&paths->visits) ||
	    !array__add(&paths->waiting))
		return -ENOMEM;
	for (uint32_t i = 0; i < paths->roots.count && !err; i++) {
		struct root *root = paths__root(paths, i);

		*root = (struct root){ .start = root->start,
				       .end = root->end,
				       .last = root->start,
				       .entry = root->entry };
		err = paths__begin(paths, i);
	}
	return err;
}
