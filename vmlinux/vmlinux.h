/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_VMLINUX_H
#define MEMWATCH_VMLINUX_H
/*
 * The few kernel types that the BPF side touches. Members are found by CO-RE at load time, so only
 * their names matter here, not their places; types that are not ours to relocate (pt_regs of the
 * context) keep the kernel's layout. Written by hand so that a build needs no BTF of its host.
 */
#include <linux/types.h>
#include <linux/bpf.h> /* the helpers' enums and flags: user-space ABI */

typedef _Bool bool;
enum { false, true };
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;

/*
 * arch/x86/include/asm/ptrace.h: a context's fields are read in place, so this is the real
 * layout.
 */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

/* A number for each PID namespace that a process is in: [0] is the initial one's. */
struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level; /* of the namespace that it was made in */
	struct upid numbers[1];
};

enum pid_type {
	PIDTYPE_PID,
	PIDTYPE_TGID,
	PIDTYPE_MAX = 4,
};

struct signal_struct {
	atomic_t live; /* threads that have not begun to exit */
	unsigned int flags;
	struct task_struct *group_exec_task; /* calls exec, and waits for the others' end */
	struct pid *pids[PIDTYPE_MAX];
};

/* kernel/events/uprobes.c: where the return probes of a thread wait */
struct return_instance {
	unsigned long stack; /* the stack pointer at the entry: the slot of the return address */
	unsigned long orig_ret_vaddr;
	struct return_instance *next;
};

struct uprobe_task {
	struct return_instance *return_instances;
};

struct xol_area {
	unsigned long vaddr; /* the trampoline is at its start */
};

struct uprobes_state {
	struct xol_area *xol_area;
};

struct maple_tree {
	void *ma_root;
};

struct mm_struct {
	struct maple_tree mm_mt;
	struct uprobes_state uprobes_state;
};

struct super_block {
	__u32 s_dev; /* MKDEV: major << 20 | minor */
};

struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
	long long i_size;
};

struct file {
	struct inode *f_inode;
};

struct vm_operations_struct;

struct vm_area_struct {
	unsigned long vm_start, vm_end;
	struct mm_struct *vm_mm;
	unsigned long vm_flags;
	unsigned long vm_pgoff; /* pages */
	struct file *vm_file;
	const struct vm_operations_struct *vm_ops;
};

struct thread_struct {
	unsigned long fsbase;
};

struct syscall_user_dispatch {
	char *selector; /* in user space */
	unsigned long len;
};

struct task_struct {
	unsigned int flags;
	int pid, tgid;
	struct task_struct *real_parent, *group_leader;
	struct mm_struct *mm;
	struct signal_struct *signal;
	struct uprobe_task *utask;
	unsigned long sas_ss_sp, sas_ss_size; /* sigaltstack */
	struct syscall_user_dispatch syscall_dispatch;
	struct thread_struct thread;
	char comm[16]; /* TASK_COMM_LEN */
};

#pragma clang attribute pop

#endif
