/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dwarf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf_image.h"

enum {
	SEGMENTS_MAX = 1024,     /* program headers looked at */
	SECTIONS_MAX = 65536,    /* with more, code is looked for by segment */
	SECTION_MAX = 512 << 20, /* bytes; a 1 GB binary's .eh_frame is about 100 MB */
	EH_FRAME_HDR_SIZE = 12,  /* what is read of it: four bytes and the pointer */
};

struct elf_image {
	int fd;
	Elf *elf;
	uint64_t size;                /* of the file */
	struct elf_segment *segments; /* executable */
	size_t count;
	struct elf_segment *loads; /* all PT_LOAD */
	size_t load_count;
	uint64_t entry;        /* virtual address; 0: none */
	bool program;          /* the entry is one */
	bool fixed;            /* ET_EXEC: it is not moved */
	uint64_t eh_frame_hdr; /* virtual address; 0: none */
	void *eh_frame;        /* read by elf_image__eh_frame */
};

ssize_t elf_image__read(const struct elf_image *image, void *buffer, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size && offset + done < image->size) {
		ssize_t n = pread(image->fd, (char *)buffer + done, size - done,
				  (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

uint64_t elf_image__skip_hole(const struct elf_image *image, uint64_t offset)
{
	off_t data = lseek(image->fd, (off_t)offset, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? image->size : offset;
	return (uint64_t)data;
}

static int segment__compare(const void *a, const void *b)
{
	const struct elf_segment *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Sorts the executable segments and takes from each what one before it has. */
static void image__settle_segments(struct elf_image *image)
{
	uint64_t floor = 0;
	size_t kept = 0;

	qsort(image->segments, image->count, sizeof(*image->segments), segment__compare);
	for (size_t i = 0; i < image->count; i++) {
		struct elf_segment segment = image->segments[i];
		uint64_t cut = segment.offset < floor ? floor - segment.offset : 0;

		if (cut >= segment.size)
			continue;
		segment.offset += cut;
		segment.address += cut;
		segment.size -= cut;
		floor = segment.offset + segment.size;
		image->segments[kept++] = segment;
	}
	image->count = kept;
}

static void image__add_load(struct elf_image *image, const GElf_Phdr *header)
{
	struct elf_segment segment = { header->p_offset, header->p_filesz, header->p_vaddr };

	if (segment.offset >= image->size || segment.address + segment.size < segment.address)
		return;
	if (segment.size > image->size - segment.offset)
		segment.size = image->size - segment.offset;
	image->loads[image->load_count++] = segment;
	if (header->p_flags & PF_X)
		image->segments[image->count++] = segment;
}

static int image__read_headers(struct elf_image *image)
{
	size_t count;
	GElf_Phdr header;

	if (elf_getphdrnum(image->elf, &count))
		return -ENOEXEC;
	if (count > SEGMENTS_MAX)
		count = SEGMENTS_MAX;
	image->segments = calloc(count + 1, sizeof(*image->segments));
	image->loads = calloc(count + 1, sizeof(*image->loads));
	if (!image->segments || !image->loads)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (!gelf_getphdr(image->elf, (int)i, &header))
			return -ENOEXEC;
		if (header.p_type == PT_LOAD)
			image__add_load(image, &header);
		else if (header.p_type == PT_GNU_EH_FRAME)
			image->eh_frame_hdr = header.p_vaddr;
		else if (header.p_type == PT_INTERP)
			image->program = true;
	}
	image__settle_segments(image);
	return 0;
}

static int image__identify(struct elf_image *image)
{
	struct stat status;
	GElf_Ehdr header;

	if (fstat(image->fd, &status))
		return -errno;
	if (status.st_size < (off_t)sizeof(Elf64_Ehdr))
		return -ENOEXEC;
	image->size = (uint64_t)status.st_size;
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOTSUP;
	image->elf =
		elf_begin(image->fd, ELF_C_READ, NULL); /* reads, where ELF_C_READ_MMAP would map */
	if (!image->elf || elf_kind(image->elf) != ELF_K_ELF || !gelf_getehdr(image->elf, &header))
		return -ENOEXEC;
	if (header.e_machine != EM_X86_64 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_ident[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	image->entry = header.e_entry;
	image->program = image->fixed = header.e_type == ET_EXEC;
	return 0;
}

int elf_image__open(int fd, struct elf_image **image)
{
	struct elf_image *new = calloc(1, sizeof(*new));
	int err;

	if (!new)
		return -ENOMEM;
	new->fd = fd;
	err = image__identify(new);
	if (!err)
		err = image__read_headers(new);
	if (err) {
		elf_image__close(new);
		new = NULL;
	}
	*image = new;
	return err;
}

void elf_image__close(struct elf_image *image)
{
	if (!image)
		return;
	elf_end(image->elf);
	free(image->segments);
	free(image->loads);
	free(image->eh_frame);
	free(image);
}

const struct elf_segment *elf_image__segments(const struct elf_image *image, size_t *count)
{
	*count = image->count;
	return image->segments;
}

uint64_t elf_image__entry(const struct elf_image *image)
{
	return image->entry;
}

bool elf_image__is_program(const struct elf_image *image)
{
	return image->program;
}

bool elf_image__is_fixed(const struct elf_image *image)
{
	return image->fixed;
}

static Elf_Scn *image__find_section(struct elf_image *image, const char *name, GElf_Shdr *header)
{
	Elf_Scn *section = NULL;
	const char *found;
	size_t names;

	if (elf_getshdrstrndx(image->elf, &names))
		return NULL;
	while ((section = elf_nextscn(image->elf, section))) {
		if (!gelf_getshdr(section, header) || header->sh_type == SHT_NOBITS)
			continue;
		found = elf_strptr(image->elf, names, header->sh_name);
		if (found && !strcmp(found, name))
			return section;
	}
	return NULL;
}

/* What an executable segment has of a section of code; false when that is nothing. */
static bool image__place_section(const struct elf_image *image, const GElf_Shdr *header,
				 struct elf_segment *place)
{
	for (size_t i = 0; i < image->count; i++) {
		const struct elf_segment *segment = &image->segments[i];
		uint64_t inside = header->sh_offset - segment->offset;

		if (inside >= segment->size || header->sh_addr - segment->address != inside)
			continue;
		*place =
			(struct elf_segment){ header->sh_offset, header->sh_size, header->sh_addr };
		if (place->size > segment->size - inside)
			place->size = segment->size - inside;
		return place->size;
	}
	return false;
}

static size_t image__place_sections(struct elf_image *image, struct elf_segment *places, size_t max)
{
	Elf_Scn *section = NULL;
	size_t count = 0;
	GElf_Shdr header;

	while (count < max && (section = elf_nextscn(image->elf, section)))
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_PROGBITS &&
		    header.sh_flags & SHF_EXECINSTR)
			count += image__place_section(image, &header, &places[count]);
	return count;
}

int elf_image__code(struct elf_image *image, struct elf_segment **code, size_t *count)
{
	size_t sections = 0;

	if (elf_getshdrnum(image->elf, &sections) || sections > SECTIONS_MAX)
		sections = 0;
	*code = calloc(sections + image->count + 1, sizeof(**code));
	if (!*code)
		return -ENOMEM;
	*count = image__place_sections(image, *code, sections);
	if (!*count) {
		memcpy(*code, image->segments, image->count * sizeof(**code));
		*count = image->count;
	}
	qsort(*code, *count, sizeof(**code), segment__compare);
	return 0;
}

/* Inflates in place. A header that claims too much is not believed. */
static int section__inflate(Elf_Scn *section, const GElf_Shdr *header)
{
	GElf_Chdr compression;

	if (!(header->sh_flags & SHF_COMPRESSED))
		return 0;
	if (!gelf_getchdr(section, &compression) || compression.ch_size > SECTION_MAX ||
	    compression.ch_size / 1024 > header->sh_size) /* deflate reaches 1 : 1032 */
		return -ENOEXEC;
	return elf_compress(section, 0, 0) < 0 ? -ENOEXEC : 0;
}

int elf_image__section(struct elf_image *image, const char *name, struct elf_bytes *bytes)
{
	GElf_Shdr header;
	Elf_Scn *section = image__find_section(image, name, &header);
	Elf_Data *data;
	int err;

	if (!section)
		return -ENODATA;
	if (header.sh_size > SECTION_MAX)
		return -ENOEXEC;
	err = section__inflate(section, &header);
	if (err)
		return err;
	data = header.sh_flags & SHF_COMPRESSED ? elf_getdata(section, NULL)
						: elf_rawdata(section, NULL);
	if (!data)
		return -ENOEXEC;
	if (!data->d_buf || !data->d_size)
		return -ENODATA;
	*bytes = (struct elf_bytes){ data->d_buf, data->d_size, header.sh_addr };
	return 0;
}

/* The PT_LOAD that holds `address`, or NULL. */
static const struct elf_segment *image__load_of(const struct elf_image *image, uint64_t address)
{
	for (size_t i = 0; i < image->load_count; i++)
		if (address - image->loads[i].address < image->loads[i].size)
			return &image->loads[i];
	return NULL;
}

/* Where .eh_frame_hdr says that .eh_frame is; 0 when it does not. Linkers write pcrel sdata4. */
static uint64_t image__eh_frame_address(const struct elf_image *image)
{
	const struct elf_segment *load = image__load_of(image, image->eh_frame_hdr);
	uint8_t bytes[EH_FRAME_HDR_SIZE];
	int32_t distance;

	if (!image->eh_frame_hdr || !load)
		return 0;
	if (elf_image__read(image, bytes, sizeof(bytes),
			    load->offset + image->eh_frame_hdr - load->address) != sizeof(bytes))
		return 0;
	if (bytes[0] != 1 || bytes[1] != (DW_EH_PE_pcrel | DW_EH_PE_sdata4))
		return 0;
	memcpy(&distance, bytes + 4, sizeof(distance));
	return image->eh_frame_hdr + 4 + (uint64_t)(int64_t)distance;
}

int elf_image__eh_frame(struct elf_image *image, struct elf_bytes *bytes)
{
	uint64_t address = image__eh_frame_address(image);
	const struct elf_segment *load = address ? image__load_of(image, address) : NULL;
	uint64_t offset, size;
	ssize_t n;

	if (!load || image->eh_frame)
		return -ENODATA;
	offset = address - load->address;
	size = load->size - offset;
	if (size > SECTION_MAX)
		size = SECTION_MAX;
	image->eh_frame = malloc(size);
	if (!image->eh_frame)
		return -ENOMEM;
	n = elf_image__read(image, image->eh_frame, size, load->offset + offset);
	if (n <= 0)
		return n < 0 ? (int)n : -ENODATA;
	*bytes = (struct elf_bytes){ image->eh_frame, (size_t)n, address };
	return 0;
}
