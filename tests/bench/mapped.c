/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mapped N: maps the segments of the libraries of this machine, N mappings in all, and stays. */
#include <elf.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int protection(const Elf64_Phdr *segment)
{
	return (segment->p_flags & PF_R ? PROT_READ : 0) |
	       (segment->p_flags & PF_W ? PROT_WRITE : 0) |
	       (segment->p_flags & PF_X ? PROT_EXEC : 0);
}

static int map_segments(const char *path, int wanted)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), mapped = 0;
	union {
		char bytes[4096];
		Elf64_Ehdr header;
	} head;
	const Elf64_Phdr *segments;

	if (fd < 0)
		return 0;
	if (read(fd, &head, sizeof(head)) == sizeof(head) &&
	    head.header.e_ident[EI_CLASS] == ELFCLASS64 &&
	    head.header.e_phoff + head.header.e_phnum * sizeof(*segments) <= sizeof(head)) {
		segments = (const void *)(head.bytes + head.header.e_phoff);
		for (int i = 0; i < head.header.e_phnum && mapped < wanted; i++)
			if (segments[i].p_type == PT_LOAD)
				mapped += mmap(NULL, segments[i].p_filesz, protection(&segments[i]),
					       MAP_PRIVATE, fd,
					       segments[i].p_offset & ~4095L) != MAP_FAILED;
	}
	close(fd);
	return mapped;
}

int main(int argc, char **argv)
{
	int wanted = argc > 1 ? atoi(argv[1]) : 200;
	glob_t libraries;

	if (glob("/usr/lib/x86_64-linux-gnu/lib[a-z]*.so.[0-9]*", 0, NULL, &libraries))
		return 1;
	for (size_t i = 0; i < libraries.gl_pathc && wanted > 0; i++) {
		char *name = libraries.gl_pathv[i];

		if (access(name, R_OK) == 0)
			wanted -= map_segments(name, wanted);
	}
	globfree(&libraries);
	puts("ready");
	fflush(stdout);
	return getchar() == EOF ? 0 : 1;
}
