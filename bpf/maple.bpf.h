/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_MAPLE_BPF_H
#define MEMWATCH_MAPLE_BPF_H
/*
 * What lies at an address of a process, without the lock that bpf_find_vma wants: with many threads
 * that map and unmap it is hardly ever free. The kernel's own page faults look so, too. The tree is
 * that of include/linux/maple_tree.h, on 64 bits the same since 6.1; its nodes stay for as long as
 * a BPF program runs (RCU), and what is read of one that is being changed does not pass the check.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

enum {
	MAPLE_NODE = 256, /* its size and alignment: low bits of a pointer to one are its kind */
	MAPLE_KIND_SHIFT = 3,
	MAPLE_KIND_MASK = 15,
	MAPLE_RANGE = 2,  /* enum maple_type: those below are leaves */
	MAPLE_ARANGE = 3,
	MAPLE_RANGE_PIVOTS = 15,
	MAPLE_ARANGE_PIVOTS = 9,
	MAPLE_LEVELS = 8, /* 5 slots are used, or more: enough for a million mappings */
};

struct maple_descent {
	u64 entry, address;
	bool found; /* the entry is a leaf's */
};

static inline bool kernel__read(u64 address, u64 *word)
{
	return !bpf_probe_read_kernel(word, sizeof(*word), (const void *)address);
}

/* From a node to what it has for the address: the first pivot that is not below it says where.
 * False: it goes no further. */
static inline bool maple__descend(struct maple_descent *descent)
{
	u64 node = descent->entry & ~(MAPLE_NODE - 1ULL), word;
	u32 kind = descent->entry >> MAPLE_KIND_SHIFT & MAPLE_KIND_MASK, i;
	u32 pivots = kind == MAPLE_ARANGE ? MAPLE_ARANGE_PIVOTS : MAPLE_RANGE_PIVOTS;

	descent->entry = 0;
	if (kind > MAPLE_ARANGE)
		return false;
	for (i = 0; i < MAPLE_RANGE_PIVOTS; i++) {
		if (i >= pivots)
			break;
		if (!kernel__read(node + 8 + i * 8, &word))
			return false;
		if (word >= descent->address)
			break;
	}
	if (!kernel__read(node + 8 + (pivots + i) * 8, &word))
		return false;
	descent->entry = word;
	descent->found = kind < MAPLE_RANGE;
	return !descent->found && word;
}

static inline bool vma__has(const struct vm_area_struct *vma, const struct mm_struct *mm,
			    u64 address)
{
	return BPF_CORE_READ(vma, vm_start) <= address && BPF_CORE_READ(vma, vm_end) > address &&
	       BPF_CORE_READ(vma, vm_mm) == mm;
}

/* The mapping that has the address, or 0: there is none, or it is just being changed. */
__noinline u64 vma__without_lock(u64 address)
{
	const struct task_struct *task = (const struct task_struct *)bpf_get_current_task();
	const struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct maple_descent descent = { .address = address };

	descent.entry = (u64)BPF_CORE_READ(mm, mm_mt.ma_root);
	if ((descent.entry & 3) != 2) /* xa_is_internal(): with one mapping there is no node */
		return 0;
	for (int i = 0; i < MAPLE_LEVELS; i++)
		if (!maple__descend(&descent))
			break;
	if (!descent.found || !vma__has((void *)descent.entry, mm, address))
		return 0;
	return descent.entry;
}

#endif
