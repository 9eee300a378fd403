/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer: any bytes are an object. Nothing crashes, nothing hangs, and a table is a sound one.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/unwind_invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unwind_table table;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	if (!unwind_table__build_fd(fd, &table)) {
		if (unwind_table__broken(&table) || !table.page_count)
			abort();
		for (size_t i = 0; i < table.page_count; i++)
			if (!unwind_table__find(&table,
						((uint64_t)table.pages[i].page << 16) + 0x8123))
				abort();
		unwind_table__free(&table);
	}
	close(fd);
	return 0;
}
