/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreters that are installed here run tests/fixtures/codes.py, which says what its code
 * objects are called; we read the same from outside. One that is absent is a printed skip.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/python.h"
#include "user/python_version.h"
#include "python_marks.h"

enum { LINE_MAX_SIZE = 16384, DOOMED_KEPT = 50 };

struct child {
	pid_t pid;
	FILE *in, *out; /* its standard input and output */
};

struct code {
	uint64_t address;
	unsigned int first_line, size;
	uint32_t identity;
	char function[256], file[5000];
};

static void spawn(struct child *child, char *const arguments[])
{
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (!child->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		setenv("PYTHONIOENCODING", "utf-8", 1);
		setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
		execv(arguments[0], arguments);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	child->in = fdopen(in[1], "w");
	child->out = fdopen(out[0], "r");
}

static void end(struct child *child)
{
	int status;

	fclose(child->in);
	fclose(child->out);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	assert_int_equal(status, 0);
}

static void spawn_codes(struct child *child, const char *python)
{
	char here[PATH_MAX], script[PATH_MAX + 32];
	char *arguments[] = { (char *)python, "-S", "-E", script, NULL };

	snprintf(here, sizeof(here), "%s", __FILE__);
	snprintf(script, sizeof(script), "%s/../fixtures/codes.py", dirname(here));
	spawn(child, arguments);
}

static void read_line(struct child *child, char line[LINE_MAX_SIZE])
{
	assert_non_null(fgets(line, LINE_MAX_SIZE, child->out));
	line[strcspn(line, "\n")] = 0;
}

static void tell(struct child *child, const char *word)
{
	fprintf(child->in, "%s\n", word);
	fflush(child->in);
}

static void decode_hex(const char *hex, char *text)
{
	unsigned int byte;

	while (sscanf(hex, "%2x", &byte) == 1) {
		*text++ = (char)byte;
		hex += 2;
	}
	*text = 0;
}

static int name_code(struct pythons *pythons, pid_t pid, const struct code *code,
		     uint64_t instruction, struct name *name)
{
	return pythons__name(pythons, pid, code_word(code->address, code->identity),
			     instruction_word(instruction, code->identity), name);
}

/* Sets the identity as the kernel side sees it. */
static void identify(struct code *code, pid_t pid, const struct python_record *python)
{
	struct python_marks marks = marks_of(pid, python, code->address);

	code->identity = python_identity(&marks);
}

static bool parse_code(const char *line, struct code *code)
{
	char function[600], file[10000];

	if (sscanf(line, "code %lx %u %u %599s %9999s", &code->address, &code->first_line,
		   &code->size, function, file) != 5)
		return false;
	decode_hex(function, code->function);
	decode_hex(file, code->file);
	if (strlen(code->file) > 4096) /* as much as we promise */
		code->file[4096] = 0;
	return true;
}

static int detect(struct pythons *pythons, struct objects *objects, pid_t pid,
		  struct python_record *record, const char **reason)
{
	struct mappings mappings;
	int error;

	assert_int_equal(process__mappings(pid, &mappings), 0);
	error = pythons__detect(pythons, objects, pid, &mappings, record, reason);
	mappings__free(&mappings);
	return error;
}

static void assert_named(struct pythons *pythons, pid_t pid, const struct code *code,
			 uint64_t instruction, unsigned int line)
{
	struct name name;

	assert_int_equal(name_code(pythons, pid, code, instruction, &name), 0);
	assert_string_equal(name.function, code->function);
	assert_string_equal(name.file, code->file);
	if (name.line != line)
		fprintf(stderr, "%s:%s at %lu: line %u, not %u\n", code->file, code->function,
			instruction, name.line, line);
	assert_int_equal(name.line, line);
	assert_false(name.inlined);
}

static void assert_unnamed(struct pythons *pythons, pid_t pid, const struct code *code)
{
	struct name name;

	assert_int_equal(name_code(pythons, pid, code, 0, &name), -ENOENT);
}

static bool is_doomed(const struct code *code)
{
	return !strcmp(code->file, "/doomed.py");
}

/*
 * Every code that the child tells of behind `code`, each of its instructions; doomed ones from the
 * 51st on are kept for later without being named. Returns how many codes there were.
 */
static size_t check_codes(struct pythons *pythons, struct child *child,
			  const struct python_record *python, struct code code, struct code *doomed)
{
	static char line[LINE_MAX_SIZE];
	size_t codes = 0, doomed_count = 0;
	unsigned int from, to, number;

	for (read_line(child, line); strcmp(line, "done"); read_line(child, line)) {
		if (parse_code(line, &code)) {
			codes++;
			identify(&code, child->pid, python);
			if (is_doomed(&code))
				doomed[doomed_count++] = code;
			if (doomed_count > DOOMED_KEPT)
				continue;
			assert_named(pythons, child->pid, &code, -1, code.first_line);
			assert_named(pythons, child->pid, &code, -2, code.first_line);
			continue;
		}
		assert_int_equal(sscanf(line, "line %u %u %u", &from, &to, &number), 3);
		for (; from < to && doomed_count <= DOOMED_KEPT; from++)
			assert_named(pythons, child->pid, &code, from, number);
	}
	assert_int_equal(doomed_count, 2 * DOOMED_KEPT);
	return codes;
}

static void check_hostile_words(struct pythons *pythons, pid_t pid, const struct code *code)
{
	struct code other = *code;
	struct name name;

	other.identity ^= 1;
	assert_unnamed(pythons, pid, &other);
	other.identity ^= 1 ^ 1U << 31;
	assert_unnamed(pythons, pid, &other);
	other = *code;
	other.address += 8;
	assert_unnamed(pythons, pid, &other);
	other.address = 0;
	assert_unnamed(pythons, pid, &other);
	other.address = 0x7fffffffffff;
	assert_unnamed(pythons, pid, &other);
	assert_unnamed(pythons, getpid(), code);
	assert_int_equal(name_code(pythons, pid, code, code->size, &name), -ENOENT);
}

static void check_gone(struct pythons *pythons, struct child *child,
		       const struct python_record *python, const struct code *doomed)
{
	char line[LINE_MAX_SIZE];
	struct code old, new = { .function = "doomed", .file = "/doomed.py" };
	struct python_marks marks;

	tell(child, "drop");
	read_line(child, line);
	assert_string_equal(line, "dropped");
	for (int i = 0; i < DOOMED_KEPT; i++)
		assert_named(pythons, child->pid, &doomed[i], -1, doomed[i].first_line);
	for (int i = DOOMED_KEPT; i < 2 * DOOMED_KEPT; i++)
		assert_unnamed(pythons, child->pid, &doomed[i]);
	tell(child, "replace");
	read_line(child, line);
	assert_int_equal(sscanf(line, "replaced %lx %u", &new.address, &new.first_line), 2);
	identify(&new, child->pid, python);
	marks = marks_of(child->pid, python, new.address);
	marks.first_line = 4;
	old = new;
	old.identity = python_identity(&marks);
	for (int i = 0; i < DOOMED_KEPT; i++) /* not one that was named before it was freed */
		if (doomed[i].address == old.address && doomed[i].identity == old.identity)
			old.identity ^= 1;
	assert_unnamed(pythons, child->pid, &old);
	assert_named(pythons, child->pid, &new, -1, new.first_line);
}

static void check_version(const char *path)
{
	struct code *doomed = calloc(2 * DOOMED_KEPT, sizeof(*doomed));
	struct pythons *pythons = pythons__new();
	struct objects *objects = objects__new();
	struct python_record record;
	struct child child;
	const char *reason;
	char line[LINE_MAX_SIZE];
	struct code first;

	if (access(path, X_OK))
		skip();
	spawn_codes(&child, path);
	read_line(&child, line);
	assert_true(parse_code(line, &first));
	assert_int_equal(detect(pythons, objects, child.pid, &record, &reason), 0);
	assert_string_equal(reason, "");
	while (!strncmp(line, "line", 4) || !strncmp(line, "code", 4)) {
		if (parse_code(line, &first) && !strcmp(first.function, "plain"))
			break;
		read_line(&child, line);
	}
	identify(&first, child.pid, &record);
	check_hostile_words(pythons, child.pid, &first);
	assert_true(check_codes(pythons, &child, &record, first, doomed) > 150);
	check_gone(pythons, &child, &record, doomed);
	end(&child);
	/* What was named stays when the process is gone, until it is forgotten. */
	assert_named(pythons, child.pid, &doomed[0], -1, doomed[0].first_line);
	assert_unnamed(pythons, child.pid, &doomed[DOOMED_KEPT]);
	pythons__forget(pythons, child.pid);
	assert_unnamed(pythons, child.pid, &doomed[0]);
	pythons__free(pythons);
	objects__free(objects);
	free(doomed);
}

static void test_names(void **state)
{
	check_version(*state);
}

/* Versions that we do not know are refused in words. */
static void check_refused(const char *path, const char *expected)
{
	char *arguments[] = { (char *)path, "-c",
			      "import sys; print('done'); sys.stdout.flush(); "
			      "sys.stdin.read()",
			      NULL };
	struct pythons *pythons = pythons__new();
	struct objects *objects = objects__new();
	struct python_record record;
	struct child child;
	const char *reason;
	char line[LINE_MAX_SIZE];

	if (access(path, X_OK))
		skip();
	spawn(&child, arguments);
	read_line(&child, line);
	for (int i = 0; i < 2; i++) { /* the second answer is from memory */
		reason = NULL;
		assert_int_equal(detect(pythons, objects, child.pid, &record, &reason),
				 -EOPNOTSUPP);
		assert_string_equal(reason, expected);
	}
	end(&child);
	pythons__free(pythons);
	objects__free(objects);
}

static void test_refused_2_7(void **state)
{
	(void)state;
	check_refused("/root/.pyenv/versions/2.7.18/bin/python2.7",
		      "CPython 2.7 is not supported (3.8 to 3.14 are)");
}

static void test_refused_3_6(void **state)
{
	(void)state;
	check_refused("/root/.pyenv/versions/3.6.15/bin/python3",
		      "CPython 3.6 is not supported (3.8 to 3.14 are)");
}

static void test_refused_3_7(void **state)
{
	(void)state;
	check_refused("/root/.pyenv/versions/3.7.16/bin/python3",
		      "CPython 3.7 is not supported (3.8 to 3.14 are)");
}

static void test_no_interpreter(void **state)
{
	struct pythons *pythons = pythons__new();
	struct objects *objects = objects__new();
	struct python_record record;
	const char *reason = NULL;
	struct code code = { .address = (uintptr_t)&code };

	(void)state;
	assert_int_equal(detect(pythons, objects, getpid(), &record, &reason), -ENOENT);
	assert_string_equal(reason, "");
	assert_unnamed(pythons, getpid(), &code);
	pythons__forget(pythons, getpid());
	pythons__free(pythons);
	pythons__free(NULL);
	objects__free(objects);
}

#define NAMES(path) \
	{ \
		path, test_names, NULL, NULL, path \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NAMES("/usr/bin/python3.11"),
		NAMES("/root/.pyenv/versions/3.8.18/bin/python3.8"),
		NAMES("/root/.pyenv/versions/3.9.18/bin/python3.9"),
		NAMES("/root/.pyenv/versions/3.10.13/bin/python3.10"),
		NAMES("/root/.pyenv/versions/3.11.7/bin/python3.11"),
		NAMES("/root/.pyenv/versions/3.12.1/bin/python3.12"),
		NAMES("/root/.pyenv/versions/3.13.0/bin/python3.13"),
		cmocka_unit_test(test_refused_2_7),
		cmocka_unit_test(test_refused_3_6),
		cmocka_unit_test(test_refused_3_7),
		cmocka_unit_test(test_no_interpreter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
