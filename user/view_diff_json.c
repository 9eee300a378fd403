/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_diff.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "view_json.h"

static const char *const kinds[] = {
	[CHANGE_GREW] = "grew",
	[CHANGE_NEW] = "new",
	[CHANGE_SHRANK] = "shrank",
	[CHANGE_GONE] = "gone",
};

static void show_counters(struct json *json, const struct counters *old, const struct counters *now)
{
	const struct {
		const char *name, *change;
		uint64_t old, now;
	} figures[] = {
		{ "live_bytes", "live_bytes_change", old->live_bytes, now->live_bytes },
		{ "live_count", "live_count_change", old->live_count, now->live_count },
		{ "alloc_bytes", "alloc_bytes_change", counters__alloc_bytes(old),
		  counters__alloc_bytes(now) },
		{ "alloc_count", "alloc_count_change", counters__alloc_count(old),
		  counters__alloc_count(now) },
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		json__integer(json, figures[i].name, figures[i].now);
		json__change(json, figures[i].change, figures[i].old, figures[i].now);
	}
}

static void show_header(struct json *json, const struct snapshot_header *header)
{
	view_json__time(json, header->time_ns);
	if (header->elapsed_s != 0)
		json__real(json, "elapsed_s", header->elapsed_s);
}

static void show_sum(struct json *json, const char *name, const struct change_sum *sum)
{
	bool negative = sum->bytes < 0;
	uint64_t bytes = (uint64_t)fabs(sum->bytes);

	json__open(json, name, '{');
	json__integer(json, "rows", sum->count);
	json__change(json, "bytes", negative ? bytes : 0, negative ? 0 : bytes);
	json__close(json, '}');
}

static void show_rebuilt(struct json *json, const struct difference *difference)
{
	if (!difference->rebuilt_count)
		return;
	json__open(json, "rebuilt", '[');
	for (size_t i = 0; i < difference->rebuilt_count; i++)
		json__string(json, NULL, difference->rebuilt[i]);
	json__close(json, ']');
}

static void show_change(struct json *json, const struct change *change, const struct view *view)
{
	json__open(json, NULL, '{');
	json__string(json, "kind", kinds[change->kind]);
	if (view->query.by == BY_PROCESS)
		json__string(json, "comm", change->row->process->comm);
	if (!change->families)
		json__string(json, "family", change->row->family == FAMILY_MMAP ? "mmap" : "heap");
	show_counters(json, &change->old, &change->now);
	view_json__stack(json, &change->row->stack, view);
	json__close(json, '}');
}

int view_diff__json(FILE *out, const struct difference *difference, const struct view *view,
		    const struct snapshot_header *old, const struct snapshot_header *now)
{
	struct json *json = malloc(sizeof(*json));
	int error;

	if (!json)
		return -ENOMEM;
	json__init(json, out);
	json__open(json, NULL, '{');
	json__integer(json, "version", 1);
	show_header(json, now);
	json__open(json, "old", '{');
	show_header(json, old);
	json__close(json, '}');
	json__open(json, "totals", '{');
	show_counters(json, &difference->old, &difference->now);
	json__close(json, '}');
	for (enum change_kind kind = 0; kind < CHANGE_KINDS; kind++)
		show_sum(json, kinds[kind], &difference->sums[kind]);
	show_rebuilt(json, difference);
	json__open(json, "changes", '[');
	for (size_t i = 0; i < difference->count && !json->error; i++)
		show_change(json, &difference->items[i], view);
	json__close(json, ']');
	json__close(json, '}');
	error = json__end(json);
	free(json);
	return error;
}
