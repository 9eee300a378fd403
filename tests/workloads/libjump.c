/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded: a malloc that, for one size, is left by longjmp and never returns; for another it
 * raises a signal first, whose handler runs inside the call. Else the C library's own.
 */
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

enum { SIZE_JUMPS = 7777, SIZE_SIGNALS = 8888 };

extern void *__libc_malloc(size_t size);
extern void __libc_free(void *address);

void *malloc(size_t size);
void free(void *address);
void jump__arm(jmp_buf *target);

static jmp_buf *jump_target;

void jump__arm(jmp_buf *target)
{
	jump_target = target;
}

__attribute__((noinline)) static void leave(void)
{
	longjmp(*jump_target, 1);
}

void *malloc(size_t size)
{
	if (size == SIZE_JUMPS && jump_target)
		leave();
	if (size == SIZE_SIGNALS)
		raise(SIGUSR1);
	return __libc_malloc(size);
}

void free(void *address)
{
	__libc_free(address);
}
