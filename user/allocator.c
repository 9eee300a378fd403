/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "elf_code.h"

enum { OPERATOR = 1, THROWS = 2 };

enum { THUNK_SIZE = 16, THUNK_STEPS = 4 };

struct row {
	const char *symbol;
	enum entry_kind kind;
	unsigned int flags;
	const char *name; /* NULL: the symbol */
};

/* A row a line: */
/* clang-format off */
/*
 * The plain C interface, as allocators offer it under their own prefix to programs that call them
 * directly. A failed reallocf frees its block, where ENTRY_REALLOC puts it back: an error of one
 * dead block is better than a live one that was missed each time.
 */
#define C_FAMILY(prefix) \
	{ prefix "malloc", ENTRY_MALLOC, 0, NULL }, \
	{ prefix "calloc", ENTRY_CALLOC, 0, NULL }, \
	{ prefix "realloc", ENTRY_REALLOC, 0, NULL }, \
	{ prefix "reallocf", ENTRY_REALLOC, 0, NULL }, \
	{ prefix "reallocarray", ENTRY_REALLOCARRAY, 0, NULL }, \
	{ prefix "free", ENTRY_FREE, 0, NULL }, \
	{ prefix "cfree", ENTRY_FREE, 0, NULL }, \
	{ prefix "posix_memalign", ENTRY_POSIX_MEMALIGN, 0, NULL }, \
	{ prefix "aligned_alloc", ENTRY_ALIGNED, 0, NULL }, \
	{ prefix "memalign", ENTRY_ALIGNED, 0, NULL }, \
	{ prefix "valloc", ENTRY_MALLOC, 0, NULL }, \
	{ prefix "pvalloc", ENTRY_MALLOC, 0, NULL }

/* jemalloc's own interface; its block or size comes where the plain one's does. */
#define X_FAMILY(prefix) \
	{ prefix "mallocx", ENTRY_MALLOC, 0, NULL }, \
	{ prefix "rallocx", ENTRY_REALLOC, 0, NULL }, \
	{ prefix "dallocx", ENTRY_FREE, 0, NULL }, \
	{ prefix "sdallocx", ENTRY_FREE, 0, NULL }

#define NEW(suffix, flags, arguments) \
	{ "_Znwm" suffix, ENTRY_MALLOC, OPERATOR | (flags), "operator new(" arguments ")" }, \
	{ "_Znam" suffix, ENTRY_MALLOC, OPERATOR | (flags), "operator new[](" arguments ")" }

#define DELETE(suffix, arguments) \
	{ "_ZdlPv" suffix, ENTRY_FREE, OPERATOR, "operator delete(" arguments ")" }, \
	{ "_ZdaPv" suffix, ENTRY_FREE, OPERATOR, "operator delete[](" arguments ")" }
/* clang-format on */

/*
 * An earlier row names an address that several symbols share. The nothrow forms are noexcept: what
 * a new handler throws is caught below the frame whose return is probed.
 */
static const struct row rows[] = {
	C_FAMILY(""),
	{ "free_sized", ENTRY_FREE, 0, NULL },
	{ "free_aligned_sized", ENTRY_FREE, 0, NULL },
	X_FAMILY(""),
	NEW("", THROWS, "unsigned long"),
	NEW("RKSt9nothrow_t", 0, "unsigned long, std::nothrow_t const&"),
	NEW("St11align_val_t", THROWS, "unsigned long, std::align_val_t"),
	NEW("St11align_val_tRKSt9nothrow_t", 0,
	    "unsigned long, std::align_val_t, std::nothrow_t const&"),
	DELETE("", "void*"),
	DELETE("m", "void*, unsigned long"),
	DELETE("RKSt9nothrow_t", "void*, std::nothrow_t const&"),
	DELETE("St11align_val_t", "void*, std::align_val_t"),
	DELETE("mSt11align_val_t", "void*, unsigned long, std::align_val_t"),
	DELETE("St11align_val_tRKSt9nothrow_t", "void*, std::align_val_t, std::nothrow_t const&"),
	{ "mmap", ENTRY_MMAP, 0, NULL },
	{ "mmap64", ENTRY_MMAP, 0, NULL },
	{ "munmap", ENTRY_MUNMAP, 0, NULL },
	{ "mremap", ENTRY_MREMAP, 0, NULL },
	C_FAMILY("__libc_"),
	C_FAMILY("je_"),
	X_FAMILY("je_"),
	C_FAMILY("_rjem_"), /* Rust's jemalloc */
	X_FAMILY("_rjem_"),
	C_FAMILY("tc_"),
	{ "tc_malloc_skip_new_handler", ENTRY_MALLOC, 0, NULL },
	{ "tc_free_sized", ENTRY_FREE, 0, NULL },
	{ "tc_new", ENTRY_MALLOC, THROWS, NULL },
	{ "tc_newarray", ENTRY_MALLOC, THROWS, NULL },
	{ "tc_delete", ENTRY_FREE, 0, NULL },
	{ "tc_deletearray", ENTRY_FREE, 0, NULL },
	C_FAMILY("mi_"),
	{ "mi_zalloc", ENTRY_MALLOC, 0, NULL },
	{ "mi_malloc_small", ENTRY_MALLOC, 0, NULL },
	{ "mi_zalloc_small", ENTRY_MALLOC, 0, NULL },
	{ "mi_malloc_aligned", ENTRY_MALLOC, 0, NULL },
	{ "mi_zalloc_aligned", ENTRY_MALLOC, 0, NULL },
	{ "mi_mallocn", ENTRY_CALLOC, 0, NULL },
	{ "mi_calloc_aligned", ENTRY_CALLOC, 0, NULL },
	{ "mi_reallocn", ENTRY_REALLOCARRAY, 0, NULL },
	{ "mi_rezalloc", ENTRY_REALLOC, 0, NULL },
	{ "mi_realloc_aligned", ENTRY_REALLOC, 0, NULL },
	{ "mi_free_size", ENTRY_FREE, 0, NULL },
	{ "mi_free_aligned", ENTRY_FREE, 0, NULL },
	{ "mi_free_size_aligned", ENTRY_FREE, 0, NULL },
	{ "mi_new", ENTRY_MALLOC, THROWS, NULL },
	{ "mi_new_aligned", ENTRY_MALLOC, THROWS, NULL },
	{ "mi_new_nothrow", ENTRY_MALLOC, 0, NULL },
	{ "mi_new_aligned_nothrow", ENTRY_MALLOC, 0, NULL },
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

struct found {
	struct entry *entries;
	const struct row **rows; /* of each entry */
	size_t count, room;
};

unsigned int entry__arguments(enum entry_kind kind)
{
	static const unsigned char arguments[ENTRY_KINDS] = {
		[ENTRY_MALLOC] = 1,       [ENTRY_CALLOC] = 2,  [ENTRY_REALLOC] = 2,
		[ENTRY_REALLOCARRAY] = 3, [ENTRY_ALIGNED] = 2, [ENTRY_POSIX_MEMALIGN] = 3,
		[ENTRY_FREE] = 1,         [ENTRY_MMAP] = 4,    [ENTRY_MUNMAP] = 2,
		[ENTRY_MREMAP] = 4,
	};

	return kind < ENTRY_KINDS ? arguments[kind] : 0;
}

/* Old .symtabs carry versions: "malloc@@GLIBC_2.2.5". */
static const struct row *row_of(const char *name)
{
	size_t length = strcspn(name, "@");

	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].symbol[0] == name[0] && !strncmp(rows[i].symbol, name, length) &&
		    !rows[i].symbol[length])
			return &rows[i];
	return NULL;
}

static struct entry *entry_at(const struct found *found, uint64_t address)
{
	for (size_t i = 0; i < found->count; i++)
		if (found->entries[i].address == address)
			return &found->entries[i];
	return NULL;
}

static int found__grow(struct found *found)
{
	size_t room = found->room ? 2 * found->room : 64;
	struct entry *entries;
	const struct row **of;

	if (found->count < found->room)
		return 0;
	entries = reallocarray(found->entries, room, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	found->entries = entries;
	of = reallocarray(found->rows, room, sizeof(*of));
	if (!of)
		return -ENOMEM;
	found->rows = of;
	found->room = room;
	return 0;
}

/* Of several symbols at an address the earliest row's wins; if one may throw, the code may. */
static void merge(struct found *found, struct entry *entry, const struct elf_symbol *symbol,
		  const struct row *row)
{
	const struct row **known = &found->rows[entry - found->entries];

	if (row < *known)
		*known = row;
	entry->name = (*known)->name ? (*known)->name : (*known)->symbol;
	entry->kind = (*known)->kind;
	entry->keeps_return |= row->flags & THROWS;
	entry->uses_return = entry->kind != ENTRY_FREE && entry->kind != ENTRY_MUNMAP;
	if (symbol->size > entry->size)
		entry->size = symbol->size;
}

/*
 * A static PIE's malloc is a local symbol, and so is an allocator that was linked into a program
 * without being exported. In libraries (ld.so) a local malloc is for the library's own needs.
 */
static int add(struct found *found, const struct elf_code *code, const struct elf_symbol *symbol)
{
	bool callable = symbol->exported || elf_code__is_program(code);
	const struct row *row = callable ? row_of(symbol->name) : NULL;
	struct entry *entry;
	uint64_t offset;
	int err;

	if (!row || !elf_code__offset(code, symbol->address, &offset))
		return 0;
	entry = entry_at(found, symbol->address);
	if (!entry) {
		err = found__grow(found);
		if (err)
			return err;
		entry = &found->entries[found->count];
		*entry = (struct entry){ .address = symbol->address, .offset = offset };
		found->rows[found->count++] = row;
	}
	merge(found, entry, symbol, row);
	return 0;
}

/* Where code that is nothing but [endbr64] jmp goes, through the PLT if need be. */
static bool thunk_target(const struct elf_code *code, uint64_t address, uint64_t *target)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	uint8_t bytes[THUNK_SIZE] = { 0 };
	int32_t distance;
	size_t at = 0;

	if (!elf_code__read(code, address, bytes, sizeof(bytes)))
		return false;
	if (!memcmp(bytes, endbr64, sizeof(endbr64)))
		at = sizeof(endbr64);
	memcpy(&distance, bytes + at + 1, sizeof(distance));
	if (bytes[at] == 0xeb)
		*target = address + at + 2 + (uint64_t)(int8_t)bytes[at + 1];
	else if (bytes[at] == 0xe9)
		*target = address + at + 5 + (uint64_t)(int64_t)distance;
	else
		return false;
	elf_code__behind_stub(code, *target, target);
	return true;
}

/* Whether what enters here only passes on to another entry, whose probe sees it. */
static bool is_passage(const struct found *found, const struct elf_code *code,
		       const struct entry *entry)
{
	uint64_t target = entry->address;

	for (int i = 0; i < THUNK_STEPS; i++) {
		const struct entry *other;

		if (!thunk_target(code, target, &target) || target == entry->address)
			return false;
		other = entry_at(found, target);
		if (other && other->kind == entry->kind)
			return true;
	}
	return false;
}

struct inner { /* what an operator new may pass its call on to */
	const struct found *found;
	const struct elf_code *code;
};

static bool is_plain_malloc(void *context, uint64_t address)
{
	const struct inner *inner = context;
	const struct entry *entry;

	elf_code__behind_stub(inner->code, address, &address);
	entry = entry_at(inner->found, address);
	return entry && entry->kind == ENTRY_MALLOC && !entry->keeps_return;
}

/* An operator new that gets every block from malloc needs no probe of its own, nor on its exits. */
static bool is_wrapper(const struct found *found, struct elf_code *code, const struct entry *entry)
{
	struct inner inner = { found, code };

	return entry->keeps_return &&
	       placement__passes(elf_code__fetch, code, is_plain_malloc, &inner, entry->address);
}

static bool has_allocator(const struct found *found)
{
	for (size_t i = 0; i < found->count; i++)
		if (found->entries[i].kind == ENTRY_MALLOC && !(found->rows[i]->flags & OPERATOR))
			return true;
	return false;
}

static int settle(struct found *found, struct elf_code *code)
{
	bool operators = has_allocator(found);
	bool *drop = calloc(found->count + 1, sizeof(*drop));
	size_t kept = 0;

	if (!drop)
		return -ENOMEM;
	for (size_t i = 0; i < found->count; i++)
		drop[i] = (!operators && (found->rows[i]->flags & OPERATOR)) ||
			  is_passage(found, code, &found->entries[i]) ||
			  is_wrapper(found, code, &found->entries[i]);
	for (size_t i = 0; i < found->count; i++)
		if (!drop[i])
			found->entries[kept++] = found->entries[i];
	found->count = kept;
	free(drop);
	return 0;
}

/*
 * A sanitizer keeps with each block the stack of the call, which would end at an armed return. A
 * leak that is suppressed by a function's name would not be any more, and the program's exit status
 * be another.
 */
static void spare_returns(struct found *found)
{
	for (size_t i = 0; i < found->count; i++)
		if (found->entries[i].kind < ENTRY_MMAP)
			found->entries[i].keeps_return = true;
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

int allocator__entries(const struct object *object, struct entry **entries, size_t *count)
{
	const struct elf_symbol *symbols;
	struct found found = { 0 };
	struct elf_code *code;
	size_t symbol_count;
	bool sanitizer = false;
	int err = elf_code__open(object__fd(object), &code);

	*entries = NULL;
	*count = 0;
	if (err)
		return err;
	symbols = elf_code__symbols(code, &symbol_count);
	for (size_t i = 0; i < symbol_count && !err; i++) {
		sanitizer |= !strcmp(symbols[i].name, "__sanitizer_print_stack_trace");
		err = add(&found, code, &symbols[i]);
	}
	if (!err)
		err = settle(&found, code);
	if (sanitizer)
		spare_returns(&found);
	elf_code__close(code);
	free(found.rows);
	if (err) {
		free(found.entries);
		return err;
	}
	if (found.count)
		qsort(found.entries, found.count, sizeof(*found.entries), compare);
	*entries = found.entries;
	*count = found.count;
	return 0;
}

/* The entry's code: what its symbol says, else its FDE; size 0 when nothing tells. */
static int read_body(struct elf_code *code, const struct entry *entry, uint8_t **bytes,
		     size_t *size)
{
	uint64_t start = entry->address, end = start + entry->size;

	if (!entry->size &&
	    (!elf_code__bounds(code, start, &start, &end) || start != entry->address))
		end = entry->address;
	*size = end - entry->address;
	if (*size > 1 << 20)
		*size = 0;
	*bytes = calloc(1, *size + PLACEMENT_PEEK);
	if (!*bytes)
		return -ENOMEM;
	if (elf_code__read(code, entry->address, *bytes, *size ? *size : PLACEMENT_PEEK) < *size) {
		free(*bytes);
		return -ENOEXEC;
	}
	return 0;
}

int allocator__place(const struct object *object, const struct entry *entry,
		     struct placement *placement)
{
	struct elf_code *code;
	uint8_t *bytes;
	size_t size;
	int err = elf_code__open(object__fd(object), &code);

	if (err)
		return err;
	err = read_body(code, entry, &bytes, &size);
	if (!err) {
		err = placement__choose(bytes, size, entry->address, entry__arguments(entry->kind),
					entry->kind == ENTRY_FREE, placement);
		free(bytes);
	}
	elf_code__close(code);
	return err;
}

int allocator__exits(const struct object *object, const struct entry *entry, uint64_t *offsets,
		     size_t max)
{
	struct elf_code *code;
	int count = elf_code__open(object__fd(object), &code);

	if (count)
		return count;
	count = placement__exits(elf_code__fetch, code, entry->address, offsets, max);
	for (int i = 0; i < count; i++)
		if (!elf_code__offset(code, offsets[i], &offsets[i]))
			count = -ENOTSUP;
	elf_code__close(code);
	return count;
}
