/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_SAVE_H
#define MEMWATCH_SAVE_H
/*
 * Files that are written whole or not at all, and that only their owner may read: under sudo its
 * user (SUDO_UID, SUDO_GID), in a folder of that user or in one like /tmp.
 */
#include <stddef.h>

/* Whether a file could be written there, as far as that can be told: 0 or -errno. */
int save__check(const char *path);
/*
 * In place of what is at `path`, which stays as it is when this fails; a pipe, a device and what is
 * our standard output ("-", too) are written to. 0 or -errno.
 */
int save__write(const char *path, const void *data, size_t size);
/* "dir/heap.pb.gz" and 7: "dir/heap-0007.pb.gz"; the caller frees. NULL: no memory. */
char *save__numbered(const char *path, unsigned int number);

#endif
