/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_ELF_CODE_H
#define MEMWATCH_ELF_CODE_H
/* The functions of a file: by name, by address, behind its PLT stubs. Addresses are virtual. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct code { /* of a function, or of one of its parts */
	const uint8_t *bytes;
	size_t size;
	uint64_t address;
};

struct elf_symbol { /* a defined function; IFUNCs are none */
	const char *name;
	uint64_t address, size; /* size 0: not known */
	bool exported;          /* global or weak */
};

struct elf_code;

/* 0; -ENOEXEC when it is no ELF file for this machine or a hostile one. `fd` stays the caller's. */
int elf_code__open(int fd, struct elf_code **code);
void elf_code__close(struct elf_code *code);

/* .dynsym's functions and then .symtab's, in the file's order. Live as long as `code`. */
const struct elf_symbol *elf_code__symbols(const struct elf_code *code, size_t *count);
/* Whether it is a program, not a shared library. */
bool elf_code__is_program(const struct elf_code *code);
/* The file offset of an address in an executable segment; false when it is in none. */
bool elf_code__offset(const struct elf_code *code, uint64_t address, uint64_t *offset);
/* Up to `size` bytes at `address`, ending with its segment; how many. */
size_t elf_code__read(const struct elf_code *code, uint64_t address, void *buffer, size_t size);

/* Where the PLT stub at `address` leads; false when there is none or it leads out of the file. */
bool elf_code__behind_stub(const struct elf_code *code, uint64_t address, uint64_t *target);
/*
 * The n-th pointer that the loader sets to a function of another file, or to a symbol at least:
 * where it lies and the symbol's name; false when there are no more. Names live as long as `code`.
 */
bool elf_code__import(const struct elf_code *code, size_t n, uint64_t *slot, const char **name);
/* The address in this file to which the loader sets the n-th pointer, or 0; false as above. */
bool elf_code__pointer(const struct elf_code *code, size_t n, uint64_t *address);
/* The pointer through which the PLT stub at `address` goes; false when there is none. */
bool elf_code__stub_slot(const struct elf_code *code, uint64_t address, uint64_t *slot);
/* Where the function around `address` begins and ends, by its FDE, else by a symbol. */
bool elf_code__bounds(struct elf_code *code, uint64_t address, uint64_t *start, uint64_t *end);
/*
 * The function around `address`, or the one behind the stub there. `context` is the struct
 * elf_code, which owns the bytes: a placement_fetch. False when it is not known.
 */
bool elf_code__fetch(void *context, uint64_t address, struct code *function);

#endif
