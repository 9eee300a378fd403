/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the page is given. What it makes of that is seen in a browser: tests/system/flamegraph.bats.
 */
#include "sample.h"

#include <errno.h>
#include <jansson.h>

#include "user/export.h"

static const char mark[] = "<script type=\"application/json\" id=\"profile\">\n";

/* What the last element holds, as a browser sees it: up to the first "</script". */
static json_t *profile_in(char *page)
{
	char *begin = strstr(page, mark), *end;
	json_error_t error;
	json_t *json;

	assert_non_null(begin);
	begin += sizeof(mark) - 1;
	assert_null(strstr(begin, mark));
	end = strstr(begin, "</script");
	assert_string_equal(end, "</script>\n</html>\n");
	*end = '\0';
	assert_null(strchr(begin, '<'));
	json = json_loads(begin, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		fail_msg("%s in %s", error.text, begin);
	return json;
}

static json_t *profile_of(const struct snapshot *snapshot, const struct snapshot *base,
			  unsigned int holds)
{
	const struct export_flamegraph of = { snapshot, base, "new.pb.gz", "old.pb.gz", holds };
	const struct query query = { .heap = true, .mmap = true };
	char *page = NULL;
	size_t size;
	FILE *out = open_memstream(&page, &size);
	json_t *json;

	assert_int_equal(export__flamegraph(out, &of, &query), 0);
	fclose(out);
	assert_int_equal(strlen(page), size);
	json = profile_in(page);
	free(page);
	return json;
}

/* The number at calls.TABLE[column][row]. */
static json_int_t value(json_t *json, const char *table, size_t column, size_t row)
{
	json_t *values = json_object_get(json_object_get(json, "calls"), table);

	return json_integer_value(json_array_get(json_array_get(values, column), row));
}

static const char *frame_text(json_t *json, const char *column, size_t row)
{
	json_t *numbers = json_object_get(json_object_get(json, "frames"), column);
	json_int_t number = json_integer_value(json_array_get(numbers, row));

	if (!number)
		return "";
	return json_string_value(
		json_array_get(json_object_get(json, "strings"), (size_t)number - 1));
}

static void columns_are_of_one_length_and_add_up(void **state)
{
	static const char *const columns[] = { "kind", "name", "file", "line", "module" };
	struct snapshot *snapshot = sample();
	json_t *json = profile_of(snapshot, NULL, ~0U);
	json_t *calls = json_object_get(json, "calls"), *frames = json_object_get(json, "frames");
	size_t count = json_array_size(json_object_get(calls, "parent"));

	(void)state;
	assert_int_equal(json_array_size(json_object_get(calls, "frame")), count);
	assert_int_equal(json_array_size(json_object_get(calls, "now")), 5);
	assert_null(json_object_get(calls, "old"));
	for (size_t i = 0; i < 5; i++) {
		json_t *now = json_array_get(json_object_get(calls, "now"), i);

		assert_int_equal(json_array_size(now), count);
		assert_int_equal(json_array_size(json_object_get(frames, columns[i])),
				 json_array_size(json_object_get(frames, "kind")));
	}
	assert_int_equal(value(json, "now", 0, 0), 3151504);
	assert_int_equal(value(json, "now", 4, 0), 102648);
	assert_string_equal(frame_text(json, "name", 0), "all");
	assert_string_equal(frame_text(json, "name", 1), "perl[24916]");
	json_decref(json);
	snapshot__free(snapshot);
}

/* JSON of one frame and one process, which are the last and the second of the page's frames. */
static void check_names(const char *comm, const char *shown_comm, const char *function,
			const char *shown_function)
{
	const struct frame frame = { .kind = FRAME_NATIVE, .function = function };
	struct snapshot *snapshot = sample_of(&frame, 1, comm);
	json_t *json = profile_of(snapshot, NULL, ~0U);

	assert_string_equal(frame_text(json, "name", 1), shown_comm);
	assert_string_equal(frame_text(json, "name", 2), shown_function);
	json_decref(json);
	snapshot__free(snapshot);
}

static void hostile_names_stay_in_their_strings(void **state)
{
	(void)state;
	check_names("</script>", "</script>[1]", "std::vector<int>::grow",
		    "std::vector<int>::grow");
	check_names("<!--<script>", "<!--<script>[1]", "</SCRIPT ><img src=x onerror=alert(1)>",
		    "</SCRIPT ><img src=x onerror=alert(1)>");
	check_names("a\"b\\", "a\"b\\[1]", "\xff\x1b[2J", "\\xff\x1b[2J");
	check_names("\n\xe2\x80\xae", "\n\xe2\x80\xae[1]", "]]>&lt;", "]]>&lt;");
}

static void a_nameless_frame_is_its_place(void **state)
{
	const struct frame frame = {
		.kind = FRAME_NATIVE,
		.module = "libx.so",
		.has_offset = true,
		.offset = 0xabc,
	};
	struct snapshot *snapshot = sample_of(&frame, 1, "x");
	json_t *json = profile_of(snapshot, NULL, ~0U);

	(void)state;
	assert_string_equal(frame_text(json, "name", 2), "libx.so+0xabc");
	assert_string_equal(frame_text(json, "module", 2), "libx.so");
	json_decref(json);
	snapshot__free(snapshot);
}

static void two_have_both_figures(void **state)
{
	struct snapshot *now = sample(), *old = sample_of(NULL, 0, "perl");
	json_t *json = profile_of(now, old, ~0U);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(json, "base")), "old.pb.gz");
	assert_string_equal(frame_text(json, "name", 1), "perl");
	assert_int_equal(value(json, "now", 0, 0), 3151504);
	assert_int_equal(value(json, "old", 0, 0), 32);
	assert_int_equal(value(json, "grew", 0, 0), 3151504);
	json_decref(json);
	snapshot__free(now);
	snapshot__free(old);
}

static void only_what_is_held_is_shown(void **state)
{
	const struct query query = { .heap = true };
	struct snapshot *snapshot = sample();
	const struct export_flamegraph none = { .snapshot = snapshot, .holds = 1 << SORT_GROWTH };
	json_t *json = profile_of(snapshot, NULL, 1 << SORT_LIVE | 1 << SORT_ALLOCS);

	(void)state;
	assert_int_equal(json_array_size(json_object_get(json, "metrics")), 2);
	assert_int_equal(value(json, "now", 1, 0), 102648);
	assert_int_equal(export__flamegraph(stdout, &none, &query), -ENODATA);
	json_decref(json);
	snapshot__free(snapshot);
}

static void losses_are_said(void **state)
{
	const struct snapshot_header header = { .losses = { .stacks = 3 } };
	struct snapshot *snapshot = sample();
	json_t *json, *lost;

	(void)state;
	snapshot__set_header(snapshot, &header);
	json = profile_of(snapshot, snapshot, ~0U);
	lost = json_object_get(json, "lost");
	assert_int_equal(json_object_size(lost), 1);
	assert_int_equal(json_integer_value(json_object_get(lost, "stacks")), 6);
	json_decref(json);
	snapshot__free(snapshot);
}

static void a_full_disk_is_an_error(void **state)
{
	struct snapshot *snapshot = sample();
	const struct export_flamegraph of = { .snapshot = snapshot, .holds = ~0U };
	const struct query query = { .heap = true };
	FILE *out = fopen("/dev/full", "w");

	(void)state;
	assert_int_equal(export__flamegraph(out, &of, &query), -ENOSPC);
	fclose(out);
	snapshot__free(snapshot);
}

/* A build without npm has no page to look at. */
static void skip_without_page(void **state)
{
	(void)state;
	print_message("%s\n", export__no_flamegraph);
	skip();
}

int main(void)
{
	const struct CMUnitTest none[] = { cmocka_unit_test(skip_without_page) };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_of_one_length_and_add_up),
		cmocka_unit_test(hostile_names_stay_in_their_strings),
		cmocka_unit_test(a_nameless_frame_is_its_place),
		cmocka_unit_test(two_have_both_figures),
		cmocka_unit_test(only_what_is_held_is_shown),
		cmocka_unit_test(losses_are_said),
		cmocka_unit_test(a_full_disk_is_an_error),
	};

	if (!export__has_flamegraph())
		return cmocka_run_group_tests(none, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
