/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_OBJECT_H
#define MEMWATCH_OBJECT_H
/*
 * A mapped file: its identity (device and inode), its build-id, and a descriptor that goes on
 * reading it after its name, or the process that mapped it, is gone.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "process.h"

struct object;
struct objects; /* every object seen so far, owned here; ids are dense and start at 1 */

struct objects *objects__new(void);
void objects__free(struct objects *objects);

/*
 * The object that `mapping` of `pid` shows, found or added. Opened through
 * /proc/PID/map_files (deleted, replaced and containers' files), else /proc/PID/root + path, else
 * the path, and taken only when fstat() agrees on the inode; never blocks on a FIFO or a device.
 * The vdso is an object too (its bytes are copied from our own). Returns NULL and sets errno when
 * there is none: ENOENT for anonymous memory, ESTALE when only another file has that name.
 */
struct object *objects__of_mapping(struct objects *objects, pid_t pid,
				   const struct mapping *mapping);
struct object *objects__by_id(const struct objects *objects, uint32_t id); /* NULL: no such */
/* An object for a file by its name, for tools and tests. NULL and errno when it cannot be read. */
struct object *objects__of_path(struct objects *objects, const char *path);

uint32_t object__id(const struct object *object);
const char *object__path(const struct object *object);     /* as the target sees it */
const char *object__name(const struct object *object);     /* the last part of the path; "[vdso]" */
const char *
object__build_id(const struct object *object); /* lower-case hex; NULL when it has none */
int object__fd(const struct object *object);               /* read-only, owned by the object */
dev_t object__dev(const struct object *object);            /* as stat() gives it */
ino_t object__ino(const struct object *object);

#endif
