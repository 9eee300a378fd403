/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocations by way of the C library's own code: in it, and by functions of ours that it calls.
 * Prints, of each, our functions on the stack and the return addresses from the last of them on.
 * Built without frame pointers; each way that leads through rbp is blocked by itself: the library
 * is called while rbp is zero, or holds the frame of a function further out.
 */
#include <dirent.h>
#include <ftw.h>
#include <glob.h>
#include <pthread.h>
#include <regex.h>
#include <search.h>
#include <signal.h>

#include "places.h"

enum { CASES_MAX = 64, LEVELS = 4 };

struct chain {
	const char *name, *ours; /* "innermost,…,name": functions, the case's own last */
	bool zero;               /* rbp */
	uintptr_t returns[LEVELS];
};

static struct chain chains[CASES_MAX];
static int chain_count;
static void *volatile kept;
static volatile int number = 5;
static uintptr_t main_returns;

/* The return address of the function that has it is in returns[0]. */
#define CASE(name_, ours_) \
	struct chain *chain = &chains[chain_count++]; \
	if (chain_count == CASES_MAX) \
		abort(); \
	chain->name = name_; \
	chain->ours = ours_; \
	chain->returns[0] = (uintptr_t)__builtin_return_address(0)

/*
 * with_rbp(function, argument, rbp): calls it with that in rbp. As a compiler would write a
 * function that has use for rbp.
 */
int with_rbp(int (*function)(int), int argument, void *rbp);
__asm__(".text\n.type with_rbp,@function\nwith_rbp:\n.cfi_startproc\n"
	"push %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset rbp,-16\n"
	"mov %rdx,%rbp\nmov %rdi,%rax\nmov %esi,%edi\ncall *%rax\n"
	"pop %rbp\n.cfi_def_cfa_offset 8\n.cfi_restore rbp\nret\n.cfi_endproc\n"
	".size with_rbp,.-with_rbp\n");

NOINLINE static int in_strdup(int n)
{
	CASE("strdup", "in_strdup");
	kept = strdup("one");
	return n + number;
}

NOINLINE static int in_getline(int n)
{
	static FILE *file;
	static char *line;
	static size_t size;
	CASE("getline", "in_getline");

	file = fopen("/proc/self/status", "r");
	n += getline(&line, &size, file);
	kept = line;
	return n + number;
}

NOINLINE static int in_open_memstream(int n)
{
	static char *text;
	static size_t size;
	CASE("open_memstream", "in_open_memstream");

	kept = open_memstream(&text, &size);
	return n + number;
}

NOINLINE static int in_fflush(int n)
{
	CASE("fflush of a memory stream", "in_fflush");
	fprintf(kept, "%0*d", 5000, n);
	fflush(kept);
	return n + number;
}

NOINLINE static int in_asprintf(int n)
{
	char *text;
	CASE("asprintf", "in_asprintf");

	n += asprintf(&text, "%d %s", number, "text");
	kept = text;
	return n + number;
}

NOINLINE static int in_sscanf(int n)
{
	char *text;
	CASE("sscanf", "in_sscanf");

	n += sscanf("a_long_word_that_it_must_make_room_for_again", "%ms", &text);
	kept = text;
	return n + number;
}

NOINLINE static int in_opendir(int n)
{
	CASE("opendir", "in_opendir");
	kept = opendir("/");
	return n + number;
}

NOINLINE static int in_setenv(int n)
{
	CASE("setenv", "in_setenv");
	n += setenv("A_NAME", "a value", 1);
	return n + number;
}

NOINLINE static int in_regcomp(int n)
{
	static regex_t regex;
	CASE("regcomp", "in_regcomp");

	n += regcomp(&regex, "^(a|[b-d]+)*\\(e{2,3}$", REG_EXTENDED);
	return n + number;
}

NOINLINE static int in_glob(int n)
{
	static glob_t found;
	CASE("glob", "in_glob");

	n += glob("/proc/self/s[t]at*", 0, NULL, &found);
	return n + number;
}

NOINLINE static int compare(const void *a, const void *b)
{
	kept = malloc(700 + number);
	return *(const int *)a - *(const int *)b;
}

NOINLINE static int in_qsort(int n)
{
	int numbers[] = { 3, 1, 2 };
	CASE("qsort", "compare,in_qsort");

	qsort(numbers, 3, sizeof(*numbers), compare);
	return n + numbers[1] + number;
}

NOINLINE static int compare_keys(const void *a, const void *b)
{
	kept = malloc(710 + number);
	return strcmp(a, b);
}

NOINLINE static int in_tsearch(int n)
{
	static void *root;
	CASE("tsearch", "compare_keys,in_tsearch");

	for (const char *key = "abcdefg"; *key; key++)
		kept = tsearch(key, &root, compare_keys);
	return n + number;
}

NOINLINE static int visit(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)path, (void)status, (void)kind, (void)where;
	kept = malloc(720 + number);
	return 0;
}

NOINLINE static int in_nftw(int n)
{
	CASE("nftw", "visit,in_nftw");
	n += nftw("/proc/self/attr", visit, 8, 0);
	return n + number;
}

NOINLINE static ssize_t cookie_write(void *cookie, const char *bytes, size_t size)
{
	(void)cookie, (void)bytes;
	kept = malloc(730 + number);
	return size;
}

static FILE *cookie_file;

NOINLINE static int in_fprintf(int n)
{
	CASE("fprintf to a file of ours", "cookie_write,in_fprintf");
	n += fprintf(cookie_file, "%s %5.3f %x %c\n", "text", number / 3.0, number, 'c');
	return n + number;
}

NOINLINE static void once(void)
{
	kept = malloc(740 + number);
}

NOINLINE static int in_once(int n)
{
	static pthread_once_t done = PTHREAD_ONCE_INIT;
	CASE("pthread_once", "once,in_once");

	n += pthread_once(&done, once);
	return n + number;
}

NOINLINE static void handler(int signal_number)
{
	kept = malloc(750 + signal_number);
}

NOINLINE static int in_raise(int n)
{
	struct sigaction action = { .sa_handler = handler };
	CASE("raise", "handler,in_raise");

	sigaction(SIGUSR1, &action, NULL);
	n += raise(SIGUSR1);
	return n + number;
}

NOINLINE static int in_popen(int n)
{
	CASE("popen", "in_popen");
	kept = popen("true", "r");
	return n + number;
}

typedef int (*work)(int);
static const work works[] = { in_strdup,   in_getline, in_open_memstream, in_fflush,
			      in_asprintf, in_sscanf,  in_opendir,        in_setenv,
			      in_regcomp,  in_glob,    in_qsort,          in_tsearch,
			      in_nftw,     in_fprintf, in_once,           in_raise,
			      in_popen,    NULL };

/* Notes where it and its caller go back to; the return addresses are the same for each case. */
NOINLINE static int middle(work function, void *rbp, uintptr_t returns_outer)
{
	int result = with_rbp(function, number, rbp);
	struct chain *chain = &chains[chain_count - 1];

	chain->returns[1] = (uintptr_t)__builtin_return_address(0);
	chain->returns[2] = returns_outer;
	chain->returns[3] = main_returns;
	return result + number;
}

NOINLINE static int outer(work function, void *rbp)
{
	int result = middle(function, rbp, (uintptr_t)__builtin_return_address(0));

	chains[chain_count - 1].zero = !rbp;
	return result + number;
}

static void *thread(void *argument)
{
	kept = malloc(760 + number);
	return argument;
}

static void run_thread(void)
{
	pthread_t id;
	CASE("thread", "thread");

	memset(chain->returns, 0, sizeof(chain->returns));
	pthread_create(&id, NULL, thread, NULL);
	pthread_join(id, NULL);
}

static void print(const struct chain *chain)
{
	truth__print("{\"case\":\"%s\",\"rbp\":\"%s\",\"ours\":\"%s\",\"returns\":[", chain->name,
		     chain->zero ? "zero" : "not zero", chain->ours);
	for (int i = 0; i < LEVELS && chain->returns[i]; i++) {
		truth__print("%s", i ? "," : "");
		code__print(chain->returns[i]);
	}
	truth__print("]}\n");
	truth__flush();
}

int main(void)
{
	void *frame[2] = { frame, NULL }; /* as one further out looks that keeps frame pointers */

	main_returns = (uintptr_t)__builtin_return_address(0);
	cookie_file = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = cookie_write });
	setvbuf(cookie_file, NULL, _IONBF, 0);
	truth__ready();
	for (const work *function = works; *function; function++) {
		outer(*function, NULL);
		outer(*function, frame);
	}
	run_thread();
	code__read();
	for (int i = 0; i < chain_count; i++)
		print(&chains[i]);
	truth__print("{\"end\":%d}\n", chain_count);
	truth__flush();
	truth__hold();
	return WORKLOAD_STATUS;
}
