/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks the Python frames of other processes' threads by nothing but a struct python_record, as the
 * kernel side does, names them, and compares with what tests/fixtures/frames.py says of itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/python.h"
#include "python_marks.h"

enum { FRAMES = 256, LINE_SIZE = 256 };

struct walked {
	char function[128];
	unsigned int line;
	bool last; /* of its call of the evaluator, as far as its marks say */
};

struct child {
	pid_t pid;
	FILE *out;
	int in;
};

static uint64_t thread_base(pid_t thread)
{
	struct user_regs_struct registers;

	assert_int_equal(ptrace(PTRACE_ATTACH, thread, 0, 0), 0);
	assert_int_equal(waitpid(thread, NULL, __WALL), thread);
	assert_int_equal(ptrace(PTRACE_GETREGS, thread, 0, &registers), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, thread, 0, 0), 0);
	return registers.fs_base;
}

static uint64_t youngest(const struct python_record *python, pid_t pid, pid_t thread)
{
	uint64_t key = peek(pid, python->tss_key, 4), frame;

	assert_int_equal(peek(pid, python->tss_key - 4, 4), 1); /* is initialized */
	assert_true(key < 32);
	frame = peek(pid, thread_base(thread) + python->tss_data + key * 16, 8);
	assert_int_not_equal(frame, 0);
	frame = peek(pid, frame + python->tstate_frame, 8);
	return python->cframe_frame == 0xffff ? frame : peek(pid, frame + python->cframe_frame, 8);
}

static uint64_t instruction_of(const struct python_record *python, pid_t pid, uint64_t frame,
			       uint64_t code)
{
	uint64_t at = frame + python->frame_instruction;

	if (python->code_bytecode)
		return peek(pid, at, 8) - code - python->code_bytecode;
	return (uint64_t)((int64_t)(int32_t)peek(pid, at, 4) * python->instruction_scale);
}

static bool is_shim(const struct python_record *python, unsigned int marker)
{
	return python->layout == PYTHON_SHIM && marker >= python->marker_value;
}

static void name_frame(struct pythons *pythons, const struct python_record *python, pid_t pid,
		       uint64_t frame, struct walked *walked)
{
	uint64_t mask = ~(uint64_t)python->code_pointer_mask;
	uint64_t code = peek(pid, frame + python->frame_code, 8) & mask;
	struct python_marks marks = marks_of(pid, python, code);
	uint32_t identity = python_identity(&marks);
	uint64_t instruction = instruction_of(python, pid, frame, code);
	struct name name;

	assert_int_equal(pythons__name(pythons, pid, code_word(code, identity),
				       instruction_word(instruction, identity), &name),
			 0);
	snprintf(walked->function, sizeof(walked->function), "%s", name.function);
	walked->line = name.line;
}

static int walk(struct pythons *pythons, const struct python_record *python, pid_t pid,
		pid_t thread, struct walked *walked)
{
	uint64_t frame = youngest(python, pid, thread);
	int count = 0;

	for (; frame && count < FRAMES; frame = peek(pid, frame + python->frame_back, 8)) {
		unsigned int marker = python->layout == PYTHON_FRAME_OBJECTS
					      ? 0
					      : peek(pid, frame + python->frame_marker, 1);

		if (is_shim(python, marker)) {
			assert_true(count > 0);
			walked[count - 1].last = true;
			continue;
		}
		name_frame(pythons, python, pid, frame, &walked[count]);
		walked[count++].last =
			python->layout == PYTHON_FRAME_OBJECTS ||
			(python->layout == PYTHON_ENTRY_FLAG && marker == python->marker_value);
	}
	return count;
}

/* The evaluator calls Python functions without calling itself since 3.11. */
static void check_mark(const struct python_record *python, const struct walked *walked)
{
	if (!strcmp(walked->function, "key"))
		assert_true(walked->last);
	else if (!strcmp(walked->function, "recursive"))
		assert_int_equal(walked->last, python->layout == PYTHON_FRAME_OBJECTS);
}

/* The thread whose line was read. Leaves the line behind its frames in `line`. */
static void check_thread(struct pythons *pythons, const struct python_record *python,
			 struct child *child, char line[LINE_SIZE])
{
	struct walked *walked = calloc(FRAMES, sizeof(*walked));
	int thread, count, at = 0;

	assert_int_equal(sscanf(line, "thread %d", &thread), 1);
	count = walk(pythons, python, child->pid, thread, walked);
	while (at < count && strcmp(walked[at].function, "stand"))
		at++; /* what it does there, it does in functions of its own */
	for (; fgets(line, LINE_SIZE, child->out) && !strncmp(line, "frame", 5); at++) {
		char function[128];
		unsigned int number;

		assert_int_equal(sscanf(line, "frame %u %127s", &number, function), 2);
		assert_true(at < count);
		assert_string_equal(walked[at].function, function);
		assert_int_equal(walked[at].line, number);
		check_mark(python, &walked[at]);
	}
	assert_int_equal(at, count);
	assert_true(walked[count - 1].last);
	free(walked);
}

static void spawn(struct child *child, const char *python)
{
	char here[PATH_MAX], script[PATH_MAX + 32];
	int in[2], out[2];

	snprintf(here, sizeof(here), "%s", __FILE__);
	snprintf(script, sizeof(script), "%s/../fixtures/frames.py", dirname(here));
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (!child->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(python, python, "-S", "-E", "-B", script, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	child->in = in[1];
	child->out = fdopen(out[0], "r");
}

static void test_frames(void **state)
{
	struct pythons *pythons = pythons__new();
	struct objects *objects = objects__new();
	struct python_record record;
	struct mappings mappings;
	struct child child;
	char line[LINE_SIZE];
	const char *reason;
	int status, threads = 0;

	if (access(*state, X_OK))
		skip();
	spawn(&child, *state);
	assert_non_null(fgets(line, sizeof(line), child.out));
	assert_int_equal(process__mappings(child.pid, &mappings), 0);
	assert_int_equal(pythons__detect(pythons, objects, child.pid, &mappings, &record, &reason),
			 0);
	mappings__free(&mappings);
	for (; strcmp(line, "done\n"); threads++)
		check_thread(pythons, &record, &child, line);
	assert_int_equal(threads, 4);
	close(child.in);
	fclose(child.out);
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	assert_int_equal(status, 0);
	pythons__free(pythons);
	objects__free(objects);
}

#define FRAMES_OF(path) \
	{ \
		path, test_frames, NULL, NULL, path \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRAMES_OF("/usr/bin/python3.11"),
		FRAMES_OF("/root/.pyenv/versions/3.8.18/bin/python3.8"),
		FRAMES_OF("/root/.pyenv/versions/3.9.18/bin/python3.9"),
		FRAMES_OF("/root/.pyenv/versions/3.10.13/bin/python3.10"),
		FRAMES_OF("/root/.pyenv/versions/3.11.7/bin/python3.11"),
		FRAMES_OF("/root/.pyenv/versions/3.12.1/bin/python3.12"),
		FRAMES_OF("/root/.pyenv/versions/3.13.0/bin/python3.13"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
