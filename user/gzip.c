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
	MOST_RATIO = 1032, /* deflate packs no better */
};

bool gzip__is(const void *data, size_t size)
{
	const uint8_t *bytes = data;

	return size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

struct gzip {
	z_stream stream;
	uint8_t *packed;
	size_t room;
};

struct gzip *gzip__new(void)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));

	if (gzip && !deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY,
				  Z_DEFAULT_STRATEGY))
		return gzip;
	free(gzip);
	return NULL;
}

void gzip__free(struct gzip *gzip)
{
	if (!gzip)
		return;
	deflateEnd(&gzip->stream);
	free(gzip->packed);
	free(gzip);
}

static int deflate_some(struct gzip *gzip, int flush)
{
	z_stream *stream = &gzip->stream;
	size_t room = gzip->room ? gzip->room * 2 : FIRST_ROOM;
	uint8_t *packed;

	if (stream->total_out == gzip->room) {
		packed = realloc(gzip->packed, room);
		if (!packed)
			return -ENOMEM;
		gzip->packed = packed;
		gzip->room = room;
	}
	room = gzip->room - stream->total_out;
	stream->next_out = gzip->packed + stream->total_out;
	stream->avail_out = room > UINT_MAX ? UINT_MAX : (uInt)room;
	return deflate(stream, flush) == Z_STREAM_ERROR ? -EIO : 0;
}

int gzip__add(struct gzip *gzip, const void *data, size_t size)
{
	int error = 0;

	if (size > UINT_MAX)
		return -EFBIG;
	gzip->stream.next_in = (Bytef *)data;
	gzip->stream.avail_in = (uInt)size;
	while (gzip->stream.avail_in && !error)
		error = deflate_some(gzip, Z_NO_FLUSH);
	return error;
}

int gzip__end(struct gzip *gzip, void **packed, size_t *packed_size)
{
	int error = 0;

	do
		error = deflate_some(gzip, Z_FINISH);
	while (!error && !gzip->stream.avail_out);
	if (error)
		return error;
	*packed = gzip->packed;
	*packed_size = gzip->stream.total_out;
	gzip->packed = NULL;
	return 0;
}

/* The trailer says how much it was, modulo 2^32; of one member, and if it is true. */
static size_t first_room(const uint8_t *data, size_t size, size_t limit)
{
	size_t said = size < 4 ? 0
			       : data[size - 4] | data[size - 3] << 8 | data[size - 2] << 16 |
					 (size_t)data[size - 1] << 24;

	said = said > size * MOST_RATIO ? size * MOST_RATIO : said;
	said = said > limit ? limit : said;
	return said > FIRST_ROOM ? said + 1 : FIRST_ROOM;
}

struct unpacking {
	z_stream stream;
	uint8_t *buffer;
	size_t room, limit;
	size_t first;
	size_t used;
};

/* Room for more, up to one byte above the limit: so it is known that there would be more. */
static int make_room(struct unpacking *unpacking)
{
	size_t room = unpacking->room ? unpacking->room * 2 : unpacking->first;
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
	struct unpacking unpacking = { .limit = limit, .first = first_room(data, size, limit) };
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
