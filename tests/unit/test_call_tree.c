/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sample.h"

#include "user/call_tree.h"

static const struct query everything = { .heap = true, .mmap = true };

static struct call_tree tree_of(const struct snapshot *now, const struct snapshot *old, size_t most)
{
	struct call_tree tree;

	assert_int_equal(call_tree__make(&tree, now, old, &everything, most), 0);
	return tree;
}

/* The call below `parent` whose frame has this function; NULL: none. */
static const struct call *callee(const struct call_tree *tree, const struct call *parent,
				 enum call_kind kind, const char *function)
{
	for (size_t i = 1; i < tree->count; i++) {
		const struct call *call = &tree->items[i];
		const struct call_frame *frame = &tree->frames[call->frame];

		if (&tree->items[call->parent] == parent && call != parent && frame->kind == kind &&
		    !strcmp(frame->frame.function ? frame->frame.function : "", function))
			return call;
	}
	return NULL;
}

static const struct call *process(const struct call_tree *tree, const char *name)
{
	const struct call *call = callee(tree, &tree->items[0], CALL_PROCESS, name);

	assert_non_null(call);
	return call;
}

/* Of every call: what its callees have is never more than it has itself. */
static void check_sums(const struct call_tree *tree)
{
	struct call *sums = calloc(tree->count, sizeof(*sums));

	for (size_t i = 1; i < tree->count; i++) {
		const struct call *call = &tree->items[i];

		assert_true(call->parent < i);
		for (int k = 0; k < CALL_VALUES; k++) {
			sums[call->parent].now[k] += call->now[k];
			sums[call->parent].grew[k] += call->grew[k];
			assert_true(call->now[k] <= call->old[k] ||
				    call->grew[k] >= call->now[k] - call->old[k]);
		}
	}
	for (size_t i = 0; i < tree->count; i++)
		for (int k = 0; k < CALL_VALUES; k++) {
			assert_true(sums[i].now[k] <= tree->items[i].now[k]);
			assert_true(sums[i].grew[k] <= tree->items[i].grew[k]);
		}
	free(sums);
}

static void the_root_has_the_models_totals(void **state)
{
	struct snapshot *snapshot = sample();
	const struct totals totals = snapshot__totals(snapshot);
	struct call_tree tree = tree_of(snapshot, NULL, SIZE_MAX);
	const struct call *root = &tree.items[0];

	(void)state;
	assert_int_equal(root->now[SORT_LIVE], totals.counters.live_bytes);
	assert_int_equal(root->now[SORT_COUNT], totals.counters.live_count);
	assert_int_equal(root->now[SORT_ALLOC], counters__alloc_bytes(&totals.counters));
	assert_int_equal(root->now[SORT_ALLOCS], counters__alloc_count(&totals.counters));
	assert_int_equal(root->sites, snapshot__site_count(snapshot));
	assert_int_equal(process(&tree, "python3")->now[SORT_LIVE], 5200);
	check_sums(&tree);
	call_tree__free(&tree);
	snapshot__free(snapshot);
}

static void stacks_hang_from_their_root_and_share_calls(void **state)
{
	struct snapshot *snapshot = sample();
	struct call_tree tree = tree_of(snapshot, NULL, SIZE_MAX);
	const struct call *call = process(&tree, "python3");

	(void)state;
	call = callee(&tree, call, CALL_TRUNCATED, "");
	call = callee(&tree, call, CALL_FRAME, "main");
	call = callee(&tree, call, CALL_FRAME, "<module>");
	call = callee(&tree, call, CALL_FRAME, "build");
	call = callee(&tree, call, CALL_FRAME, "build");
	call = callee(&tree, call, CALL_FRAME, "PyFloat_FromDouble");
	assert_non_null(call);
	/* Of both families. */
	assert_int_equal(call->sites, 2);
	assert_int_equal(call->now[SORT_LIVE], 5100);
	assert_int_equal(call->now[SORT_ALLOC], 9900);
	assert_int_equal(call->now[SORT_PEAK], 9800);
	call_tree__free(&tree);
	snapshot__free(snapshot);
}

static void a_query_keeps_what_it_keeps(void **state)
{
	struct query query = { .mmap = true, .by = BY_MODULE, .top = 1, .sort = SORT_PEAK };
	struct snapshot *snapshot = sample();
	struct call_tree tree;

	(void)state;
	assert_int_equal(call_tree__make(&tree, snapshot, NULL, &query, SIZE_MAX), 0);
	assert_int_equal(tree.items[0].sites, 1);
	assert_int_equal(tree.items[0].now[SORT_LIVE], 300);
	call_tree__free(&tree);
	snapshot__free(snapshot);
}

/* main -> a and main -> b, with these live bytes; `pid` and the order of things vary. */
static struct snapshot *small(pid_t pid, uint64_t a, uint64_t b)
{
	const struct frame frames[][2] = {
		{ { .kind = FRAME_NATIVE, .function = "a", .has_offset = true, .offset = a },
		  { .kind = FRAME_NATIVE, .function = "main", .line = 3 } },
		{ { .kind = FRAME_NATIVE, .function = "b" },
		  { .kind = FRAME_NATIVE, .function = "main", .line = 3 } },
	};
	const struct process process = { .pid = pid, .comm = "small" };
	const uint64_t bytes[] = { a, b };
	struct snapshot *snapshot = snapshot__new();

	snapshot__intern(snapshot, pid % 2 ? "b" : "main");
	snapshot__add_process(snapshot, &process);
	for (uint32_t i = 0; i < 2; i++) {
		sample_stack(snapshot, frames[i], 2, STACK_COMPLETE, i + 1);
		if (bytes[i])
			sample_site(snapshot, 0, i, FAMILY_HEAP,
				    (struct counters){ bytes[i], 1, 0, 0, bytes[i] });
	}
	return snapshot;
}

static void two_snapshots_stand_side_by_side(void **state)
{
	struct snapshot *old = small(7, 100, 50), *now = small(8, 0, 80);
	struct call_tree tree = tree_of(now, old, SIZE_MAX);
	const struct call *all = &tree.items[0], *program = process(&tree, "small");
	const struct call *main_ = callee(&tree, program, CALL_FRAME, "main");
	const struct call *a = callee(&tree, main_, CALL_FRAME, "a");
	const struct call *b = callee(&tree, main_, CALL_FRAME, "b");

	(void)state;
	assert_int_equal(tree.count, 5);
	assert_int_equal(tree.frames[program->frame].pid, 0);
	assert_int_equal(all->now[SORT_LIVE], 80);
	assert_int_equal(all->old[SORT_LIVE], 150);
	assert_int_equal(all->grew[SORT_LIVE], 30);
	assert_int_equal(a->now[SORT_LIVE], 0);
	assert_int_equal(a->old[SORT_LIVE], 100);
	assert_int_equal(a->grew[SORT_LIVE], 0);
	assert_int_equal(b->old[SORT_LIVE], 50);
	assert_int_equal(b->grew[SORT_LIVE], 30);
	check_sums(&tree);
	call_tree__free(&tree);
	snapshot__free(old);
	snapshot__free(now);
}

/* `count` functions below main; the n-th holds n bytes. */
static struct snapshot *wide(uint32_t count)
{
	const struct process process = { .pid = 1, .comm = "wide" };
	struct snapshot *snapshot = snapshot__new();

	snapshot__add_process(snapshot, &process);
	for (uint32_t i = 0; i < count; i++) {
		char name[16];
		const struct frame frames[] = {
			{ .kind = FRAME_NATIVE, .function = "leaf" },
			{ .kind = FRAME_NATIVE, .function = name },
			{ .kind = FRAME_NATIVE, .function = "main" },
		};

		snprintf(name, sizeof(name), "f%u", i + 1);
		sample_stack(snapshot, frames, 3, STACK_COMPLETE, i + 1);
		sample_site(snapshot, 0, i, FAMILY_HEAP,
			    (struct counters){ i + 1, i + 1, 0, 0, i + 1 });
	}
	return snapshot;
}

static void the_smallest_are_folded_and_nothing_is_lost(void **state)
{
	struct snapshot *snapshot = wide(100);
	struct call_tree tree = tree_of(snapshot, NULL, 43);
	const struct call *main_ = callee(&tree, process(&tree, "wide"), CALL_FRAME, "main");
	const struct call *smaller = callee(&tree, main_, CALL_SMALLER, "");

	(void)state;
	/* all, wide and main; 20 functions and their leaves; what was folded. */
	assert_int_equal(tree.count, 44);
	assert_int_equal(tree.folded, 160);
	assert_int_equal(tree.frame_count, 3 + 20 + 1 + 1);
	assert_null(callee(&tree, main_, CALL_FRAME, "f80"));
	assert_int_equal(callee(&tree, main_, CALL_FRAME, "f81")->now[SORT_LIVE], 81);
	assert_int_equal(smaller->now[SORT_LIVE], 80 * 81 / 2);
	assert_int_equal(smaller->sites, 80);
	assert_true(tree.share > 0.0158 && tree.share < 0.0159);
	assert_int_equal(tree.items[0].now[SORT_LIVE], 100 * 101 / 2);
	check_sums(&tree);
	call_tree__free(&tree);
	snapshot__free(snapshot);
}

static void equal_calls_are_folded_together(void **state)
{
	struct snapshot *snapshot = small(1, 10, 10);
	struct call_tree tree = tree_of(snapshot, NULL, 4);

	(void)state;
	assert_int_equal(tree.count, 4);
	assert_int_equal(tree.folded, 2);
	assert_int_equal(tree.items[3].now[SORT_LIVE], 20);
	call_tree__free(&tree);
	snapshot__free(snapshot);
}

static void a_very_deep_stack_is_cut(void **state)
{
	static const struct frame frame = { .kind = FRAME_PYTHON, .function = "f" };
	static const struct frame *frames[CALL_DEPTH + 5];
	const struct stack stack = { .frames = frames, .depth = CALL_DEPTH + 5, .id = 1 };
	struct snapshot *snapshot = sample_of(NULL, 0, "deep");
	struct call_tree tree;

	(void)state;
	for (size_t i = 0; i < CALL_DEPTH + 5; i++)
		frames[i] = &frame;
	assert_int_equal(snapshot__add_stack(snapshot, &stack), 1);
	sample_site(snapshot, 0, 1, FAMILY_HEAP, (struct counters){ 7, 1, 0, 0, 7 });
	tree = tree_of(snapshot, NULL, SIZE_MAX);
	assert_int_equal(tree.count, CALL_DEPTH + 3);
	assert_int_equal(tree.frames[tree.items[tree.count - 1].frame].kind, CALL_DEEPER);
	assert_int_equal(tree.items[tree.count - 1].now[SORT_LIVE], 7);
	call_tree__free(&tree);
	snapshot__free(snapshot);
}

static void sums_do_not_wrap(void **state)
{
	struct snapshot *snapshot = small(1, UINT64_MAX - 5, 10);
	struct call_tree tree = tree_of(snapshot, NULL, SIZE_MAX);

	(void)state;
	assert_true(tree.items[0].now[SORT_LIVE] == UINT64_MAX);
	check_sums(&tree);
	call_tree__free(&tree);
	snapshot__free(snapshot);
}

static void nothing_is_a_root(void **state)
{
	struct snapshot *snapshot = snapshot__new();
	struct call_tree tree = tree_of(snapshot, NULL, 0);

	(void)state;
	assert_int_equal(tree.count, 1);
	assert_int_equal(tree.frames[0].kind, CALL_ROOT);
	call_tree__free(&tree);
	snapshot__free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_root_has_the_models_totals),
		cmocka_unit_test(stacks_hang_from_their_root_and_share_calls),
		cmocka_unit_test(a_query_keeps_what_it_keeps),
		cmocka_unit_test(two_snapshots_stand_side_by_side),
		cmocka_unit_test(the_smallest_are_folded_and_nothing_is_lost),
		cmocka_unit_test(equal_calls_are_folded_together),
		cmocka_unit_test(a_very_deep_stack_is_cut),
		cmocka_unit_test(sums_do_not_wrap),
		cmocka_unit_test(nothing_is_a_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
