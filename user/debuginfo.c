/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "debuginfo.h"

#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "file.h"

static const char debug_root[] = "/usr/lib/debug";

enum { CHUNK = 64 * 1024 };

struct image { /* an ELF file that is open */
	int fd;
	Elf *elf;
	char path[PATH_MAX];
};

struct debuginfo {
	Elf *elf;
	Dwarf *dwarf, *alternate_dwarf;
	struct image separate, alternate; /* elf == NULL: not in use */
};

static bool image__open(struct image *image)
{
	struct stat stat;

	image->fd = file__open(image->path, &stat);
	if (image->fd < 0)
		return false;
	/* Read, not mapped, as everywhere: a file may shrink. */
	image->elf = elf_begin(image->fd, ELF_C_READ, NULL);
	if (image->elf && elf_kind(image->elf) == ELF_K_ELF)
		return true;
	elf_end(image->elf);
	image->elf = NULL;
	close(image->fd);
	return false;
}

static void image__close(struct image *image)
{
	if (!image->elf)
		return;
	elf_end(image->elf);
	image->elf = NULL;
	close(image->fd);
}

/* Also of files without segments, as dwz writes them. */
static bool image__has_build_id(const struct image *image, const char *wanted)
{
	const void *bytes;
	ssize_t size = dwelf_elf_gnu_build_id(image->elf, &bytes);
	char digits[3];

	if (size <= 0 || strlen(wanted) != 2 * (size_t)size)
		return false;
	for (ssize_t i = 0; i < size; i++) {
		snprintf(digits, sizeof(digits), "%02x", ((const uint8_t *)bytes)[i]);
		if (memcmp(digits, wanted + 2 * i, 2))
			return false;
	}
	return true;
}

/* The checksum of .gnu_debuglink: CRC-32 of the whole file. */
static bool image__has_checksum(const struct image *image, uint32_t wanted)
{
	uint8_t *chunk = malloc(CHUNK);
	uLong sum = crc32(0, NULL, 0);
	ssize_t got = -1;
	off_t at = 0;

	while (chunk && (got = pread(image->fd, chunk, CHUNK, at)) > 0) {
		sum = crc32(sum, chunk, got);
		at += got;
	}
	free(chunk);
	return got == 0 && sum == wanted;
}

static Elf_Scn *elf__section(Elf *elf, const char *wanted, GElf_Shdr *header)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		const char *name;

		if (!gelf_getshdr(section, header) || header->sh_type == SHT_NOBITS)
			continue;
		name = elf_strptr(elf, names, header->sh_name);
		if (name && !strcmp(name, wanted))
			return section;
	}
	return NULL;
}

static bool elf__has_debug(Elf *elf)
{
	GElf_Shdr header;

	return elf__section(elf, ".debug_info", &header) ||
	       elf__section(elf, ".zdebug_info", &header);
}

static bool image__path(struct image *image, const char *directory, const char *between,
			const char *name)
{
	int length = snprintf(image->path, sizeof(image->path), "%s%s%s", directory, between, name);

	return length > 0 && length < (int)sizeof(image->path);
}

static bool image__open_by_build_id(struct image *image, const char *build_id)
{
	char name[160];

	if (!build_id || strlen(build_id) < 3 || strlen(build_id) > 128)
		return false;
	snprintf(name, sizeof(name), "%.2s/%s.debug", build_id, build_id + 2);
	if (!image__path(image, debug_root, "/.build-id/", name) || !image__open(image))
		return false;
	if (image__has_build_id(image, build_id))
		return true;
	image__close(image);
	return false;
}

static bool image__open_by_checksum(struct image *image, uint32_t checksum)
{
	if (!image__open(image))
		return false;
	if (image__has_checksum(image, checksum))
		return true;
	image__close(image);
	return false;
}

/* Beside the object, in .debug there, and in its folder's place below /usr/lib/debug. */
static bool image__open_by_link(struct image *image, const struct object *object, Elf *elf)
{
	char directory[PATH_MAX], below[PATH_MAX];
	GElf_Word checksum;
	const char *link = dwelf_elf_gnu_debuglink(elf, &checksum);
	const char *path = object__path(object);
	const char *slash = strrchr(path, '/');

	if (!link || !*link || strchr(link, '/') || !slash || slash - path >= PATH_MAX)
		return false;
	snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
	if (snprintf(below, sizeof(below), "%s%s", debug_root, directory) >= PATH_MAX)
		return false;
	return (image__path(image, directory, "/", link) &&
		image__open_by_checksum(image, checksum)) ||
	       (image__path(image, directory, "/.debug/", link) &&
		image__open_by_checksum(image, checksum)) ||
	       (image__path(image, below, "/", link) && image__open_by_checksum(image, checksum));
}

static bool image__open_alternate(struct image *image, const char *from, const char *link,
				  const char *build_id)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(from, '/');

	if (image__open_by_build_id(image, build_id))
		return true;
	if (*link == '/')
		directory[0] = '\0';
	else if (slash && slash - from < PATH_MAX - 1)
		snprintf(directory, sizeof(directory), "%.*s", (int)(slash - from) + 1, from);
	else
		return false;
	if (!image__path(image, directory, "", link) || !image__open(image))
		return false;
	if (image__has_build_id(image, build_id))
		return true;
	image__close(image);
	return false;
}

/*
 * What several files share is in another one (dwz). libdw would look for it itself, by a path out
 * of the file and with a plain open(): so it is always given one, or the whole is not used.
 */
static bool debuginfo__attach_alternate(struct debuginfo *debuginfo, const char *from)
{
	char build_id[2 * 64 + 1];
	const void *bytes;
	const char *link;
	ssize_t size = dwelf_dwarf_gnu_debugaltlink(debuginfo->dwarf, &link, &bytes);

	if (size == 0)
		return true;
	if (size < 0 || size > 64)
		return false;
	for (ssize_t i = 0; i < size; i++)
		snprintf(build_id + 2 * i, 3, "%02x", ((const uint8_t *)bytes)[i]);
	if (!image__open_alternate(&debuginfo->alternate, from, link, build_id))
		return false;
	debuginfo->alternate_dwarf = dwarf_begin_elf(debuginfo->alternate.elf, DWARF_C_READ, NULL);
	if (!debuginfo->alternate_dwarf)
		return false;
	dwarf_setalt(debuginfo->dwarf, debuginfo->alternate_dwarf);
	return true;
}

static void debuginfo__read_dwarf(struct debuginfo *debuginfo, const char *from)
{
	if (!elf__has_debug(debuginfo->elf))
		return;
	debuginfo->dwarf = dwarf_begin_elf(debuginfo->elf, DWARF_C_READ, NULL);
	if (!debuginfo->dwarf || debuginfo__attach_alternate(debuginfo, from))
		return;
	dwarf_end(debuginfo->dwarf);
	debuginfo->dwarf = NULL;
}

struct debuginfo *debuginfo__open(const struct object *object, Elf *elf)
{
	struct debuginfo *debuginfo = calloc(1, sizeof(*debuginfo));
	struct image *separate;

	if (!debuginfo)
		return NULL;
	separate = &debuginfo->separate;
	if (elf__has_debug(elf)) {
		debuginfo->elf = elf;
		debuginfo__read_dwarf(debuginfo, object__path(object));
	} else if (image__open_by_build_id(separate, object__build_id(object)) ||
		   image__open_by_link(separate, object, elf)) {
		debuginfo->elf = separate->elf;
		debuginfo__read_dwarf(debuginfo, separate->path);
	} else {
		free(debuginfo);
		debuginfo = NULL;
	}
	return debuginfo;
}

void debuginfo__free(struct debuginfo *debuginfo)
{
	if (!debuginfo)
		return;
	dwarf_end(debuginfo->dwarf);
	dwarf_end(debuginfo->alternate_dwarf);
	image__close(&debuginfo->alternate);
	image__close(&debuginfo->separate);
	free(debuginfo);
}

Elf *debuginfo__elf(const struct debuginfo *debuginfo)
{
	return debuginfo->elf;
}

Dwarf *debuginfo__dwarf(const struct debuginfo *debuginfo)
{
	return debuginfo->dwarf;
}
