/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PYTHON_IMAGE_H
#define MEMWATCH_PYTHON_IMAGE_H
/* What a file with a CPython interpreter says of it, stripped or not. Addresses are virtual. */
#include <stdint.h>

#include "python_version.h"

enum python_type { PYTHON_TYPE_CODE, PYTHON_TYPE_STR, PYTHON_TYPE_BYTES, PYTHON_TYPES };

struct python_image {
	const struct python_version *version;
	uint64_t evaluator[2][2]; /* as in struct python_record */
	uint64_t evaluator_offset; /* of the first, in the file */
	uint64_t tss; /* of the thread state's Py_tss_t */
	uint64_t interpreters, holder; /* as in struct python_record */
	uint16_t interpreter_next, interpreter_threads; /* likewise */
	uint64_t types[PYTHON_TYPES];
	/* Where the loader puts their addresses, which are others' when a program has a copy of its
	 * own (R_X86_64_COPY); 0: nowhere. */
	uint64_t type_slots[PYTHON_TYPES];
	char reason[96]; /* why it is not supported */
};

/*
 * 0; -ENOENT: the file holds no interpreter (or is no ELF file); -EOPNOTSUPP: one that we do not
 * know, `reason` says why; -ENOMEM. `fd` stays the caller's.
 */
int python_image__read(int fd, struct python_image *image);

#endif
