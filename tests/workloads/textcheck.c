/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * textcheck PID: compares the executable file mappings of a process with their files. Prints each
 * byte that differs; status 1 when one does: a probe was left behind.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct range {
	uint64_t start, end, offset;
};

static int differences(int memory, int file, const struct range *range)
{
	static unsigned char here[4096], there[4096];
	int count = 0;

	for (uint64_t at = range->start; at < range->end; at += sizeof(here)) {
		ssize_t n = pread(file, there, sizeof(there), range->offset + (at - range->start));

		if (n <= 0 || pread(memory, here, n, at) != n)
			break;
		for (ssize_t i = 0; i < n; i++) {
			if (here[i] == there[i])
				continue;
			printf("0x%" PRIx64 ": %02x, file has %02x\n", at + i, here[i], there[i]);
			count++;
		}
	}
	return count;
}

int main(int argc, char **argv)
{
	char name[64], line[4096];
	int memory, count = 0;
	FILE *maps;

	if (argc != 2)
		return 2;
	snprintf(name, sizeof(name), "/proc/%s/mem", argv[1]);
	memory = open(name, O_RDONLY);
	snprintf(name, sizeof(name), "/proc/%s/maps", argv[1]);
	maps = fopen(name, "r");
	if (memory < 0 || !maps)
		return 2;
	while (fgets(line, sizeof(line), maps)) {
		struct range range;
		unsigned long inode;
		char protection[8];
		int file;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %lu", &range.start,
			   &range.end, protection, &range.offset, &inode) != 5)
			continue;
		if (!strchr(protection, 'x') || !inode)
			continue;
		snprintf(name, sizeof(name), "/proc/%s/map_files/%" PRIx64 "-%" PRIx64, argv[1],
			 range.start, range.end);
		file = open(name, O_RDONLY);
		if (file < 0)
			continue;
		count += differences(memory, file, &range);
		close(file);
	}
	fclose(maps);
	close(memory);
	return count ? 1 : 0;
}
