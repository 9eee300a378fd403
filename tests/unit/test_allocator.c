/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files made here, without section headers, and what the machine's own allocators define. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "user/allocator.h"

enum {
	BASE = 0x10000, /* virtual address of the file's first byte */
	CODE = 0x200, /* file offsets */
	SYMBOLS = 0x400,
	NAMES = 0x600,
	HASH = 0x800,
	RELOCATIONS = 0x900,
	DYNAMIC = 0xa00,
	SLOT = 0xb00,
	FILE_SIZE = 0xc00,
	FUNC = STT_FUNC,
	GLOBAL = STB_GLOBAL,
};

struct function {
	const char *name;
	unsigned char bind, type;
	uint16_t at; /* in the code; 0xffff: undefined */
	uint16_t size;
};

struct file {
	uint8_t bytes[FILE_SIZE];
	Elf64_Ehdr *header;
	Elf64_Phdr *segments;
	Elf64_Sym *symbols;
	size_t symbol_count, names_size;
};

static void add_function(struct file *file, const struct function *function)
{
	Elf64_Sym *symbol = &file->symbols[file->symbol_count++];

	symbol->st_name = file->names_size;
	symbol->st_info = ELF64_ST_INFO(function->bind, function->type);
	symbol->st_shndx = function->at == 0xffff ? SHN_UNDEF : 1;
	symbol->st_value = function->at == 0xffff ? 0 : BASE + CODE + function->at;
	symbol->st_size = function->size;
	strcpy((char *)file->bytes + NAMES + file->names_size, function->name);
	file->names_size += strlen(function->name) + 1;
}

/* A library of `functions`, up to one without a name. Relocation 0 fills the slot with symbol 1. */
static void build(struct file *file, const struct function *functions, const void *code,
		  size_t size)
{
	Elf64_Dyn *dynamic;
	Elf64_Rela *relocation;
	uint32_t *hash;

	memset(file, 0, sizeof(*file));
	file->header = (Elf64_Ehdr *)file->bytes;
	memcpy(file->header->e_ident, ELFMAG, SELFMAG);
	file->header->e_ident[EI_CLASS] = ELFCLASS64;
	file->header->e_ident[EI_DATA] = ELFDATA2LSB;
	file->header->e_ident[EI_VERSION] = EV_CURRENT;
	file->header->e_type = ET_DYN;
	file->header->e_machine = EM_X86_64;
	file->header->e_version = EV_CURRENT;
	file->header->e_phoff = file->header->e_ehsize = sizeof(Elf64_Ehdr);
	file->header->e_phentsize = sizeof(Elf64_Phdr);
	file->header->e_phnum = 2;
	file->segments = (Elf64_Phdr *)(file->header + 1);
	file->segments[0] = (Elf64_Phdr){ PT_LOAD, PF_R | PF_X, 0,         0x10000,
					  0x10000, FILE_SIZE,   FILE_SIZE, 4096 };
	file->segments[1] =
		(Elf64_Phdr){ PT_DYNAMIC, PF_R, DYNAMIC, BASE + DYNAMIC, 0, 0x100, 0x100, 8 };
	memcpy(file->bytes + CODE, code, size);
	file->symbols = (Elf64_Sym *)(file->bytes + SYMBOLS);
	file->symbol_count = file->names_size = 1;
	for (; functions->name; functions++)
		add_function(file, functions);
	hash = (uint32_t *)(file->bytes + HASH);
	hash[0] = 1;
	hash[1] = file->symbol_count;
	relocation = (Elf64_Rela *)(file->bytes + RELOCATIONS);
	*relocation = (Elf64_Rela){ BASE + SLOT, ELF64_R_INFO(1, R_X86_64_JUMP_SLOT), 0 };
	dynamic = (Elf64_Dyn *)(file->bytes + DYNAMIC);
	*dynamic++ = (Elf64_Dyn){ DT_HASH, { BASE + HASH } };
	*dynamic++ = (Elf64_Dyn){ DT_SYMTAB, { BASE + SYMBOLS } };
	*dynamic++ = (Elf64_Dyn){ DT_STRTAB, { BASE + NAMES } };
	*dynamic++ = (Elf64_Dyn){ DT_STRSZ, { file->names_size } };
	*dynamic++ = (Elf64_Dyn){ DT_PLTREL, { DT_RELA } };
	*dynamic++ = (Elf64_Dyn){ DT_JMPREL, { BASE + RELOCATIONS } };
	*dynamic++ = (Elf64_Dyn){ DT_PLTRELSZ, { sizeof(Elf64_Rela) } };
}

struct listing {
	struct objects *objects;
	struct object *object;
	struct entry *entries;
	size_t count;
	int err;
};

static void list_path(struct listing *listing, const char *path)
{
	memset(listing, 0, sizeof(*listing));
	listing->objects = objects__new();
	listing->object = objects__of_path(listing->objects, path);
	if (listing->object)
		listing->err =
			allocator__entries(listing->object, &listing->entries, &listing->count);
}

static void list_bytes(struct listing *listing, const void *bytes, size_t size)
{
	int fd = memfd_create("test_allocator", MFD_CLOEXEC);
	char path[32];

	assert_int_equal(write(fd, bytes, size), size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	list_path(listing, path);
	close(fd);
}

static void list(struct listing *listing, const struct file *file)
{
	list_bytes(listing, file->bytes, sizeof(file->bytes));
	assert_non_null(listing->object);
}

static void unlist(struct listing *listing)
{
	free(listing->entries);
	objects__free(listing->objects);
}

static const struct entry *find(const struct listing *listing, const char *name)
{
	for (size_t i = 0; i < listing->count; i++)
		if (!strcmp(listing->entries[i].name, name))
			return &listing->entries[i];
	return NULL;
}

static void takes_defined_functions_once(void **state)
{
	static const struct function functions[] = {
		{ "__libc_malloc", GLOBAL, FUNC, 0x10, 2 }, /* an alias of malloc */
		{ "malloc", STB_WEAK, FUNC, 0x10, 2 },
		{ "free", GLOBAL, FUNC, 0x00, 1 },
		{ "calloc", GLOBAL, FUNC, 0xffff, 0 }, /* another file's */
		{ "realloc", GLOBAL, STT_GNU_IFUNC, 0x20, 1 }, /* a resolver */
		{ "valloc", GLOBAL, STT_OBJECT, 0x30, 8 },
		{ "memalign", STB_LOCAL, FUNC, 0x40, 1 }, /* a library's own */
		{ "mallocs", GLOBAL, FUNC, 0x50, 1 },
		{ "pvalloc", GLOBAL, FUNC, 0x7000, 1 }, /* outside of the code */
		{ NULL, 0, 0, 0, 0 },
	};
	struct listing listing;
	struct file file;

	(void)state;
	build(&file, functions, "\xc3", 1);
	list(&listing, &file);
	assert_int_equal(listing.err, 0);
	assert_int_equal(listing.count, 2);
	assert_string_equal(listing.entries[0].name, "free");
	assert_int_equal(listing.entries[0].kind, ENTRY_FREE);
	assert_false(listing.entries[0].uses_return);
	assert_string_equal(listing.entries[1].name, "malloc");
	assert_int_equal(listing.entries[1].kind, ENTRY_MALLOC);
	assert_true(listing.entries[1].uses_return);
	assert_false(listing.entries[1].keeps_return);
	assert_int_equal(listing.entries[1].address, BASE + CODE + 0x10);
	assert_int_equal(listing.entries[1].offset, CODE + 0x10);
	assert_int_equal(listing.entries[1].size, 2);
	unlist(&listing);
}

static void takes_local_functions_of_programs(void **state)
{
	static const struct function functions[] = {
		{ "malloc", STB_LOCAL, FUNC, 0, 1 },
		{ NULL, 0, 0, 0, 0 },
	};
	struct listing listing;
	struct file file;

	(void)state;
	build(&file, functions, "\xc3", 1);
	list(&listing, &file);
	assert_int_equal(listing.count, 0);
	unlist(&listing);
	file.header->e_type = ET_EXEC;
	list(&listing, &file);
	assert_int_equal(listing.count, 1);
	unlist(&listing);
}

/* 0: malloc; 0x10: jmp free; 0x20: a PLT stub of symbol 1; 0x30: jmp to the stub; 0x40: free. */
static void passes_over_thunks(void **state)
{
	static const struct function functions[] = {
		{ "malloc", GLOBAL, FUNC, 0x00, 2 },
		{ "_ZdlPv", GLOBAL, FUNC, 0x10, 5 },
		{ "valloc", GLOBAL, FUNC, 0x30, 9 },
		{ "mi_calloc", GLOBAL, FUNC, 0x50, 5 }, /* jumps, but to another kind */
		{ "free", GLOBAL, FUNC, 0x40, 1 },
		{ NULL, 0, 0, 0, 0 },
	};
	uint8_t code[0x60] = { 0x53, 0xc3 };
	struct listing listing;
	struct file file;

	(void)state;
	memcpy(code + 0x10, "\xe9\x2b\x00\x00\x00", 5);
	memcpy(code + 0x20, "\xff\x25\xda\x08\x00\x00", 6); /* SLOT - CODE - 0x26 */
	memcpy(code + 0x30, "\xf3\x0f\x1e\xfa\xe9\xe7\xff\xff\xff", 9);
	code[0x40] = 0xc3;
	memcpy(code + 0x50, "\xe9\xab\xff\xff\xff", 5);
	build(&file, functions, code, sizeof(code));
	list(&listing, &file);
	assert_int_equal(listing.err, 0);
	assert_int_equal(listing.count, 3);
	assert_non_null(find(&listing, "malloc"));
	assert_non_null(find(&listing, "free"));
	assert_non_null(find(&listing, "mi_calloc"));
	unlist(&listing);
}

static void takes_operators_beside_an_allocator(void **state)
{
	static const struct function functions[] = {
		{ "_Znwm", GLOBAL, FUNC, 0x10, 6 },
		{ "_Znam", GLOBAL, FUNC, 0x20, 6 },
		{ "malloc", GLOBAL, FUNC, 0x00, 2 },
		{ NULL, 0, 0, 0, 0 },
	};
	uint8_t code[0x30] = { 0x53, 0xc3 };
	struct placement placement;
	const struct entry *entry;
	struct listing listing;
	struct file file;
	uint64_t exits[4];

	(void)state;
	memcpy(code + 0x10, "\x55\x74\x01\xc3\x5d\xc3", 6);
	memcpy(code + 0x20, "\xe8\xdb\xff\xff\xff\xc3", 6); /* call malloc; ret */
	build(&file, functions, code, sizeof(code));
	list(&listing, &file);
	assert_int_equal(listing.count, 2);
	entry = find(&listing, "operator new(unsigned long)");
	assert_non_null(entry);
	assert_true(entry->keeps_return);
	assert_int_equal(allocator__exits(listing.object, entry, exits, 4), 2);
	assert_int_equal(exits[0], CODE + 0x13);
	assert_int_equal(exits[1], CODE + 0x15);
	assert_int_equal(allocator__exits(listing.object, entry, exits, 1), -ENOTSUP);
	assert_int_equal(allocator__place(listing.object, entry, &placement), 0);
	assert_int_equal(placement.offset, 0);
	assert_true(placement.emulated);
	unlist(&listing);

	file.symbols[3].st_shndx = SHN_UNDEF;
	list(&listing, &file);
	assert_int_equal(listing.count, 0);
	unlist(&listing);
}

static void refuses_what_is_no_elf_file(void **state)
{
	static const struct function none[] = { { NULL, 0, 0, 0, 0 } };
	struct listing listing;
	struct file file;

	(void)state;
	list_bytes(&listing, "#!/bin/sh\n", 10);
	assert_int_equal(listing.err, -ENOEXEC);
	assert_null(listing.entries);
	unlist(&listing);
	build(&file, none, "", 0);
	file.header->e_machine = EM_AARCH64;
	list(&listing, &file);
	assert_int_equal(listing.err, -ENOEXEC);
	unlist(&listing);
}

/* Reads on whatever it gets; entries that it still finds can be asked for all. */
static void examine(const void *bytes, size_t size)
{
	struct placement placement;
	struct listing listing;
	uint64_t exits[8];

	list_bytes(&listing, bytes, size);
	for (size_t i = 0; i < listing.count; i++) {
		allocator__place(listing.object, &listing.entries[i], &placement);
		allocator__exits(listing.object, &listing.entries[i], exits, 8);
		assert_true(listing.entries[i].offset < size);
	}
	assert_true(!listing.err || !listing.entries);
	unlist(&listing);
}

static void survives_a_lying_file(void **state)
{
	static const struct function functions[] = {
		{ "malloc", GLOBAL, FUNC, 0, 2 },
		{ "_Znwm", GLOBAL, FUNC, 0x10, 6 },
		{ "free", GLOBAL, FUNC, 0x20, 0 },
		{ NULL, 0, 0, 0, 0 },
	};
	static const uint8_t values[] = { 0x00, 0x7f, 0xff };
	struct file file;

	(void)state;
	build(&file, functions, "\x53\xc3", 2);
	for (size_t size = 0; size < FILE_SIZE; size += 23)
		examine(file.bytes, size);
	for (size_t at = 0; at < FILE_SIZE; at++) {
		uint8_t was = file.bytes[at];

		if (!was && at >= CODE && (at < DYNAMIC || at >= DYNAMIC + 0x80))
			continue; /* padding */
		for (size_t i = 0; i < sizeof(values); i++) {
			file.bytes[at] = values[i];
			examine(file.bytes, sizeof(file.bytes));
		}
		file.bytes[at] = was;
	}
}

struct expectation {
	const char *path, *name, *instruction;
	bool emulated;
	int exits; /* of what may throw; -1: any */
};

#define GNU "/usr/lib/x86_64-linux-gnu/"
#define JEMALLOC GNU "libjemalloc.so.2"
#define TCMALLOC GNU "libtcmalloc_minimal.so.4"
#define MIMALLOC GNU "libmimalloc.so.2"
#define MUSL "/usr/lib/x86_64-linux-musl/libc.so"

/* Read from the disassembly of Debian 12's files. */
static const struct expectation expectations[] = {
	{ GNU "libc.so.6", "malloc", "push", true, -1 },
	{ GNU "libc.so.6", "calloc", "push", true, -1 },
	{ GNU "libc.so.6", "realloc", "push", true, -1 },
	{ GNU "libc.so.6", "free", "push", true, -1 }, /* behind the null branch */
	{ GNU "libc.so.6", "aligned_alloc", "jz", true, -1 },
	{ GNU "libc.so.6", "posix_memalign", "push", true, -1 },
	{ GNU "libc.so.6", "valloc", "push", true, -1 },
	{ GNU "libc.so.6", "pvalloc", "push", true, -1 },
	{ GNU "libc.so.6", "reallocarray", "mov", false, -1 },
	{ GNU "libc.so.6", "mmap", "jnz", true, -1 },
	{ GNU "libc.so.6", "munmap", "mov", false, -1 },
	{ GNU "libc.so.6", "mremap", "jnbe", true, -1 },
	{ JEMALLOC, "malloc", "jnbe", true, -1 },
	{ JEMALLOC, "free", "jnz", true, -1 },
	{ JEMALLOC, "operator new(unsigned long)", "jnbe", true, 3 },
	{ JEMALLOC, "operator new(unsigned long, std::align_val_t)", "push", true, 2 },
	{ JEMALLOC, "operator delete(void*, unsigned long)", "call", true, -1 },
	{ TCMALLOC, "malloc", "jnz", true, -1 },
	{ TCMALLOC, "free", "jnz", true, -1 },
	{ TCMALLOC, "operator new(unsigned long)", "jnz", true, 4 },
	{ TCMALLOC, "operator new(unsigned long, std::align_val_t)", "jnbe", true, 5 },
	{ MIMALLOC, "malloc", "jnbe", true, -1 },
	{ MIMALLOC, "free", "jnz", true, -1 },
	{ MIMALLOC, "operator new(unsigned long)", "push", true, 3 },
	{ MUSL, "malloc", "jmp", true, -1 },
	{ MUSL, "free", "jmp", true, -1 },
	{ MUSL, "posix_memalign", "push", true, -1 },
};

static void check_expectation(const struct expectation *expectation)
{
	const struct entry *entry;
	struct placement placement;
	struct listing listing;
	uint64_t exits[64];
	size_t length = strlen(expectation->instruction);

	list_path(&listing, expectation->path);
	entry = find(&listing, expectation->name);
	if (!entry)
		print_error("%s: no %s\n", expectation->path, expectation->name);
	assert_non_null(entry);
	assert_int_equal(allocator__place(listing.object, entry, &placement), 0);
	if (strncmp(placement.instruction, expectation->instruction, length))
		print_error("%s: %s: %s\n", expectation->path, entry->name, placement.instruction);
	assert_memory_equal(placement.instruction, expectation->instruction, length);
	assert_int_equal(placement.emulated, expectation->emulated);
	assert_int_equal(entry->keeps_return, expectation->exits >= 0);
	if (entry->keeps_return)
		assert_int_equal(allocator__exits(listing.object, entry, exits, 64),
				 expectation->exits);
	unlist(&listing);
}

static void knows_the_allocators_of_debian(void **state)
{
	const char *missing = "";

	(void)state;
	for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
		if (!access(expectations[i].path, R_OK))
			check_expectation(&expectations[i]);
		else if (strcmp(missing, expectations[i].path))
			print_message("SKIP %s: not installed\n", missing = expectations[i].path);
	}
}

static void finds_none_where_there_is_none(void **state)
{
	static const char *const paths[] = { GNU "libstdc++.so.6", "/lib64/ld-linux-x86-64.so.2" };
	struct listing listing;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (access(paths[i], R_OK)) {
			print_message("SKIP %s: not installed\n", paths[i]);
			continue;
		}
		list_path(&listing, paths[i]);
		assert_int_equal(listing.err, 0);
		assert_int_equal(listing.count, 0);
		unlist(&listing);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_defined_functions_once),
		cmocka_unit_test(takes_local_functions_of_programs),
		cmocka_unit_test(passes_over_thunks),
		cmocka_unit_test(takes_operators_beside_an_allocator),
		cmocka_unit_test(refuses_what_is_no_elf_file),
		cmocka_unit_test(survives_a_lying_file),
		cmocka_unit_test(knows_the_allocators_of_debian),
		cmocka_unit_test(finds_none_where_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
