/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "live_keys.h"

static const struct live_binding table[] = {
	{ LIVE_UP,
	  { LIVE_KEY_UP, 'k' },
	  "Up, Down",
	  "move; the cursor stays on its row while values change" },
	{ LIVE_DOWN, { LIVE_KEY_DOWN, 'j' }, NULL, NULL },
	{ LIVE_PAGE_UP, { LIVE_KEY_PAGE_UP }, "PgUp, PgDn", "move by a screen" },
	{ LIVE_PAGE_DOWN, { LIVE_KEY_PAGE_DOWN }, NULL, NULL },
	{ LIVE_HOME, { LIVE_KEY_HOME }, "Home, End", "first row (and stay on it), last row" },
	{ LIVE_END, { LIVE_KEY_END }, NULL, NULL },
	{ LIVE_OPEN,
	  { LIVE_KEY_ENTER, LIVE_KEY_RIGHT },
	  "Enter, Right",
	  "open: a process, a row's stacks, a stack's frames, another branch" },
	{ LIVE_BACK, { LIVE_KEY_ESCAPE, LIVE_KEY_LEFT }, "Esc, Left", "back" },
	{ LIVE_SORT,
	  { 's' },
	  "s, <, >",
	  "sort by the next column; by the one to the left, to the right" },
	{ LIVE_SORT_LEFT, { '<', ',' }, NULL, NULL },
	{ LIVE_SORT_RIGHT, { '>', '.' }, NULL, NULL },
	{ LIVE_GROUP, { 'g' }, "g", "what rows are: stack, function, line, file, module, process" },
	{ LIVE_FLIP, { 'r' }, "r", "frames from the root or from the leaf" },
	{ LIVE_FIND,
	  { '/' },
	  "/",
	  "only what has this text in a name; Enter keeps it, Esc drops it" },
	{ LIVE_BASELINE, { 'b' }, "b", "take a baseline and show the change since" },
	{ LIVE_NO_BASELINE, { 'B' }, "B", "drop the baseline" },
	{ LIVE_OLDER, { 'o' }, "o", "only blocks that have lived so long (5s, 10m); empty: all" },
	{ LIVE_PAUSE, { ' ' }, "Space", "hold the screen still; collection goes on" },
	{ LIVE_SLOWER, { '+', '=' }, "+, -", "longer, shorter interval" },
	{ LIVE_FASTER, { '-' }, NULL, NULL },
	{ LIVE_WRITE, { 'w' }, "w", "write a snapshot file" },
	{ LIVE_FLAME,
	  { 'f' },
	  "f",
	  "write a flame graph as an HTML file; with a baseline, of the change" },
	{ LIVE_CLEAR, { 'z' }, "z", "count what is ever allocated from now on" },
	{ LIVE_HELP, { '?', 'h', LIVE_KEY_F1 }, "?, F1", "this help" },
	{ LIVE_QUIT,
	  { 'q' },
	  "q, Ctrl-C",
	  "quit; the last ranked snapshot is left on the terminal" },
};

const struct live_binding *live_keys__table(size_t *count)
{
	*count = sizeof(table) / sizeof(table[0]);
	return table;
}

enum live_action live_keys__action(int key)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		for (size_t k = 0; k < sizeof(table[i].keys) / sizeof(table[i].keys[0]); k++)
			if (key && table[i].keys[k] == key)
				return table[i].action;
	return LIVE_NOTHING;
}
