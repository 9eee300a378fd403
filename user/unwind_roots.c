/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwind_roots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { VISITS_MAX = 1 << 20 }; /* 28 MiB; musl's libc has 12,000 */

bool paths__init(struct paths *paths, size_t size)
{
	*paths = (struct paths){
		.visits.size = sizeof(struct visit),
		.roots.size = sizeof(struct root),
		.pending.size = sizeof(struct edge),
		.waiting.size = sizeof(struct edge),
		.named.size = sizeof(struct name),
		.pointed.size = sizeof(uint32_t),
	};
	endings__init(&paths->endings);
	guesses__init(&paths->guesses);
	frame_decoder__init(&paths->decoder);
	paths->at = calloc(size, sizeof(*paths->at));
	return space__init(&paths->space, size) && paths->at;
}

void paths__release(struct paths *paths)
{
	space__release(&paths->space);
	endings__release(&paths->endings);
	guesses__release(&paths->guesses);
	free(paths->at);
	free(paths->visits.items);
	free(paths->roots.items);
	free(paths->pending.items);
	free(paths->waiting.items);
	free(paths->named.items);
	free(paths->pointed.items);
}

/* A new visit: its index. 1, or -errno. */
int paths__add_visit(struct paths *paths, const struct visit *new, uint32_t *index)
{
	struct visit *visit;

	if (paths->visits.count >= VISITS_MAX)
		return -E2BIG;
	visit = array__add(&paths->visits);
	if (!visit)
		return -ENOMEM;
	*visit = *new;
	*index = (uint32_t)paths->visits.count - 1;
	return 1;
}

int paths__push(struct paths *paths, uint32_t position, uint32_t visit, enum way way)
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

uint64_t paths__address(struct paths *paths, uint32_t root)
{
	uint32_t start = paths__root(paths, root)->start;

	return range__address(space__range_at(&paths->space, start), start);
}

/* To follow the function from its start. */
static int paths__begin(struct paths *paths, uint32_t index)
{
	const struct root *root = paths__root(paths, index);
	struct visit entry = { frame_state__entry(), index, root->guess };
	uint32_t visit;
	int err;

	entry.state.outermost = root->entry;
	err = paths__add_visit(paths, &entry, &visit);
	if (err < 0)
		return err;
	paths->at[root->start] = visit;
	return paths__push(paths, root->start, visit, WAY_START);
}

int paths__add_root(struct paths *paths, uint32_t position, uint32_t guess, uint32_t *index)
{
	struct root *root = array__add(&paths->roots);

	if (!root)
		return -ENOMEM;
	root->start = root->last = position;
	root->guess = guess;
	*index = (uint32_t)paths->roots.count - 1;
	return paths__begin(paths, *index);
}

/* The function that begins at `position`, for it is called if `guess` is right. */
int paths__function(struct paths *paths, uint32_t position, uint32_t guess, uint32_t *index)
{
	uint32_t called = SURE;
	int err = 0;

	if (paths__root_at(paths, position, index))
		return guesses__link(&paths->guesses, guess, paths__root(paths, *index)->guess);
	if (guess == SURE)
		paths->again |= paths->at[position] != UNSEEN;
	else
		err = guesses__add(&paths->guesses, &called);
	if (!err)
		err = guesses__link(&paths->guesses, guess, called);
	return err ? err : paths__add_root(paths, position, called, index);
}

/* Will go to `position` (or UNWIND_NOWHERE) with `visit`, for a function returns. */
static int paths__push_return(struct paths *paths, uint32_t position, uint32_t visit,
			      uint32_t callee)
{
	struct edge *edge = array__add(&paths->pending);
	bool sure = paths__root(paths, callee)->returns == CERTAINLY;

	if (!edge)
		return -ENOMEM;
	*edge = (struct edge){ .position = position,
			       .visit = visit,
			       .callee = callee,
			       .way = sure ? WAY_RETURN : WAY_DOUBT };
	return 0;
}

/* Lets `position` (or UNWIND_NOWHERE) go on with `visit` once the function returns. */
int paths__wait(struct paths *paths, uint32_t root, uint32_t position, uint32_t visit)
{
	enum returns returns = paths__root(paths, root)->returns;
	struct edge *edge;

	if (returns != CERTAINLY) {
		edge = array__add(&paths->waiting);
		if (!edge)
			return -ENOMEM;
		*edge = (struct edge){ .position = position,
				       .visit = visit,
				       .next = paths__root(paths, root)->waiting };
		paths__root(paths, root)->waiting = (uint32_t)paths->waiting.count - 1;
	}
	return returns ? paths__push_return(paths, position, visit, root) : 0;
}

int paths__returns(struct paths *paths, uint32_t index, enum returns returns)
{
	struct root *root = paths__root(paths, index);
	int err = 0;

	if (root->returns >= returns ||
	    endings__have(&paths->endings, paths__address(paths, index)))
		return 0;
	root->returns = returns;
	for (uint32_t i = root->waiting; i && !err;) {
		const struct edge *edge = (struct edge *)paths->waiting.items + i;

		err = paths__push_return(paths, edge->position, edge->visit, index);
		i = edge->next;
	}
	return err;
}

/* Forgets all but where functions are. */
int paths__restart(struct paths *paths)
{
	int err = guesses__restart(&paths->guesses);

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
