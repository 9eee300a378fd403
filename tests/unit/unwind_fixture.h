/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_FIXTURE_H
#define MEMWATCH_UNWIND_FIXTURE_H
/* A directory of files that the tests of unwinding compile. After cmocka's own headers. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static char directory[] = "/tmp/memwatch-unwind-XXXXXX";

static inline int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline int run(const char *format, ...)
{
	char command[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	return system(command);
}

static inline void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* NAME.s of `source` and the shared object NAME.so of it. */
static inline void assemble(const char *name, const char *source)
{
	char file[64];

	snprintf(file, sizeof(file), "%s.s", name);
	write_file(file, source);
	/* ld says of rules.s that it makes no .eh_frame_hdr: some of it is meant to be nonsense */
	assert_int_equal(run("gcc -shared -nostdlib -o %s/%s.so %s/%s.s 2>/dev/null", directory,
			     name, directory, name),
			 0);
}

/* The directory, with fixture.c in it. */
static inline int fixture__make(const char *source)
{
	if (!mkdtemp(directory))
		return -1;
	write_file("fixture.c", source);
	return 0;
}

static inline int remove_directory(void **state)
{
	(void)state;
	return run("rm -rf %s", directory);
}

static inline uint32_t draw(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33);
}

#endif
