/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PYTHON_CODE_H
#define MEMWATCH_PYTHON_CODE_H
/*
 * Code objects in the memory of a process that runs meanwhile. What is read is believed only as
 * far as it holds together: types are compared, sizes bounded, and the object must still be the
 * same when everything was read.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "python_version.h"

struct python_space { /* where an interpreter's objects are */
	pid_t pid;
	const struct python_version *version;
	uint64_t code_type, str_type, bytes_type; /* addresses of PyCode_Type and so on */
	const struct python_copy *copy; /* read in this instead; NULL: in the process itself */
};

struct python_header { /* what a code object is made of */
	uint64_t file, name, lines; /* addresses of its parts */
	uint64_t size; /* of its instructions, bytes */
	uint32_t first_line;
	/* python_identity; and what it is where the kernel side could not read the file's name */
	uint32_t identity, other_identity;
};

struct python_code {
	struct python_header header;
	char *function, *file; /* UTF-8, but for what a file's name has that is none */
	uint8_t *lines; /* the table */
	size_t lines_size;
};

/* Exactly `size` bytes at `address`; 0, -ENOENT when they are not there, or -errno. */
int python_space__read(const struct python_space *space, uint64_t address, void *buffer,
		       size_t size);
/*
 * The whole object, to be freed by python_code__free. 0; -ENOENT when there is no code object at
 * `address`, or none that lives; else -errno.
 */
int python_code__read(const struct python_space *space, uint64_t address, struct python_code *code);
void python_code__free(struct python_code *code);

#endif
