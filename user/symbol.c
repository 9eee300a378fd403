/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol.h"

#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "debuginfo.h"
#include "demangle.h"
#include "dwarf_index.h"
#include "minidebug.h"
#include "string_pool.h"
#include "symtab.h"

enum { SEGMENTS_MAX = 64 };
enum { FRAMES_MAX = 64 }; /* inlined at one place */

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
	Elf *elf, *mini; /* mini: in mini_image, when there is no fuller table */
	void *mini_image;
	struct debuginfo *debuginfo;
	struct dwarf_index *dwarf;
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
	dwarf_index__free(source->dwarf);
	debuginfo__free(source->debuginfo);
	elf_end(source->mini);
	free(source->mini_image);
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
			source->segments[source->segment_count++] =
				(struct segment){ header.p_offset, header.p_filesz,
						  header.p_vaddr };
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

/* The full table, wherever it is; without one, the small one that some distributions leave. */
static int source__add_symbols(struct source *source)
{
	int added = symtab__add(source->symtab, source->elf, SHT_SYMTAB);

	if (!added && source->debuginfo)
		added = symtab__add(source->symtab, debuginfo__elf(source->debuginfo), SHT_SYMTAB);
	if (added)
		return added;
	source->mini = minidebug__open(source->elf, &source->mini_image);
	return source->mini ? symtab__add(source->symtab, source->mini, SHT_SYMTAB) : 0;
}

static int source__read_symtab(struct source *source)
{
	int added;

	source->symtab = symtab__new();
	if (!source->symtab)
		return -ENOMEM;
	added = source__add_symbols(source);
	if (added >= 0)
		added = symtab__add(source->symtab, source->elf, SHT_DYNSYM);
	return added < 0 ? added : symtab__sort(source->symtab);
}

static int source__read(struct source *source)
{
	Dwarf *dwarf;

	/* Read, not mapped: a file that shrinks under a mapping would kill us. */
	source->elf = elf_begin(object__fd(source->object), ELF_C_READ, NULL);
	if (!source->elf || elf_kind(source->elf) != ELF_K_ELF)
		return 0;
	source__read_segments(source);
	source->debuginfo = debuginfo__open(source->object, source->elf);
	dwarf = source->debuginfo ? debuginfo__dwarf(source->debuginfo) : NULL;
	if (dwarf && !(source->dwarf = dwarf_index__new(dwarf)))
		return -ENOMEM;
	return source__read_symtab(source);
}

static int symbols__source(struct symbols *symbols, const struct object *object,
			   struct source **found)
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

/*
 * The linkage name of the real function in `frame`. Where the object exports a name for its first
 * byte, it is the one that callers know: DWARF has __libc_malloc for malloc. gcc gives local C++
 * functions no linkage name in DWARF, but the symbol has one.
 */
static const char *source__linkage_name(const struct source *source, uint64_t address,
					const struct dwarf_frame *frame)
{
	struct symtab_match match;

	if (!symtab__find(source->symtab, address, &match))
		return frame->function;
	if (!frame->function)
		return match.name;
	if (match.start != frame->start)
		return frame->function;
	if (!match.local || (frame->plain && !strncmp(match.name, "_Z", 2)))
		return match.name;
	return frame->function;
}

static int symbols__name(struct symbols *symbols, const struct source *source, uint64_t address,
			 const struct dwarf_frame *frame, struct name *name)
{
	const char *function = frame->function;

	if (!frame->inlined)
		function = source__linkage_name(source, address, frame);
	*name = (struct name){ .line = frame->line, .inlined = frame->inlined };
	if (function && *function && !(name->function = symbols__readable(symbols, function)))
		return -ENOMEM;
	if (frame->file &&
	    !(name->file = string_pool__add(symbols->strings, frame->file, strlen(frame->file))))
		return -ENOMEM;
	return 0;
}

/* What DWARF, else the symbol table, says of `address`. How many frames, or -ENOMEM. */
static int source__frames(const struct source *source, uint64_t address, struct dwarf_frame *frames)
{
	struct symtab_match match;
	int count = source->dwarf ? dwarf_index__find(source->dwarf, address, frames, FRAMES_MAX)
				  : 0;

	if (count)
		return count;
	frames[0] = (struct dwarf_frame){ 0 };
	return symtab__find(source->symtab, address, &match);
}

static struct answer *answer__new(uint64_t offset, int count)
{
	struct answer *answer = calloc(1, sizeof(*answer) + count * sizeof(struct name));

	if (answer) {
		answer->offset = offset;
		answer->count = count;
	}
	return answer;
}

static int symbols__answer(struct symbols *symbols, struct source *source, uint64_t offset,
			   struct answer **kept)
{
	struct dwarf_frame frames[FRAMES_MAX];
	struct answer *answer;
	uint64_t address;
	int count = 0, error = 0;

	if (source__address(source, offset, &address))
		count = source__frames(source, address, frames);
	answer = count < 0 ? NULL : answer__new(offset, count);
	if (!answer)
		return -ENOMEM;
	for (int i = 0; i < count && !error; i++)
		error = symbols__name(symbols, source, address, &frames[i], &answer->names[i]);
	if (!error)
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
