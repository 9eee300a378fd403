/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sample.h"

#include <errno.h>

#define ALL .heap = true, .mmap = true

/* "KEY LIVE_BYTES/LIVE_COUNT xMERGED" of every row, ';' between: what a query gave, at one look. */
static void describe(char *text, size_t size, const struct rows *rows)
{
	FILE *out = fmemopen(text, size, "w");

	assert_non_null(out);
	for (size_t i = 0; i < rows->count; i++) {
		const struct row *row = &rows->items[i];
		const struct frame *frame = row->stack.depth ? row->stack.frames[0] : row->frame;

		fprintf(out, "%s", i ? "; " : "");
		if (frame->function)
			fprintf(out, "%s ", frame->function);
		if (frame->file)
			fprintf(out, "%s:%u ", frame->file, frame->line);
		if (frame->module)
			fprintf(out, "%s ", frame->module);
		fprintf(out, "%d %lu/%lu x%lu", row->process ? (int)row->process->pid : -1,
			row->counters.live_bytes, row->counters.live_count, row->merged);
	}
	fclose(out);
}

static void check(struct query query, const char *expected)
{
	struct snapshot *snapshot = sample();
	char text[2000] = "";
	struct rows rows;

	assert_int_equal(snapshot__rows(snapshot, &query, &rows), 0);
	describe(text, sizeof(text), &rows);
	assert_string_equal(text, expected);
	rows__free(&rows);
	snapshot__free(snapshot);
}

#define PERL_ROW "Perl_safesysmalloc /src/perl/util.c:154 perl 24916 3145728/102330 x1"
#define FLOATS_ROW "PyFloat_FromDouble python3.11 77 4800/200 x1"
#define MAPPED_ROW "PyFloat_FromDouble python3.11 77 300/2 x1"
#define NAMELESS_ROW "libx.so 24916 576/5 x1"
#define EMPTY_ROW "77 100/1 x1"

static void building_copies_and_interns(void **state)
{
	struct snapshot *snapshot = snapshot__new();
	char name[] = "first";
	struct frame frame = { .kind = FRAME_NATIVE, .function = name, .module = name };
	const char *interned;

	(void)state;
	interned = snapshot__intern(snapshot, name);
	assert_ptr_not_equal(interned, name);
	assert_ptr_equal(snapshot__intern(snapshot, "first"), interned);
	assert_ptr_equal(snapshot__intern(snapshot, interned), interned);
	assert_null(snapshot__intern(snapshot, NULL));
	assert_int_equal(sample_stack(snapshot, &frame, 1, STACK_COMPLETE, 0), 0);
	assert_int_equal(sample_stack(snapshot, &frame, 1, STACK_BROKEN, 0), 1);
	/* The same pointer with other bytes behind it is another string. */
	memcpy(name, "other", 5);
	assert_int_equal(sample_stack(snapshot, &frame, 1, STACK_COMPLETE, 0), 2);
	assert_string_equal(snapshot__stack(snapshot, 0)->frames[0]->function, "first");
	assert_ptr_equal(snapshot__stack(snapshot, 0)->frames[0]->module, interned);
	assert_string_equal(snapshot__stack(snapshot, 2)->frames[0]->function, "other");
	/* Equal frames are one. */
	assert_ptr_equal(snapshot__stack(snapshot, 0)->frames[0],
			 snapshot__stack(snapshot, 1)->frames[0]);
	assert_int_equal(snapshot__frame_count(snapshot), 2);
	assert_ptr_equal(snapshot__frame(snapshot, 1), snapshot__stack(snapshot, 2)->frames[0]);
	assert_int_equal(snapshot__frame_id(snapshot__frame(snapshot, 1)), 1);
	assert_int_equal(snapshot__string_count(snapshot), 2);
	assert_int_equal(snapshot__string_id(interned), 0);
	snapshot__free(snapshot);
	snapshot__free(NULL);
}

static void a_site_of_nothing_is_refused(void **state)
{
	struct snapshot *snapshot = sample();
	struct site site = { .process = 2 };

	(void)state;
	assert_int_equal(snapshot__add_site(snapshot, &site), -EINVAL);
	site = (struct site){ .stack = 4 };
	assert_int_equal(snapshot__add_site(snapshot, &site), -EINVAL);
	assert_int_equal(snapshot__site_count(snapshot), 5);
	snapshot__free(snapshot);
}

static void totals_are_of_the_processes(void **state)
{
	struct snapshot *snapshot = sample();
	struct totals totals = snapshot__totals(snapshot);

	(void)state;
	assert_int_equal(totals.counters.live_bytes, 3151504);
	assert_int_equal(totals.counters.live_count, 102538);
	assert_int_equal(totals.counters.freed_bytes, 5800);
	assert_int_equal(totals.counters.freed_count, 110);
	assert_int_equal(totals.counters.peak_bytes, 0);
	assert_int_equal(totals.failed_count, 1);
	assert_int_equal(totals.unmatched_frees, 2);
	snapshot__free(snapshot);
}

static void sites_are_ranked_by_every_key(void **state)
{
	(void)state;
	check((struct query){ ALL, .sort = SORT_LIVE },
	      PERL_ROW "; " FLOATS_ROW "; " NAMELESS_ROW "; " MAPPED_ROW "; " EMPTY_ROW);
	check((struct query){ ALL, .sort = SORT_COUNT },
	      PERL_ROW "; " FLOATS_ROW "; " NAMELESS_ROW "; " MAPPED_ROW "; " EMPTY_ROW);
	check((struct query){ ALL, .sort = SORT_ALLOC },
	      PERL_ROW "; " MAPPED_ROW "; " FLOATS_ROW "; " NAMELESS_ROW "; " EMPTY_ROW);
	check((struct query){ ALL, .sort = SORT_ALLOCS },
	      PERL_ROW "; " FLOATS_ROW "; " MAPPED_ROW "; " NAMELESS_ROW "; " EMPTY_ROW);
	check((struct query){ ALL, .sort = SORT_PEAK },
	      PERL_ROW "; " MAPPED_ROW "; " FLOATS_ROW "; " NAMELESS_ROW "; " EMPTY_ROW);
}

static void top_cuts_after_ranking(void **state)
{
	struct snapshot *snapshot = sample();
	const struct query query = { ALL, .top = 2 }, more = { ALL, .top = 99 };
	struct rows rows;

	(void)state;
	check(query, PERL_ROW "; " FLOATS_ROW);
	assert_int_equal(snapshot__rows(snapshot, &query, &rows), 0);
	assert_int_equal(rows.count, 2);
	assert_int_equal(rows.all, 5);
	rows__free(&rows);
	assert_int_equal(snapshot__rows(snapshot, &more, &rows), 0);
	assert_int_equal(rows.count, 5);
	rows__free(&rows);
	snapshot__free(snapshot);
}

static void families_are_chosen(void **state)
{
	(void)state;
	check((struct query){ .mmap = true }, MAPPED_ROW);
	check((struct query){ .heap = true },
	      PERL_ROW "; " FLOATS_ROW "; " NAMELESS_ROW "; " EMPTY_ROW);
	check((struct query){ 0 }, "");
}

static void sites_are_charged_to_the_nearest_frame_with_the_key(void **state)
{
	(void)state;
	check((struct query){ ALL, .by = BY_FUNCTION },
	      "Perl_safesysmalloc 24916 3145728/102330 x1; build 77 5100/202 x2; -1 676/6 x2");
	check((struct query){ ALL, .by = BY_LINE },
	      "/src/perl/util.c:154 24916 3145728/102330 x1; /srv/floats.py:5 77 5100/202 x2; "
	      "-1 676/6 x2");
	check((struct query){ ALL, .by = BY_FILE },
	      "/src/perl/util.c:0 24916 3145728/102330 x1; /srv/floats.py:0 77 5100/202 x2; "
	      "-1 676/6 x2");
	/* No Python frame has a module: then native frames are looked at. */
	check((struct query){ ALL, .by = BY_MODULE },
	      "perl 24916 3145728/102330 x1; python3.11 77 5100/202 x2; libx.so 24916 576/5 x1; "
	      "77 100/1 x1");
	check((struct query){ ALL, .by = BY_PROCESS }, "24916 3146304/102335 x2; 77 5200/203 x3");
}

static void native_frames_are_charged_when_asked(void **state)
{
	(void)state;
	check((struct query){ ALL, .by = BY_FUNCTION, .native = true },
	      "Perl_safesysmalloc 24916 3145728/102330 x1; PyFloat_FromDouble 77 5100/202 x2; "
	      "-1 676/6 x2");
	/* The nearest with a line: PyFloat_FromDouble has none. */
	check((struct query){ ALL, .by = BY_LINE, .native = true, .top = 2 },
	      "/src/perl/util.c:154 24916 3145728/102330 x1; /srv/floats.py:5 77 5100/202 x2");
}

static void cumulative_charges_every_key_once(void **state)
{
	(void)state;
	check((struct query){ ALL, .by = BY_FUNCTION, .cumulative = true },
	      "main 24916 3145728/102330 x1; Perl_safesysmalloc 24916 3145728/102330 x1; "
	      "Perl_newSV 24916 3145728/102330 x1; build 77 5100/202 x2; <module> 77 5100/202 x2; "
	      "-1 676/6 x2");
	/* main is in both programs: one row, each site once. */
	check((struct query){ ALL, .by = BY_FUNCTION, .cumulative = true, .native = true },
	      "main -1 3150828/102532 x3; Perl_safesysmalloc 24916 3145728/102330 x1; "
	      "Perl_newSV 24916 3145728/102330 x1; build 77 5100/202 x2; "
	      "PyFloat_FromDouble 77 5100/202 x2; <module> 77 5100/202 x2; -1 676/6 x2");
	check((struct query){ ALL, .by = BY_MODULE, .cumulative = true },
	      "perl 24916 3145728/102330 x1; python3.11 77 5100/202 x2; libx.so 24916 576/5 x1; "
	      "77 100/1 x1");
	check((struct query){ ALL, .by = BY_PROCESS, .cumulative = true },
	      "24916 3146304/102335 x2; 77 5200/203 x3");
	check((struct query){ ALL, .cumulative = true, .top = 1 }, PERL_ROW);
}

static void a_row_says_what_was_merged(void **state)
{
	const struct query query = { ALL, .by = BY_LINE, .top = 2 };
	struct snapshot *snapshot = sample();
	struct rows rows;

	(void)state;
	assert_int_equal(snapshot__rows(snapshot, &query, &rows), 0);
	assert_false(rows.items[0].families);
	assert_int_equal(rows.items[0].family, FAMILY_HEAP);
	assert_true(rows.items[0].peak_known);
	assert_int_equal(rows.items[0].counters.peak_bytes, 3145800);
	assert_true(rows.items[1].families);
	assert_false(rows.items[1].peak_known);
	assert_int_equal(rows.items[1].counters.peak_bytes, 9800);
	assert_int_equal(counters__alloc_bytes(&rows.items[1].counters), 9900);
	assert_int_equal(rows.items[1].stack.depth, 1);
	assert_ptr_equal(rows.items[1].stack.frames[0], rows.items[1].frame);
	assert_int_equal(rows.items[1].frame->kind, FRAME_PYTHON);
	assert_null(rows.items[1].frame->function);
	rows__free(&rows);
	snapshot__free(snapshot);
}

static void a_process_has_its_own_peak(void **state)
{
	const struct query all = { ALL, .by = BY_PROCESS },
			   heap = { .heap = true, .by = BY_PROCESS };
	struct snapshot *snapshot = sample();
	struct rows rows;

	(void)state;
	assert_int_equal(snapshot__rows(snapshot, &all, &rows), 0);
	assert_true(rows.items[0].peak_known && rows.items[1].peak_known);
	assert_int_equal(rows.items[0].counters.peak_bytes, 4194304);
	assert_int_equal(rows.items[0].stack.depth, 0);
	rows__free(&rows);
	/* Not all of what python3 has: its peak would not be these sites'. */
	assert_int_equal(snapshot__rows(snapshot, &heap, &rows), 0);
	assert_true(rows.items[0].peak_known);
	assert_false(rows.items[1].peak_known);
	assert_int_equal(rows.items[1].counters.peak_bytes, 4900);
	rows__free(&rows);
	snapshot__free(snapshot);
}

#define GLOBS(...) \
	(const char *const[]) \
	{ \
		__VA_ARGS__, NULL \
	}

static void globs_keep_and_drop_sites(void **state)
{
	(void)state;
	check((struct query){ ALL, .include = GLOBS("Perl_new*") }, PERL_ROW);
	check((struct query){ ALL, .include = GLOBS("floats.py") }, FLOATS_ROW "; " MAPPED_ROW);
	check((struct query){ ALL, .include = GLOBS("/srv/*") }, FLOATS_ROW "; " MAPPED_ROW);
	check((struct query){ ALL, .include = GLOBS("libx.so", "util.[ch]") },
	      PERL_ROW "; " NAMELESS_ROW);
	check((struct query){ ALL, .include = GLOBS("Perl") }, "");
	check((struct query){ ALL, .exclude = GLOBS("main") }, NAMELESS_ROW "; " EMPTY_ROW);
	check((struct query){ ALL, .include = GLOBS("main"), .exclude = GLOBS("build") }, PERL_ROW);
	check((struct query){ ALL, .include = GLOBS("*"), .exclude = GLOBS("*") }, "");
	/* A frame that has no name matches nothing. */
	check((struct query){ ALL, .include = GLOBS("*") },
	      PERL_ROW "; " FLOATS_ROW "; " NAMELESS_ROW "; " MAPPED_ROW);
	check((struct query){ ALL, .include = (const char *const[]){ NULL }, .top = 1 }, PERL_ROW);
}

/* All figures alike: descending by the stack's text, then ascending by pid. */
static void ties_have_an_order(void **state)
{
	static const struct frame frames[] = {
		{ .kind = FRAME_NATIVE, .file = "a.c", .line = 9 },
		{ .kind = FRAME_NATIVE, .file = "b.c", .line = 1 },
		{ .kind = FRAME_NATIVE, .file = "a.c", .line = 10 },
	};
	const struct query query = { ALL, .by = BY_LINE }, stacks = { ALL };
	struct snapshot *snapshot = snapshot__new();
	struct rows rows;
	char text[500] = "";

	(void)state;
	sample_processes(snapshot);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(sample_stack(snapshot, &frames[i], 1, STACK_COMPLETE, i), i);
		sample_site(snapshot, PERL, i, FAMILY_HEAP, (struct counters){ 8, 1, 0, 0, 8 });
	}
	assert_int_equal(snapshot__rows(snapshot, &query, &rows), 0);
	describe(text, sizeof(text), &rows);
	assert_string_equal(text, "b.c:1 24916 8/1 x1; a.c:10 24916 8/1 x1; a.c:9 24916 8/1 x1");
	rows__free(&rows);
	sample_site(snapshot, PYTHON, 1, FAMILY_HEAP, (struct counters){ 8, 1, 0, 0, 8 });
	assert_int_equal(snapshot__rows(snapshot, &stacks, &rows), 0);
	describe(text, sizeof(text), &rows);
	assert_string_equal(text, "b.c:1 77 8/1 x1; b.c:1 24916 8/1 x1; a.c:10 24916 8/1 x1; "
				  "a.c:9 24916 8/1 x1");
	rows__free(&rows);
	snapshot__free(snapshot);
}

/* Growth: stack 0 shrinks, 1 appears, 2 stays; ids, not indices, tell stacks apart. */
static struct snapshot *grown(const uint64_t ids[3], const uint64_t bytes[3], uint64_t start)
{
	struct snapshot *snapshot = snapshot__new();
	const struct snapshot_header header = { .interval_s = 2 };
	struct process process = { .pid = 5, .start = start };

	snapshot__set_header(snapshot, &header);
	for (int i = 0; i < 3; i++) {
		process.counters.live_bytes += bytes[i];
		process.counters.live_count += bytes[i] / 10;
	}
	snapshot__add_process(snapshot, &process);
	for (uint32_t i = 0; i < 3; i++) {
		const struct stack stack = { .id = ids[i] };

		snapshot__add_stack(snapshot, &stack);
		sample_site(snapshot, 0, i, FAMILY_HEAP,
			    (struct counters){ .live_bytes = bytes[i] });
	}
	return snapshot;
}

#define IDS(...) \
	(const uint64_t[3]) \
	{ \
		__VA_ARGS__ \
	}

static void growth_is_since_the_snapshot_before(void **state)
{
	struct snapshot *before = grown(IDS(7, 8, 9), IDS(1000, 400, 0), 1);
	struct snapshot *after = grown(IDS(8, 11, 7), IDS(400, 50, 900), 1);
	const struct query query = { ALL, .sort = SORT_GROWTH };
	struct rows rows;

	(void)state;
	assert_false(snapshot__has_growth(after));
	assert_int_equal(snapshot__grow_since(after, before), 0);
	assert_true(snapshot__has_growth(after));
	assert_true(snapshot__site(after, 0)->growth == 0);
	assert_true(snapshot__site(after, 1)->growth == 25);
	assert_true(snapshot__site(after, 2)->growth == -50);
	assert_true(snapshot__process(after, 0)->growth == -25);
	/* 140 blocks before, 135 now: the books were emptied in between. */
	assert_true(snapshot__process(after, 0)->alloc_rate == 67.5);
	assert_true(snapshot__totals(after).growth == -25);
	assert_int_equal(snapshot__rows(after, &query, &rows), 0);
	assert_true(rows.items[0].growth == 25);
	assert_true(rows.items[2].growth == -50);
	rows__free(&rows);
	snapshot__free(after);
	snapshot__free(before);
}

static void growth_is_of_the_same_process(void **state)
{
	struct snapshot *before = grown(IDS(1, 2, 3), IDS(10, 20, 30), 1);
	struct snapshot *after = grown(IDS(1, 2, 3), IDS(10, 20, 40), 2);

	(void)state;
	/* The pid is another process's now. */
	assert_int_equal(snapshot__grow_since(after, before), 0);
	assert_true(snapshot__site(after, 0)->growth == 5);
	assert_true(snapshot__process(after, 0)->growth == 35);
	assert_true(snapshot__process(after, 0)->alloc_rate == 3.5);
	snapshot__free(after);
	snapshot__free(before);
}

static void the_first_snapshot_grew_from_nothing(void **state)
{
	struct snapshot *first = grown(IDS(1, 2, 3), IDS(10, 20, 30), 1);
	const struct snapshot_header none = { 0 };

	(void)state;
	assert_int_equal(snapshot__grow_since(first, NULL), 0);
	assert_true(snapshot__site(first, 2)->growth == 15);
	assert_true(snapshot__process(first, 0)->growth == 30);
	snapshot__free(first);
	first = grown(IDS(1, 2, 3), IDS(10, 20, 30), 1);
	snapshot__set_header(first, &none);
	assert_int_equal(snapshot__grow_since(first, NULL), 0);
	assert_false(snapshot__has_growth(first));
	assert_true(snapshot__site(first, 2)->growth == 0);
	snapshot__free(first);
}

static void nothing_has_no_rows(void **state)
{
	struct snapshot *snapshot = snapshot__new();
	struct rows rows;

	(void)state;
	for (int by = BY_STACK; by <= BY_PROCESS; by++) {
		const struct query query = { ALL, .by = by };

		assert_int_equal(snapshot__rows(snapshot, &query, &rows), 0);
		assert_int_equal(rows.count, 0);
		assert_int_equal(rows.all, 0);
		rows__free(&rows);
	}
	snapshot__free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(building_copies_and_interns),
		cmocka_unit_test(a_site_of_nothing_is_refused),
		cmocka_unit_test(totals_are_of_the_processes),
		cmocka_unit_test(sites_are_ranked_by_every_key),
		cmocka_unit_test(top_cuts_after_ranking),
		cmocka_unit_test(families_are_chosen),
		cmocka_unit_test(sites_are_charged_to_the_nearest_frame_with_the_key),
		cmocka_unit_test(native_frames_are_charged_when_asked),
		cmocka_unit_test(cumulative_charges_every_key_once),
		cmocka_unit_test(a_row_says_what_was_merged),
		cmocka_unit_test(a_process_has_its_own_peak),
		cmocka_unit_test(globs_keep_and_drop_sites),
		cmocka_unit_test(ties_have_an_order),
		cmocka_unit_test(growth_is_since_the_snapshot_before),
		cmocka_unit_test(growth_is_of_the_same_process),
		cmocka_unit_test(the_first_snapshot_grew_from_nothing),
		cmocka_unit_test(nothing_has_no_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
