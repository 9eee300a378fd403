/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The page's script (web/profile.js) reads what is written here: columns, to be small. */
#include "export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "call_tree.h"
#include "flamegraph_page.h"
#include "json.h"
#include "numbering.h"
#include "string_pool.h"
#include "view_json.h"

static const struct {
	const char *name, *unit;
	enum sort_key sort;
} metrics[] = {
	{ "live bytes", "bytes", SORT_LIVE },     { "allocated bytes", "bytes", SORT_ALLOC },
	{ "peak bytes", "bytes", SORT_PEAK },     { "live blocks", "blocks", SORT_COUNT },
	{ "allocations", "blocks", SORT_ALLOCS },
};
enum { METRICS = sizeof(metrics) / sizeof(metrics[0]) };

struct exporting {
	struct json *json;
	struct call_tree tree;
	struct numbering *strings; /* of pointers into the tree's pool */
	unsigned int holds;
	int error;
};

static const char *kind_of(const struct call_frame *frame)
{
	static const char *const kinds[] = {
		[FRAME_UNKNOWN] = "unknown", [FRAME_NATIVE] = "native", [FRAME_PYTHON] = "python",
		[FRAME_JIT] = "jit",         [FRAME_KERNEL] = "kernel",
	};

	if (frame->kind == CALL_FRAME)
		return kinds[frame->frame.kind];
	return frame->kind == CALL_PROCESS ? "process" : "group";
}

/* A name of our own making, in the pool as the others are. */
__attribute__((format(printf, 2, 3))) static const char *make_name(struct exporting *exporting,
								   const char *format, ...)
{
	const char *pooled = NULL;
	va_list arguments;
	char *name;
	int length;

	va_start(arguments, format);
	length = vasprintf(&name, format, arguments);
	va_end(arguments);
	if (length >= 0) {
		pooled = string_pool__add(exporting->tree.strings, name, (size_t)length);
		free(name);
	}
	exporting->error = pooled ? exporting->error : -ENOMEM;
	return pooled;
}

static const char *name_of(struct exporting *exporting, const struct call_frame *call)
{
	static const char *const groups[] = {
		[CALL_ROOT] = "all",          [CALL_TRUNCATED] = "[truncated]",
		[CALL_BROKEN] = "[broken]",   [CALL_DEEPER] = "[deeper]",
		[CALL_SMALLER] = "[smaller]",
	};
	const struct frame *frame = &call->frame;

	if (call->kind == CALL_PROCESS && call->pid)
		return make_name(exporting, "%s[%d]", frame->function ? frame->function : "",
				 (int)call->pid);
	if (call->kind != CALL_FRAME && call->kind != CALL_PROCESS)
		return make_name(exporting, "%s", groups[call->kind]);
	if (frame->function)
		return frame->function;
	if (frame->has_offset)
		return make_name(exporting, "%s%s0x%" PRIx64, frame->module ? frame->module : "",
				 frame->module ? "+" : "", frame->offset);
	return frame->module ? frame->module : make_name(exporting, "[unknown]");
}

/* From 1 on; 0 stands for no string. */
static uint64_t number_of(struct exporting *exporting, const char *string)
{
	const uint64_t key = (uint64_t)(uintptr_t)string;
	int64_t number = string ? numbering__add(exporting->strings, &key) : -1;

	if (string && number < 0)
		exporting->error = -ENOMEM;
	return (uint64_t)(number + 1);
}

enum column { NAME, FILE_, LINE, MODULE, INLINED };

static uint64_t cell(struct exporting *exporting, const struct call_frame *frame,
		     enum column column)
{
	switch (column) {
	case NAME:
		return number_of(exporting, name_of(exporting, frame));
	case FILE_:
		return number_of(exporting, frame->frame.file);
	case LINE:
		return frame->frame.line;
	case MODULE:
		return number_of(exporting, frame->frame.module);
	default:
		return frame->frame.inlined;
	}
}

static void show_frames(struct exporting *exporting)
{
	static const char *const names[] = {
		[NAME] = "name",     [FILE_] = "file",      [LINE] = "line",
		[MODULE] = "module", [INLINED] = "inlined",
	};
	const struct call_tree *tree = &exporting->tree;
	struct json *json = exporting->json;

	json__open(json, "frames", '{');
	json__open(json, "kind", '[');
	for (size_t i = 0; i < tree->frame_count; i++)
		json__string(json, NULL, kind_of(&tree->frames[i]));
	json__close(json, ']');
	for (enum column column = NAME; column <= INLINED; column++) {
		json__open(json, names[column], '[');
		for (size_t i = 0; i < tree->frame_count; i++)
			json__integer(json, NULL, cell(exporting, &tree->frames[i], column));
		json__close(json, ']');
	}
	json__close(json, '}');
}

/* A column for each metric; `offset`: where in a call its values of this name are. */
static void show_values(const struct exporting *exporting, const char *name, size_t offset)
{
	const struct call_tree *tree = &exporting->tree;
	struct json *json = exporting->json;

	json__open(json, name, '[');
	for (int k = 0; k < METRICS; k++) {
		if (!(exporting->holds & 1U << metrics[k].sort))
			continue;
		json__open(json, NULL, '[');
		for (size_t i = 0; i < tree->count; i++) {
			const char *call = (const char *)&tree->items[i];
			const uint64_t *values = (const uint64_t *)(const void *)(call + offset);

			json__integer(json, NULL, values[metrics[k].sort]);
		}
		json__close(json, ']');
	}
	json__close(json, ']');
}

static void show_calls(struct exporting *exporting, bool two)
{
	const struct call_tree *tree = &exporting->tree;
	struct json *json = exporting->json;

	json__open(json, "calls", '{');
	json__open(json, "parent", '[');
	for (size_t i = 0; i < tree->count; i++)
		json__integer(json, NULL, tree->items[i].parent);
	json__close(json, ']');
	json__open(json, "frame", '[');
	for (size_t i = 0; i < tree->count; i++)
		json__integer(json, NULL, tree->items[i].frame);
	json__close(json, ']');
	json__open(json, "sites", '[');
	for (size_t i = 0; i < tree->count; i++)
		json__integer(json, NULL, tree->items[i].sites);
	json__close(json, ']');
	show_values(exporting, "now", offsetof(struct call, now));
	if (two) {
		show_values(exporting, "old", offsetof(struct call, old));
		show_values(exporting, "grew", offsetof(struct call, grew));
	}
	json__close(json, '}');
}

static void show_strings(struct exporting *exporting)
{
	struct json *json = exporting->json;

	json__open(json, "strings", '[');
	for (size_t i = 0; i < numbering__count(exporting->strings); i++) {
		const uint64_t *key = numbering__key(exporting->strings, i);

		json__string(json, NULL, (const char *)(uintptr_t)*key);
	}
	json__close(json, ']');
}

static void show_metrics(const struct exporting *exporting, enum sort_key sort)
{
	struct json *json = exporting->json;

	json__open(json, "metrics", '[');
	for (int i = 0; i < METRICS; i++) {
		if (!(exporting->holds & 1U << metrics[i].sort))
			continue;
		json__open(json, NULL, '{');
		json__string(json, "name", metrics[i].name);
		json__string(json, "unit", metrics[i].unit);
		json__close(json, '}');
	}
	json__close(json, ']');
	for (int i = 0; i < METRICS; i++)
		if (metrics[i].sort == sort)
			json__string(json, "shown", metrics[i].name);
}

/* Of both snapshots, where there are any. */
static void show_losses(struct json *json, const struct losses *now, const struct losses *old)
{
	const struct {
		const char *name;
		uint64_t count;
	} losses[] = {
		{ "blocks", now->blocks + old->blocks },
		{ "sites", now->sites + old->sites },
		{ "stacks", now->stacks + old->stacks },
		{ "inflight", now->inflight + old->inflight },
		{ "truncated_stacks", now->truncated_stacks + old->truncated_stacks },
		{ "broken_stacks", now->broken_stacks + old->broken_stacks },
		{ "events", now->events + old->events },
	};

	json__open(json, "lost", '{');
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++)
		if (losses[i].count)
			json__integer(json, losses[i].name, losses[i].count);
	json__close(json, '}');
}

static void show_about(struct exporting *exporting, const struct export_flamegraph *of)
{
	static const struct losses none;
	const struct snapshot_header *header = snapshot__header(of->snapshot);
	const struct call_tree *tree = &exporting->tree;
	struct json *json = exporting->json;

	json__string(json, "writer", "memwatch " MEMWATCH_VERSION);
	json__string(json, "file", of->name);
	json__string(json, "base", of->base ? of->base_name : NULL);
	view_json__time(json, header->time_ns);
	json__real(json, "elapsed_s", header->elapsed_s);
	json__string(json, "mode", header->mode);
	show_losses(json, &header->losses, of->base ? &snapshot__header(of->base)->losses : &none);
	if (!tree->folded)
		return;
	json__open(json, "folded", '{');
	json__integer(json, "calls", tree->folded);
	json__integer(json, "share_millionths", (uint64_t)(tree->share * 1e6) + 1);
	json__close(json, '}');
}

/* Strings are numbered while the frames are written: so they come last. */
static int show(struct exporting *exporting, const struct export_flamegraph *of, enum sort_key sort)
{
	struct json *json = exporting->json;

	json->in_page = true;
	json__open(json, NULL, '{');
	show_about(exporting, of);
	show_metrics(exporting, sort);
	show_frames(exporting);
	show_calls(exporting, of->base);
	show_strings(exporting);
	json__close(json, '}');
	return json__end(json);
}

static int write_page(FILE *out, struct exporting *exporting, const struct export_flamegraph *of,
		      enum sort_key sort)
{
	size_t size;
	const char *page = flamegraph_page__begin(&size);
	int error;

	errno = 0;
	if (fwrite(page, 1, size, out) != size)
		return errno ? -errno : -EIO;
	json__init(exporting->json, out);
	error = show(exporting, of, sort);
	if (error || exporting->error)
		return error ? error : exporting->error;
	errno = 0;
	return fputs(flamegraph_page__end, out) < 0 || fflush(out) ? (errno ? -errno : -EIO) : 0;
}

static bool can_show(unsigned int holds)
{
	for (int i = 0; i < METRICS; i++)
		if (holds & 1U << metrics[i].sort)
			return true;
	return false;
}

const char export__no_flamegraph[] =
	"this build has no flame graph: it is made with npm (tools/install-deps check; make)";

bool export__has_flamegraph(void)
{
	size_t size;

	return flamegraph_page__begin(&size);
}

int export__flamegraph(FILE *out, const struct export_flamegraph *of, const struct query *query)
{
	struct exporting exporting = { .holds = of->holds };
	int error;

	if (!export__has_flamegraph())
		return -ENOPKG;
	if (!can_show(of->holds))
		return -ENODATA;
	exporting.json = malloc(sizeof(*exporting.json));
	exporting.strings = numbering__new(sizeof(uint64_t));
	error = call_tree__make(&exporting.tree, of->snapshot, of->base, query, EXPORT_CALLS);
	if (!exporting.json || !exporting.strings)
		error = -ENOMEM;
	error = error ? error : write_page(out, &exporting, of, query->sort);
	call_tree__free(&exporting.tree);
	numbering__free(exporting.strings);
	free(exporting.json);
	return error;
}
