/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "utf8.h"

/* `text` without what would end a name: ';' is ':', and what does not print is '?'. */
static void clean(char name[EXPORT_NAME], const char *text)
{
	size_t at = 0;

	while (*text && at + 5 < EXPORT_NAME) {
		uint32_t code;
		int bytes = utf8__decode(text, &code);

		if (bytes == 0 || utf8__is_control(code) || *text == ';') {
			name[at++] = *text == ';' ? ':' : '?';
			text += bytes ? bytes : 1;
			continue;
		}
		memcpy(name + at, text, (size_t)bytes);
		at += (size_t)bytes;
		text += bytes;
	}
	name[at] = '\0';
}

const char *export__name(const struct frame *frame, char text[EXPORT_NAME])
{
	char place[EXPORT_NAME];

	if (frame->function) {
		clean(text, frame->function);
	} else if (frame->has_offset) {
		snprintf(place, sizeof(place), "%.500s%s0x%" PRIx64,
			 frame->module ? frame->module : "", frame->module ? "+" : "",
			 frame->offset);
		clean(text, place);
	} else {
		clean(text, frame->module ? frame->module : "[unknown]");
	}
	return text;
}

uint64_t export__value(const struct counters *counters, enum sort_key sort)
{
	switch (sort) {
	case SORT_LIVE:
		return counters->live_bytes;
	case SORT_COUNT:
		return counters->live_count;
	case SORT_ALLOC:
		return counters__alloc_bytes(counters);
	case SORT_ALLOCS:
		return counters__alloc_count(counters);
	case SORT_PEAK:
		return counters->peak_bytes;
	default:
		return 0;
	}
}

static void write_row(FILE *out, const struct row *row, uint64_t value)
{
	const struct stack *stack = &row->stack;
	char name[EXPORT_NAME];

	clean(name, row->process->comm ? row->process->comm : "");
	fputs(*name ? name : "[unknown]", out);
	if (stack->end != STACK_COMPLETE)
		fputs(stack->end == STACK_TRUNCATED ? ";[truncated]" : ";[broken]", out);
	for (uint32_t i = stack->depth; i > 0; i--)
		fprintf(out, ";%s", export__name(stack->frames[i - 1], name));
	fprintf(out, " %" PRIu64 "\n", value);
}

int export__folded(FILE *out, const struct snapshot *snapshot, const struct query *query)
{
	struct query all = *query;
	struct rows rows;
	int error;

	all.by = BY_STACK;
	all.top = 0;
	error = snapshot__rows(snapshot, &all, &rows);
	if (error)
		return error;
	for (size_t i = 0; i < rows.count && !ferror(out); i++) {
		uint64_t value = export__value(&rows.items[i].counters, query->sort);

		if (value)
			write_row(out, &rows.items[i], value);
	}
	rows__free(&rows);
	errno = 0;
	return fflush(out) || ferror(out) ? (errno ? -errno : -EIO) : 0;
}
