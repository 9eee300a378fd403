/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "elf_image.h"
#include "unwind_claims.h"
#include "unwind_gaps.h"
#include "unwind_row.h"
#include "unwind_table.h"

enum {
	PAGE_SHIFT = 16,
	PAGES_MAX = 32768,    /* 2 GiB of code: how far a relative call reaches */
	ROWS_MAX = 16 << 20,  /* 128 MB */
};

static const uint64_t OFFSET_MAX = 1ULL << (32 + PAGE_SHIFT);

/* Rows as they are appended. */
struct builder {
	struct unwind_table *table;
	size_t row_capacity, page_capacity;
	uint64_t next_page;        /* the lowest that has not begun */
	uint64_t floor;            /* file offset up to which a claim has spoken */
	struct unwind_row current; /* what holds at the end of what was put */
	struct claims *claims;
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

/* The same of code that was followed. */
static int builder__emit_code(void *context, uint64_t address, enum unwind_code_kind kind,
			      const struct unwind_row *row)
{
	struct builder *builder = context;
	uint64_t offset = builder->claim->start + (address - builder->claim->address);
	const struct unwind_row of_kind[] = {
		[UNWIND_CODE_UNKNOWN] = builder->claims->unknown,
		[UNWIND_CODE_LOST] = { .cfa_rule = UNWIND_UNSUPPORTED },
		[UNWIND_CODE_PADDING] = { .cfa_rule = UNWIND_NONE },
	};

	if (offset >= builder->claim->end)
		return 0;
	if (offset < builder->floor)
		offset = builder->floor;
	return builder__put(builder, offset, kind == UNWIND_CODE_KNOWN ? *row : of_kind[kind]);
}

static int builder__run_claim(struct builder *builder, const struct claim *claim)
{
	const struct cfi_fde fde = { claim->address, claim->fde_end, claim->cie, claim->position,
				     claim->limit };
	uint64_t start = claim->start < builder->floor ? builder->floor : claim->start;

	builder->claim = claim;
	switch (claim->source) {
	case CLAIM_RESTORER:
		return builder__put(builder, start,
				    (struct unwind_row){ .cfa_rule = UNWIND_SIGNAL });
	case CLAIM_UNKNOWN:
		return builder__put(builder, start, builder->claims->unknown);
	case CLAIM_CODE:
		return unwind_code__rows(builder->claims->code, claim->position, builder__emit_code,
					 builder);
	default:
		return cfi__run(&builder->claims->cfi[claim->source], &fde, builder__emit, builder);
	}
}

static int builder__add_claim(struct builder *builder, const struct claim *claim)
{
	int err = 0;

	if (claim->end <= builder->floor)
		return 0;
	if (claim->start > builder->floor)
		err = builder__put(builder, builder->floor,
				   (struct unwind_row){ .cfa_rule = UNWIND_NONE });
	if (!err)
		err = builder__run_claim(builder, claim);
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

/* The segment's share of the claims, from `*next` on. */
static int builder__add_segment(struct builder *builder, size_t *next,
				const struct elf_segment *segment)
{
	const struct claims *claims = builder->claims;
	uint64_t end = segment->offset + segment->size;
	int err = builder__begin_segment(builder, segment);

	for (; !err && *next < claims->count && claims->items[*next].start < end; ++*next) {
		struct claim claim = claims->items[*next];

		claim.end = claim.end < end ? claim.end : end;
		err = builder__add_claim(builder, &claim);
	}
	return err ? err : builder__end_segment(builder, segment);
}

static int table__fill(struct unwind_table *table, const struct elf_image *image,
		       struct claims *claims)
{
	struct builder builder = { .table = table, .claims = claims };
	size_t count, next = 0;
	const struct elf_segment *segments = elf_image__segments(image, &count);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = builder__add_segment(&builder, &next, &segments[i]);
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

static int table__build(struct unwind_table *table, struct elf_image *image, int fd,
			struct claims *claims)
{
	int err;

	if (!image__has_code(image))
		return -ENOEXEC;
	err = claims__read(claims, image);
	if (!err)
		err = gaps__follow(claims, image, fd);
	if (!err && !claims->fdes && !claims->code)
		err = -ENODATA;
	return err ? err : table__fill(table, image, claims);
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
	err = table__build(table, image, fd, &claims);
	claims__free(&claims);
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
