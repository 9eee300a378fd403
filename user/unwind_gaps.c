/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwind_gaps.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "elf_code.h"

enum {
	GAP_LEAST = 64,     /* bytes; what is shorter is padding, mostly */
	GAPS_FEW = 4096,    /* bytes in all: no more than start files leave between FDEs, */
	GAPS_PART = 16,     /* or one in so many of what FDEs describe */
	GAPS_MAX = 4 << 20, /* bytes in all that are followed: about half a second at most */
};

struct gap {
	uint64_t offset, address, size;
};

struct gaps {
	struct gap *items;
	size_t count, capacity;
	size_t size; /* bytes in all */
	size_t code; /* of them in gaps that are no padding */
	size_t described; /* bytes of the sections that are in no gap */
};

static int gaps__add(struct gaps *gaps, const struct elf_segment *section, uint64_t start,
		     uint64_t end)
{
	uint64_t size = end > start ? end - start : 0;

	if (size > GAPS_MAX - gaps->size)
		size = GAPS_MAX - gaps->size;
	if (!size)
		return 0;
	if (gaps->count == gaps->capacity) {
		size_t capacity = gaps->capacity ? gaps->capacity * 2 : 64;
		struct gap *items = reallocarray(gaps->items, capacity, sizeof(*items));

		if (!items)
			return -ENOMEM;
		gaps->items = items;
		gaps->capacity = capacity;
	}
	gaps->items[gaps->count++] =
		(struct gap){ start, section->address + (start - section->offset), size };
	gaps->size += size;
	gaps->code += size < GAP_LEAST ? 0 : size;
	return 0;
}

/* What the claims, from `*next` on, leave of a section. */
static int gaps__find_in(struct gaps *gaps, const struct claims *claims, size_t *next,
			 const struct elf_segment *section)
{
	uint64_t floor = section->offset, end = section->offset + section->size;
	size_t before = gaps->size;
	int err = 0;

	for (; !err && *next < claims->count && claims->items[*next].start < end; ++*next) {
		const struct claim *claim = &claims->items[*next];

		err = gaps__add(gaps, section, floor, claim->start);
		if (claim->end > floor)
			floor = claim->end;
	}
	if (!err)
		err = gaps__add(gaps, section, floor, end);
	gaps->described += section->size - (gaps->size - before);
	return err;
}

static int gaps__find(struct gaps *gaps, const struct claims *claims, struct elf_image *image)
{
	struct elf_segment *code;
	size_t count, next = 0;
	int err = elf_image__code(image, &code, &count);

	if (err)
		return err;
	for (size_t i = 0; i < count && !err; i++)
		err = gaps__find_in(gaps, claims, &next, &code[i]);
	free(code);
	return err;
}

/* Leaves nothing but the gap that has the address; false when there is none. */
static bool gaps__keep(struct gaps *gaps, uint64_t address)
{
	for (size_t i = 0; i < gaps->count; i++) {
		struct gap gap = gaps->items[i];

		if (address - gap.address >= gap.size)
			continue;
		gaps->items[0] = gap;
		gaps->count = 1;
		gaps->size = gap.size;
		return true;
	}
	return false;
}

static int gap__compare(const void *a, const void *b)
{
	const struct gap *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* Whether there is nothing but padding: what no claim is made of is the same. */
static bool gap__is_padding(const struct gap *gap, const struct elf_image *image)
{
	uint8_t bytes[GAP_LEAST];

	if (gap->size > sizeof(bytes))
		return false;
	memset(bytes, 0, gap->size);
	elf_image__read(image, bytes, gap->size, gap->offset);
	return unwind_code__is_padding(bytes, gap->size);
}

/* The bytes. A file that became shorter meanwhile has zeros there. */
static int gaps__read(struct gaps *gaps, const struct elf_image *image, struct unwind_code *code)
{
	size_t kept = 0;

	qsort(gaps->items, gaps->count, sizeof(*gaps->items), gap__compare);
	for (size_t i = 0; i < gaps->count; i++) {
		const struct gap gap = gaps->items[i];
		uint8_t *bytes;

		if (gap__is_padding(&gap, image))
			continue;
		bytes = unwind_code__add_range(code, gap.address, gap.size);
		if (!bytes)
			return -ENOMEM;
		memset(bytes, 0, gap.size);
		elf_image__read(image, bytes, gap.size, gap.offset);
		gaps->items[kept++] = gap;
	}
	gaps->count = kept;
	return 0;
}

/* GCC names the seldom used part of a function like one: it begins in the middle of a frame. */
static bool symbol__begins(const struct elf_symbol *symbol)
{
	return !strstr(symbol->name, ".cold");
}

/* Functions with names. */
static int code__add_symbols(struct unwind_code *code, const struct elf_code *elf)
{
	size_t count;
	const struct elf_symbol *symbols = elf_code__symbols(elf, &count);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		if (symbol__begins(&symbols[i]))
			err = unwind_code__add_function(code, symbols[i].address, symbols[i].size);
	return err;
}

/* What data points to: of a program that is not moved, some of what the loader need not set. */
static int code__add_pointers(struct unwind_code *code, struct elf_image *image,
			      const struct elf_code *elf)
{
	static const char *const sections[] = { ".init_array", ".fini_array", ".data.rel.ro" };
	struct elf_bytes bytes;
	uint64_t address;
	int err = 0;

	for (size_t i = 0; !err && elf_code__pointer(elf, i, &address); i++)
		err = unwind_code__add_pointer(code, address);
	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		if (elf_image__section(image, sections[i], &bytes))
			continue;
		for (size_t at = 0; !err && at + sizeof(address) <= bytes.size;
		     at += sizeof(address)) {
			memcpy(&address, bytes.bytes + at, sizeof(address));
			err = unwind_code__add_pointer(code, address);
		}
	}
	return err;
}

/* Pointers to functions of other files that never return. */
struct endings {
	const struct elf_code *elf;
	uint64_t *slots; /* ascending */
	size_t count;
};

static bool is_ending(const char *name)
{
	static const char *const names[] = {
		"__stack_chk_fail",
		"__fortify_fail",
		"__chk_fail",
		"abort",
		"exit",
		"_exit",
		"_Exit",
		"quick_exit",
		"__assert_fail",
		"__assert",
		"__longjmp_chk",
		"longjmp",
		"_longjmp",
		"siglongjmp",
		"pthread_exit",
		"thrd_exit",
		"err",
		"errx",
		"verr",
		"verrx",
		"__cxa_throw",
		"__cxa_rethrow",
		"_Unwind_Resume",
		"_ZSt9terminatev",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static int slot__compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int endings__read(struct endings *endings, const struct elf_code *elf)
{
	size_t capacity = 0;
	const char *name;
	uint64_t slot;

	endings->elf = elf;
	for (size_t i = 0; elf_code__import(elf, i, &slot, &name); i++) {
		if (!is_ending(name))
			continue;
		if (endings->count == capacity) {
			uint64_t *slots;

			capacity = capacity ? capacity * 2 : 32;
			slots = reallocarray(endings->slots, capacity, sizeof(*slots));
			if (!slots)
				return -ENOMEM;
			endings->slots = slots;
		}
		endings->slots[endings->count++] = slot;
	}
	if (endings->count)
		qsort(endings->slots, endings->count, sizeof(*endings->slots), slot__compare);
	return 0;
}

static bool endings__have(void *context, uint64_t address, bool slot)
{
	const struct endings *endings = context;

	return endings->count && (slot || elf_code__stub_slot(endings->elf, address, &address)) &&
	       bsearch(&address, endings->slots, endings->count, sizeof(address), slot__compare);
}

/* With all that its symbols say. A file whose symbols lie has none. */
static int code__walk_named(struct unwind_code *code, struct elf_image *image, int fd)
{
	struct endings endings = { 0 };
	struct elf_code *elf;
	int err = elf_code__open(fd, &elf);

	if (err)
		return err == -ENOMEM ? err : unwind_code__walk(code);
	err = code__add_symbols(code, elf);
	if (!err)
		err = code__add_pointers(code, image, elf);
	if (!err)
		err = endings__read(&endings, elf);
	unwind_code__set_ends(code, endings__have, &endings);
	if (!err)
		err = unwind_code__walk(code);
	unwind_code__set_ends(code, NULL, NULL);
	free(endings.slots);
	elf_code__close(elf);
	return err;
}

static int claims__add_gaps(struct claims *claims, const struct gaps *gaps)
{
	int err = 0;

	for (size_t i = 0; i < gaps->count && !err; i++) {
		const struct gap *gap = &gaps->items[i];

		err = claims__add(claims, &(struct claim){ .start = gap->offset,
							   .end = gap->offset + gap->size,
							   .address = gap->address,
							   .source = CLAIM_CODE,
							   .position = (uint32_t)i });
	}
	claims__sort(claims);
	return err;
}

/*
 * What is to hold where nothing is known. Code that keeps frame pointers has them there, too; in
 * any other code rbp is anything, and a walk by it would skip frames or end as if it were whole.
 */
static struct unwind_row unknown_row(const struct unwind_code *code)
{
	if (unwind_code__keeps_frame_pointers(code))
		return (struct unwind_row){ 0, UNWIND_RBP, UNWIND_RBP_CFA, 2, -2 };
	return (struct unwind_row){ .cfa_rule = UNWIND_UNSUPPORTED };
}

static int gaps__walk(struct gaps *gaps, struct claims *claims, struct elf_image *image, int fd,
		      bool named)
{
	struct unwind_code *code = unwind_code__new(gaps->size, gaps->count);
	int err;

	if (!code)
		return -ENOMEM;
	claims->code = code;
	err = gaps__read(gaps, image, code);
	if (!err)
		err = unwind_code__add_entry(code, elf_image__entry(image),
					     elf_image__is_program(image));
	if (!err)
		err = named ? code__walk_named(code, image, fd) : unwind_code__walk(code);
	if (err)
		return err;
	if (named)
		claims->unknown = unknown_row(code);
	return claims__add_gaps(claims, gaps);
}

/*
 * Start files leave some code without FDEs in any program: of that only the entry is followed.
 * Where there is more, all of it is: a function's seldom used part may be a few bytes.
 */
static int gaps__choose(struct gaps *gaps, struct claims *claims, struct elf_image *image, int fd)
{
	int err = gaps__find(gaps, claims, image);
	bool many = !claims->fdes || gaps->code >= GAPS_FEW ||
		    gaps->code * GAPS_PART > gaps->described;

	if (err || !gaps->size || (!many && !gaps__keep(gaps, elf_image__entry(image))))
		return err;
	return gaps__walk(gaps, claims, image, fd, many);
}

int gaps__follow(struct claims *claims, struct elf_image *image, int fd)
{
	struct gaps gaps = { 0 };
	int err = gaps__choose(&gaps, claims, image, fd);

	free(gaps.items);
	if (err != -E2BIG && err != -ENODATA)
		return err;
	unwind_code__free(claims->code); /* as if nobody had looked */
	claims->code = NULL;
	return 0;
}
