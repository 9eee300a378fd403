/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gzip.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

enum {
	GZIP_WINDOW = 15 + 16, /* zlib.h: the largest window, and gzip's header and trailer */
	LEVEL = 4, /* of a snapshot: as small as 6 within a few per cent, in half of the time */
	MEMORY = 8,
	FIRST_ROOM = 1 << 16,
};

bool gzip__is(const void *data, size_t size)
{
	const uint8_t *bytes = data;

	return size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

int gzip__pack(const void *data, size_t size, void **packed, size_t *packed_size)
{
	z_stream stream = { .next_in = (Bytef *)data, .avail_in = size };
	uLong bound;
	int result;

	if (size > UINT_MAX / 2)
		return -EFBIG;
	if (deflateInit2(&stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY, Z_DEFAULT_STRATEGY))
		return -ENOMEM;
	bound = deflateBound(&stream, size);
	*packed = malloc(bound);
	if (!*packed) {
		deflateEnd(&stream);
		return -ENOMEM;
	}
	stream.next_out = *packed;
	stream.avail_out = bound;
	result = deflate(&stream, Z_FINISH);
	*packed_size = stream.total_out;
	deflateEnd(&stream);
	if (result == Z_STREAM_END)
		return 0;
	free(*packed);
	return -EIO;
}

struct unpacking {
	z_stream stream;
	uint8_t *buffer;
	size_t room, limit;
	size_t used;
};

/* Room for more, up to one byte above the limit: so it is known that there would be more. */
static int make_room(struct unpacking *unpacking)
{
	size_t room = unpacking->room ? unpacking->room * 2 : FIRST_ROOM;
	uint8_t *buffer;

	if (unpacking->used < unpacking->room)
		return 0;
	if (room > unpacking->limit + 1)
		room = unpacking->limit + 1;
	if (room <= unpacking->used)
		return -EFBIG;
	buffer = realloc(unpacking->buffer, room);
	if (!buffer)
		return -ENOMEM;
	unpacking->buffer = buffer;
	unpacking->room = room;
	return 0;
}

/* A gzip file may have several members. 1: it ended, 0: go on. */
static int unpack_some(struct unpacking *unpacking)
{
	z_stream *stream = &unpacking->stream;
	size_t room;
	int result = make_room(unpacking);

	if (result)
		return result;
	room = unpacking->room - unpacking->used;
	stream->next_out = unpacking->buffer + unpacking->used;
	stream->avail_out = room > UINT_MAX ? UINT_MAX : (uInt)room;
	room = stream->avail_out;
	result = inflate(stream, Z_NO_FLUSH);
	unpacking->used += room - stream->avail_out;
	if (unpacking->used > unpacking->limit)
		return -EFBIG;
	if (result == Z_STREAM_END)
		return stream->avail_in == 0 ? 1 : inflateReset(stream) ? -EBADMSG : 0;
	if (result == Z_MEM_ERROR)
		return -ENOMEM;
	if (result == Z_BUF_ERROR || (result == Z_OK && !stream->avail_in && stream->avail_out))
		return -ENODATA;
	return result == Z_OK ? 0 : -EBADMSG;
}

int gzip__unpack(const void *data, size_t size, size_t limit, void **unpacked,
		 size_t *unpacked_size)
{
	struct unpacking unpacking = { .limit = limit };
	int result = 0;

	if (size > UINT_MAX)
		return -EFBIG;
	unpacking.stream.next_in = (Bytef *)data;
	unpacking.stream.avail_in = size;
	if (inflateInit2(&unpacking.stream, GZIP_WINDOW))
		return -ENOMEM;
	while (!result)
		result = unpack_some(&unpacking);
	inflateEnd(&unpacking.stream);
	if (result < 0) {
		free(unpacking.buffer);
		return result;
	}
	*unpacked = unpacking.buffer;
	*unpacked_size = unpacking.used;
	return 0;
}
