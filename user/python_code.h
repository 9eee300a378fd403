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
};

struct python_header { /* what tells one code object from another */
	uint64_t file, name, lines; /* addresses of its parts */
	uint64_t size; /* of its instructions, bytes */
	uint64_t first_line;
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
/* 0; -ENOENT when there is no code object at `address`, or none that lives; else -errno. */
int python_header__read(const struct python_space *space, uint64_t address,
			struct python_header *header);
/* The whole object, to be freed by python_code__free. Returns as above. */
int python_code__read(const struct python_space *space, uint64_t address, struct python_code *code);
void python_code__free(struct python_code *code);

#endif
