/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_version.h"

#include <stddef.h>

enum { TSS_DATA = 0x310 + 8 }; /* glibc: struct pthread's specific_1stblock[0].data */
enum { NO_CFRAME = 0xffff };

/* _PyCFrame (3.10: CFrame): where in the thread state, and its pointer to the one before. */
#define CFRAME(at, before) \
	.anchor = PYTHON_ANCHOR_CFRAME, .tstate_cframe = (at), .cframe_previous = (before)
#define FRAME_OBJECTS(lasti, scale, ...) \
	{ \
		.layout = PYTHON_FRAME_OBJECTS, .tss_data = TSS_DATA, .tstate_frame = 24, \
		.cframe_frame = NO_CFRAME, .frame_back = 24, .frame_code = 32, \
		.frame_instruction = (lasti), .frame_size = (lasti) + 4, .code_first_line = 40, \
		.code_parts = 96, .code_file = 104, .code_contents = 48, .code_bytes = 48, \
		.instruction_scale = (scale), .interpreter_threads = 8, __VA_ARGS__ \
	}
/* 3.12+: frames that begin with their code, and a shim below those of an evaluator call. */
#define SHIM_FRAMES(tstate, cframe, owner, mask, bytecode, ...) \
	{ \
		.layout = PYTHON_SHIM, .tss_data = TSS_DATA, .tstate_frame = (tstate), \
		.cframe_frame = (cframe), .frame_back = 8, .frame_code = 0, \
		.frame_instruction = 56, .frame_marker = (owner), .frame_size = (owner) + 1, \
		.marker_value = 3, .code_pointer_mask = (mask), .code_first_line = 68, \
		.code_parts = 112, .code_file = 112, .code_contents = 16, .code_version = 92, \
		.code_bytecode = (bytecode), __VA_ARGS__ \
	}

static const struct python_version versions[] = {
	{ 8, FRAME_OBJECTS(104, 1), 1392, 1368, 32, 112, 120, PYTHON_LNOTAB, 48, 72 },
	{ 9, FRAME_OBJECTS(104, 1), 584, 568, 32, 112, 120, PYTHON_LNOTAB, 48, 72 },
	{ 10, FRAME_OBJECTS(96, 2, CFRAME(48, 8)), 584, 0, 32, 112, 120, PYTHON_LINETABLE, 48, 72 },
	{ 11,
	  { .layout = PYTHON_ENTRY_FLAG,
	    .tss_data = TSS_DATA,
	    .tstate_frame = 56,
	    .cframe_frame = 8,
	    .frame_back = 48,
	    .frame_code = 32,
	    .frame_instruction = 56,
	    .frame_marker = 68,
	    .frame_size = 69,
	    .marker_value = 1,
	    .code_first_line = 72,
	    .code_parts = 112,
	    .code_file = 112,
	    .code_contents = 16,
	    .code_bytecode = 184,
	    CFRAME(56, 16),
	    .interpreter_threads = 16 },
	  592,
	  0,
	  40,
	  128,
	  136,
	  PYTHON_LOCATIONS,
	  48,
	  72 },
	{ 12, SHIM_FRAMES(56, 0, 70, 0, 192, CFRAME(56, 8), .interpreter_threads = 72), 1544, 0, 40,
	  128, 136, PYTHON_LOCATIONS, 40, 56 },
	{ 13, SHIM_FRAMES(72, NO_CFRAME, 70, 0, 200, .anchor = PYTHON_ANCHOR_SHIM), 2160, 0, 0, 128,
	  136, PYTHON_LOCATIONS, 40, 56 },
	{ 14, SHIM_FRAMES(72, NO_CFRAME, 74, 3, 208, .anchor = PYTHON_ANCHOR_SHIM), 0, 0, 0, 128,
	  136, PYTHON_LOCATIONS, 40, 56 },
};

const struct python_version *python_version__find(unsigned int major, unsigned int minor)
{
	for (size_t i = 0; major == 3 && i < sizeof(versions) / sizeof(*versions); i++)
		if (versions[i].minor == minor)
			return &versions[i];
	return NULL;
}
