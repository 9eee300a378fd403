/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_ROWS_H
#define MEMWATCH_UNWIND_ROWS_H
/* Files in memory and the rows of their code. After cmocka's own headers. */
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unwind_fixture.h"
#include "unwind_invariants.h"

struct bytes {
	uint8_t *bytes;
	size_t size;
};

static inline struct bytes read_file(const char *path)
{
	struct stat status;
	struct bytes file;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	file.size = (size_t)status.st_size;
	file.bytes = malloc(file.size);
	assert_non_null(file.bytes);
	assert_int_equal(read(fd, file.bytes, file.size), file.size);
	close(fd);
	return file;
}

/* Builds the table of a file in memory. */
static inline int build(const struct bytes *file, struct unwind_table *table)
{
	int fd = memfd_create("code", MFD_CLOEXEC), result;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, file->bytes, file->size), file->size);
	result = unwind_table__build_fd(fd, table);
	close(fd);
	if (!result && unwind_table__broken(table))
		fail_msg("%s", unwind_table__broken(table));
	return result;
}

/* Hides .eh_frame and .debug_frame, and the way to the former that needs no section. */
static inline void hide_tables(struct bytes *file)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)file->bytes;
	Elf64_Phdr *segments = (Elf64_Phdr *)(file->bytes + header->e_phoff);
	Elf64_Shdr *sections = (Elf64_Shdr *)(file->bytes + header->e_shoff);
	const char *names = (char *)file->bytes + sections[header->e_shstrndx].sh_offset;

	for (int i = 0; i < header->e_phnum; i++)
		if (segments[i].p_type == PT_GNU_EH_FRAME)
			segments[i].p_type = PT_NULL;
	for (int i = 0; i < header->e_shnum; i++)
		if (!strcmp(names + sections[i].sh_name, ".eh_frame") ||
		    !strcmp(names + sections[i].sh_name, ".debug_frame"))
			sections[i].sh_type = SHT_NOBITS;
}

/* The file offset of a symbol of a shared object whose segments lie in the file as in memory. */
static inline uint64_t symbol_offset(const struct bytes *file, const char *name)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)file->bytes;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(file->bytes + header->e_shoff);

	for (int i = 0; i < header->e_shnum; i++) {
		const Elf64_Sym *symbols = (const Elf64_Sym *)(file->bytes + sections[i].sh_offset);
		const char *names;

		if (sections[i].sh_type != SHT_SYMTAB)
			continue;
		names = (const char *)file->bytes + sections[sections[i].sh_link].sh_offset;
		for (size_t n = 0; n < sections[i].sh_size / sizeof(*symbols); n++)
			if (!strcmp(names + symbols[n].st_name, name))
				return symbols[n].st_value - sections[symbols[n].st_shndx].sh_addr +
				       sections[symbols[n].st_shndx].sh_offset;
	}
	fail_msg("%s has no place", name);
	return 0;
}

/* What gcc makes of `source`. */
static inline struct bytes assembled(const char *name, const char *source)
{
	char path[256];

	assemble(name, source);
	snprintf(path, sizeof(path), "%s/%s.so", directory, name);
	return read_file(path);
}

static inline void check_row(const struct bytes *file, const struct unwind_table *table,
			     const char *name, const struct unwind_row *want)
{
	const struct unwind_row *row = unwind_table__find(table, symbol_offset(file, name));

	if (!row || !unwind_row__same(row, want))
		fail_msg("%s: rule %d/%#x cfa %d rbp %d, want %d/%#x %d %d", name,
			 row ? row->cfa_rule : -1, row ? row->rbp_rule : 0, row ? row->cfa : 0,
			 row ? row->rbp : 0, want->cfa_rule, want->rbp_rule, want->cfa, want->rbp);
}

/* The rows at at_0, at_1, ... */
static inline void check_rows(const struct bytes *file, const struct unwind_row *want, size_t count)
{
	struct unwind_table table;
	char name[16];

	assert_int_equal(build(file, &table), 0);
	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "at_%zu", i);
		check_row(file, &table, name, &want[i]);
	}
	unwind_table__free(&table);
}

#endif
