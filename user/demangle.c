/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "demangle.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libiberty/demangle.h>

enum { MANGLED_MAX = 16 * 1024, READABLE_MAX = 64 * 1024 };
enum { D_REFERENCES_MAX = 32 };
enum { STYLE = DMGL_PARAMS | DMGL_ANSI };

struct output {
	jmp_buf full;
	FILE *stream;
	size_t length;
};

/* There is no other way to tell libiberty that it has written enough. */
static void output__append(const char *text, size_t length, void *opaque)
{
	struct output *output = opaque;

	output->length += length;
	if (output->length > READABLE_MAX)
		longjmp(output->full, 1);
	fwrite(text, 1, length, output->stream);
}

/*
 * libiberty's D decoder can not be stopped, and references to earlier types can double the text
 * over and over: m of them in each of n / m types make m^(n/m) texts, 130 000 at the worst for 32.
 */
static char *demangle__d(const char *name)
{
	int references = 0;

	for (const char *at = name; *at; at++)
		references += *at == 'Q';
	return references <= D_REFERENCES_MAX ? dlang_demangle(name, STYLE) : NULL;
}

typedef int (*decoder)(const char *name, int style, demangle_callbackref append, void *opaque);

static bool output__decode(struct output *output, decoder decode, const char *name)
{
	return !setjmp(output->full) && decode(name, STYLE, output__append, output);
}

static char *demangle__bounded(decoder decode, const char *name)
{
	struct output output = { .length = 0 };
	char *text = NULL;
	size_t size;
	bool decoded;

	output.stream = open_memstream(&text, &size);
	if (!output.stream)
		return NULL;
	decoded = output__decode(&output, decode, name);
	if (!fclose(output.stream) && decoded && output.length)
		return text;
	free(text);
	return NULL;
}

char *demangle(const char *name)
{
	char *text;

	if (strnlen(name, MANGLED_MAX) == MANGLED_MAX)
		return NULL;
	if (!strncmp(name, "_Z", 2) || !strncmp(name, "_R", 2)) {
		/* Rust's older names are C++ names too: so Rust is asked first. */
		text = demangle__bounded(rust_demangle_callback, name);
		return text ? text : demangle__bounded(cplus_demangle_v3_callback, name);
	}
	if (!strncmp(name, "_D", 2) && isdigit((unsigned char)name[2]))
		return demangle__d(name);
	return !strcmp(name, "_Dmain") ? strdup("D main") : NULL;
}
