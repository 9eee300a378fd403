/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sample.h"

#include <errno.h>
#include <jansson.h>

#include "user/view.h"

#define ALL .heap = true, .mmap = true

/* The line that the view writes, without its newline; the caller frees. */
static char *show(const struct snapshot *snapshot, const struct view *view)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(view_json__show(out, snapshot, view), 0);
	fclose(out);
	assert_ptr_equal(strchr(text, '\n'), text + size - 1);
	text[size - 1] = '\0';
	return text;
}

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!json)
		fail_msg("%s in %s", error.text, text);
	return json;
}

static json_t *show_sites(struct query query, size_t depth)
{
	struct snapshot *snapshot = sample();
	const struct view view = { .query = query, .depth = depth };
	char *text = show(snapshot, &view);
	json_t *json = parse(text);
	json_t *sites = json_incref(json_object_get(json, "sites"));

	json_decref(json);
	free(text);
	snapshot__free(snapshot);
	return sites;
}

/* The sites of a query are, as JSON values, those of `expected`. */
static void check_sites(struct query query, size_t depth, const char *expected)
{
	json_t *sites = show_sites(query, depth), *wanted = parse(expected);
	char *text = json_dumps(sites, JSON_COMPACT);

	if (!json_equal(sites, wanted))
		fail_msg("%s\nis not\n%s", text, expected);
	free(text);
	json_decref(wanted);
	json_decref(sites);
}

static void a_snapshot_is_written_to_the_byte(void **state)
{
	const struct frame frame = {
		.kind = FRAME_NATIVE,
		.function = "f",
		.module = "m",
		.has_offset = true,
		.offset = 16,
		.file = "d/f.c",
		.line = 3,
	};
	struct snapshot *snapshot = sample_of(&frame, 1, "x");
	const struct snapshot_header header = {
		.time_ns = SAMPLE_TIME,
		.elapsed_s = 5,
		.interval_s = 0.25,
		.mode = "exact",
		.losses = { 1, 2, 3, 4, 5, 6, 7 },
	};
	const struct view view = { .query = { ALL } };
	char *text;

	(void)state;
	snapshot__set_header(snapshot, &header);
	text = show(snapshot, &view);
	assert_string_equal(
		text,
		"{\"version\":1,\"time\":\"2026-11-22T12:00:05.123Z\",\"elapsed_s\":5.000,"
		"\"interval_s\":0.250,\"mode\":\"exact\","
		"\"totals\":{\"live_bytes\":32,\"live_count\":1,\"alloc_bytes\":32,"
		"\"alloc_count\":1,"
		"\"freed_bytes\":0,\"freed_count\":0,\"failed_count\":0,\"unmatched_frees\":0},"
		"\"lost\":{\"blocks\":1,\"sites\":2,\"stacks\":3,\"inflight\":4,"
		"\"truncated_stacks\":5,\"broken_stacks\":6,\"events\":7},"
		"\"processes\":[{\"pid\":1,\"comm\":\"x\",\"exited\":false,\"live_bytes\":32,"
		"\"live_count\":1,\"alloc_bytes\":32,\"alloc_count\":1,\"freed_bytes\":0,"
		"\"freed_count\":0,\"peak_bytes\":32,\"failed_count\":0,\"unmatched_frees\":0}],"
		"\"sites\":[{\"pid\":1,\"family\":\"heap\",\"live_bytes\":32,\"live_count\":1,"
		"\"alloc_bytes\":32,\"alloc_count\":1,\"freed_bytes\":0,\"freed_count\":0,"
		"\"peak_bytes\":32,\"stack\":[{\"kind\":\"native\",\"function\":\"f\","
		"\"module\":\"m\","
		"\"offset\":16,\"file\":\"d/f.c\",\"line\":3,\"inlined\":false}]}]}");
	free(text);
	snapshot__free(snapshot);
}

static void stacks_say_what_is_known_of_them(void **state)
{
	(void)state;
	check_sites(
		(struct query){ ALL, .top = 1 }, 0,
		"[{\"pid\":24916,\"family\":\"heap\",\"live_bytes\":3145728,\"live_count\":102330,"
		"\"alloc_bytes\":3146628,\"alloc_count\":102339,\"freed_bytes\":900,"
		"\"freed_count\":9,"
		"\"peak_bytes\":3145800,\"stack\":["
		"{\"kind\":\"native\",\"function\":\"Perl_safesysmalloc\",\"module\":\"perl\","
		"\"offset\":703382,\"file\":\"/src/perl/util.c\",\"line\":154,\"inlined\":false},"
		"{\"kind\":\"native\",\"function\":\"Perl_newSV\",\"module\":\"perl\","
		"\"offset\":900,"
		"\"file\":\"sv.c\",\"line\":2011,\"inlined\":true},"
		"{\"kind\":\"native\",\"function\":\"main\",\"module\":\"perl\",\"offset\":900,"
		"\"file\":\"perlmain.c\",\"line\":117,\"inlined\":false}]}]");
	check_sites(
		(struct query){ .mmap = true }, 2,
		"[{\"pid\":77,\"family\":\"mmap\",\"live_bytes\":300,\"live_count\":2,"
		"\"alloc_bytes\":5100,\"alloc_count\":102,\"freed_bytes\":4800,\"freed_count\":100,"
		"\"peak_bytes\":5000,\"left_out\":3,\"end\":\"truncated\",\"stack\":["
		"{\"kind\":\"native\",\"function\":\"PyFloat_FromDouble\","
		"\"module\":\"python3.11\","
		"\"offset\":4660,\"inlined\":false},"
		"{\"kind\":\"python\",\"function\":\"build\",\"file\":\"/srv/floats.py\","
		"\"line\":5}]}]");
	check_sites(
		(struct query){ ALL, .include = (const char *const[]){ "libx.so", NULL } }, 0,
		"[{\"pid\":24916,\"family\":\"heap\",\"live_bytes\":576,\"live_count\":5,"
		"\"alloc_bytes\":676,\"alloc_count\":6,\"freed_bytes\":100,\"freed_count\":1,"
		"\"peak_bytes\":600,\"end\":\"broken\",\"stack\":["
		"{\"kind\":\"native\",\"module\":\"libx.so\",\"offset\":2748,\"inlined\":false},"
		"{\"kind\":\"unknown\",\"offset\":139637976731648},{\"kind\":\"jit\"}]}]");
}

/* Of both families: no family and no peak. Of both processes: no pid. No key: no frame. */
static void rows_have_the_keys_fields_only(void **state)
{
	(void)state;
	check_sites(
		(struct query){ ALL, .by = BY_LINE }, 0,
		"[{\"pid\":24916,\"family\":\"heap\",\"live_bytes\":3145728,\"live_count\":102330,"
		"\"alloc_bytes\":3146628,\"alloc_count\":102339,\"freed_bytes\":900,"
		"\"freed_count\":9,"
		"\"peak_bytes\":3145800,\"merged\":1,"
		"\"stack\":[{\"kind\":\"native\",\"file\":\"/src/perl/util.c\",\"line\":154}]},"
		"{\"pid\":77,\"live_bytes\":5100,\"live_count\":202,\"alloc_bytes\":9900,"
		"\"alloc_count\":302,\"freed_bytes\":4800,\"freed_count\":100,\"merged\":2,"
		"\"stack\":[{\"kind\":\"python\",\"file\":\"/srv/floats.py\",\"line\":5}]},"
		"{\"family\":\"heap\",\"live_bytes\":676,\"live_count\":6,\"alloc_bytes\":776,"
		"\"alloc_count\":7,\"freed_bytes\":100,\"freed_count\":1,\"merged\":2,"
		"\"stack\":[]}]");
	check_sites(
		(struct query){ ALL, .by = BY_PROCESS, .top = 1 }, 0,
		"[{\"pid\":24916,\"family\":\"heap\",\"live_bytes\":3146304,\"live_count\":102335,"
		"\"alloc_bytes\":3147304,\"alloc_count\":102345,\"freed_bytes\":1000,"
		"\"freed_count\":10,"
		"\"peak_bytes\":4194304,\"merged\":2,\"stack\":[]}]");
}

static void check_frame(enum group_key by, const char *expected)
{
	json_t *sites = show_sites((struct query){ ALL, .by = by, .top = 1 }, 0);
	json_t *stack = json_object_get(json_array_get(sites, 0), "stack"),
	       *wanted = parse(expected);

	assert_true(json_equal(stack, wanted));
	json_decref(wanted);
	json_decref(sites);
}

static void every_key_has_its_fields(void **state)
{
	(void)state;
	check_frame(BY_FUNCTION, "[{\"kind\":\"native\",\"function\":\"Perl_safesysmalloc\"}]");
	check_frame(BY_LINE, "[{\"kind\":\"native\",\"file\":\"/src/perl/util.c\",\"line\":154}]");
	check_frame(BY_FILE, "[{\"kind\":\"native\",\"file\":\"/src/perl/util.c\"}]");
	check_frame(BY_MODULE, "[{\"kind\":\"native\",\"module\":\"perl\"}]");
	check_frame(BY_PROCESS, "[]");
}

static void totals_are_of_everything_whatever_is_shown(void **state)
{
	const struct view view = { .query = { .top = 1,
					      .heap = true,
					      .include =
						      (const char *const[]){ "no such", NULL } } };
	struct snapshot *snapshot = sample();
	char *text = show(snapshot, &view);
	json_t *json = parse(text), *totals = json_object_get(json, "totals");

	(void)state;
	assert_int_equal(json_array_size(json_object_get(json, "sites")), 0);
	assert_int_equal(json_array_size(json_object_get(json, "processes")), 2);
	assert_int_equal(json_integer_value(json_object_get(totals, "live_bytes")), 3151504);
	assert_int_equal(json_integer_value(json_object_get(totals, "alloc_count")), 102648);
	json_decref(json);
	free(text);
	snapshot__free(snapshot);
}

static void growth_is_there_when_it_is_known(void **state)
{
	const struct view view = { .query = { ALL } };
	struct snapshot *snapshot = sample();
	char *text;

	(void)state;
	text = show(snapshot, &view);
	assert_null(strstr(text, "growth"));
	free(text);
	assert_int_equal(snapshot__grow_since(snapshot, NULL), 0);
	text = show(snapshot, &view);
	assert_non_null(strstr(text, "\"unmatched_frees\":2,\"growth_bytes_per_s\":1575752.000}"));
	assert_non_null(strstr(text, "\"unmatched_frees\":2,\"growth_bytes_per_s\":1573152.000}"));
	assert_non_null(strstr(text, "\"peak_bytes\":5000,\"growth_bytes_per_s\":150.000,"));
	free(text);
	snapshot__free(snapshot);
}

/* What JSON shows for `comm`, between the quotes. */
static void check_string(const char *comm, const char *expected)
{
	struct snapshot *snapshot = sample_of(NULL, 0, comm);
	const struct view view = { .query = { ALL } };
	char *text = show(snapshot, &view), wanted[200];

	json_decref(parse(text));
	snprintf(wanted, sizeof(wanted), "\"comm\":\"%s\",", expected);
	assert_non_null(strstr(text, wanted));
	free(text);
	snapshot__free(snapshot);
}

static void hostile_strings_stay_valid_json(void **state)
{
	(void)state;
	check_string("a\"b\\c/d", "a\\\"b\\\\c/d");
	check_string("a\nb\x1b[0m\x7f", "a\\u000ab\\u001b[0m\\u007f");
	check_string("\xff\xc3(\xed\xa0\x80", "\\\\xff\\\\xc3(\\\\xed\\\\xa0\\\\x80");
	check_string("caf\xc3\xa9 \xf0\x9f\x92\xa9", "caf\xc3\xa9 \xf0\x9f\x92\xa9");
	check_string("\xc2\x9b\xe2\x80\xae", "\\u009b\\u202e");
	check_string("\xf3\xa0\x81\x81", "\\udb40\\udc41");
}

static void what_is_not_known_is_absent(void **state)
{
	const struct frame frame = { .kind = FRAME_KERNEL, .function = "", .file = "" };
	struct snapshot *snapshot = sample_of(&frame, 1, NULL);
	const struct view view = { .query = { ALL } };
	char *text = show(snapshot, &view);

	(void)state;
	assert_null(strstr(text, "comm"));
	assert_null(strstr(text, "mode"));
	assert_null(strstr(text, "time"));
	assert_null(strstr(text, "_s\""));
	assert_non_null(strstr(text, "\"stack\":[{\"kind\":\"kernel\"}]"));
	free(text);
	snapshot__free(snapshot);
}

/* As in a profile that something else wrote. */
static void a_pid_that_is_not_known_is_absent(void **state)
{
	struct snapshot *snapshot = snapshot__new();
	const struct process process = { .comm = "prog", .counters = { 32, 1, 0, 0, 32 } };
	const struct view view = { .query = { ALL } };
	char *text;

	(void)state;
	assert_int_equal(snapshot__add_process(snapshot, &process), 0);
	assert_int_equal(sample_stack(snapshot, NULL, 0, STACK_COMPLETE, 0), 0);
	sample_site(snapshot, 0, 0, FAMILY_HEAP, (struct counters){ 32, 1, 0, 0, 32 });
	text = show(snapshot, &view);
	assert_null(strstr(text, "\"pid\""));
	assert_non_null(strstr(text, "\"processes\":[{\"comm\":\"prog\","));
	assert_non_null(strstr(text, "\"sites\":[{\"family\":\"heap\","));
	free(text);
	snapshot__free(snapshot);
}

static void large_numbers_are_exact(void **state)
{
	const struct process process = {
		.pid = 1,
		.counters = { UINT64_MAX, 1ULL << 63, 0, 0, 9007199254740993 },
	};
	const struct snapshot_header header = { .elapsed_s = 1e300, .interval_s = -0.0004 };
	struct snapshot *snapshot = snapshot__new();
	const struct view view = { .query = { ALL } };
	char *text;

	(void)state;
	snapshot__set_header(snapshot, &header);
	snapshot__add_process(snapshot, &process);
	text = show(snapshot, &view);
	assert_non_null(strstr(text, "\"live_bytes\":18446744073709551615,"
				     "\"live_count\":9223372036854775808,"));
	assert_non_null(strstr(text, "\"peak_bytes\":9007199254740993,"));
	assert_non_null(strstr(text, "\"elapsed_s\":9000000000000000.000,\"interval_s\":0.000,"));
	free(text);
	snapshot__free(snapshot);
}

/* Longer than the writer's buffer, so that strings lie across its end. */
static void long_output_is_whole(void **state)
{
	enum { LONG = 100000 };
	char *name = malloc(LONG + 1);
	struct frame frames[3] = { 0 };
	struct snapshot *snapshot;
	const struct view view = { .query = { ALL } };
	char *text;
	json_t *json, *stack;

	(void)state;
	memset(name, 'n', LONG);
	name[LONG] = '\0';
	for (int i = 0; i < 3; i++)
		frames[i].function = name;
	snapshot = sample_of(frames, 3, "x");
	text = show(snapshot, &view);
	json = parse(text);
	stack = json_object_get(json_array_get(json_object_get(json, "sites"), 0), "stack");
	assert_int_equal(json_array_size(stack), 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(
			json_string_value(json_object_get(json_array_get(stack, i), "function")),
			name);
	json_decref(json);
	free(text);
	snapshot__free(snapshot);
	free(name);
}

static void a_full_disk_is_an_error(void **state)
{
	struct snapshot *snapshot = sample();
	const struct view view = { .query = { ALL } };
	FILE *out = fopen("/dev/full", "w");

	(void)state;
	assert_int_equal(view_json__show(out, snapshot, &view), -ENOSPC);
	fclose(out);
	snapshot__free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_snapshot_is_written_to_the_byte),
		cmocka_unit_test(stacks_say_what_is_known_of_them),
		cmocka_unit_test(rows_have_the_keys_fields_only),
		cmocka_unit_test(every_key_has_its_fields),
		cmocka_unit_test(totals_are_of_everything_whatever_is_shown),
		cmocka_unit_test(growth_is_there_when_it_is_known),
		cmocka_unit_test(hostile_strings_stay_valid_json),
		cmocka_unit_test(what_is_not_known_is_absent),
		cmocka_unit_test(a_pid_that_is_not_known_is_absent),
		cmocka_unit_test(large_numbers_are_exact),
		cmocka_unit_test(long_output_is_whole),
		cmocka_unit_test(a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
