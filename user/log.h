/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_LOG_H
#define MEMWATCH_LOG_H
/*
 * One line on standard error, after "memwatch: ", whatever the names in it hold (line.h). Results
 * never go here.
 */

enum log_level { LOG_QUIET, LOG_NORMAL, LOG_VERBOSE };

struct log {
	enum log_level level;
};

void log__error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Said unless -q. */
void log__info(const struct log *log, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Said with -v. */
void log__detail(const struct log *log, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
