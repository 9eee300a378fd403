/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PYTHON_REFERENCE_H
#define MEMWATCH_PYTHON_REFERENCE_H
/*
 * Which addresses a function's instructions name, and where its jumps lead: what a stripped binary
 * still says about the data that it uses and about its parts. Pure: bytes in, addresses out.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf_code.h"

struct python_reference {
	uint64_t address;
	unsigned int size; /* bytes read or written there; 0: the address itself is what is used */
};

/* A slot of the global offset table, and what the loader puts there. */
struct python_slot {
	uint64_t slot, value;
};

/* Calls `see` for every reference, in the code's order, until it returns false. */
typedef bool (*python_reference_see)(void *context, const struct python_reference *reference);
void python_reference__each(const struct code *code, const struct python_slot *slot,
			    python_reference_see see, void *context);

/*
 * The part of the function `body`, [start, end), that the compiler moved away because it is rarely
 * executed. False when there is none.
 */
bool python_reference__cold_part(struct elf_code *code, const uint64_t body[2], uint64_t cold[2]);

#endif
