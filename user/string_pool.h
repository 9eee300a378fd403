/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_STRING_POOL_H
#define MEMWATCH_STRING_POOL_H
/* Strings kept once each, for as long as the pool. */
#include <stddef.h>

struct string_pool;

struct string_pool *string_pool__new(void);
void string_pool__free(struct string_pool *pool);
/* The pool's copy of the first `length` bytes of `text`; NULL when there is no memory. */
const char *string_pool__add(struct string_pool *pool, const char *text, size_t length);

#endif
