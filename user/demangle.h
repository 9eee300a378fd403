/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_DEMANGLE_H
#define MEMWATCH_DEMANGLE_H

/* The readable form of a C++, Rust or D linkage name, the caller's to free; NULL when `name` is
 * none, or its readable form is longer than 64 KiB (a few bytes can stand for gigabytes). */
char *demangle(const char *name);

#endif
