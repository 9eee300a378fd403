/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "elf_dynamic.h"

enum {
	HEADERS_MAX = 1024,
	DYNAMIC_MAX = 4096,    /* entries of PT_DYNAMIC looked at */
	TABLE_MAX = 256 << 20, /* bytes of one table */
	CHAIN_STEP = 256,      /* words of a hash chain read at a time */
};

struct file {
	const struct elf_image *image;
	Elf64_Phdr *headers;
	size_t header_count;
	uint64_t values[DT_NUM]; /* of the dynamic entries, by tag; 0: none */
	uint64_t gnu_hash;
	uint64_t flags; /* DT_FLAGS_1 */
};

/* `size` bytes at `offset` and a zero behind them; NULL and errno when they are not all there. */
static void *read_at(const struct elf_image *image, uint64_t offset, uint64_t size)
{
	char *bytes = size <= TABLE_MAX ? malloc(size + 1) : NULL;

	if (!bytes) {
		errno = size <= TABLE_MAX ? ENOMEM : ENOEXEC;
		return NULL;
	}
	if (elf_image__read(image, bytes, size, offset) != (ssize_t)size) {
		free(bytes);
		errno = ENOEXEC;
		return NULL;
	}
	bytes[size] = 0;
	return bytes;
}

/* The same by virtual address, inside one PT_LOAD. */
static void *read_virtual(const struct file *file, uint64_t address, uint64_t size)
{
	for (size_t i = 0; i < file->header_count; i++) {
		const Elf64_Phdr *header = &file->headers[i];
		uint64_t inside = address - header->p_vaddr;

		if (header->p_type == PT_LOAD && inside < header->p_filesz &&
		    size <= header->p_filesz - inside)
			return read_at(file->image, header->p_offset + inside, size);
	}
	errno = ENOEXEC;
	return NULL;
}

static int read_headers(struct file *file)
{
	Elf64_Ehdr header;
	size_t count;

	if (elf_image__read(file->image, &header, sizeof(header), 0) != sizeof(header) ||
	    header.e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	count = header.e_phnum < HEADERS_MAX ? header.e_phnum : HEADERS_MAX;
	file->headers = read_at(file->image, header.e_phoff, count * sizeof(Elf64_Phdr));
	if (!file->headers)
		return -errno;
	file->header_count = count;
	return 0;
}

static const Elf64_Phdr *find_header(const struct file *file, uint32_t type)
{
	for (size_t i = 0; i < file->header_count; i++)
		if (file->headers[i].p_type == type)
			return &file->headers[i];
	return NULL;
}

/* Linkers before 2016 did not mark a PIE; libc.so.6 has an interpreter, too. */
static bool is_program(const struct file *file)
{
	return elf_image__is_fixed(file->image) || (file->flags & DF_1_PIE) ||
	       (find_header(file, PT_INTERP) && !file->values[DT_SONAME]);
}

/* -ENODATA when there is no PT_DYNAMIC. */
static int read_values(struct file *file)
{
	const Elf64_Phdr *header = find_header(file, PT_DYNAMIC);
	Elf64_Dyn *entries;
	uint64_t count;

	if (!header)
		return -ENODATA;
	count = header->p_filesz / sizeof(Elf64_Dyn);
	if (count > DYNAMIC_MAX)
		count = DYNAMIC_MAX;
	entries = read_at(file->image, header->p_offset, count * sizeof(Elf64_Dyn));
	if (!entries)
		return -errno;
	for (uint64_t i = 0; i < count && entries[i].d_tag != DT_NULL; i++) {
		if (entries[i].d_tag > 0 && entries[i].d_tag < DT_NUM)
			file->values[entries[i].d_tag] = entries[i].d_un.d_val;
		else if (entries[i].d_tag == DT_GNU_HASH)
			file->gnu_hash = entries[i].d_un.d_val;
		else if (entries[i].d_tag == DT_FLAGS_1)
			file->flags = entries[i].d_un.d_val;
	}
	free(entries);
	return 0;
}

/* The index behind the chain that `first` begins: its last word has the low bit set. */
static int64_t chain_end(const struct file *file, uint64_t chains, uint64_t first)
{
	for (uint64_t index = first; index < TABLE_MAX / sizeof(Elf64_Sym);) {
		uint32_t words = CHAIN_STEP, *chain = NULL;

		for (; words && !chain; words /= 2) /* the table may end a segment */
			chain = read_virtual(file, chains + 4 * index, 4ull * words);
		if (!chain)
			return -ENOEXEC;
		words = words ? words * 2 : 1;
		for (uint32_t i = 0; i < words; i++) {
			if (chain[i] & 1) {
				free(chain);
				return (int64_t)(index + i + 1);
			}
		}
		free(chain);
		index += words;
	}
	return -ENOEXEC;
}

/* DT_GNU_HASH has no count: it is behind the last chain. */
static int64_t count_by_gnu_hash(const struct file *file)
{
	uint32_t *header = read_virtual(file, file->gnu_hash,
					16); /* buckets, first symbol, bloom words, shift */
	uint64_t bucket_count, first, table, last = 0;
	uint32_t *buckets;

	if (!header)
		return -errno;
	bucket_count = header[0];
	first = header[1];
	table = file->gnu_hash + 16 + 8ull * header[2];
	free(header);
	buckets = read_virtual(file, table, 4 * bucket_count);
	if (!buckets)
		return -errno;
	for (uint64_t i = 0; i < bucket_count; i++)
		if (buckets[i] > last)
			last = buckets[i];
	free(buckets);
	if (last < first) /* exports nothing */
		return (int64_t)first;
	return chain_end(file, table + 4 * bucket_count - 4 * first, last);
}

static int64_t count_symbols(const struct file *file)
{
	uint32_t *header;
	int64_t count;

	if (!file->values[DT_HASH])
		return file->gnu_hash ? count_by_gnu_hash(file) : 0;
	header = read_virtual(file, file->values[DT_HASH],
			      8); /* buckets, chains: as many as symbols */
	if (!header)
		return -errno;
	count = header[1];
	free(header);
	return count;
}

static int read_symbols(const struct file *file, struct elf_dynamic *dynamic)
{
	int64_t count = count_symbols(file);

	if (count <= 0 || !file->values[DT_SYMTAB] || !file->values[DT_STRTAB])
		return count < 0 ? (int)count : 0;
	dynamic->symbols =
		read_virtual(file, file->values[DT_SYMTAB], (uint64_t)count * sizeof(Elf64_Sym));
	dynamic->names = read_virtual(file, file->values[DT_STRTAB], file->values[DT_STRSZ]);
	if (!dynamic->symbols || !dynamic->names)
		return -errno;
	dynamic->symbol_count = (size_t)count;
	dynamic->names_size = file->values[DT_STRSZ] + 1;
	return 0;
}

static int add_relocations(const struct file *file, struct elf_dynamic *dynamic, int tag,
			   int size_tag)
{
	size_t count = file->values[size_tag] / sizeof(Elf64_Rela);
	Elf64_Rela *more, *all;

	if (!file->values[tag] || !count)
		return 0;
	more = read_virtual(file, file->values[tag], count * sizeof(*more));
	if (!more)
		return -errno;
	all = realloc(dynamic->relocations, (dynamic->relocation_count + count) * sizeof(*all));
	if (all) {
		memcpy(all + dynamic->relocation_count, more, count * sizeof(*all));
		dynamic->relocations = all;
		dynamic->relocation_count += count;
	}
	free(more);
	return all ? 0 : -ENOMEM;
}

int elf_dynamic__read(const struct elf_image *image, struct elf_dynamic *dynamic)
{
	struct file file = { .image = image };
	int err = read_headers(&file);

	memset(dynamic, 0, sizeof(*dynamic));
	if (!err)
		err = read_values(&file);
	if (!err)
		err = read_symbols(&file, dynamic);
	if (!err && file.values[DT_PLTREL] == DT_RELA)
		err = add_relocations(&file, dynamic, DT_JMPREL, DT_PLTRELSZ);
	if (!err)
		err = add_relocations(&file, dynamic, DT_RELA, DT_RELASZ);
	if (err == -ENODATA)
		err = 0;
	dynamic->program = is_program(&file);
	free(file.headers);
	if (err)
		elf_dynamic__free(dynamic);
	return err;
}

void elf_dynamic__free(struct elf_dynamic *dynamic)
{
	free(dynamic->symbols);
	free(dynamic->names);
	free(dynamic->relocations);
	memset(dynamic, 0, sizeof(*dynamic));
}
