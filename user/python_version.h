/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PYTHON_VERSION_H
#define MEMWATCH_PYTHON_VERSION_H
/*
 * Where the CPython versions that we know keep what we read: offsets in bytes on x86-64, the same
 * in every release of a minor version. Sources: Include/cpython/code.h, frameobject.h,
 * unicodeobject.h; Include/internal/pycore_frame.h, pycore_runtime.h of each version.
 */
#include <stdint.h>

#include "../bpf/memwatch.h"
#include "python_lines.h"

enum { PYTHON_OLDEST = 8, PYTHON_NEWEST = 14 }; /* minor versions of 3 */

struct python_version {
	unsigned int minor;
	struct python_record frames; /* without addresses */
	/* In _PyRuntime; 0: not known. */
	uint16_t tss; /* of the thread state's Py_tss_t */
	uint16_t holder; /* gilstate.tstate_current; to 3.9 */
	uint16_t interpreters; /* interpreters.head; from 3.13 on _Py_DebugOffsets says it */
	/* In a code object: */
	uint16_t code_name; /* the qualified one if it has it */
	uint16_t code_lines; /* its table of lines, a bytes object */
	enum python_lines lines;
	/* What stands before the characters of a str: */
	uint16_t ascii_size, compact_size;
};

/* NULL when that version is not known. */
const struct python_version *python_version__find(unsigned int major, unsigned int minor);

#endif
