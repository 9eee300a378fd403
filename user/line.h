/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_LINE_H
#define MEMWATCH_LINE_H
/*
 * One line of text for a terminal. Whatever is put into it is data: control characters, characters
 * that reorder text and bytes that are no UTF-8 become "\x1b" or "\u{202e}". It is cut, with a '~'
 * as its last character, where it would be wider than allowed.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct line {
	char *text;
	size_t length, size;
	int limit;    /* columns; 0: none */
	int columns;  /* used so far */
	size_t mark;  /* the length up to which a '~' still fits */
	int mark_columns;
	bool full;    /* something was left out */
	int error;    /* the first -errno; nothing is written after it */
};

void line__init(struct line *line, int limit);
void line__fini(struct line *line);
/* The same after the last line of a text, which is flushed: 0, or the first -errno of any line. */
int line__end(struct line *line, FILE *out);

void line__put(struct line *line, const char *text);
void line__format(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
void line__vformat(struct line *line, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));
/* `text`, filled with spaces to `width` columns. Longer text is cut if `cut`, else it runs over. */
void line__cell(struct line *line, const char *text, int width, bool cut);
void line__fill(struct line *line, int column); /* spaces up to it */
int line__width(const char *text); /* columns that line__put would use */
/* Writes the line without spaces at its end, and a newline; the line is then empty again. */
void line__show(struct line *line, FILE *out);

#endif
