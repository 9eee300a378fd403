/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_CANVAS_H
#define MEMWATCH_CANVAS_H
/*
 * A screen before it is painted: pieces of text with a style, at their places. What is put on it is
 * data and is escaped as line.h says, so that no name can do anything to the terminal.
 */
#include <stdbool.h>
#include <stddef.h>

enum style { /* bits */
	     STYLE_BOLD = 1,
	     STYLE_DIM = 2,
	     STYLE_REVERSE = 4,
	     STYLE_UP = 8, /* colour where there is one; the text has a sign */
	     STYLE_DOWN = 16,
};

struct piece {
	int column;
	int columns; /* the text's width */
	unsigned int style;
	char *text;
};

struct canvas;

struct canvas *canvas__new(int columns, int lines, bool utf8); /* NULL: no memory */
void canvas__free(struct canvas *canvas);
int canvas__columns(const struct canvas *canvas);
int canvas__lines(const struct canvas *canvas);
bool canvas__utf8(const struct canvas *canvas); /* else only ASCII is shown as it is */

/*
 * Text in `width` columns: filled with spaces, or cut with a '~'. Width < 0: as wide as it is. What
 * is outside of the canvas is left out, and what there is no memory for. Returns the column after
 * it.
 */
int canvas__put(struct canvas *canvas, int line, int column, int width, unsigned int style,
		const char *text);
int canvas__put_right(struct canvas *canvas, int line, int column, int width, unsigned int style,
		      const char *text);

const struct piece *canvas__pieces(const struct canvas *canvas, int line, size_t *count);
/* The line as plain text, without spaces at its end; the caller frees it. NULL: no memory. */
char *canvas__text(const struct canvas *canvas, int line);

#endif
