/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A field, quoted where it must be. Nothing in it is a control character (see export__name). */
static void put_text(FILE *out, const char *text)
{
	if (!strpbrk(text, ",\"")) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void put_name(FILE *out, const char *text)
{
	const struct frame frame = { .function = text };
	char name[EXPORT_NAME];

	if (text)
		put_text(out, export__name(&frame, name));
}

static void put_stack(FILE *out, const struct stack *stack)
{
	char name[EXPORT_NAME];

	fputc('"', out);
	for (uint32_t i = stack->depth; i > 0; i--) {
		const char *text = export__name(stack->frames[i - 1], name);

		for (; *text; text++) {
			if (*text == '"')
				fputc('"', out);
			fputc(*text, out);
		}
		if (i > 1)
			fputc(';', out);
	}
	fputc('"', out);
}

static void put_row(FILE *out, const struct row *row, bool peaks)
{
	static const struct frame none = { 0 };
	const struct frame *leaf = row->stack.depth ? row->stack.frames[0] : &none;
	const struct counters *counters = &row->counters;

	if (row->process->pid)
		fprintf(out, "%d", (int)row->process->pid);
	fputc(',', out);
	put_name(out, row->process->comm);
	fprintf(out, ",%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",",
		row->family == FAMILY_MMAP ? "mmap" : "heap", counters->live_bytes,
		counters->live_count, counters__alloc_bytes(counters),
		counters__alloc_count(counters), counters->freed_bytes, counters->freed_count);
	if (peaks)
		fprintf(out, "%" PRIu64, counters->peak_bytes);
	fputc(',', out);
	put_name(out, leaf->function);
	fputc(',', out);
	put_name(out, leaf->file);
	fputc(',', out);
	if (leaf->line)
		fprintf(out, "%" PRIu32, leaf->line);
	fputc(',', out);
	put_name(out, leaf->module);
	fputc(',', out);
	put_stack(out, &row->stack);
	fputs("\r\n", out);
}

int export__csv(FILE *out, const struct snapshot *snapshot, const struct query *query)
{
	bool peaks = !snapshot__header(snapshot)->without_peaks;
	struct query all = *query;
	struct rows rows;
	int error;

	all.by = BY_STACK;
	all.top = 0;
	error = snapshot__rows(snapshot, &all, &rows);
	if (error)
		return error;
	fputs("pid,comm,family,live_bytes,live_count,alloc_bytes,alloc_count,freed_bytes,"
	      "freed_count,peak_bytes,function,file,line,module,stack\r\n",
	      out);
	for (size_t i = 0; i < rows.count && !ferror(out); i++)
		put_row(out, &rows.items[i], peaks);
	rows__free(&rows);
	errno = 0;
	return fflush(out) || ferror(out) ? (errno ? -errno : -EIO) : 0;
}
