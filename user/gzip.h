/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_GZIP_H
#define MEMWATCH_GZIP_H
/* gzip, of whole buffers. */
#include <stdbool.h>
#include <stddef.h>

bool gzip__is(const void *data, size_t size); /* it begins like gzip */
/* Both give a new buffer, which the caller frees; 0 or -errno. */
int gzip__pack(const void *data, size_t size, void **packed, size_t *packed_size);
/* -EFBIG: more than `limit` bytes; -ENODATA: it is cut off; -EBADMSG: it is damaged. */
int gzip__unpack(const void *data, size_t size, size_t limit, void **unpacked,
		 size_t *unpacked_size);

#endif
