/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLACES_H
#define PLACES_H
/* Addresses of this process's code as memwatch names them: "module+offset in the file". */
#include <fcntl.h>

#include "truth.h"

enum { CODE_RANGES = 64 };

/* Code of this process, by its mappings, read without allocating. */
struct code_range {
	uintptr_t start, end, offset;
	char name[64];
};
static struct code_range code_ranges[CODE_RANGES];
static int code_range_count;
static char maps_text[1 << 16];

static void code__parse(char *line)
{
	struct code_range *range = &code_ranges[code_range_count];
	unsigned long start, end, offset;
	char protection[8], path[256] = "";
	const char *slash;

	if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %255s", &start, &end, protection, &offset, path) <
		    4 ||
	    protection[2] != 'x' || code_range_count == CODE_RANGES)
		return;
	slash = strrchr(path, '/');
	range->start = start;
	range->end = end;
	range->offset = offset;
	snprintf(range->name, sizeof(range->name), "%.60s", slash ? slash + 1 : path);
	code_range_count++;
}

UNUSED static void code__read(void)
{
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t length = 0;
	ssize_t n;
	char *rest = NULL;

	while ((n = read(fd, maps_text + length, sizeof(maps_text) - 1 - length)) > 0)
		length += n;
	close(fd);
	for (char *line = strtok_r(maps_text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		code__parse(line);
}

UNUSED static void code__print(uintptr_t address)
{
	for (int i = 0; i < code_range_count; i++) {
		const struct code_range *range = &code_ranges[i];

		if (address < range->start || address >= range->end)
			continue;
		truth__print("\"%s+%lu\"", range->name,
			     (unsigned long)(address - range->start + range->offset));
		return;
	}
	truth__print("\"?+%lu\"", (unsigned long)address);
}

#endif
