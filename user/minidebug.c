/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "minidebug.h"

#include <gelf.h>
#include <lzma.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 * 1024 };
enum { IMAGE_MAX = 64 * 1024 * 1024 };   /* bytes, unpacked */
enum { MEMORY_MAX = 128 * 1024 * 1024 }; /* bytes that liblzma may take */

static Elf_Scn *elf__debugdata(Elf *elf)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_PROGBITS)
			continue;
		name = elf_strptr(elf, names, header.sh_name);
		if (name && !strcmp(name, ".gnu_debugdata"))
			return section;
	}
	return NULL;
}

/* Unpacks all that `stream` has; NULL when it is damaged or too much. */
static uint8_t *stream__unpack(lzma_stream *stream, size_t *size)
{
	size_t room = 0;
	uint8_t *bytes = NULL;
	lzma_ret result = LZMA_OK;

	while (result == LZMA_OK) {
		if (stream->total_out == room) {
			uint8_t *larger =
				room < IMAGE_MAX
					? realloc(bytes, room = room ? 2 * room : FIRST_ROOM)
					: NULL;

			if (!larger)
				break;
			bytes = larger;
			stream->next_out = bytes + stream->total_out;
			stream->avail_out = room - stream->total_out;
		}
		result = lzma_code(stream, LZMA_FINISH);
	}
	*size = stream->total_out;
	if (result == LZMA_STREAM_END)
		return bytes;
	free(bytes);
	return NULL;
}

Elf *minidebug__open(Elf *elf, void **image)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	Elf_Scn *section = elf__debugdata(elf);
	Elf_Data *data = section ? elf_rawdata(section, NULL) : NULL;
	Elf *mini;
	size_t size;

	*image = NULL;
	if (!data || !data->d_buf || lzma_stream_decoder(&stream, MEMORY_MAX, 0) != LZMA_OK)
		return NULL;
	stream.next_in = data->d_buf;
	stream.avail_in = data->d_size;
	*image = stream__unpack(&stream, &size);
	lzma_end(&stream);
	mini = *image ? elf_memory(*image, size) : NULL;
	if (!mini) {
		free(*image);
		*image = NULL;
	}
	return mini;
}
