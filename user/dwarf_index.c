/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dwarf_index.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

#include "dwarf_scope.h"
#include "span.h"
#include "string_pool.h"

enum { DEPTH_MAX = 128 };  /* of nested DIEs */
enum { ORIGIN_STEPS = 4 }; /* inlined call, abstract instance, declaration: one to spare */

/* A call that was inlined: a node of its function's tree. */
struct inlined {
	Dwarf_Die die;
	uint32_t parent; /* 1 + index of the one around it; 0: the function */
	uint32_t depth;
};

struct function {
	Dwarf_Die die;
	bool indexed;
	struct inlined *inlined;
	size_t count, room;
	struct spans spans; /* of inlined */
};

struct unit {
	Dwarf_Die die;
	bool indexed;
	struct function *functions;
	size_t count, room;
	struct spans spans; /* of functions */
	bool qualifies;     /* C++: a name needs the scopes around it */
	struct dwarf_scopes scopes;
	Dwarf_Lines *lines;
	size_t line_count;
	Dwarf_Files *files;
};

struct dwarf_index {
	Dwarf *dwarf;
	bool indexed;
	struct unit *units;
	size_t count, room;
	struct spans spans; /* of units */
	struct string_pool *names;
	/* DIEs and ranges that may still be read: a sound file never needs all */
	uint64_t budget;
};

struct dwarf_index *dwarf_index__new(Dwarf *dwarf)
{
	struct dwarf_index *index = calloc(1, sizeof(*index));

	if (!index)
		return NULL;
	index->dwarf = dwarf;
	index->names = string_pool__new();
	if (index->names)
		return index;
	free(index);
	return NULL;
}

static void unit__free(struct unit *unit)
{
	for (size_t i = 0; i < unit->count; i++) {
		free(unit->functions[i].inlined);
		spans__free(&unit->functions[i].spans);
	}
	free(unit->functions);
	spans__free(&unit->spans);
	dwarf_scopes__free(&unit->scopes);
}

void dwarf_index__free(struct dwarf_index *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < index->count; i++)
		unit__free(&index->units[i]);
	free(index->units);
	spans__free(&index->spans);
	string_pool__free(index->names);
	free(index);
}

/* Room for one more of `size` bytes at the end of an array. */
static int array__grow(void **items, size_t count, size_t *room, size_t size)
{
	void *larger;

	if (count < *room)
		return 0;
	larger = reallocarray(*items, *room ? *room * 2 : 8, size);
	if (!larger)
		return -ENOMEM;
	*items = larger;
	*room = *room ? *room * 2 : 8;
	return 0;
}

static bool index__spend(struct dwarf_index *index)
{
	if (!index->budget)
		return false;
	index->budget--;
	return true;
}

/* Adds where `die`'s code is, as `item`. How many ranges, or -ENOMEM. */
static int die__add_ranges(struct dwarf_index *index, Dwarf_Die *die, struct spans *spans,
			   uint32_t item)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;
	int added = 0;

	while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0 && index__spend(index)) {
		/* 0: the linker dropped this copy, but not what describes it. */
		if (start == 0 || start >= end)
			continue;
		if (spans__add(spans, start, end, item))
			return -ENOMEM;
		added++;
	}
	return added;
}

/* The next DIE of the same parent. A file may claim that it lies behind us: that would not end. */
static bool die__next(struct dwarf_index *index, Dwarf_Die *die)
{
	Dwarf_Off before = dwarf_dieoffset(die);

	return index__spend(index) && dwarf_siblingof(die, die) == 0 &&
	       dwarf_dieoffset(die) > before;
}

static const char *die__string(Dwarf_Die *die, unsigned int attribute)
{
	Dwarf_Attribute memory;

	return dwarf_formstring(dwarf_attr_integrate(die, attribute, &memory));
}

static const char *die__linkage_name(Dwarf_Die *die)
{
	const char *name = die__string(die, DW_AT_linkage_name);

	return name ? name : die__string(die, DW_AT_MIPS_linkage_name);
}

/* What `die` is an instance or the body of. */
static bool die__reference(Dwarf_Die *die, Dwarf_Die *origin)
{
	Dwarf_Attribute memory;

	return dwarf_formref_die(dwarf_attr(die, DW_AT_abstract_origin, &memory), origin) ||
	       dwarf_formref_die(dwarf_attr(die, DW_AT_specification, &memory), origin);
}

/* Where its function was first said to be: that is where its scopes are. */
static Dwarf_Off die__origin(Dwarf_Die *die)
{
	Dwarf_Die at = *die, origin;

	for (int steps = 0; steps < ORIGIN_STEPS && die__reference(&at, &origin); steps++)
		at = origin;
	return dwarf_dieoffset(&at);
}

static void frame__name(struct dwarf_frame *frame, const struct dwarf_index *index,
			const struct unit *unit, Dwarf_Die *die)
{
	const char *name = die__linkage_name(die);

	frame->plain = !name;
	if (frame->plain && (name = die__string(die, DW_AT_name)))
		name = dwarf_scopes__qualify(&unit->scopes, die__origin(die), name, index->names);
	frame->function = name;
}

static Dwarf_Word die__number(Dwarf_Die *die, unsigned int attribute)
{
	Dwarf_Attribute memory;
	Dwarf_Word value;

	return dwarf_formudata(dwarf_attr(die, attribute, &memory), &value) ? 0 : value;
}

static int index__add_unit(struct dwarf_index *index, Dwarf_Die *die)
{
	int added;

	if (array__grow((void **)&index->units, index->count, &index->room, sizeof(*index->units)))
		return -ENOMEM;
	added = die__add_ranges(index, die, &index->spans, index->count);
	if (added > 0)
		index->units[index->count++] = (struct unit){ .die = *die };
	return added < 0 ? added : 0;
}

/* No DIE is under a byte, and each is visited at most as unit's, function's and inlined one. */
static void index__set_budget(struct dwarf_index *index)
{
	Dwarf_Off at = 0, next, size = 0;
	size_t header;

	while (!dwarf_nextcu(index->dwarf, at, &next, &header, NULL, NULL, NULL) && next > at)
		size = at = next;
	index->budget = 4 * size + 1000 * 1000;
}

static int index__read_units(struct dwarf_index *index)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;
	uint8_t type;

	index->indexed = true;
	index__set_budget(index);
	/* Without a place for a split unit, none is opened (it would be by path). */
	while (!dwarf_get_units(index->dwarf, cu, &cu, NULL, &type, &die, NULL) &&
	       index__spend(index)) {
		if ((type == DW_UT_compile || type == DW_UT_skeleton) &&
		    index__add_unit(index, &die))
			return -ENOMEM;
	}
	spans__sort(&index->spans);
	return 0;
}

static int unit__add_function(struct dwarf_index *index, struct unit *unit, Dwarf_Die *die)
{
	int added;

	if (array__grow((void **)&unit->functions, unit->count, &unit->room,
			sizeof(*unit->functions)))
		return -ENOMEM;
	added = die__add_ranges(index, die, &unit->spans, unit->count);
	if (added > 0)
		unit->functions[unit->count++] = (struct function){ .die = *die };
	return added < 0 ? added : 0;
}

static bool tag__may_hold_functions(int tag)
{
	switch (tag) {
	case DW_TAG_subprogram: /* nested functions */
	case DW_TAG_lexical_block:
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
		return true;
	}
	return false;
}

static int unit__walk(struct dwarf_index *index, struct unit *unit, Dwarf_Die *parent,
		      uint32_t scope, int depth);

static int unit__visit(struct dwarf_index *index, struct unit *unit, Dwarf_Die *die, uint32_t scope,
		       int depth)
{
	int tag = dwarf_tag(die);
	int error = 0;

	if (tag == DW_TAG_subprogram)
		error = unit__add_function(index, unit, die);
	if (!error && tag == DW_TAG_subprogram && unit->qualifies && !die__linkage_name(die))
		error = dwarf_scopes__place(&unit->scopes, die, scope);
	if (error || !tag__may_hold_functions(tag) || !dwarf_haschildren(die))
		return error;
	if (unit->qualifies && tag != DW_TAG_lexical_block)
		error = dwarf_scopes__enter(&unit->scopes, die, scope, &scope);
	return error ? error : unit__walk(index, unit, die, scope, depth + 1);
}

static int unit__walk(struct dwarf_index *index, struct unit *unit, Dwarf_Die *parent,
		      uint32_t scope, int depth)
{
	Dwarf_Die die;
	int error;

	if (depth > DEPTH_MAX || dwarf_child(parent, &die))
		return 0;
	do {
		error = unit__visit(index, unit, &die, scope, depth);
	} while (!error && die__next(index, &die));
	return error;
}

static bool unit__is_cxx(struct unit *unit)
{
	switch (dwarf_srclang(&unit->die)) {
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
		return true;
	}
	return false;
}

static int unit__index(struct dwarf_index *index, struct unit *unit)
{
	size_t files;

	if (unit->indexed)
		return 0;
	unit->indexed = true;
	if (dwarf_getsrclines(&unit->die, &unit->lines, &unit->line_count))
		unit->line_count = 0;
	if (dwarf_getsrcfiles(&unit->die, &unit->files, &files))
		unit->files = NULL;
	unit->qualifies = unit__is_cxx(unit);
	if (unit__walk(index, unit, &unit->die, DWARF_SCOPE_NONE, 0))
		return -ENOMEM;
	spans__sort(&unit->spans);
	return 0;
}

static int function__add_inlined(struct dwarf_index *index, struct function *function,
				 Dwarf_Die *die, uint32_t parent)
{
	uint32_t depth = parent ? function->inlined[parent - 1].depth + 1 : 1;
	int added;

	if (array__grow((void **)&function->inlined, function->count, &function->room,
			sizeof(*function->inlined)))
		return -ENOMEM;
	added = die__add_ranges(index, die, &function->spans, function->count);
	function->inlined[function->count++] = (struct inlined){ *die, parent, depth };
	return added < 0 ? added : 0;
}

static int function__walk(struct dwarf_index *index, struct function *function, Dwarf_Die *around,
			  uint32_t parent, int depth)
{
	Dwarf_Die die;
	int error = 0;

	if (depth > DEPTH_MAX || dwarf_child(around, &die))
		return 0;
	do {
		int tag = dwarf_tag(&die);

		if (tag == DW_TAG_inlined_subroutine) {
			error = function__add_inlined(index, function, &die, parent);
			if (!error)
				error = function__walk(index, function, &die, function->count,
						       depth + 1);
		} else if (tag == DW_TAG_lexical_block || tag == DW_TAG_try_block ||
			   tag == DW_TAG_catch_block) {
			error = function__walk(index, function, &die, parent, depth + 1);
		}
	} while (!error && die__next(index, &die));
	return error;
}

static int function__index(struct dwarf_index *index, struct function *function)
{
	if (function->indexed)
		return 0;
	function->indexed = true;
	if (function__walk(index, function, &function->die, 0, 0))
		return -ENOMEM;
	spans__sort(&function->spans);
	return 0;
}

/* The innermost call around `address`: 1 + its index, or 0. */
static uint32_t function__innermost(const struct function *function, uint64_t address)
{
	const struct span *span = NULL;
	uint32_t innermost = 0, depth = 0;

	while ((span = spans__find(&function->spans, address, span))) {
		const struct inlined *inlined = &function->inlined[span->item];

		if (inlined->depth > depth) {
			depth = inlined->depth;
			innermost = span->item + 1;
		}
	}
	return innermost;
}

/* The last row at or before `address`: rows are sorted, and the last of one address holds. */
static Dwarf_Line *unit__line(const struct unit *unit, uint64_t address)
{
	size_t low = 0, high = unit->line_count;
	Dwarf_Line *line;
	bool end = true;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		Dwarf_Addr at = UINT64_MAX;

		dwarf_lineaddr(dwarf_onesrcline(unit->lines, middle), &at);
		if (at <= address)
			low = middle + 1;
		else
			high = middle;
	}
	line = low ? dwarf_onesrcline(unit->lines, low - 1) : NULL;
	return line && !dwarf_lineendsequence(line, &end) && !end ? line : NULL;
}

static void frame__place_by_line(struct dwarf_frame *frame, const struct unit *unit,
				 uint64_t address)
{
	Dwarf_Line *line = unit__line(unit, address);
	int number;

	if (!line || dwarf_lineno(line, &number))
		return;
	frame->line = number > 0 ? number : 0; /* 0: the compiler's own code, of no line */
	frame->file = dwarf_linesrc(line, NULL, NULL);
}

static void frame__place_by_call(struct dwarf_frame *frame, const struct unit *unit,
				 Dwarf_Die *call)
{
	Dwarf_Word line = die__number(call, DW_AT_call_line);

	if (!unit->files || !line || line > INT32_MAX)
		return;
	frame->line = line;
	frame->file = dwarf_filesrc(unit->files, die__number(call, DW_AT_call_file), NULL, NULL);
}

static void frame__name_real(struct dwarf_frame *frame, const struct dwarf_index *index,
			     const struct unit *unit, struct function *function)
{
	Dwarf_Addr base, start, end;

	frame__name(frame, index, unit, &function->die);
	/* Not dwarf_entrypc(): a function in several pieces has only ranges, the first first. */
	if (dwarf_ranges(&function->die, 0, &base, &start, &end) > 0)
		frame->start = start;
}

/* From the innermost call outwards; each call says where in the next frame it stands. */
static int function__frames(const struct dwarf_index *index, const struct unit *unit,
			    struct function *function, uint64_t address, struct dwarf_frame *frames,
			    int max)
{
	uint32_t at = function__innermost(function, address);
	Dwarf_Die *call = NULL;
	int count = 0;

	for (; count < max; count++) {
		struct dwarf_frame *frame = &frames[count];

		*frame = (struct dwarf_frame){ .inlined = at != 0 };
		if (call)
			frame__place_by_call(frame, unit, call);
		else
			frame__place_by_line(frame, unit, address);
		if (!at) {
			frame__name_real(frame, index, unit, function);
			return count + 1;
		}
		call = &function->inlined[at - 1].die;
		frame__name(frame, index, unit, call);
		at = function->inlined[at - 1].parent;
	}
	return count;
}

/* Code without a function: what was written in assembly has lines only. */
static int unit__bare_frame(const struct unit *unit, uint64_t address, struct dwarf_frame *frame)
{
	*frame = (struct dwarf_frame){ 0 };
	frame__place_by_line(frame, unit, address);
	return frame->line != 0;
}

static int unit__frames(struct dwarf_index *index, struct unit *unit, uint64_t address,
			struct dwarf_frame *frames, int max)
{
	const struct span *span;
	struct function *function;

	if (unit__index(index, unit))
		return -ENOMEM;
	span = spans__find(&unit->spans, address, NULL);
	if (!span)
		return unit__bare_frame(unit, address, frames);
	function = &unit->functions[span->item];
	if (function__index(index, function))
		return -ENOMEM;
	return function__frames(index, unit, function, address, frames, max);
}

int dwarf_index__find(struct dwarf_index *index, uint64_t address, struct dwarf_frame *frames,
		      int max)
{
	const struct span *span = NULL;
	int count = 0;

	if (max <= 0)
		return 0;
	if (!index->indexed && index__read_units(index))
		return -ENOMEM;
	while (!count && (span = spans__find(&index->spans, address, span)))
		count = unit__frames(index, &index->units[span->item], address, frames, max);
	return count;
}
