/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sample.h"

#include <errno.h>

#include "user/gzip.h"
#include "user/pprof.h"
#include "user/pprof_words.h"
#include "user/view.h"

#define ALL .heap = true, .mmap = true

struct bytes {
	void *data;
	size_t size;
};

static struct bytes written(const struct snapshot *snapshot)
{
	const struct pprof_note notes[] = { { "kernel", "6.1" }, { "target", "-p 1" } };
	struct bytes bytes;

	assert_int_equal(pprof__write(snapshot, notes, 2, &bytes.data, &bytes.size), 0);
	assert_true(gzip__is(bytes.data, bytes.size));
	return bytes;
}

static struct profile read_back(struct bytes bytes)
{
	struct profile profile;
	char why[PPROF_WHY] = "";

	if (pprof__read(bytes.data, bytes.size, &profile, why))
		fail_msg("%s", why);
	return profile;
}

static void same_string(const char *a, const char *b)
{
	assert_int_equal(!a, !b);
	if (a)
		assert_string_equal(a, b);
}

static void same_frame(const struct frame *a, const struct frame *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->inlined, b->inlined);
	assert_int_equal(a->has_offset, b->has_offset);
	assert_int_equal(a->line, b->line);
	if (a->has_offset)
		assert_int_equal(a->offset, b->offset);
	same_string(a->function, b->function);
	same_string(a->file, b->file);
	same_string(a->module, b->module);
	same_string(a->path, b->path);
	same_string(a->build_id, b->build_id);
}

static void same_counters(const struct counters *a, const struct counters *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static void same_site(const struct snapshot *a, const struct snapshot *b, size_t index)
{
	const struct site *left = snapshot__site(a, index), *right = snapshot__site(b, index);
	const struct stack *stack = snapshot__stack(a, left->stack);
	const struct stack *other = snapshot__stack(b, right->stack);

	assert_int_equal(left->process, right->process);
	assert_int_equal(left->family, right->family);
	assert_true(left->growth == right->growth);
	same_counters(&left->counters, &right->counters);
	assert_int_equal(stack->end, other->end);
	assert_int_equal(stack->depth, other->depth);
	for (uint32_t i = 0; i < stack->depth; i++)
		same_frame(stack->frames[i], other->frames[i]);
}

static void same_process(const struct process *a, const struct process *b)
{
	assert_int_equal(a->pid, b->pid);
	same_string(a->comm, b->comm);
	same_string(a->container, b->container);
	assert_int_equal(a->exited, b->exited);
	assert_int_equal(a->start, b->start);
	assert_int_equal(a->failed_count, b->failed_count);
	assert_int_equal(a->unmatched_frees, b->unmatched_frees);
	assert_true(a->growth == b->growth);
	assert_true(a->alloc_rate == b->alloc_rate);
	same_counters(&a->counters, &b->counters);
}

static void same_header(const struct snapshot_header *a, const struct snapshot_header *b)
{
	assert_int_equal(a->time_ns, b->time_ns);
	assert_true(a->elapsed_s == b->elapsed_s);
	assert_true(a->interval_s == b->interval_s);
	same_string(a->mode, b->mode);
	assert_memory_equal(&a->losses, &b->losses, sizeof(a->losses));
	assert_int_equal(a->without_peaks, b->without_peaks);
}

static void same_snapshot(const struct snapshot *a, const struct snapshot *b)
{
	same_header(snapshot__header(a), snapshot__header(b));
	assert_int_equal(snapshot__has_growth(a), snapshot__has_growth(b));
	assert_int_equal(snapshot__process_count(a), snapshot__process_count(b));
	assert_int_equal(snapshot__site_count(a), snapshot__site_count(b));
	for (size_t i = 0; i < snapshot__process_count(a); i++)
		same_process(snapshot__process(a, i), snapshot__process(b, i));
	for (size_t i = 0; i < snapshot__site_count(a); i++)
		same_site(a, b, i);
}

/* Consumes the snapshot. */
static void check_round_trip(struct snapshot *snapshot)
{
	struct bytes bytes = written(snapshot);
	struct profile profile = read_back(bytes);

	assert_true(profile.own);
	same_snapshot(snapshot, profile.snapshot);
	free(bytes.data);
	profile__free(&profile);
	snapshot__free(snapshot);
}

static void a_snapshot_comes_back_as_it_was(void **state)
{
	(void)state;
	check_round_trip(sample());
}

static void rates_losses_and_odd_times_come_back(void **state)
{
	struct snapshot *snapshot = sample();
	const struct snapshot_header header = {
		.time_ns = SAMPLE_TIME + 1,
		.elapsed_s = 5123456789 / 1e9,
		.interval_s = 1999999999 / 1e9,
		.mode = "exact",
		.losses = { 1, 2, 3, 4, 5, 6, 7 },
	};

	(void)state;
	snapshot__set_header(snapshot, &header);
	assert_int_equal(snapshot__grow_since(snapshot, NULL), 0);
	check_round_trip(snapshot);
}

static void what_shrank_comes_back(void **state)
{
	struct snapshot *before = sample(), *snapshot = sample_of(NULL, 0, "perl");

	(void)state;
	snapshot__set_header(snapshot, snapshot__header(before));
	assert_int_equal(snapshot__grow_since(snapshot, before), 0);
	check_round_trip(snapshot);
	snapshot__free(before);
}

#define NATIVE .kind = FRAME_NATIVE, .has_offset = true

static void every_kind_of_frame_comes_back(void **state)
{
	static const struct frame frames[] = {
		{ NATIVE, .offset = 16, .inlined = true, .function = "a", .path = "/x/lib.so",
		  .module = "lib.so", .build_id = "aa11" },
		{ NATIVE, .offset = 16, .inlined = true, .function = "b", .file = "b.c", .line = 2,
		  .path = "/x/lib.so", .module = "lib.so", .build_id = "aa11" },
		{ NATIVE, .offset = 16, .function = "c", .path = "/x/lib.so", .module = "lib.so",
		  .build_id = "aa11" },
		{ NATIVE, .offset = 0, .path = "/x/lib.so", .module = "lib.so" },
		{ NATIVE, .offset = 9, .module = "lib.so" },
		{ NATIVE, .offset = 9, .module = "other", .path = "/x/lib.so (deleted)" },
		{ NATIVE, .offset = 9, .path = "/x/y" },
		{ NATIVE },
		{ .kind = FRAME_NATIVE, .function = "no offset" },
		{ .kind = FRAME_PYTHON, .function = "f", .file = "f.py", .line = 4294967295 },
		{ .kind = FRAME_PYTHON, .function = "g", .module = "mod" },
		{ .kind = FRAME_PYTHON, .has_offset = true, .offset = 3 },
		{ .kind = FRAME_JIT, .has_offset = true, .offset = 0x7f0000000000 },
		{ .kind = FRAME_JIT, .has_offset = true, .offset = UINT64_MAX, .function = "j" },
		{ .kind = FRAME_KERNEL, .has_offset = true, .offset = 1, .function = "k" },
		{ .kind = FRAME_UNKNOWN },
		{ .kind = FRAME_UNKNOWN, .has_offset = true },
		{ .kind = FRAME_UNKNOWN, .has_offset = true, .offset = 7 },
		{ .kind = FRAME_UNKNOWN, .inlined = true },
		{ .kind = FRAME_UNKNOWN, .line = 3 },
		{ NATIVE, .offset = 5, .inlined = true, .module = "[vdso]", .path = "[vdso]" },
		{ NATIVE, .offset = 6, .inlined = true, .module = "[python]", .path = "[python]" },
	};

	(void)state;
	for (uint32_t depth = 0; depth <= sizeof(frames) / sizeof(frames[0]); depth++)
		check_round_trip(sample_of(frames, depth, "x"));
}

static void any_bytes_come_back(void **state)
{
	static const struct frame frame = {
		NATIVE,
		.function = "\xff\\x41\\\\xff \xc3\xa4 \xc3",
		.file = "\\x00\n\t\\x",
		.module = "m\x80 m=1",
		.path = "/ \xfe",
	};

	(void)state;
	check_round_trip(sample_of(&frame, 1, "a=b\xff comm=\\x41\n"));
	check_round_trip(sample_of(&frame, 1, ""));
	check_round_trip(sample_of(&frame, 1, NULL));
}

static void processes_with_one_pid_are_told_apart(void **state)
{
	struct snapshot *snapshot = sample_of(NULL, 0, "first");
	const struct process second = { .pid = 1, .comm = "second", .start = 9 };

	(void)state;
	assert_int_equal(snapshot__add_process(snapshot, &second), 1);
	assert_int_equal(snapshot__add_process(snapshot, &second), 2);
	sample_site(snapshot, 2, 0, FAMILY_MMAP, (struct counters){ 1, 1, 0, 0, 1 });
	sample_site(snapshot, 1, 0, FAMILY_HEAP, (struct counters){ 2, 1, 0, 0, 2 });
	check_round_trip(snapshot);
}

static void an_empty_snapshot_comes_back(void **state)
{
	(void)state;
	check_round_trip(snapshot__new());
}

static char *shown(const struct snapshot *snapshot, struct query query,
		   int (*show)(FILE *, const struct snapshot *, const struct view *))
{
	const struct view view = { .query = query, .utc = true };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(show(out, snapshot, &view), 0);
	fclose(out);
	return text;
}

static void views_of_a_file_are_the_same_to_the_byte(void **state)
{
	struct snapshot *snapshot = sample();
	struct profile profile;
	struct bytes bytes;

	(void)state;
	assert_int_equal(snapshot__grow_since(snapshot, NULL), 0);
	bytes = written(snapshot);
	profile = read_back(bytes);
	for (enum group_key by = BY_STACK; by <= BY_PROCESS; by++)
		for (enum sort_key sort = SORT_LIVE; sort <= SORT_GROWTH; sort++) {
			const struct query query = { ALL, .by = by, .sort = sort };
			char *text = shown(snapshot, query, view_text__show);
			char *again = shown(profile.snapshot, query, view_text__show);
			char *json = shown(snapshot, query, view_json__show);
			char *json_again = shown(profile.snapshot, query, view_json__show);

			assert_string_equal(text, again);
			assert_string_equal(json, json_again);
			free(text);
			free(again);
			free(json);
			free(json_again);
		}
	free(bytes.data);
	profile__free(&profile);
	snapshot__free(snapshot);
}

static void the_same_stack_has_one_id_in_all_files(void **state)
{
	struct snapshot *one = sample(), *two = sample();
	struct bytes first = written(one), second;
	struct profile a = read_back(first), b;

	(void)state;
	sample_site(two, PERL, EMPTY_STACK, FAMILY_HEAP, (struct counters){ 1, 1, 0, 0, 1 });
	second = written(two);
	b = read_back(second);
	for (size_t i = 0; i < snapshot__stack_count(a.snapshot); i++) {
		uint64_t id = snapshot__stack(a.snapshot, i)->id;

		assert_int_equal(id, snapshot__stack(b.snapshot, i)->id);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(id, snapshot__stack(a.snapshot, j)->id);
	}
	free(first.data);
	free(second.data);
	profile__free(&a);
	profile__free(&b);
	snapshot__free(one);
	snapshot__free(two);
}

/* Files that are none. */

static void check_refused(const void *data, size_t size, const char *expected)
{
	struct profile profile;
	char why[PPROF_WHY] = "";

	assert_int_equal(pprof__read(data, size, &profile, why), -EBADMSG);
	if (!strstr(why, expected))
		fail_msg("\"%s\" is not in \"%s\"", expected, why);
	profile__free(&profile);
}

static void what_is_cut_off_is_refused(void **state)
{
	struct snapshot *snapshot = sample();
	struct bytes bytes = written(snapshot);

	(void)state;
	check_refused("", 0, "is empty");
	for (size_t size = 2; size < bytes.size; size++)
		check_refused(bytes.data, size, "is cut off");
	free(bytes.data);
	snapshot__free(snapshot);
}

static void a_wrong_checksum_is_refused(void **state)
{
	struct snapshot *snapshot = sample();
	struct bytes bytes = written(snapshot);

	(void)state;
	((char *)bytes.data)[bytes.size - 6] ^= 1;
	check_refused(bytes.data, bytes.size, "is damaged: gzip finds errors");
	free(bytes.data);
	snapshot__free(snapshot);
}

static void a_bomb_is_refused(void **state)
{
	struct gzip *gzip = gzip__new();
	const size_t size = 513UL * 1024 * 1024;
	void *zeros = calloc(1, size), *packed;
	size_t packed_size;

	(void)state;
	assert_non_null(gzip);
	assert_non_null(zeros);
	assert_int_equal(gzip__add(gzip, zeros, size), 0);
	assert_int_equal(gzip__end(gzip, &packed, &packed_size), 0);
	gzip__free(gzip);
	free(zeros);
	check_refused(packed, packed_size, "is too large: it unpacks to more than 512 MiB");
	free(packed);
}

/* A profile by its bytes: sample types inuse_space, what is appended, and a string table. */
#define TYPE "\x0a\x02\x08\x01"
#define STRINGS "\x32\x00\x32\x0binuse_space"
#define CHECK_REFUSED(text, expected) check_refused(text, sizeof(text) - 1, expected)

static void what_does_not_fit_together_is_refused(void **state)
{
	(void)state;
	CHECK_REFUSED("hello", "is no pprof profile");
	CHECK_REFUSED("heap profile: 1: 32 [1: 32] @ heapprofile\n",
		      "`go tool pprof -proto` makes a pprof profile of it");
	CHECK_REFUSED("heap_v2/524288\n", "a heap profile of jemalloc's");
	CHECK_REFUSED(TYPE, "it has no sample types");
	CHECK_REFUSED(STRINGS, "it has no sample types");
	CHECK_REFUSED("\x0a\x02\x08\x01\x32\x00\x32\x03"
		      "cpu",
		      "its first sample type is cpu");
	CHECK_REFUSED(TYPE "\x32\x01x\x32\x0binuse_space", "first string is not empty");
	CHECK_REFUSED(TYPE "\x32\x00\x32\x01\xff", "string 1 is not UTF-8");
	CHECK_REFUSED(TYPE "\x12\x00" STRINGS, "a sample has 0 values, not 1");
	CHECK_REFUSED(TYPE "\x12\x05\x0a\x01\x01\x12\x00" STRINGS, "0 values");
	CHECK_REFUSED(TYPE "\x12\x06\x0a\x01\x01\x12\x01\x05" STRINGS, "location 1 is missing");
	CHECK_REFUSED(TYPE "\x22\x00" STRINGS, "location 0 has no id of its own");
	CHECK_REFUSED(TYPE "\x22\x02\x08\x01\x22\x02\x08\x01" STRINGS, "location 1 has no id");
	CHECK_REFUSED(TYPE "\x22\x04\x08\x01\x10\x09" STRINGS, "mapping 9 is missing");
	CHECK_REFUSED(TYPE "\x22\x06\x08\x01\x22\x02\x08\x05" STRINGS, "function 5 is missing");
	CHECK_REFUSED(TYPE "\x2a\x04\x08\x01\x10\x09\x22\x06\x08\x01\x22\x02\x08\x01" STRINGS,
		      "string 9 is missing");
	CHECK_REFUSED(TYPE "\x12\x0c\x12\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" STRINGS,
		      "negative values");
	CHECK_REFUSED(TYPE "\x12\x0b\x12\x09\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
			   "\x12\x0b\x12\x09\xff\xff\xff\xff\xff\xff\xff\xff\x7f" STRINGS,
		      "add up to more than 2^63");
}

/* A sample of location 1, 32 times over, and the value 5. */
#define DEEP_SAMPLE \
	"\x12\x25\x0a\x20\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1" \
	"\x12\x01\x05"

/* Samples of one stack cost no memory, but time: this file has few bytes and 2^28 frames. */
static void few_bytes_of_very_much_work_are_refused(void **state)
{
	enum { LINES = 1 << 16, SAMPLES = 129 };
	static const char location[] = "\x22\x82\x80\x08\x08\x01"; /* and 2 bytes a line */
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	fwrite(TYPE, 1, sizeof(TYPE) - 1, out);
	fwrite(location, 1, sizeof(location) - 1, out);
	for (int i = 0; i < LINES; i++)
		fwrite("\x22\x00", 1, 2, out);
	for (int i = 0; i < SAMPLES; i++)
		fwrite(DEEP_SAMPLE, 1, sizeof(DEEP_SAMPLE) - 1, out);
	fwrite(STRINGS, 1, sizeof(STRINGS) - 1, out);
	fclose(out);
	check_refused(text, size, "more than 268435456 frames in its samples");
	free(text);
}

/* Files of others. */

static void samples_of_one_stack_are_one_site(void **state)
{
	static const char text[] = TYPE "\x12\x03\x12\x01\x05\x12\x03\x12\x01\x07" STRINGS;
	struct profile profile = read_back((struct bytes){ (void *)text, sizeof(text) - 1 });

	(void)state;
	assert_false(profile.own);
	assert_int_equal(profile.holds, 1 << SORT_LIVE);
	assert_true(snapshot__header(profile.snapshot)->without_peaks);
	assert_int_equal(snapshot__site_count(profile.snapshot), 1);
	assert_int_equal(snapshot__site(profile.snapshot, 0)->counters.live_bytes, 12);
	assert_int_equal(snapshot__totals(profile.snapshot).counters.live_bytes, 12);
	profile__free(&profile);
}

static void names_are_escaped_and_come_back(void **state)
{
	static const char *const names[] = { "", "plain", "\\x41", "\xff", "\\\\x41", "\\x\xff" };
	char to[64], back[64];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		to[words__encode(to, names[i])] = '\0';
		assert_true(words__is_utf8(to));
		back[words__decode(back, to)] = '\0';
		assert_string_equal(back, names[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_snapshot_comes_back_as_it_was),
		cmocka_unit_test(rates_losses_and_odd_times_come_back),
		cmocka_unit_test(what_shrank_comes_back),
		cmocka_unit_test(every_kind_of_frame_comes_back),
		cmocka_unit_test(any_bytes_come_back),
		cmocka_unit_test(processes_with_one_pid_are_told_apart),
		cmocka_unit_test(an_empty_snapshot_comes_back),
		cmocka_unit_test(views_of_a_file_are_the_same_to_the_byte),
		cmocka_unit_test(the_same_stack_has_one_id_in_all_files),
		cmocka_unit_test(what_is_cut_off_is_refused),
		cmocka_unit_test(a_wrong_checksum_is_refused),
		cmocka_unit_test(a_bomb_is_refused),
		cmocka_unit_test(what_does_not_fit_together_is_refused),
		cmocka_unit_test(few_bytes_of_very_much_work_are_refused),
		cmocka_unit_test(samples_of_one_stack_are_one_site),
		cmocka_unit_test(names_are_escaped_and_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
