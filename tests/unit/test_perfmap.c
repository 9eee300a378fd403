/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/perfmap.h"

static char path[64];

static void write_map(const char *mode, const char *text)
{
	FILE *file = fopen(path, mode);

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static int make_path(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	return 0;
}

static int remove_map(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static void assert_name(const struct perfmap *map, uint64_t address, const char *name)
{
	const char *found = perfmap__find(map, address);

	if (!name) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(found, name);
}

static void test_names_with_bounds(void **state)
{
	struct perfmap *map;

	(void)state;
	write_map("w",
		  "1000 10 py::f:/x y.py\n7f0000000000 80 LazyCompile:~g a.js:3\n2000 0 none\n");
	map = perfmap__open(getpid());
	assert_non_null(map);
	assert_name(map, 0xfff, NULL);
	assert_name(map, 0x1000, "py::f:/x y.py");
	assert_name(map, 0x100f, "py::f:/x y.py");
	assert_name(map, 0x1010, NULL);
	assert_name(map, 0x2000, NULL);
	assert_name(map, 0x7f000000007f, "LazyCompile:~g a.js:3");
	perfmap__free(map);
}

static void test_later_wins(void **state)
{
	struct perfmap *map;

	(void)state;
	write_map("w", "1000 100 first\n1080 100 second\n1000 40 third\n");
	map = perfmap__open(getpid());
	assert_non_null(map);
	assert_name(map, 0x1000, "third");
	assert_name(map, 0x1040, "first");
	assert_name(map, 0x1080, "second");
	assert_name(map, 0x10ff, "second");
	assert_name(map, 0x117f, "second");
	write_map("a", "0f00 1000 all\n");
	assert_int_equal(perfmap__refresh(map), 0);
	assert_name(map, 0x1000, "all");
	assert_name(map, 0x1080, "all");
	assert_name(map, 0x1eff, "all");
	perfmap__free(map);
}

static void test_partial_lines_wait(void **state)
{
	struct perfmap *map;

	(void)state;
	write_map("w", "1000 10 whole\n2000 10 ha");
	map = perfmap__open(getpid());
	assert_non_null(map);
	assert_name(map, 0x2000, NULL);
	write_map("a", "lf\n");
	assert_int_equal(perfmap__refresh(map), 0);
	assert_name(map, 0x1000, "whole");
	assert_name(map, 0x2000, "half");
	perfmap__free(map);
}

static void test_written_anew(void **state)
{
	struct perfmap *map;

	(void)state;
	write_map("w", "1000 10 old name that is long\n");
	map = perfmap__open(getpid());
	assert_non_null(map);
	write_map("w", "3000 10 new\n");
	assert_int_equal(perfmap__refresh(map), 0);
	assert_name(map, 0x1000, NULL);
	assert_name(map, 0x3000, "new");
	perfmap__free(map);
}

static void test_garbage(void **state)
{
	struct perfmap *map;

	(void)state;
	write_map(
		"w",
		"\n\nx y z\n-1 10 minus\n1000\n1000 \n1000 10\n1000 10 \n1 fffffffffffffffff long\n"
		"fffffffffffffff0 ffffffffffffffff end\n5000 8 good\n 6000 8 space\n");
	map = perfmap__open(getpid());
	assert_non_null(map);
	assert_name(map, 0x1000, NULL);
	assert_name(map, 0x6000, NULL);
	assert_name(map, 0x5007, "good");
	assert_name(map, 0xfffffffffffffff1, "end");
	perfmap__free(map);
}

static void test_none(void **state)
{
	(void)state;
	unlink(path);
	errno = 0;
	assert_null(perfmap__open(getpid()));
	assert_int_equal(errno, ENOENT);
	assert_null(perfmap__open(0x7ffffff0));
	assert_int_equal(errno, ESRCH);
}

static void test_fifo_is_not_opened(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(perfmap__open(getpid()));
	assert_int_equal(errno, EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_names_with_bounds, remove_map),
		cmocka_unit_test_teardown(test_later_wins, remove_map),
		cmocka_unit_test_teardown(test_partial_lines_wait, remove_map),
		cmocka_unit_test_teardown(test_written_anew, remove_map),
		cmocka_unit_test_teardown(test_garbage, remove_map),
		cmocka_unit_test_teardown(test_none, remove_map),
		cmocka_unit_test_teardown(test_fifo_is_not_opened, remove_map),
	};

	return cmocka_run_group_tests(tests, make_path, NULL);
}
