/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PLACEMENT_H
#define MEMWATCH_PLACEMENT_H
/*
 * On which instruction a probe goes. x86 uprobes emulate push reg, one-byte nop, relative call, jmp
 * and jcc (arch/x86/kernel/uprobes.c: push_setup_xol_ops, branch_setup_xol_ops); anything else is
 * single-stepped, 2-20 times dearer. A five-byte nop is never chosen (FACTS.md, hazard 1).
 * Pure: bytes in, a choice out.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLACEMENT_ARGS = 6 };
enum { PLACEMENT_LOST = 0xf }; /* this argument is in no register any more (or only in r15) */
enum { PLACEMENT_PEEK = 15 };  /* bytes that must be readable at a function of unknown size */

struct placement {
	uint64_t offset; /* from the function's start, bytes */
	uint32_t stack;  /* bytes from the stack pointer there up to the return address's slot */
	bool emulated;   /* else it will be single-stepped */
	/* The register that holds the n-th integer argument there, in the x86 encoding's order:
	 * rax 0, rcx 1, rdx 2, rbx 3, rsp 4, rbp 5, rsi 6, rdi 7, r8..r14. */
	uint8_t arguments[PLACEMENT_ARGS];
	char instruction[48]; /* disassembled, for doctor and -v */
};

/*
 * Chooses for the function whose `size` bytes of code are at `code`, the first at `address`. `size`
 * 0: its extent is not known; PLACEMENT_PEEK bytes are readable and only the entry is considered.
 * `arguments` says how many integer arguments must still be at hand; `skip_null_first` prefers a
 * place which a call with a first argument of zero does not reach (free). The place is in the entry
 * block, before any branch (or is that branch), call, system call, locked instruction or store
 * outside the stack, and reached exactly once per call: no jump of the function lands between the
 * entry and it. Falls back to a single-stepped instruction, the entry if uprobes take it.
 * Returns 0; -EINVAL when nothing there can be probed (a five-byte nop, an instruction that the
 * decoder or uprobes refuse).
 */
int placement__choose(const uint8_t *code, size_t size, uint64_t address, unsigned int arguments,
		      bool skip_null_first, struct placement *placement);

/*
 * The exits of a function on which no return probe may be armed: the addresses of every `ret` that
 * the function, and what it ends in by a tail jump, can return through, ascending. `fetch` gives
 * the code of the function around an address (false: not known); when what it gives does not
 * contain that address, the address was a stub that leads to the start of what it gave. Bytes stay
 * the callee's and must last until the return. Returns how many were written to `exits`, or
 * -ENOTSUP when they cannot all be known (an indirect jump, a jump to unknown code, more than
 * `max`); -ENOMEM.
 */
struct code; /* elf_code.h */
typedef bool (*placement_fetch)(void *context, uint64_t address, struct code *code);
int placement__exits(placement_fetch fetch, void *context, uint64_t address, uint64_t *exits,
		     size_t max);

/*
 * Whether the function returns only after a call of, or by a tail jump to, a function that `known`
 * knows: then a probe there sees whatever goes through it. False when that is not certain.
 */
typedef bool (*placement_known)(void *context, uint64_t address);
bool placement__passes(placement_fetch fetch, void *context, placement_known known,
		       void *known_context, uint64_t address);

#endif
