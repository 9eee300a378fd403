/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_CONTAINER_H
#define MEMWATCH_CONTAINER_H
/* Which container a process is in, by the names of its cgroups. */
#include <stdbool.h>

enum { CONTAINER_SIZE = 65 }; /* 64 digits, or a name that is no longer; with its zero */

/*
 * `text` is what /proc/PID/cgroup says; whoever made the cgroups chose the names in it. The
 * innermost container, as docker, containerd, cri-o, podman, LXC and systemd-machined name theirs;
 * false: none, and id is "". A unit of systemd is no container.
 */
bool container__of_cgroups(const char *text, char id[CONTAINER_SIZE]);

#endif
