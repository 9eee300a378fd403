/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_VIEW_STACK_H
#define MEMWATCH_VIEW_STACK_H
/* A stack as text, leaf first: function, file:line and module below each other in columns. */
#include <stdio.h>

#include "line.h"
#include "snapshot.h"

/*
 * Writes at most `depth` frames (0: all), one a line, and says what was left out and where the
 * stack broke off. Where the line has a limit, it is the function's name that gives way first.
 */
void view_stack__show(FILE *out, struct line *line, const struct stack *stack, size_t depth);
/* Each returns a text in `text`, or one of the snapshot's; a frame always has a function, if only
 * an address. */
enum { FRAME_TEXT = 300 };
const char *view_stack__function(const struct frame *frame, char text[FRAME_TEXT]);
const char *view_stack__place(const struct frame *frame,
			      char text[FRAME_TEXT]); /* "b.c:12", or "" */
const char *view_stack__last_part(const char *path); /* of "a/b.c": "b.c" */

#endif
