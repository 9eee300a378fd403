/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints the true stack of an allocation in every shape of frame that C has. */
#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#ifdef __GLIBC__
#include <ucontext.h>
#endif

#include "backtrace.h"

static volatile int number = 5;
static volatile char sink;

NOINLINE static int plain(int n)
{
	ALLOCATE("plain");
	return n + number;
}

NOINLINE static int middle(int n)
{
	return plain(n + number) + 1;
}

NOINLINE static int recursion(int n)
{
	int result = 1;

	if (n > 0)
		result += recursion(n - 1);
	else
		ALLOCATE("recursion");
	return result + number;
}

NOINLINE static int with_alloca(int n)
{
	char *room = (char *)alloca(n * 100);

	room[number] = 1;
	ALLOCATE("alloca");
	return room[number];
}

NOINLINE static int with_array(int n)
{
	char room[n * 50];

	room[number] = 1;
	ALLOCATE("array");
	return room[number];
}

NOINLINE static int realigned(int n)
{
	char room[128] __attribute__((aligned(64)));

	room[number] = n;
	sink = *(volatile char *)(room + number);
	ALLOCATE("realigned");
	return room[number];
}

NOINLINE static int realigned_dynamic(int n)
{
	char room[64] __attribute__((aligned(128)));
	char *more = (char *)alloca(n * 30);

	more[number] = room[number] = n;
	sink = *(volatile char *)(room + number);
	ALLOCATE("realigned_dynamic");
	return more[number] + room[number];
}

NOINLINE static int variadic(int n, ...)
{
	va_list arguments;
	int result;

	va_start(arguments, n);
	result = va_arg(arguments, int);
	ALLOCATE("variadic");
	result += va_arg(arguments, int);
	va_end(arguments);
	return result;
}

NOINLINE static int many_arguments(int a, int b, int c, int d, int e, int f, int g, int h, int i)
{
	ALLOCATE("many_arguments");
	return a + b + c + d + e + f + g + h + i;
}

NOINLINE static int saves_registers(int n)
{
	int a = number, b = number * 3, c = number * 5, d = number * 7, e = number * 11;

	ALLOCATE("saves_registers");
	return a ^ b ^ c ^ d ^ e ^ n;
}

NOINLINE static int big_frame(int n)
{
	volatile char room[40000];

	room[n] = 1;
	room[39999] = 2;
	ALLOCATE("big_frame");
	return room[n];
}

static int compare(const void *a, const void *b)
{
	static int done;

	if (!done++)
		ALLOCATE("callback");
	return *(const int *)a - *(const int *)b;
}

static void handler(int signal_number)
{
	if (signal_number == SIGUSR1)
		ALLOCATE("signal");
	else
		ALLOCATE("signal_stack");
}

NOINLINE static int interrupted(int signal_number)
{
	raise(signal_number);
	return number;
}

static void *thread(void *argument)
{
	ALLOCATE("thread");
	middle(1);
	return argument;
}

#ifdef __GLIBC__
static ucontext_t here, there;
static char coroutine_stack[256 << 10];

static void coroutine(void)
{
	ALLOCATE("coroutine");
	recursion(3);
	swapcontext(&there, &here);
}

static void run_coroutine(void)
{
	getcontext(&there);
	there.uc_stack.ss_sp = coroutine_stack;
	there.uc_stack.ss_size = sizeof(coroutine_stack);
	there.uc_link = &here;
	makecontext(&there, coroutine, 0);
	swapcontext(&here, &there);
}
#else
static void run_coroutine(void) {}
#endif

static void run_signals(void)
{
	static char other_stack[64 << 10];
	stack_t stack = { .ss_sp = other_stack, .ss_size = sizeof(other_stack) };
	struct sigaction action = { .sa_handler = handler };

	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	action.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR2, &action, NULL);
	interrupted(SIGUSR1);
	interrupted(SIGUSR2);
}

static void run_thread(void)
{
	pthread_t id;

	pthread_create(&id, NULL, thread, NULL);
	pthread_join(id, NULL);
}

/* Held here, so that what happens before main is seen too. */
__attribute__((constructor)) static void early(void)
{
	backtraces__ready();
	ALLOCATE("constructor");
}

int main(void)
{
	int numbers[] = { 3, 1, 2 };

	ALLOCATE("main");
	middle(1);
	recursion(40);
	with_alloca(number);
	with_array(number);
	realigned(number);
	realigned_dynamic(number);
	variadic(2, 3, 4);
	many_arguments(1, 2, 3, 4, 5, 6, 7, 8, number);
	saves_registers(number);
	big_frame(number);
	qsort(numbers, 3, sizeof(*numbers), compare);
	run_signals();
	run_coroutine();
	run_thread();
	return backtraces__end();
}
