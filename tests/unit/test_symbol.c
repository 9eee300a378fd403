/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fixtures are compiled here, and say themselves what each of their places must be called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/demangle.h"
#include "user/symbol.h"

enum { FRAMES = 8, MARKS = 32 };

/* What a variant of the file still has. */
enum level { NOTHING, EXPORTED, ALL_FUNCTIONS, EVERYTHING };

struct mark {
	uint64_t offset;
	bool exported;
	int depth;
	char functions[FRAMES][96];
	unsigned int lines[FRAMES];
};

struct fixture {
	char folder[32];
	char sources[PATH_MAX];
	struct mark marks[MARKS];
	int count;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char here[PATH_MAX], path[PATH_MAX + 16];

	strcpy(fixture->folder, "/tmp/memwatch-XXXXXX");
	if (!mkdtemp(fixture->folder))
		return -1;
	snprintf(here, sizeof(here), "%s", __FILE__);
	snprintf(path, sizeof(path), "%s/../fixtures", dirname(here));
	if (!realpath(path, fixture->sources))
		return -1;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", fixture->folder);
	free(fixture);
	return system(command);
}

/* Runs in the fixture's folder, $S being the sources; true when it succeeded. */
static bool run(const struct fixture *fixture, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static bool run(const struct fixture *fixture, const char *format, ...)
{
	char command[1024], whole[PATH_MAX + 1200];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	snprintf(whole, sizeof(whole), "cd %s && S=%s && { %s; } >>log 2>&1", fixture->folder,
		 fixture->sources, command);
	return system(whole) == 0;
}

static void need(const struct fixture *fixture, const char *tool)
{
	if (!run(fixture, "command -v %s", tool))
		skip();
}

static void parse_mark(struct mark *mark, char *line)
{
	char *field = strsep(&line, "\t");

	*mark = (struct mark){ .offset = strtoull(field, NULL, 16) };
	mark->exported = *strsep(&line, "\t") == 'E';
	while (line && mark->depth < FRAMES) {
		snprintf(mark->functions[mark->depth], sizeof(mark->functions[0]), "%s",
			 strsep(&line, "\t"));
		mark->lines[mark->depth++] = strtoul(strsep(&line, "\t"), NULL, 10);
	}
}

/* Compiles `source` into `program` and asks that for its marks. */
static void build(struct fixture *fixture, const char *compiler, const char *source)
{
	char line[1024], command[64];
	FILE *output;

	assert_true(run(fixture, "%s -D_GNU_SOURCE -o program %s", compiler, source));
	snprintf(command, sizeof(command), "%s/program", fixture->folder);
	output = popen(command, "r");
	assert_non_null(output);
	fixture->count = 0;
	while (fgets(line, sizeof(line), output) && fixture->count < MARKS) {
		line[strcspn(line, "\n")] = '\0';
		parse_mark(&fixture->marks[fixture->count++], line);
	}
	assert_int_equal(pclose(output), 0);
	assert_true(fixture->count >= 5);
}

static void assert_frames(const struct fixture *fixture, const char *source,
			  const struct mark *mark, const struct name *names, int count)
{
	char file[PATH_MAX + 32];

	snprintf(file, sizeof(file), "%s/%s", fixture->sources, source);
	assert_int_equal(count, mark->depth);
	for (int i = 0; i < count; i++) {
		assert_non_null(names[i].function);
		assert_string_equal(names[i].function, mark->functions[i]);
		assert_int_equal(names[i].line, mark->lines[i]);
		assert_non_null(names[i].file);
		assert_string_equal(names[i].file, file);
		assert_int_equal(names[i].inlined, i < count - 1);
	}
}

/* Only the name of the real function, or nothing at all. */
static void assert_bare(const struct mark *mark, const struct name *names, int count, bool known)
{
	assert_int_equal(count, known ? 1 : 0);
	if (!known)
		return;
	assert_string_equal(names[0].function, mark->functions[mark->depth - 1]);
	assert_null(names[0].file);
	assert_int_equal(names[0].line, 0);
	assert_false(names[0].inlined);
}

static void assert_mark(const struct fixture *fixture, const char *source, const struct mark *mark,
			const struct name *names, int count, enum level level)
{
	if (level == EVERYTHING)
		assert_frames(fixture, source, mark, names, count);
	else
		assert_bare(mark, names, count,
			    mark->depth && (level == ALL_FUNCTIONS ||
					    (level == EXPORTED && mark->exported)));
}

static void check(const struct fixture *fixture, const char *program, const char *source,
		  enum level level)
{
	struct objects *objects = objects__new();
	struct symbols *symbols = symbols__new();
	struct name names[FRAMES];
	struct object *object;
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", fixture->folder, program);
	object = objects__of_path(objects, path);
	assert_non_null(object);
	for (int again = 0; again < 2; again++) { /* found, then remembered */
		for (int i = 0; i < fixture->count; i++) {
			const struct mark *mark = &fixture->marks[i];
			int count = symbols__find(symbols, object, mark->offset, names, FRAMES);

			assert_mark(fixture, source, mark, names, count, level);
		}
	}
	symbols__free(symbols);
	objects__free(objects);
}

static void everything_with(void **state, const char *compiler, const char *source)
{
	struct fixture *fixture = *state;
	char command[128], place[64];

	snprintf(command, sizeof(command), "%s", compiler);
	need(fixture, strtok(command, " "));
	snprintf(place, sizeof(place), "$S/%s", source);
	build(fixture, compiler, place);
	check(fixture, "program", source, EVERYTHING);
	/* And with what was inlined gone, the real functions are still there. */
	need(fixture, "strip");
	assert_true(run(fixture, "strip -g -o no-dwarf program"));
	check(fixture, "no-dwarf", source, ALL_FUNCTIONS);
}

#define EVERYTHING_TEST(name, compiler, source) \
	static void test_##name(void **state) \
	{ \
		everything_with(state, compiler, source); \
	}

EVERYTHING_TEST(gcc_o0, "gcc -g -O0", "names.c")
EVERYTHING_TEST(gcc_o2, "gcc -g -O2", "names.c")
EVERYTHING_TEST(gcc_dwarf4, "gcc -gdwarf-4 -O2", "names.c")
EVERYTHING_TEST(gcc_compressed, "gcc -g -gz -O2", "names.c")
EVERYTHING_TEST(gcc_static, "gcc -g -O2 -static", "names.c")
EVERYTHING_TEST(gcc_fixed_address, "gcc -g -O2 -no-pie -ffunction-sections -Wl,--gc-sections",
		"names.c")
EVERYTHING_TEST(clang_o0, "clang -g -O0", "names.c")
EVERYTHING_TEST(clang_without_aranges, "clang -g -O2", "names.c")
EVERYTHING_TEST(gcc_cxx_o0, "g++ -g -O0", "names.cc")
EVERYTHING_TEST(gcc_cxx_o2, "g++ -g -O2", "names.cc")
EVERYTHING_TEST(clang_cxx, "clang++ -g -O2", "names.cc")

static struct fixture *build_exporting(void **state)
{
	struct fixture *fixture = *state;

	need(fixture, "gcc");
	need(fixture, "objcopy");
	build(fixture, "gcc -g -O2 -rdynamic", "$S/names.c");
	return fixture;
}

static void test_exported_only(void **state)
{
	struct fixture *fixture = build_exporting(state);

	assert_true(run(fixture, "strip -o stripped program"));
	check(fixture, "stripped", "names.c", EXPORTED);
}

static void test_stripped(void **state)
{
	struct fixture *fixture = *state;

	need(fixture, "gcc");
	need(fixture, "strip");
	build(fixture, "gcc -g -O2", "$S/names.c");
	assert_true(run(fixture, "strip -o stripped program"));
	check(fixture, "stripped", "names.c", NOTHING);
}

static void test_debuglink(void **state)
{
	struct fixture *fixture = build_exporting(state);

	assert_true(run(
		fixture,
		"objcopy --only-keep-debug program program.debug &&"
		"strip -o stripped program && objcopy --add-gnu-debuglink=program.debug stripped"));
	check(fixture, "stripped", "names.c", EVERYTHING);
	assert_true(run(fixture, "mkdir .debug && mv program.debug .debug/"));
	check(fixture, "stripped", "names.c", EVERYTHING);
	assert_true(
		run(fixture, "echo x >>.debug/program.debug")); /* another file than was linked */
	check(fixture, "stripped", "names.c", EXPORTED);
	assert_true(run(fixture, "rm .debug/program.debug && mkfifo .debug/program.debug"));
	check(fixture, "stripped", "names.c", EXPORTED);
}

static void test_symbols_of_debuglink(void **state)
{
	struct fixture *fixture = build_exporting(state);

	assert_true(
		run(fixture,
		    "strip -g -o symbols program && objcopy --only-keep-debug symbols s.debug &&"
		    "strip -o stripped program && objcopy --add-gnu-debuglink=s.debug stripped"));
	check(fixture, "stripped", "names.c", ALL_FUNCTIONS);
}

static void test_debugdata(void **state)
{
	struct fixture *fixture = build_exporting(state);

	need(fixture, "xz");
	assert_true(run(fixture,
			"strip -g -o symbols program && objcopy --only-keep-debug symbols mini &&"
			"xz -k mini && strip -o stripped program &&"
			"objcopy --add-section .gnu_debugdata=mini.xz stripped"));
	check(fixture, "stripped", "names.c", ALL_FUNCTIONS);
	assert_true(run(fixture, "strip -o damaged program && head -c 300 mini.xz >half.xz &&"
				 "objcopy --add-section .gnu_debugdata=half.xz damaged"));
	check(fixture, "damaged", "names.c", EXPORTED);
}

/* The link names a file that would hold up whoever opens it: then the DWARF is not to be used. */
static void test_alternate_file_is_not_there(void **state)
{
	struct fixture *fixture = build_exporting(state);

	assert_true(run(fixture, "mkfifo pipe && printf 'pipe\\0''12345678901234567890' >link &&"
				 "objcopy --add-section .gnu_debugaltlink=link program linked"));
	check(fixture, "linked", "names.c", ALL_FUNCTIONS);
}

static void test_assembly(void **state)
{
	struct fixture *fixture = *state;

	need(fixture, "gcc");
	build(fixture, "gcc -rdynamic", "$S/bare.c $S/bare.S");
	check(fixture, "program", "bare.c", ALL_FUNCTIONS);
	/* Without local symbols, what follows `bare` may be one of them. */
	need(fixture, "strip");
	assert_true(run(fixture, "strip -x -o no-locals program"));
	for (int i = 0; i < fixture->count; i++) {
		if (!strcmp(fixture->marks[i].functions[0], "bare"))
			fixture->marks[i].exported = false;
	}
	check(fixture, "no-locals", "bare.c", EXPORTED);
}

static void test_fewer_frames_than_there_are(void **state)
{
	struct fixture *fixture = *state;
	struct objects *objects = objects__new();
	struct symbols *symbols = symbols__new();
	struct name names[2] = { { .function = "untouched" }, { .function = "untouched" } };
	struct object *object;
	char path[64];

	need(fixture, "gcc");
	build(fixture, "gcc -g -O2", "$S/names.c");
	snprintf(path, sizeof(path), "%s/program", fixture->folder);
	object = objects__of_path(objects, path);
	assert_int_equal(fixture->marks[0].depth, 3);
	assert_int_equal(symbols__find(symbols, object, fixture->marks[0].offset, names, 1), 1);
	assert_string_equal(names[0].function, "inner");
	assert_true(names[0].inlined);
	assert_string_equal(names[1].function, "untouched");
	assert_int_equal(symbols__find(symbols, object, fixture->marks[0].offset, names, 0), 0);
	assert_int_equal(symbols__find(symbols, object, UINT64_MAX, names, 2), 0);
	assert_int_equal(symbols__find(symbols, object, 0, names, 2), 0);
	symbols__free(symbols);
	objects__free(objects);
}

/* Asks for every mark of whatever `path` now is: no answer is right, but none may hurt. */
static void survive(const struct fixture *fixture, const char *path)
{
	struct objects *objects = objects__new();
	struct symbols *symbols = symbols__new();
	struct object *object = objects__of_path(objects, path);
	struct name names[FRAMES];

	assert_non_null(object);
	for (int i = 0; i < fixture->count; i++) {
		int count = symbols__find(symbols, object, fixture->marks[i].offset, names, FRAMES);

		assert_true(count >= 0 && count <= FRAMES);
		for (int k = 0; k < count; k++) { /* touch the strings */
			assert_true(!names[k].function || strlen(names[k].function) < 1 << 20);
			assert_true(!names[k].file || strlen(names[k].file) < 1 << 20);
		}
	}
	symbols__free(symbols);
	objects__free(objects);
}

struct bytes {
	uint8_t *data;
	size_t size;
};

static struct bytes read_file(const char *path)
{
	struct bytes bytes;
	struct stat stat_buf;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &stat_buf), 0);
	bytes.size = stat_buf.st_size;
	bytes.data = malloc(bytes.size);
	assert_int_equal(read(fd, bytes.data, bytes.size), (ssize_t)bytes.size);
	close(fd);
	return bytes;
}

static void write_file(const char *path, const uint8_t *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), (ssize_t)size);
	close(fd);
}

static void test_truncated(void **state)
{
	struct fixture *fixture = *state;
	char path[64], cut[64];
	struct bytes bytes;

	need(fixture, "gcc");
	build(fixture, "gcc -g -O2", "$S/names.c");
	snprintf(path, sizeof(path), "%s/program", fixture->folder);
	snprintf(cut, sizeof(cut), "%s/cut", fixture->folder);
	bytes = read_file(path);
	for (size_t size = 0; size < bytes.size; size += 1 + bytes.size / 97) {
		write_file(cut, bytes.data, size);
		survive(fixture, cut);
	}
	free(bytes.data);
}

static uint32_t next_random(uint32_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 17;
	*random ^= *random << 5;
	return *random;
}

/* Where the damage tells: headers, and what lies behind the code. */
static size_t place_to_damage(uint32_t *random, const struct bytes *bytes)
{
	size_t tail = bytes->size < 12 * 1024 ? 0 : 12 * 1024;

	if (next_random(random) % 8 == 0)
		return next_random(random) % 1024;
	return tail + next_random(random) % (bytes->size - tail);
}

static void damage(void **state, const char *compiler, uint32_t random)
{
	struct fixture *fixture = *state;
	char path[64], damaged[64];
	struct bytes bytes;
	uint8_t *copy;

	build(fixture, compiler, "$S/names.c");
	snprintf(path, sizeof(path), "%s/program", fixture->folder);
	snprintf(damaged, sizeof(damaged), "%s/damaged", fixture->folder);
	bytes = read_file(path);
	copy = malloc(bytes.size);
	for (int round = 0; round < 300; round++) {
		int places = 1 + next_random(&random) % 32;

		memcpy(copy, bytes.data, bytes.size);
		while (places--)
			copy[place_to_damage(&random, &bytes)] = next_random(&random);
		write_file(damaged, copy, bytes.size);
		survive(fixture, damaged);
	}
	free(copy);
	free(bytes.data);
}

static void test_damaged(void **state)
{
	need(*state, "gcc");
	damage(state, "gcc -g -O2", 1);
}

static void test_damaged_clang(void **state)
{
	need(*state, "clang");
	damage(state, "clang -g -O2", 2);
}

static void test_not_an_elf_file(void **state)
{
	struct fixture *fixture = *state;
	char path[64];

	fixture->count = 1;
	snprintf(path, sizeof(path), "%s/text", fixture->folder);
	write_file(path, (const uint8_t *)"text\n", 5);
	survive(fixture, path);
	write_file(path, (const uint8_t *)"\177ELF", 4);
	survive(fixture, path);
}

static void assert_demangled(const char *name, const char *readable)
{
	char *text = demangle(name);

	if (readable) {
		assert_non_null(text);
		assert_string_equal(text, readable);
	} else {
		assert_null(text);
	}
	free(text);
}

static void test_demangle(void **state)
{
	(void)state;
	assert_demangled("malloc", NULL);
	assert_demangled("", NULL);
	assert_demangled("_", NULL);
	assert_demangled("_Z", NULL);
	assert_demangled("_ZNotAName", NULL);
	assert_demangled("_Znwm", "operator new(unsigned long)");
	assert_demangled("_ZN3FooC1Ev", "Foo::Foo()");
	assert_demangled("_ZN5alloc3vec9from_elem17h0123456789abcdefE", "alloc::vec::from_elem");
	assert_demangled("_RNvC6_123foo3bar", "123foo::bar");
	assert_demangled("_D3std5stdio7writelnFiZv", "std.stdio.writeln(int)");
	assert_demangled("_Dmain", "D main");
}

/* f(A, pair<A, A>, pair<B, B>, ...): each parameter is the one before twice. */
static void make_cxx_bomb(char *name, int levels)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	name += sprintf(name, "_Z1fSt4pairIiiE");
	for (int i = 0; i < levels; i++)
		name += sprintf(name, "S_IS%c_S%c_E", digits[i], digits[i]);
}

/* f(int[int], A[A], B[B], ...) likewise: each begins five bytes behind the one before. */
static void make_d_bomb(char *name, int levels)
{
	name += sprintf(name, "_D1fFHiiHQeQg");
	for (int i = 1; i < levels; i++)
		name += sprintf(name, "HQgQi");
	strcpy(name, "Zv");
}

static void test_demangle_is_bounded(void **state)
{
	char name[12000];

	(void)state;
	make_cxx_bomb(name, 1);
	assert_demangled(
		name,
		"f(std::pair<int, int>, std::pair<std::pair<int, int>, std::pair<int, int> >)");
	make_cxx_bomb(name, 33); /* hundreds of gigabytes */
	assert_demangled(name, NULL);
	make_d_bomb(name, 2);
	assert_demangled(name,
			 "f(int[int], int[int][int[int]], int[int][int[int]][int[int][int[int]]])");
	make_d_bomb(name, 40);
	assert_demangled(name, NULL);
	memset(name, 'P', sizeof(name) - 1); /* pointers to pointers to ... */
	memcpy(name, "_Z1f", 4);
	name[sizeof(name) - 1] = '\0';
	assert_demangled(name, NULL);
}

#define FIXTURE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_gcc_o0),
		FIXTURE_TEST(test_gcc_o2),
		FIXTURE_TEST(test_gcc_dwarf4),
		FIXTURE_TEST(test_gcc_compressed),
		FIXTURE_TEST(test_gcc_static),
		FIXTURE_TEST(test_gcc_fixed_address),
		FIXTURE_TEST(test_clang_o0),
		FIXTURE_TEST(test_clang_without_aranges),
		FIXTURE_TEST(test_gcc_cxx_o0),
		FIXTURE_TEST(test_gcc_cxx_o2),
		FIXTURE_TEST(test_clang_cxx),
		FIXTURE_TEST(test_exported_only),
		FIXTURE_TEST(test_stripped),
		FIXTURE_TEST(test_debuglink),
		FIXTURE_TEST(test_symbols_of_debuglink),
		FIXTURE_TEST(test_debugdata),
		FIXTURE_TEST(test_alternate_file_is_not_there),
		FIXTURE_TEST(test_assembly),
		FIXTURE_TEST(test_fewer_frames_than_there_are),
		FIXTURE_TEST(test_truncated),
		FIXTURE_TEST(test_damaged),
		FIXTURE_TEST(test_damaged_clang),
		FIXTURE_TEST(test_not_an_elf_file),
		cmocka_unit_test(test_demangle),
		cmocka_unit_test(test_demangle_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
