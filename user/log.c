/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

/* One write a line, so that lines of two processes do not mix. */
static void say(const char *format, va_list arguments)
{
	char line[1024];
	int length = vsnprintf(line, sizeof(line), format, arguments);

	if (length < 0)
		return;
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?'; /* names are data: no control character reaches the terminal */
	fprintf(stderr, "memwatch: %s\n", line);
}

void log__error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
}

void log__info(const struct log *log, const char *format, ...)
{
	va_list arguments;

	if (log->level < LOG_NORMAL)
		return;
	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
}

void log__detail(const struct log *log, const char *format, ...)
{
	va_list arguments;

	if (log->level < LOG_VERBOSE)
		return;
	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
}
