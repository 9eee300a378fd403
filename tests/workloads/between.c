/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A function without unwinding tables in a program that has them: less of it than start files may
 * leave. Frames further out have frame pointers, by which a walk would skip one.
 */
#include "backtrace.h"

void between(void (*function)(void));
extern uintptr_t between_returns;

__asm__(".text\n.type between,@function\nbetween:\n"
	"mov (%rsp),%rax\nmov %rax,between_returns(%rip)\n"
	"sub $24,%rsp\ncall *%rdi\nadd $24,%rsp\nret\n.size between,.-between\n"
	".balign 16\nmuch:\n.cfi_startproc\n.fill 20000,1,0xcc\n.cfi_endproc\n"
	".bss\nbetween_returns:\n.quad 0\n.text\n");

static volatile int number = 5;

NOINLINE static void inner(void)
{
	ALLOCATE("between");
	number++;
}

/* The unwinder's walk from inner ends in `between`: the rest is that from here. */
NOINLINE static int outer(void)
{
	struct backtrace *whole = &backtraces[0], *above = &backtraces[1];

	between(inner);
	backtrace__record(0);
	above->frames[0] = between_returns;
	memcpy(whole->frames + whole->depth, above->frames, above->depth * sizeof(*above->frames));
	whole->depth += above->depth;
	backtrace_count = 1;
	return number;
}

int main(void)
{
	backtraces__ready();
	outer();
	return backtraces__end();
}
