/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_JSON_H
#define MEMWATCH_JSON_H
/*
 * A writer of JSON. Integers are exact up to 2^64 - 1, reals have three decimals in any locale.
 * What is written is valid UTF-8 and prints safely: in strings, control characters and those that
 * reorder text are JSON's \u escapes (they read back as they were), and a byte that is no UTF-8
 * becomes the four characters \xNN (which JSON writes "\\xNN"). Inside a web page `<` is an escape,
 * too: no string ends the element that it stands in.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	size_t length;
	int error;    /* the first -errno; nothing is written after it */
	bool comma;   /* before the next value */
	bool in_page; /* set it after json__init */
	char buffer[1 << 16];
};

void json__init(struct json *json, FILE *out);
/* `name` is NULL in arrays. */
void json__open(struct json *json, const char *name, char bracket);
void json__close(struct json *json, char bracket);
void json__string(struct json *json, const char *name, const char *value); /* NULL, "": left out */
void json__integer(struct json *json, const char *name, uint64_t value);
/* A change: + or - what the two values differ by, exact. */
void json__change(struct json *json, const char *name, uint64_t old, uint64_t now);
void json__real(struct json *json, const char *name, double value);
void json__bool(struct json *json, const char *name, bool value);
/* Ends the line, flushes the stream; 0 or -errno. */
int json__end(struct json *json);

#endif
