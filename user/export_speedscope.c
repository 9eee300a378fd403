/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "numbering.h"

/* What is one frame for speedscope. Strings are the snapshot's; there is no padding. */
struct key {
	const char *function, *file, *module;
	uint64_t offset; /* where there is no function */
	uint64_t line;
	uint64_t mark; /* enum mark */
};
enum mark { FRAME, COMM, TRUNCATED, BROKEN };

struct exporting {
	struct json *json;
	struct rows rows;
	struct numbering *frames;
	int error;
};

static int64_t number(struct exporting *exporting, const struct key *key)
{
	int64_t index = numbering__add(exporting->frames, key);

	if (index < 0)
		exporting->error = -ENOMEM;
	return index < 0 ? 0 : index;
}

static struct key key_of(const struct frame *frame)
{
	return (struct key){
		.function = frame->function,
		.file = frame->file,
		.module = frame->module,
		.offset = frame->function || !frame->has_offset ? 0 : frame->offset,
		.line = frame->line,
	};
}

/* Root first; the process stands for the root. */
static void show_stack(struct exporting *exporting, const struct row *row)
{
	const struct stack *stack = &row->stack;
	struct key key = { .function = row->process->comm, .mark = COMM };

	json__open(exporting->json, NULL, '[');
	json__integer(exporting->json, NULL, (uint64_t)number(exporting, &key));
	if (stack->end != STACK_COMPLETE) {
		key = (struct key){ .mark = stack->end == STACK_TRUNCATED ? TRUNCATED : BROKEN };
		json__integer(exporting->json, NULL, (uint64_t)number(exporting, &key));
	}
	for (uint32_t i = stack->depth; i > 0; i--) {
		key = key_of(stack->frames[i - 1]);
		json__integer(exporting->json, NULL, (uint64_t)number(exporting, &key));
	}
	json__close(exporting->json, ']');
}

static void show_profile(struct exporting *exporting, const char *name, const char *unit,
			 enum sort_key sort)
{
	const struct rows *rows = &exporting->rows;
	struct json *json = exporting->json;
	uint64_t sum = 0;

	json__open(json, NULL, '{');
	json__string(json, "type", "sampled");
	json__string(json, "name", name);
	json__string(json, "unit", unit);
	json__open(json, "samples", '[');
	for (size_t i = 0; i < rows->count && !json->error; i++)
		show_stack(exporting, &rows->items[i]);
	json__close(json, ']');
	json__open(json, "weights", '[');
	for (size_t i = 0; i < rows->count; i++) {
		uint64_t value = export__value(&rows->items[i].counters, sort);

		json__integer(json, NULL, value);
		sum += value;
	}
	json__close(json, ']');
	json__integer(json, "startValue", 0);
	json__integer(json, "endValue", sum);
	json__close(json, '}');
}

static void show_frame(struct json *json, const struct key *key)
{
	static const char *const marks[] = {
		[COMM] = "[unknown]",
		[TRUNCATED] = "[truncated]",
		[BROKEN] = "[broken]",
	};
	const struct frame frame = {
		.function = key->function,
		.module = key->module,
		.offset = key->offset,
		.has_offset = key->offset,
	};
	char name[EXPORT_NAME];

	json__open(json, NULL, '{');
	if (key->mark == FRAME || key->function)
		json__string(json, "name", export__name(&frame, name));
	else
		json__string(json, "name", marks[key->mark]);
	json__string(json, "file", key->file);
	if (key->line)
		json__integer(json, "line", key->line);
	json__close(json, '}');
}

static void show_profiles(struct exporting *exporting, bool peaks)
{
	json__open(exporting->json, "profiles", '[');
	show_profile(exporting, "live bytes", "bytes", SORT_LIVE);
	show_profile(exporting, "live blocks", "none", SORT_COUNT);
	show_profile(exporting, "allocated bytes", "bytes", SORT_ALLOC);
	show_profile(exporting, "allocations", "none", SORT_ALLOCS);
	if (peaks)
		show_profile(exporting, "peak bytes", "bytes", SORT_PEAK);
	json__close(exporting->json, ']');
}

/* Frames are numbered while the profiles are written: so they come after them. */
static void show(struct exporting *exporting, bool peaks)
{
	struct json *json = exporting->json;

	json__open(json, NULL, '{');
	json__string(json, "$schema", "https://www.speedscope.app/file-format-schema.json");
	json__string(json, "exporter", "memwatch " MEMWATCH_VERSION);
	json__integer(json, "activeProfileIndex", 0);
	show_profiles(exporting, peaks);
	json__open(json, "shared", '{');
	json__open(json, "frames", '[');
	for (size_t i = 0; i < numbering__count(exporting->frames); i++)
		show_frame(json, numbering__key(exporting->frames, i));
	json__close(json, ']');
	json__close(json, '}');
	json__close(json, '}');
}

int export__speedscope(FILE *out, const struct snapshot *snapshot, const struct query *query)
{
	struct exporting exporting = { .frames = numbering__new(sizeof(struct key)) };
	struct query all = *query;
	int error = exporting.frames ? 0 : -ENOMEM;

	exporting.json = malloc(sizeof(*exporting.json));
	all.by = BY_STACK;
	all.top = 0;
	if (!exporting.json)
		error = -ENOMEM;
	error = error ? error : snapshot__rows(snapshot, &all, &exporting.rows);
	if (!error) {
		json__init(exporting.json, out);
		show(&exporting, !snapshot__header(snapshot)->without_peaks);
		error = json__end(exporting.json);
	}
	rows__free(&exporting.rows);
	numbering__free(exporting.frames);
	free(exporting.json);
	return error ? error : exporting.error;
}
