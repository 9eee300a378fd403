/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_ELF_IMAGE_H
#define MEMWATCH_ELF_IMAGE_H
/*
 * The loadable shape of an x86-64 ELF file, and bytes of it by section name or by address. Nothing
 * in the file is believed: every extent is checked against the file's size. The file is read,
 * never mapped, so one that shrinks meanwhile is a short read and no SIGBUS.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct elf_segment {           /* executable, PT_LOAD */
	uint64_t offset, size; /* in the file, bytes */
	uint64_t address;      /* virtual, of the first byte */
};

struct elf_image;

struct elf_bytes {
	const uint8_t *bytes; /* live as long as the image */
	size_t size;
	uint64_t address;
};

/*
 * 0; -ENOEXEC when it is no ELF file of this machine; else -errno. `fd` stays the caller's and
 * open.
 */
int elf_image__open(int fd, struct elf_image **image);
void elf_image__close(struct elf_image *image);

/* The executable segments by file offset; they do not overlap there. */
const struct elf_segment *elf_image__segments(const struct elf_image *image, size_t *count);
/*
 * The sections of code, by file offset, as far as they lie in executable segments; the segments
 * themselves when the file has no such sections. 0 or -ENOMEM; the list is the caller's to free.
 */
int elf_image__code(struct elf_image *image, struct elf_segment **code, size_t *count);
/* The virtual address at which the program, or the loader, begins; 0: nowhere. */
uint64_t elf_image__entry(const struct elf_image *image);
/* Whether it is a program. One that needs no loader and may lie anywhere is not known as such. */
bool elf_image__is_program(const struct elf_image *image);
/* Whether its code lies at its virtual addresses, and nowhere else. */
bool elf_image__is_fixed(const struct elf_image *image);
/*
 * A section's bytes, inflated; 0, -ENODATA when there is none with this name and bytes, or
 * -ENOEXEC.
 */
int elf_image__section(struct elf_image *image, const char *name, struct elf_bytes *bytes);
/*
 * .eh_frame by PT_GNU_EH_FRAME, for files without sections: from its start up to its segment's
 * end. As above.
 */
int elf_image__eh_frame(struct elf_image *image, struct elf_bytes *bytes);
/*
 * The first place at or after `offset` that is not in a hole of the file; its size when there is
 * none.
 */
uint64_t elf_image__skip_hole(const struct elf_image *image, uint64_t offset);
/* Up to `size` bytes at `offset` of the file; how many, or -errno. */
ssize_t elf_image__read(const struct elf_image *image, void *buffer, size_t size, uint64_t offset);

#endif
