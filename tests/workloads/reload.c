/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code that comes and goes, on demand. Each line of the input is answered by one of JSON:
 *   open FILE NAME | close   by the loader
 *   map FILE OFFSET | unmap  by hand; the loader knows nothing of it
 *   jit                      made here, followed by frame pointers
 *   call SIZE                allocates from inside that code
 *   paths BITS SIZE          call, by each of 2^BITS ways
 *   here SIZE                allocates from a function of this program, HERE
 *   often TIMES SIZE         here, so many times
 *   churn                    from now on a thread changes mappings, and locks others out
 *   at-once FILE SIZE        opens it, and allocates so, TIMES, before anybody can have looked
 *   fork                     the child goes on
 *   exec FILE                goes on as another program
 * "at" is where the function is; what was there before was at the same place if the numbers are
 * the same.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "truth.h"

#ifndef HERE
#define HERE here
#endif

enum { LENGTH = 64 << 10, TIMES = 100, CHURN = 64 << 20 };

typedef void *(*allocator)(size_t);
typedef void *(*code)(allocator, size_t);

static void *library;
static void *mapping;
static code function;

static void answer(const char *key, unsigned long value)
{
	truth__print("{\"%s\":%lu}\n", key, value);
	truth__flush();
}

static void load(const char *file, const char *name)
{
	library = dlopen(file, RTLD_NOW);
	function = library ? (code)dlsym(library, name) : NULL;
	if (!function)
		_exit(WORKLOAD_ABANDONED);
}

/* Position-independent code without relocations runs wherever its file is mapped. */
static void map(const char *file, size_t inside)
{
	static char *place;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	mapping = mmap(place, LENGTH, PROT_READ | PROT_EXEC,
		       MAP_PRIVATE | (place ? MAP_FIXED_NOREPLACE : 0), fd, 0);
	close(fd);
	if (mapping == MAP_FAILED)
		_exit(WORKLOAD_ABANDONED);
	place = (char *)mapping;
	function = (code)(place + inside);
}

static void make_code(void)
{
	static const unsigned char bytes[] = {
		0x55,             /* push %rbp */
		0x48, 0x89, 0xe5, /* mov %rsp,%rbp */
		0x48, 0x89, 0xf8, /* mov %rdi,%rax */
		0x48, 0x89, 0xf7, /* mov %rsi,%rdi */
		0xff, 0xd0,       /* call *%rax */
		0x5d,             /* pop %rbp */
		0xc3,             /* ret */
	};

	mapping = mmap(mapping, LENGTH, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mapping == MAP_FAILED)
		_exit(WORKLOAD_ABANDONED);
	memcpy(mapping, bytes, sizeof(bytes));
	function = (code)mapping;
}

/* With a frame pointer: the code that is made here has nothing else to go by. */
__attribute__((noinline, optimize("no-omit-frame-pointer"))) static void call(size_t size)
{
	if (!function(malloc, size))
		_exit(WORKLOAD_ABANDONED);
	__asm__ volatile("");
}

static void path(unsigned int way, int bits, size_t size);

NOINLINE static void path_of_0(unsigned int way, int bits, size_t size)
{
	path(way >> 1, bits - 1, size);
	__asm__ volatile("");
}

NOINLINE static void path(unsigned int way, int bits, size_t size)
{
	if (!bits)
		call(size);
	else if (way & 1)
		path(way >> 1, bits - 1, size);
	else
		path_of_0(way, bits, size);
	__asm__ volatile("");
}

static void call_by_all_paths(int bits, size_t size)
{
	for (unsigned int way = 0; way < 1U << bits; way++)
		path(way, bits, size);
}

NOINLINE static void HERE(size_t size)
{
	if (!malloc(size))
		_exit(WORKLOAD_ABANDONED);
	__asm__ volatile("");
}

/* For as long as the kernel goes through its pages, nobody else may ask what is mapped. */
static void *change_mappings(void *unused)
{
	char *place = (char *)syscall(SYS_mmap, NULL, CHURN, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	for (;;) {
		syscall(SYS_mprotect, place, CHURN, PROT_READ);
		syscall(SYS_mprotect, place, CHURN, PROT_READ | PROT_WRITE);
	}
	return unused;
}

static void churn(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, change_mappings, NULL))
		_exit(WORKLOAD_ABANDONED);
}

static void open_and_allocate(const char *file, size_t size)
{
	library = dlopen(file, RTLD_NOW);
	if (!library)
		_exit(WORKLOAD_ABANDONED);
	for (int i = 0; i < TIMES; i++)
		HERE(size);
}

static void pass_on(void)
{
	pid_t child = fork();
	int status;

	if (child > 0) {
		waitpid(child, &status, 0);
		_exit(WEXITSTATUS(status));
	}
	answer("pid", getpid());
}

static void replace(const char *file)
{
	char *arguments[] = { (char *)file, NULL };

	execv(file, arguments);
	_exit(WORKLOAD_ABANDONED);
}

static bool read_line(char *line, size_t room)
{
	size_t length = 0;

	while (length + 1 < room && read(0, line + length, 1) == 1 && line[length] != '\n')
		length++;
	line[length] = 0;
	return length > 0;
}

static void obey(const char *verb, const char *first, const char *second)
{
	if (!strcmp(verb, "call"))
		call(atol(first));
	else if (!strcmp(verb, "paths"))
		call_by_all_paths(atoi(first), strtoul(second, NULL, 10));
	else if (!strcmp(verb, "here"))
		HERE(atol(first));
	else if (!strcmp(verb, "often"))
		for (int left = atoi(first); left > 0; left--)
			HERE(strtoul(second, NULL, 10));
	else if (!strcmp(verb, "churn"))
		churn();
	else if (!strcmp(verb, "at-once"))
		open_and_allocate(first, strtoul(second, NULL, 10));
	else if (!strcmp(verb, "close"))
		dlclose(library);
	else if (!strcmp(verb, "unmap"))
		munmap(mapping, LENGTH);
	else if (!strcmp(verb, "fork"))
		pass_on();
	else if (!strcmp(verb, "exec"))
		replace(first);
	else if (!strcmp(verb, "jit"))
		make_code();
	else if (!strcmp(verb, "map"))
		map(first, strtoul(second, NULL, 16));
	else if (!strcmp(verb, "open"))
		load(first, second);
	answer("at", (unsigned long)function);
}

int main(void)
{
	char line[512], verb[16], first[256], second[64];

	truth__print("ready\n");
	truth__flush();
	while (read_line(line, sizeof(line)) &&
	       sscanf(line, "%15s %255s %63s", verb, first, second) > 0)
		obey(verb, first, second);
	return WORKLOAD_STATUS;
}
