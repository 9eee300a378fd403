/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_WIRE_H
#define MEMWATCH_WIRE_H
/* Fields of a protobuf message, one after the other, none of them taken apart. */
#include <stddef.h>
#include <stdint.h>

struct wire { /* what is left of a message */
	const uint8_t *at, *end;
};

struct field {
	uint32_t number;
	const uint8_t *whole; /* from its tag on */
	size_t whole_size;
	const uint8_t *data; /* of what has a length; NULL: it has none */
	size_t size;
};

/* 1: there is a field, 0: there is none left, -EBADMSG: there should be one, but is not. */
int wire__next(struct wire *wire, struct field *field);

#endif
