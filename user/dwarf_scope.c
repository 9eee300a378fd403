/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dwarf_scope.h"

#include <dwarf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { QUALIFIED_MAX = 4096 }; /* bytes of a name that is composed here */

struct scope {
	const char *name; /* in the Dwarf */
	uint32_t around;  /* 1 + index, or DWARF_SCOPE_NONE */
};

struct placed {
	Dwarf_Off offset;
	uint32_t scope;
};

/* gcc declares a lambda's constructors under this name, and gives its type none (clang: "$_0"). */
static bool is_lambda(Dwarf_Die *type)
{
	const char *name;
	Dwarf_Die member;
	int error = dwarf_child(type, &member);

	for (; !error; error = dwarf_siblingof(&member, &member)) {
		name = dwarf_diename(&member);
		if (name && !strcmp(name, "<lambda>"))
			return true;
	}
	return false;
}

static const char *scope_name(Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);

	if (name)
		return name;
	if (dwarf_tag(die) == DW_TAG_namespace)
		return "(anonymous namespace)";
	return is_lambda(die) ? "{lambda}" : "{unnamed type}";
}

int dwarf_scopes__enter(struct dwarf_scopes *scopes, Dwarf_Die *die, uint32_t around,
			uint32_t *scope)
{
	if (scopes->count == scopes->room) {
		size_t room = scopes->room ? scopes->room * 2 : 16;
		struct scope *larger = reallocarray(scopes->items, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		scopes->items = larger;
		scopes->room = room;
	}
	scopes->items[scopes->count++] = (struct scope){ scope_name(die), around };
	*scope = scopes->count;
	return 0;
}

int dwarf_scopes__place(struct dwarf_scopes *scopes, Dwarf_Die *function, uint32_t scope)
{
	if (scope == DWARF_SCOPE_NONE)
		return 0;
	if (scopes->placed_count == scopes->placed_room) {
		size_t room = scopes->placed_room ? scopes->placed_room * 2 : 16;
		struct placed *larger = reallocarray(scopes->placed, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		scopes->placed = larger;
		scopes->placed_room = room;
	}
	scopes->placed[scopes->placed_count++] =
		(struct placed){ dwarf_dieoffset(function), scope };
	return 0;
}

static uint32_t scopes__find(const struct dwarf_scopes *scopes, Dwarf_Off offset)
{
	size_t low = 0, high = scopes->placed_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (scopes->placed[middle].offset == offset)
			return scopes->placed[middle].scope;
		if (scopes->placed[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return DWARF_SCOPE_NONE;
}

/* Puts `text` before what begins at text[at]; the new begin, or `at` when there is no room. */
static size_t text__prepend(char *text, size_t at, const char *before)
{
	size_t length = strlen(before);

	if (length > at)
		return at;
	memcpy(text + at - length, before, length);
	return at - length;
}

const char *dwarf_scopes__qualify(const struct dwarf_scopes *scopes, Dwarf_Off offset,
				  const char *name, struct string_pool *strings)
{
	uint32_t scope = scopes__find(scopes, offset);
	char text[QUALIFIED_MAX];
	size_t at = QUALIFIED_MAX;
	const char *kept;

	if (scope == DWARF_SCOPE_NONE || strlen(name) > QUALIFIED_MAX / 2)
		return name;
	at = text__prepend(text, at, name);
	for (; scope != DWARF_SCOPE_NONE; scope = scopes->items[scope - 1].around) {
		at = text__prepend(text, at, "::");
		at = text__prepend(text, at, scopes->items[scope - 1].name);
	}
	kept = string_pool__add(strings, text + at, QUALIFIED_MAX - at);
	return kept ? kept : name;
}

void dwarf_scopes__free(struct dwarf_scopes *scopes)
{
	free(scopes->items);
	free(scopes->placed);
	*scopes = (struct dwarf_scopes){ 0 };
}
