/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_LIVE_KEYS_H
#define MEMWATCH_LIVE_KEYS_H
/* What each key of the live view does: one table for keyboard, help screen and manual. */
#include <stddef.h>

/* Keys that are no character; characters are their Unicode numbers. */
enum live_key {
	LIVE_KEY_UP = 0x200000,
	LIVE_KEY_DOWN,
	LIVE_KEY_LEFT,
	LIVE_KEY_RIGHT,
	LIVE_KEY_PAGE_UP,
	LIVE_KEY_PAGE_DOWN,
	LIVE_KEY_HOME,
	LIVE_KEY_END,
	LIVE_KEY_ENTER,
	LIVE_KEY_ESCAPE,
	LIVE_KEY_BACKSPACE,
	LIVE_KEY_F1,
};

enum live_action {
	LIVE_NOTHING,
	LIVE_UP,
	LIVE_DOWN,
	LIVE_PAGE_UP,
	LIVE_PAGE_DOWN,
	LIVE_HOME,
	LIVE_END,
	LIVE_OPEN,
	LIVE_BACK,
	LIVE_SORT,
	LIVE_SORT_LEFT,
	LIVE_SORT_RIGHT,
	LIVE_GROUP,
	LIVE_FLIP,
	LIVE_FIND,
	LIVE_BASELINE,
	LIVE_NO_BASELINE,
	LIVE_OLDER,
	LIVE_PAUSE,
	LIVE_SLOWER,
	LIVE_FASTER,
	LIVE_WRITE,
	LIVE_FLAME,
	LIVE_CLEAR,
	LIVE_HELP,
	LIVE_QUIT,
};

struct live_binding {
	enum live_action action;
	int keys[4];
	const char *name; /* as in the help; NULL: it goes with the one before */
	const char *help;
};

const struct live_binding *live_keys__table(size_t *count);
enum live_action live_keys__action(int key);

#endif
