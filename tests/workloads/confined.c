/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * confined kill|errno|strict [late]: allocates under a seccomp filter that does not know what the
 * kernel's probes may call, put on before the observer comes, or after.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "truth.h"

#define ALLOW(name) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

TALLY(confined);
NOINLINE static struct block confined(size_t size)
{
	return block__new(&tally_confined, malloc(size), size);
}

static int filter(unsigned int otherwise)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(read),
		ALLOW(write),
		ALLOW(brk),
		ALLOW(mmap),
		ALLOW(munmap),
		ALLOW(mremap),
		ALLOW(mprotect),
		ALLOW(madvise),
		ALLOW(exit_group),
		ALLOW(exit),
		ALLOW(futex),
		ALLOW(rt_sigreturn),
		ALLOW(getpid),
		BPF_STMT(BPF_RET | BPF_K, otherwise),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) ? -errno : 0;
}

static int confine(const char *mode)
{
	if (!strcmp(mode, "kill"))
		return filter(SECCOMP_RET_KILL_PROCESS);
	if (!strcmp(mode, "errno"))
		return filter(SECCOMP_RET_ERRNO | 1);
	if (!strcmp(mode, "strict"))
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) ? -errno : 0;
	return -EINVAL;
}

/* Strict mode allows no brk: the heap is grown before, and never trimmed. */
static void grow_heap(void)
{
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	free(malloc(8 << 20));
}

int main(int argc, char **argv)
{
	bool late = argc == 3 && !strcmp(argv[2], "late");

	if (argc < 2)
		return 2;
	grow_heap();
	getpid();
	if (!late && confine(argv[1]))
		return 1;
	truth__ready();
	if (late && confine(argv[1]))
		return 1;
	for (int i = 0; i < 1000; i++) {
		struct block block = confined(1 + i);

		if (i % 3)
			block__free(&block);
	}
	truth__print("confined\n");
	truth__print("{\"sites\":{");
	truth__print_sites();
	truth__print("}}\n");
	truth__flush();
	truth__hold();
	syscall(__NR_exit, WORKLOAD_STATUS); /* the one that strict mode allows */
	return 1;
}
