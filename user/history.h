/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_HISTORY_H
#define MEMWATCH_HISTORY_H
/* Live bytes over the last minutes, as a graph. */
#include <stdint.h>

#include "canvas.h"

struct history;

struct history *history__new(void); /* NULL: no memory */
void history__free(struct history *history);
/* `seconds`: of a clock that never goes back. */
void history__add(struct history *history, double seconds, uint64_t bytes);

/*
 * On `lines` lines from `line` on, over the canvas's whole width: the newest at the right, the
 * height from 0 to the most that is shown; the labels at the left say how much and how long that
 * is. In braille, or in ASCII where the canvas has no UTF-8. Each dot is the most of its time.
 */
void history__draw(const struct history *history, struct canvas *canvas, int line, int lines);

#endif
