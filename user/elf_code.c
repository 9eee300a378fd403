/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cfi.h"
#include "elf_code.h"
#include "elf_dynamic.h"
#include "elf_image.h"

enum {
	STUB_SIZE = 16,
	FUNCTION_MAX = 1 << 20, /* bytes; what is larger is not fetched */
};

struct chunk { /* bytes that were fetched */
	struct chunk *next;
	uint8_t bytes[];
};

struct elf_code {
	struct elf_image *image;
	struct elf_dynamic dynamic;
	struct elf_symbol *symbols;
	size_t symbol_count;
	struct elf_bytes eh_frame;
	bool eh_frame_tried;
	bool eh_frame_open; /* without a section's size: it ends with a zero length */
	struct chunk *chunks;
};

static bool is_function(const Elf64_Sym *symbol)
{
	return ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && symbol->st_shndx != SHN_UNDEF &&
	       symbol->st_shndx != SHN_ABS;
}

static int add_symbols(struct elf_code *code, const uint8_t *table, size_t count, const char *names,
		       size_t names_size)
{
	size_t functions = 0;
	struct elf_symbol *grown;
	Elf64_Sym symbol;

	for (size_t i = 0; i < count; i++) {
		memcpy(&symbol, table + i * sizeof(symbol), sizeof(symbol));
		functions += is_function(&symbol);
	}
	grown = reallocarray(code->symbols, code->symbol_count + functions + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	code->symbols = grown;
	for (size_t i = 0; i < count; i++) {
		unsigned int binding;

		memcpy(&symbol, table + i * sizeof(symbol), sizeof(symbol));
		if (!is_function(&symbol) || symbol.st_name >= names_size)
			continue;
		binding = ELF64_ST_BIND(symbol.st_info);
		code->symbols[code->symbol_count++] = (struct elf_symbol){
			.name = names + symbol.st_name,
			.address = symbol.st_value,
			.size = symbol.st_size,
			.exported = binding == STB_GLOBAL || binding == STB_WEAK,
		};
	}
	return 0;
}

/* A file without .symtab is the rule, not an error. Names must end in a zero. */
static int add_symtab(struct elf_code *code)
{
	struct elf_bytes table, names;
	int err = elf_image__section(code->image, ".symtab", &table);

	if (!err)
		err = elf_image__section(code->image, ".strtab", &names);
	if (err)
		return err == -ENODATA ? 0 : err;
	if (names.bytes[names.size - 1])
		return -ENOEXEC;
	return add_symbols(code, table.bytes, table.size / sizeof(Elf64_Sym),
			   (const char *)names.bytes, names.size);
}

int elf_code__open(int fd, struct elf_code **code)
{
	struct elf_code *new = calloc(1, sizeof(*new));
	int err;

	*code = NULL;
	if (!new)
		return -ENOMEM;
	err = elf_image__open(fd, &new->image);
	if (!err)
		err = elf_dynamic__read(new->image, &new->dynamic);
	if (!err)
		err = add_symbols(new, (const uint8_t *)new->dynamic.symbols,
				  new->dynamic.symbol_count, new->dynamic.names,
				  new->dynamic.names_size);
	if (!err)
		err = add_symtab(new);
	if (err) {
		elf_code__close(new);
		return err;
	}
	*code = new;
	return 0;
}

void elf_code__close(struct elf_code *code)
{
	struct chunk *next;

	if (!code)
		return;
	for (struct chunk *chunk = code->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(code->symbols);
	elf_dynamic__free(&code->dynamic);
	elf_image__close(code->image);
	free(code);
}

const struct elf_symbol *elf_code__symbols(const struct elf_code *code, size_t *count)
{
	*count = code->symbol_count;
	return code->symbols;
}

bool elf_code__is_program(const struct elf_code *code)
{
	return code->dynamic.program;
}

static const struct elf_segment *segment_of(const struct elf_code *code, uint64_t address)
{
	size_t count;
	const struct elf_segment *segments = elf_image__segments(code->image, &count);

	for (size_t i = 0; i < count; i++)
		if (address - segments[i].address < segments[i].size)
			return &segments[i];
	return NULL;
}

bool elf_code__offset(const struct elf_code *code, uint64_t address, uint64_t *offset)
{
	const struct elf_segment *segment = segment_of(code, address);

	if (!segment)
		return false;
	*offset = address - segment->address + segment->offset;
	return true;
}

size_t elf_code__read(const struct elf_code *code, uint64_t address, void *buffer, size_t size)
{
	const struct elf_segment *segment = segment_of(code, address);
	uint64_t inside;
	ssize_t n;

	if (!segment)
		return 0;
	inside = address - segment->address;
	if (size > segment->size - inside)
		size = segment->size - inside;
	n = elf_image__read(code->image, buffer, size, segment->offset + inside);
	return n < 0 ? 0 : (size_t)n;
}

/* The slot of [endbr64] [bnd] jmp *slot(%rip): a stub of .plt, .plt.sec or .plt.got. */
bool elf_code__stub_slot(const struct elf_code *code, uint64_t address, uint64_t *slot)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	uint8_t bytes[STUB_SIZE];
	size_t at = 0;
	int32_t distance;

	if (elf_code__read(code, address, bytes, sizeof(bytes)) != sizeof(bytes))
		return false;
	if (!memcmp(bytes, endbr64, sizeof(endbr64)))
		at += sizeof(endbr64);
	if (bytes[at] == 0xf2)
		at++;
	if (bytes[at] != 0xff || bytes[at + 1] != 0x25)
		return false;
	memcpy(&distance, bytes + at + 2, sizeof(distance));
	*slot = address + at + 6 + (uint64_t)(int64_t)distance;
	return true;
}

/* A symbol that another file could define first is taken to be this file's own. */
static bool target_of_relocation(const struct elf_code *code, const Elf64_Rela *relocation,
				 uint64_t *target)
{
	uint64_t index = ELF64_R_SYM(relocation->r_info);

	switch (ELF64_R_TYPE(relocation->r_info)) {
	case R_X86_64_RELATIVE:
		*target = (uint64_t)relocation->r_addend;
		return true;
	case R_X86_64_JUMP_SLOT:
	case R_X86_64_GLOB_DAT:
		if (index >= code->dynamic.symbol_count ||
		    !is_function(&code->dynamic.symbols[index]))
			return false;
		*target = code->dynamic.symbols[index].st_value;
		return true;
	default:
		return false;
	}
}

bool elf_code__behind_stub(const struct elf_code *code, uint64_t address, uint64_t *target)
{
	uint64_t slot;

	if (!elf_code__stub_slot(code, address, &slot))
		return false;
	for (size_t i = 0; i < code->dynamic.relocation_count; i++)
		if (code->dynamic.relocations[i].r_offset == slot)
			return target_of_relocation(code, &code->dynamic.relocations[i], target);
	return false;
}

bool elf_code__import(const struct elf_code *code, size_t n, uint64_t *slot, const char **name)
{
	const struct elf_dynamic *dynamic = &code->dynamic;
	const Elf64_Rela *relocation;
	uint64_t symbol;

	if (n >= dynamic->relocation_count)
		return false;
	relocation = &dynamic->relocations[n];
	symbol = ELF64_R_SYM(relocation->r_info);
	*slot = relocation->r_offset;
	*name = "";
	if (symbol < dynamic->symbol_count &&
	    dynamic->symbols[symbol].st_name < dynamic->names_size)
		*name = dynamic->names + dynamic->symbols[symbol].st_name;
	return true;
}

bool elf_code__pointer(const struct elf_code *code, size_t n, uint64_t *address)
{
	if (n >= code->dynamic.relocation_count)
		return false;
	if (!target_of_relocation(code, &code->dynamic.relocations[n], address))
		*address = 0;
	return true;
}

static void find_eh_frame(struct elf_code *code)
{
	if (code->eh_frame_tried)
		return;
	code->eh_frame_tried = true;
	if (!elf_image__section(code->image, ".eh_frame", &code->eh_frame))
		return;
	code->eh_frame_open = true;
	if (elf_image__eh_frame(code->image, &code->eh_frame))
		code->eh_frame = (struct elf_bytes){ 0 };
}

static bool bounds_by_fde(struct elf_code *code, uint64_t address, uint64_t *start, uint64_t *end)
{
	struct cfi_section section;
	struct cfi_fde fde;
	size_t position = 0;
	struct cfi cfi;

	find_eh_frame(code);
	if (!code->eh_frame.size)
		return false;
	section = (struct cfi_section){ code->eh_frame.bytes, code->eh_frame.size,
					code->eh_frame.address, false, code->eh_frame_open };
	cfi__init(&cfi, &section);
	while (cfi__next(&cfi, &position, &fde)) {
		if (address - fde.start >= fde.end - fde.start)
			continue;
		*start = fde.start;
		*end = fde.end;
		return true;
	}
	return false;
}

bool elf_code__bounds(struct elf_code *code, uint64_t address, uint64_t *start, uint64_t *end)
{
	if (bounds_by_fde(code, address, start, end))
		return true;
	for (size_t i = 0; i < code->symbol_count; i++) {
		if (address - code->symbols[i].address >= code->symbols[i].size)
			continue;
		*start = code->symbols[i].address;
		*end = code->symbols[i].address + code->symbols[i].size;
		return true;
	}
	return false;
}

bool elf_code__fetch(void *context, uint64_t address, struct code *function)
{
	struct elf_code *code = context;
	bool stub = elf_code__behind_stub(code, address, &address);
	uint64_t start, end;
	struct chunk *chunk;

	if (!elf_code__bounds(code, address, &start, &end) || end - start > FUNCTION_MAX)
		return false;
	if (stub && start != address)
		return false;
	chunk = malloc(sizeof(*chunk) + end - start);
	if (!chunk)
		return false;
	chunk->next = code->chunks;
	code->chunks = chunk;
	function->bytes = chunk->bytes;
	function->address = start;
	function->size = elf_code__read(code, start, chunk->bytes, end - start);
	return address - start < function->size;
}
