/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_MINIDEBUG_H
#define MEMWATCH_MINIDEBUG_H
/* The symbol table that some distributions leave in a stripped file, xz-compressed
 * (.gnu_debugdata). */
#include <libelf.h>

/* NULL: there is none, or not one of a sound size. `*image` is its memory: free() it after
 * elf_end(). */
Elf *minidebug__open(Elf *elf, void **image);

#endif
