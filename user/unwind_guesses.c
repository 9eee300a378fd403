/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwind_guesses.h"

#include <errno.h>
#include <stdlib.h>

struct guess {
	bool proved, wrong;
	uint32_t links; /* the first of what follows, an index; 0: nothing */
};

struct link {
	uint32_t to, next;
};

static struct guess *guesses__at(const struct guesses *guesses, uint32_t guess)
{
	return (struct guess *)guesses->items.items + guess;
}

void guesses__init(struct guesses *guesses)
{
	*guesses = (struct guesses){ .items.size = sizeof(struct guess),
				     .links.size = sizeof(struct link),
				     .sure.size = sizeof(uint32_t) };
}

void guesses__release(struct guesses *guesses)
{
	free(guesses->items.items);
	free(guesses->links.items);
	free(guesses->sure.items);
}

int guesses__restart(struct guesses *guesses)
{
	guesses->items.count = guesses->links.count = 0;
	if (!array__add(&guesses->items) || !array__add(&guesses->links))
		return -ENOMEM;
	guesses__prove(guesses, SURE);
	return 0;
}

int guesses__add(struct guesses *guesses, uint32_t *guess)
{
	if (!array__add(&guesses->items))
		return -ENOMEM;
	*guess = (uint32_t)guesses->items.count - 1;
	return 0;
}

void guesses__prove(struct guesses *guesses, uint32_t guess)
{
	guesses__at(guesses, guess)->proved = true;
}

void guesses__refute(struct guesses *guesses, uint32_t guess)
{
	guesses__at(guesses, guess)->wrong = true;
}

int guesses__link(struct guesses *guesses, uint32_t from, uint32_t to)
{
	struct link *link;

	if (from == SURE)
		guesses__prove(guesses, to);
	if (from == SURE || to == SURE || from == to)
		return 0;
	link = array__add(&guesses->links);
	if (!link)
		return -ENOMEM;
	*link = (struct link){ to, guesses__at(guesses, from)->links };
	guesses__at(guesses, from)->links = (uint32_t)guesses->links.count - 1;
	return 0;
}

/* Notes one that is right, for what follows from it. */
static int guesses__push(struct guesses *guesses, uint32_t guess)
{
	uint32_t *sure;

	if (!guesses__holds(guesses, guess))
		return 0;
	sure = array__add(&guesses->sure);
	if (!sure)
		return -ENOMEM;
	*sure = guess;
	return 0;
}

/* Proves what follows from one, and notes it. */
static int guesses__follow(struct guesses *guesses, uint32_t guess)
{
	int err = 0;

	for (uint32_t i = guesses__at(guesses, guess)->links; i && !err;) {
		const struct link link = ((struct link *)guesses->links.items)[i];

		if (!guesses__at(guesses, link.to)->proved) {
			guesses__prove(guesses, link.to);
			err = guesses__push(guesses, link.to);
		}
		i = link.next;
	}
	return err;
}

int guesses__settle(struct guesses *guesses)
{
	int err = 0;

	guesses->sure.count = 0;
	for (uint32_t i = 0; i < guesses->items.count && !err; i++)
		err = guesses__push(guesses, i);
	while (!err && guesses->sure.count)
		err = guesses__follow(guesses,
				      ((uint32_t *)guesses->sure.items)[--guesses->sure.count]);
	return err;
}

bool guesses__holds(const struct guesses *guesses, uint32_t guess)
{
	const struct guess *item = guesses__at(guesses, guess);

	return item->proved && !item->wrong;
}
