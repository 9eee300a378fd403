/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_GZIP_H
#define MEMWATCH_GZIP_H
/* gzip: piece by piece into a buffer, and out of a whole one. */
#include <stdbool.h>
#include <stddef.h>

bool gzip__is(const void *data, size_t size); /* it begins like gzip */

struct gzip;

struct gzip *gzip__new(void); /* NULL: no memory */
void gzip__free(struct gzip *gzip);
int gzip__add(struct gzip *gzip, const void *data, size_t size); /* 0 or -errno */
/* What was added, in a buffer that the caller frees; 0 or -errno. */
int gzip__end(struct gzip *gzip, void **packed, size_t *packed_size);
/* The same way back. -EFBIG: more than `limit` bytes; -ENODATA: it is cut off; -EBADMSG: it is
 * damaged. */
int gzip__unpack(const void *data, size_t size, size_t limit, void **unpacked,
		 size_t *unpacked_size);

#endif
