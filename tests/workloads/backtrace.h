/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BACKTRACE_H
#define BACKTRACE_H
/*
 * The stacks of a program's own allocations, walked by its compiler's unwinder. ALLOCATE calls
 * first backtrace__record and then malloc by one and the same call instruction: both see the same
 * return addresses, the first one's included. Each allocation has a size of its own, by which it is
 * found.
 */
#include <unwind.h>

#include "places.h"
#include "truth.h"

#ifndef BACKTRACES_MAX
#define BACKTRACES_MAX 64
#endif
enum { BACKTRACE_DEPTH = 400, BACKTRACE_SIZE = 70001 };

struct backtrace {
	const char *name;
	size_t size;
	int depth;
	uintptr_t frames[BACKTRACE_DEPTH];
};

static struct backtrace backtraces[BACKTRACES_MAX];
static int backtrace_count;
static const char *backtrace_name;
static void *volatile backtrace_block;

static _Unwind_Reason_Code backtrace__frame(struct _Unwind_Context *context, void *argument)
{
	struct backtrace *backtrace = (struct backtrace *)argument;
	uintptr_t ip = _Unwind_GetIP(context);

	if (ip == 0 || backtrace->depth == BACKTRACE_DEPTH)
		return _URC_END_OF_STACK;
	backtrace->frames[backtrace->depth++] = ip;
	return _URC_NO_REASON;
}

/* The frame of this function itself is the first that the unwinder names: not the caller's. */
NOINLINE static void *backtrace__record(size_t size)
{
	struct backtrace *backtrace = &backtraces[backtrace_count++];

	if (backtrace_count == BACKTRACES_MAX)
		abort();
	backtrace->name = backtrace_name;
	backtrace->size = size;
	_Unwind_Backtrace(backtrace__frame, backtrace);
	backtrace->depth--;
	memmove(backtrace->frames, backtrace->frames + 1,
		backtrace->depth * sizeof(*backtrace->frames));
	return NULL;
}

/* Behind a pointer, so that the compiler does not know that there are two and peels the loop. */
typedef void *(*backtrace_call)(size_t);
static backtrace_call backtrace_calls[] = { backtrace__record, malloc, NULL };
static backtrace_call *volatile backtrace_list = backtrace_calls;

#ifdef __clang__
#define BACKTRACE_NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define BACKTRACE_NO_UNROLL _Pragma("GCC unroll 1")
#endif

#define ALLOCATE(what) \
	do { \
		size_t size_ = BACKTRACE_SIZE + backtrace_count; \
		backtrace_name = what; \
		BACKTRACE_NO_UNROLL \
		for (backtrace_call *call_ = backtrace_list; *call_; call_++) \
			backtrace_block = (*call_)(size_); \
	} while (0)

UNUSED static int backtraces__end(void)
{
	code__read();
	for (int i = 0; i < backtrace_count; i++) {
		const struct backtrace *backtrace = &backtraces[i];

		truth__print("{\"case\":\"%s\",\"size\":%zu,\"frames\":[", backtrace->name,
			     backtrace->size);
		for (int j = 0; j < backtrace->depth; j++) {
			truth__print("%s", j ? "," : "");
			code__print(backtrace->frames[j]);
		}
		truth__print("]}\n");
		truth__flush();
	}
	truth__print("{\"end\":%d}\n", backtrace_count);
	truth__flush();
	truth__hold();
	return WORKLOAD_STATUS;
}

/* The unwinder's own first-time work is done before anybody looks. */
UNUSED static void backtraces__ready(void)
{
	backtrace_name = "warm-up";
	backtrace__record(0);
	backtrace_count = 0;
	backtraces[0].depth = 0;
	truth__ready();
}

#endif
