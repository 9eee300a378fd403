/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sample.h"

#include "user/difference.h"
#include "user/view_diff.h"

#define ALL .heap = true, .mmap = true
#define NATIVE .kind = FRAME_NATIVE, .has_offset = true

/* A snapshot of stacks of one frame, each with as many bytes in as many blocks. */
struct entry {
	struct frame frame;
	uint64_t bytes, blocks;
};

static struct snapshot *make(const struct entry *entries, size_t count, pid_t pid)
{
	struct snapshot *snapshot = snapshot__new();
	struct process process = { .pid = pid, .comm = "server" };

	assert_non_null(snapshot);
	for (size_t i = 0; i < count; i++) {
		process.counters.live_bytes += entries[i].bytes;
		process.counters.live_count += entries[i].blocks;
	}
	assert_int_equal(snapshot__add_process(snapshot, &process), 0);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(sample_stack(snapshot, &entries[i].frame, 1, STACK_COMPLETE, 0),
				 i);
		sample_site(snapshot, 0, (uint32_t)i, FAMILY_HEAP,
			    (struct counters){ entries[i].bytes, entries[i].blocks, 0, 0,
					       entries[i].bytes });
	}
	return snapshot;
}

#define FRAME(name, number) \
	{ \
		NATIVE, .function = name, .file = name ".c", .line = number, \
			.offset = number * 16, .module = "m", .build_id = "aa" \
	}

static const struct entry before[] = {
	{ FRAME("grows", 1), 100, 1 },
	{ FRAME("shrinks", 2), 5000, 50 },
	{ FRAME("stays", 3), 700, 7 },
	{ FRAME("goes", 4), 64, 2 },
};
static const struct entry after[] = {
	{ FRAME("comes", 5), 300, 3 },
	{ FRAME("stays", 3), 700, 7 },
	{ FRAME("grows", 1), 2148, 5 },
	{ FRAME("shrinks", 2), 1000, 10 },
};

struct pair {
	struct snapshot *old, *now;
	struct difference difference;
};

static struct pair compare(struct query query, uint64_t grew)
{
	struct pair pair = { make(before, 4, 7), make(after, 4, 8), { 0 } };

	assert_int_equal(difference__make(&pair.difference, pair.old, pair.now, &query, grew), 0);
	return pair;
}

static void pair__free(struct pair *pair)
{
	difference__free(&pair->difference);
	snapshot__free(pair->old);
	snapshot__free(pair->now);
}

static void changes_are_ranked_by_their_size(void **state)
{
	static const char *const names[] = { "shrinks", "grows", "comes", "goes" };
	static const enum change_kind kinds[] = { CHANGE_SHRANK, CHANGE_GREW, CHANGE_NEW,
						  CHANGE_GONE };
	struct pair pair = compare((struct query){ ALL }, 0);

	(void)state;
	assert_int_equal(pair.difference.count, 4);
	for (int i = 0; i < 4; i++) {
		const struct change *change = &pair.difference.items[i];

		assert_string_equal(change->row->stack.frames[0]->function, names[i]);
		assert_int_equal(change->kind, kinds[i]);
	}
	assert_int_equal(pair.difference.items[0].old.live_bytes, 5000);
	assert_int_equal(pair.difference.items[0].now.live_bytes, 1000);
	assert_int_equal(pair.difference.old.live_bytes, 5864);
	assert_int_equal(pair.difference.now.live_bytes, 4148);
	assert_true(pair.difference.sums[CHANGE_GREW].bytes == 2048);
	assert_true(pair.difference.sums[CHANGE_GONE].bytes == -64);
	assert_int_equal(pair.difference.rebuilt_count, 0);
	pair__free(&pair);
}

static void top_cuts_rows_and_not_sums(void **state)
{
	struct pair pair = compare((struct query){ ALL, .top = 1 }, 0);

	(void)state;
	assert_int_equal(pair.difference.count, 1);
	assert_int_equal(pair.difference.all, 4);
	assert_int_equal(pair.difference.sums[CHANGE_NEW].count, 1);
	pair__free(&pair);
}

static void grew_keeps_what_grew_by_so_much(void **state)
{
	struct pair pair = compare((struct query){ ALL }, 301);

	(void)state;
	assert_int_equal(pair.difference.count, 1);
	assert_string_equal(pair.difference.items[0].row->stack.frames[0]->function, "grows");
	pair__free(&pair);
}

static void filters_hold_for_both_sides(void **state)
{
	static const char *const include[] = { "go*", "comes", NULL };
	struct pair pair = compare((struct query){ ALL, .include = include }, 0);

	(void)state;
	assert_int_equal(pair.difference.count, 2);
	assert_int_equal(pair.difference.old.live_bytes, 64);
	assert_int_equal(pair.difference.now.live_bytes, 300);
	pair__free(&pair);
}

static void the_same_has_no_changes(void **state)
{
	struct snapshot *one = sample(), *two = sample();
	struct difference difference;

	(void)state;
	for (enum group_key by = BY_STACK; by <= BY_PROCESS; by++) {
		const struct query query = { ALL, .by = by };

		assert_int_equal(difference__make(&difference, one, two, &query, 0), 0);
		assert_int_equal(difference.count, 0);
		difference__free(&difference);
	}
	snapshot__free(one);
	snapshot__free(two);
}

static size_t changes_of(const struct frame *old, const struct frame *now, size_t *rebuilt)
{
	const struct entry one = { *old, 10, 1 }, two = { *now, 30, 2 };
	struct snapshot *a = make(&one, 1, 1), *b = make(&two, 1, 2);
	const struct query query = { ALL };
	struct difference difference;
	size_t count;

	assert_int_equal(difference__make(&difference, a, b, &query, 0), 0);
	count = difference.count;
	*rebuilt = difference.rebuilt_count;
	difference__free(&difference);
	snapshot__free(a);
	snapshot__free(b);
	return count;
}

static void a_module_built_anew_compares_by_function_and_line(void **state)
{
	const struct frame old = { NATIVE,    .offset = 16,  .function = "f",
				   .line = 3, .module = "m", .build_id = "aa" };
	struct frame now = old;
	size_t rebuilt;

	(void)state;
	now.offset = 32;
	assert_int_equal(changes_of(&old, &now, &rebuilt), 2);
	assert_int_equal(rebuilt, 0);
	now.build_id = "bb";
	assert_int_equal(changes_of(&old, &now, &rebuilt), 1);
	assert_int_equal(rebuilt, 1);
	now.line = 4;
	assert_int_equal(changes_of(&old, &now, &rebuilt), 2);
}

static void addresses_are_not_compared_where_there_is_a_name(void **state)
{
	struct frame old = { .kind = FRAME_JIT, .has_offset = true, .offset = 16, .function = "f" };
	struct frame now = old;
	size_t rebuilt;

	(void)state;
	now.offset = 4096;
	assert_int_equal(changes_of(&old, &now, &rebuilt), 1);
	old.function = now.function = NULL;
	assert_int_equal(changes_of(&old, &now, &rebuilt), 2);
}

static void families_are_told_apart(void **state)
{
	struct snapshot *old = make(before, 1, 1), *now = make(before, 1, 1);
	const struct query query = { ALL };
	struct difference difference;

	(void)state;
	sample_site(now, 0, 0, FAMILY_MMAP, (struct counters){ 4096, 1, 0, 0, 4096 });
	assert_int_equal(difference__make(&difference, old, now, &query, 0), 0);
	assert_int_equal(difference.count, 1);
	assert_int_equal(difference.items[0].row->family, FAMILY_MMAP);
	assert_int_equal(difference.items[0].kind, CHANGE_NEW);
	difference__free(&difference);
	snapshot__free(old);
	snapshot__free(now);
}

static void check_text(struct query query, uint64_t grew, const char *expected)
{
	struct pair pair = compare(query, grew);
	const struct view view = { .query = query };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(view_diff__text(out, &pair.difference, &view), 0);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	pair__free(&pair);
}

#define TOTALS "live 5.7 KiB -> 4.1 KiB (-1.7 KiB)  60 -> 25 blocks (-35)\n"
#define SUMS(row) \
	"grew +2.0 KiB in 1 " row "  new +300 B in 1 " row "  shrank -3.9 KiB in 1 " row \
	"  gone -64 B in 1 " row "\n"

static void text_begins_with_totals(void **state)
{
	(void)state;
	check_text((struct query){ ALL, .top = 2 }, 0,
		   TOTALS SUMS("stack") " 1  -3.9 KiB (-40 blocks)  now 1000 B in 10\n"
					"      shrinks  shrinks.c:2  m\n"
					" 2  +2.0 KiB (+4 blocks)  now 2.1 KiB in 5\n"
					"      grows  grows.c:1  m\n"
					"... 2 more\n");
	check_text((struct query){ ALL, .by = BY_FUNCTION, .top = 1 }, 0,
		   TOTALS SUMS("function") " 1  -3.9 KiB (-40 blocks)  now 1000 B in 10  shrinks\n"
					   "... 3 more\n");
}

static void text_says_that_nothing_grew_so_much(void **state)
{
	(void)state;
	check_text((struct query){ ALL }, 2049,
		   TOTALS "nothing grew by as much as --grew asks for (2.0 KiB)\n");
}

static void lines_speak_tracemallocs_words(void **state)
{
	(void)state;
	check_text((struct query){ ALL, .by = BY_LINE }, 0,
		   TOTALS SUMS(
			   "line") "shrinks.c:2: size=1000 B (-4000 B), count=10 (-40), "
				   "average=100 B\n"
				   "grows.c:1: size=2148 B (+2048 B), count=5 (+4), average=430 B\n"
				   "comes.c:5: size=300 B (+300 B), count=3 (+3), average=100 B\n"
				   "goes.c:4: size=0 B (-64 B), count=0 (-2)\n");
}

static void a_process_without_a_name_is_unknown(void **state)
{
	const struct query query = { ALL, .by = BY_PROCESS };
	const struct view view = { .query = query };
	struct snapshot *old = snapshot__new(), *now = sample_of(NULL, 0, "");
	struct difference difference;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(difference__make(&difference, old, now, &query, 0), 0);
	assert_int_equal(view_diff__text(out, &difference, &view), 0);
	fclose(out);
	assert_non_null(strstr(text, " 1  +32 B (+1 blocks)  now 32 B in 1  new  [unknown]\n"));
	free(text);
	difference__free(&difference);
	snapshot__free(old);
	snapshot__free(now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_are_ranked_by_their_size),
		cmocka_unit_test(top_cuts_rows_and_not_sums),
		cmocka_unit_test(grew_keeps_what_grew_by_so_much),
		cmocka_unit_test(filters_hold_for_both_sides),
		cmocka_unit_test(the_same_has_no_changes),
		cmocka_unit_test(a_module_built_anew_compares_by_function_and_line),
		cmocka_unit_test(addresses_are_not_compared_where_there_is_a_name),
		cmocka_unit_test(families_are_told_apart),
		cmocka_unit_test(text_begins_with_totals),
		cmocka_unit_test(text_says_that_nothing_grew_so_much),
		cmocka_unit_test(lines_speak_tracemallocs_words),
		cmocka_unit_test(a_process_without_a_name_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
