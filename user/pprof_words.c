/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pprof_words.h"

#include <stdio.h>
#include <string.h>

#include "utf8.h"

const char *const value_names[VALUES] = {
	[ALLOC_OBJECTS] = "alloc_objects", [ALLOC_SPACE] = "alloc_space",
	[INUSE_OBJECTS] = "inuse_objects", [INUSE_SPACE] = "inuse_space",
	[PEAK_SPACE] = "peak_space",       [GROWTH_SPACE] = "growth_space",
};

const char *const value_units[VALUES] = {
	[ALLOC_OBJECTS] = "count", [ALLOC_SPACE] = "bytes", [INUSE_OBJECTS] = "count",
	[INUSE_SPACE] = "bytes",   [PEAK_SPACE] = "bytes",  [GROWTH_SPACE] = "bytes",
};

const struct word loss_words[] = {
	{ "lost_blocks", offsetof(struct losses, blocks) },
	{ "lost_sites", offsetof(struct losses, sites) },
	{ "lost_stacks", offsetof(struct losses, stacks) },
	{ "lost_inflight", offsetof(struct losses, inflight) },
	{ "lost_truncated_stacks", offsetof(struct losses, truncated_stacks) },
	{ "lost_broken_stacks", offsetof(struct losses, broken_stacks) },
	{ "lost_events", offsetof(struct losses, events) },
	{ NULL, 0 },
};

const struct word process_words[] = {
	{ "start", offsetof(struct process, start) },
	{ "live_bytes", offsetof(struct process, counters.live_bytes) },
	{ "live_count", offsetof(struct process, counters.live_count) },
	{ "freed_bytes", offsetof(struct process, counters.freed_bytes) },
	{ "freed_count", offsetof(struct process, counters.freed_count) },
	{ "peak_bytes", offsetof(struct process, counters.peak_bytes) },
	{ "failed_count", offsetof(struct process, failed_count) },
	{ "unmatched_frees", offsetof(struct process, unmatched_frees) },
	{ NULL, 0 },
};

const char *const kind_names[] = {
	[FRAME_UNKNOWN] = "unknown", [FRAME_NATIVE] = "native", [FRAME_PYTHON] = "python",
	[FRAME_JIT] = "jit",         [FRAME_KERNEL] = "kernel",
};

struct place place__of_file(const char *filename)
{
	const char *slash = strrchr(filename, '/');

	for (enum frame_kind kind = FRAME_PYTHON; kind <= FRAME_KERNEL; kind++) {
		size_t length = strlen(kind_names[kind]);

		if (filename[0] == '[' && !strncmp(filename + 1, kind_names[kind], length) &&
		    !strcmp(filename + 1 + length, "]"))
			return (struct place){ .kind = kind, .has_offset = kind != FRAME_PYTHON };
	}
	return (struct place){
		.kind = FRAME_NATIVE,
		.has_offset = true,
		.module = slash && slash[1] ? slash + 1
			  : *filename       ? filename
					    : NULL,
		.path = *filename ? filename : NULL,
	};
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

bool place__equal(const struct place *a, const struct place *b)
{
	return a->kind == b->kind && a->has_offset == b->has_offset && a->inlined == b->inlined &&
	       same(a->module, b->module) && same(a->path, b->path);
}

static int hex_digit(char digit)
{
	const char *digits = "0123456789abcdef", *at = digit ? strchr(digits, digit) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* The byte that "\xNN" at `text` stands for; -1: that is not there. */
static int escaped_byte(const char *text)
{
	int high, low;

	if (text[0] != '\\' || text[1] != 'x')
		return -1;
	high = hex_digit(text[2]);
	low = high < 0 ? -1 : hex_digit(text[3]);
	return low < 0 ? -1 : high * 16 + low;
}

size_t words__encode(char *to, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	char *at = to;

	while (*text) {
		uint32_t code;
		int bytes = utf8__decode(text, &code);
		bool escape = bytes == 0 || escaped_byte(text) >= 0;

		if (escape) {
			*at++ = '\\';
			*at++ = 'x';
			*at++ = digits[(unsigned char)*text >> 4];
			*at++ = digits[(unsigned char)*text & 15];
			text++;
			continue;
		}
		memcpy(at, text, (size_t)bytes);
		at += bytes;
		text += bytes;
	}
	return (size_t)(at - to);
}

size_t words__decode(char *to, const char *text)
{
	char *at = to;

	while (*text) {
		int byte = escaped_byte(text);

		*at++ = byte > 0 ? (char)byte : *text;
		text += byte > 0 ? 4 : 1;
	}
	return (size_t)(at - to);
}

bool words__is_utf8(const char *text)
{
	while (*text) {
		uint32_t code;
		int bytes = *text > 0 ? 1 : utf8__decode(text, &code);

		if (bytes == 0)
			return false;
		text += bytes;
	}
	return true;
}
