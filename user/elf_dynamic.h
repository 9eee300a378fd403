/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_ELF_DYNAMIC_H
#define MEMWATCH_ELF_DYNAMIC_H
/*
 * What the dynamic linker sees of a file: its dynamic symbols and relocations, by PT_DYNAMIC, so
 * that a file whose section headers were stripped shows as much as any other.
 */
#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf_image.h"

struct elf_dynamic {
	Elf64_Sym *symbols;
	size_t symbol_count;
	char *names;             /* zero-terminated */
	size_t names_size;       /* with that zero */
	Elf64_Rela *relocations; /* DT_JMPREL's, then DT_RELA's */
	size_t relocation_count;
	bool program; /* not a shared library: fixed, or a PIE */
};

/* 0 (only `program` is set for a static file); -ENOEXEC when it contradicts itself; -ENOMEM. */
int elf_dynamic__read(const struct elf_image *image, struct elf_dynamic *dynamic);
void elf_dynamic__free(struct elf_dynamic *dynamic);

#endif
