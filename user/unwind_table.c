/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cfi.h"
#include "elf_image.h"
#include "unwind_row.h"
#include "unwind_table.h"

enum {
	PAGE_SHIFT = 16,
	PAGES_MAX = 32768,    /* 2 GiB of code: how far a relative call reaches */
	ROWS_MAX = 16 << 20,  /* 128 MB */
	CLAIMS_MAX = 8 << 20, /* FDEs */
	SCAN_CHUNK = 256 << 10,
};

static const uint64_t OFFSET_MAX = 1ULL << (32 + PAGE_SHIFT);

/*
 * mov $15,%rax; syscall: rt_sigreturn, which never comes back, so that it is nothing but a
 * signal's frame.
 */
static const uint8_t RESTORER[] = { 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05 };

enum source { SOURCE_EH_FRAME, SOURCE_DEBUG_FRAME, SOURCE_RESTORER, SOURCES = SOURCE_RESTORER };

/* Code that something describes. Where two overlap the first has it. */
struct claim {
	uint64_t start, end; /* file offsets */
	uint64_t address;    /* virtual, of `start` */
	uint64_t fde_end;    /* virtual */
	enum source source;
	uint32_t cie, position, limit; /* of its struct cfi_fde */
};

struct claims {
	struct claim *items;
	size_t count, capacity;
};

/* Rows as they are appended. */
struct builder {
	struct unwind_table *table;
	size_t row_capacity, page_capacity;
	uint64_t next_page;        /* the lowest that has not begun */
	uint64_t floor;            /* file offset up to which a claim has spoken */
	struct unwind_row current; /* what holds at the end of what was put */
	const struct claim *claim;
};

/* Makes room for one more of `size` bytes. */
static int room(void **items, size_t *capacity, size_t count, size_t max, size_t size)
{
	size_t wanted = *capacity ? *capacity * 2 : 1024;
	void *grown;

	if (count < *capacity)
		return 0;
	if (count >= max)
		return -ENOEXEC;
	grown = realloc(*items, wanted * size);
	if (!grown)
		return -ENOMEM;
	*items = grown;
	*capacity = wanted;
	return 0;
}

static int builder__append_row(struct builder *builder, struct unwind_row row, uint16_t low)
{
	struct unwind_table *table = builder->table;
	int err = room((void **)&table->rows, &builder->row_capacity, table->row_count, ROWS_MAX,
		       sizeof(row));

	if (err)
		return err;
	row.low = low;
	table->rows[table->row_count++] = row;
	table->pages[table->page_count - 1].count++;
	return 0;
}

static int builder__begin_page(struct builder *builder, uint64_t number)
{
	struct unwind_table *table = builder->table;
	struct unwind_page page = { .page = (uint32_t)number, .first = (uint32_t)table->row_count };
	int err = room((void **)&table->pages, &builder->page_capacity, table->page_count,
		       PAGES_MAX, sizeof(page));

	if (err)
		return err;
	table->pages[table->page_count++] = page;
	builder->next_page = number + 1;
	return builder__append_row(builder, builder->current, 0);
}

/* From `offset` on holds `row`. Offsets never fall; a second row at one replaces the first. */
static int builder__put(struct builder *builder, uint64_t offset, struct unwind_row row)
{
	struct unwind_table *table = builder->table;
	uint16_t low = (uint16_t)offset;
	struct unwind_page *page;
	int err = 0;

	while (!err && builder->next_page <= offset >> PAGE_SHIFT)
		err = builder__begin_page(builder, builder->next_page);
	if (err)
		return err;
	builder->current = row;
	page = &table->pages[table->page_count - 1];
	if (table->rows[table->row_count - 1].low == low) {
		table->row_count--;
		page->count--;
	}
	if (page->count && unwind_row__same(&table->rows[table->row_count - 1], &row))
		return 0;
	return builder__append_row(builder, row, low);
}

static int builder__emit(void *context, uint64_t address, const struct cfi_rules *rules,
			 bool signal)
{
	struct builder *builder = context;
	uint64_t offset = builder->claim->start + (address - builder->claim->address);

	if (offset >= builder->claim->end)
		return 0;
	return builder__put(builder, offset < builder->floor ? builder->floor : offset,
			    unwind_row__of_rules(rules, signal));
}

static int builder__add_claim(struct builder *builder, struct cfi *sources,
			      const struct claim *claim)
{
	const struct cfi_fde fde = { claim->address, claim->fde_end, claim->cie, claim->position,
				     claim->limit };
	int err = 0;

	if (claim->end <= builder->floor)
		return 0;
	if (claim->start > builder->floor)
		err = builder__put(builder, builder->floor,
				   (struct unwind_row){ .cfa_rule = UNWIND_NONE });
	builder->claim = claim;
	if (!err && claim->source == SOURCE_RESTORER)
		err = builder__put(builder,
				   claim->start < builder->floor ? builder->floor : claim->start,
				   (struct unwind_row){ .cfa_rule = UNWIND_SIGNAL });
	else if (!err)
		err = cfi__run(&sources[claim->source], &fde, builder__emit, builder);
	builder->floor = claim->end;
	return err;
}

static int builder__begin_segment(struct builder *builder, const struct elf_segment *segment)
{
	builder->current = (struct unwind_row){ .cfa_rule = UNWIND_NONE };
	if (builder->next_page < segment->offset >> PAGE_SHIFT)
		builder->next_page = segment->offset >> PAGE_SHIFT;
	builder->floor = segment->offset;
	return builder__put(builder, segment->offset, builder->current);
}

/* What follows the last claim, in every page up to the last, and that beyond is nothing. */
static int builder__end_segment(struct builder *builder, const struct elf_segment *segment)
{
	const struct unwind_row none = { .cfa_rule = UNWIND_NONE };
	uint64_t end = segment->offset + segment->size;
	int err = 0;

	if (builder->floor < end)
		err = builder__put(builder, builder->floor, none);
	if (!err)
		err = builder__put(builder, end - 1, builder->current);
	if (!err && (uint16_t)end)
		err = builder__put(builder, end, none);
	return err;
}

static int claims__add(struct claims *claims, const struct claim *claim)
{
	int err = room((void **)&claims->items, &claims->capacity, claims->count, CLAIMS_MAX,
		       sizeof(*claim));

	if (!err)
		claims->items[claims->count++] = *claim;
	return err;
}

static const struct elf_segment *segment__of(const struct elf_segment *segments, size_t count,
					     uint64_t address)
{
	for (size_t i = 0; i < count; i++)
		if (address - segments[i].address < segments[i].size)
			return &segments[i];
	return NULL;
}

/* An FDE at address 0 is of a function that the linker threw away. */
static int claims__add_fde(struct claims *claims, const struct elf_image *image,
			   const struct cfi_fde *fde, enum source source)
{
	size_t count;
	const struct elf_segment *segments = elf_image__segments(image, &count);
	const struct elf_segment *segment = segment__of(segments, count, fde->start);
	struct claim claim = { .address = fde->start,
			       .fde_end = fde->end,
			       .source = source,
			       .cie = fde->cie,
			       .position = fde->position,
			       .limit = fde->limit };
	uint64_t size;

	if (!segment || !fde->start)
		return 0;
	size = segment->size - (fde->start - segment->address);
	if (size > fde->end - fde->start)
		size = fde->end - fde->start;
	claim.start = segment->offset + (fde->start - segment->address);
	claim.end = claim.start + size;
	return claims__add(claims, &claim);
}

static int claims__add_section(struct claims *claims, const struct elf_image *image,
			       struct cfi *cfi, enum source source)
{
	struct cfi_fde fde;
	size_t position = 0;
	int err = 0;

	while (!err && cfi__next(cfi, &position, &fde))
		err = claims__add_fde(claims, image, &fde, source);
	return err;
}

static int claims__read_eh_frame(struct claims *claims, struct elf_image *image, struct cfi *cfi)
{
	struct elf_bytes bytes;
	bool whole = true;
	int err = elf_image__section(image, ".eh_frame", &bytes);

	if (err == -ENODATA) {
		whole = false;
		err = elf_image__eh_frame(image, &bytes);
	}
	if (err)
		return err == -ENODATA ? 0 : err;
	cfi__init(cfi,
		  &(struct cfi_section){ bytes.bytes, bytes.size, bytes.address, false, !whole });
	return claims__add_section(claims, image, cfi, SOURCE_EH_FRAME);
}

static int claims__read_debug_frame(struct claims *claims, struct elf_image *image, struct cfi *cfi)
{
	struct elf_bytes bytes;
	int err = elf_image__section(image, ".debug_frame", &bytes);

	if (err)
		return err == -ENODATA ? 0 : err;
	cfi__init(cfi,
		  &(struct cfi_section){ bytes.bytes, bytes.size, bytes.address, true, false });
	return claims__add_section(claims, image, cfi, SOURCE_DEBUG_FRAME);
}

/*
 * A restorer that no FDE describes (musl's). The return address that the kernel pushes is its
 * first byte, and a walk may look it up as it is or one less: the claim has both.
 */
static int claims__add_restorer(struct claims *claims, uint64_t start)
{
	return claims__add(claims, &(struct claim){ .start = start ? start - 1 : 0,
						    .end = start + sizeof(RESTORER),
						    .source = SOURCE_RESTORER });
}

static int claims__scan_chunk(struct claims *claims, const uint8_t *chunk, size_t size,
			      uint64_t offset)
{
	const size_t last = sizeof(RESTORER) - 1;
	const uint8_t *at = chunk + last, *end = chunk + size;
	int err = 0;

	/* by the rare last byte: memmem takes 112 ms for 64 MiB of libLLVM's code, this 7 */
	for (; !err && at < end; at++) {
		at = memchr(at, RESTORER[last], (size_t)(end - at));
		if (!at)
			break;
		if (!memcmp(at - last, RESTORER, sizeof(RESTORER)))
			err = claims__add_restorer(claims, offset + (uint64_t)(at - last - chunk));
	}
	return err;
}

static int claims__scan_segment(struct claims *claims, const struct elf_image *image,
				const struct elf_segment *segment, uint8_t *chunk)
{
	uint64_t offset = segment->offset, end = offset + segment->size;

	while ((offset = elf_image__skip_hole(image, offset)) + sizeof(RESTORER) <= end) {
		size_t want = end - offset < SCAN_CHUNK ? (size_t)(end - offset) : SCAN_CHUNK;
		ssize_t n = elf_image__read(image, chunk, want, offset);
		int err;

		if (n < (ssize_t)sizeof(RESTORER))
			return n < 0 ? (int)n : 0;
		err = claims__scan_chunk(claims, chunk, (size_t)n, offset);
		if (err)
			return err;
		offset += (uint64_t)n - (sizeof(RESTORER) - 1);
	}
	return 0;
}

static int claims__scan_restorers(struct claims *claims, const struct elf_image *image)
{
	uint8_t *chunk = malloc(SCAN_CHUNK);
	size_t count;
	const struct elf_segment *segments = elf_image__segments(image, &count);
	int err = 0;

	if (!chunk)
		return -ENOMEM;
	for (size_t i = 0; i < count && !err; i++)
		err = claims__scan_segment(claims, image, &segments[i], chunk);
	free(chunk);
	return err;
}

static int claim__compare(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	return x->position < y->position ? -1 : x->position > y->position;
}

static void claims__sort(struct claims *claims)
{
	for (size_t i = 1; i < claims->count; i++) {
		if (claim__compare(&claims->items[i - 1], &claims->items[i]) <= 0)
			continue;
		qsort(claims->items, claims->count, sizeof(*claims->items), claim__compare);
		return;
	}
}

/* The segment's share of the claims, from `*next` on. */
static int builder__add_segment(struct builder *builder, struct cfi *sources,
				const struct claims *claims, size_t *next,
				const struct elf_segment *segment)
{
	uint64_t end = segment->offset + segment->size;
	int err = builder__begin_segment(builder, segment);

	for (; !err && *next < claims->count && claims->items[*next].start < end; ++*next) {
		struct claim claim = claims->items[*next];

		claim.end = claim.end < end ? claim.end : end;
		err = builder__add_claim(builder, sources, &claim);
	}
	return err ? err : builder__end_segment(builder, segment);
}

static int table__fill(struct unwind_table *table, const struct elf_image *image,
		       struct cfi *sources, const struct claims *claims)
{
	struct builder builder = { .table = table };
	size_t count, next = 0;
	const struct elf_segment *segments = elf_image__segments(image, &count);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = builder__add_segment(&builder, sources, claims, &next, &segments[i]);
	for (size_t i = 0; i < table->row_count; i++)
		table->unsupported += table->rows[i].cfa_rule == UNWIND_UNSUPPORTED;
	return err;
}

/* Gives back what growing by doubling left over. */
static void table__shrink(struct unwind_table *table)
{
	void *rows = realloc(table->rows, table->row_count * sizeof(*table->rows));
	void *pages = realloc(table->pages, table->page_count * sizeof(*table->pages));

	table->rows = rows ? rows : table->rows;
	table->pages = pages ? pages : table->pages;
}

/* Some, and no more than a table may cover: all of it is read. */
static bool image__has_code(const struct elf_image *image)
{
	size_t count;
	const struct elf_segment *segments = elf_image__segments(image, &count);
	uint64_t size = 0;

	for (size_t i = 0; i < count; i++) {
		if (segments[i].offset + segments[i].size > OFFSET_MAX)
			return false;
		size += segments[i].size;
	}
	return size && size <= (uint64_t)PAGES_MAX << PAGE_SHIFT;
}

static int table__build(struct unwind_table *table, struct elf_image *image, struct claims *claims)
{
	struct cfi sources[SOURCES] = { 0 };
	int err;

	if (!image__has_code(image))
		return -ENOEXEC;
	err = claims__read_eh_frame(claims, image, &sources[SOURCE_EH_FRAME]);
	if (!err)
		err = claims__read_debug_frame(claims, image, &sources[SOURCE_DEBUG_FRAME]);
	if (!err && !claims->count)
		err = -ENODATA;
	if (!err)
		err = claims__scan_restorers(claims, image);
	if (err)
		return err;
	claims__sort(claims);
	return table__fill(table, image, sources, claims);
}

int unwind_table__build_fd(int fd, struct unwind_table *table)
{
	struct elf_image *image;
	struct claims claims = { 0 };
	int err;

	memset(table, 0, sizeof(*table));
	err = elf_image__open(fd, &image);
	if (err)
		return err;
	err = table__build(table, image, &claims);
	free(claims.items);
	elf_image__close(image);
	if (err)
		unwind_table__free(table);
	else
		table__shrink(table);
	return err;
}

int unwind_table__build(const struct object *object, struct unwind_table *table)
{
	return unwind_table__build_fd(object__fd(object), table);
}

void unwind_table__free(struct unwind_table *table)
{
	if (!table)
		return;
	free(table->rows);
	free(table->pages);
	memset(table, 0, sizeof(*table));
}

static const struct unwind_page *table__find_page(const struct unwind_table *table, uint64_t number)
{
	size_t low = 0, high = table->page_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->pages[middle].page == number)
			return &table->pages[middle];
		if (table->pages[middle].page < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct unwind_row *unwind_table__find(const struct unwind_table *table, uint64_t offset)
{
	const struct unwind_page *page = table__find_page(table, offset >> PAGE_SHIFT);
	uint32_t low = 0, high;

	if (!page)
		return NULL;
	/*
	 * rows[first + low] is at or before the offset, rows[first + high] is after it or the
	 * page's end
	 */
	for (high = page->count; high - low > 1;) {
		uint32_t middle = low + (high - low) / 2;

		if (table->rows[page->first + middle].low <= (uint16_t)offset)
			low = middle;
		else
			high = middle;
	}
	return &table->rows[page->first + low];
}
