/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "save.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where a link leads is what is replaced, not the link. Only regular files are. */
static char *resolve(const char *path)
{
	char *resolved = realpath(path, NULL);
	struct stat stat_;

	if (!resolved && errno == ENOENT)
		return strdup(path);
	if (resolved && !stat(resolved, &stat_) && !S_ISREG(stat_.st_mode)) {
		free(resolved);
		errno = S_ISDIR(stat_.st_mode) ? EISDIR : EINVAL;
		return NULL;
	}
	return resolved;
}

static char *folder_of(const char *path)
{
	char *copy = strdup(path), *folder = copy ? strdup(dirname(copy)) : NULL;

	free(copy);
	return folder;
}

int save__check(const char *path)
{
	char *resolved = resolve(path), *folder;
	int error = 0;

	if (!resolved)
		return -errno;
	folder = folder_of(resolved);
	if (!folder)
		error = -ENOMEM;
	else if (access(folder, W_OK | X_OK))
		error = -errno;
	free(folder);
	free(resolved);
	return error;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t count = write(fd, data, size);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count ? -errno : -EIO;
		data += count;
		size -= (size_t)count;
	}
	return fsync(fd) ? -errno : 0;
}

/* The name is on the disk only when its folder is. Some file systems cannot; the file is there. */
static void sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

static int replace(const char *path, const char *folder, const void *data, size_t size)
{
	char *temporary;
	int error, fd;

	if (asprintf(&temporary, "%s/.memwatch-XXXXXX", folder) < 0)
		return -ENOMEM;
	fd = mkostemp(temporary, O_CLOEXEC); /* its mode is 0600 */
	if (fd < 0) {
		error = -errno;
		free(temporary);
		return error;
	}
	error = write_all(fd, data, size);
	if (close(fd) && !error)
		error = -errno;
	if (!error && rename(temporary, path))
		error = -errno;
	if (error)
		unlink(temporary);
	else
		sync_folder(folder);
	free(temporary);
	return error;
}

int save__write(const char *path, const void *data, size_t size)
{
	char *resolved = resolve(path), *folder;
	int error = -ENOMEM;

	if (!resolved)
		return -errno;
	folder = folder_of(resolved);
	if (folder)
		error = replace(resolved, folder, data, size);
	free(folder);
	free(resolved);
	return error;
}

char *save__numbered(const char *path, unsigned int number)
{
	static const char *const endings[] = { ".pb.gz", ".pprof.gz", ".pprof", ".pb", ".gz" };
	size_t length = strlen(path);
	char *name;

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t ending = strlen(endings[i]);

		if (length > ending && !strcmp(path + length - ending, endings[i])) {
			length -= ending;
			break;
		}
	}
	if (asprintf(&name, "%.*s-%04u%s", (int)length, path, number, path + length) < 0)
		return NULL;
	return name;
}
