/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sample.h"

#include "user/live.h"

static const char *source(void *context, const char *path, uint32_t line)
{
	(void)context;
	return !strcmp(path, "/src/perl/util.c") && line == 154 ? "ptr = malloc(size);" : "";
}

static const struct live_options all = {
	.query = { .heap = true, .mmap = true },
	.processes = true,
	.interval_ns = 2000000000,
	.utc = true,
	.source = source,
};

static void take(struct live *live)
{
	const struct own_cost cost = { .cpus = 0.012, .resident_bytes = 45 << 20 };

	assert_int_equal(live__take(live, sample(), &cost), 0);
}

static struct live *live_new(const struct live_options *options)
{
	struct live *live = live__new(options);

	assert_non_null(live);
	take(live);
	return live;
}

static void keys(struct live *live, const char *text)
{
	for (; *text; text++)
		live__key(live, *text == '\n' ? LIVE_KEY_ENTER : *text);
}

/* The screen's lines, each with a newline. */
static char *screen(struct live *live, int columns, int lines, bool utf8)
{
	struct canvas *canvas = canvas__new(columns, lines, utf8);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	live__draw(live, canvas);
	for (int i = 0; i < lines; i++) {
		char *line = canvas__text(canvas, i);

		fprintf(out, "%s\n", line);
		free(line);
	}
	fclose(out);
	canvas__free(canvas);
	return text;
}

static void shows(struct live *live, int columns, int lines, const char *expected)
{
	char *text = screen(live, columns, lines, false);

	assert_string_equal(text, expected);
	free(text);
}

static void shows_part(struct live *live, const char *part)
{
	char *text = screen(live, 100, 30, false);

	if (!strstr(text, part))
		print_error("%s\n", text);
	assert_non_null(strstr(text, part));
	free(text);
}

static void hides_part(struct live *live, const char *part)
{
	char *text = screen(live, 100, 30, false);

	assert_null(strstr(text, part));
	free(text);
}

static void begins_with_processes(void **state)
{
	struct live *live = live_new(&all);

	(void)state;
	shows(live, 80, 9,
	      "2 processes  live 3.0 MiB in 102538 blocks  +1.5 MiB/s  51.3 k allocs/s\n"
	      "all  2 rows\n"
	      "    *LIVE    BLOCKS  GROWTH/s      PEAK PROCESS\n"
	      "  3.0 MiB    102335  +1.5 MiB   4.0 MiB perl[24916]\n"
	      "  5.1 KiB       203  +2.5 KiB   5.9 KiB python3[77] exited\n"
	      "\n\n\n"
	      "Enter open  Esc back  s sort  g rows  / find  b baseline  o older  Space pause ~\n");
	shows(live, 20, 5,
	      "2 processes\n"
	      "    *LIVE PROCESS\n"
	      "  3.0 MiB perl[2491~\n"
	      "  5.1 KiB python3[7~\n"
	      "? help  q quit\n");
	live__free(live);
}

static void opens_processes_stacks_and_frames(void **state)
{
	struct live *live = live_new(&all);

	(void)state;
	keys(live, "\n");
	shows_part(live, "all > perl[24916]  2 rows\n");
	shows_part(live, " Perl_safesysmalloc util.c:154 < Perl_newSV < main");
	hides_part(live, "python");
	keys(live, "\n");
	shows_part(live, "all > perl[24916] > Perl_safesysmalloc  ");
	shows_part(live, " - main  perlmain.c:117");
	shows_part(live, " * Perl_safesysmalloc  util.c:154   ptr = malloc(size);\n");
	keys(live, "r");
	shows_part(live, "FRAMES from the leaf");
	shows_part(live, " * main  perlmain.c:117");
	live__key(live, LIVE_KEY_ESCAPE);
	shows_part(live, "all > perl[24916]  2 rows\n");
	live__key(live, LIVE_KEY_LEFT);
	shows_part(live, "all  2 rows\n");
	live__free(live);
}

static void sorts_by_every_column(void **state)
{
	static const enum sort_key order[] = {
		SORT_COUNT, SORT_GROWTH, SORT_PEAK, SORT_ALLOC, SORT_ALLOCS, SORT_LIVE,
	};
	struct live *live = live_new(&all);

	(void)state;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		keys(live, "s");
		shows_part(live, "*");
		assert_int_equal(live__query(live)->sort, order[i]);
	}
	keys(live, "<");
	shows_part(live, "*LIVE");
	keys(live, ">");
	shows_part(live, "*BLOCKS");
	live__free(live);
}

static void the_selection_follows_the_row(void **state)
{
	struct live *live = live_new(&all);

	(void)state;
	live__key(live, LIVE_KEY_DOWN);
	keys(live, "\n"); /* python's stacks */
	shows_part(live, "all > python3[77]");
	live__free(live);

	live = live_new(&all);
	live__key(live, LIVE_KEY_DOWN);
	take(live);
	keys(live, "s"); /* by count: the same order */
	take(live);
	keys(live, "\n");
	shows_part(live, "all > python3[77]");
	live__free(live);
}

static void finds_as_you_type(void **state)
{
	struct live *live = live_new(&all);

	(void)state;
	keys(live, "/PYTH");
	shows_part(live, "/PYTH_");
	shows_part(live, "1 row ");
	hides_part(live, "perl[24916]");
	live__key(live, LIVE_KEY_BACKSPACE);
	keys(live, "\n\n");
	shows_part(live, "all > python3[77]  2 rows  /PYT\n"); /* not the empty stack */
	keys(live, "/");
	live__key(live, LIVE_KEY_ESCAPE);
	shows_part(live, "all > python3[77]  3 rows\n");
	live__free(live);
}

static void groups_and_opens_a_groups_stacks(void **state)
{
	struct live *live = live_new(&all);

	(void)state;
	keys(live, "g"); /* processes, then stacks, functions, lines */
	shows_part(live, "5 rows");
	keys(live, "g");
	shows_part(live, "FUNCTION\n");
	shows_part(live, "Perl_safesysmalloc\n");
	keys(live, "\n");
	shows_part(live, "all > Perl_safesysmalloc  1 row\n");
	live__free(live);
}

static void shows_the_change_since_a_baseline(void **state)
{
	struct live *live = live_new(&all);

	(void)state;
	keys(live, "b");
	shows_part(live, "+0 B since 12:00:05");
	shows_part(live, "*CHANGE");
	take(live);
	take(live);
	shows_part(live, "+0 B since 12:00:05");
	keys(live, "B");
	hides_part(live, "CHANGE");
	shows_part(live, "*LIVE");
	live__free(live);
}

static void pauses_while_it_takes_snapshots(void **state)
{
	struct live *live = live_new(&all);
	const struct snapshot *shown = live__shown(live);

	(void)state;
	keys(live, " ");
	take(live);
	take(live);
	shows_part(live, "PAUSED");
	assert_ptr_equal(live__shown(live), shown);
	keys(live, "bz ");
	assert_ptr_equal(live__shown(live), live__newest(live));
	hides_part(live, "PAUSED");
	live__free(live);
}

static void clears_what_was_freed(void **state)
{
	struct live *live = live_new(&all);

	(void)state;
	shows_part(live, " 9.8 KiB python3[77]");
	keys(live, "z");
	shows_part(live, " 5.1 KiB python3[77]");
	take(live);
	shows_part(live, " 5.1 KiB python3[77]");
	live__free(live);
}

static void asks_for_what_is_not_its_own(void **state)
{
	struct live *live = live_new(&all);

	(void)state;
	assert_int_equal(live__key(live, '+'), LIVE_WISH_INTERVAL);
	assert_int_equal(live__interval(live), 5000000000);
	live__key(live, '-');
	live__key(live, '-');
	assert_int_equal(live__interval(live), 1000000000);
	keys(live, "o5");
	assert_int_equal(live__key(live, LIVE_KEY_ENTER), LIVE_WISH_OLDER);
	assert_int_equal(live__older(live), 5000000000);
	keys(live, "oweeks\n");
	shows_part(live, "a duration is wanted");
	assert_int_equal(live__older(live), 5000000000);
	assert_int_equal(live__key(live, 'w'), LIVE_WISH_FILE);
	assert_int_equal(live__key(live, 'f'), LIVE_WISH_FLAME);
	assert_int_equal(live__key(live, 'q'), LIVE_WISH_QUIT);
	live__free(live);
}

static void help_names_every_key(void **state)
{
	struct live *live = live_new(&all);

	(void)state;
	keys(live, "?");
	shows_part(live, "q, Ctrl-C");
	shows_part(live, "sort by the next column");
	keys(live, "x");
	shows_part(live, "2 processes");
	live__free(live);
}

static void names_do_nothing_to_a_terminal(void **state)
{
	static const struct frame frames[] = { {
		.kind = FRAME_NATIVE,
		.function = "a\033[2Jb",
		.file = "/c\007",
		.line = 1,
	} };
	struct live_options options = all;
	struct live *live;
	char *text;

	(void)state;
	options.processes = false;
	live = live__new(&options);
	assert_int_equal(
		live__take(live, sample_of(frames, 1, "x\033]0;y"), &(struct own_cost){ 0 }), 0);
	text = screen(live, 80, 20, true);
	assert_null(strchr(text, '\033'));
	assert_null(strchr(text, '\007'));
	assert_non_null(strstr(text, "a\\x1b[2Jb"));
	free(text);
	live__free(live);
}

/* Every size, and every key at it: nothing is drawn outside, nothing breaks. */
static void fits_every_size(void **state)
{
	static const char all_keys[] = "?\x01\x01g\nsr>b\n/x\n/\n<zgggo \n";

	(void)state;
	for (int columns = 1; columns <= 300; columns += columns < 30 ? 1 : 67) {
		struct live *live = live_new(&all);

		for (int lines = 1; lines <= 100; lines += lines < 30 ? 1 : 17) {
			char *text = screen(live, columns, lines, lines % 2);

			free(text);
			live__key(live, all_keys[lines % (sizeof(all_keys) - 1)]);
			live__click(live, lines / 2);
		}
		live__free(live);
	}
}

static void gone_stacks_are_said_to_be_gone(void **state)
{
	static const struct frame frames[] = { { .kind = FRAME_NATIVE, .function = "f" } };
	struct live *live = live_new(&all);

	(void)state;
	keys(live, "\n\n");
	shows_part(live, "FRAMES");
	assert_int_equal(live__take(live, sample_of(frames, 1, "x"), &(struct own_cost){ 0 }), 0);
	shows_part(live, "this stack is not there any more");
	live__free(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_with_processes),
		cmocka_unit_test(opens_processes_stacks_and_frames),
		cmocka_unit_test(sorts_by_every_column),
		cmocka_unit_test(the_selection_follows_the_row),
		cmocka_unit_test(finds_as_you_type),
		cmocka_unit_test(groups_and_opens_a_groups_stacks),
		cmocka_unit_test(shows_the_change_since_a_baseline),
		cmocka_unit_test(pauses_while_it_takes_snapshots),
		cmocka_unit_test(clears_what_was_freed),
		cmocka_unit_test(asks_for_what_is_not_its_own),
		cmocka_unit_test(help_names_every_key),
		cmocka_unit_test(names_do_nothing_to_a_terminal),
		cmocka_unit_test(fits_every_size),
		cmocka_unit_test(gone_stacks_are_said_to_be_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
