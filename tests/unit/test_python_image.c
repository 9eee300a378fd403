/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What we find in interpreters, against nm; and again in their stripped copies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/file.h"
#include "user/python_image.h"
#include "user/python_reference.h"

enum { UNREACHED_MAX = 8 };

struct interpreter {
	const char *path;
	unsigned int minor;
};

static int read_image(const char *path, struct python_image *image)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error;

	assert_true(fd >= 0);
	error = python_image__read(fd, image);
	close(fd);
	return error;
}

/* A symbol's range by nm; false when there is none. */
static bool symbol(const char *path, const char *name, uint64_t range[2])
{
	char command[512];
	uint64_t size;
	FILE *nm;
	bool found;

	snprintf(command, sizeof(command),
		 "{ nm -DS %s; nm -S %s; } 2>/dev/null | grep -m 1 ' %s$'", path, path, name);
	nm = popen(command, "r");
	found = fscanf(nm, "%lx %lx", &range[0], &size) == 2;
	range[1] = found ? range[0] + size : 0;
	pclose(nm);
	return found;
}

/* In _PyRuntime: from the table, or from what 3.13 says of itself. */
static void assert_interpreters(const struct python_image *image, const uint64_t runtime[2])
{
	const struct python_version *version = image->version;

	assert_in_range(image->interpreters, runtime[0], runtime[1] - 1);
	assert_true(!image->holder == (version->frames.anchor != PYTHON_ANCHOR_NONE));
	assert_int_not_equal(image->interpreter_threads, 0);
	if (version->minor == 13) { /* its headers: interpreters.head, next, threads.head */
		assert_int_equal(image->interpreters - runtime[0], 632);
		assert_int_equal(image->interpreter_next, 7264);
		assert_int_equal(image->interpreter_threads, 7344);
	} else {
		assert_int_equal(image->interpreters - runtime[0], version->interpreters);
		assert_int_equal(image->interpreter_threads, version->frames.interpreter_threads);
	}
}

static void assert_symbols(const char *path, const struct python_image *image)
{
	static const char *const types[] = { "PyCode_Type", "PyUnicode_Type", "PyBytes_Type" };
	uint64_t range[2];

	assert_true(symbol(path, "_PyEval_EvalFrameDefault", range));
	assert_int_equal(image->evaluator[0][0], range[0]);
	assert_int_equal(image->evaluator[0][1], range[1]);
	for (int i = 0; i < PYTHON_TYPES; i++) {
		assert_true(symbol(path, types[i], range));
		assert_int_equal(image->types[i], range[0]);
	}
	/* Found in the code, where the table has it from the headers. */
	assert_true(symbol(path, "_PyRuntime", range));
	assert_int_equal(image->tss, range[0] + image->version->tss);
	assert_interpreters(image, range);
}

static void test_library(void **state)
{
	const struct interpreter *library = *state;
	char stripped[] = "/tmp/memwatch-XXXXXX", command[512];
	struct python_image image, again;
	uint64_t cold[2] = { 0 };

	if (access(library->path, R_OK))
		skip();
	assert_int_equal(read_image(library->path, &image), 0);
	assert_int_equal(image.version->minor, library->minor);
	assert_symbols(library->path, &image);
	symbol(library->path, "_PyEval_EvalFrameDefault.cold", cold);
	assert_int_equal(image.evaluator[1][0], cold[0]);
	assert_int_equal(image.evaluator[1][1], cold[1]);
	close(mkstemp(stripped));
	snprintf(command, sizeof(command), "strip -o %s %s", stripped, library->path);
	assert_int_equal(system(command), 0);
	assert_int_equal(read_image(stripped, &again), 0);
	unlink(stripped);
	/* Some have a cold part of an instruction or two that no jump leads to. */
	if (!again.evaluator[1][1] && cold[1] - cold[0] <= UNREACHED_MAX)
		memcpy(again.evaluator[1], image.evaluator[1], sizeof(cold));
	assert_memory_equal(&image, &again, sizeof(image));
}

/* The cold part as objdump shows it: what the evaluator's jumps lead to, 0x430f05 to 0x434538. */
static void test_debian(void **state)
{
	static const char path[] = "/usr/bin/python3.11";
	struct python_image image;
	char *build_id;
	int fd;

	(void)state;
	if (access(path, R_OK))
		skip();
	assert_int_equal(read_image(path, &image), 0);
	assert_int_equal(image.version->minor, 11);
	assert_symbols(path, &image);
	assert_true(image.evaluator[1][0] < image.evaluator[1][1]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	build_id = file__build_id(fd);
	close(fd);
	if (!strcmp(build_id, "571d98e01096d5c1c32420d229a6731a0a50d2a0")) {
		assert_int_equal(image.evaluator[1][0], 0x430f05);
		assert_int_equal(image.evaluator[1][1], 0x43455e);
	}
	free(build_id);
}

/* A function that gcc takes apart, with neighbours that it jumps to in tail calls. */
static const char parted[] =
	"__attribute__((cold, noinline)) void rare(int x) { asm volatile(\"\" :: \"r\"(x)); }\n"
	"__attribute__((noinline)) int other(int x) { asm volatile(\"\"); return x + 1; }\n"
	"__attribute__((noinline)) int body(int *p, int n) {\n"
	" for (int i = 0; i < n; i++) {\n"
	"  if (__builtin_expect(p[i] == 77, 0)) { rare(p[i]); p[i] *= 3; }\n"
	"  asm volatile(\"\" ::: \"memory\"); }\n"
	" return other(*p); }\n"
	"int whole(int x) { asm volatile(\"\"); return x ? other(x) : other(x + 5); }\n"
	"int main(int c, char **v) { return body((int *)v, c) + whole(c); }\n";

static void test_cold_part(void **state)
{
	char program[] = "/tmp/memwatch-XXXXXX", command[256];
	uint64_t body[2], expected[2], cold[2] = { 0 };
	struct elf_code *code;
	int fd = mkstemp(program);
	FILE *gcc;

	(void)state;
	snprintf(command, sizeof(command), "gcc -O2 -xc -o %s -", program);
	gcc = popen(command, "w");
	fputs(parted, gcc);
	assert_int_equal(pclose(gcc), 0);
	assert_true(symbol(program, "body", body));
	assert_true(symbol(program, "body.cold", expected));
	close(fd);
	fd = open(program, O_RDONLY | O_CLOEXEC);
	assert_int_equal(elf_code__open(fd, &code), 0);
	assert_true(python_reference__cold_part(code, body, cold));
	assert_memory_equal(cold, expected, sizeof(cold));
	assert_true(symbol(program, "whole", body));
	assert_false(python_reference__cold_part(code, body, cold));
	elf_code__close(code);
	close(fd);
	unlink(program);
}

static void test_no_interpreter(void **state)
{
	struct python_image image;

	(void)state;
	assert_int_equal(read_image("/bin/sh", &image), -ENOENT);
	assert_int_equal(read_image("/proc/self/exe", &image), -ENOENT);
	assert_int_equal(read_image("/etc/passwd", &image), -ENOENT);
	assert_int_equal(read_image("/dev/null", &image), -ENOENT);
}

#define LIBRARY(version, full) \
	{ \
		full, test_library, NULL, NULL, &(struct interpreter) \
		{ \
			"/root/.pyenv/versions/" full "/lib/libpython3." #version ".so.1.0", \
				version \
		} \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIBRARY(8, "3.8.18"),
		LIBRARY(9, "3.9.18"),
		LIBRARY(10, "3.10.13"),
		LIBRARY(11, "3.11.7"),
		LIBRARY(12, "3.12.1"),
		LIBRARY(13, "3.13.0"),
		cmocka_unit_test(test_debian),
		cmocka_unit_test(test_cold_part),
		cmocka_unit_test(test_no_interpreter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
