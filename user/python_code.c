/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_code.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum {
	NAME_MAX_CHARACTERS = 4096, /* what is longer is cut */
	LINES_MAX = 1 << 20, /* bytes of a table */
	UTF8_MAX = 4,
};

struct object_head { /* PyVarObject; a str has its length where that has its size */
	uint64_t references;
	uint64_t type;
	uint64_t size;
};

struct str_head { /* PyASCIIObject */
	struct object_head object;
	uint64_t hash;
	uint32_t state;
	uint32_t padding;
};

static uint64_t field(const uint8_t *bytes, uint16_t offset)
{
	uint64_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

/* Of a code object, all that is read of it. */
static size_t header_size(const struct python_version *version)
{
	return version->frames.code_parts + sizeof(((struct python_marks *)0)->parts);
}

static int read_copy(const struct python_space *space, uint64_t address, void *buffer, size_t size)
{
	const struct python_copy *copy = space->copy;
	const struct python_version *version = space->version;
	const struct {
		uint64_t address;
		const uint8_t *bytes;
		size_t size;
	} pieces[] = {
		{ copy->key.code, copy->bytes, header_size(version) },
		{ field(copy->bytes, version->code_name), copy->name, copy->name_size },
		{ field(copy->bytes, version->frames.code_file), copy->file, copy->file_size },
		{ field(copy->bytes, version->code_lines), copy->lines, copy->lines_size },
		{ field(copy->bytes, version->frames.code_bytes), copy->head, copy->head_size },
	};

	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		uint64_t at = address - pieces[i].address;

		if (at > pieces[i].size || size > pieces[i].size - at)
			continue;
		memcpy(buffer, pieces[i].bytes + at, size);
		return 0;
	}
	return -ENOENT;
}

int python_space__read(const struct python_space *space, uint64_t address, void *buffer,
		       size_t size)
{
	struct iovec local = { buffer, size }, remote = { (void *)(uintptr_t)address, size };
	ssize_t n;

	if (space->copy)
		return read_copy(space, address, buffer, size);
	n = process_vm_readv(space->pid, &local, 1, &remote, 1, 0);
	if (n < 0)
		return errno == EFAULT || errno == ESRCH ? -ENOENT : -errno;
	return (size_t)n == size ? 0 : -ENOENT;
}

/*
 * A freed object keeps its type until the memory is used again, but allocators put a link where
 * its references were: 0, or an address, of which some bit in 32-47 is set (no count has those).
 */
static bool lives(const struct object_head *object, uint64_t type)
{
	return object->type == type && (uint32_t)object->references &&
	       !(object->references >> 32 & 0xffff);
}

/* To 3.10 the instructions are a bytes object of their own. */
static int read_code_size(const struct python_space *space, const uint8_t *bytes, uint64_t *size)
{
	uint64_t instructions = field(bytes, space->version->frames.code_bytes);
	struct object_head object;
	int error = python_space__read(space, instructions, &object, sizeof(object));

	if (!error && !lives(&object, space->bytes_type))
		error = -ENOENT;
	*size = object.size;
	return error;
}

/* What the kernel side reads of it: see bpf/python.bpf.h. Marks nothing where there is nothing. */
static void mark_file(const struct python_space *space, uint64_t file, struct python_marks *marks)
{
	enum { COMPACT = 1 << 5, ASCII = 1 << 6, END = sizeof(marks->file_end) };
	const struct python_version *version = space->version;
	uint64_t length, size;
	struct str_head str;

	if (python_space__read(space, file, &str, sizeof(str)) || !(str.state & COMPACT))
		return;
	length = str.object.size * (str.state >> 2 & 7); /* see parse_state */
	size = length < END ? length : END;
	file += (str.state & ASCII ? version->ascii_size : version->compact_size) + length - size;
	if (!size || !python_space__read(space, file, marks->file_end, size))
		marks->file_length = length;
}

static void identify(const struct python_space *space, const uint8_t *bytes,
		     struct python_header *header)
{
	const struct python_record *at = &space->version->frames;
	struct python_marks marks = { .first_line = header->first_line };

	memcpy(marks.parts, bytes + at->code_parts, sizeof(marks.parts));
	memcpy(marks.contents, bytes + at->code_contents, sizeof(marks.contents));
	if (at->code_version)
		marks.version = (uint32_t)field(bytes, at->code_version);
	header->identity = header->other_identity = python_identity(&marks);
	if (at->code_version)
		return;
	mark_file(space, header->file, &marks);
	header->identity = python_identity(&marks);
}

/* -ENOENT when there is no code object at `address`, or none that lives. */
static int read_header(const struct python_space *space, uint64_t address,
		       struct python_header *header)
{
	const struct python_version *version = space->version;
	uint8_t bytes[sizeof(((struct python_copy *)0)->bytes)];
	struct object_head object;
	int error = python_space__read(space, address, bytes, header_size(version));

	if (error)
		return error;
	memcpy(&object, bytes, sizeof(object));
	if (!lives(&object, space->code_type))
		return -ENOENT;
	*header = (struct python_header){
		.file = field(bytes, version->frames.code_file),
		.name = field(bytes, version->code_name),
		.lines = field(bytes, version->code_lines),
		.size = object.size * 2,
		.first_line = (uint32_t)field(bytes, version->frames.code_first_line),
	};
	identify(space, bytes, header);
	return version->frames.code_bytes ? read_code_size(space, bytes, &header->size) : 0;
}

/*
 * The kind, which is the size of a character in bytes, and whether it is all ASCII. Interned has
 * the two lowest bits; or, in some releases of 3.14, the 16 lowest, of which it needs two.
 */
static int parse_state(uint32_t state, unsigned int *kind, bool *ascii)
{
	if (!(state >> 2 & 7))
		state >>= 14;
	*kind = state >> 2 & 7;
	*ascii = state >> 6 & 1;
	if (!(state >> 5 & 1)) /* not compact: no compiler makes such names */
		return -ENOENT;
	return *kind == 1 || *kind == 2 || *kind == 4 ? 0 : -ENOENT;
}

static char *put_utf8(char *to, uint32_t code)
{
	if (code >= 0xdc80 && code <= 0xdcff) { /* a file name's byte that is no UTF-8 (PEP 383) */
		*to++ = (char)code;
		return to;
	}
	if (!code || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		code = 0xfffd;
	if (code < 0x80) {
		*to++ = (char)code;
		return to;
	}
	if (code < 0x800) {
		*to++ = (char)(0xc0 | code >> 6);
	} else if (code < 0x10000) {
		*to++ = (char)(0xe0 | code >> 12);
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
	} else {
		*to++ = (char)(0xf0 | code >> 18);
		*to++ = (char)(0x80 | (code >> 12 & 0x3f));
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (code & 0x3f));
	return to;
}

/* `length` characters of `kind` bytes as UTF-8; the caller frees. */
static char *make_utf8(const uint8_t *characters, size_t length, unsigned int kind)
{
	char *text = malloc(length * UTF8_MAX + 1), *end = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < length; i++) {
		uint32_t code = 0;

		memcpy(&code, characters + i * kind, kind);
		end = put_utf8(end, code);
	}
	*end = 0;
	return text;
}

static int read_str(const struct python_space *space, uint64_t address, char **text)
{
	uint8_t characters[NAME_MAX_CHARACTERS * sizeof(uint32_t)];
	struct str_head str;
	unsigned int kind;
	bool ascii;
	size_t length;
	int error = python_space__read(space, address, &str, sizeof(str));

	if (!error && !lives(&str.object, space->str_type))
		error = -ENOENT;
	if (!error)
		error = parse_state(str.state, &kind, &ascii);
	if (error)
		return error;
	length = str.object.size < NAME_MAX_CHARACTERS ? str.object.size : NAME_MAX_CHARACTERS;
	address += ascii ? space->version->ascii_size : space->version->compact_size;
	error = length ? python_space__read(space, address, characters, length * kind) : 0;
	if (error)
		return error;
	*text = make_utf8(characters, length, kind);
	return *text ? 0 : -ENOMEM;
}

static int read_lines(const struct python_space *space, struct python_code *code)
{
	struct object_head object;
	uint64_t address = code->header.lines;
	int error = python_space__read(space, address, &object, sizeof(object));

	if (!error && !lives(&object, space->bytes_type))
		error = -ENOENT;
	if (error)
		return error;
	/* Objects/bytesobject.c: a hash stands between the size and the bytes. */
	address += sizeof(object) + 8;
	code->lines_size = object.size < LINES_MAX ? object.size : LINES_MAX;
	code->lines = malloc(code->lines_size + 1);
	if (!code->lines)
		return -ENOMEM;
	if (!code->lines_size)
		return 0;
	return python_space__read(space, address, code->lines, code->lines_size);
}

/* Memory that was used for something else meanwhile may have been read as a part of the code. */
static int confirm(const struct python_space *space, uint64_t address,
		   const struct python_code *code)
{
	struct python_header now;
	int error = read_header(space, address, &now);

	if (error)
		return error;
	return memcmp(&now, &code->header, sizeof(now)) ? -ENOENT : 0;
}

int python_code__read(const struct python_space *space, uint64_t address, struct python_code *code)
{
	int error;

	*code = (struct python_code){ 0 };
	error = read_header(space, address, &code->header);
	if (!error)
		error = read_str(space, code->header.name, &code->function);
	if (!error)
		error = read_str(space, code->header.file, &code->file);
	if (!error)
		error = read_lines(space, code);
	if (!error)
		error = confirm(space, address, code);
	if (error)
		python_code__free(code);
	return error;
}

void python_code__free(struct python_code *code)
{
	free(code->function);
	free(code->file);
	free(code->lines);
	*code = (struct python_code){ 0 };
}
