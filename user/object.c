/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "object.h"

#include <errno.h>
#include <inttypes.h>
#include <libelf.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "file.h"

enum { PROC_PATH = 96 };

struct identity {
	dev_t dev;
	ino_t ino;
};

struct object {
	struct identity identity;
	uint32_t id;
	int fd;
	char *path;
	const char *name; /* in path */
	char *build_id;
	UT_hash_handle hh;
};

/* How a mapping names its file. `pid` is 0 unless the device in it is not stat()'s: then the name
 * holds for this process only (btrfs gives one device to all its subvolumes). */
struct known {
	struct object *object;
	UT_hash_handle hh;
	size_t size;
	struct known_key {
		uint64_t inode;
		unsigned int major, minor;
		pid_t pid;
		char path[];
	} key;
};

struct objects {
	struct object **items; /* id - 1 is the index */
	size_t count, room;
	struct object *by_identity;
	struct known *known;
};

struct objects *objects__new(void)
{
	if (elf_version(EV_CURRENT) == EV_NONE) {
		errno = ENOTSUP;
		return NULL;
	}
	return calloc(1, sizeof(struct objects));
}

static void object__free(struct object *object)
{
	close(object->fd);
	free(object->path);
	free(object->build_id);
	free(object);
}

void objects__free(struct objects *objects)
{
	struct known *known, *next;

	if (!objects)
		return;
	HASH_ITER(hh, objects->known, known, next) {
		HASH_DEL(objects->known, known);
		free(known);
	}
	HASH_CLEAR(hh, objects->by_identity);
	for (size_t i = 0; i < objects->count; i++)
		object__free(objects->items[i]);
	free(objects->items);
	free(objects);
}

static struct object *object__new(int fd, const struct stat *stat, const char *path)
{
	struct object *object = calloc(1, sizeof(*object));
	const char *slash = strrchr(path, '/');
	size_t name = slash && slash[1] ? slash + 1 - path : 0;

	if (!object)
		return NULL;
	object->path = strdup(path);
	if (!object->path) {
		free(object);
		return NULL;
	}
	object->fd = fd;
	object->name = object->path + name;
	object->identity.dev = stat->st_dev;
	object->identity.ino = stat->st_ino;
	object->build_id = file__build_id(fd);
	return object;
}

static int objects__append(struct objects *objects, struct object *object)
{
	if (objects->count == objects->room) {
		size_t room = objects->room ? objects->room * 2 : 64;
		struct object **larger = reallocarray(objects->items, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		objects->items = larger;
		objects->room = room;
	}
	HASH_ADD(hh, objects->by_identity, identity, sizeof(object->identity), object);
	if (!object->hh.tbl)
		return -ENOMEM;
	objects->items[objects->count++] = object;
	object->id = objects->count;
	return 0;
}

/* The object that the opened file is: one that is known, or a new one. Takes `fd`. */
static struct object *objects__of_file(struct objects *objects, int fd, const struct stat *stat,
				       const char *path)
{
	struct identity identity;
	struct object *object;

	memset(&identity, 0, sizeof(identity));
	identity.dev = stat->st_dev;
	identity.ino = stat->st_ino;
	HASH_FIND(hh, objects->by_identity, &identity, sizeof(identity), object);
	if (object) {
		close(fd);
		return object;
	}
	object = object__new(fd, stat, path);
	if (!object) {
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	if (objects__append(objects, object)) {
		object__free(object);
		errno = ENOMEM;
		return NULL;
	}
	return object;
}

struct object *objects__of_path(struct objects *objects, const char *path)
{
	struct stat stat;
	int fd = file__open(path, &stat);

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	return objects__of_file(objects, fd, &stat, path);
}

/* The kernel's own link to the mapped file. Where the two disagree on the inode (overlayfs), the
 * link must at least have the mapping's name: the range may have been mapped anew meanwhile. */
static int mapping__open_link(pid_t pid, const struct mapping *mapping, struct stat *stat)
{
	char link[PROC_PATH], path[PATH_MAX];
	size_t length = strlen(mapping->path);
	ssize_t got;
	int fd;

	snprintf(link, sizeof(link), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, mapping->start,
		 mapping->end);
	fd = file__open(link, stat);
	if (fd < 0 || stat->st_ino == mapping->inode)
		return fd;
	got = readlink(link, path, sizeof(path));
	if (got >= (ssize_t)length && !memcmp(path, mapping->path, length))
		return fd;
	close(fd);
	return -ESTALE;
}

/* By name, below `root` ("" or /proc/PID/root): ours only when it is the same inode. */
static int mapping__open_path(const char *root, const struct mapping *mapping, struct stat *stat)
{
	char *path;
	int fd;

	if (mapping->path[0] != '/')
		return -ENOENT;
	if (asprintf(&path, "%s%s", root, mapping->path) < 0)
		return -ENOMEM;
	fd = file__open(path, stat);
	free(path);
	if (fd < 0 || stat->st_ino == mapping->inode)
		return fd;
	close(fd);
	return -ESTALE;
}

static int mapping__open(pid_t pid, const struct mapping *mapping, struct stat *stat)
{
	char root[PROC_PATH];
	int fd, link, below, here;

	fd = link = mapping__open_link(pid, mapping, stat);
	if (fd >= 0)
		return fd;
	snprintf(root, sizeof(root), "/proc/%d/root", pid);
	fd = below = mapping__open_path(root, mapping, stat);
	if (fd >= 0)
		return fd;
	fd = here = mapping__open_path("", mapping, stat);
	if (fd >= 0)
		return fd;
	if (link == -ESTALE || below == -ESTALE || here == -ESTALE)
		return -ESTALE;
	return here == -ENOENT ? link : here;
}

/* The size of our own vdso, in bytes; 0 when we have none. */
static size_t vdso__size(unsigned long address)
{
	const struct mapping *mapping;
	struct mappings mappings;
	size_t size;

	if (!address || process__mappings(getpid(), &mappings))
		return 0;
	mapping = mappings__find(&mappings, address);
	size = mapping && mapping->start == address ? mapping->end - mapping->start : 0;
	mappings__free(&mappings);
	return size;
}

/* One kernel gives all its processes of a kind the same vdso; a 32-bit process has another one,
 * which we recognise by its size or its place. Its bytes go to a file that only we have. */
static int vdso__open(const struct mapping *mapping, struct stat *stat)
{
	unsigned long address = getauxval(AT_SYSINFO_EHDR);
	size_t size = vdso__size(address);
	int fd;

	if (!size || mapping->end - mapping->start != size || mapping->end <= UINT32_MAX)
		return -ENOENT;
	fd = memfd_create("memwatch-vdso", MFD_CLOEXEC);
	if (fd < 0 && errno == EMFILE && file__raise_limit())
		fd = memfd_create("memwatch-vdso", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, (const void *)address, size) == (ssize_t)size && !fstat(fd, stat))
		return fd;
	close(fd);
	return -EIO;
}

static struct known *objects__find_known(const struct objects *objects, const struct known_key *key,
					 size_t size)
{
	struct known *known;

	HASH_FIND(hh, objects->known, key, size, known);
	return known;
}

/* `known` with the key of `mapping`, not in the table yet. */
static struct known *known__new(const struct mapping *mapping)
{
	size_t path = strlen(mapping->path) + 1;
	struct known *known = calloc(1, sizeof(*known) + path);

	if (!known)
		return NULL;
	known->key.inode = mapping->inode;
	known->key.major = mapping->major;
	known->key.minor = mapping->minor;
	memcpy(known->key.path, mapping->path, path);
	known->size = offsetof(struct known_key, path) + path;
	return known;
}

static struct object *objects__open_mapping(struct objects *objects, pid_t pid,
					    const struct mapping *mapping)
{
	struct stat stat;
	int fd = mapping->inode ? mapping__open(pid, mapping, &stat) : vdso__open(mapping, &stat);

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	return objects__of_file(objects, fd, &stat, mapping->path);
}

/* Looks the key up for every process, then for this one; opens the file when neither is there. A
 * known file stays open, so its inode's number cannot be given to another one. */
static struct object *objects__resolve(struct objects *objects, pid_t pid,
				       const struct mapping *mapping, struct known *known)
{
	struct known *found = objects__find_known(objects, &known->key, known->size);
	struct object *object;

	if (found)
		return found->object;
	known->key.pid = pid;
	found = objects__find_known(objects, &known->key, known->size);
	if (found)
		return found->object;
	object = objects__open_mapping(objects, pid, mapping);
	if (object &&
	    (!mapping->inode || (object->identity.dev == makedev(mapping->major, mapping->minor) &&
				 object->identity.ino == mapping->inode)))
		known->key.pid = 0;
	return object;
}

struct object *objects__of_mapping(struct objects *objects, pid_t pid,
				   const struct mapping *mapping)
{
	struct known *known;
	struct object *object;

	/* A shared anonymous mapping is a file of the kernel's, but of no interest as one. */
	if ((!mapping->inode && strcmp(mapping->path, "[vdso]")) ||
	    (mapping->deleted && !strcmp(mapping->path, "/dev/zero"))) {
		errno = ENOENT;
		return NULL;
	}
	known = known__new(mapping);
	if (!known) {
		errno = ENOMEM;
		return NULL;
	}
	object = objects__resolve(objects, pid, mapping, known);
	if (object && !objects__find_known(objects, &known->key, known->size)) {
		known->object = object;
		HASH_ADD_KEYPTR(hh, objects->known, &known->key, known->size, known);
		if (known->hh.tbl)
			return object;
	}
	free(known);
	return object;
}

struct object *objects__by_id(const struct objects *objects, uint32_t id)
{
	return id && id <= objects->count ? objects->items[id - 1] : NULL;
}

uint32_t object__id(const struct object *object)
{
	return object->id;
}

const char *object__path(const struct object *object)
{
	return object->path;
}

const char *object__name(const struct object *object)
{
	return object->name;
}

const char *object__build_id(const struct object *object)
{
	return object->build_id;
}

int object__fd(const struct object *object)
{
	return object->fd;
}

dev_t object__dev(const struct object *object)
{
	return object->identity.dev;
}

ino_t object__ino(const struct object *object)
{
	return object->identity.ino;
}
