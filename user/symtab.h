/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_SYMTAB_H
#define MEMWATCH_SYMTAB_H
/* The functions that ELF symbol tables name, by address. */
#include <libelf.h>
#include <stdbool.h>
#include <stdint.h>

struct symtab;

struct symtab *symtab__new(void);
void symtab__free(struct symtab *symtab);
/* Adds the functions of `elf`'s tables of `type` (SHT_SYMTAB, SHT_DYNSYM); it must live as long as
 * `symtab`. How many it added, or -ENOMEM. */
int symtab__add(struct symtab *symtab, Elf *elf, unsigned int type);
int symtab__sort(
	struct symtab *symtab); /* after the last add, before the first find; 0 or -ENOMEM */

struct symtab_match {
	const char *name; /* as in the file, with a version if it has one */
	uint64_t start;   /* address of the function */
	bool local;
};
/* The function around `address`; its best name when it has several. False: there is none. */
bool symtab__find(const struct symtab *symtab, uint64_t address, struct symtab_match *match);

#endif
