/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwind_claims.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	CLAIMS_FIRST = 1024,
	CLAIMS_MAX = 8 << 20, /* FDEs */
	SCAN_CHUNK = 256 << 10,
};

/*
 * mov $15,%rax; syscall: rt_sigreturn, which never comes back, so that it is nothing but a
 * signal's frame.
 */
static const uint8_t RESTORER[] = { 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05 };

int claims__add(struct claims *claims, const struct claim *claim)
{
	if (claims->count == claims->capacity) {
		size_t capacity = claims->capacity ? claims->capacity * 2 : CLAIMS_FIRST;
		struct claim *items;

		if (claims->count >= CLAIMS_MAX)
			return -ENOEXEC;
		items = reallocarray(claims->items, capacity, sizeof(*items));
		if (!items)
			return -ENOMEM;
		claims->items = items;
		claims->capacity = capacity;
	}
	claims->items[claims->count++] = *claim;
	return 0;
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
			   const struct cfi_fde *fde, enum claim_source source)
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
			       struct cfi *cfi, enum claim_source source)
{
	struct cfi_fde fde;
	size_t position = 0;
	int err = 0;

	while (!err && cfi__next(cfi, &position, &fde))
		err = claims__add_fde(claims, image, &fde, source);
	return err;
}

static int claims__read_eh_frame(struct claims *claims, struct elf_image *image)
{
	struct cfi *cfi = &claims->cfi[CLAIM_EH_FRAME];
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
	return claims__add_section(claims, image, cfi, CLAIM_EH_FRAME);
}

/*
 * Go's is not read: it has goroutines' frames as if runtime.asmcgocall did not change stacks, and
 * its callers would be words of the wrong one.
 */
static int claims__read_debug_frame(struct claims *claims, struct elf_image *image)
{
	struct cfi *cfi = &claims->cfi[CLAIM_DEBUG_FRAME];
	struct elf_bytes bytes;
	int err = elf_image__section(image, ".note.go.buildid", &bytes);

	if (!err)
		return 0;
	err = elf_image__section(image, ".debug_frame", &bytes);
	if (err)
		return err == -ENODATA ? 0 : err;
	cfi__init(cfi,
		  &(struct cfi_section){ bytes.bytes, bytes.size, bytes.address, true, false });
	return claims__add_section(claims, image, cfi, CLAIM_DEBUG_FRAME);
}

/*
 * A restorer that no FDE describes (musl's). The return address that the kernel pushes is its
 * first byte, and a walk may look it up as it is or one less: the claim has both.
 */
static int claims__add_restorer(struct claims *claims, uint64_t start)
{
	return claims__add(claims, &(struct claim){ .start = start ? start - 1 : 0,
						    .end = start + sizeof(RESTORER),
						    .source = CLAIM_RESTORER });
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

void claims__sort(struct claims *claims)
{
	for (size_t i = 1; i < claims->count; i++) {
		if (claim__compare(&claims->items[i - 1], &claims->items[i]) <= 0)
			continue;
		qsort(claims->items, claims->count, sizeof(*claims->items), claim__compare);
		return;
	}
}

int claims__read(struct claims *claims, struct elf_image *image)
{
	int err = claims__read_eh_frame(claims, image);

	if (!err)
		err = claims__read_debug_frame(claims, image);
	claims->fdes = claims->count;
	if (!err)
		err = claims__scan_restorers(claims, image);
	claims__sort(claims);
	return err;
}

void claims__free(struct claims *claims)
{
	free(claims->items);
	unwind_code__free(claims->code);
}
