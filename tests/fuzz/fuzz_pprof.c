/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader of profiles, on any bytes: packed, or (more to the point) not. What is read must be
 * written and read again as the same figures.
 *
 * clang -fsanitize=fuzzer,address,undefined -O1 -g -D_GNU_SOURCE -DMEMWATCH_VERSION='"0"' -Ibuild
 *	-I. tests/fuzz/fuzz_pprof.c user/pprof_*.c user/snapshot.c user/arena.c user/numbering.c
 *	user/gzip.c user/wire.c user/utf8.c build/user/pprof.pb-c.c -lprotobuf-c -lz -lm
 *	-o build/fuzz_pprof
 */
#include <stdlib.h>

#include "user/pprof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct snapshot *snapshot)
{
	struct totals totals = snapshot__totals(snapshot), again;
	char why[PPROF_WHY] = "";
	struct profile profile;
	void *packed;
	size_t packed_size;

	if (pprof__write(snapshot, NULL, 0, &packed, &packed_size))
		abort();
	if (pprof__read(packed, packed_size, &profile, why))
		abort();
	again = snapshot__totals(profile.snapshot);
	if (again.counters.live_bytes != totals.counters.live_bytes ||
	    snapshot__site_count(profile.snapshot) != snapshot__site_count(snapshot))
		abort();
	free(packed);
	profile__free(&profile);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[PPROF_WHY] = "";
	struct profile profile;

	if (!pprof__read(data, size, &profile, why))
		check_again(profile.snapshot);
	else if (!*why)
		abort();
	profile__free(&profile);
	return 0;
}
