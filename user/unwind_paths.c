/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwind_paths.h"

#include <errno.h>

static bool paths__same(const struct paths *paths, uint32_t a, uint32_t b)
{
	return frame_state__same(&paths__visit(paths, a)->state, &paths__visit(paths, b)->state);
}

/* Whether there is code at `position`, and no function begins. */
static bool paths__is_inside(const struct paths *paths, uint32_t position)
{
	uint32_t root;

	return paths->at[position] >= FIRST_VISIT && !paths__root_at(paths, position, &root);
}

/* What was found on the way cannot be. Least of all that nobody called it. */
static void paths__refute(struct paths *paths, const struct visit *here)
{
	if (here->guess == SURE || here->state.outermost)
		paths__root(paths, here->root)->wrong = true;
	else
		guesses__refute(&paths->guesses, here->guess);
}

/*
 * A path leaves the function, with all of the frame gone (`gone`) if it is known how much is.
 * False: it cannot be.
 */
static bool paths__end(struct paths *paths, const struct visit *here, bool gone)
{
	if (!here->state.outermost && (!here->state.rsp || gone))
		return true;
	paths__refute(paths, here);
	return false;
}

/* It was there from the first step on if it is gone where a function ends. */
static void paths__prove(struct paths *paths, const struct visit *here)
{
	if (frame_state__is_entry(&here->state))
		guesses__prove(&paths->guesses, here->guess);
}

/* `root` returns once `callee` does. */
static int paths__returns_with(struct paths *paths, uint32_t callee, uint32_t root)
{
	return root == callee ? 0 : paths__wait(paths, callee, UNWIND_NOWHERE, root);
}

/* A path comes to where a function begins. 0, for it ends there, or -errno. */
static int paths__enter(struct paths *paths, const struct visit *entry, const struct visit *new)
{
	int err = 0;

	if (frame_state__is_entry(&new->state)) /* a guess proves no other */
		err = guesses__link(&paths->guesses, entry->guess, new->guess);
	else if (!paths__end(paths, new, false))
		return 0;
	return err ? err : paths__returns_with(paths, entry->root, new->root);
}

/* Where both have the same frame, either proves the other. */
static int paths__compare(struct paths *paths, const struct visit *a, const struct visit *b)
{
	int err = 0;

	if (a->state.outermost != b->state.outermost) {
		paths__refute(paths, a);
		paths__refute(paths, b);
	} else if (a->state.rsp && a->state.rsp == b->state.rsp) {
		err = guesses__link(&paths->guesses, a->guess, b->guess);
		if (!err)
			err = guesses__link(&paths->guesses, b->guess, a->guess);
	}
	return err;
}

/* Whether a guess says other than what is known of how deep the stack is: then it is wrong. */
static bool paths__contradicts(struct paths *paths, const struct visit *guessed,
			       const struct visit *known)
{
	if (guessed->guess == SURE || known->guess != SURE || !guessed->state.rsp ||
	    !known->state.rsp || guessed->state.rsp == known->state.rsp)
		return false;
	guesses__refute(&paths->guesses, guessed->guess);
	return true;
}

/*
 * A path comes to where there was one already. As paths__arrive. What is known goes on where there
 * was a guess, which may be wrong for other reasons.
 */
static int paths__join(struct paths *paths, uint32_t position, const struct visit *old,
		       uint32_t *visit)
{
	const struct visit new = *paths__visit(paths, *visit);
	bool takes_over = new.guess == SURE && old->guess != SURE;
	struct visit joined = takes_over ? new : *old;
	int go;

	if (paths__contradicts(paths, &new, old))
		return 0;
	if (!paths__contradicts(paths, old, &new))
		joined.state = frame_state__join(&old->state, &new.state);
	go = paths__compare(paths, old, &new);
	if (!go && !takes_over)
		go = paths__returns_with(paths, old->root, new.root);
	if (go || (!takes_over && frame_state__same(&joined.state, &old->state)))
		return go;
	go = paths__add_visit(paths, &joined, visit);
	paths->at[position] = *visit;
	return go;
}

/*
 * The path comes into the middle of an instruction that another path met: this or that is none, or
 * both are. What holds here must hold for both. A guess does not lead into what is known.
 */
static int paths__overlap(struct paths *paths, uint32_t position, uint32_t *visit)
{
	struct visit joined = *paths__visit(paths, *visit);
	const struct visit *around;
	uint32_t start = position;
	int go = 1;

	while (paths->at[start] == INSIDE)
		start--;
	around = paths__visit(paths, paths->at[start]);
	if (around->guess == SURE && joined.guess != SURE)
		return 0;
	joined.state = frame_state__join(&around->state, &joined.state);
	if (!frame_state__same(&joined.state, &paths__visit(paths, *visit)->state))
		go = paths__add_visit(paths, &joined, visit);
	paths->at[position] = *visit;
	return go;
}

/* A function begins behind a call: what was called never returns, perhaps. As paths__arrive. */
static int paths__suspect(struct paths *paths)
{
	return paths->callee ? endings__suspect(&paths->endings, paths->callee) : 0;
}

/*
 * The path of `*visit` comes to `position`. 1: on from there with what then holds; 0: it ends,
 * there is nothing new.
 */
static int paths__arrive(struct paths *paths, uint32_t position, uint32_t *visit)
{
	const struct visit new = *paths__visit(paths, *visit);
	struct visit old;
	uint32_t root;

	if (paths->at[position] == INSIDE)
		return paths__overlap(paths, position, visit);
	if (paths->at[position] >= FIRST_VISIT) {
		old = *paths__visit(paths, paths->at[position]);
		if (!paths__root_at(paths, position, &root))
			return paths__join(paths, position, &old, visit);
		if (paths->called)
			return old.guess == SURE ? paths__suspect(paths) : 0;
		if (old.guess == SURE || new.guess != SURE || frame_state__is_entry(&new.state))
			return paths__enter(paths, &old, &new);
		guesses__refute(&paths->guesses, old.guess); /* no function: known code goes on */
	}
	paths->at[position] = *visit;
	return 1;
}

/* Whether the step is to a function that is not followed here and never returns. */
static bool paths__ends(const struct paths *paths, const struct frame_step *step)
{
	return (step->direct || step->slot) &&
	       (endings__have(&paths->endings, step->target) ||
		(paths->ends && paths->ends(paths->ends_context, step->target, step->slot)));
}

/*
 * A jump by register or memory, all of the frame gone, may also be a label's, which has no frame of
 * its own. But that would call with a stack that is not aligned: by the other's frame it is.
 */
static void paths__prove_left(struct paths *paths, const struct root *root)
{
	if (root->calls)
		guesses__prove(&paths->guesses, root->left);
}

/* psABI 3.2.2: calls are made with a stack that is aligned to 16 bytes. */
static void paths__check_alignment(struct paths *paths, const struct visit *here)
{
	struct root *root = paths__root(paths, here->root);

	/* Behind a call that may not return is perhaps another function. */
	if (!here->state.rsp || here->state.rsp % 16 || here->guess != root->guess)
		return;
	root->calls = true;
	paths__prove_left(paths, root);
}

/* Out of what is looked at, to a function: all of the frame must be gone. As paths__arrive. */
static int paths__leave(struct paths *paths, const struct frame_step *step, uint32_t visit)
{
	const struct visit *here = paths__visit(paths, visit);
	struct root *root = paths__root(paths, here->root);

	if (paths__ends(paths, step) ||
	    !paths__end(paths, here, frame_state__is_entry(&here->state)))
		return 0;
	if (step->direct || step->slot) {
		paths__prove(paths, here);
	} else if (frame_state__is_entry(&here->state) && here->guess == root->guess) {
		root->left = here->guess;
		paths__prove_left(paths, root);
	}
	return paths__returns(paths, here->root, PERHAPS);
}

/* A jump to what the instruction does not say: through a table, or to a function. */
static int paths__jump(struct paths *paths, const struct frame_step *step, uint32_t visit)
{
	const struct visit *here = paths__visit(paths, visit);
	struct root *root = paths__root(paths, here->root);

	if (!step->computed && !here->state.rsp && !frame_state__has_base(&here->state))
		return 0; /* longjmp's: to another stack */
	if (!step->computed || here->state.outermost)
		return paths__leave(paths, step, visit);
	if (!root->table)
		root->table = visit;
	else if (!paths__same(paths, root->table, visit))
		root->tables_differ = true;
	return paths__returns(paths, here->root, PERHAPS);
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

/* Whether another function may begin behind a call that ends at `next`: compilers align them. */
static bool paths__may_begin(struct paths *paths, const struct root *root, uint32_t next)
{
	enum { ALIGNMENT = 16 };
	const struct range *range = space__range_at(&paths->space, next);

	if (next < root->end || next >= range->end)
		return false;
	return range__address(range, next) % ALIGNMENT == 0 ||
	       frame_decoder__padding(&paths->decoder, paths->space.bytes + next,
				      range->end - next);
}

/* Behind the call of something that is not known, and may never return. As paths__arrive. */
static int paths__doubt(struct paths *paths, uint32_t next, uint32_t *visit)
{
	struct visit here = *paths__visit(paths, *visit);
	uint32_t before = here.guess;
	int err;

	if (!paths__may_begin(paths, paths__root(paths, here.root), next))
		return 1;
	err = guesses__add(&paths->guesses, &here.guess);
	if (!err)
		err = guesses__link(&paths->guesses, here.guess, before);
	return err ? err : paths__add_visit(paths, &here, visit);
}

/* On to `next` behind a call, if the callee returns. As paths__arrive. */
static int paths__call(struct paths *paths, const struct frame_step *step, uint32_t next,
		       uint32_t *visit)
{
	uint32_t position = step->direct ? space__position(&paths->space, step->target)
					 : UNWIND_NOWHERE;
	const struct visit here = *paths__visit(paths, *visit);
	uint32_t callee;
	int err;

	paths__count_call(paths, &here.state);
	paths__check_alignment(paths, &here);
	if (position == UNWIND_NOWHERE && paths__ends(paths, step))
		return 0;
	if (position == UNWIND_NOWHERE || (here.guess != SURE && paths__is_inside(paths, position)))
		return paths__doubt(paths, next, visit);
	err = paths__function(paths, position, here.guess, &callee);
	return err ? err : paths__wait(paths, callee, next, *visit);
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
	return paths__add_visit(paths, &here, visit);
}

static int paths__return(struct paths *paths, uint32_t visit)
{
	const struct visit *here = paths__visit(paths, visit);

	if (!paths__end(paths, here, here->state.rsp == 8))
		return 0;
	paths__prove(paths, here);
	return paths__returns(paths, here->root, here->guess == SURE ? CERTAINLY : LIKELY);
}

/* The address of a function that is taken. */
static int paths__name(struct paths *paths, uint64_t address, uint32_t visit)
{
	uint32_t position = space__position(&paths->space, address);
	struct name *name;

	if (position == UNWIND_NOWHERE)
		return 1;
	name = array__add(&paths->named);
	if (!name)
		return -ENOMEM;
	*name = (struct name){ position, visit };
	return 1;
}

/* Whether what was guessed gives way to what is known. */
static bool paths__yields(const struct paths *paths, uint32_t guessed, uint32_t visit)
{
	return guessed >= FIRST_VISIT && paths__visit(paths, guessed)->guess != SURE &&
	       paths__visit(paths, visit)->guess == SURE;
}

/* Marks the instruction's bytes. A path through the midst of it learns what holds here. */
static int paths__cover(struct paths *paths, uint32_t position, uint8_t length, uint32_t visit)
{
	struct root *function = paths__root(paths, paths__visit(paths, visit)->root);
	int err = 0;

	if (position > function->last)
		function->last = position;
	for (uint32_t at = position + 1; at < position + length && !err; at++) {
		if (paths->at[at] == UNSEEN || paths__yields(paths, paths->at[at], visit))
			paths->at[at] = INSIDE;
		else if (paths__is_inside(paths, at) && !paths__same(paths, paths->at[at], visit))
			err = paths__push(paths, at, visit, WAY_BRANCH);
	}
	return err;
}

/* One instruction; the position and visit become the next's. As paths__arrive. */
static int paths__step(struct paths *paths, uint32_t *position, uint32_t *visit)
{
	const struct range *range = space__range_at(&paths->space, *position);
	struct visit here = *paths__visit(paths, *visit);
	const struct frame_state before = here.state;
	struct frame_step step;
	uint32_t next;
	int go;

	if (!paths->steps--)
		return -E2BIG;
	if (!frame_decoder__step(&paths->decoder, paths->space.bytes + *position,
				 range->end - *position, range__address(range, *position),
				 &here.state, &step))
		return paths__returns(paths, here.root, PERHAPS);
	go = paths__cover(paths, *position, step.length, *visit);
	if (go)
		return go;
	next = *position + step.length;
	go = 1;
	if (!frame_state__same(&before, &here.state))
		go = paths__add_visit(paths, &here, visit);
	if (go < 0)
		return go;
	*position = next;
	paths->called = step.flow == FLOW_CALL || (paths->called && step.filler);
	if (step.flow == FLOW_CALL)
		paths->callee = step.direct || step.slot ? step.target : 0;
	switch (step.flow) {
	case FLOW_ON:
		return step.names_code ? paths__name(paths, step.target, *visit) : 1;
	case FLOW_CALL:
		return paths__call(paths, &step, next, visit);
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
	bool begins = edge->way == WAY_START, doubt = edge->way == WAY_DOUBT;
	int go = 1;

	if (position == UNWIND_NOWHERE)
		return paths__returns(paths, visit, doubt ? PERHAPS : CERTAINLY);
	frame_decoder__jump(&paths->decoder);
	paths->called = doubt || edge->way == WAY_RETURN;
	if (paths->called)
		paths->callee = paths__address(paths, edge->callee);
	if (doubt)
		go = paths__doubt(paths, position, &visit);
	while (go > 0) {
		if (position >= space__range_at(&paths->space, position)->end)
			return paths__returns(paths, paths__visit(paths, visit)->root, PERHAPS);
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

int paths__guess_function(struct paths *paths, uint32_t position)
{
	uint32_t guess, root;
	int err = guesses__add(&paths->guesses, &guess);

	if (!err)
		err = paths__add_root(paths, position, guess, &root);
	return err ? err : paths__drain(paths);
}

int paths__begin_named(struct paths *paths, const struct name *name)
{
	const struct visit *by = paths__visit(paths, name->visit);
	const struct root *root = paths__root(paths, by->root);
	uint32_t index;
	int err;

	if (name->position > root->start &&
	    (name->position <= root->last || name->position < root->end))
		return paths__guess_function(paths, name->position); /* its own label, rather */
	err = paths__function(paths, name->position, by->guess, &index);
	return err ? err : paths__drain(paths);
}

int paths__guess_code(struct paths *paths, uint32_t position, uint32_t visit)
{
	struct visit here = *paths__visit(paths, visit);
	int err = guesses__add(&paths->guesses, &here.guess);

	if (err)
		return err;
	err = paths__add_visit(paths, &here, &visit);
	if (err > 0)
		err = paths__push(paths, position, visit, WAY_BRANCH);
	return err ? err : paths__drain(paths);
}
