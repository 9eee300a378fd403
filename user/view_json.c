/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "json.h"
#include "view_json.h"

static void show_counters(struct json *json, const struct counters *counters)
{
	json__integer(json, "live_bytes", counters->live_bytes);
	json__integer(json, "live_count", counters->live_count);
	json__integer(json, "alloc_bytes", counters__alloc_bytes(counters));
	json__integer(json, "alloc_count", counters__alloc_count(counters));
	json__integer(json, "freed_bytes", counters->freed_bytes);
	json__integer(json, "freed_count", counters->freed_count);
}

static void show_growth(struct json *json, const struct snapshot *snapshot, double growth)
{
	if (snapshot__has_growth(snapshot))
		json__real(json, "growth_bytes_per_s", growth);
}

void view_json__time(struct json *json, uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	char date[32], text[48];
	struct tm tm;

	if (!time_ns || !gmtime_r(&seconds, &tm) ||
	    !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm))
		return;
	snprintf(text, sizeof(text), "%s.%03uZ", date, (unsigned int)(time_ns / 1000000 % 1000));
	json__string(json, "time", text);
}

static void show_totals(struct json *json, const struct snapshot *snapshot)
{
	struct totals totals = snapshot__totals(snapshot);

	json__open(json, "totals", '{');
	show_counters(json, &totals.counters);
	json__integer(json, "failed_count", totals.failed_count);
	json__integer(json, "unmatched_frees", totals.unmatched_frees);
	show_growth(json, snapshot, totals.growth);
	json__close(json, '}');
}

static void show_losses(struct json *json, const struct losses *losses)
{
	json__open(json, "lost", '{');
	json__integer(json, "blocks", losses->blocks);
	json__integer(json, "sites", losses->sites);
	json__integer(json, "stacks", losses->stacks);
	json__integer(json, "inflight", losses->inflight);
	json__integer(json, "truncated_stacks", losses->truncated_stacks);
	json__integer(json, "broken_stacks", losses->broken_stacks);
	json__integer(json, "events", losses->events);
	json__close(json, '}');
}

static void show_process(struct json *json, const struct snapshot *snapshot,
			 const struct process *process)
{
	json__open(json, NULL, '{');
	if (process->pid)
		json__integer(json, "pid", process->pid);
	json__string(json, "comm", process->comm);
	json__string(json, "container", process->container);
	json__bool(json, "exited", process->exited);
	show_counters(json, &process->counters);
	if (!snapshot__header(snapshot)->without_peaks)
		json__integer(json, "peak_bytes", process->counters.peak_bytes);
	json__integer(json, "failed_count", process->failed_count);
	json__integer(json, "unmatched_frees", process->unmatched_frees);
	show_growth(json, snapshot, process->growth);
	json__close(json, '}');
}

static void show_frame(struct json *json, const struct frame *frame, bool by_stack)
{
	static const char *const kinds[] = {
		[FRAME_UNKNOWN] = "unknown", [FRAME_NATIVE] = "native", [FRAME_PYTHON] = "python",
		[FRAME_JIT] = "jit",         [FRAME_KERNEL] = "kernel",
	};

	json__open(json, NULL, '{');
	json__string(json, "kind", kinds[frame->kind]);
	json__string(json, "function", frame->function);
	json__string(json, "module", frame->module);
	if (frame->has_offset)
		json__integer(json, "offset", frame->offset);
	json__string(json, "file", frame->file);
	if (frame->line)
		json__integer(json, "line", frame->line);
	if (by_stack && (frame->kind == FRAME_NATIVE || frame->inlined))
		json__bool(json, "inlined", frame->inlined);
	json__close(json, '}');
}

void view_json__stack(struct json *json, const struct stack *stack, const struct view *view)
{
	uint32_t shown = view->depth && view->depth < stack->depth ? view->depth : stack->depth;

	json__open(json, "stack", '[');
	for (uint32_t i = 0; i < shown; i++)
		show_frame(json, stack->frames[i], view->query.by == BY_STACK);
	json__close(json, ']');
	if (shown < stack->depth)
		json__integer(json, "left_out", stack->depth - shown);
	if (stack->end == STACK_TRUNCATED)
		json__string(json, "end", "truncated");
	if (stack->end == STACK_BROKEN)
		json__string(json, "end", "broken");
}

static void show_row(struct json *json, const struct snapshot *snapshot, const struct row *row,
		     const struct view *view)
{
	json__open(json, NULL, '{');
	if (row->process && row->process->pid)
		json__integer(json, "pid", row->process->pid);
	if (!row->families)
		json__string(json, "family", row->family == FAMILY_MMAP ? "mmap" : "heap");
	show_counters(json, &row->counters);
	if (row->peak_known && !snapshot__header(snapshot)->without_peaks)
		json__integer(json, "peak_bytes", row->counters.peak_bytes);
	show_growth(json, snapshot, row->growth);
	if (view->query.by != BY_STACK)
		json__integer(json, "merged", row->merged);
	view_json__stack(json, &row->stack, view);
	json__close(json, '}');
}

static void show_header(struct json *json, const struct snapshot *snapshot)
{
	const struct snapshot_header *header = snapshot__header(snapshot);

	json__integer(json, "version", 1);
	view_json__time(json, header->time_ns);
	if (header->elapsed_s != 0)
		json__real(json, "elapsed_s", header->elapsed_s);
	if (header->interval_s != 0)
		json__real(json, "interval_s", header->interval_s);
	json__string(json, "mode", header->mode);
	show_totals(json, snapshot);
	show_losses(json, &header->losses);
}

static void show_snapshot(struct json *json, const struct snapshot *snapshot,
			  const struct rows *rows, const struct view *view)
{
	json__open(json, NULL, '{');
	show_header(json, snapshot);
	json__open(json, "processes", '[');
	for (size_t i = 0; i < snapshot__process_count(snapshot); i++)
		show_process(json, snapshot, snapshot__process(snapshot, i));
	json__close(json, ']');
	json__open(json, "sites", '[');
	for (size_t i = 0; i < rows->count && !json->error; i++)
		show_row(json, snapshot, &rows->items[i], view);
	json__close(json, ']');
	json__close(json, '}');
}

int view_json__show(FILE *out, const struct snapshot *snapshot, const struct view *view)
{
	struct json *json = malloc(sizeof(*json));
	struct rows rows;
	int error;

	if (!json)
		return -ENOMEM;
	error = snapshot__rows(snapshot, &view->query, &rows);
	if (!error) {
		json__init(json, out);
		show_snapshot(json, snapshot, &rows, view);
		error = json__end(json);
		rows__free(&rows);
	}
	free(json);
	return error;
}
