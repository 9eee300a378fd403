/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "perfmap.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "process.h"
#include "span.h"

enum { FILE_MAX = 64 * 1024 * 1024 }; /* bytes read of one map */
enum { ENTRIES_MAX = 1000 * 1000 };
enum { PROC_PATH = 96 };

struct perfmap {
	int fd;
	off_t at;           /* whole lines up to here were read */
	char **names;       /* in the file's order */
	size_t count, room;
	struct spans spans; /* the item is the name's index: the greatest is the newest */
};

struct perfmap *perfmap__open(pid_t pid)
{
	struct process_status status;
	struct perfmap *map = NULL;
	char path[PROC_PATH];
	struct stat stat;
	int error = process__status(pid, &status);

	if (!error) {
		snprintf(path, sizeof(path), "/proc/%d/root/tmp/perf-%d.map", pid,
			 status.inner_pid);
		map = calloc(1, sizeof(*map));
		error = map ? map->fd = file__open(path, &stat) : -ENOMEM;
	}
	if (error >= 0) {
		error = perfmap__refresh(map);
		if (!error)
			return map;
		perfmap__free(map);
	} else {
		free(map);
	}
	errno = -error;
	return NULL;
}

static void perfmap__clear(struct perfmap *map)
{
	for (size_t i = 0; i < map->count; i++)
		free(map->names[i]);
	map->count = 0;
	map->spans.count = 0;
	map->at = 0;
}

void perfmap__free(struct perfmap *map)
{
	if (!map)
		return;
	perfmap__clear(map);
	spans__free(&map->spans);
	free(map->names);
	close(map->fd);
	free(map);
}

static int perfmap__add(struct perfmap *map, uint64_t start, uint64_t size, const char *name)
{
	uint64_t end = size > UINT64_MAX - start ? UINT64_MAX : start + size;

	if (map->count == ENTRIES_MAX || !size || !*name)
		return 0;
	if (map->count == map->room) {
		size_t room = map->room ? map->room * 2 : 256;
		char **larger = reallocarray(map->names, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		map->names = larger;
		map->room = room;
	}
	if (spans__add(&map->spans, start, end, map->count))
		return -ENOMEM;
	map->names[map->count] = strdup(name);
	if (!map->names[map->count]) {
		map->spans.count--;
		return -ENOMEM;
	}
	map->count++;
	return 0;
}

/* A hexadecimal number and the space behind it; false when there is none. */
static bool line__number(char **line, uint64_t *number)
{
	char *end;

	if (!isxdigit((unsigned char)**line))
		return false;
	errno = 0;
	*number = strtoull(*line, &end, 16);
	if (errno || *end != ' ')
		return false;
	*line = end + 1;
	return true;
}

/* Lines that are not of the format are somebody else's: passed over. */
static int perfmap__parse(struct perfmap *map, char *text, size_t size)
{
	char *line = text, *end;
	uint64_t start, length;
	int error = 0;

	while (!error && (end = memchr(line, '\n', text + size - line))) {
		char *next = end + 1;

		*end = '\0';
		if (line__number(&line, &start) && line__number(&line, &length))
			error = perfmap__add(map, start, length, line);
		line = next;
	}
	if (!error)
		map->at += line - text;
	return error;
}

static ssize_t perfmap__read(const struct perfmap *map, char *text, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = pread(map->fd, text + done, size - done, map->at + done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += got;
	}
	return done;
}

/* Reads and adds the `size` bytes that follow what was read. */
static int perfmap__append(struct perfmap *map, size_t size)
{
	char *text = malloc(size);
	ssize_t got;
	int error;

	if (!text)
		return -ENOMEM;
	got = perfmap__read(map, text, size);
	error = got < 0 ? (int)got : perfmap__parse(map, text, got);
	free(text);
	spans__sort(&map->spans);
	return error;
}

int perfmap__refresh(struct perfmap *map)
{
	struct stat stat;
	off_t end;

	if (fstat(map->fd, &stat))
		return -errno;
	if (stat.st_size < map->at) /* written anew */
		perfmap__clear(map);
	end = stat.st_size < FILE_MAX ? stat.st_size : FILE_MAX;
	return end > map->at ? perfmap__append(map, end - map->at) : 0;
}

const char *perfmap__find(const struct perfmap *map, uint64_t address)
{
	const struct span *span = NULL, *newest = NULL;

	while ((span = spans__find(&map->spans, address, span))) {
		if (!newest || span->item > newest->item)
			newest = span;
	}
	return newest ? map->names[newest->item] : NULL;
}
