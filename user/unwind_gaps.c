/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwind_gaps.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "elf_code.h"

enum {
	INSTRUCTION_MAX = 15,
	PADDING_MAX = 64, /* bytes; what is longer is code */
	GAPS_MAX = 4 << 20, /* bytes in all that are followed: it bounds the time */
	CALLS_MAX = 32 << 20, /* bytes of other code in which calls of what is followed are found */
	CHUNK = 256 << 10,
};

struct gap {
	uint64_t offset, address, size;
	enum claim_source source; /* CLAIM_CODE, or beyond GAPS_MAX CLAIM_UNKNOWN */
};

struct gaps {
	struct gap *items;
	size_t count, capacity;
	size_t size; /* bytes of CLAIM_CODE */
	uint8_t *chunk; /* of the file, what was read last */
	uint64_t chunk_start, chunk_end;
};

static int gaps__append(struct gaps *gaps, const struct gap *gap)
{
	if (!gap->size)
		return 0;
	if (gaps->count == gaps->capacity) {
		size_t capacity = gaps->capacity ? gaps->capacity * 2 : 64;
		struct gap *items = reallocarray(gaps->items, capacity, sizeof(*items));

		if (!items)
			return -ENOMEM;
		gaps->items = items;
		gaps->capacity = capacity;
	}
	gaps->items[gaps->count++] = *gap;
	return 0;
}

/* What the file has at `offset`, `size` bytes or NULL. */
static const uint8_t *gaps__bytes(struct gaps *gaps, const struct elf_image *image, uint64_t offset,
				  size_t size)
{
	ssize_t length;

	if (offset < gaps->chunk_start || offset + size > gaps->chunk_end) {
		length = elf_image__read(image, gaps->chunk, CHUNK, offset);
		gaps->chunk_start = offset;
		gaps->chunk_end = offset + (length > 0 ? (uint64_t)length : 0);
	}
	return offset + size > gaps->chunk_end ? NULL : gaps->chunk + (offset - gaps->chunk_start);
}

/*
 * Whether there is nothing but padding: what no claim is made of is the same. The last of it may
 * go on in what an FDE describes: a signal restorer's begins a byte before the function.
 */
static bool gaps__is_padding(struct gaps *gaps, const struct elf_image *image,
			     const struct gap *gap)
{
	size_t room = gap->size + INSTRUCTION_MAX;
	const uint8_t *bytes;

	if (gap->size > PADDING_MAX)
		return false;
	bytes = gaps__bytes(gaps, image, gap->offset, room);
	if (!bytes) {
		room = gap->size;
		bytes = gaps__bytes(gaps, image, gap->offset, room);
	}
	return bytes && unwind_code__is_padding(bytes, gap->size, room);
}

/* From `start` to `end` of the section, offsets both. */
static int gaps__add(struct gaps *gaps, const struct elf_image *image,
		     const struct elf_segment *section, uint64_t start, uint64_t end)
{
	struct gap gap = { start, section->address + (start - section->offset), end - start,
			   CLAIM_CODE };
	struct gap rest = gap;
	int err;

	if (start >= end || gaps__is_padding(gaps, image, &gap))
		return 0;
	if (gap.size > GAPS_MAX - gaps->size)
		gap.size = GAPS_MAX - gaps->size;
	rest.offset += gap.size;
	rest.address += gap.size;
	rest.size -= gap.size;
	rest.source = CLAIM_UNKNOWN;
	gaps->size += gap.size;
	err = gaps__append(gaps, &gap);
	return err ? err : gaps__append(gaps, &rest);
}

/* What the claims, from `*next` on, leave of a section. */
static int gaps__find_in(struct gaps *gaps, const struct elf_image *image,
			 const struct claims *claims, size_t *next,
			 const struct elf_segment *section)
{
	uint64_t floor = section->offset, end = section->offset + section->size;
	int err = 0;

	for (; !err && *next < claims->count && claims->items[*next].start < end; ++*next) {
		const struct claim *claim = &claims->items[*next];

		err = gaps__add(gaps, image, section, floor, claim->start);
		if (claim->end > floor)
			floor = claim->end;
	}
	return err ? err : gaps__add(gaps, image, section, floor, end);
}

static int gaps__find(struct gaps *gaps, const struct claims *claims, struct elf_image *image)
{
	struct elf_segment *code;
	size_t count, next = 0;
	int err = elf_image__code(image, &code, &count);

	if (err)
		return err;
	gaps->chunk = malloc(CHUNK);
	if (!gaps->chunk)
		err = -ENOMEM;
	for (size_t i = 0; i < count && !err; i++)
		err = gaps__find_in(gaps, image, claims, &next, &code[i]);
	free(code);
	return err;
}

static int gap__compare(const void *a, const void *b)
{
	const struct gap *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* The bytes. A file that became shorter meanwhile has zeros there. */
static int gaps__read(struct gaps *gaps, const struct elf_image *image, struct unwind_code *code)
{
	qsort(gaps->items, gaps->count, sizeof(*gaps->items), gap__compare);
	for (size_t i = 0; i < gaps->count; i++) {
		const struct gap *gap = &gaps->items[i];
		uint8_t *bytes;

		if (gap->source != CLAIM_CODE)
			continue;
		bytes = unwind_code__add_range(code, gap->address, gap->size);
		if (!bytes)
			return -ENOMEM;
		memset(bytes, 0, gap->size);
		elf_image__read(image, bytes, gap->size, gap->offset);
	}
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

/* Sections that are one function each. */
static int code__add_sections(struct unwind_code *code, struct elf_image *image)
{
	static const char *const sections[] = { ".init", ".fini" };
	struct elf_bytes bytes;
	int err = 0;

	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections) && !err; i++)
		if (!elf_image__section(image, sections[i], &bytes))
			err = unwind_code__add_function(code, bytes.address, bytes.size);
	return err;
}

/* What the words of a section point to. */
static int code__add_words(struct unwind_code *code, struct elf_image *image, const char *name)
{
	struct elf_bytes bytes;
	uint64_t address;
	int err = elf_image__section(image, name, &bytes);

	if (err)
		return 0;
	for (size_t at = 0; !err && at + sizeof(address) <= bytes.size; at += sizeof(address)) {
		memcpy(&address, bytes.bytes + at, sizeof(address));
		err = unwind_code__add_pointer(code, address);
	}
	return err;
}

/*
 * What data points to. In the .data of code that is not moved, nothing else says where pointers
 * are; its .rodata is left out, for it has the labels of every switch.
 */
static int code__add_pointers(struct unwind_code *code, struct elf_image *image,
			      const struct elf_code *elf)
{
	static const char *const sections[] = { ".init_array", ".fini_array", ".data.rel.ro" };
	uint64_t address;
	int err = 0;

	for (size_t i = 0; !err && elf_code__pointer(elf, i, &address); i++)
		err = unwind_code__add_pointer(code, address);
	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections) && !err; i++)
		err = code__add_words(code, image, sections[i]);
	if (!err && elf_image__is_fixed(image))
		err = code__add_words(code, image, ".data");
	return err;
}

/* What call, jmp and lea of these bytes lead to: of any byte that may begin one of them. */
static int code__add_targets(struct unwind_code *code, const uint8_t *bytes, size_t size,
			     uint64_t address)
{
	enum { LENGTH = 5, CALL = 0xe8, JUMP = 0xe9, LEA = 0x8d, RIP = 5, RIP_MASK = 0xc7 };
	int32_t distance;
	int err = 0;

	for (size_t i = 0; i + LENGTH <= size && !err; i++) {
		bool lea = i && bytes[i - 1] == LEA && (bytes[i] & RIP_MASK) == RIP;

		if (bytes[i] != CALL && bytes[i] != JUMP && !lea)
			continue;
		memcpy(&distance, bytes + i + 1, sizeof(distance));
		err = unwind_code__add_pointer(code, address + i + LENGTH + (int64_t)distance);
	}
	return err;
}

/* The stretch of code from claim `first` on in which there are no gaps but padding. */
static struct elf_segment claims__run(const struct claims *claims, size_t first, size_t *end)
{
	const struct claim *claim = &claims->items[first];
	struct elf_segment run = { claim->start, claim->end - claim->start, claim->address };

	for (*end = first + 1; *end < claims->count; ++*end) {
		const struct claim *next = &claims->items[*end];

		if (next->start > run.offset + run.size + PADDING_MAX ||
		    next->start - run.offset != next->address - run.address)
			break;
		if (next->end > run.offset + run.size)
			run.size = next->end - run.offset;
	}
	return run;
}

static int code__add_calls_of(struct unwind_code *code, const struct elf_image *image,
			      const struct elf_segment *run, uint64_t *left, uint8_t *chunk)
{
	uint64_t size = run->size < *left ? run->size : *left;
	int err = 0;

	*left -= size;
	for (uint64_t at = 0; at < size && !err; at += CHUNK) {
		ssize_t length = elf_image__read(
			image, chunk, size - at < CHUNK ? size - at : CHUNK, run->offset + at);

		if (length > 0)
			err = code__add_targets(code, chunk, (size_t)length, run->address + at);
	}
	return err;
}

/* What described code calls: in a program without symbols nothing else says where functions are. */
static int code__add_calls(struct unwind_code *code, const struct elf_image *image,
			   const struct claims *claims)
{
	uint8_t *chunk = malloc(CHUNK);
	uint64_t left = CALLS_MAX;
	int err = chunk ? 0 : -ENOMEM;

	for (size_t i = 0, end; i < claims->count && !err; i = end) {
		struct elf_segment run = claims__run(claims, i, &end);

		err = code__add_calls_of(code, image, &run, &left, chunk);
	}
	free(chunk);
	return err;
}

/* Once more, if there is code that nothing led to. */
static int code__walk(struct unwind_code *code, const struct elf_image *image,
		      const struct claims *claims)
{
	int err = unwind_code__walk(code);

	if ((err && err != -ENODATA) || !unwind_code__has_unseen(code))
		return err;
	err = code__add_calls(code, image, claims);
	return err ? err : unwind_code__walk(code);
}

/* Pointers to functions of other files that never return, as their names say. */
struct noreturns {
	const struct elf_code *elf;
	uint64_t *slots; /* ascending */
	size_t count;
};

static bool is_noreturn(const char *name)
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

static int noreturns__read(struct noreturns *noreturns, const struct elf_code *elf)
{
	size_t capacity = 0;
	const char *name;
	uint64_t slot;

	noreturns->elf = elf;
	for (size_t i = 0; elf_code__import(elf, i, &slot, &name); i++) {
		if (!is_noreturn(name))
			continue;
		if (noreturns->count == capacity) {
			uint64_t *slots;

			capacity = capacity ? capacity * 2 : 32;
			slots = reallocarray(noreturns->slots, capacity, sizeof(*slots));
			if (!slots)
				return -ENOMEM;
			noreturns->slots = slots;
		}
		noreturns->slots[noreturns->count++] = slot;
	}
	if (noreturns->count)
		qsort(noreturns->slots, noreturns->count, sizeof(*noreturns->slots), slot__compare);
	return 0;
}

static bool noreturns__have(void *context, uint64_t address, bool slot)
{
	const struct noreturns *noreturns = context;

	return noreturns->count &&
	       (slot || elf_code__stub_slot(noreturns->elf, address, &address)) &&
	       bsearch(&address, noreturns->slots, noreturns->count, sizeof(address),
		       slot__compare);
}

/* With all that its symbols say. A file whose symbols lie has none. */
static int code__walk_named(struct unwind_code *code, struct elf_image *image, int fd,
			    const struct claims *claims)
{
	struct noreturns noreturns = { 0 };
	struct elf_code *elf;
	int err = elf_code__open(fd, &elf);

	if (err)
		return err == -ENOMEM ? err : code__walk(code, image, claims);
	err = code__add_symbols(code, elf);
	if (!err)
		err = code__add_sections(code, image);
	if (!err)
		err = code__add_pointers(code, image, elf);
	if (!err)
		err = noreturns__read(&noreturns, elf);
	unwind_code__set_ends(code, noreturns__have, &noreturns);
	if (!err)
		err = code__walk(code, image, claims);
	unwind_code__set_ends(code, NULL, NULL);
	free(noreturns.slots);
	elf_code__close(elf);
	return err;
}

/* Ranges are numbered as gaps__read put them. */
static int claims__add_gaps(struct claims *claims, const struct gaps *gaps)
{
	uint32_t range = 0;
	int err = 0;

	for (size_t i = 0; i < gaps->count && !err; i++) {
		const struct gap *gap = &gaps->items[i];

		err = claims__add(claims, &(struct claim){ .start = gap->offset,
							   .end = gap->offset + gap->size,
							   .address = gap->address,
							   .source = claims->code ? gap->source
										  : CLAIM_UNKNOWN,
							   .position = range });
		range += gap->source == CLAIM_CODE;
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

static int gaps__walk(struct gaps *gaps, struct claims *claims, struct elf_image *image, int fd)
{
	int err = gaps__read(gaps, image, claims->code);

	if (!err)
		err = unwind_code__add_entry(claims->code, elf_image__entry(image),
					     elf_image__is_program(image));
	return err ? err : code__walk_named(claims->code, image, fd, claims);
}

int gaps__follow(struct claims *claims, struct elf_image *image, int fd)
{
	struct gaps gaps = { 0 };
	int err = gaps__find(&gaps, claims, image);

	if (err || !gaps.count)
		goto out;
	err = -ENOMEM;
	claims->code = unwind_code__new(gaps.size, gaps.count);
	if (!claims->code)
		goto out;
	err = gaps__walk(&gaps, claims, image, fd);
	claims->unknown = unknown_row(claims->code);
	if (err == -E2BIG || err == -ENODATA) {
		unwind_code__free(claims->code); /* nothing is known of any of it */
		claims->code = NULL;
		err = 0;
	}
	if (!err)
		err = claims__add_gaps(claims, &gaps);
out:
	free(gaps.chunk);
	free(gaps.items);
	return err;
}
