/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables made by hand; what compilers make is compared in test_python.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "user/python_lines.h"

enum { FIRST = 100 };

/* In memory of its own, so that a sanitizer sees what is read behind its end. */
static unsigned int find(enum python_lines format, const void *bytes, size_t size, int64_t offset)
{
	uint8_t *table = malloc(size ? size : 1);
	unsigned int line;

	assert_non_null(table);
	memcpy(table, bytes, size);
	line = python_lines__find(format, table, size, FIRST, offset);
	free(table);
	return line;
}

#define FIND(format, table, offset) find(format, table, sizeof(table), offset)

static void test_lnotab(void **state)
{
	const uint8_t table[] = { 0, 1, 6, 2, 255, 0, 45, 127, 0, 3, 2, 0x80 };

	(void)state;
	assert_int_equal(FIND(PYTHON_LNOTAB, table, -1), FIRST);
	assert_int_equal(FIND(PYTHON_LNOTAB, table, 0), 101);
	assert_int_equal(FIND(PYTHON_LNOTAB, table, 5), 101);
	assert_int_equal(FIND(PYTHON_LNOTAB, table, 6), 103);
	assert_int_equal(FIND(PYTHON_LNOTAB, table, 305), 103);
	assert_int_equal(FIND(PYTHON_LNOTAB, table, 306), 233);
	assert_int_equal(FIND(PYTHON_LNOTAB, table, 308), 105);
	assert_int_equal(FIND(PYTHON_LNOTAB, table, INT64_MAX), 105);
	assert_int_equal(find(PYTHON_LNOTAB, "", 0, 0), FIRST);
}

static void test_linetable(void **state)
{
	const uint8_t table[] = { 4, 1, 2, 0x80, 0, 5, 254, 0xff, 2, 0 };

	(void)state;
	assert_int_equal(FIND(PYTHON_LINETABLE, table, -2), FIRST);
	assert_int_equal(FIND(PYTHON_LINETABLE, table, 0), 101);
	assert_int_equal(FIND(PYTHON_LINETABLE, table, 3), 101);
	assert_int_equal(FIND(PYTHON_LINETABLE, table, 4), 0);
	assert_int_equal(FIND(PYTHON_LINETABLE, table, 6), 105);
	assert_int_equal(FIND(PYTHON_LINETABLE, table, 259), 105);
	assert_int_equal(FIND(PYTHON_LINETABLE, table, 260), 105);
	assert_int_equal(FIND(PYTHON_LINETABLE, table, 262), 0);
}

#define ENTRY(kind, units) (0x80 | (kind) << 3 | ((units)-1))

static void test_locations(void **state)
{
	const uint8_t table[] = {
		ENTRY(0, 1),  0x12, /* short: the same line */
		ENTRY(12, 8), 1,        5, /* two lines on */
		ENTRY(15, 1), /* none */
		ENTRY(13, 1), 5, /* two lines back */
		ENTRY(14, 2), 0x40 | 8, 3, 0, 1, 1, /* 100 lines on, an end, columns */
		ENTRY(10, 1), 0,        9, /* the same line */
	};

	(void)state;
	assert_int_equal(FIND(PYTHON_LOCATIONS, table, -2), FIRST);
	assert_int_equal(FIND(PYTHON_LOCATIONS, table, 0), 100);
	assert_int_equal(FIND(PYTHON_LOCATIONS, table, 1), 100);
	assert_int_equal(FIND(PYTHON_LOCATIONS, table, 2), 102);
	assert_int_equal(FIND(PYTHON_LOCATIONS, table, 17), 102);
	assert_int_equal(FIND(PYTHON_LOCATIONS, table, 18), 0);
	assert_int_equal(FIND(PYTHON_LOCATIONS, table, 20), 100);
	assert_int_equal(FIND(PYTHON_LOCATIONS, table, 22), 200);
	assert_int_equal(FIND(PYTHON_LOCATIONS, table, 25), 200);
	assert_int_equal(FIND(PYTHON_LOCATIONS, table, 26), 200);
	assert_int_equal(FIND(PYTHON_LOCATIONS, table, 28), 0);
}

/* Nothing read outside the table, no line that is no int; the sanitizers look on. */
static void test_hostile(void **state)
{
	const uint8_t endless[] = { ENTRY(13, 1), 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f };
	const uint8_t cut[] = { ENTRY(13, 1) };
	uint8_t table[64];
	uint32_t random = 1;

	(void)state;
	assert_in_range(FIND(PYTHON_LOCATIONS, endless, 0), 0, INT32_MAX);
	assert_int_equal(FIND(PYTHON_LOCATIONS, cut, 0), FIRST);
	for (int i = 0; i < 20000; i++) {
		size_t size = (random >> 8) % sizeof(table);

		for (size_t j = 0; j < size; j++) {
			random = random * 1664525 + 1013904223;
			table[j] = (uint8_t)(random >> 24);
		}
		random = random * 1664525 + 1013904223;
		for (int format = PYTHON_LNOTAB; format <= PYTHON_LOCATIONS; format++)
			assert_in_range(find(format, table, size, (random >> 16) % 512), 0,
					INT32_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lnotab),
		cmocka_unit_test(test_linetable),
		cmocka_unit_test(test_locations),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
