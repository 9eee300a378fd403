/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire.h"

#include <errno.h>

enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

static int read_varint(struct wire *wire, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; shift < 64 && wire->at < wire->end; shift += 7) {
		uint8_t byte = *wire->at++;

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return 0;
	}
	return -EBADMSG;
}

static int skip(struct wire *wire, uint64_t size)
{
	if (size > (uint64_t)(wire->end - wire->at))
		return -EBADMSG;
	wire->at += size;
	return 0;
}

static int read_bytes(struct wire *wire, struct field *field)
{
	uint64_t size;

	if (read_varint(wire, &size))
		return -EBADMSG;
	field->data = wire->at;
	field->size = (size_t)size;
	return skip(wire, size);
}

static int read_value(struct wire *wire, struct field *field, unsigned int type)
{
	uint64_t ignored;

	switch (type) {
	case WIRE_VARINT:
		return read_varint(wire, &ignored);
	case WIRE_64:
		return skip(wire, sizeof(uint64_t));
	case WIRE_BYTES:
		return read_bytes(wire, field);
	case WIRE_32:
		return skip(wire, sizeof(uint32_t));
	default:
		return -EBADMSG;
	}
}

int wire__next(struct wire *wire, struct field *field)
{
	uint64_t tag;

	*field = (struct field){ .whole = wire->at };
	if (wire->at == wire->end)
		return 0;
	if (read_varint(wire, &tag) || tag >> 3 > UINT32_MAX)
		return -EBADMSG;
	field->number = (uint32_t)(tag >> 3);
	if (read_value(wire, field, tag & 7))
		return -EBADMSG;
	field->whole_size = (size_t)(wire->at - field->whole);
	return 1;
}
