/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TRUTH_H
#define TRUTH_H
/*
 * What a workload knows of itself: a tally for each function that calls the allocator, printed as
 * one JSON object. Nothing here allocates, so that a workload's books hold its own calls only.
 *
 * The protocol, on the test's pipes: "ready" -> the test's line -> the work -> the truth -> the
 * test's line -> exit with WORKLOAD_STATUS.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORKLOAD_STATUS = 7, WORKLOAD_ABANDONED = 99 };

#define NOINLINE __attribute__((noinline))
#define UNUSED __attribute__((unused))

struct tally {
	const char *site; /* the function that calls the allocator */
	uint64_t live_bytes, live_count;
	uint64_t freed_bytes, freed_count;
	uint64_t peak_bytes; /* right in one thread only */
};

/* A tally of the function `name`; the linker lines all of them up. */
#define TALLY(name) \
	static struct tally tally_##name \
		__attribute__((section("tallies"), used, aligned(8))) = { #name }

extern struct tally __start_tallies[] __attribute__((weak));
extern struct tally __stop_tallies[] __attribute__((weak));

static uint64_t truth_failed, truth_unmatched;
static uint64_t truth_live,
	truth_peak; /* bytes of the process; the peak is right in one thread only */

static inline void truth__add(uint64_t *counter, uint64_t amount)
{
	__atomic_fetch_add(counter, amount, __ATOMIC_RELAXED);
}

UNUSED static void tally__take(struct tally *tally, uint64_t size)
{
	truth__add(&tally->live_bytes, size);
	truth__add(&tally->live_count, 1);
	if (tally->peak_bytes < tally->live_bytes)
		tally->peak_bytes = tally->live_bytes;
	truth__add(&truth_live, size);
	if (truth_peak < truth_live)
		truth_peak = truth_live;
}

UNUSED static void tally__give(struct tally *tally, uint64_t size)
{
	truth__add(&tally->live_bytes, -size);
	truth__add(&tally->live_count, -1);
	truth__add(&tally->freed_bytes, size);
	truth__add(&tally->freed_count, 1);
	truth__add(&truth_live, -size);
}

/* A block that remembers whose it is. address NULL: the allocation failed. */
struct block {
	void *address;
	uint64_t size;
	struct tally *tally;
};

UNUSED static struct block block__new(struct tally *tally, void *address, uint64_t size)
{
	struct block block = { address, size, tally };

	if (address)
		tally__take(tally, size);
	else
		truth__add(&truth_failed, 1);
	return block;
}

NOINLINE UNUSED static void block__free(struct block *block)
{
	if (block->address)
		tally__give(block->tally, block->size);
	free(block->address);
	block->address = NULL;
}

/* Printing: into one buffer, out by one write(2). */
struct text {
	char bytes[1 << 16];
	size_t length;
};
static struct text truth_text;

__attribute__((format(printf, 1, 2))) UNUSED static void truth__print(const char *format, ...)
{
	size_t room = sizeof(truth_text.bytes) - truth_text.length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(truth_text.bytes + truth_text.length, room, format, arguments);
	va_end(arguments);
	if (length > 0 && (size_t)length < room)
		truth_text.length += length;
}

UNUSED static void truth__flush(void)
{
	size_t done = 0;

	while (done < truth_text.length) {
		ssize_t n = write(1, truth_text.bytes + done, truth_text.length - done);

		if (n <= 0)
			break;
		done += n;
	}
	truth_text.length = 0;
}

UNUSED static void truth__print_tally(const struct tally *tally)
{
	truth__print("\"live_bytes\":%llu,\"live_count\":%llu,\"alloc_bytes\":%llu,"
		     "\"alloc_count\":%llu,\"freed_bytes\":%llu,\"freed_count\":%llu",
		     (unsigned long long)tally->live_bytes, (unsigned long long)tally->live_count,
		     (unsigned long long)(tally->live_bytes + tally->freed_bytes),
		     (unsigned long long)(tally->live_count + tally->freed_count),
		     (unsigned long long)tally->freed_bytes,
		     (unsigned long long)tally->freed_count);
}

UNUSED static void truth__print_sites(void)
{
	const char *comma = "";

	for (struct tally *tally = __start_tallies; tally < __stop_tallies; tally++) {
		truth__print("%s\"%s\":{", comma, tally->site);
		truth__print_tally(tally);
		truth__print(",\"peak_bytes\":%llu}", (unsigned long long)tally->peak_bytes);
		comma = ",";
	}
}

UNUSED static struct tally truth__total(void)
{
	struct tally total = { "total", 0, 0, 0, 0, 0 };

	for (struct tally *tally = __start_tallies; tally < __stop_tallies; tally++) {
		total.live_bytes += tally->live_bytes;
		total.live_count += tally->live_count;
		total.freed_bytes += tally->freed_bytes;
		total.freed_count += tally->freed_count;
	}
	return total;
}

UNUSED static void truth__say(void)
{
	struct tally total = truth__total();

	truth__print("{\"pid\":%d,\"totals\":{", getpid());
	truth__print_tally(&total);
	truth__print(
		",\"failed_count\":%llu,\"unmatched_frees\":%llu},\"peak_bytes\":%llu,\"sites\":{",
		(unsigned long long)truth_failed, (unsigned long long)truth_unmatched,
		(unsigned long long)truth_peak);
	truth__print_sites();
	truth__print("}}\n");
	truth__flush();
}

/* Waits for a line of the test's; without the test there is nothing to live for. */
UNUSED static void truth__hold(void)
{
	char c = 0;

	while (c != '\n') {
		ssize_t n = read(0, &c, 1);

		if (n == 0 || (n < 0 && errno != EINTR))
			_exit(WORKLOAD_ABANDONED);
	}
}

UNUSED static void truth__ready(void)
{
	truth__print("ready\n");
	truth__flush();
	truth__hold();
}

UNUSED static int truth__end(void)
{
	truth__say();
	truth__hold();
	return WORKLOAD_STATUS;
}

#endif
