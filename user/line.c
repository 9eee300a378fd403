/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "line.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

void line__init(struct line *line, int limit)
{
	*line = (struct line){ .limit = limit > 0 ? limit : 0 };
}

void line__fini(struct line *line)
{
	free(line->text);
	line->text = NULL;
}

int line__end(struct line *line, FILE *out)
{
	int error = line->error;

	errno = 0;
	if (!error && fflush(out))
		error = errno ? -errno : -EIO;
	line__fini(line);
	return error;
}

/* What is shown for the character at `text`, and how wide it is. `shown` lasts until the next. */
struct glyph {
	char shown[16];
	size_t length;
	int columns;
	int taken; /* bytes of `text` */
};

static void glyph__read(struct glyph *glyph, const char *text)
{
	uint32_t code;
	int length = utf8__decode(text, &code);

	glyph->taken = length ? length : 1;
	if (length && !utf8__is_control(code)) {
		memcpy(glyph->shown, text, length);
		glyph->length = length;
		glyph->columns = utf8__width(code);
		return;
	}
	if (length > 1)
		glyph->length = snprintf(glyph->shown, sizeof(glyph->shown), "\\u{%x}", code);
	else
		glyph->length = snprintf(glyph->shown, sizeof(glyph->shown), "\\x%02x",
					 (unsigned char)*text);
	glyph->columns = (int)glyph->length;
}

static int reserve(struct line *line, size_t more)
{
	size_t wanted = (line->length + more) * 2 + 128;
	char *text;

	if (line->length + more <= line->size)
		return 0;
	text = realloc(line->text, wanted);
	if (!text) {
		line->error = -ENOMEM;
		return -ENOMEM;
	}
	line->text = text;
	line->size = wanted;
	return 0;
}

static void append(struct line *line, const char *bytes, size_t length, int columns)
{
	if (line->error || line->full)
		return;
	if (line->limit && line->columns + columns > line->limit) {
		line->full = true;
		return;
	}
	if (reserve(line, length + 1)) /* + 1: a '~' or a newline always fits */
		return;
	memcpy(line->text + line->length, bytes, length);
	line->length += length;
	line->columns += columns;
	if (line->limit && line->columns < line->limit) {
		line->mark = line->length;
		line->mark_columns = line->columns;
	}
}

/* Replaces what does not fit by a '~'. */
static void cut(struct line *line)
{
	if (!line->full || line->error)
		return;
	line->length = line->mark;
	line->columns = line->mark_columns;
	if (reserve(line, 2))
		return;
	line->text[line->length++] = '~';
	line->columns++;
}

/* Bytes at `text` that are shown as they are, one column each: nearly all there are. */
static size_t plain_length(const char *text)
{
	size_t length = 0;

	while (text[length] >= 0x20 && text[length] < 0x7f)
		length++;
	return length;
}

static bool has_room(const struct line *line, size_t columns)
{
	return !line->limit || columns < (size_t)(line->limit - line->columns);
}

void line__put(struct line *line, const char *text)
{
	struct glyph glyph;
	size_t plain;

	while (*text && !line->full && !line->error) {
		plain = plain_length(text);
		if (plain && has_room(line, plain)) {
			append(line, text, plain, (int)plain);
			text += plain;
			continue;
		}
		glyph__read(&glyph, text);
		append(line, glyph.shown, glyph.length, glyph.columns);
		text += glyph.taken;
	}
}

void line__vformat(struct line *line, const char *format, va_list arguments)
{
	char *text = NULL;

	if (vasprintf(&text, format, arguments) < 0) {
		line->error = line->error ? line->error : -ENOMEM;
		text = NULL;
	}
	if (text)
		line__put(line, text);
	free(text);
}

void line__format(struct line *line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	line__vformat(line, format, arguments);
	va_end(arguments);
}

int line__width(const char *text)
{
	struct glyph glyph;
	size_t columns = 0, plain;

	while (*text) {
		plain = plain_length(text);
		columns += plain;
		text += plain;
		if (!*text)
			break;
		glyph__read(&glyph, text);
		columns += (size_t)glyph.columns;
		text += glyph.taken;
	}
	return columns < INT_MAX ? (int)columns : INT_MAX;
}

void line__fill(struct line *line, int column)
{
	static const char spaces[] = "                ";
	int wanted;

	while (line->columns < column && !line->full && !line->error) {
		wanted = column - line->columns;
		if (wanted > (int)sizeof(spaces) - 1)
			wanted = (int)sizeof(spaces) - 1;
		line__put(line, spaces + sizeof(spaces) - 1 - wanted);
	}
}

/* Puts as much of `text` as fits below the narrower `limit`. */
static void put_cut(struct line *line, const char *text, int limit)
{
	int whole = line->limit;

	line->limit = limit;
	line->mark = line->length;
	line->mark_columns = line->columns;
	line__put(line, text);
	cut(line);
	line->full = false;
	line->limit = whole;
	line->mark = line->length;
	line->mark_columns = line->columns;
}

void line__cell(struct line *line, const char *text, int width, bool cut_it)
{
	int end = line->columns + width;

	if (line->full || line->error)
		return;
	if (cut_it && width > 0 && (!line->limit || end < line->limit))
		put_cut(line, text, end);
	else
		line__put(line, text);
	line__fill(line, end);
}

void line__show(struct line *line, FILE *out)
{
	cut(line);
	while (line->length && line->text[line->length - 1] == ' ')
		line->length--;
	if (!line->error && !reserve(line, 1)) {
		line->text[line->length++] = '\n';
		errno = 0;
		if (fwrite(line->text, 1, line->length, out) != line->length)
			line->error = errno ? -errno : -EIO;
	}
	line->length = line->mark = 0;
	line->columns = line->mark_columns = 0;
	line->full = false;
}
