/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_FLAMEGRAPH_PAGE_H
#define MEMWATCH_FLAMEGRAPH_PAGE_H
/* The page that web/ is bundled to, up to where its JSON begins. */
#include <stddef.h>

/* NULL: the build had nothing to bundle it from. */
const char *flamegraph_page__begin(size_t *size);
/* What comes after the JSON. */
extern const char flamegraph_page__end[];

#endif
