/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sample.h"

#include <errno.h>

#include "user/view.h"

#define ALL .heap = true, .mmap = true

static void check_snapshot(const struct snapshot *snapshot, struct view view, const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	view.utc = true;
	assert_int_equal(view_text__show(out, snapshot, &view), 0);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void check(struct view view, const char *expected)
{
	struct snapshot *snapshot = sample();

	check_snapshot(snapshot, view, expected);
	snapshot__free(snapshot);
}

/* The same, when rates are known. */
static void check_grown(struct view view, const char *expected)
{
	struct snapshot *snapshot = sample();

	assert_int_equal(snapshot__grow_since(snapshot, NULL), 0);
	check_snapshot(snapshot, view, expected);
	snapshot__free(snapshot);
}

#define HEADER \
	"12:00:05  2 processes  1 exited  live 3.0 MiB in 102538 blocks  unmatched frees 2  " \
	"failed 1\n"
#define GROWN \
	"12:00:05  2 processes  1 exited  live 3.0 MiB in 102538 blocks  +1.5 MiB/s  " \
	"allocs 51.3 k/s  unmatched frees 2  failed 1\n"
#define CUMULATIVE "cumulative: a site counts in the row of every frame it has\n"

static void stacks_are_tables(void **state)
{
	(void)state;
	check((struct view){ .query = { ALL } },
	      HEADER " 1  3.0 MiB  in 102330 blocks, average 31 B  perl[24916]\n"
		     "      Perl_safesysmalloc  util.c:154      perl\n"
		     "      Perl_newSV          sv.c:2011       perl (inlined)\n"
		     "      main                perlmain.c:117  perl\n"
		     " 2  4.7 KiB  in 200 blocks, average 24 B  python3[77] exited\n"
		     "      PyFloat_FromDouble               python3.11\n"
		     "      build               floats.py:5  (python)\n"
		     "      build               floats.py:5  (python)\n"
		     "      <module>            floats.py:9  (python)\n"
		     "      main                python.c:15  python3.11\n"
		     "      [stack is truncated here]\n"
		     " 3  576 B  in 5 blocks, average 115 B  perl[24916]\n"
		     "      libx.so+0xabc   libx.so\n"
		     "      0x7f0000001000\n"
		     "      [unknown]       (jit)\n"
		     "      [stack is broken here]\n"
		     " 4  300 B  in 2 blocks, average 150 B  mmap  python3[77] exited\n"
		     "      PyFloat_FromDouble               python3.11\n"
		     "      build               floats.py:5  (python)\n"
		     "      build               floats.py:5  (python)\n"
		     "      <module>            floats.py:9  (python)\n"
		     "      main                python.c:15  python3.11\n"
		     "      [stack is truncated here]\n"
		     " 5  100 B  in 1 blocks, average 100 B  python3[77] exited\n"
		     "      [unknown]\n");
}

static void depth_and_top_say_what_they_cut(void **state)
{
	(void)state;
	check((struct view){ .query = { ALL, .top = 2 }, .depth = 1 },
	      HEADER " 1  3.0 MiB  in 102330 blocks, average 31 B  perl[24916]\n"
		     "      Perl_safesysmalloc  util.c:154  perl\n"
		     "      ... 2 more frames\n"
		     " 2  4.7 KiB  in 200 blocks, average 24 B  python3[77] exited\n"
		     "      PyFloat_FromDouble  python3.11\n"
		     "      ... 4 more frames\n"
		     "      [stack is truncated here]\n"
		     "... 3 more\n");
}

/* One process, which goes on. */
static void a_single_process_has_its_name_in_the_header(void **state)
{
	const struct frame frame = { .kind = FRAME_NATIVE, .function = "f" };
	struct snapshot *snapshot = sample_of(&frame, 1, "x");
	const struct snapshot_header header = { .time_ns = SAMPLE_TIME, .interval_s = 0.5 };

	(void)state;
	snapshot__set_header(snapshot, &header);
	check_snapshot(snapshot, (struct view){ .query = { ALL } },
		       "12:00:05  x[1]  live 32 B in 1 blocks  peak 32 B\n"
		       " 1  32 B  in 1 blocks, average 32 B\n"
		       "      f\n");
	assert_int_equal(snapshot__grow_since(snapshot, NULL), 0);
	check_snapshot(snapshot, (struct view){ .query = { ALL } },
		       "12:00:05  x[1]  live 32 B in 1 blocks  +64 B/s  peak 32 B  allocs 2/s\n"
		       " 1  32 B  in 1 blocks, average 32 B\n"
		       "      f\n");
	snapshot__free(snapshot);
}

static void a_row_begins_with_what_it_was_ranked_by(void **state)
{
	static const char *const rows[] = {
		[SORT_LIVE] = "3.0 MiB  in 102330 blocks, average 31 B",
		[SORT_COUNT] = "102330 blocks  of 3.0 MiB, average 31 B",
		[SORT_ALLOC] = "alloc 3.0 MiB  in 102339 allocations, average 31 B, live 3.0 MiB",
		[SORT_ALLOCS] = "102339 allocations  of 3.0 MiB, average 31 B, live 3.0 MiB",
		[SORT_PEAK] = "peak 3.0 MiB  live 3.0 MiB  in 102330 blocks, average 31 B",
		[SORT_GROWTH] = "+1.5 MiB/s  live 3.0 MiB  in 102330 blocks, average 31 B",
	};
	char expected[1000];

	(void)state;
	for (int sort = SORT_LIVE; sort <= SORT_GROWTH; sort++) {
		snprintf(expected, sizeof(expected),
			 GROWN " 1  %s  perl[24916]\n"
			       "      Perl_safesysmalloc  util.c:154  perl\n"
			       "      ... 2 more frames\n... 4 more\n",
			 rows[sort]);
		check_grown((struct view){ .query = { ALL, .top = 1, .sort = sort }, .depth = 1 },
			    expected);
	}
}

static void names_stand_below_each_other(void **state)
{
	(void)state;
	check((struct view){ .query = { ALL, .by = BY_FUNCTION } }, HEADER
	      " 1  3.0 MiB  in 102330 blocks, average 31 B  Perl_safesysmalloc  perl[24916]\n"
	      " 2  5.0 KiB  in 202 blocks, average 25 B     build  heap and mmap  "
	      "python3[77] exited\n"
	      " 3  676 B  in 6 blocks, average 113 B        [unknown]  several processes\n");
	check((struct view){ .query = { ALL, .by = BY_MODULE, .sort = SORT_PEAK } }, HEADER
	      " 1  peak 3.0 MiB  live 3.0 MiB  in 102330 blocks, average 31 B       perl  "
	      "perl[24916]\n"
	      " 2  peak at most 9.6 KiB  live 5.0 KiB  in 202 blocks, average 25 B  python3.11  "
	      "heap and mmap  python3[77] exited\n"
	      " 3  peak 600 B  live 576 B  in 5 blocks, average 115 B               libx.so  "
	      "perl[24916]\n"
	      " 4  peak 100 B  live 100 B  in 1 blocks, average 100 B               [unknown]  "
	      "python3[77] exited\n");
	check((struct view){ .query = { ALL, .by = BY_PROCESS } }, HEADER
	      " 1  3.0 MiB  in 102335 blocks, average 31 B  perl[24916]\n"
	      " 2  5.1 KiB  in 203 blocks, average 26 B     python3[77] exited  heap and mmap\n");
	check((struct view){ .query = { ALL, .by = BY_FUNCTION, .cumulative = true, .top = 1 } },
	      HEADER CUMULATIVE " 1  3.0 MiB  in 102330 blocks, average 31 B  main  perl[24916]\n"
				"... 5 more\n");
}

static void lines_and_files_speak_tracemallocs_words(void **state)
{
	(void)state;
	check((struct view){ .query = { ALL, .by = BY_LINE } },
	      HEADER "/src/perl/util.c:154: size=3072 KiB, count=102330, average=31 B\n"
		     "/srv/floats.py:5: size=5100 B, count=202, average=25 B\n"
		     "[unknown]: size=676 B, count=6, average=113 B\n");
	check((struct view){ .query = { ALL, .by = BY_FILE, .sort = SORT_ALLOC } },
	      HEADER "/src/perl/util.c:0: alloc_size=3073 KiB, alloc_count=102339, average=31 B\n"
		     "/srv/floats.py:0: alloc_size=9900 B, alloc_count=302, average=33 B\n"
		     "[unknown]: alloc_size=776 B, alloc_count=7, average=111 B\n");
	check((struct view){ .query = { ALL, .by = BY_LINE, .sort = SORT_PEAK, .top = 2 } }, HEADER
	      "/src/perl/util.c:154: peak=3072 KiB, size=3072 KiB, count=102330, average=31 B\n"
	      "/srv/floats.py:5: peak<=9800 B, size=5100 B, count=202, average=25 B\n"
	      "... 1 more\n");
	check_grown((struct view){ .query = { ALL, .by = BY_LINE, .sort = SORT_GROWTH, .top = 1,
					      .cumulative = true } },
		    GROWN CUMULATIVE
		    "sv.c:2011: growth=+1536 KiB/s, size=3072 KiB, count=102330, average=31 B\n"
		    "... 5 more\n");
}

static void an_empty_row_has_no_average(void **state)
{
	const struct frame frame = { .kind = FRAME_PYTHON, .file = "a.py", .line = 1 };
	struct snapshot *snapshot = snapshot__new();
	const struct process process = { .pid = 9, .comm = "p", .exited = true };

	(void)state;
	snapshot__add_process(snapshot, &process);
	sample_stack(snapshot, &frame, 1, STACK_COMPLETE, 0);
	sample_site(snapshot, 0, 0, FAMILY_HEAP, (struct counters){ 0, 0, 8, 1, 8 });
	check_snapshot(snapshot, (struct view){ .query = { ALL, .by = BY_LINE } },
		       "p[9]  exited  live 0 B in 0 blocks  peak 0 B\n"
		       "a.py:1: size=0 B, count=0\n");
	check_snapshot(snapshot, (struct view){ .query = { ALL } },
		       "p[9]  exited  live 0 B in 0 blocks  peak 0 B\n"
		       " 1  0 B  in 0 blocks\n"
		       "      [unknown]  a.py:1  (python)\n");
	snapshot__free(snapshot);
}

static void losses_stand_in_the_header(void **state)
{
	const struct view view = { .query = { 0 } };
	struct snapshot *snapshot = snapshot__new();
	struct snapshot_header header = { .losses = { 1, 2, 3, 4, 5, 6, 7 } };

	(void)state;
	snapshot__set_header(snapshot, &header);
	check_snapshot(snapshot, view,
		       "0 processes  live 0 B in 0 blocks\n"
		       "lost: 1 blocks not counted  2 sites not counted  3 stacks not kept  "
		       "4 allocations without their return  5 stacks truncated  6 stacks broken  "
		       "7 events dropped\n");
	header.losses = (struct losses){ .truncated_stacks = 9 };
	snapshot__set_header(snapshot, &header);
	check_snapshot(snapshot, view,
		       "0 processes  live 0 B in 0 blocks\n"
		       "lost: 9 stacks truncated\n");
	snapshot__free(snapshot);
}

/* The header takes more lines; functions' names give way, then the end of the line. */
static void narrow_terminals_get_what_matters(void **state)
{
	(void)state;
	check((struct view){ .query = { ALL, .top = 1 }, .columns = 40 },
	      "12:00:05  2 processes  1 exited\n"
	      "live 3.0 MiB in 102538 blocks\n"
	      "unmatched frees 2  failed 1\n"
	      " 1  3.0 MiB  in 102330 blocks, average ~\n"
	      "      Perl_safesy~  util.c:154      perl\n"
	      "      Perl_newSV    sv.c:2011       per~\n"
	      "      main          perlmain.c:117  perl\n"
	      "... 4 more\n");
	check((struct view){ .query = { ALL, .top = 1 }, .columns = 20 },
	      "12:00:05\n2 processes\n1 exited\n"
	      "live 3.0 MiB in 102~\n"
	      "unmatched frees 2\nfailed 1\n"
	      " 1  3.0 MiB  in 102~\n"
	      "      Perl_safesy~ ~\n"
	      "      Perl_newSV   ~\n"
	      "      main         ~\n"
	      "... 4 more\n");
	check((struct view){ .query = { ALL, .by = BY_FUNCTION, .top = 1 }, .columns = 60 },
	      "12:00:05  2 processes  1 exited\n"
	      "live 3.0 MiB in 102538 blocks  unmatched frees 2  failed 1\n"
	      " 1  3.0 MiB  Perl_safesysmalloc  perl[24916]\n"
	      "... 2 more\n");
	check((struct view){ .query = { ALL, .by = BY_LINE, .top = 2 }, .columns = 60 },
	      "12:00:05  2 processes  1 exited\n"
	      "live 3.0 MiB in 102538 blocks  unmatched frees 2  failed 1\n"
	      "util.c:154: size=3072 KiB, count=102330, average=31 B\n"
	      "/srv/floats.py:5: size=5100 B, count=202, average=25 B\n"
	      "... 1 more\n");
}

static void one_column_is_no_disaster(void **state)
{
	struct snapshot *snapshot = sample();
	char *text = NULL;
	size_t size;

	(void)state;
	for (int by = BY_STACK; by <= BY_PROCESS; by++) {
		const struct view view = { .query = { ALL, .by = by }, .columns = 1 };
		FILE *out = open_memstream(&text, &size);

		assert_int_equal(view_text__show(out, snapshot, &view), 0);
		fclose(out);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(text[i], i % 2 ? '\n' : '~');
		free(text);
	}
	snapshot__free(snapshot);
}

static void names_are_data(void **state)
{
	const struct frame frame = {
		.kind = FRAME_NATIVE,
		.function = "f\x1b]0;x\x07",
		.file = "dir\n/a\xff.c",
		.line = 1,
		.module = "\xe2\x80\xaelib",
	};
	struct snapshot *snapshot = sample_of(&frame, 1, "a\nb\x1b[2J");

	(void)state;
	check_snapshot(snapshot, (struct view){ .query = { ALL } },
		       "a\\x0ab\\x1b[2J[1]  live 32 B in 1 blocks  peak 32 B\n"
		       " 1  32 B  in 1 blocks, average 32 B\n"
		       "      f\\x1b]0;x\\x07  a\\xff.c:1  \\u{202e}lib\n");
	check_snapshot(snapshot, (struct view){ .query = { ALL, .by = BY_LINE } },
		       "a\\x0ab\\x1b[2J[1]  live 32 B in 1 blocks  peak 32 B\n"
		       "dir\\x0a/a\\xff.c:1: size=32 B, count=1, average=32 B\n");
	snapshot__free(snapshot);
}

/* Longer than any buffer that a name is put together in. */
static void long_names_are_shown(void **state)
{
	char file[1001], expected[1400];
	struct frame frame = { .kind = FRAME_NATIVE, .function = "f", .line = 7, .file = file };
	struct snapshot *snapshot;

	(void)state;
	memset(file, 'x', 1000);
	file[1000] = '\0';
	snapshot = sample_of(&frame, 1, "x");
	snprintf(expected, sizeof(expected),
		 "x[1]  live 32 B in 1 blocks  peak 32 B\n"
		 "%s:7: size=32 B, count=1, average=32 B\n",
		 file);
	check_snapshot(snapshot, (struct view){ .query = { ALL, .by = BY_LINE } }, expected);
	snapshot__free(snapshot);
}

/* As in a profile that something else wrote. */
static void what_is_not_known_is_absent(void **state)
{
	struct snapshot *snapshot = snapshot__new();
	const struct process process = { .comm = "prog", .counters = { 32, 1, 0, 0, 32 } };

	(void)state;
	assert_int_equal(snapshot__add_process(snapshot, &process), 0);
	assert_int_equal(sample_stack(snapshot, NULL, 0, STACK_COMPLETE, 0), 0);
	sample_site(snapshot, 0, 0, FAMILY_HEAP, (struct counters){ 32, 1, 0, 0, 32 });
	check_snapshot(snapshot, (struct view){ .query = { ALL, .by = BY_PROCESS } },
		       "prog  live 32 B in 1 blocks  peak 32 B\n"
		       " 1  32 B  in 1 blocks, average 32 B  prog\n");
	snapshot__free(snapshot);
}

static void a_full_disk_is_an_error(void **state)
{
	struct snapshot *snapshot = sample();
	const struct view view = { .query = { ALL } };
	FILE *out = fopen("/dev/full", "w");

	(void)state;
	assert_int_equal(view_text__show(out, snapshot, &view), -ENOSPC);
	fclose(out);
	out = fopen("/dev/full", "w");
	setbuf(out, NULL);
	assert_int_equal(view_text__show(out, snapshot, &view), -ENOSPC);
	fclose(out);
	snapshot__free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stacks_are_tables),
		cmocka_unit_test(depth_and_top_say_what_they_cut),
		cmocka_unit_test(a_single_process_has_its_name_in_the_header),
		cmocka_unit_test(a_row_begins_with_what_it_was_ranked_by),
		cmocka_unit_test(names_stand_below_each_other),
		cmocka_unit_test(lines_and_files_speak_tracemallocs_words),
		cmocka_unit_test(an_empty_row_has_no_average),
		cmocka_unit_test(losses_stand_in_the_header),
		cmocka_unit_test(narrow_terminals_get_what_matters),
		cmocka_unit_test(one_column_is_no_disaster),
		cmocka_unit_test(names_are_data),
		cmocka_unit_test(long_names_are_shown),
		cmocka_unit_test(what_is_not_known_is_absent),
		cmocka_unit_test(a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
