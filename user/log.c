/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

#include "line.h"

/* One write a line, so that lines of two processes do not mix. */
static void say(const char *format, va_list arguments)
{
	struct line line;

	line__init(&line, 0);
	line__put(&line, "memwatch: ");
	line__vformat(&line, format, arguments);
	line__show(&line, stderr);
	line__fini(&line);
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
