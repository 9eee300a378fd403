/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_TERMINAL_H
#define MEMWATCH_TERMINAL_H
/* The terminal that standard input and output are: keys come from it, canvases go to it. */
#include <stdbool.h>
#include <stddef.h>

#include "canvas.h"

struct terminal;

bool terminal__usable(void); /* both are one, and it can do more than print */

/*
 * Takes the whole screen. What is said on standard error meanwhile is kept, and said when the
 * screen is given back. NULL: it does not know this kind of terminal.
 */
struct terminal *terminal__new(void);
void terminal__free(struct terminal *terminal); /* gives the screen back as it was */

int terminal__input_fd(const struct terminal *terminal); /* keys, and the terminal's end */
int terminal__resize_fd(const struct terminal *terminal); /* it has another size */
bool terminal__lost(const struct terminal *terminal); /* nobody is there any more */

/* An empty canvas of its size now; NULL: no memory. */
struct canvas *terminal__canvas(struct terminal *terminal);
void terminal__paint(struct terminal *terminal, const struct canvas *canvas);

enum terminal_event { TERMINAL_NOTHING, TERMINAL_KEY, TERMINAL_CLICK, TERMINAL_RESIZED };
/* What there is to read, without waiting. `value`: a key as in live_keys.h, or the line of a click.
 */
enum terminal_event terminal__read(struct terminal *terminal, int *value);

/* The last line that was said on standard error since this was asked; false: none. */
bool terminal__said(struct terminal *terminal, char *text, size_t size);

#endif
