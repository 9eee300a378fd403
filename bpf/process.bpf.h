/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PROCESS_BPF_H
#define MEMWATCH_PROCESS_BPF_H
/* Which process is this? Its id is the one that memwatch sees in its own /proc: in a container, the
 * container's. */
#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>

/* The id of the task's process in memwatch's PID namespace; 0: it is not in there. */
static __noinline u32 process__id_inside(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]);
	u32 levels = BPF_CORE_READ(pid, level);

	for (u32 level = 0; level <= levels && level < 33; level++) { /* MAX_PID_NS_LEVEL 32 */
		struct upid *number = (void *)pid + bpf_core_field_offset(pid->numbers) +
				      level * bpf_core_type_size(struct upid);

		if (BPF_CORE_READ(number, ns, ns.inum) == pid_namespace)
			return BPF_CORE_READ(number, nr);
	}
	return 0;
}

static inline u32 process__id(struct task_struct *task)
{
	return pid_namespace ? process__id_inside(task) : BPF_CORE_READ(task, tgid);
}

/* The leader ends, but not with the whole process, nor because another thread calls exec. */
static inline bool leader__ends_alone(struct task_struct *task)
{
	enum { GROUP_EXIT = 4 }; /* SIGNAL_GROUP_EXIT, include/linux/sched/signal.h */

	return BPF_CORE_READ(task, pid) == BPF_CORE_READ(task, tgid) &&
	       BPF_CORE_READ(task, signal, live.counter) &&
	       !(BPF_CORE_READ(task, signal, flags) & GROUP_EXIT) &&
	       !BPF_CORE_READ(task, signal, group_exec_task);
}

static inline u32 process__current(void)
{
	if (!pid_namespace)
		return bpf_get_current_pid_tgid() >> 32;
	return process__id_inside((struct task_struct *)bpf_get_current_task());
}

#endif
