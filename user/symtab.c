/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symtab.h"

#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "span.h"

enum { SYMBOLS_MAX = 16 * 1024 * 1024 }; /* in one object; clang has 0.5 million */

struct symbol {
	uint64_t start, end; /* addresses; end == start until the size is known */
	uint64_t limit;      /* end of its section */
	/* in the ELF's string table; NULL: ends what is before it, names nothing */
	const char *name;
	bool local;
	bool may_extend;     /* without a size, it reaches up to the next symbol */
};

struct symtab {
	struct symbol *items;
	size_t count, room;
	struct spans spans;
};

struct table {
	Elf *elf;
	Elf_Data *data;
	size_t names;  /* index of the string section */
	size_t count;
	bool complete; /* names local functions too: a gap between symbols is nobody's */
};

struct symtab *symtab__new(void)
{
	return calloc(1, sizeof(struct symtab));
}

void symtab__free(struct symtab *symtab)
{
	if (!symtab)
		return;
	spans__free(&symtab->spans);
	free(symtab->items);
	free(symtab);
}

static int symtab__append(struct symtab *symtab, const struct symbol *symbol)
{
	if (symtab->count == SYMBOLS_MAX)
		return 0;
	if (symtab->count == symtab->room) {
		size_t room = symtab->room ? symtab->room * 2 : 256;
		struct symbol *larger = reallocarray(symtab->items, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		symtab->items = larger;
		symtab->room = room;
	}
	symtab->items[symtab->count++] = *symbol;
	return 0;
}

static bool sym__is_function(const GElf_Sym *sym)
{
	switch (GELF_ST_TYPE(sym->st_info)) {
	case STT_FUNC:
	case STT_GNU_IFUNC:
		return true;
	case STT_NOTYPE: /* written in assembly */
		return GELF_ST_BIND(sym->st_info) != STB_LOCAL;
	}
	return false;
}

/* The section of `sym`, if it holds code. */
static bool table__code_section(const struct table *table, const GElf_Sym *sym, GElf_Shdr *section)
{
	unsigned int type = GELF_ST_TYPE(sym->st_info);

	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx >= SHN_LORESERVE || type == STT_SECTION ||
	    type == STT_FILE || type == STT_TLS)
		return false;
	if (!gelf_getshdr(elf_getscn(table->elf, sym->st_shndx), section))
		return false;
	return section->sh_flags & SHF_EXECINSTR && sym->st_value >= section->sh_addr &&
	       sym->st_value - section->sh_addr < section->sh_size &&
	       section->sh_addr + section->sh_size > section->sh_addr;
}

static int symtab__add_sym(struct symtab *symtab, const struct table *table, const GElf_Sym *sym)
{
	struct symbol symbol = { .start = sym->st_value, .end = sym->st_value };
	GElf_Shdr section;

	if (!table__code_section(table, sym, &section))
		return 0;
	symbol.limit = section.sh_addr + section.sh_size;
	symbol.end += sym->st_size < symbol.limit - symbol.start ? sym->st_size
								 : symbol.limit - symbol.start;
	symbol.local = GELF_ST_BIND(sym->st_info) == STB_LOCAL;
	symbol.may_extend = table->complete;
	if (sym__is_function(sym))
		symbol.name = elf_strptr(table->elf, table->names, sym->st_name);
	if (symbol.name && !*symbol.name)
		symbol.name = NULL;
	return symtab__append(symtab, &symbol);
}

/* `strip -x` takes the local symbols: what then lies behind a symbol may be a function without one.
 */
static bool table__has_local_functions(const struct table *table)
{
	GElf_Sym sym;

	for (size_t i = 0; i < table->count && gelf_getsym(table->data, i, &sym); i++) {
		if (GELF_ST_TYPE(sym.st_info) == STT_FUNC && GELF_ST_BIND(sym.st_info) == STB_LOCAL)
			return true;
	}
	return false;
}

static bool table__open(struct table *table, Elf *elf, Elf_Scn *section, unsigned int type)
{
	GElf_Shdr header;

	if (!gelf_getshdr(section, &header) || header.sh_type != type || !header.sh_entsize)
		return false;
	*table = (struct table){ .elf = elf, .names = header.sh_link };
	table->data = elf_getdata(section, NULL);
	if (!table->data || !table->data->d_buf)
		return false;
	table->count = table->data->d_size / header.sh_entsize;
	table->complete = type == SHT_SYMTAB && table__has_local_functions(table);
	return true;
}

int symtab__add(struct symtab *symtab, Elf *elf, unsigned int type)
{
	size_t before = symtab->count;
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section))) {
		struct table table;
		GElf_Sym sym;

		if (!table__open(&table, elf, section, type))
			continue;
		for (size_t i = 0; i < table.count && gelf_getsym(table.data, i, &sym); i++) {
			int error = symtab__add_sym(symtab, &table, &sym);

			if (error)
				return error;
		}
	}
	return symtab->count - before;
}

static bool name__is_versioned(const char *name)
{
	return strchr(name + 1, '@');
}

/* Of several names for one address: what a caller writes (malloc), not what the library calls it
 * inside (__libc_malloc), and not an old version of it. Greater is better. */
static int symbol__compare_names(const struct symbol *left, const struct symbol *right)
{
	size_t lines_left = strspn(left->name, "_"), lines_right = strspn(right->name, "_");
	size_t length_left = strlen(left->name), length_right = strlen(right->name);
	bool versioned_left = name__is_versioned(left->name);
	bool versioned_right = name__is_versioned(right->name);

	if (left->local != right->local)
		return left->local ? -1 : 1;
	if (versioned_left != versioned_right)
		return versioned_left ? -1 : 1;
	if (lines_left != lines_right)
		return lines_left > lines_right ? -1 : 1;
	if (length_left != length_right)
		return length_left > length_right ? -1 : 1;
	return -strcmp(left->name, right->name);
}

static int symbol__compare(const void *a, const void *b)
{
	const struct symbol *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	if (!left->name || !right->name)
		return (left->name != NULL) - (right->name != NULL);
	return symbol__compare_names(left, right);
}

/* Gives symbols without a size what is theirs, back to front. */
static void symtab__extend(struct symtab *symtab)
{
	uint64_t next = UINT64_MAX, start = UINT64_MAX;

	for (size_t i = symtab->count; i-- > 0;) {
		struct symbol *symbol = &symtab->items[i];

		if (symbol->start != start) {
			next = start;
			start = symbol->start;
		}
		if (symbol->name && symbol->end == symbol->start && symbol->may_extend)
			symbol->end = next < symbol->limit ? next : symbol->limit;
	}
}

int symtab__sort(struct symtab *symtab)
{
	if (!symtab->count)
		return 0;
	qsort(symtab->items, symtab->count, sizeof(*symtab->items), symbol__compare);
	symtab__extend(symtab);
	for (size_t i = 0; i < symtab->count; i++) {
		const struct symbol *symbol = &symtab->items[i];

		if (symbol->name && spans__add(&symtab->spans, symbol->start, symbol->end, i))
			return -ENOMEM;
	}
	spans__sort(&symtab->spans);
	return 0;
}

bool symtab__find(const struct symtab *symtab, uint64_t address, struct symtab_match *match)
{
	const struct span *span = spans__find(&symtab->spans, address, NULL);
	const struct symbol *symbol;

	if (!span)
		return false;
	symbol = &symtab->items[span->item];
	*match = (struct symtab_match){ symbol->name, symbol->start, symbol->local };
	return true;
}
