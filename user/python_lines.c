/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_lines.h"

enum { NO_LINE = -128 }; /* 3.10's line delta of code that has no line */
enum { CODE_UNIT = 2 }; /* bytes of an instruction, and of each of its caches */

enum location_kind { /* bits 3-6 of a location's first byte; below ONE_LINE: short forms */
		     LOCATION_ONE_LINE = 10,
		     LOCATION_NO_COLUMNS = 13,
		     LOCATION_LONG = 14,
		     LOCATION_NONE = 15,
};

/* What hostile tables add up to is a line, too, as long as it is a positive int. */
static unsigned int line__clamp(int64_t line)
{
	return line > 0 && line <= INT32_MAX ? (unsigned int)line : 0;
}

static unsigned int find_in_lnotab(const uint8_t *table, size_t size, int64_t line, int64_t offset)
{
	int64_t at = 0;

	for (size_t i = 0; i + 1 < size; i += 2) {
		at += table[i];
		if (at > offset)
			break;
		line += (int8_t)table[i + 1];
	}
	return line__clamp(line);
}

static unsigned int find_in_linetable(const uint8_t *table, size_t size, int64_t line,
				      int64_t offset)
{
	int64_t at = 0;

	for (size_t i = 0; i + 1 < size; i += 2) {
		int8_t delta = (int8_t)table[i + 1];

		at += table[i];
		if (delta != NO_LINE)
			line += delta;
		if (at > offset)
			return delta == NO_LINE ? 0 : line__clamp(line);
	}
	return 0;
}

/* Six bits a byte, the lowest first; bit 6 says that another byte follows. */
static uint32_t read_varint(const uint8_t *table, size_t size, size_t at)
{
	uint32_t value = 0;

	for (unsigned int shift = 0; at < size && shift < 32; shift += 6) {
		value |= (uint32_t)(table[at] & 0x3f) << shift;
		if (!(table[at++] & 0x40))
			break;
	}
	return value;
}

/* By how much the location at `at` moves the line. */
static int64_t line_delta(const uint8_t *table, size_t size, size_t at)
{
	unsigned int kind = table[at] >> 3 & 0xf;
	uint32_t value;

	if (kind == LOCATION_NONE || kind < LOCATION_ONE_LINE)
		return 0;
	if (kind < LOCATION_NO_COLUMNS)
		return kind - LOCATION_ONE_LINE;
	value = read_varint(table, size, at + 1);
	return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

static unsigned int find_in_locations(const uint8_t *table, size_t size, int64_t line,
				      int64_t offset)
{
	int64_t end = 0;
	size_t at = 0;

	while (at < size) {
		if (table[at] & 0x80) { /* else inside a location: no table begins so */
			end += CODE_UNIT * ((table[at] & 7) + 1);
			line += line_delta(table, size, at);
			if (end > offset)
				break;
		}
		at++;
	}
	if (at == size || (table[at] >> 3 & 0xf) == LOCATION_NONE)
		return 0;
	return line__clamp(line);
}

unsigned int python_lines__find(enum python_lines format, const uint8_t *table, size_t size,
				unsigned int first, int64_t offset)
{
	if (offset < 0)
		return first;
	switch (format) {
	case PYTHON_LNOTAB:
		return find_in_lnotab(table, size, first, offset);
	case PYTHON_LINETABLE:
		return find_in_linetable(table, size, first, offset);
	case PYTHON_LOCATIONS:
		return find_in_locations(table, size, first, offset);
	}
	return 0;
}
