/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows of code whose tables are hidden, against those tables; of hand-written code against what it
 * does; and code that lies.
 */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "unwind_rows.h"

/* Every shape of frame, switches, calls that never return, parts that are seldom used. */
static const char *const c_source =
	"#include <alloca.h>\n"
	"#include <stdarg.h>\n"
	"#include <stdio.h>\n"
	"#include <stdlib.h>\n"
	"#include <string.h>\n"
	"#define NOINLINE __attribute__((noinline))\n"
	"volatile int number;\n"
	"NOINLINE void use(void *p) { __asm__ volatile(\"\" :: \"r\"(p) : \"memory\"); }\n"
	"NOINLINE __attribute__((noreturn)) void stop(int n) { use(&n); exit(n); }\n"
	"NOINLINE __attribute__((noreturn)) void endless(int n) { for (;;) use(&n); }\n"
	"NOINLINE static int by_pointer(int n) { char b[40]; use(b); return b[n]; }\n"
	"int (*volatile pointer)(int);\n"
	"int table(int n, int m) { char b[72]; use(b); switch (n) {\n"
	"	case 0: use(b + 1); return 5; case 1: n = m; break; case 2: stop(m);\n"
	"	case 3: use(&m); use(b); break; case 4: return table(m, n) + 1;\n"
	"	case 5: number = 3; break; case 6: puts(b); puts(b + 1); return m;\n"
	"	case 7: endless(m); default: n += m; } use(b); return n + b[m & 63]; }\n"
	"int leaf_table(int n) { switch (n) { case 0: return number; case 1: return number * 3;\n"
	"	case 2: return number ^ 77; case 3: return number / 3; case 4: number = 2;\n"
	"	case 5: return number % 7; case 6: number = 4; return 3; } return n; }\n"
	"int sized(int n) { char *p = alloca(n); use(p); return p[0]; }\n"
	"int array(int n) { for (int i = 0; i < n; i++) { int v[i + 1]; use(v); n += v[i]; }\n"
	"	return n; }\n"
	"int aligned(int n) { __attribute__((aligned(64))) char b[128]; use(b); return b[n]; }\n"
	"int early(int n) { char b[40]; if (n > 3) return 1; use(b); if (n < -4) abort();\n"
	"	use(b + 1); return b[n]; }\n"
	"int seldom(int n) { char b[40]; if (__builtin_expect(n == 77, 0)) { use(b); puts(b);\n"
	"	use(b + 1); abort(); } use(b); return b[n & 7] + n; }\n"
	"int huge(int n) { char b[100000]; use(b); return b[n]; }\n"
	"int vast(int n) { char b[3000000]; use(b); return b[n]; }\n"
	"int many(int a, int b, int c, int d, int e, int f, int g, int h) {\n"
	"	int v[8] = {a, b, c, d, e, f, g, h}; use(v); return v[a & 7]; }\n"
	"int calls_many(int n) { return many(n, 2, 3, 4, 5, 6, 7,\n"
	"	many(1, 2, 3, 4, 5, 6, 7, n)); }\n"
	"int tail(int n) { int b[3]; use(b); use(b + 1); return early(n + b[2]); }\n"
	"int variadic(int n, ...) { va_list l; va_start(l, n); n = va_arg(l, int); use(&n);\n"
	"	va_end(l); return n; }\n"
	"int jumps(int n) { static const void *const l[] = { &&a, &&b, &&c }; char b[48];\n"
	"	use(b); goto *l[n & 1]; a: use(b + 1); n++; goto *l[n % 3]; b: use(b + 2);\n"
	"	n += 5; if (n < 99) goto *l[n % 3]; c: use(b + 3); return n; }\n"
	"int names(void) { pointer = by_pointer; return pointer(3); }\n"
	"int main(int c, char **v) { (void)v; return table(c, c) + leaf_table(c) + sized(c)\n"
	"	+ array(c) + aligned(c) + early(c) + seldom(c) + huge(c) + vast(c)\n"
	"	+ calls_many(c) + tail(c) + variadic(1, c) + jumps(c) + names(); }\n";

/* What a comparison found, in bytes of code. */
struct counts {
	size_t described, known, same, other_register;
};

static bool is_known(const struct unwind_row *row)
{
	return row && row->cfa_rule != UNWIND_NONE && row->cfa_rule != UNWIND_UNSUPPORTED;
}

/*
 * rbp as the caller left it is also where it was just saved: clang says that later than the push,
 * and behind the pop GCC still says so.
 */
static bool same_rbp(const struct unwind_row *ours, const struct unwind_row *theirs)
{
	int rule = ours->rbp_rule & 15;

	if (rule == UNWIND_RBP_LOST)
		return true; /* who needs it is told */
	if (rule == (theirs->rbp_rule & 15) && ours->rbp == theirs->rbp)
		return true;
	if (rule == UNWIND_RBP_CFA)
		return (theirs->rbp_rule & 15) == UNWIND_RBP_SAME;
	return (theirs->rbp_rule & 15) == UNWIND_RBP_CFA && ours->cfa_rule == UNWIND_RSP &&
	       -theirs->rbp >= ours->cfa;
}

/* The lazy PLT's expression and the first instruction of _start have no like in ours. */
static bool same_cfa(const struct unwind_row *ours, const struct unwind_row *theirs, uint64_t at)
{
	if (theirs->cfa_rule == UNWIND_PLT)
		return ours->cfa_rule == UNWIND_RSP &&
		       ours->cfa == 1 + ((at & 15) >= (uint64_t)theirs->cfa);
	if (theirs->cfa_rule == UNWIND_END)
		return ours->cfa_rule == UNWIND_END || ours->cfa == 1;
	return ours->cfa_rule == theirs->cfa_rule && ours->cfa == theirs->cfa &&
	       ours->rbp_rule >> 4 == theirs->rbp_rule >> 4;
}

static void compare_at(const char *name, uint64_t at, const struct unwind_row *ours,
		       const struct unwind_row *theirs, struct counts *counts)
{
	if (!is_known(theirs))
		return;
	counts->described++;
	if (!is_known(ours))
		return;
	counts->known++;
	if ((ours->cfa_rule == UNWIND_RBP) != (theirs->cfa_rule == UNWIND_RBP))
		counts->other_register++; /* rbp is a copy of rsp as often as not */
	else if (same_cfa(ours, theirs, at) && same_rbp(ours, theirs))
		counts->same++;
	else
		fail_msg("%s: at %#lx: rule %d/%#x cfa %d rbp %d, its table: %d/%#x %d %d", name,
			 at, ours->cfa_rule, ours->rbp_rule, ours->cfa, ours->rbp, theirs->cfa_rule,
			 theirs->rbp_rule, theirs->cfa, theirs->rbp);
}

/* The rows of the file against those of the same file without its tables; `least`: percent. */
static void compare(const char *path, const char *options, unsigned int least)
{
	struct bytes file = read_file(path);
	struct unwind_table ours, theirs;
	struct counts counts = { 0 };
	uint64_t end;

	assert_int_equal(build(&file, &theirs), 0);
	hide_tables(&file);
	assert_int_equal(build(&file, &ours), 0);
	end = (uint64_t)theirs.pages[theirs.page_count - 1].page << 16;
	for (uint64_t at = (uint64_t)theirs.pages[0].page << 16; at < end + 0x10000; at++)
		compare_at(path, at, unwind_table__find(&ours, at), unwind_table__find(&theirs, at),
			   &counts);
	print_message("%s %s: %zu bytes with tables, %zu known without, %zu by another register\n",
		      path, options, counts.described, counts.known, counts.other_register);
	assert_true(counts.known * 100 >= counts.described * least);
	assert_true(counts.other_register * 20 <= counts.known);
	unwind_table__free(&ours);
	unwind_table__free(&theirs);
	free(file.bytes);
}

static void compiled_code_is_as_its_tables_say(void **state)
{
	static const char *const compilers[] = { "gcc", "clang" };
	static const char *const options[] = {
		"-O0",
		"-O1",
		"-O2",
		"-O3",
		"-Os -fstack-clash-protection",
		"-O2 -fstack-clash-protection -fstack-protector-all",
		"-O2 -fno-omit-frame-pointer",
		"-O2 -fcf-protection=full -Wl,-z,ibtplt",
		"-O2 -no-pie -fno-pie",
		"-O2 -fno-jump-tables -s",
		"-O2 -s",
	};
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s/fixture", directory);
	for (size_t c = 0; c < sizeof(compilers) / sizeof(*compilers); c++)
		for (size_t o = 0; o < sizeof(options) / sizeof(*options); o++) {
			if (run("%s -w %s -o %s %s/fixture.c 2>/dev/null", compilers[c], options[o],
				path, directory))
				print_message("%s %s builds nothing here: not tested\n",
					      compilers[c], options[o]);
			else
				compare(path, options[o], 50);
		}
}

static void the_systems_objects_are_as_their_tables_say(void **state)
{
	static const struct {
		const char *path;
		unsigned int least; /* percent: what nobody names is not found */
	} objects[] = {
		{ "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0", 60 },
		{ "/usr/bin/bash", 80 },
		{ "/usr/bin/perl", 80 },
		{ "/usr/bin/jq", 20 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(objects) / sizeof(*objects); i++) {
		if (access(objects[i].path, R_OK))
			print_message("%s is not here: not tested\n", objects[i].path);
		else
			compare(objects[i].path, "", objects[i].least);
	}
}

/* Code as no compiler would write all of it. `at N` is where a row is looked at. */
static const char *const code_source =
	".macro function name\n.p2align 4\n.type \\name,@function\n\\name:\n.endm\n"
	".macro done name\n.size \\name,.-\\name\n.endm\n"
	".macro at n\nat_\\n:\n.endm\n"
	".text\n"
	"function frame\nat 0\npush %rbp\nat 1\nmov %rsp,%rbp\nat 2\nand $-32,%rsp\n"
	"	sub %rax,%rsp\nat 3\ncall *%rcx\nleave\nat 4\nret\ndone frame\n"
	"function alloca\nsub %rax,%rsp\nat 5\nadd %rax,%rsp\nret\ndone alloca\n"
	"function stop\nhlt\ndone stop\n"
	"function stops\npush %rbx\ntest %eax,%eax\nje 1f\nsub $32,%rsp\ncall stop\n"
	"1: at 6\npop %rbx\nret\ndone stops\n"
	"function unbalanced\npush %rbx\nat 7\nnop\nret\ndone unbalanced\n"
	"function thread\nxor %ebp,%ebp\nat 8\nand $-16,%rsp\ncall *%r9\nhlt\ndone thread\n"
	"function zero\nxor %ebp,%ebp\nat 9\ncall *%r9\nret\ndone zero\n"
	"function table\npush %rbx\nlea tab(%rip),%rdx\nmovslq (%rdx,%rax,4),%rax\n"
	"	add %rdx,%rax\njmp *%rax\nat 10\nnop\npop %rbx\nret\nat 11\npop %rbx\nat 12\n"
	"	ret\ndone table\n"
	"function pages\nlea -32768(%rsp),%r11\n1: sub $4096,%rsp\norq $0,(%rsp)\n"
	"	cmp %r11,%rsp\njne 1b\nat 13\ncall *%rcx\nadd $32768,%rsp\nret\ndone pages\n"
	"function differ\ntest %eax,%eax\nje 1f\npush %rbx\n1: at 14\nnop\nret\ndone differ\n"
	"function lost\npush %rbp\nmov %rax,(%rsp)\nxor %ebp,%ebp\nat 15\npop %rbp\nret\n"
	"	done lost\n"
	"function moved\nsub $24,%rsp\nmov %rbp,8(%rsp)\nxor %ebp,%ebp\nat 16\ncall *%rcx\n"
	"	mov 8(%rsp),%rbp\nat 17\nadd $24,%rsp\nret\ndone moved\n"
	"	.p2align 4\n.skip 3,0x90\nat 18\n.skip 13,0x90\n"
	"function bad\nat 19\n.byte 0x06\nat 20\nnop\nret\ndone bad\n"
	"function leaves\npush %rbx\nat 21\njmp frame\ndone leaves\n"
	"function parted\npush %rbx\ntest %eax,%eax\nje parted.cold\npop %rbx\nret\n"
	"	done parted\n"
	"function parted.cold\nat 22\nsub $8,%rsp\ncall stop\ndone parted.cold\n"
	"function names\nlea named(%rip),%rax\nret\ndone names\n"
	"named: at 23\npush %rbx\nat 24\npop %rbx\nret\n"
	"nobody: at 25\npush %rbx\npop %rbx\nret\n"
	"function big\nsub $3000000,%rsp\nat 26\ncall *%rcx\nadd $3000000,%rsp\nret\n"
	"	done big\n"
	/* the caller's rbp was here, but what was popped may be overwritten */
	"function popped\npush %rbp\npop %rcx\nsub $24,%rsp\nlea (%rsp),%rdi\nat 27\n"
	"	call *%rcx\nadd $24,%rsp\nret\ndone popped\n"
	"function narrow\npush %rbp\nxor %ebp,%ebp\n.byte 0x66\npop %rbp\nadd $6,%rsp\nat 28\n"
	"	nop\nret\ndone narrow\n"
	"function short\npush %rbp\nmov %rsp,%rbp\n.byte 0x67\nlea (%rbp),%rsp\nat 29\n"
	"	nop\nhlt\ndone short\n"
	"function system\nlea -4096(%rsp),%r11\nsyscall\nmov %r11,%rsp\nat 30\nhlt\ndone system\n"
	"function stored\npush %rbp\npush %rax\nxor %ebp,%ebp\npop (%rsp)\nat 31\nhlt\n"
	"	done stored\n"
	".section .rodata\ntab: .long at_10-tab,at_11-tab\n";

static const struct unwind_row code_want[] = {
	{ .cfa_rule = UNWIND_RSP, .cfa = 1 },
	{ .cfa_rule = UNWIND_RSP, .cfa = 2, .rbp_rule = UNWIND_RBP_CFA, .rbp = -2 },
	{ .cfa_rule = UNWIND_RBP, .cfa = 2, .rbp_rule = UNWIND_RBP_CFA, .rbp = -2 },
	{ .cfa_rule = UNWIND_RBP, .cfa = 2, .rbp_rule = UNWIND_RBP_CFA, .rbp = -2 },
	{ .cfa_rule = UNWIND_RSP, .cfa = 1 },
	{ .cfa_rule = UNWIND_UNSUPPORTED },
	{ .cfa_rule = UNWIND_RSP, .cfa = 2 },
	{ .cfa_rule = UNWIND_UNSUPPORTED },
	{ .cfa_rule = UNWIND_END },
	{ .cfa_rule = UNWIND_UNSUPPORTED },
	{ .cfa_rule = UNWIND_RSP, .cfa = 2 }, /* 10 */
	{ .cfa_rule = UNWIND_RSP, .cfa = 2 },
	{ .cfa_rule = UNWIND_RSP, .cfa = 1 },
	{ .cfa_rule = UNWIND_RSP, .cfa = 4097 },
	{ .cfa_rule = UNWIND_UNSUPPORTED },
	{ .cfa_rule = UNWIND_RSP, .cfa = 2, .rbp_rule = UNWIND_RBP_LOST },
	{ .cfa_rule = UNWIND_RSP, .cfa = 4, .rbp_rule = UNWIND_RBP_CFA, .rbp = -3 },
	{ .cfa_rule = UNWIND_RSP, .cfa = 4 },
	{ .cfa_rule = UNWIND_NONE },
	{ .cfa_rule = UNWIND_RSP, .cfa = 1 },
	{ .cfa_rule = UNWIND_UNSUPPORTED }, /* 20 */
	{ .cfa_rule = UNWIND_UNSUPPORTED },
	{ .cfa_rule = UNWIND_RSP, .cfa = 2 },
	{ .cfa_rule = UNWIND_RSP, .cfa = 1 },
	{ .cfa_rule = UNWIND_RSP, .cfa = 2 },
	{ .cfa_rule = UNWIND_UNSUPPORTED },
	{ .cfa_rule = UNWIND_RSP_FAR, .cfa = (__s16)375001, .rbp_rule = 375001 >> 16 << 4 },
	{ .cfa_rule = UNWIND_RSP, .cfa = 4 },
	{ .cfa_rule = UNWIND_RSP, .cfa = 1, .rbp_rule = UNWIND_RBP_LOST },
	{ .cfa_rule = UNWIND_RBP, .cfa = 2, .rbp_rule = UNWIND_RBP_CFA, .rbp = -2 },
	{ .cfa_rule = UNWIND_UNSUPPORTED }, /* 30 */
	{ .cfa_rule = UNWIND_RSP, .cfa = 2, .rbp_rule = UNWIND_RBP_LOST },
};

static void rows_are_what_the_code_does(void **state)
{
	struct bytes file = assembled("code", code_source);

	(void)state;
	check_rows(&file, code_want, sizeof(code_want) / sizeof(*code_want));
	free(file.bytes);
}

/* Nothing but a proof, a return or a jump to where all is known, makes a row of a guess. */
static void guesses_are_not_believed(void **state)
{
	static const struct unwind_row want[] = {
		{ .cfa_rule = UNWIND_RSP, .cfa = 10 }, { .cfa_rule = UNWIND_UNSUPPORTED },
		{ .cfa_rule = UNWIND_RSP, .cfa = 2 },  { .cfa_rule = UNWIND_UNSUPPORTED },
		{ .cfa_rule = UNWIND_UNSUPPORTED },    { .cfa_rule = UNWIND_RSP, .cfa = 3 },
		{ .cfa_rule = UNWIND_UNSUPPORTED },    { .cfa_rule = UNWIND_RSP, .cfa = 2 },
		{ .cfa_rule = UNWIND_RSP, .cfa = 2 },  { .cfa_rule = UNWIND_UNSUPPORTED },
		{ .cfa_rule = UNWIND_UNSUPPORTED }, /* 10 */
	};
	struct bytes file = assembled(
		"guesses",
		".macro function name\n.p2align 4\n.type \\name,@function\n\\name:\n.endm\n"
		/* the call never returns: another function follows, which never does, either */
		"function ends\npush %rbx\nsub $64,%rsp\nat_0: call *%rcx\n"
		"	.p2align 4\npush %rbx\nat_1: call *%rdx\nhlt\n"
		/* the call returns: so does the function */
		"function goes_on\npush %rbx\ncall *%rcx\nat_2: call *%rcx\npop %rbx\nret\n"
		/* a label, not a function */
		"function labels\nsub $40,%rsp\nlea at_3(%rip),%rax\nmov %rax,(%rdi)\n"
		"	je 1f\ncall *%rcx\nadd $40,%rsp\nret\nat_3: call *%rdx\nhlt\n"
		"1:	hlt\n"
		/* two instructions in one: what comes by way of either has another frame */
		"function overlap\ntest %eax,%eax\nje at_4\npush %rbx\n.byte 0xb8\n"
		"at_4: .fill 4,1,0x90\nhlt\n"
		/* the jump's table leads to both, but the second is never left */
		"function table\nsub $16,%rsp\nadd %rdx,%rax\njmp *%rax\n"
		"at_5: call *%rcx\nadd $16,%rsp\nret\nat_6: call *%rcx\nhlt\n"
		"function last\nadd $24,%rsp\nje table\nhlt\n.size table,.-table\n"
		/* what may follow a call is known by another way: it does not follow */
		"function falls\nsub $40,%rsp\ncall *%rcx\n.p2align 4\n0: call *%rdx\nret\n"
		"function jumps\njmp 0b\n"
		/* functions that end in a call by a register, before or behind another */
		"function pointed\nhlt\n"
		"2:	push %rbx\nat_7: call *%rcx\npop %rbx\njmp *%rax\n"
		"3:	push %rbx\ntest %eax,%eax\nje 5f\n4: pop %rbx\njmp *%rax\n"
		"5:	at_8: call *%rcx\njmp 4b\n"
		/* a label that does: of a function whose frame is aligned already */
		"6:	call *%rcx\nat_9: jmp *%rax\n"
		/* the same, and behind a call that never returns one that does as functions do */
		"7:	test %eax,%eax\nje 8f\nat_10: jmp *%rax\n8: call *%rcx\n"
		"	.p2align 4\npush %rbx\ncall *%rdx\nhlt\n.size pointed,.-pointed\n"
		".section .data.rel.ro,\"aw\"\n.quad 2b,3b,6b,7b\n");

	(void)state;
	check_rows(&file, want, sizeof(want) / sizeof(*want));
	free(file.bytes);
}

/* What is called right before a function never returns; unless it was seen to. */
static void callees_before_functions_never_return(void **state)
{
	static const struct unwind_row want[] = {
		{ .cfa_rule = UNWIND_RSP, .cfa = 2 },
		{ .cfa_rule = UNWIND_RSP, .cfa = 2 },
		{ .cfa_rule = UNWIND_RSP, .cfa = 3 },
	};
	/* each has a part to which only its table leads, behind a call with a deeper stack */
	struct bytes file = assembled(
		"endings",
		".macro function name\n.type \\name,@function\n\\name:\n.endm\n"
		".macro by_table name callee\nfunction \\name\npush %rbx\ntest %eax,%eax\nje 1f\n"
		"	add %rdx,%rax\njmp *%rax\n1: push %rax\ncall \\callee\n.endm\n"
		"by_table first elsewhere@plt\nat_0: inc %eax\npop %rbx\nret\n.size first,.-first\n"
		"by_table second leaves\nat_1: inc %eax\npop %rbx\nret\n.size second,.-second\n"
		"by_table third returns\nat_2: inc %eax\npop %rax\npop %rbx\nret\n"
		".size third,.-third\n"
		"function ends\npush %rbx\ncall elsewhere@plt\n"
		"function ends_too\npush %rbx\ncall leaves\n"
		"function unreachable\npush %rbx\ncall returns\n"
		"function leaves\njmp *%rax\n"
		"function returns\npush %rbx\ncall *%rcx\n.p2align 4\npop %rbx\nret\n");

	(void)state;
	check_rows(&file, want, sizeof(want) / sizeof(*want));
	hide_tables(&file); /* those of the stubs */
	check_rows(&file, want, sizeof(want) / sizeof(*want));
	free(file.bytes);
}

/* Linkers gave libraries the start of their code for an entry. It is called like any other. */
static void entries_are_where_programs_begin(void **state)
{
	static const struct unwind_row want[] = {
		{ .cfa_rule = UNWIND_RSP, .cfa = 2 },
		{ .cfa_rule = UNWIND_END },
	};
	struct bytes file = assembled("entry",
				      ".type f,@function\nf: push %rbx\nat_0: call *%rcx\n"
				      "pop %rbx\nret\n.size f,.-f\n"
				      "start: xor %ebp,%ebp\nat_1: call *%rcx\nhlt\n.skip 9\n"
				      /* as glibc's loader does */
				      "loads: mov %rsp,%rdi\ncall *%rcx\nmov %rsp,%r13\n"
				      "and $-16,%rsp\nat_2: call *%rcx\nmov %r13,%rsp\n"
				      "jmp *%r12\n.skip 9\n");
	Elf64_Ehdr *header = (Elf64_Ehdr *)file.bytes;
	struct unwind_table table;

	(void)state;
	header->e_entry = symbol_offset(&file, "f");
	check_rows(&file, want, 1);
	header->e_entry = symbol_offset(&file, "start");
	check_rows(&file, want, 2);
	header->e_entry = symbol_offset(&file, "loads");
	assert_int_equal(build(&file, &table), 0);
	check_row(&file, &table, "at_2", &want[1]);
	unwind_table__free(&table);
	free(file.bytes);
}

/* The loader need not set the pointers of a program that is not moved. */
static void data_of_programs_points_to_functions(void **state)
{
	static const struct unwind_row want[] = {
		{ .cfa_rule = UNWIND_END },
		{ .cfa_rule = UNWIND_RSP, .cfa = 2 },
	};
	struct bytes file;
	char path[256];

	(void)state;
	write_file("data.s",
		   ".globl _start\n_start: xor %ebp,%ebp\nat_0: call *pointer\nhlt\n"
		   "1: push %rbx\nat_1: call *%rcx\npop %rbx\nret\n.data\npointer: .quad 1b\n");
	assert_int_equal(
		run("gcc -static -no-pie -nostdlib -o %s/data %s/data.s", directory, directory), 0);
	snprintf(path, sizeof(path), "%s/data", directory);
	file = read_file(path);
	check_rows(&file, want, sizeof(want) / sizeof(*want));
	free(file.bytes);
}

/* In a file whose functions keep frame pointers, so does that of which nothing else is known. */
static void frame_pointers_are_kept_by_all(void **state)
{
	static const struct unwind_row want[] = {
		{ .cfa_rule = UNWIND_RBP, .cfa = 2, .rbp_rule = UNWIND_RBP_CFA, .rbp = -2 },
		{ .cfa_rule = UNWIND_UNSUPPORTED }, /* but where rbp is seen to be none */
	};
	struct bytes file = assembled(
		"framed",
		".globl f\n.type f,@function\nf: push %rbp\nmov %rsp,%rbp\n"
		"call *%rcx\npop %rbp\nret\n.size f,.-f\n"
		".type g,@function\ng: push %rbp\nmov %rdx,%rbp\nand $-16,%rsp\nat_1: nop\n"
		"hlt\n.size g,.-g\n"
		"nobody: push %rbp\nmov %rsp,%rbp\ncall *%rcx\nat_0: pop %rbp\nret\n");

	(void)state;
	check_rows(&file, want, 2);
	free(file.bytes);
}

static int build_source(const char *name, const char *source, struct unwind_table *table)
{
	struct bytes file = assembled(name, source);
	int result = build(&file, table);

	free(file.bytes);
	return result;
}

/* Code that nothing describes, twice: what leaves the first by its end is not in the second. */
static void a_path_ends_with_its_gap(void **state)
{
	static const struct unwind_row want = { .cfa_rule = UNWIND_UNSUPPORTED },
				       none = { .cfa_rule = UNWIND_NONE };
	struct bytes file = assembled(
		"gaps", ".type ends,@function\nends: push %rbx\n.rept 64\ninc %eax\n.endr\n"
			"call *%rcx\n"
			"described: .cfi_startproc\nret\n.cfi_endproc\n"
			"behind: at_0: nop\ncall *%rcx\nhlt\n"
			"first: .cfi_startproc\nret\n.cfi_endproc\nat_1: .p2align 6\n"
			"second: .cfi_startproc\nret\n.cfi_endproc\nlast: nop\n");
	struct unwind_table table;

	(void)state;
	assert_int_equal(build(&file, &table), 0);
	check_row(&file, &table, "at_0", &want);
	check_row(&file, &table, "at_1", &none); /* a function begins behind this padding */
	unwind_table__free(&table);
	free(file.bytes);
}

/* What is too much work costs nothing but itself: the tables are read all the same. */
static void too_much_work_is_no_error(void **state)
{
	struct unwind_table table;

	(void)state;
	assert_int_equal(build_source("visits",
				      ".type f,@function\nf: .rept 600000\npush %rax\npop %rax\n"
				      ".endr\nret\nd: .cfi_startproc\nret\n.cfi_endproc\n",
				      &table),
			 0);
	unwind_table__free(&table);
}

/* Would take hours, were a hole looked through each time that a little of it is met. */
static void holes_are_looked_through_once(void **state)
{
	struct unwind_table table;

	(void)state;
	assert_int_equal(build_source("holes",
				      ".type f,@function\nf: push %rbx\nadd %rdx,%rax\n"
				      "jmp *%rax\n.rept 800000\nret\n.endr\n.size f,.-f\n",
				      &table),
			 0);
	unwind_table__free(&table);
}

/* Jumps, calls and stack pointers that compilers never write. */
static void code_that_lies_does_no_harm(void **state)
{
	static const uint8_t opcodes[] = { 0xe8, 0xe9, 0xeb, 0x74, 0x75, 0x0f, 0x50, 0x55, 0x5d,
					   0xc3, 0xc9, 0x48, 0x83, 0xec, 0xe4, 0xff, 0x8d, 0xcc };
	struct bytes file = read_file("/usr/bin/perl"), copy;
	uint64_t seed = 1;

	(void)state;
	file.size = file.size < 400000 ? file.size : 400000;
	hide_tables(&file);
	copy.bytes = malloc(file.size);
	copy.size = file.size;
	assert_non_null(copy.bytes);
	for (int round = 0; round < 60; round++) {
		struct unwind_table table;

		memcpy(copy.bytes, file.bytes, file.size);
		for (uint32_t left = draw(&seed) % 20000; left; left--)
			copy.bytes[4096 + draw(&seed) % (file.size - 4096)] =
				round & 1 ? (uint8_t)draw(&seed)
					  : opcodes[draw(&seed) % sizeof(opcodes)];
		if (!build(&copy, &table))
			unwind_table__free(&table);
	}
	free(copy.bytes);
	free(file.bytes);
}

static int make_directory(void **state)
{
	(void)state;
	return fixture__make(c_source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compiled_code_is_as_its_tables_say),
		cmocka_unit_test(the_systems_objects_are_as_their_tables_say),
		cmocka_unit_test(rows_are_what_the_code_does),
		cmocka_unit_test(guesses_are_not_believed),
		cmocka_unit_test(callees_before_functions_never_return),
		cmocka_unit_test(entries_are_where_programs_begin),
		cmocka_unit_test(data_of_programs_points_to_functions),
		cmocka_unit_test(frame_pointers_are_kept_by_all),
		cmocka_unit_test(a_path_ends_with_its_gap),
		cmocka_unit_test(too_much_work_is_no_error),
		cmocka_unit_test(holes_are_looked_through_once),
		cmocka_unit_test(code_that_lies_does_no_harm),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
