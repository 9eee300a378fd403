/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>

#include "user/units.h"

static void check_bytes(double bytes, bool sign, const char *expected)
{
	char text[UNITS_TEXT];

	assert_string_equal(units__bytes(text, bytes, sign), expected);
}

/* Expected values are what CPython 3.11's tracemalloc._format_size gave. */
static void bytes_are_tracemallocs(void **state)
{
	(void)state;
	check_bytes(0, false, "0 B");
	check_bytes(0, true, "+0 B");
	check_bytes(24, false, "24 B");
	check_bytes(99.5, false, "100 B");
	check_bytes(10239, false, "10239 B");
	check_bytes(10240, false, "10.0 KiB");
	check_bytes(53453, false, "52.2 KiB");
	check_bytes(-53248, true, "-52.0 KiB");
	check_bytes(102399, false, "100.0 KiB");
	check_bytes(102400, false, "100 KiB");
	check_bytes(329252864, false, "314 MiB");
	check_bytes(10485759, false, "10240 KiB");
	check_bytes(10485760, true, "+10.0 MiB");
	check_bytes(18446744073709551615.0, false, "16777216 TiB");
	check_bytes(NAN, false, "? B");
}

static void check_size(double bytes, bool sign, const char *expected)
{
	char text[UNITS_TEXT];

	assert_string_equal(units__size(text, bytes, sign), expected);
}

static void sizes_change_unit_at_1024(void **state)
{
	(void)state;
	check_size(0, false, "0 B");
	check_size(1023, false, "1023 B");
	check_size(1023.5, false, "1.0 KiB");
	check_size(1024, false, "1.0 KiB");
	check_size(3145728, false, "3.0 MiB");
	check_size(-1258291.2, true, "-1.2 MiB");
	check_size(102348.8, false, "100 KiB");
	check_size(102297.6, false, "99.9 KiB");
	check_size(1048063, false, "1023 KiB");
	check_size(1048064, false, "1.0 MiB");
	check_size(1e18, true, "+909495 TiB");
}

static void check_count(double count, const char *expected)
{
	char text[UNITS_TEXT];

	assert_string_equal(units__count(text, count), expected);
}

static void counts_have_three_digits(void **state)
{
	(void)state;
	check_count(0, "0");
	check_count(0.5, "0.5");
	check_count(7, "7");
	check_count(950, "950");
	check_count(999.4, "999");
	check_count(999.5, "1.0 k");
	check_count(41200, "41.2 k");
	check_count(204311, "204 k");
	check_count(999949, "1.0 M");
	check_count(2.5e9, "2.5 G");
	check_count(1e16, "10000 T");
	check_count(INFINITY, "?");
}

static void check_parse(int (*parse)(const char *, uint64_t *), const char *text, uint64_t expected)
{
	uint64_t value = 0;

	assert_int_equal(parse(text, &value), 0);
	assert_true(value == expected);
}

static void bytes_are_read(void **state)
{
	static const char *const bad[] = {
		"",          "K",
		".",         "-1",
		"+1",        " 1",
		"1 K",       "1KK",
		"1X",        "1e3",
		"0x10",      "1.2.3",
		"1,5K",      "18446744073709551616",
		"16777216T", "99999999999999999999G",
	};
	uint64_t value;

	(void)state;
	check_parse(units__parse_bytes, "0", 0);
	check_parse(units__parse_bytes, "512", 512);
	check_parse(units__parse_bytes, "512B", 512);
	check_parse(units__parse_bytes, "4K", 4096);
	check_parse(units__parse_bytes, "1.5M", 1572864);
	check_parse(units__parse_bytes, "2GiB", 2147483648);
	check_parse(units__parse_bytes, "64kb", 65536);
	check_parse(units__parse_bytes, ".5k", 512);
	check_parse(units__parse_bytes, "1.0001K", 1024);
	check_parse(units__parse_bytes, "18446744073709551615", UINT64_MAX);
	check_parse(units__parse_bytes, "16777215T", 16777215ULL << 40);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(units__parse_bytes(bad[i], &value), -EINVAL);
}

static void durations_are_read(void **state)
{
	static const char *const bad[] = { "", "s", "-1", "1w", "5 s", "1m30s", "999999999999h" };
	uint64_t value;

	(void)state;
	check_parse(units__parse_duration, "2", 2000000000);
	check_parse(units__parse_duration, "0.5", 500000000);
	check_parse(units__parse_duration, "500ms", 500000000);
	check_parse(units__parse_duration, "2s", 2000000000);
	check_parse(units__parse_duration, "5m", 300000000000);
	check_parse(units__parse_duration, "1h", 3600000000000);
	check_parse(units__parse_duration, "2d", 172800000000000);
	check_parse(units__parse_duration, "7us", 7000);
	check_parse(units__parse_duration, "7ns", 7);
	check_parse(units__parse_duration, "0.0000000019", 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(units__parse_duration(bad[i], &value), -EINVAL);
}

static void durations_are_exact(void **state)
{
	static const struct {
		uint64_t nanoseconds;
		const char *text;
	} cases[] = {
		{ 0, "0 ns" },
		{ 7, "7 ns" },
		{ 500000000, "500 ms" },
		{ 2000000000, "2 s" },
		{ 5400000000000, "90 m" },
		{ 3600000000000, "1 h" },
		{ 172800000000000, "2 d" },
		{ 172800000000001, "172800000000001 ns" },
	};
	char text[UNITS_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(units__duration(text, cases[i].nanoseconds), cases[i].text);
}

static void elapsed_times_are_rounded(void **state)
{
	static const struct {
		double seconds;
		const char *text;
	} cases[] = {
		{ 0.2894, "289 ms" },     { 0.9996, "1 s" },    { 2.584692108, "2.6 s" },
		{ 10.02, "10 s" },        { 59.949, "59.9 s" }, { 59.97, "1 m" },
		{ 72.4, "72 s" },         { 600.031, "10 m" },  { 3601, "1 h" },
		{ 5430, "91 m" },         { 90000, "25 h" },    { 604803.2, "7 d" },
		{ INFINITY, "277778 h" },
	};
	char text[UNITS_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(units__elapsed(text, cases[i].seconds), cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_tracemallocs),
		cmocka_unit_test(sizes_change_unit_at_1024),
		cmocka_unit_test(counts_have_three_digits),
		cmocka_unit_test(bytes_are_read),
		cmocka_unit_test(durations_are_read),
		cmocka_unit_test(durations_are_exact),
		cmocka_unit_test(elapsed_times_are_rounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
