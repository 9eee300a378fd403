/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UTF8_H
#define MEMWATCH_UTF8_H
/* Names come from the targets: any bytes. Independent of the locale. */
#include <stdbool.h>
#include <stdint.h>

/*
 * Decodes the character at `text` (not at its end) and returns how many bytes it has. 0: the first
 * byte begins no valid character (overlong forms, surrogates and what is cut off are invalid).
 */
int utf8__decode(const char *text, uint32_t *code);
/* Must not reach a terminal: control characters, and those that reorder or hide what follows. */
bool utf8__is_control(uint32_t code);
/* Columns that a character which is no control takes: 0, 1 or 2. */
int utf8__width(uint32_t code);

#endif
