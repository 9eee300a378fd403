/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/object.h"

struct fixture {
	struct objects *objects;
	char folder[32], path[64];
	void *address; /* of path's first page, mapped */
};

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int fd;

	strcpy(fixture->folder, "/tmp/memwatch-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(fixture->path, sizeof(fixture->path), "%s/mapped", fixture->folder);
	write_file(fixture->path, "what was mapped");
	fd = open(fixture->path, O_RDONLY | O_CLOEXEC);
	fixture->address = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(fixture->address, MAP_FAILED);
	close(fd);
	fixture->objects = objects__new();
	assert_non_null(fixture->objects);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	objects__free(fixture->objects);
	munmap(fixture->address, 4096);
	unlink(fixture->path);
	rmdir(fixture->folder);
	free(fixture);
	return 0;
}

/* The object of the mapping around `address`; errno is left as it was set. */
static struct object *object_at(struct fixture *fixture, const void *address)
{
	struct mappings mappings;
	const struct mapping *mapping;
	struct object *object;
	int error;

	assert_int_equal(process__mappings(getpid(), &mappings), 0);
	mapping = mappings__find(&mappings, (uintptr_t)address);
	assert_non_null(mapping);
	errno = 0;
	object = objects__of_mapping(fixture->objects, getpid(), mapping);
	error = errno;
	mappings__free(&mappings);
	errno = error;
	return object;
}

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void assert_content(const struct object *object, const char *text)
{
	char bytes[64] = "";

	assert_int_equal(pread(object__fd(object), bytes, sizeof(bytes) - 1, 0),
			 (ssize_t)strlen(text));
	assert_string_equal(bytes, text);
}

static void test_mapping_is_known_again(void **state)
{
	struct fixture *fixture = *state;
	struct object *object = object_at(fixture, fixture->address);
	int before = count_descriptors();
	struct stat stat_buf;

	assert_non_null(object);
	assert_int_equal(object__id(object), 1);
	assert_ptr_equal(objects__by_id(fixture->objects, 1), object);
	assert_null(objects__by_id(fixture->objects, 0));
	assert_null(objects__by_id(fixture->objects, 2));
	assert_string_equal(object__path(object), fixture->path);
	assert_string_equal(object__name(object), "mapped");
	assert_null(object__build_id(object));
	assert_int_equal(stat(fixture->path, &stat_buf), 0);
	assert_int_equal(object__dev(object), stat_buf.st_dev);
	assert_int_equal(object__ino(object), stat_buf.st_ino);
	assert_content(object, "what was mapped");
	assert_ptr_equal(object_at(fixture, fixture->address), object);
	assert_ptr_equal(objects__of_path(fixture->objects, fixture->path), object);
	assert_int_equal(count_descriptors(), before);
}

static void test_mapping_needs_no_file_when_known(void **state)
{
	struct fixture *fixture = *state;
	struct mappings mappings;
	const struct mapping *mapping;
	struct object *object = object_at(fixture, fixture->address);
	struct rlimit limit;
	int status;

	assert_non_null(object);
	assert_int_equal(process__mappings(getpid(), &mappings), 0);
	mapping = mappings__find(&mappings, (uintptr_t)fixture->address);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (!fork()) { /* where no file can be opened any more */
		limit.rlim_cur = limit.rlim_max = 0;
		setrlimit(RLIMIT_NOFILE, &limit);
		_exit(objects__of_mapping(fixture->objects, getppid(), mapping) != object);
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
	mappings__free(&mappings);
}

static void test_replaced_file_is_another(void **state)
{
	struct fixture *fixture = *state;
	char other[80];
	struct object *object;

	snprintf(other, sizeof(other), "%s/other", fixture->folder);
	write_file(other, "another");
	assert_int_equal(rename(other, fixture->path), 0);
	object = object_at(fixture, fixture->address);
	if (object) /* privileged: through map_files */
		assert_content(object, "what was mapped");
	else
		assert_int_equal(errno, ESTALE);
	assert_ptr_not_equal(objects__of_path(fixture->objects, fixture->path), object);
}

static void test_deleted_file(void **state)
{
	struct fixture *fixture = *state;
	struct object *object;

	assert_int_equal(unlink(fixture->path), 0);
	object = object_at(fixture, fixture->address);
	if (!object) {
		assert_int_equal(errno, EPERM);
		skip();
	}
	assert_content(object, "what was mapped");
	assert_string_equal(object__path(object), fixture->path);
	assert_string_equal(object__name(object), "mapped");
}

static void test_known_file_survives_deletion(void **state)
{
	struct fixture *fixture = *state;
	struct object *object = object_at(fixture, fixture->address);

	assert_non_null(object);
	assert_int_equal(unlink(fixture->path), 0);
	assert_ptr_equal(object_at(fixture, fixture->address), object);
	assert_content(object, "what was mapped");
}

static void test_anonymous_memory_is_none(void **state)
{
	struct fixture *fixture = *state;
	void *private = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_null(object_at(fixture, private));
	assert_int_equal(errno, ENOENT);
	assert_null(object_at(fixture, shared));
	assert_int_equal(errno, ENOENT);
	assert_null(object_at(fixture, &fixture)); /* the stack */
	assert_int_equal(errno, ENOENT);
	munmap(private, 4096);
	munmap(shared, 4096);
}

static void test_vdso(void **state)
{
	struct fixture *fixture = *state;
	const void *address = (const void *)getauxval(AT_SYSINFO_EHDR);
	struct object *object;
	char bytes[4096];

	if (!address)
		skip();
	object = object_at(fixture, address);
	assert_non_null(object);
	assert_string_equal(object__name(object), "[vdso]");
	assert_int_equal(pread(object__fd(object), bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_memory_equal(bytes, address, sizeof(bytes));
	assert_non_null(object__build_id(object));
	assert_ptr_equal(object_at(fixture, address), object);
}

/* What the dynamic loader has mapped of ourselves is the file that we were started from. */
static void test_build_id(void **state)
{
	struct fixture *fixture = *state;
	struct object *object = object_at(fixture, (const void *)test_build_id);
	const char *build_id;

	assert_non_null(object);
	assert_ptr_equal(objects__of_path(fixture->objects, "/proc/self/exe"), object);
	build_id = object__build_id(object);
	if (!build_id)
		skip();
	assert_int_equal(strspn(build_id, "0123456789abcdef"), strlen(build_id));
	assert_int_equal(strlen(build_id), 40);
}

static void test_only_regular_files(void **state)
{
	struct fixture *fixture = *state;
	char fifo[80];

	snprintf(fifo, sizeof(fifo), "%s/fifo", fixture->folder);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_null(objects__of_path(fixture->objects, fifo));
	assert_int_equal(errno, EACCES);
	unlink(fifo);
	assert_null(objects__of_path(fixture->objects, "/dev/null"));
	assert_int_equal(errno, EACCES);
	assert_null(objects__of_path(fixture->objects, fixture->folder));
	assert_int_equal(errno, EACCES);
	assert_null(objects__of_path(fixture->objects, "/nonexistent"));
	assert_int_equal(errno, ENOENT);
}

static void test_more_files_than_the_soft_limit(void **state)
{
	struct fixture *fixture = *state;
	struct rlimit limit, low;
	char path[96];

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < 100)
		skip();
	low = (struct rlimit){ count_descriptors() + 8, limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	snprintf(path, sizeof(path), "%s/one", fixture->folder);
	for (int i = 0; i < 32; i++) { /* a kept inode's number is not given again */
		write_file(path, "x");
		assert_non_null(objects__of_path(fixture->objects, path));
		unlink(path);
	}
	assert_non_null(objects__by_id(fixture->objects, 32));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_free_closes_all(void **state)
{
	struct fixture *fixture = *state;
	struct objects *objects;
	int before = count_descriptors();

	objects = objects__new();
	assert_non_null(objects__of_path(objects, fixture->path));
	assert_non_null(objects__of_path(objects, "/proc/self/exe"));
	assert_int_equal(count_descriptors(), before + 2);
	objects__free(objects);
	assert_int_equal(count_descriptors(), before);
	objects__free(NULL);
}

#define FIXTURE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_mapping_is_known_again),
		FIXTURE_TEST(test_mapping_needs_no_file_when_known),
		FIXTURE_TEST(test_replaced_file_is_another),
		FIXTURE_TEST(test_deleted_file),
		FIXTURE_TEST(test_known_file_survives_deletion),
		FIXTURE_TEST(test_anonymous_memory_is_none),
		FIXTURE_TEST(test_vdso),
		FIXTURE_TEST(test_build_id),
		FIXTURE_TEST(test_only_regular_files),
		FIXTURE_TEST(test_more_files_than_the_soft_limit),
		FIXTURE_TEST(test_free_closes_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
