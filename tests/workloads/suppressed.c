/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leaks that LeakSanitizer is told to suppress by the function that allocated. It knows that from
 * the stack which malloc walks; would it find another there, the program ended with its status.
 */
#include "truth.h"

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:leaked\n";
}

TALLY(leaked);
NOINLINE static void leaked(size_t size)
{
	block__new(&tally_leaked, malloc(size), size);
}

int main(void)
{
	truth__ready();
	for (int i = 0; i < 20; i++)
		leaked(100 + i);
	return truth__end();
}
