/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_LOADER_H
#define MEMWATCH_LOADER_H
/* The dynamic loader (ld.so) of a process, as it tells debuggers what it does (link.h, r_debug). */
#include <stdbool.h>
#include <sys/types.h>

/*
 * Whether the kernel's exec or the loader is still mapping the process's files. Not for ever where
 * the process ends, or has no loader: then not at all.
 */
bool loader__is_busy(pid_t pid);

#endif
