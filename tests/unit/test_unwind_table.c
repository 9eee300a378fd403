/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables of compiled fixtures and of the system's own objects against libdw's reading of the same
 * files, at every address; rules that compilers seldom write against hand-assembled ones; and
 * files that lie.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "unwind_fixture.h"
#include "unwind_invariants.h"

/* A compiled fixture or another file, opened both ways. */
struct subject {
	int fd;
	Elf *elf;
	struct unwind_table table;
	int result;
};

static const char *const c_source =
	"#include <alloca.h>\n"
	"#include <stdlib.h>\n"
	"extern void use(void *);\n"
	"#define BARRIER(p) __asm__ volatile(\"\" :: \"r\"(p) : \"memory\")\n"
	"#define ALIGNED __attribute__((aligned(64)))\n"
	"__attribute__((noinline)) void use(void *p) { BARRIER(p); }\n"
	"int leaf(int a) { return a * 3; }\n"
	"int saved(int a, int b, int c) { int r = leaf(a); use(&r); r += b; use(&r); r ^= c;\n"
	"	use(&r); return r; }\n"
	"int sized(int n) { char *p = alloca(n); use(p); return p[0]; }\n"
	"int array(int n) { int v[n]; use(v); return v[n / 2]; }\n"
	"int aligned(int n) { ALIGNED char b[128]; use(b); return b[n]; }\n"
	"int both(int n) { ALIGNED char b[64]; char *p = alloca(n); use(b); use(p);\n"
	"	return b[n]; }\n"
	"int early(int n) { char b[40]; if (n > 3) return 1; use(b); if (n < -4) abort();\n"
	"	use(b + 1); return b[n]; }\n"
	"int huge(int n) { char b[100000]; use(b); return b[n]; }\n"
	"int vast(int n) { char b[3000000]; use(b); return b[n]; }\n"
	"int many(int a, int b, int c, int d, int e, int f, int g, int h) {\n"
	"	int v[8] = {a, b, c, d, e, f, g, h}; use(v); return v[a & 7]; }\n"
	"int main(int c, char **v) { (void)v; return saved(c, c, c) + sized(c) + array(c)\n"
	"	+ aligned(c) + both(c) + early(c) + huge(c) + vast(c)\n"
	"	+ many(c, 2, 3, 4, 5, 6, 7, many(1, 2, 3, 4, 5, 6, 7, c)); }\n";

static void subject__open(struct subject *subject, const char *path)
{
	subject->fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(subject->fd >= 0);
	elf_version(EV_CURRENT);
	subject->elf = elf_begin(subject->fd, ELF_C_READ, NULL);
	subject->result = unwind_table__build_fd(subject->fd, &subject->table);
	if (!subject->result && unwind_table__broken(&subject->table))
		fail_msg("%s: %s", path, unwind_table__broken(&subject->table));
}

static void subject__open_fixture(struct subject *subject, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	subject__open(subject, path);
}

static void subject__close(struct subject *subject)
{
	unwind_table__free(&subject->table);
	elf_end(subject->elf);
	close(subject->fd);
}

/* What libdw's location means, in units of 8. Only what a row can hold; else false. */
static bool reference__sum(const Dwarf_Op *ops, size_t count, unsigned int *number, int64_t *offset,
			   bool *deref, int64_t *addend)
{
	size_t i = 1;

	*deref = false;
	*addend = 0;
	if (!count)
		return false;
	if (ops[0].atom == DW_OP_bregx) {
		*number = (unsigned int)ops[0].number;
		*offset = (int64_t)ops[0].number2;
	} else if (ops[0].atom >= DW_OP_breg0 && ops[0].atom <= DW_OP_breg31) {
		*number = ops[0].atom - DW_OP_breg0;
		*offset = (int64_t)ops[0].number;
	} else {
		return false;
	}
	if (i < count && ops[i].atom == DW_OP_plus_uconst)
		*offset += (int64_t)ops[i++].number;
	if (i < count && ops[i].atom == DW_OP_deref) {
		*deref = true;
		i++;
	}
	if (*deref && i < count && ops[i].atom == DW_OP_plus_uconst)
		*addend = (int64_t)ops[i++].number;
	return i == count && (*number == CFI_RBP || *number == CFI_RSP) && *offset % 8 == 0 &&
	       *addend % 8 == 0;
}

static bool reference__cfa(Dwarf_Frame *frame, struct unwind_row *row)
{
	Dwarf_Op *ops;
	size_t count;
	unsigned int number;
	int64_t offset, addend;
	bool deref;

	if (dwarf_frame_cfa(frame, &ops,
			    &count)) /* libgcrypt's says def_cfa_register after an expression */
		return false;
	if (count == 9 && ops[0].atom == DW_OP_breg7 && ops[1].atom == DW_OP_breg16 &&
	    ops[5].atom == DW_OP_ge) {
		row->cfa_rule = UNWIND_PLT;
		row->cfa = (__s16)(ops[4].atom - DW_OP_lit0);
		return true;
	}
	if (!reference__sum(ops, count, &number, &offset, &deref, &addend))
		return false;
	if (number == CFI_RSP && !deref && offset >= 262144 && offset < 8388608) {
		*row = (struct unwind_row){ .cfa_rule = UNWIND_RSP_FAR,
					    .cfa = (__s16)(offset / 8 % 65536),
					    .rbp_rule = (__u8)(offset / 524288 * 16) };
		return true;
	}
	if (offset / 8 != (int16_t)(offset / 8))
		return false;
	row->cfa = (__s16)(offset / 8);
	row->cfa_rule = number == CFI_RBP ? UNWIND_RBP : UNWIND_RSP;
	if (deref)
		row->cfa_rule = number == CFI_RBP ? UNWIND_DEREF_RBP : UNWIND_DEREF_RSP;
	row->rbp_rule = (__u8)(addend / 8 << 4);
	return addend / 8 < 16;
}

static void reference__rbp(Dwarf_Frame *frame, struct unwind_row *row)
{
	Dwarf_Op memory[3], *ops;
	size_t count;

	assert_int_equal(dwarf_frame_register(frame, CFI_RBP, memory, &ops, &count), 0);
	if (!count) {
		row->rbp_rule |= ops ? UNWIND_RBP_LOST : UNWIND_RBP_SAME;
		return;
	}
	if (count == 1 && ops[0].atom == DW_OP_regx && ops[0].number == CFI_RBP) {
		row->rbp_rule |= UNWIND_RBP_SAME;
		return;
	}
	if (ops[0].atom != DW_OP_call_frame_cfa || count > 2) {
		row->rbp_rule |= UNWIND_RBP_LOST;
		return;
	}
	row->rbp = count == 1 ? 0 : (__s16)((int64_t)ops[1].number / 8);
	if (count == 1 || ops[1].atom == DW_OP_plus_uconst)
		row->rbp_rule |= UNWIND_RBP_CFA;
	else if (ops[1].atom == DW_OP_breg6)
		row->rbp_rule |= UNWIND_RBP_RBP;
	else
		row->rbp = 0, row->rbp_rule |= UNWIND_RBP_LOST;
}

/* 0 undefined, 1 at CFA - 8, -1 anything else. */
static int reference__rip(Dwarf_Frame *frame)
{
	Dwarf_Op memory[3], *ops;
	size_t count;

	assert_int_equal(dwarf_frame_register(frame, CFI_RIP, memory, &ops, &count), 0);
	if (!count && ops)
		return 0;
	return count == 2 && ops[1].atom == DW_OP_plus_uconst && (int64_t)ops[1].number == -8 ? 1
											      : -1;
}

/* libdw itself says of rsp, unless told otherwise, that it is the CFA. */
static bool reference__rsp_is_cfa(Dwarf_Frame *frame)
{
	Dwarf_Op memory[3], *ops;
	size_t count;

	assert_int_equal(dwarf_frame_register(frame, CFI_RSP, memory, &ops, &count), 0);
	return count == 2 && ops[0].atom == DW_OP_call_frame_cfa &&
	       ops[1].atom == DW_OP_stack_value;
}

static struct unwind_row reference__row(Dwarf_Frame *frame)
{
	struct unwind_row row = { 0 };
	bool signal;
	int rip;

	assert_int_equal(dwarf_frame_info(frame, NULL, NULL, &signal), CFI_RIP);
	if (signal)
		return (struct unwind_row){ .cfa_rule = UNWIND_SIGNAL };
	rip = reference__rip(frame);
	if (!rip)
		return (struct unwind_row){ .cfa_rule = UNWIND_END };
	if (rip < 0 || !reference__rsp_is_cfa(frame) || !reference__cfa(frame, &row))
		return (struct unwind_row){ .cfa_rule = UNWIND_UNSUPPORTED };
	reference__rbp(frame, &row);
	return row;
}

static void check_row(const struct subject *subject, uint64_t offset, uint64_t address,
		      const struct unwind_row *want)
{
	const struct unwind_row *row = unwind_table__find(&subject->table, offset);

	if (!row || !unwind_row__same(row, want))
		fail_msg("at %#lx: rule %d/%#x cfa %d rbp %d, want %d/%#x cfa %d rbp %d", address,
			 row ? row->cfa_rule : -1, row ? row->rbp_rule : 0, row ? row->cfa : 0,
			 row ? row->rbp : 0, want->cfa_rule, want->rbp_rule, want->cfa, want->rbp);
}

/* Every address of a segment. How many of them libdw had rows for. */
static size_t check_segment(const struct subject *subject, Dwarf_CFI *cfi, const GElf_Phdr *segment)
{
	uint64_t address = segment->p_vaddr, end = segment->p_vaddr + segment->p_filesz;
	size_t described = 0;
	Dwarf_Addr frame_end;
	Dwarf_Frame *frame;

	while (address < end) {
		struct unwind_row want = { 0 };
		bool found = !dwarf_cfi_addrframe(cfi, address, &frame);

		frame_end = address + 1;
		if (found) {
			dwarf_frame_info(frame, NULL, &frame_end, NULL);
			want = reference__row(frame);
			free(frame);
		}
		for (; address < frame_end && address < end; address++) {
			if (found)
				check_row(subject, address - segment->p_vaddr + segment->p_offset,
					  address, &want);
			described += found;
		}
	}
	return described;
}

static size_t check_against(const struct subject *subject, Dwarf_CFI *cfi)
{
	size_t count, described = 0;
	GElf_Phdr header;

	assert_int_equal(subject->result, 0);
	assert_non_null(cfi);
	assert_int_equal(elf_getphdrnum(subject->elf, &count), 0);
	for (size_t i = 0; i < count; i++) {
		assert_non_null(gelf_getphdr(subject->elf, (int)i, &header));
		if (header.p_type == PT_LOAD && header.p_flags & PF_X)
			described += check_segment(subject, cfi, &header);
	}
	return described;
}

/* Code that has no FDEs is followed, and has rows where libdw has none. */
static void check_eh_frame(const char *path)
{
	struct subject subject;
	Dwarf_CFI *cfi;

	subject__open(&subject, path);
	cfi = dwarf_getcfi_elf(subject.elf);
	assert_true(check_against(&subject, cfi) > 100);
	dwarf_cfi_end(cfi);
	subject__close(&subject);
}

static bool have(const char *compiler)
{
	if (!run("command -v %s >/dev/null", compiler))
		return true;
	print_message("%s is not installed: not tested\n", compiler);
	return false;
}

static void compiled_code_agrees_with_libdw(void **state)
{
	static const char *const compilers[] = { "gcc", "clang", "clang-14" };
	static const char *const options[] = { "-O0",
					       "-O1",
					       "-O2",
					       "-O3",
					       "-Os",
					       "-O2 -fomit-frame-pointer",
					       "-O2 -fno-omit-frame-pointer",
					       "-O1 -fcf-protection=full -Wl,-z,lazy -Wl,-z,ibtplt",
					       "-O0 -mno-red-zone",
					       "-O2 -static" };
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s/fixture", directory);
	for (size_t c = 0; c < sizeof(compilers) / sizeof(*compilers); c++) {
		if (!have(compilers[c]))
			continue;
		for (size_t o = 0; o < sizeof(options) / sizeof(*options); o++) {
			if (run("%s -w %s -o %s %s/fixture.c 2>/dev/null", compilers[c], options[o],
				path, directory))
				print_message("%s %s builds nothing here: not tested\n",
					      compilers[c], options[o]);
			else
				check_eh_frame(path);
		}
	}
}

static void the_systems_objects_agree_with_libdw(void **state)
{
	static const char *const paths[] = { "/lib/x86_64-linux-gnu/libc.so.6",
					     "/lib64/ld-linux-x86-64.so.2",
					     "/usr/bin/python3.11",
					     "/usr/bin/perl",
					     "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
					     "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
					     "/usr/bin/redis-server" };

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		if (access(paths[i], R_OK))
			print_message("%s is not here: not tested\n", paths[i]);
		else
			check_eh_frame(paths[i]);
	}
}

/* .debug_frame, plain and compressed, where the compiler writes no .eh_frame. */
static void debug_frame_is_read(void **state)
{
	static const char *const options[] = { "-gz=none", "-gz=zlib" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct subject subject;
		Dwarf *dwarf;

		assert_int_equal(run("gcc -w -O2 -g %s -fno-asynchronous-unwind-tables "
				     "-nostdlib -shared -fPIC -o %s/debug.so %s/fixture.c",
				     options[i], directory, directory),
				 0);
		subject__open_fixture(&subject, "debug.so");
		dwarf = dwarf_begin_elf(subject.elf, DWARF_C_READ, NULL);
		assert_true(check_against(&subject, dwarf_getcfi(dwarf)) > 300);
		dwarf_end(dwarf);
		subject__close(&subject);
	}
}

/*
 * Hand-written rules: each function `rule_N` is two nops; the second is where its directives hold.
 */
static const char *const rules_source =
	".macro rule n\n.globl rule_\\n\nrule_\\n:\n.cfi_startproc\nnop\n.endm\n"
	".macro done\nnop\n.cfi_endproc\n.endm\n.text\n"
	"rule 0\n.cfi_def_cfa_offset 48\ndone\n"
	"rule 1\n.cfi_def_cfa rbp, 16\n.cfi_offset rbp, -16\ndone\n"
	/* *(rbp-8); rbp at rbp+0 */
	"rule 2\n.cfi_escape 0x0f,3,0x76,0x78,0x06\n.cfi_escape 0x10,6,2,0x76,0\ndone\n"
	"rule 3\n.cfi_escape 0x0f,5,0x77,0x10,0x06,0x23,0x08\ndone\n" /* *(rsp+16)+8 */
	"rule 4\n.cfi_escape 0x0f,5,0x77,0,0x06,0x38,0x22\ndone\n" /* *(rsp)+lit8 */
	"rule 5\n.cfi_escape 0x0f,5,0x77,0,0x06,0x23,0x78\ndone\n" /* +120 */
	"rule 6\n.cfi_escape 0x0f,6,0x77,0,0x06,0x23,0x80,1\ndone\n" /* +128 */
	/* the PLT's, lit10 */
	"rule 7\n.cfi_escape 0x0f,11,0x77,8,0x80,0,0x3f,0x1a,0x3a,0x2a,0x33,0x24,0x22\ndone\n"
	"rule 8\n.cfi_undefined rip\ndone\n"
	"rule 9\n.cfi_def_cfa r10, 0\ndone\n"
	"rule 10\n.cfi_def_cfa_offset 12\ndone\n"
	"rule 11\n.cfi_undefined rbp\ndone\n"
	"rule 12\n.cfi_register rbp, rbx\ndone\n"
	"rule 13\n.cfi_offset rip, -16\ndone\n"
	"rule 14\n.cfi_def_cfa_offset 262136\ndone\n"
	"rule 15\n.cfi_def_cfa_offset 262144\ndone\n"
	"rule 16\n.cfi_escape 0x16,6,2,0x76,0\ndone\n" /* rbp is rbp + 0 */
	"rule 17\n.cfi_escape 0x16,6,2,0x76,8\ndone\n" /* rbp is rbp + 8 */
	"rule 18\n.cfi_escape 0x10,6,2,0x77,8\ndone\n" /* rbp at rsp + 8 */
	"rule 19\n.cfi_escape 0x0f,2,0x77,0x18\ndone\n" /* rsp + 24 */
	"rule 20\n.cfi_escape 0x3f\ndone\n" /* no such instruction */
	"rule 21\n.cfi_signal_frame\ndone\n"
	"rule 22\n.cfi_same_value rbp\ndone\n"
	"rule 23\n.cfi_remember_state\n.cfi_def_cfa rbp, 16\n.cfi_restore_state\ndone\n"
	"rule 24\n.cfi_escape 0x0b\ndone\n" /* restore_state without remember_state */
	"rule 25\n.cfi_escape 0x10,6,2,0x76,4\ndone\n" /* rbp at rbp + 4 */
	"rule 26\n.cfi_escape 7, 7\ndone\n" /* rsp undefined */
	"rule 27\n.cfi_def_cfa_offset 8388600\n.cfi_offset rbp, -16\ndone\n"
	"rule 28\n.cfi_def_cfa_offset 8388608\ndone\n";

static const struct unwind_row rules_want[] = {
	{ .cfa_rule = UNWIND_RSP, .cfa = 6 },
	{ .cfa_rule = UNWIND_RBP, .cfa = 2, .rbp_rule = UNWIND_RBP_CFA, .rbp = -2 },
	{ .cfa_rule = UNWIND_DEREF_RBP, .cfa = -1, .rbp_rule = UNWIND_RBP_RBP, .rbp = 0 },
	{ .cfa_rule = UNWIND_DEREF_RSP, .cfa = 2, .rbp_rule = 1 << 4 },
	{ .cfa_rule = UNWIND_DEREF_RSP, .cfa = 0, .rbp_rule = 1 << 4 },
	{ .cfa_rule = UNWIND_DEREF_RSP, .cfa = 0, .rbp_rule = 15 << 4 },
	{ .cfa_rule = UNWIND_UNSUPPORTED },
	{ .cfa_rule = UNWIND_PLT, .cfa = 10 },
	{ .cfa_rule = UNWIND_END },
	{ .cfa_rule = UNWIND_UNSUPPORTED },
	{ .cfa_rule = UNWIND_UNSUPPORTED },
	{ .cfa_rule = UNWIND_RSP, .cfa = 1, .rbp_rule = UNWIND_RBP_LOST },
	{ .cfa_rule = UNWIND_RSP, .cfa = 1, .rbp_rule = UNWIND_RBP_LOST },
	{ .cfa_rule = UNWIND_UNSUPPORTED },
	{ .cfa_rule = UNWIND_RSP, .cfa = 32767 },
	{ .cfa_rule = UNWIND_RSP_FAR, .cfa = -32768 },
	{ .cfa_rule = UNWIND_RSP, .cfa = 1 },
	{ .cfa_rule = UNWIND_RSP, .cfa = 1, .rbp_rule = UNWIND_RBP_LOST },
	{ .cfa_rule = UNWIND_RSP, .cfa = 1, .rbp_rule = UNWIND_RBP_LOST },
	{ .cfa_rule = UNWIND_RSP, .cfa = 3 },
	{ .cfa_rule = UNWIND_UNSUPPORTED },
	{ .cfa_rule = UNWIND_SIGNAL },
	{ .cfa_rule = UNWIND_RSP, .cfa = 1 },
	{ .cfa_rule = UNWIND_RSP, .cfa = 1 },
	{ .cfa_rule = UNWIND_UNSUPPORTED },
	{ .cfa_rule = UNWIND_RSP, .cfa = 1, .rbp_rule = UNWIND_RBP_LOST },
	{ .cfa_rule = UNWIND_UNSUPPORTED },
	{ .cfa_rule = UNWIND_RSP_FAR, .cfa = -1, .rbp_rule = 15 << 4 | UNWIND_RBP_CFA, .rbp = -2 },
	{ .cfa_rule = UNWIND_UNSUPPORTED },
};

/*
 * File offset of a fixture's symbol; 0 when it has none. The fixtures' code is loaded where it
 * lies in the file.
 */
static uint64_t symbol_offset(const struct subject *subject, const char *name)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	GElf_Sym symbol;

	while ((section = elf_nextscn(subject->elf, section))) {
		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_SYMTAB)
			continue;
		for (int i = 0; gelf_getsym(elf_getdata(section, NULL), i, &symbol); i++)
			if (!strcmp(elf_strptr(subject->elf, header.sh_link, symbol.st_name), name))
				return symbol.st_value;
	}
	return 0;
}

static void build_rules(struct subject *subject)
{
	assemble("rules", rules_source);
	subject__open_fixture(subject, "rules.so");
	assert_int_equal(subject->result, 0);
}

static void rules_are_what_was_written(void **state)
{
	struct subject subject;

	(void)state;
	build_rules(&subject);
	for (size_t i = 0; i < sizeof(rules_want) / sizeof(*rules_want); i++) {
		char name[16];
		uint64_t at;

		snprintf(name, sizeof(name), "rule_%zu", i);
		at = symbol_offset(&subject, name);
		assert_true(at);
		check_row(&subject, at + 1, i, &rules_want[i]);
	}
	subject__close(&subject);
}

/* The same table when nothing but the program headers is left: FDEs describe all of the code. */
static void sections_are_not_needed(void **state)
{
	struct subject subject, bare;
	char path[256];
	Elf64_Ehdr header;
	int fd;

	(void)state;
	assert_int_equal(run("gcc -w -O2 -shared -fPIC -nostdlib -o %s/whole %s/fixture.c && "
			     "cp %s/whole %s/bare",
			     directory, directory, directory, directory),
			 0);
	snprintf(path, sizeof(path), "%s/bare", directory);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	header.e_shoff = header.e_shnum = header.e_shstrndx = 0;
	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
	close(fd);
	subject__open_fixture(&subject, "whole");
	subject__open(&bare, path);
	assert_int_equal(bare.result, 0);
	assert_int_equal(bare.table.row_count, subject.table.row_count);
	assert_memory_equal(bare.table.rows, subject.table.rows,
			    subject.table.row_count * sizeof(struct unwind_row));
	subject__close(&subject);
	subject__close(&bare);
}

/* musl's restorer has no FDE; Go's has one that says nothing of signals. */
static void restorers_are_signal_frames(void **state)
{
	static const struct unwind_row signal = { .cfa_rule = UNWIND_SIGNAL },
				       none = { .cfa_rule = UNWIND_NONE };
	struct subject subject;
	uint64_t at;

	(void)state;
	assemble("restorer", ".globl f\nf:\n.cfi_startproc\nret\n.cfi_endproc\n.balign 32\n"
			     "nop\nnop\n.globl restorer\nrestorer:\nmov $15,%rax\nsyscall\n"
			     "nop\nnop\n.balign 32\nnop\n.globl go\ngo:\n.cfi_startproc\n"
			     "mov $15,%rax\nsyscall\nint3\n.cfi_endproc\nnop\n");
	subject__open_fixture(&subject, "restorer.so");
	assert_int_equal(subject.result, 0);
	at = symbol_offset(&subject, "restorer");
	check_row(&subject, at - 2, at - 2, &none);
	for (uint64_t i = at - 1; i < at + 9; i++)
		check_row(&subject, i, i, &signal);
	check_row(&subject, at + 9, at + 9, &none);
	at = symbol_offset(&subject, "go");
	check_row(&subject, at - 1, at - 1, &signal);
	check_row(&subject, at + 8, at + 8, &signal);
	check_row(&subject, at + 9, at + 9,
		  &(struct unwind_row){ .cfa_rule = UNWIND_RSP, .cfa = 1 });
	subject__close(&subject);
}

/* Code that spans pages of 64 KiB begins each of them anew; that to which nothing leads, too. */
static void every_page_begins_with_what_holds(void **state)
{
	const struct unwind_row body = { .cfa_rule = UNWIND_RSP, .cfa = 3 },
				unknown = { .cfa_rule = UNWIND_UNSUPPORTED };
	struct subject subject;
	uint64_t at;

	(void)state;
	assemble("pages", ".globl wide\nwide:\n.cfi_startproc\nnop\n.cfi_def_cfa_offset 24\n"
			  ".fill 200000,1,0x90\n.cfi_endproc\n.fill 150000,1,0x90\n");
	subject__open_fixture(&subject, "pages.so");
	assert_int_equal(subject.result, 0);
	at = symbol_offset(&subject, "wide");
	assert_int_equal(subject.table.page_count, ((at + 350000) >> 16) + 1);
	for (uint64_t i = 1; i < 350000; i += 997)
		check_row(&subject, at + i, i, i <= 200000 ? &body : &unknown);
	assert_null(unwind_table__find(&subject.table, (uint64_t)subject.table.page_count << 16));
	subject__close(&subject);
}

static int build_bytes(const void *bytes, size_t size)
{
	struct unwind_table table;
	int fd = memfd_create("bytes", MFD_CLOEXEC), result;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	result = unwind_table__build_fd(fd, &table);
	if (!result && unwind_table__broken(&table))
		fail_msg("%s", unwind_table__broken(&table));
	unwind_table__free(&table);
	close(fd);
	return result;
}

static uint8_t *fixture_bytes(const char *name, size_t *size)
{
	char path[256];
	struct stat status;
	uint8_t *bytes;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &status), 0);
	*size = (size_t)status.st_size;
	bytes = malloc(*size);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, *size), *size);
	close(fd);
	return bytes;
}

static void what_is_no_table_is_said(void **state)
{
	static const char script[128] = "#!/bin/sh\nexit 0\n";
	size_t size;
	uint8_t *bytes;
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct unwind_table table;

	(void)state;
	assert_int_equal(unwind_table__build_fd(-1, &table), -EBADF);
	assert_true(unwind_table__build_fd(fd, &table) < 0);
	close(fd);
	assert_int_equal(build_bytes("", 0), -ENOEXEC);
	assert_int_equal(build_bytes(script, sizeof(script)), -ENOEXEC);
	assemble("none", ".globl f\nf:\nret\n");
	assert_int_equal(run("gcc -c -o %s/none.o %s/none.s", directory, directory), 0);
	bytes = fixture_bytes("none.o", &size);
	assert_int_equal(build_bytes(bytes, size), -ENOEXEC); /* nothing to execute */
	free(bytes);
	bytes = fixture_bytes("none.so", &size);
	assert_int_equal(build_bytes(bytes, size), -ENODATA);
	bytes[EI_CLASS] = ELFCLASS32;
	assert_int_equal(build_bytes(bytes, size), -ENOEXEC);
	bytes[EI_CLASS] = ELFCLASS64;
	bytes[18] = EM_AARCH64;
	assert_int_equal(build_bytes(bytes, size), -ENOEXEC);
	free(bytes);
}

static void truncated_files_do_no_harm(void **state)
{
	size_t size;
	uint8_t *bytes;

	(void)state;
	bytes = fixture_bytes("whole", &size);
	for (size_t cut = 0; cut < size; cut += 64) {
		int result = build_bytes(bytes, cut);

		assert_true(result == 0 || result == -ENOEXEC || result == -ENODATA);
	}
	free(bytes);
}

static void corrupt_files_do_no_harm(void **state)
{
	static const char *const names[] = { "rules.so", "debug.so", "bare" };
	uint64_t seed = 1;

	(void)state;
	for (size_t n = 0; n < 3; n++) {
		size_t size;
		uint8_t *bytes = fixture_bytes(names[n], &size), *copy = malloc(size);

		assert_non_null(copy);
		for (int round = 0; round < 1500; round++) {
			int result;

			memcpy(copy, bytes, size);
			for (uint32_t left = 1 + draw(&seed) % 24; left; left--)
				copy[draw(&seed) % (round & 1 ? size : 4096)] =
					(uint8_t)draw(&seed);
			result = build_bytes(copy, size);
			assert_true(result == 0 || result == -ENOEXEC || result == -ENODATA);
		}
		free(copy);
		free(bytes);
	}
}

static int make_directory(void **state)
{
	(void)state;
	return fixture__make(c_source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compiled_code_agrees_with_libdw),
		cmocka_unit_test(the_systems_objects_agree_with_libdw),
		cmocka_unit_test(debug_frame_is_read),
		cmocka_unit_test(rules_are_what_was_written),
		cmocka_unit_test(sections_are_not_needed),
		cmocka_unit_test(restorers_are_signal_frames),
		cmocka_unit_test(every_page_begins_with_what_holds),
		cmocka_unit_test(what_is_no_table_is_said),
		cmocka_unit_test(truncated_files_do_no_harm),
		cmocka_unit_test(corrupt_files_do_no_harm),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
