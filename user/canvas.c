/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "canvas.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "line.h"
#include "utf8.h"

struct canvas_line {
	struct piece *pieces;
	size_t count, room;
};

struct canvas {
	int columns, lines;
	bool utf8;
	struct canvas_line items[];
};

struct canvas *canvas__new(int columns, int lines, bool utf8)
{
	struct canvas *canvas =
		calloc(1, sizeof(*canvas) + (size_t)lines * sizeof(canvas->items[0]));

	if (!canvas)
		return NULL;
	canvas->columns = columns;
	canvas->lines = lines;
	canvas->utf8 = utf8;
	return canvas;
}

void canvas__free(struct canvas *canvas)
{
	if (!canvas)
		return;
	for (int i = 0; i < canvas->lines; i++) {
		for (size_t k = 0; k < canvas->items[i].count; k++)
			free(canvas->items[i].pieces[k].text);
		free(canvas->items[i].pieces);
	}
	free(canvas);
}

int canvas__columns(const struct canvas *canvas)
{
	return canvas->columns;
}

int canvas__lines(const struct canvas *canvas)
{
	return canvas->lines;
}

bool canvas__utf8(const struct canvas *canvas)
{
	return canvas->utf8;
}

static void add_piece(struct canvas_line *line, const struct piece *piece)
{
	if (line->count == line->room) {
		size_t room = line->room ? line->room * 2 : 8;
		struct piece *pieces = reallocarray(line->pieces, room, sizeof(*pieces));

		if (!pieces) {
			free(piece->text);
			return;
		}
		line->pieces = pieces;
		line->room = room;
	}
	line->pieces[line->count++] = *piece;
}

/* Where only ASCII can be shown, a '?' stands for each column of any other character. In place. */
static void make_ascii(char *text)
{
	char *out = text;

	while (*text) {
		uint32_t code;
		int length = utf8__decode(text, &code);

		if (length <= 1) {
			*out++ = *text++;
			continue;
		}
		memset(out, '?', utf8__width(code));
		out += utf8__width(code);
		text += length;
	}
	*out = 0;
}

/* The text escaped, and `width` columns wide. NULL: no memory. */
static char *fit(const struct canvas *canvas, const char *text, int width)
{
	struct line line;

	line__init(&line, 0);
	line__cell(&line, text, width, true);
	if (line.error || !line.text) {
		line__fini(&line);
		return NULL;
	}
	line.text[line.length] = 0; /* there is always room for a character more */
	if (!canvas->utf8)
		make_ascii(line.text);
	return line.text;
}

int canvas__put(struct canvas *canvas, int line, int column, int width, unsigned int style,
		const char *text)
{
	struct piece piece = { .column = column, .style = style };
	int room = canvas->columns - column;

	if (width < 0)
		width = line__width(text);
	if (line < 0 || line >= canvas->lines || column < 0 || width == 0 || room <= 0)
		return column + width;
	piece.columns = width < room ? width : room;
	piece.text = fit(canvas, text, piece.columns);
	if (piece.text)
		add_piece(&canvas->items[line], &piece);
	return column + width;
}

int canvas__put_right(struct canvas *canvas, int line, int column, int width, unsigned int style,
		      const char *text)
{
	int blank = width - line__width(text);

	if (blank > 0)
		canvas__put(canvas, line, column, blank, style, "");
	else
		blank = 0;
	return canvas__put(canvas, line, column + blank, width - blank, style, text);
}

const struct piece *canvas__pieces(const struct canvas *canvas, int line, size_t *count)
{
	*count = canvas->items[line].count;
	return canvas->items[line].pieces;
}

char *canvas__text(const struct canvas *canvas, int line)
{
	struct line text;
	char *copy;

	line__init(&text, 0);
	for (size_t i = 0; i < canvas->items[line].count; i++) {
		const struct piece *piece = &canvas->items[line].pieces[i];

		line__fill(&text, piece->column);
		line__put(&text, piece->text);
	}
	while (text.length && text.text[text.length - 1] == ' ')
		text.length--;
	copy = text.error ? NULL : strndup(text.text ? text.text : "", text.length);
	line__fini(&text);
	return copy;
}
