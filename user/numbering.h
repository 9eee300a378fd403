/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_NUMBERING_H
#define MEMWATCH_NUMBERING_H
/* Numbers for keys: equal keys have one number, numbers are dense and in the order of coming. */
#include <stddef.h>
#include <stdint.h>

struct numbering;

/* Keys are compared as bytes, so they have no padding; their size is a multiple of eight. */
struct numbering *numbering__new(size_t key_size); /* NULL: no memory */
void numbering__free(struct numbering *numbering);
/* Forgets every key; the room for as many stays. */
void numbering__clear(struct numbering *numbering);
/* The key's number, which is new if it is what numbering__count was before; or -ENOMEM. */
int64_t numbering__add(struct numbering *numbering, const void *key);
int64_t numbering__find(const struct numbering *numbering, const void *key); /* -ENOENT */
size_t numbering__count(const struct numbering *numbering);
/* The key stays where it is until the end. */
const void *numbering__key(const struct numbering *numbering, size_t number);
size_t numbering__of(const void *key); /* the number of a key that numbering__key gave */

#endif
