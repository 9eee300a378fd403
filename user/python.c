/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "python.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "python_code.h"
#include "python_image.h"
#include "string_pool.h"

enum {
	CODES_KEPT_MAX = 64 << 20, /* bytes of all that is known of all processes' code */
	SIGN_SHIFT = 24, /* the kernel side's 40 bits of an offset that may be -1 */
};

struct image { /* what is known of an object */
	uint32_t object;
	int error; /* of python_image__read */
	struct python_image python;
	UT_hash_handle hh;
};

struct code_key {
	uint64_t address, identity;
};

struct named_code {
	struct code_key key;
	const char *function, *file;
	unsigned int first_line;
	int64_t size; /* bytes of instructions */
	uint8_t *lines;
	size_t lines_size;
	UT_hash_handle hh;
};

struct python { /* a process */
	pid_t pid;
	uint64_t start_time;
	uint64_t bias;
	const struct python_image *image;
	struct named_code *codes;
	UT_hash_handle hh;
};

struct pythons {
	struct image *images;
	struct python *processes;
	struct string_pool *strings;
	size_t kept; /* bytes of code */
};

struct pythons *pythons__new(void)
{
	struct pythons *pythons = calloc(1, sizeof(*pythons));

	if (!pythons)
		return NULL;
	pythons->strings = string_pool__new();
	if (pythons->strings)
		return pythons;
	free(pythons);
	return NULL;
}

static void forget_codes(struct pythons *pythons, struct python *python)
{
	struct named_code *code, *next;

	HASH_ITER(hh, python->codes, code, next) {
		HASH_DEL(python->codes, code);
		pythons->kept -= sizeof(*code) + code->lines_size;
		free(code->lines);
		free(code);
	}
}

static void forget(struct pythons *pythons, struct python *python)
{
	forget_codes(pythons, python);
	HASH_DEL(pythons->processes, python);
	free(python);
}

void pythons__free(struct pythons *pythons)
{
	struct python *python, *next;
	struct image *image, *next_image;

	if (!pythons)
		return;
	HASH_ITER(hh, pythons->processes, python, next)
		forget(pythons, python);
	HASH_ITER(hh, pythons->images, image, next_image) {
		HASH_DEL(pythons->images, image);
		free(image);
	}
	string_pool__free(pythons->strings);
	free(pythons);
}

static struct python *find_process(const struct pythons *pythons, pid_t pid)
{
	struct python *python;

	HASH_FIND(hh, pythons->processes, &pid, sizeof(pid), python);
	return python;
}

void pythons__forget(struct pythons *pythons, pid_t pid)
{
	struct python *python = find_process(pythons, pid);

	if (python)
		forget(pythons, python);
}

/* What is known of the object, which is read when it is first met; NULL: no memory. */
static struct image *image_of(struct pythons *pythons, const struct object *object)
{
	uint32_t id = object__id(object);
	struct image *image;

	HASH_FIND(hh, pythons->images, &id, sizeof(id), image);
	if (image)
		return image;
	image = calloc(1, sizeof(*image));
	if (!image)
		return NULL;
	image->object = id;
	image->error = python_image__read(object__fd(object), &image->python);
	HASH_ADD(hh, pythons->images, object, sizeof(id), image);
	if (image->error != -ENOMEM && image->hh.tbl)
		return image;
	if (image->hh.tbl)
		HASH_DEL(pythons->images, image);
	free(image);
	return NULL;
}

bool pythons__is_interpreter(struct pythons *pythons, const struct object *object)
{
	const struct image *image = image_of(pythons, object);

	return image && !image->error;
}

/* musl keeps thread-specific data elsewhere than glibc. */
static bool has_musl(const struct mappings *mappings)
{
	for (size_t i = 0; i < mappings->count; i++)
		if (strstr(mappings->items[i].path, "/ld-musl-") ||
		    strstr(mappings->items[i].path, "/libc.musl-"))
			return true;
	return false;
}

/* The first mapping that shows the evaluator of an interpreter; -ENOENT, -ENOMEM. */
static int find_image(struct pythons *pythons, struct objects *objects, pid_t pid,
		      const struct mappings *mappings, struct image **image, uint64_t *bias)
{
	for (size_t i = 0; i < mappings->count; i++) {
		const struct mapping *mapping = &mappings->items[i];
		struct object *object;
		uint64_t inside;

		if (!(mapping->prot & MAPPING_EXEC) || !mapping->inode)
			continue;
		object = objects__of_mapping(objects, pid, mapping);
		if (!object)
			continue;
		*image = image_of(pythons, object);
		if (!*image)
			return -ENOMEM;
		if ((*image)->error == -EOPNOTSUPP)
			return 0;
		inside = (*image)->python.evaluator_offset - mapping->offset;
		if ((*image)->error || inside >= mapping->end - mapping->start)
			continue;
		*bias = mapping->start + inside - (*image)->python.evaluator[0][0];
		return 0;
	}
	return -ENOENT;
}

/* Remembers that `pid` runs this interpreter; names of another process, or image, go. */
static int remember(struct pythons *pythons, pid_t pid, const struct image *image, uint64_t bias)
{
	struct process_status status;
	struct python *python;
	int error = process__status(pid, &status);

	if (error)
		return error;
	python = find_process(pythons, pid);
	if (python && python->start_time == status.start_time && python->image == &image->python &&
	    python->bias == bias)
		return 0;
	if (python)
		forget(pythons, python);
	python = calloc(1, sizeof(*python));
	if (!python)
		return -ENOMEM;
	*python = (struct python){
		.pid = pid, .start_time = status.start_time, .bias = bias, .image = &image->python
	};
	HASH_ADD(hh, pythons->processes, pid, sizeof(pid), python);
	if (python->hh.tbl)
		return 0;
	free(python);
	return -ENOMEM;
}

static void fill_record(struct python_record *record, const struct python_image *image,
			uint64_t bias)
{
	*record = image->version->frames;
	record->tss_key = bias + image->tss + 4; /* behind Py_tss_t's _is_initialized */
	record->interpreters = image->interpreters ? bias + image->interpreters : 0;
	record->holder = image->holder ? bias + image->holder : 0;
	record->interpreter_next = image->interpreter_next;
	record->interpreter_threads = image->interpreter_threads;
	for (int i = 0; i < 2; i++) {
		if (!image->evaluator[i][1])
			continue;
		record->evaluator[i][0] = bias + image->evaluator[i][0];
		record->evaluator[i][1] = bias + image->evaluator[i][1];
	}
}

int pythons__detect(struct pythons *pythons, struct objects *objects, pid_t pid,
		    const struct mappings *mappings, struct python_record *record,
		    const char **reason)
{
	struct image *image;
	uint64_t bias = 0;
	int error = find_image(pythons, objects, pid, mappings, &image, &bias);

	*reason = "";
	if (error)
		return error;
	*reason = image->python.reason;
	if (image->error)
		return image->error;
	*reason = "CPython with musl is not supported";
	if (has_musl(mappings))
		return -EOPNOTSUPP;
	*reason = "";
	error = remember(pythons, pid, image, bias);
	if (!error)
		fill_record(record, &image->python, bias);
	return error;
}

/* The type's address as the process's loader bound it. */
static uint64_t type_address(const struct python_space *space, const struct python *python,
			     enum python_type type)
{
	uint64_t slot = python->image->type_slots[type], address;

	if (slot && !python_space__read(space, python->bias + slot, &address, sizeof(address)) &&
	    address)
		return address;
	return python->bias + python->image->types[type];
}

static struct python_space space_of(const struct python *python)
{
	struct python_space space = { .pid = python->pid, .version = python->image->version };

	space.code_type = type_address(&space, python, PYTHON_TYPE_CODE);
	space.str_type = type_address(&space, python, PYTHON_TYPE_STR);
	space.bytes_type = type_address(&space, python, PYTHON_TYPE_BYTES);
	return space;
}

/* Takes what was read; `code`'s line table becomes ours. NULL: no memory. */
static struct named_code *keep_code(struct pythons *pythons, struct python *python,
				    const struct code_key *key, struct python_code *code)
{
	struct named_code *named = calloc(1, sizeof(*named));
	struct python *other, *next;

	if (!named)
		return NULL;
	named->key = *key;
	named->function =
		string_pool__add(pythons->strings, code->function, strlen(code->function));
	named->file = string_pool__add(pythons->strings, code->file, strlen(code->file));
	named->first_line = code->header.first_line;
	named->size = (int64_t)code->header.size;
	if (pythons->kept + sizeof(*named) + code->lines_size > CODES_KEPT_MAX)
		HASH_ITER(hh, pythons->processes, other, next)
			forget_codes(pythons, other);
	if (named->function && named->file)
		HASH_ADD(hh, python->codes, key, sizeof(named->key), named);
	if (!named->hh.tbl) {
		free(named);
		return NULL;
	}
	named->lines = code->lines;
	named->lines_size = code->lines_size;
	code->lines = NULL;
	pythons->kept += sizeof(*named) + named->lines_size;
	return named;
}

/* Whether the pid still is the process that was detected, and not a later one. */
static bool is_same_process(const struct python *python)
{
	struct process_status status;

	return !process__status(python->pid, &status) && status.start_time == python->start_time;
}

/* The code as it stands in the process, or in a copy, if it is that one still; NULL: it is not. */
static struct named_code *read_code(struct pythons *pythons, struct python *python,
				    const struct code_key *key, const struct python_copy *copy)
{
	struct python_space space = space_of(python);
	struct named_code *named = NULL;
	struct python_code code;

	space.copy = copy;
	if (python_code__read(&space, key->address, &code))
		return NULL;
	if ((code.header.identity == key->identity ||
	     code.header.other_identity == key->identity) &&
	    (copy || is_same_process(python)))
		named = keep_code(pythons, python, key, &code);
	python_code__free(&code);
	return named;
}

static struct named_code *find_code(const struct python *python, const struct code_key *key)
{
	struct named_code *named;

	HASH_FIND(hh, python->codes, key, sizeof(*key), named);
	return named;
}

void pythons__learn(struct pythons *pythons, pid_t pid, const struct python_copy *copy)
{
	struct code_key key = { copy->key.code, copy->key.identity };
	struct python *python = find_process(pythons, pid);

	if (!python || find_code(python, &key))
		return;
	if (!read_code(pythons, python, &key, copy))
		read_code(pythons, python, &key, NULL); /* longer than the copy */
}

int pythons__name(struct pythons *pythons, pid_t pid, uint64_t code, uint64_t instruction,
		  struct name *name)
{
	struct code_key key = { FRAME_ADDRESS(code), FRAME_IDENTITY(code, instruction) };
	int64_t offset = (int64_t)(instruction << SIGN_SHIFT) >> SIGN_SHIFT;
	struct python *python = find_process(pythons, pid);
	struct named_code *named;

	if (!python)
		return -ENOENT;
	named = find_code(python, &key);
	if (!named)
		named = read_code(pythons, python, &key, NULL);
	if (!named || offset >= named->size)
		return -ENOENT;
	*name = (struct name){ .function = named->function, .file = named->file };
	name->line = python_lines__find(python->image->version->lines, named->lines,
					named->lines_size, named->first_line, offset);
	return 0;
}
