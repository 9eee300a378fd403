/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_VIEW_JSON_H
#define MEMWATCH_VIEW_JSON_H
/* Parts of a snapshot as JSON that others show, too. */
#include "json.h"
#include "view.h"

/* "stack", and "left_out" and "end" where they apply. */
void view_json__stack(struct json *json, const struct stack *stack, const struct view *view);
void view_json__time(struct json *json, uint64_t time_ns); /* "time" */

#endif
