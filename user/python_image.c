/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python_image.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf_code.h"
#include "elf_dynamic.h"
#include "elf_image.h"
#include "python_reference.h"

enum symbol_id {
	RUNTIME,
	EVALUATOR,
	EVALUATOR_COLD,
	EVALUATOR_OLD, /* 2.7's */
	CODE_TYPE, /* the three in the order of enum python_type */
	STR_TYPE,
	BYTES_TYPE,
	VERSION,
	GET_VERSION,
	GET_STATE,
	SYMBOLS,
};

static const char *const symbol_names[SYMBOLS] = {
	[RUNTIME] = "_PyRuntime",
	[EVALUATOR] = "_PyEval_EvalFrameDefault",
	[EVALUATOR_COLD] = "_PyEval_EvalFrameDefault.cold",
	[EVALUATOR_OLD] = "PyEval_EvalFrameEx",
	[CODE_TYPE] = "PyCode_Type",
	[STR_TYPE] = "PyUnicode_Type",
	[BYTES_TYPE] = "PyBytes_Type",
	[VERSION] = "Py_Version",
	[GET_VERSION] = "Py_GetVersion",
	[GET_STATE] = "PyGILState_GetThisThreadState",
};

enum {
	VERSION_TEXT = 24, /* bytes looked at */
	EVALUATOR_MIN =
		16 * 1024, /* the smallest real one has 30 KiB: below, it only calls others */
};

/* Include/internal/pycore_debug_offsets.h: how _PyRuntime begins from 3.13 on. */
struct debug_offsets {
	char cookie[8]; /* "xdebugpy" */
	uint64_t version;
	uint64_t free_threaded;
	uint64_t runtime_size, runtime_finalizing, interpreters;
	uint64_t interpreter_size, interpreter_id, interpreter_next, interpreter_threads;
};

struct place {
	uint64_t address, size;
};

struct reader {
	struct elf_image *elf;
	struct elf_dynamic dynamic;
	struct elf_code *code;
	struct place symbols[SYMBOLS];
};

static void take_symbol(struct reader *reader, const Elf64_Sym *symbol, const char *name)
{
	if (symbol->st_shndx == SHN_UNDEF || (name[0] != '_' && name[0] != 'P'))
		return;
	for (int i = 0; i < SYMBOLS; i++)
		if (!reader->symbols[i].address && !strcmp(name, symbol_names[i]))
			reader->symbols[i] = (struct place){ symbol->st_value, symbol->st_size };
}

/* `names` ends in a zero. */
static void take_symbols(struct reader *reader, const uint8_t *table, size_t count,
			 const char *names, size_t names_size)
{
	Elf64_Sym symbol;

	for (size_t i = 0; i < count; i++) {
		memcpy(&symbol, table + i * sizeof(symbol), sizeof(symbol));
		if (symbol.st_name < names_size)
			take_symbol(reader, &symbol, names + symbol.st_name);
	}
}

static void take_symtab(struct reader *reader)
{
	struct elf_bytes table, names;

	if (!elf_image__section(reader->elf, ".symtab", &table) &&
	    !elf_image__section(reader->elf, ".strtab", &names) && !names.bytes[names.size - 1])
		take_symbols(reader, table.bytes, table.size / sizeof(Elf64_Sym),
			     (const char *)names.bytes, names.size);
}

static bool has_interpreter(const struct reader *reader)
{
	return reader->symbols[CODE_TYPE].address && reader->symbols[GET_VERSION].address &&
	       (reader->symbols[EVALUATOR].address || reader->symbols[EVALUATOR_OLD].address);
}

/* A library exports its interpreter; a program need not. */
static int find_symbols(struct reader *reader)
{
	const struct elf_dynamic *dynamic = &reader->dynamic;

	take_symbols(reader, (const uint8_t *)dynamic->symbols, dynamic->symbol_count,
		     dynamic->names, dynamic->names_size);
	if (has_interpreter(reader) || dynamic->program)
		take_symtab(reader);
	return has_interpreter(reader) ? 0 : -ENOENT;
}

/* Bytes of the file at a virtual address, executable or not; false when they are not there. */
static bool read_at(const struct reader *reader, uint64_t address, void *buffer, size_t size)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;

	if (elf_image__read(reader->elf, &header, sizeof(header), 0) != sizeof(header))
		return false;
	for (unsigned int i = 0; i < header.e_phnum; i++) {
		uint64_t inside;

		if (elf_image__read(reader->elf, &segment, sizeof(segment),
				    header.e_phoff + i * sizeof(segment)) != sizeof(segment))
			return false;
		inside = address - segment.p_vaddr;
		if (segment.p_type == PT_LOAD && inside < segment.p_filesz &&
		    size <= segment.p_filesz - inside)
			return elf_image__read(reader->elf, buffer, size,
					       segment.p_offset + inside) == (ssize_t)size;
	}
	return false;
}

/* What the loader puts into a slot that belongs to a symbol. */
static struct python_slot slot_of(const struct reader *reader, enum symbol_id id)
{
	const struct elf_dynamic *dynamic = &reader->dynamic;

	for (size_t i = 0; i < dynamic->relocation_count; i++) {
		const Elf64_Rela *relocation = &dynamic->relocations[i];
		uint64_t index = ELF64_R_SYM(relocation->r_info);
		const char *name;

		if (ELF64_R_TYPE(relocation->r_info) != R_X86_64_GLOB_DAT ||
		    index >= dynamic->symbol_count ||
		    dynamic->symbols[index].st_name >= dynamic->names_size)
			continue;
		name = dynamic->names + dynamic->symbols[index].st_name;
		if (!strcmp(name, symbol_names[id]))
			return (struct python_slot){ relocation->r_offset,
						     reader->symbols[id].address };
	}
	return (struct python_slot){ 0 };
}

static bool parse_version(const char *text, unsigned int *major, unsigned int *minor)
{
	int end = 0;

	if (!isdigit((unsigned char)*text) || sscanf(text, "%1u.%2u.%n", major, minor, &end) != 2 ||
	    !end)
		return false;
	return isdigit((unsigned char)text[end]) && *major >= 2 && *major <= 3;
}

struct version_search {
	const struct reader *reader;
	unsigned int major, minor;
};

/* Py_GetVersion names the text of PY_VERSION, "3.10.13". */
static bool see_version(void *context, const struct python_reference *reference)
{
	struct version_search *search = context;
	char text[VERSION_TEXT + 1] = { 0 };

	return reference->size ||
	       !read_at(search->reader, reference->address, text, VERSION_TEXT) ||
	       !parse_version(text, &search->major, &search->minor);
}

static void find_version(struct reader *reader, unsigned int *major, unsigned int *minor)
{
	struct version_search search = { .reader = reader };
	uint64_t hex; /* PY_VERSION_HEX, an unsigned long, since 3.11 */
	struct code function;

	if (reader->symbols[VERSION].address &&
	    read_at(reader, reader->symbols[VERSION].address, &hex, sizeof(hex))) {
		*major = hex >> 24 & 0xff;
		*minor = hex >> 16 & 0xff;
		return;
	}
	if (elf_code__fetch(reader->code, reader->symbols[GET_VERSION].address, &function))
		python_reference__each(&function, NULL, see_version, &search);
	*major = search.major;
	*minor = search.minor;
}

struct tss_search {
	struct place runtime;
	uint64_t tss;
};

/*
 * PyGILState_GetThisThreadState passes the Py_tss_t's address on, or, when the thread functions
 * are inlined, reads its two ints, the second being the key.
 */
static bool see_tss(void *context, const struct python_reference *reference)
{
	struct tss_search *search = context;
	uint64_t inside = reference->address - search->runtime.address;

	if (!inside || inside >= search->runtime.size)
		return true;
	if (!reference->size) {
		search->tss = reference->address;
		return false;
	}
	if (reference->size == 4)
		search->tss = reference->address - 4;
	return true;
}

/* 0 when the code does not tell. */
static uint64_t find_tss(struct reader *reader)
{
	struct tss_search search = { .runtime = reader->symbols[RUNTIME] };
	struct python_slot slot = slot_of(reader, RUNTIME);
	struct code function;

	if (reader->symbols[GET_STATE].address &&
	    elf_code__fetch(reader->code, reader->symbols[GET_STATE].address, &function))
		python_reference__each(&function, &slot, see_tss, &search);
	return search.tss;
}

static int find_evaluator(struct reader *reader, struct python_image *image)
{
	const struct place *body = &reader->symbols[EVALUATOR];
	const struct place *cold = &reader->symbols[EVALUATOR_COLD];
	uint64_t(*ranges)[2] = image->evaluator;

	ranges[0][0] = body->address;
	ranges[0][1] = body->address + body->size;
	if ((!body->size &&
	     !elf_code__bounds(reader->code, body->address, &ranges[0][0], &ranges[0][1])) ||
	    !elf_code__offset(reader->code, ranges[0][0], &image->evaluator_offset))
		return -ENOEXEC;
	if (cold->address && cold->size) {
		ranges[1][0] = cold->address;
		ranges[1][1] = cold->address + cold->size;
	} else {
		python_reference__cold_part(reader->code, ranges[0], ranges[1]);
	}
	return 0;
}

__attribute__((format(printf, 2, 3))) static int refuse(struct python_image *image,
							const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(image->reason, sizeof(image->reason), format, arguments);
	va_end(arguments);
	return -EOPNOTSUPP;
}

static bool read_offsets(const struct reader *reader, struct debug_offsets *offsets)
{
	return read_at(reader, reader->symbols[RUNTIME].address, offsets, sizeof(*offsets)) &&
	       !memcmp(offsets->cookie, "xdebugpy", sizeof(offsets->cookie));
}

static int check_version(struct reader *reader, struct python_image *image)
{
	struct debug_offsets offsets;
	unsigned int major, minor;

	find_version(reader, &major, &minor);
	if (!major)
		return refuse(image, "its CPython does not tell its version");
	image->version = python_version__find(major, minor);
	if (!image->version)
		return refuse(image, "CPython %u.%u is not supported (3.%d to 3.%d are)", major,
			      minor, PYTHON_OLDEST, PYTHON_NEWEST);
	if (!reader->symbols[RUNTIME].address || !reader->symbols[STR_TYPE].address ||
	    !reader->symbols[BYTES_TYPE].address || !reader->symbols[EVALUATOR].address)
		return refuse(image, "its CPython %u.%u lacks symbols", major, minor);
	if (read_offsets(reader, &offsets) && offsets.free_threaded)
		return refuse(image, "free-threaded CPython is not supported");
	return 0;
}

/* Where all thread states are, for threads that use several. */
static void find_interpreters(struct reader *reader, struct python_image *image)
{
	const struct python_version *version = image->version;
	uint64_t runtime = reader->symbols[RUNTIME].address;
	struct debug_offsets offsets;

	if (version->holder)
		image->holder = runtime + version->holder;
	if (version->interpreters)
		image->interpreters = runtime + version->interpreters;
	image->interpreter_next = version->frames.interpreter_next;
	image->interpreter_threads = version->frames.interpreter_threads;
	if (!read_offsets(reader, &offsets) || offsets.interpreter_next > UINT16_MAX ||
	    offsets.interpreter_threads > UINT16_MAX)
		return;
	image->interpreters = runtime + offsets.interpreters;
	image->interpreter_next = offsets.interpreter_next;
	image->interpreter_threads = offsets.interpreter_threads;
}

static int fill(struct reader *reader, struct python_image *image)
{
	int error = check_version(reader, image);

	if (error)
		return error;
	if (find_evaluator(reader, image) ||
	    image->evaluator[0][1] - image->evaluator[0][0] < EVALUATOR_MIN)
		return refuse(image, "its CPython's evaluator is not one function");
	image->tss = find_tss(reader);
	if (!image->tss && image->version->tss)
		image->tss = reader->symbols[RUNTIME].address + image->version->tss;
	if (!image->tss)
		return refuse(image, "its CPython does not tell where the thread state is");
	find_interpreters(reader, image);
	for (int i = 0; i < PYTHON_TYPES; i++) {
		image->types[i] = reader->symbols[CODE_TYPE + i].address;
		image->type_slots[i] = slot_of(reader, CODE_TYPE + i).slot;
	}
	return 0;
}

int python_image__read(int fd, struct python_image *image)
{
	struct reader reader = { 0 };
	int error = elf_image__open(fd, &reader.elf);

	*image = (struct python_image){ 0 };
	if (!error)
		error = elf_dynamic__read(reader.elf, &reader.dynamic);
	if (!error)
		error = find_symbols(&reader);
	if (!error)
		error = elf_code__open(fd, &reader.code);
	if (!error)
		error = fill(&reader, image);
	elf_code__close(reader.code);
	elf_dynamic__free(&reader.dynamic);
	elf_image__close(reader.elf);
	return error == -EOPNOTSUPP || error == -ENOMEM || !error ? error : -ENOENT;
}
