/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_FILE_H
#define MEMWATCH_FILE_H
/* Files that others own: opened so that none can hold us up, and told apart by their build-id. */
#include <stdbool.h>
#include <sys/stat.h>

/* A read-only descriptor of the regular file at `path`, and what fstat() says of it; -EACCES when
 * it is none (a FIFO or a device is never opened), else -errno. Raises RLIMIT_NOFILE if need be. */
int file__open(const char *path, struct stat *stat);
/* Makes the soft limit of open files the hard one; false when it is that already. */
bool file__raise_limit(void);
/* The ELF file's build-id in lower-case hex, or NULL; the caller frees. */
char *file__build_id(int fd);

#endif
