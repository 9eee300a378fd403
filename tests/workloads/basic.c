/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every C allocator entry point, successful and failing, in one thread. */
#include <malloc.h>

#include "truth.h"

static const size_t too_much = PTRDIFF_MAX;
static volatile size_t half = SIZE_MAX / 2;

TALLY(by_malloc);
NOINLINE static struct block by_malloc(size_t size)
{
	return block__new(&tally_by_malloc, malloc(size), size);
}

TALLY(by_calloc);
NOINLINE static struct block by_calloc(size_t number, size_t size)
{
	return block__new(&tally_by_calloc, calloc(number, size), number * size);
}

/* What realloc and reallocarray do to a block, by what they returned. */
static void moved(struct block *block, struct tally *tally, void *address, size_t size,
		  bool overflow)
{
	bool released = !address && size == 0 && block->address && !overflow;

	if (!address && !released) {
		truth__add(&truth_failed, 1);
		return;
	}
	if (block->address)
		tally__give(block->tally, block->size);
	*block = (struct block){ address, size, tally };
	if (address)
		tally__take(tally, size);
}

TALLY(by_realloc);
NOINLINE static void by_realloc(struct block *block, size_t size)
{
	void *address = realloc(block->address, size);

	moved(block, &tally_by_realloc, address, size, false);
}

TALLY(by_reallocarray);
NOINLINE static void by_reallocarray(struct block *block, size_t number, size_t size)
{
	void *address = reallocarray(block->address, number, size);
	size_t total;
	bool overflow = __builtin_mul_overflow(number, size, &total);

	moved(block, &tally_by_reallocarray, address, total, overflow);
}

TALLY(by_posix_memalign);
NOINLINE static struct block by_posix_memalign(size_t alignment, size_t size)
{
	void *address = (void *)1;

	if (posix_memalign(&address, alignment, size))
		address = NULL;
	return block__new(&tally_by_posix_memalign, address, size);
}

TALLY(by_aligned_alloc);
NOINLINE static struct block by_aligned_alloc(size_t alignment, size_t size)
{
	return block__new(&tally_by_aligned_alloc, aligned_alloc(alignment, size), size);
}

TALLY(by_memalign);
NOINLINE static struct block by_memalign(size_t alignment, size_t size)
{
	return block__new(&tally_by_memalign, memalign(alignment, size), size);
}

#ifdef __GLIBC__
TALLY(by_valloc);
NOINLINE static struct block by_valloc(size_t size)
{
	return block__new(&tally_by_valloc, valloc(size), size);
}

TALLY(by_pvalloc);
NOINLINE static struct block by_pvalloc(size_t size)
{
	return block__new(&tally_by_pvalloc, pvalloc(size), size);
}
#endif

static void use_malloc(void)
{
	static const size_t sizes[] = { 0, 1, 24, 100, 1000, 4096, 200000, 1 << 20 };

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct block given = by_malloc(sizes[i]);

		by_malloc(sizes[i]);
		block__free(&given);
	}
	by_malloc(too_much);
	by_malloc(half);
	for (int i = 0; i < 3; i++)
		free(NULL);
}

static void use_calloc(void)
{
	struct block block = by_calloc(10, 20);

	by_calloc(7, 11);
	by_calloc(0, 5);
	by_calloc(half, 3);
	block__free(&block);
}

static void use_realloc(void)
{
	struct block block = { 0 }, other = by_malloc(333), gone = by_malloc(44);

	by_realloc(&block, 100);
	by_realloc(&block, 5000);
	by_realloc(&block, 300000);
	by_realloc(&block, 50);
	by_realloc(&block, too_much);
	by_realloc(&other, 444);
	by_realloc(&gone, 0);
	if (gone.address)
		block__free(&gone);
	gone.address = NULL;
	by_realloc(&gone, 0);
}

static void use_reallocarray(void)
{
	struct block block = { 0 };

	by_reallocarray(&block, 10, 10);
	by_reallocarray(&block, 100, 10);
	by_reallocarray(&block, half, 4);
	by_reallocarray(&block, half + 1, 2); /* 2^64: the product is 0, the block stays */
	by_reallocarray(&block, 3, 7);
}

static void use_aligned(void)
{
	struct block block = by_posix_memalign(64, 1000);

	by_posix_memalign(4096, 77);
	by_posix_memalign(3, 100);
	by_posix_memalign(64, too_much);
	block__free(&block);
	block = by_aligned_alloc(64, 128);
	by_aligned_alloc(32, 320);
	by_aligned_alloc(64, too_much & ~(size_t)63);
	block__free(&block);
	block = by_memalign(256, 300);
	by_memalign(16, 1600);
	block__free(&block);
}

int main(void)
{
	truth__ready();
	use_malloc();
	use_calloc();
	use_realloc();
	use_reallocarray();
	use_aligned();
#ifdef __GLIBC__
	by_valloc(77); /* kept: not every preloaded allocator has all of these, and a block must */
	by_pvalloc(5000); /* be freed by its own */
#endif
	return truth__end();
}
