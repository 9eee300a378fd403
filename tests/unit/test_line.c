/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "user/line.h"
#include "user/utf8.h"

static void check_decode(const char *text, int length, uint32_t expected)
{
	uint32_t code = 0;

	assert_int_equal(utf8__decode(text, &code), length);
	if (length)
		assert_int_equal(code, expected);
}

static void utf8_is_decoded_strictly(void **state)
{
	(void)state;
	check_decode("a", 1, 'a');
	check_decode("\x7f", 1, 0x7f);
	check_decode("\xc2\x80", 2, 0x80);
	check_decode("\xe2\x82\xac", 3, 0x20ac);
	check_decode("\xf4\x8f\xbf\xbf", 4, 0x10ffff);
	check_decode("\x80", 0, 0);
	check_decode("\xc0\x80", 0, 0); /* overlong */
	check_decode("\xc1\xbf", 0, 0);
	check_decode("\xe0\x9f\xbf", 0, 0);
	check_decode("\xf0\x8f\xbf\xbf", 0, 0);
	check_decode("\xed\xa0\x80", 0, 0); /* a surrogate */
	check_decode("\xf4\x90\x80\x80", 0, 0); /* beyond Unicode */
	check_decode("\xf5\x80\x80\x80", 0, 0);
	check_decode("\xe2\x82", 0, 0); /* cut off */
	check_decode("\xf0\x9f\x92", 0, 0);
	check_decode("\xff", 0, 0);
}

/* What a line of `limit` columns shows of `put`. */
static void check_line(int limit, const char *put, const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct line line;

	line__init(&line, limit);
	line__put(&line, put);
	line__show(&line, out);
	assert_int_equal(line.error, 0);
	line__fini(&line);
	fclose(out);
	assert_int_equal(text[size - 1], '\n');
	text[size - 1] = '\0';
	assert_string_equal(text, expected);
	free(text);
}

static void nothing_that_acts_on_a_terminal_is_shown(void **state)
{
	(void)state;
	check_line(0, "a\x1b[31mb", "a\\x1b[31mb");
	check_line(0, "a\nb\rc\td\x7f", "a\\x0ab\\x0dc\\x09d\\x7f");
	check_line(0,
		   "\xc2\x9b"
		   "31m",
		   "\\u{9b}31m");
	check_line(0,
		   "\xe2\x80\xae"
		   "txt",
		   "\\u{202e}txt");
	check_line(0, "\xf3\xa0\x81\x81", "\\u{e0041}");
	check_line(0, "caf\xc3\xa9 \xe6\x96\x87", "caf\xc3\xa9 \xe6\x96\x87");
	check_line(0, "bad \xff\xc3", "bad \\xff\\xc3");
	check_line(0, "trailing   ", "trailing");
	check_line(0, "", "");
}

static void lines_are_cut_by_columns(void **state)
{
	(void)state;
	check_line(5, "12345", "12345");
	check_line(5, "123456", "1234~");
	check_line(1, "123", "~");
	check_line(5, "ab\xe6\x96\x87\xe6\x96\x87", "ab\xe6\x96\x87~");
	check_line(5, "a\xe6\x96\x87\xe6\x96\x87", "a\xe6\x96\x87\xe6\x96\x87");
	check_line(4, "a\xe6\x96\x87\xe6\x96\x87", "a\xe6\x96\x87~");
	check_line(4,
		   "e\xcc\x81"
		   "e\xcc\x81"
		   "ee\xcc\x81",
		   "e\xcc\x81"
		   "e\xcc\x81"
		   "ee\xcc\x81");
	check_line(4, "abc\x1b", "abc~");
}

static void cells_are_filled_or_cut(void **state)
{
	char text[200] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");
	struct line line;

	(void)state;
	line__init(&line, 20);
	line__cell(&line, "ab", 4, true);
	line__cell(&line, "abcdef", 4, true);
	line__cell(&line, "\xe6\x96\x87\xe6\x96\x87\xe6\x96\x87", 4, true);
	line__put(&line, "|");
	line__show(&line, out);
	line__cell(&line, "abcdef", 4, false);
	line__put(&line, "|");
	line__fill(&line, 10);
	line__put(&line, "abcdefghijklmnopqrst");
	line__show(&line, out);
	line__cell(&line, "abcdef", 30, true);
	line__put(&line, "|");
	line__show(&line, out);
	line__fini(&line);
	fclose(out);
	assert_string_equal(text, "ab  abc~\xe6\x96\x87~ |\nabcdef|   abcdefghi~\n"
				  "abcdef             ~\n");
	assert_int_equal(line__width("a\x1b\xe6\x96\x87"), 7);
}

static void a_lost_reader_is_reported_once(void **state)
{
	FILE *out = fopen("/dev/full", "w");
	struct line line;

	(void)state;
	assert_non_null(out);
	setbuf(out, NULL);
	line__init(&line, 0);
	line__put(&line, "text");
	line__show(&line, out);
	assert_int_equal(line.error, -28);
	line__put(&line, "more");
	line__show(&line, out);
	assert_int_equal(line.error, -28);
	line__fini(&line);
	fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_decoded_strictly),
		cmocka_unit_test(nothing_that_acts_on_a_terminal_is_shown),
		cmocka_unit_test(lines_are_cut_by_columns),
		cmocka_unit_test(cells_are_filled_or_cut),
		cmocka_unit_test(a_lost_reader_is_reported_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
