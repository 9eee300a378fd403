/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol.h"

#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "demangle.h"
#include "string_pool.h"
#include "symtab.h"

enum { SEGMENTS_MAX = 64 };

struct segment {
	uint64_t offset, size, address; /* size: of what is in the file, bytes */
};

/* What was found out about one offset. */
struct answer {
	uint64_t offset;
	UT_hash_handle hh;
	int count;
	struct name names[];
};

/* The names that one object has. */
struct source {
	const struct object *object;
	UT_hash_handle hh;
	Elf *elf;
	struct symtab *symtab;
	struct segment segments[SEGMENTS_MAX]; /* with code */
	size_t segment_count;
	struct answer *answers;
};

struct symbols {
	struct string_pool *strings;
	struct source *sources;
};

struct symbols *symbols__new(void)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));

	elf_version(EV_CURRENT);
	if (symbols)
		symbols->strings = string_pool__new();
	if (symbols && !symbols->strings) {
		free(symbols);
		return NULL;
	}
	return symbols;
}

static void source__free(struct source *source)
{
	struct answer *answer, *next;

	if (!source)
		return;
	HASH_ITER(hh, source->answers, answer, next) {
		HASH_DEL(source->answers, answer);
		free(answer);
	}
	symtab__free(source->symtab);
	elf_end(source->elf);
	free(source);
}

void symbols__free(struct symbols *symbols)
{
	struct source *source, *next;

	if (!symbols)
		return;
	HASH_ITER(hh, symbols->sources, source, next) {
		HASH_DEL(symbols->sources, source);
		source__free(source);
	}
	string_pool__free(symbols->strings);
	free(symbols);
}

static void source__read_segments(struct source *source)
{
	size_t count;

	if (elf_getphdrnum(source->elf, &count))
		return;
	for (size_t i = 0; i < count && source->segment_count < SEGMENTS_MAX; i++) {
		GElf_Phdr header;

		if (gelf_getphdr(source->elf, i, &header) && header.p_type == PT_LOAD &&
		    header.p_flags & PF_X)
			source->segments[source->segment_count++] = (struct segment){
				header.p_offset, header.p_filesz, header.p_vaddr };
	}
}

static bool source__address(const struct source *source, uint64_t offset, uint64_t *address)
{
	for (size_t i = 0; i < source->segment_count; i++) {
		const struct segment *segment = &source->segments[i];

		if (offset >= segment->offset && offset - segment->offset < segment->size) {
			*address = segment->address + (offset - segment->offset);
			return true;
		}
	}
	return false;
}

static int source__read_symtab(struct source *source)
{
	int added;

	source->symtab = symtab__new();
	if (!source->symtab)
		return -ENOMEM;
	added = symtab__add(source->symtab, source->elf, SHT_SYMTAB);
	if (added >= 0)
		added = symtab__add(source->symtab, source->elf, SHT_DYNSYM);
	return added < 0 ? added : symtab__sort(source->symtab);
}

static int source__read(struct source *source)
{
	/* Read, not mapped: a file that shrinks under a mapping would kill us. */
	source->elf = elf_begin(object__fd(source->object), ELF_C_READ, NULL);
	if (!source->elf || elf_kind(source->elf) != ELF_K_ELF)
		return 0;
	source__read_segments(source);
	return source__read_symtab(source);
}

static int symbols__source(struct symbols *symbols, const struct object *object, struct source **found)
{
	struct source *source;
	int error;

	HASH_FIND_PTR(symbols->sources, &object, source);
	*found = source;
	if (source)
		return 0;
	source = calloc(1, sizeof(*source));
	if (!source)
		return -ENOMEM;
	source->object = object;
	error = source__read(source);
	if (!error) {
		HASH_ADD_PTR(symbols->sources, object, source);
		error = source->hh.tbl ? 0 : -ENOMEM;
	}
	if (error)
		source__free(source);
	else
		*found = source;
	return error;
}

/* As people read it: demangled, or without its version. NULL when there is no memory. */
static const char *symbols__readable(struct symbols *symbols, const char *name)
{
	char *text = demangle(name);
	const char *kept;

	if (!text)
		return string_pool__add(symbols->strings, name, strcspn(name + 1, "@") + 1);
	kept = string_pool__add(symbols->strings, text, strlen(text));
	free(text);
	return kept;
}

static int symbols__name_by_table(struct symbols *symbols, const struct source *source,
				  uint64_t address, struct name *name)
{
	struct symtab_match match;

	if (!symtab__find(source->symtab, address, &match))
		return 0;
	*name = (struct name){ .function = symbols__readable(symbols, match.name) };
	return name->function ? 1 : -ENOMEM;
}

static int symbols__answer(struct symbols *symbols, struct source *source, uint64_t offset,
			   struct answer **kept)
{
	struct answer *answer = calloc(1, sizeof(*answer) + sizeof(struct name));
	uint64_t address;

	if (!answer)
		return -ENOMEM;
	answer->offset = offset;
	if (source__address(source, offset, &address))
		answer->count = symbols__name_by_table(symbols, source, address, answer->names);
	if (answer->count >= 0)
		HASH_ADD(hh, source->answers, offset, sizeof(answer->offset), answer);
	if (answer->hh.tbl) {
		*kept = answer;
		return 0;
	}
	free(answer);
	return -ENOMEM;
}

int symbols__find(struct symbols *symbols, struct object *object, uint64_t offset,
		  struct name *names, int max)
{
	struct source *source;
	struct answer *answer;
	int error = symbols__source(symbols, object, &source);
	int count;

	if (error)
		return error;
	HASH_FIND(hh, source->answers, &offset, sizeof(offset), answer);
	if (!answer)
		error = symbols__answer(symbols, source, offset, &answer);
	if (error)
		return error;
	count = answer->count < max ? answer->count : max;
	if (count > 0)
		memcpy(names, answer->names, count * sizeof(*names));
	return count > 0 ? count : 0;
}
