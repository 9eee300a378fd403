/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "save.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* "-", or what our standard output is: /dev/stdout, or the file that the shell opened for it. */
static bool is_output(const char *path)
{
	struct stat stat_, output;

	if (!strcmp(path, "-"))
		return true;
	return !stat(path, &stat_) && !fstat(STDOUT_FILENO, &output) &&
	       output.st_dev == stat_.st_dev && output.st_ino == stat_.st_ino;
}

/* Pipes and devices, too, are written to: there is nothing to replace. */
static bool is_stream(const char *path)
{
	struct stat stat_;

	return is_output(path) ||
	       (!stat(path, &stat_) && !S_ISREG(stat_.st_mode) && !S_ISDIR(stat_.st_mode));
}

/* Where a link leads is what is replaced, never the link: one that leads nowhere is refused. */
static char *resolve(const char *path)
{
	char *resolved = realpath(path, NULL);
	struct stat stat_;

	if (!resolved) {
		if (errno != ENOENT || !lstat(path, &stat_))
			return NULL;
		return errno == ENOENT ? strdup(path) : NULL;
	}
	if (stat(resolved, &stat_) || !S_ISDIR(stat_.st_mode))
		return resolved;
	free(resolved);
	errno = EISDIR;
	return NULL;
}

static char *folder_of(const char *path)
{
	char *copy = strdup(path), *folder = copy ? strdup(dirname(copy)) : NULL;

	free(copy);
	return folder;
}

int save__check(const char *path)
{
	char *resolved, *folder;
	int error = 0;

	if (is_stream(path))
		return !is_output(path) && access(path, W_OK) ? -errno : 0;
	resolved = resolve(path);
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
	return 0;
}

/* A plain number in the environment that is an id (of (uid_t)-1 chown makes something else). */
static bool read_id(const char *name, uint32_t *id)
{
	const char *text = getenv(name);
	unsigned long value = 0;

	if (!text || !*text || strlen(text) > 10 || text[strspn(text, "0123456789")])
		return false;
	value = strtoul(text, NULL, 10);
	*id = (uint32_t)value;
	return value < UINT32_MAX;
}

/*
 * What sudo's user asked for is that user's, who could not read it otherwise: where that user could
 * have put it, in a folder of his own or one like /tmp. Elsewhere it would be a way to files that
 * root trusts.
 */
static void give_to_sudo_user(int fd, int folder)
{
	struct stat stat_;
	uint32_t user, group;

	if (getuid() || geteuid() || !read_id("SUDO_UID", &user) || !read_id("SUDO_GID", &group) ||
	    fstat(folder, &stat_))
		return;
	if (stat_.st_uid == user || (stat_.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH))
		(void)!fchown(fd, user, group); /* else it stays root's */
}

enum { TEMPORARY = 32, TRIES = 100 };

static int open_temporary(int folder, char name[TEMPORARY])
{
	int fd = -1;
	uint64_t number;

	for (int i = 0; i < TRIES && fd < 0; i++) {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return -errno;
		snprintf(name, TEMPORARY, ".memwatch-%016" PRIx64, number);
		fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	return fd < 0 ? -errno : fd;
}

/* The name is on the disk only when its folder is. Some file systems cannot; the file is there. */
static void sync_folder(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* The folder is opened once: it is the one that is looked at, whatever its path becomes. */
static int replace(int folder, const char *name, const void *data, size_t size)
{
	char temporary[TEMPORARY];
	int error, fd = open_temporary(folder, temporary);

	if (fd < 0)
		return fd;
	error = write_all(fd, data, size);
	if (!error && fsync(fd))
		error = -errno;
	if (!error)
		give_to_sudo_user(fd, folder);
	if (close(fd) && !error)
		error = -errno;
	if (!error && renameat(folder, temporary, folder, name))
		error = -errno;
	if (error)
		unlinkat(folder, temporary, 0);
	else
		sync_folder(folder);
	return error;
}

static int replace_in(const char *folder, const char *path, const void *data, size_t size)
{
	const char *slash = strrchr(path, '/');
	int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), error;

	if (fd < 0)
		return -errno;
	error = replace(fd, slash ? slash + 1 : path, data, size);
	close(fd);
	return error;
}

static int write_to_stream(const char *path, const void *data, size_t size)
{
	int fd = is_output(path) ? dup(STDOUT_FILENO) : open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	int error;

	if (fd < 0)
		return -errno;
	error = write_all(fd, data, size);
	if (close(fd) && !error)
		error = -errno;
	return error;
}

int save__write(const char *path, const void *data, size_t size)
{
	char *resolved, *folder;
	int error = -ENOMEM;

	if (is_stream(path))
		return write_to_stream(path, data, size);
	resolved = resolve(path);
	if (!resolved)
		return -errno;
	folder = folder_of(resolved);
	if (folder)
		error = replace_in(folder, resolved, data, size);
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
