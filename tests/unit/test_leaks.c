/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sample.h"

#include "user/leaks.h"
#include "user/view_leaks.h"

#define SECOND 1000000000ULL
enum { SITES = 3 };

/* In steps of ten seconds; a process that has another pid in every snapshot. */
static struct snapshot *make(int step, const struct counters counters[SITES])
{
	static const struct frame frames[SITES] = {
		{ .kind = FRAME_NATIVE, .function = "churns", .file = "c.c", .line = 1 },
		{ .kind = FRAME_NATIVE, .function = "leaks", .file = "l.c", .line = 2 },
		{ .kind = FRAME_NATIVE, .function = "stays", .file = "s.c", .line = 3 },
	};
	const struct snapshot_header header = {
		.time_ns = SAMPLE_TIME + 10 * SECOND * (uint64_t)step,
		.elapsed_s = 20,
	};
	const struct process process = { .pid = 7 + step, .comm = "server" };
	struct snapshot *snapshot = snapshot__new();

	assert_non_null(snapshot);
	snapshot__set_header(snapshot, &header);
	assert_int_equal(snapshot__add_process(snapshot, &process), 0);
	for (uint32_t i = 0; i < SITES; i++) {
		assert_int_equal(sample_stack(snapshot, &frames[i], 1, STACK_COMPLETE, i + 1), i);
		sample_site(snapshot, 0, i, FAMILY_HEAP, counters[i]);
	}
	return snapshot;
}

static const struct counters series[][SITES] = {
	{ { 5000, 5, 50000, 50, 9000 }, { 1000, 10, 0, 0, 1000 }, { 700, 1, 0, 0, 700 } },
	{ { 9000, 9, 99000, 99, 9000 }, { 2000, 20, 0, 0, 2000 }, { 700, 1, 0, 0, 700 } },
	{ { 8000, 8, 147000, 147, 9000 }, { 3000, 30, 0, 0, 3000 }, { 700, 1, 0, 0, 700 } },
};

struct made {
	struct snapshot *last;
	struct leaks *leaks;
	struct leak_report report;
};

/* The first ones of the series, and its last. */
static struct made report_of(const struct query *query, int before)
{
	struct made made = { .last = make(2, series[2]) };

	made.leaks = leaks__new(made.last, query);
	assert_non_null(made.leaks);
	for (int i = 0; i < before; i++) {
		struct snapshot *snapshot = make(i, series[i]);

		assert_int_equal(leaks__add(made.leaks, snapshot), 0);
		snapshot__free(snapshot);
	}
	assert_int_equal(leaks__report(made.leaks, &made.report), 0);
	return made;
}

static void made__free(struct made *made)
{
	leak_report__free(&made->report);
	leaks__free(made->leaks);
	snapshot__free(made->last);
}

static const struct query all = { .heap = true, .mmap = true };

static void what_frees_nothing_and_grows_steadily_is_first(void **state)
{
	struct made made = report_of(&all, 2);
	const struct leak *leak = made.report.items;

	(void)state;
	assert_int_equal(made.report.snapshots, 3);
	assert_true(made.report.seconds == 20);
	assert_int_equal(made.report.count, 2);
	assert_string_equal(leak->row->stack.frames[0]->function, "leaks");
	assert_int_equal(leak->live_bytes, 3000);
	assert_int_equal(leak->grown_bytes, 2000);
	assert_int_equal(leak->grown_count, 20);
	assert_int_equal(leak->alloc_bytes, 2000);
	assert_int_equal(leak->grew, 2);
	assert_true(leak__kept(leak) == 1 && leak__grew(leak, &made.report) == 1);
	leak++;
	assert_string_equal(leak->row->stack.frames[0]->function, "churns");
	assert_int_equal(leak->grown_bytes, 3000);
	assert_int_equal(leak->alloc_bytes, 100000);
	assert_int_equal(leak->grew, 1);
	assert_true(leak__kept(leak) == 0.03 && leak__grew(leak, &made.report) == 0.5);
	made__free(&made);
}

static void one_snapshot_grew_from_nothing(void **state)
{
	struct made made = report_of(&all, 0);

	(void)state;
	assert_int_equal(made.report.snapshots, 2);
	assert_true(made.report.seconds == 20);
	assert_int_equal(made.report.count, SITES);
	assert_int_equal(made.report.items[0].grown_bytes, 3000);
	assert_int_equal(made.report.items[0].grew, 1);
	assert_int_equal(made.report.grown_bytes, 11700);
	made__free(&made);
}

static void groups_filters_and_top_are_the_query_s(void **state)
{
	static const char *const exclude[] = { "leaks", NULL };
	const struct query lines = { .heap = true, .mmap = true, .by = BY_LINE, .top = 1 };
	const struct query others = { .heap = true, .mmap = true, .exclude = exclude };
	struct made made = report_of(&lines, 2);

	(void)state;
	assert_int_equal(made.report.count, 1);
	assert_int_equal(made.report.all, 2);
	assert_int_equal(made.report.items[0].row->frame->line, 2);
	made__free(&made);
	made = report_of(&others, 2);
	assert_int_equal(made.report.count, 1);
	assert_string_equal(made.report.items[0].row->stack.frames[0]->function, "churns");
	assert_int_equal(made.report.first.live_bytes, 5700);
	made__free(&made);
}

/* Two processes of one program, which allocate in one place. */
static struct snapshot *pair(uint64_t first, uint64_t second)
{
	static const struct frame frame = { .kind = FRAME_NATIVE, .function = "f", .file = "f.c" };
	const uint64_t bytes[] = { first, second };
	struct snapshot *snapshot = snapshot__new();

	assert_non_null(snapshot);
	assert_int_equal(sample_stack(snapshot, &frame, 1, STACK_COMPLETE, 1), 0);
	for (uint32_t i = 0; i < 2; i++) {
		const struct process process = { .pid = 1 + (pid_t)i, .comm = "server" };

		assert_int_equal(snapshot__add_process(snapshot, &process), i);
		sample_site(snapshot, i, 0, FAMILY_HEAP,
			    (struct counters){ bytes[i], bytes[i], 0, 0, bytes[i] });
	}
	return snapshot;
}

static struct leak_report report_of_pairs(struct leaks *leaks, const uint64_t seconds[2])
{
	struct leak_report report;

	for (int i = 0; i < 2; i++) {
		struct snapshot *snapshot = pair(1000, seconds[i]);

		assert_int_equal(leaks__add(leaks, snapshot), 0);
		snapshot__free(snapshot);
	}
	assert_int_equal(leaks__report(leaks, &report), 0);
	return report;
}

static void processes_that_share_a_stack_are_one_row(void **state)
{
	static const struct {
		uint64_t seconds[2], grown;
		uint32_t grew;
	} cases[] = {
		{ { 1000, 900 }, 0, 0 }, /* as it was, and something else in between */
		{ { 900, 1000 }, 100, 1 },
		{ { 800, 900 }, 200, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snapshot *last = pair(1000, 1000);
		struct leaks *leaks = leaks__new(last, &all);
		struct leak_report report = report_of_pairs(leaks, cases[i].seconds);

		assert_int_equal(report.grown_bytes, cases[i].grown);
		assert_int_equal(report.count, cases[i].grown ? 1 : 0);
		if (report.count)
			assert_int_equal(report.items[0].grew, cases[i].grew);
		leak_report__free(&report);
		leaks__free(leaks);
		snapshot__free(last);
	}
}

static char *shown(const struct query *query, bool json)
{
	struct made made = report_of(query, 2);
	const struct view view = { .query = *query };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(json ? view_leaks__json(out, &made.report, &view,
						 snapshot__header(made.last))
			      : view_leaks__text(out, &made.report, &view),
			 0);
	fclose(out);
	made__free(&made);
	return text;
}

static void text_says_it_in_one_look(void **state)
{
	const struct query lines = { .heap = true, .mmap = true, .by = BY_LINE, .top = 1 };
	char *text = shown(&lines, false);

	(void)state;
	assert_string_equal(
		text, "live 6.5 KiB -> 11.4 KiB (+250 B/s, +4.9 KiB in 20 s), 3 snapshots\n"
		      "grew and was not freed: +4.9 KiB in 2 rows\n"
		      " 1  +100 B/s, +2.0 KiB: 100% of 2.0 KiB never freed, grew 2 of 2 times, "
		      "now 2.9 KiB in 30  l.c:2\n"
		      "... 1 more\n");
	free(text);
	text = shown(&all, false);
	assert_non_null(strstr(text, "never freed, grew 1 of 2 times, now 7.8 KiB in 8\n"
				     "      churns  c.c:1\n"));
	free(text);
}

static void times_that_are_not_even_are_rounded(void **state)
{
	static const struct query lines = { .heap = true, .mmap = true, .by = BY_LINE };
	struct made made = report_of(&lines, 2);
	const struct view view = { .query = lines };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	made.report.seconds = 2.584692108;
	assert_int_equal(view_leaks__text(out, &made.report, &view), 0);
	fclose(out);
	assert_non_null(strstr(text, "(+1.9 KiB/s, +4.9 KiB in 2.6 s), 3 snapshots\n"));
	free(text);
	made__free(&made);
}

static void json_has_every_figure(void **state)
{
	const struct query first = { .heap = true, .mmap = true, .top = 1 };
	char *text = shown(&first, true);

	(void)state;
	assert_non_null(strstr(text, "\"snapshots\":3,\"seconds\":20"));
	assert_non_null(strstr(text, "\"live_bytes\":11700,\"live_count\":39,"
				     "\"live_bytes_change\":5000,\"live_count_change\":23,"
				     "\"growth_bytes_per_s\":250"));
	assert_non_null(strstr(text, "{\"family\":\"heap\",\"live_bytes\":3000,\"live_count\":30,"
				     "\"live_bytes_change\":2000,\"live_count_change\":20,"
				     "\"growth_bytes_per_s\":100"));
	assert_non_null(strstr(text, "\"alloc_bytes_change\":2000,\"never_freed\":1"));
	assert_non_null(strstr(text, "\"grew\":2,\"stack\":[{\"kind\":\"native\""));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_frees_nothing_and_grows_steadily_is_first),
		cmocka_unit_test(one_snapshot_grew_from_nothing),
		cmocka_unit_test(groups_filters_and_top_are_the_query_s),
		cmocka_unit_test(processes_that_share_a_stack_are_one_row),
		cmocka_unit_test(text_says_it_in_one_look),
		cmocka_unit_test(times_that_are_not_even_are_rounded),
		cmocka_unit_test(json_has_every_figure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
