/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_DEBUGINFO_H
#define MEMWATCH_DEBUGINFO_H
/*
 * Where an object's debugging information is: in itself; in a file of its build-id below
 * /usr/lib/debug; in the file that its .gnu_debuglink names, when the checksum agrees. Files of
 * the machine only, opened as file.h does; nothing is downloaded.
 */
#include <elfutils/libdw.h>
#include <libelf.h>

#include "object.h"

struct debuginfo;

/* `elf` is the object's, and must live as long. NULL: there is none. */
struct debuginfo *debuginfo__open(const struct object *object, Elf *elf);
void debuginfo__free(struct debuginfo *debuginfo);
Elf *debuginfo__elf(const struct debuginfo *debuginfo);     /* the file that it is in */
Dwarf *debuginfo__dwarf(const struct debuginfo *debuginfo); /* NULL: only symbols */

#endif
