/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_SOURCE_H
#define MEMWATCH_SOURCE_H
/* Lines of source files, where these can be read. */
#include <stdint.h>

struct sources;

struct sources *sources__new(void); /* NULL: no memory */
void sources__free(struct sources *sources);
/* The line (from 1) without white space around it; "" when it cannot be read. Lives as long as
 * `sources`. */
const char *sources__line(struct sources *sources, const char *path, uint32_t line);

#endif
