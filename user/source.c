/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* A path is what a target's debug information says: anything may be there. */
enum { MOST_BYTES = 16 << 20, MOST_COLUMNS = 400 };

struct source_line {
	char *text;
	UT_hash_handle hh;
	char key[]; /* path:line */
};

struct sources {
	struct source_line *lines;
};

struct sources *sources__new(void)
{
	return calloc(1, sizeof(struct sources));
}

void sources__free(struct sources *sources)
{
	struct source_line *line, *next;

	if (!sources)
		return;
	HASH_ITER(hh, sources->lines, line, next) {
		HASH_DEL(sources->lines, line);
		free(line->text);
		free(line);
	}
	free(sources);
}

static FILE *open_source(const char *path)
{
	int fd = *path == '/' ? open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
	struct stat status;
	FILE *file = NULL;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &status) && S_ISREG(status.st_mode) && status.st_size <= MOST_BYTES)
		file = fdopen(fd, "r");
	if (!file)
		close(fd);
	return file;
}

static char *trim(const char *text, size_t length)
{
	while (length && isspace((unsigned char)*text)) {
		text++;
		length--;
	}
	length = length < MOST_COLUMNS ? length : MOST_COLUMNS;
	while (length && isspace((unsigned char)text[length - 1]))
		length--;
	return strndup(text, length);
}

static char *read_line(const char *path, uint32_t number)
{
	FILE *file = open_source(path);
	char *text = NULL, *trimmed = NULL;
	size_t size = 0;
	ssize_t length = 0;

	if (!file)
		return NULL;
	for (uint32_t i = 0; i < number && length >= 0; i++)
		length = getline(&text, &size, file);
	if (length > 0)
		trimmed = trim(text, (size_t)length);
	free(text);
	fclose(file);
	return trimmed;
}

const char *sources__line(struct sources *sources, const char *path, uint32_t number)
{
	size_t size = strlen(path) + 16;
	struct source_line *line = calloc(1, sizeof(*line) + size), *known;

	if (!line)
		return "";
	snprintf(line->key, size, "%s:%u", path, number);
	HASH_FIND_STR(sources->lines, line->key, known);
	if (known) {
		free(line);
		return known->text ? known->text : "";
	}
	line->text = read_line(path, number);
	HASH_ADD_STR(sources->lines, key, line);
	if (line->hh.tbl)
		return line->text ? line->text : "";
	free(line->text);
	free(line);
	return "";
}
