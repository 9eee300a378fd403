/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_COMPAT_BPF_H
#define MEMWATCH_COMPAT_BPF_H
/*
 * Where kernels differ. Nothing here asks for a version: a member or a helper is there or it is
 * not.
 *
 *   bpf_get_func_ip in uprobe_multi and session programs: 686328d80c43 ("bpf: Add bpf_get_func_ip
 *   helper support for uprobe link", 6.6). Session programs (6.13) always have it, and it spares
 * the kfunc bpf_session_is_return, which took an argument in 7.0.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/*
 * The page where a process's armed return probes come back to. There is none while none was ever
 * armed; then nothing on a stack can point to it.
 */
static inline u64 trampoline__address(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	return BPF_CORE_READ(task, mm, uprobes_state.xol_area, vaddr);
}

/* The return address that an armed return probe has taken out of `slot`, or 0. */
__noinline u64 trampoline__original(u64 slot)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct return_instance *instance = BPF_CORE_READ(task, utask, return_instances);
	u64 found = 0;

	/* One slot can be armed by several probes, innermost first: the last holds the real
	 * address. */
	for (int i = 0; i < 64 && instance; i++) { /* MAX_URETPROBE_DEPTH */
		if (BPF_CORE_READ(instance, stack) == slot)
			found = BPF_CORE_READ(instance, orig_ret_vaddr);
		else if (found)
			break;
		instance = BPF_CORE_READ(instance, next);
	}
	return found;
}

/*
 * Has a signal interrupted a call whose return probe is armed, and does its handler run on a stack
 * of its own? When that stack lies above, to arm another return probe would end the thread: the
 * kernel takes what is armed below the stack pointer for left by longjmp, forgets it, and sends
 * SIGILL when it returns (cleanup_return_instances and handle_trampoline, kernel/events/uprobes.c).
 */
static __noinline bool trampoline__is_interrupted(u64 slot)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 base = task->sas_ss_sp, size = task->sas_ss_size;
	struct return_instance *instance;

	if (slot - base >= size)
		return false;
	instance = BPF_CORE_READ(task, utask, return_instances);
	return instance && BPF_CORE_READ(instance, stack) - base >= size;
}

/*
 * Does the program handle system calls itself (PR_SET_SYSCALL_USER_DISPATCH, 5.11) where it stands?
 * The trampoline makes one (335, since 6.11), which the program cannot know.
 */
static __noinline bool trampoline__is_dispatched(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	char blocks = 0;

	if (!bpf_core_field_exists(task->syscall_dispatch))
		return false;
	if (!task->syscall_dispatch.selector)
		return task->syscall_dispatch.len;
	bpf_probe_read_user(&blocks, sizeof(blocks), task->syscall_dispatch.selector);
	return blocks;
}

#endif
