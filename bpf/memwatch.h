/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_H
#define MEMWATCH_H
/*
 * The wire contract between the BPF programs and user space: keys, values, limits, events, losses.
 * Fixed-width types only, every size asserted; both sides include this file and nothing else of each other.
 */
#include <linux/types.h>

#define MEMWATCH_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)

/* What arrives at an allocator's entry point, and in which argument (counted from 0). */
enum entry_kind {
	ENTRY_NONE,
	ENTRY_MALLOC,         /* size 0: malloc, valloc, pvalloc, operator new in all its forms */
	ENTRY_CALLOC,         /* number 0, size 1 */
	ENTRY_REALLOC,        /* block 0, size 1 */
	ENTRY_REALLOCARRAY,   /* block 0, number 1, size 2 */
	ENTRY_ALIGNED,        /* size 1: memalign, aligned_alloc */
	ENTRY_POSIX_MEMALIGN, /* where to put the address 0, size 2; returns 0 or an error */
	ENTRY_FREE,           /* block 0: free, cfree, operator delete in all its forms */
	ENTRY_MMAP,           /* address 0, length 1, protection 2, flags 3 */
	ENTRY_MUNMAP,         /* address 0, length 1 */
	ENTRY_MREMAP,         /* address 0, length 1, new length 2, flags 3 */
	ENTRY_KINDS,
};

/*
 * The attach cookie of a probe: what arrives there and where the arguments then are.
 *   bits  0-7   enum entry_kind
 *   bits  8-31  six arguments, four bits each: the register in the x86 encoding's order, 15 = lost
 *   bits 32-51  stack: bytes from the stack pointer up to the return address's slot, divided by 8
 *   bit  62     no return probe on this entry: its exits carry probes of their own
 *   bit  63     this is such an exit: the instruction is a `ret`, the stack pointer is at the slot
 */
#define COOKIE_KIND(cookie) ((cookie) & 0xff)
#define COOKIE_ARGUMENT(cookie, n) ((cookie) >> (8 + 4 * (n)) & 0xf)
#define COOKIE_STACK(cookie) (((cookie) >> 32 & 0xfffff) * 8)
#define COOKIE_STACK_SHIFT 32
#define COOKIE_NO_RETURN (1ULL << 62)
#define COOKIE_EXIT (1ULL << 63)

/*
 * A row of an unwinding table: how to get from a frame to its caller's, from position `low` (the
 * low 16 bits of a file offset) up to the next row's. Offsets are in units of 8 bytes.
 */
enum unwind_cfa {
	UNWIND_NONE,        /* no table here: try frame pointers */
	UNWIND_UNSUPPORTED, /* a rule that a row cannot hold: the walk is broken here */
	UNWIND_END,         /* the return address is undefined: the thread's first frame */
	UNWIND_RSP,         /* CFA = rsp + 8 * cfa */
	UNWIND_RBP,         /* CFA = rbp + 8 * cfa */
	UNWIND_DEREF_RSP,   /* CFA = *(rsp + 8 * cfa) + 8 * (rbp_rule >> 4) */
	UNWIND_DEREF_RBP,   /* CFA = *(rbp + 8 * cfa) + 8 * (rbp_rule >> 4) */
	UNWIND_PLT,         /* CFA = rsp + 8 + 8 * ((rip & 15) >= cfa), the lazy PLT's expression (cfa: 11, or 10 for CET/x32 forms) */
	UNWIND_SIGNAL,      /* a signal frame: registers are in the ucontext at rsp */
};

enum unwind_rbp { /* low four bits of rbp_rule */
	UNWIND_RBP_SAME, /* the caller's rbp is still in rbp */
	UNWIND_RBP_CFA,  /* it is at CFA + 8 * rbp */
	UNWIND_RBP_RBP,  /* it is at rbp + 8 * rbp (functions that re-align their stack) */
	UNWIND_RBP_LOST, /* undefined */
};

struct unwind_row {
	__u16 low;
	__u8 cfa_rule;
	__u8 rbp_rule;
	__s16 cfa;
	__s16 rbp;
};
MEMWATCH_ASSERT_SIZE(struct unwind_row, 8);

#endif
