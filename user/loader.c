/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loader.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

/* No more is read of what a process says of itself: there are some 20 vectors and 30 tags. */
enum { MOST_VECTORS = 64, MOST_HEADERS = 64, MOST_TAGS = 256 };

struct program { /* what the kernel told the process of its file (getauxval(3)) */
	uint64_t headers, count;
	uint64_t loader; /* where its loader is; 0: it has none */
};

enum exec_state { EXEC_GONE, EXEC_UNDER_WAY, EXEC_DONE };

static enum exec_state read_program(pid_t pid, struct program *program)
{
	Elf64_auxv_t vectors[MOST_VECTORS] = { 0 };
	char path[32];
	ssize_t size;
	int fd;

	*program = (struct program){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return EXEC_GONE;
	size = read(fd, vectors, sizeof(vectors));
	close(fd);
	if (size <= 0)
		return EXEC_GONE;
	for (int i = 0; i < MOST_VECTORS && vectors[i].a_type != AT_NULL; i++) {
		if (vectors[i].a_type == AT_PHDR)
			program->headers = vectors[i].a_un.a_val;
		else if (vectors[i].a_type == AT_PHNUM)
			program->count = vectors[i].a_un.a_val;
		else if (vectors[i].a_type == AT_BASE)
			program->loader = vectors[i].a_un.a_val;
	}
	/* The kernel writes them when it has mapped the program and its loader. */
	return vectors[0].a_type == AT_NULL ? EXEC_UNDER_WAY : EXEC_DONE;
}

static bool read_memory(pid_t pid, uint64_t address, void *buffer, size_t size)
{
	struct iovec local = { buffer, size }, remote = { (void *)(uintptr_t)address, size };

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/* Where the program's dynamic section is; 0: nowhere. */
static uint64_t find_dynamic(pid_t pid, const struct program *program)
{
	uint64_t bias = 0, dynamic = 0;
	Elf64_Phdr header;

	for (uint64_t i = 0; i < program->count && i < MOST_HEADERS; i++) {
		if (!read_memory(pid, program->headers + i * sizeof(header), &header,
				 sizeof(header)))
			return 0;
		if (header.p_type == PT_PHDR)
			bias = program->headers - header.p_vaddr;
		else if (header.p_type == PT_DYNAMIC)
			dynamic = header.p_vaddr;
	}
	return dynamic ? bias + dynamic : 0;
}

/* What the loader left for debuggers in the dynamic section. -1: it leaves nothing there. */
static int64_t find_debug(pid_t pid, uint64_t dynamic)
{
	Elf64_Dyn entry = { .d_tag = DT_NULL };

	for (int i = 0; dynamic && i < MOST_TAGS; i++, dynamic += sizeof(entry)) {
		if (!read_memory(pid, dynamic, &entry, sizeof(entry)) || entry.d_tag == DT_NULL)
			return -1;
		if (entry.d_tag == DT_DEBUG)
			return (int64_t)entry.d_un.d_ptr;
	}
	return -1;
}

bool loader__is_busy(pid_t pid)
{
	struct program program;
	enum exec_state state = read_program(pid, &program);
	struct r_debug debug;
	int64_t address;

	if (state != EXEC_DONE)
		return state == EXEC_UNDER_WAY;
	if (!program.loader)
		return false;
	address = find_debug(pid, find_dynamic(pid, &program));
	if (address <= 0) /* 0: it has not come to that yet */
		return !address;
	return read_memory(pid, (uint64_t)address, &debug, sizeof(debug)) &&
	       debug.r_state != RT_CONSISTENT;
}
