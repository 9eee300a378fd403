/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BUILD_ID_MAX = 64 };       /* bytes; ld writes 8 to 20 */
enum { NOTES_MAX = 1024 * 1024 }; /* bytes of a PT_NOTE segment that are looked at */
enum { LINK_PATH = 32 };

/* A whole system has more mapped files than the usual soft limit of 1024. */
bool file__raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return false;
	limit.rlim_cur = limit.rlim_max;
	return !setrlimit(RLIMIT_NOFILE, &limit);
}

static int file__open_once(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0 && errno == EMFILE && file__raise_limit())
		fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * Looks before it opens: O_PATH touches no driver, so a FIFO or a device is never opened, and what
 * is opened is what was looked at.
 */
int file__open(const char *path, struct stat *stat)
{
	char link[LINK_PATH];
	int place = file__open_once(path, O_PATH);
	int fd;

	if (place < 0)
		return place;
	if (fstat(place, stat)) {
		fd = -errno;
	} else if (!S_ISREG(stat->st_mode)) {
		fd = -EACCES;
	} else {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", place);
		fd = file__open_once(link, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	}
	close(place);
	return fd;
}

static char *hex__encode(const uint8_t *bytes, size_t size)
{
	char *text = malloc(2 * size + 1);

	for (size_t i = 0; text && i < size; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return text;
}

static char *notes__build_id(Elf_Data *notes)
{
	const char *bytes = notes->d_buf;
	size_t at = 0, name, desc;
	GElf_Nhdr header;

	while ((at = gelf_getnote(notes, at, &header, &name, &desc)) > 0) {
		if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    !memcmp(bytes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) && header.n_descsz &&
		    header.n_descsz <= BUILD_ID_MAX)
			return hex__encode((const uint8_t *)bytes + desc, header.n_descsz);
	}
	return NULL;
}

/* From the segments: a stripped file need not have sections. Read, never mapped: a file that
 * shrinks under a mapping would kill us. */
char *file__build_id(int fd)
{
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	char *build_id = NULL;
	size_t count;

	if (!elf || elf_kind(elf) != ELF_K_ELF || elf_getphdrnum(elf, &count))
		count = 0;
	for (size_t i = 0; i < count && !build_id; i++) {
		GElf_Phdr header;
		Elf_Data *notes;

		if (!gelf_getphdr(elf, i, &header) || header.p_type != PT_NOTE ||
		    header.p_filesz > NOTES_MAX)
			continue;
		notes = elf_getdata_rawchunk(elf, header.p_offset, header.p_filesz,
					     header.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
		if (notes)
			build_id = notes__build_id(notes);
	}
	elf_end(elf);
	return build_id;
}
