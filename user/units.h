/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNITS_H
#define MEMWATCH_UNITS_H
/* Numbers with units, written and read. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNITS_TEXT = 24 };
/* "3.0 MiB", "-512 KiB", "24 B": below 1024 of a unit; `sign` forces a '+'. */
const char *units__size(char text[UNITS_TEXT], double bytes, bool sign);
/* tracemalloc's form (FACTS.md): "3072 KiB", below 10240 of a unit. Both return `text`. */
const char *units__bytes(char text[UNITS_TEXT], double bytes, bool sign);
/* "41.2 k", "950", "0.5": a count that need not be exact, decimal prefixes, three digits. */
const char *units__count(char text[UNITS_TEXT], double count);
/* "2 s", "500 ms", "90 m", "1 h": exact, in the largest unit that divides it. */
const char *units__duration(char text[UNITS_TEXT], uint64_t nanoseconds);
/* "289 ms", "2.6 s", "72 s", "10 m", "25 h": rounded, of a time that was measured. Positive. */
const char *units__elapsed(char text[UNITS_TEXT], double seconds);
/* "512", "4K", "1.5M", "2GiB", "64kb" (all binary; a part of a byte is cut off). 0 or -EINVAL. */
int units__parse_bytes(const char *text, uint64_t *bytes);
/* "100ns", "5us", "500ms", "2s", "5m", "1h", "2d", "0.5" (seconds). 0 or -EINVAL. */
int units__parse_duration(const char *text, uint64_t *nanoseconds);

#endif
