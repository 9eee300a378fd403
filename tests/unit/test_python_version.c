/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of offsets against what the interpreters' own headers say, where those are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/python_version.h"

struct headers {
	unsigned int minor;
	const char *include;
};

static FILE *run_offsets(const char *include)
{
	char here[PATH_MAX], command[2 * PATH_MAX], program[] = "/tmp/memwatch-XXXXXX";
	int fd = mkstemp(program);
	FILE *output;

	assert_true(fd >= 0);
	close(fd);
	snprintf(here, sizeof(here), "%s", __FILE__);
	snprintf(command, sizeof(command),
		 "gcc -w -I%s -I%s/internal -o %s %s/../fixtures/python_offsets.c && %s; rm -f %s",
		 include, include, program, dirname(here), program, program);
	output = popen(command, "r");
	assert_non_null(output);
	return output;
}

static void assert_next(FILE *offsets, const char *what, unsigned long known)
{
	unsigned long said;

	assert_int_equal(fscanf(offsets, "%lu", &said), 1);
	if (said != known)
		fprintf(stderr, "%s: %lu, the headers say %lu\n", what, known, said);
	assert_int_equal(known, said);
}

#define NEXT(member) assert_next(offsets, #member, version->member)

static void test_offsets(void **state)
{
	const struct headers *headers = *state;
	const struct python_version *version = python_version__find(3, headers->minor);
	FILE *offsets;

	if (access(headers->include, R_OK))
		skip();
	assert_non_null(version);
	offsets = run_offsets(headers->include);
	NEXT(frames.tstate_frame);
	NEXT(frames.cframe_frame);
	NEXT(frames.frame_back);
	NEXT(frames.frame_code);
	NEXT(frames.frame_instruction);
	NEXT(frames.frame_marker);
	NEXT(frames.marker_value);
	NEXT(frames.code_first_line);
	NEXT(frames.code_bytecode);
	NEXT(tss);
	NEXT(holder);
	NEXT(frames.tstate_cframe);
	NEXT(frames.cframe_previous);
	NEXT(interpreters);
	NEXT(frames.interpreter_next);
	NEXT(frames.interpreter_threads);
	assert_next(offsets, "PyThreadState.next", 8); /* TSTATE_NEXT of bpf/python_state.bpf.h */
	NEXT(frames.code_file);
	assert_next(offsets, "co_consts", version->frames.code_contents + 8);
	NEXT(frames.code_version);
	NEXT(code_name);
	NEXT(code_lines);
	NEXT(frames.code_bytes);
	NEXT(ascii_size);
	NEXT(compact_size);
	/* struct python_marks, and what the kernel side knows of a str. */
	assert_true(version->frames.code_parts <= version->frames.code_file);
	assert_int_equal(version->frames.code_parts + 2 * 8, version->code_name);
	assert_int_equal(version->frames.code_parts + 3 * 8, version->code_lines);
	assert_true(version->frames.code_version || version->ascii_size == 48);
	/* struct python_state of bpf/unwind.bpf.h; later versions have no frame beside it. */
	if (version->frames.anchor == PYTHON_ANCHOR_CFRAME)
		assert_int_equal(version->frames.tstate_cframe - version->frames.tstate_frame,
				 headers->minor == 10 ? 3 * 8 : 0);
	pclose(offsets);
}

static void test_unknown_versions(void **state)
{
	(void)state;
	for (unsigned int minor = 0; minor < 300; minor++) {
		assert_null(python_version__find(2, minor));
		assert_null(python_version__find(4, minor));
		if (minor < PYTHON_OLDEST || minor > PYTHON_NEWEST)
			assert_null(python_version__find(3, minor));
		else
			assert_int_equal(python_version__find(3, minor)->minor, minor);
	}
}

#define HEADERS(minor, include) \
	{ \
		include, test_offsets, NULL, NULL, &(struct headers) \
		{ \
			minor, include \
		} \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HEADERS(8, "/root/.pyenv/versions/3.8.18/include/python3.8"),
		HEADERS(9, "/root/.pyenv/versions/3.9.18/include/python3.9"),
		HEADERS(10, "/root/.pyenv/versions/3.10.13/include/python3.10"),
		HEADERS(11, "/root/.pyenv/versions/3.11.7/include/python3.11"),
		HEADERS(11, "/usr/include/python3.11"),
		HEADERS(12, "/root/.pyenv/versions/3.12.1/include/python3.12"),
		HEADERS(13, "/root/.pyenv/versions/3.13.0/include/python3.13"),
		cmocka_unit_test(test_unknown_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
