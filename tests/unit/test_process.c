/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "user/process.h"

/* A file of two pages named `name` in a fresh folder, and its mapping at the second page. */
static void *map_file(const char *folder, const char *name, char path[256])
{
	void *address;
	int fd;

	snprintf(path, 256, "%s/%s", folder, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 8192), 0);
	address = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
	assert_ptr_not_equal(address, MAP_FAILED);
	close(fd);
	return address;
}

static void mapping_is_read(const char *name, bool unlinked)
{
	char folder[] = "/tmp/memwatch-XXXXXX", path[256];
	const struct mapping *mapping;
	struct mappings mappings;
	struct stat stat_buf;
	void *address;

	assert_non_null(mkdtemp(folder));
	address = map_file(folder, name, path);
	assert_int_equal(stat(path, &stat_buf), 0);
	if (unlinked)
		assert_int_equal(unlink(path), 0);
	assert_int_equal(process__mappings(getpid(), &mappings), 0);
	mapping = mappings__find(&mappings, (uintptr_t)address + 4095);
	assert_non_null(mapping);
	assert_int_equal(mapping->start, (uintptr_t)address);
	assert_int_equal(mapping->end, (uintptr_t)address + 4096);
	assert_int_equal(mapping->offset, 4096);
	assert_int_equal(mapping->prot, MAPPING_READ);
	assert_true(mapping->shared);
	assert_int_equal(mapping->deleted, unlinked);
	assert_int_equal(mapping->inode, stat_buf.st_ino);
	assert_string_equal(mapping->path, path);
	mappings__free(&mappings);
	assert_null(mappings.items);
	munmap(address, 4096);
	unlink(path);
	rmdir(folder);
}

static void test_plain_path(void **state)
{
	(void)state;
	mapping_is_read("plain", false);
}

static void test_odd_paths(void **state)
{
	(void)state;
	mapping_is_read("with  two spaces ", false);
	mapping_is_read("new\nline", false);
	mapping_is_read("back\\040slash", false);
	mapping_is_read("gone", true);
	mapping_is_read("gone too (deleted)", true);
}

static void test_anonymous(void **state)
{
	const struct mapping *mapping;
	struct mappings mappings;
	void *address = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_int_equal(process__mappings(getpid(), &mappings), 0);
	mapping = mappings__find(&mappings, (uintptr_t)address);
	assert_non_null(mapping);
	assert_int_equal(mapping->prot, MAPPING_READ | MAPPING_WRITE | MAPPING_EXEC);
	assert_false(mapping->shared);
	assert_int_equal(mapping->inode, 0);
	assert_string_equal(mapping->path, "");
	assert_null(mappings__find(&mappings, 0));
	assert_null(mappings__find(&mappings, UINT64_MAX));
	for (size_t i = 1; i < mappings.count; i++)
		assert_true(mappings.items[i - 1].end <= mappings.items[i].start);
	mappings__free(&mappings);
	munmap(address, 4096);
}

static void test_comm(void **state)
{
	char comm[COMM_SIZE];

	(void)state;
	prctl(PR_SET_NAME, "a) b\n");
	assert_int_equal(process__comm(getpid(), comm), 0);
	assert_string_equal(comm, "a) b\n");
	prctl(PR_SET_NAME, "0123456789abcdefgh");
	assert_int_equal(process__comm(getpid(), comm), 0);
	assert_string_equal(comm, "0123456789abcde");
}

static void test_status_of_self(void **state)
{
	struct process_status status, again;

	(void)state;
	prctl(PR_SET_NAME, ") Z 1 1 (");
	assert_int_equal(process__status(getpid(), &status), 0);
	assert_int_equal(status.state, PROCESS_ALIVE);
	assert_int_equal(status.tgid, getpid());
	assert_int_equal(status.inner_pid, getpid());
	assert_int_not_equal(status.start_time, 0);
	assert_int_equal(process__status(getpid(), &again), 0);
	assert_int_equal(status.start_time, again.start_time);
}

/* Runs `body` in a child, which then waits to be killed; -1 when `body` failed. */
static pid_t child__start(bool (*body)(void))
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (body() && write(ready[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = -1;
	}
	close(ready[0]);
	return pid;
}

static void child__end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void *filter_thread(void *arg)
{
	struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog program = { 1, allow };
	int *ready = arg;
	bool ok = !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
		  !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);

	if (write(ready[1], ok ? "y" : "n", 1) == 1)
		pause();
	return NULL;
}

/* One thread that is not the leader has a filter. */
static bool start_filtered_thread(void)
{
	pthread_t thread;
	int ready[2];
	char byte;

	return !pipe(ready) && !pthread_create(&thread, NULL, filter_thread, ready) &&
	       read(ready[0], &byte, 1) == 1 && byte == 'y';
}

static void test_seccomp_of_any_thread(void **state)
{
	struct process_status status;
	pid_t pid = child__start(start_filtered_thread);

	(void)state;
	if (pid < 0)
		skip();
	assert_int_equal(process__status(pid, &status), 0);
	assert_int_equal(status.state, PROCESS_ALIVE);
	assert_int_equal(status.seccomp, 2);
	child__end(pid);
}

static int leader_ready[2];

static void *wait_for_leader(void *arg)
{
	char stat_text[256], path[64];
	ssize_t got;
	int fd;

	(void)arg;
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
	do {
		fd = open(path, O_RDONLY);
		got = read(fd, stat_text, sizeof(stat_text) - 1);
		close(fd);
		stat_text[got > 0 ? got : 0] = '\0';
	} while (got > 0 && !strstr(stat_text, ") Z"));
	if (write(leader_ready[1], "x", 1) == 1)
		pause();
	return NULL;
}

static void test_leader_that_left(void **state)
{
	struct process_status status;
	struct mappings mappings;
	pthread_t thread;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(leader_ready), 0);
	pid = fork();
	if (!pid) {
		if (!pthread_create(&thread, NULL, wait_for_leader, NULL))
			syscall(SYS_exit, 0); /* this thread alone */
		_exit(1);
	}
	close(leader_ready[1]);
	assert_int_equal(read(leader_ready[0], &byte, 1), 1);
	close(leader_ready[0]);
	assert_int_equal(process__status(pid, &status), 0);
	assert_int_equal(status.state, PROCESS_ALIVE);
	assert_int_equal(process__mappings(pid, &mappings), 0);
	assert_int_not_equal(mappings.count, 0);
	mappings__free(&mappings);
	child__end(pid);
}

static void test_zombie_then_gone(void **state)
{
	struct process_status status;
	struct mappings mappings;
	char comm[COMM_SIZE];
	siginfo_t info;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(0);
	assert_int_equal(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(process__status(pid, &status), 0);
	assert_int_equal(status.state, PROCESS_ZOMBIE);
	assert_int_equal(process__mappings(pid, &mappings), 0);
	assert_int_equal(mappings.count, 0);
	mappings__free(&mappings);
	waitpid(pid, NULL, 0);
	assert_int_equal(process__status(pid, &status), -ESRCH);
	assert_int_equal(process__mappings(pid, &mappings), -ESRCH);
	assert_int_equal(process__comm(pid, comm), -ESRCH);
}

static void test_kernel_thread(void **state)
{
	struct process_status status;
	char comm[COMM_SIZE];

	(void)state;
	if (process__comm(2, comm) || strcmp(comm, "kthreadd")) /* another pid namespace */
		skip();
	assert_int_equal(process__status(2, &status), 0);
	assert_int_equal(status.state, PROCESS_KERNEL_THREAD);
}

static void test_list(void **state)
{
	pid_t *pids;
	size_t count, self = 0;

	(void)state;
	assert_int_equal(process__list(&pids, &count), 0);
	for (size_t i = 0; i < count; i++) {
		self += pids[i] == getpid();
		if (i)
			assert_true(pids[i - 1] < pids[i]);
	}
	assert_int_equal(self, 1);
	free(pids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_path),
		cmocka_unit_test(test_odd_paths),
		cmocka_unit_test(test_anonymous),
		cmocka_unit_test(test_comm),
		cmocka_unit_test(test_status_of_self),
		cmocka_unit_test(test_seccomp_of_any_thread),
		cmocka_unit_test(test_leader_that_left),
		cmocka_unit_test(test_zombie_then_gone),
		cmocka_unit_test(test_kernel_thread),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
