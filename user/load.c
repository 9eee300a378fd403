/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As much as a profile may have when it is not packed (pprof_read.c): more is none of ours. */
enum { MAX_FILE = 512 * 1024 * 1024, FIRST_ROOM = 1 << 16 };

struct bytes {
	char *data;
	size_t size, room;
};

static int make_room(struct bytes *bytes)
{
	size_t room = bytes->room ? bytes->room * 2 : FIRST_ROOM;
	char *data;

	if (bytes->size < bytes->room)
		return 0;
	if (room > MAX_FILE)
		return -EFBIG;
	data = realloc(bytes->data, room);
	if (!data)
		return -ENOMEM;
	bytes->data = data;
	bytes->room = room;
	return 0;
}

/* A pipe will do, too: its size is not known before. */
static int read_all(int fd, struct bytes *bytes)
{
	while (1) {
		int error = make_room(bytes);
		ssize_t count;

		if (error)
			return error;
		count = read(fd, bytes->data + bytes->size, bytes->room - bytes->size);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count ? -errno : 0;
		bytes->size += (size_t)count;
	}
}

static int read_file(const char *path, struct bytes *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int error;

	if (fd < 0)
		return -errno;
	error = read_all(fd, bytes);
	close(fd);
	return error;
}

int load__profile(const char *path, struct profile *profile, char why[PPROF_WHY])
{
	struct bytes bytes = { 0 };
	int error = read_file(path, &bytes);

	*profile = (struct profile){ 0 };
	*why = '\0';
	if (!error)
		error = pprof__read(bytes.data, bytes.size, profile, why);
	if (error && !*why)
		snprintf(why, PPROF_WHY, "%s", error == -EFBIG ? "is too large" : strerror(-error));
	free(bytes.data);
	return error;
}
