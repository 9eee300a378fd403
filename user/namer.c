/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "namer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "numbering.h"
#include "perfmap.h"
#include "process.h"
#include "string_pool.h"
#include "symbol.h"

enum { MAX_INLINED = 32 };

struct named_frame { /* what one captured frame became: the inlined ones, then the real one */
	uint64_t frame;
	struct frame *frames;
	size_t count;
	UT_hash_handle hh;
};

struct named_stack {
	uint64_t id;
	struct stack stack;
	const struct frame **frames;
	bool settled; /* false: code without a name yet, worth another look */
	UT_hash_handle hh;
};

struct code { /* where code is in a process, and what its runtime calls that without a file */
	pid_t pid;
	uint32_t turn; /* in which it was read */
	struct mappings mappings;
	struct perfmap *perfmap;
	UT_hash_handle hh;
};

struct namer {
	struct objects *objects;
	struct pythons *pythons;
	struct symbols *symbols;
	struct string_pool *strings; /* names that the symbols do not own */
	struct named_frame *frames;
	struct numbering *others; /* frames that lie in no file */
	struct named_stack *stacks;
	struct code *codes;
	uint32_t turn;
};

struct namer *namer__new(struct objects *objects, struct pythons *pythons)
{
	struct namer *namer = calloc(1, sizeof(*namer));

	if (!namer)
		return NULL;
	namer->objects = objects;
	namer->pythons = pythons;
	namer->symbols = symbols__new();
	namer->strings = string_pool__new();
	namer->others = numbering__new(sizeof(struct frame));
	if (namer->symbols && namer->strings && namer->others)
		return namer;
	namer__free(namer);
	return NULL;
}

static void drop_code(struct namer *namer, struct code *code)
{
	HASH_DEL(namer->codes, code);
	mappings__free(&code->mappings);
	perfmap__free(code->perfmap);
	free(code);
}

void namer__free(struct namer *namer)
{
	struct named_frame *frame, *next_frame;
	struct named_stack *stack, *next_stack;
	struct code *code, *next_code;

	if (!namer)
		return;
	HASH_ITER(hh, namer->frames, frame, next_frame) {
		HASH_DEL(namer->frames, frame);
		free(frame->frames);
		free(frame);
	}
	HASH_ITER(hh, namer->stacks, stack, next_stack) {
		HASH_DEL(namer->stacks, stack);
		free(stack->frames);
		free(stack);
	}
	HASH_ITER(hh, namer->codes, code, next_code)
		drop_code(namer, code);
	numbering__free(namer->others);
	string_pool__free(namer->strings);
	symbols__free(namer->symbols);
	free(namer);
}

static struct frame native_frame(const struct object *object, uint64_t offset,
				 const struct name *name)
{
	return (struct frame){
		.kind = FRAME_NATIVE,
		.inlined = name && name->inlined,
		.has_offset = true,
		.offset = offset,
		.function = name ? name->function : NULL,
		.file = name ? name->file : NULL,
		.line = name ? name->line : 0,
		.module = object__name(object),
		.path = object__path(object),
		.build_id = object__build_id(object),
	};
}

/* The frames of one captured frame that lies in a file; named once. */
static struct named_frame *name_native(struct namer *namer, uint64_t word)
{
	struct object *object = objects__by_id(namer->objects, FRAME_OBJECT(word));
	uint64_t offset = FRAME_OFFSET(word);
	struct name names[MAX_INLINED];
	struct named_frame *named;
	int count = 0;

	HASH_FIND(hh, namer->frames, &word, sizeof(word), named);
	if (named || !object)
		return named;
	count = symbols__find(namer->symbols, object,
			      offset - (FRAME_TAG(word) == FRAME_TAG_RETURN), names, MAX_INLINED);
	named = calloc(1, sizeof(*named));
	if (!named)
		return NULL;
	named->frame = word;
	named->count = count > 0 ? count : 1;
	named->frames = calloc(named->count, sizeof(*named->frames));
	if (!named->frames) {
		free(named);
		return NULL;
	}
	for (size_t i = 0; i < named->count; i++)
		named->frames[i] = native_frame(object, offset, count > 0 ? &names[i] : NULL);
	HASH_ADD(hh, namer->frames, frame, sizeof(word), named);
	return named;
}

/* A process that has gone leaves what was read of it last. */
static void read_code(struct code *code)
{
	struct mappings mappings;

	if (process__mappings(code->pid, &mappings))
		return;
	mappings__free(&code->mappings);
	code->mappings = mappings;
	if (!code->perfmap)
		code->perfmap = perfmap__open(code->pid); /* the runtime may have begun it since */
	else
		perfmap__refresh(code->perfmap);
}

/* As it is in this turn: to read it for each frame would be most of the work. */
static struct code *code_of(struct namer *namer, pid_t pid)
{
	struct code *code;

	HASH_FIND(hh, namer->codes, &pid, sizeof(pid), code);
	if (code && code->turn == namer->turn)
		return code;
	if (!code) {
		code = calloc(1, sizeof(*code));
		if (!code)
			return NULL;
		code->pid = pid;
		HASH_ADD(hh, namer->codes, pid, sizeof(pid), code);
	}
	code->turn = namer->turn;
	read_code(code);
	return code;
}

void namer__new_turn(struct namer *namer)
{
	struct code *code, *next;

	HASH_ITER(hh, namer->codes, code, next)
		if (code->turn != namer->turn)
			drop_code(namer, code);
	namer->turn++;
}

/*
 * To where a handler returns: glibc's __restore_rt, a static function, in a file without .symtab.
 * The walk knew it for what it is, for its caller is the instruction that was interrupted. In gdb's
 * words.
 */
static void name_signal(struct named_frame *named)
{
	if (named && !named->frames[0].function)
		named->frames[0].function = "<signal handler called>";
}

static int make_room(struct named_stack *stack, size_t *capacity, size_t count)
{
	size_t wanted = (stack->stack.depth + count) * 2;
	const struct frame **grown;

	if (stack->stack.depth + count <= *capacity)
		return 0;
	grown = realloc(stack->frames, wanted * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	stack->frames = grown;
	*capacity = wanted;
	return 0;
}

static int append_native(struct named_stack *stack, size_t *capacity,
			 const struct named_frame *named)
{
	if (!named || make_room(stack, capacity, named->count))
		return -ENOMEM;
	for (size_t i = 0; i < named->count; i++)
		stack->frames[stack->stack.depth++] = &named->frames[i];
	return 0;
}

static int append_other(struct namer *namer, struct named_stack *stack, size_t *capacity,
			const struct frame *frame)
{
	int64_t number = numbering__add(namer->others, frame);

	if (number < 0 || make_room(stack, capacity, 1))
		return -ENOMEM;
	stack->frames[stack->stack.depth++] = numbering__key(namer->others, (size_t)number);
	return 0;
}

/* Code without a file: the runtime that made it may have written its name down. */
static struct frame jit_frame(struct namer *namer, const struct code *code, uint64_t address,
			      bool *settled)
{
	struct frame frame = { .kind = FRAME_JIT, .has_offset = true, .offset = address };
	const char *name = code->perfmap ? perfmap__find(code->perfmap, address - 1) : NULL;

	if (name)
		frame.function = string_pool__add(namer->strings, name, strlen(name));
	else
		*settled = false;
	return frame;
}

/*
 * An address that the kernel side could not normalise: code without a file, or a process so young
 * that its mappings were not known yet. The latter is looked up now, if it still lives.
 */
static int append_address(struct namer *namer, struct named_stack *stack, size_t *capacity,
			  uint64_t address, pid_t pid)
{
	struct frame frame = { .kind = FRAME_UNKNOWN, .has_offset = true, .offset = address };
	const struct code *code = code_of(namer, pid);
	const struct mapping *mapping = NULL;
	struct object *object = NULL;
	uint64_t word;

	if (code)
		mapping = mappings__find(&code->mappings, address - 1);
	if (mapping)
		object = objects__of_mapping(namer->objects, pid, mapping);
	if (object) {
		word = (uint64_t)FRAME_TAG_RETURN << 60 | (uint64_t)object__id(object) << 40 |
		       FRAME_OFFSET(address - mapping->start + mapping->offset);
		return append_native(stack, capacity, name_native(namer, word));
	}
	if (mapping && mapping->prot & MAPPING_EXEC)
		frame = jit_frame(namer, code, address, &stack->settled);
	return append_other(namer, stack, capacity, &frame);
}

/*
 * CPython 3.12 and later lay a frame of their own between a class's caller and its __init__
 * (_Py_InitCleanup of Python/specialize.c), whose code says that it is in a file of that name.
 */
static bool is_interpreters_own(const struct name *name)
{
	return !strcmp(name->file, "__init__");
}

/* A frame of CPython, captured as two words. What is gone before it was named has no name. */
static int append_python(struct namer *namer, struct named_stack *stack, size_t *capacity,
			 uint64_t code, uint64_t instruction, pid_t pid)
{
	struct frame frame = { .kind = FRAME_PYTHON };
	struct name name;

	if (!pythons__name(namer->pythons, pid, code, instruction, &name)) {
		if (is_interpreters_own(&name))
			return 0;
		frame.function = name.function;
		frame.file = name.file;
		frame.line = name.line;
	}
	return append_other(namer, stack, capacity, &frame);
}

static int fill(struct namer *namer, struct named_stack *stack, const struct stack_record *record,
		pid_t pid)
{
	static const enum stack_end ends[] = {
		[STACK_STATE_COMPLETE] = STACK_COMPLETE,
		[STACK_STATE_TRUNCATED] = STACK_TRUNCATED,
		[STACK_STATE_BROKEN] = STACK_BROKEN,
	};
	size_t capacity = 0;
	int error = 0;

	stack->settled = true;
	stack->stack.depth = 0;
	stack->stack.end = record->state <= STACK_STATE_BROKEN ? ends[record->state] : STACK_BROKEN;
	for (uint32_t i = 0; i < record->count && i < MEMWATCH_MAX_WORDS && !error; i++) {
		uint64_t word = record->frames[i];

		if (FRAME_TAG(word) == FRAME_TAG_ADDRESS) {
			error = append_address(namer, stack, &capacity, FRAME_ADDRESS(word), pid);
		} else if (FRAME_TAG(word) == FRAME_TAG_CODE) {
			uint64_t next = i + 1 < record->count ? record->frames[++i] : 0;

			error = append_python(namer, stack, &capacity, word, next, pid);
		} else {
			struct named_frame *named = name_native(namer, word);

			if (i + 1 < record->count &&
			    FRAME_TAG(record->frames[i + 1]) == FRAME_TAG_EXACT)
				name_signal(named);
			error = append_native(stack, &capacity, named);
		}
	}
	stack->stack.frames = stack->frames;
	return error;
}

static struct named_stack *find(struct namer *namer, uint64_t id)
{
	struct named_stack *stack;

	HASH_FIND(hh, namer->stacks, &id, sizeof(id), stack);
	return stack;
}

const struct stack *namer__known(struct namer *namer, uint64_t id)
{
	struct named_stack *stack = find(namer, id);

	return stack && stack->settled ? &stack->stack : NULL;
}

const struct stack *namer__stack(struct namer *namer, uint64_t id,
				 const struct stack_record *record, pid_t pid)
{
	struct named_stack *stack = find(namer, id);

	if (stack && stack->settled)
		return &stack->stack;
	if (!stack) {
		stack = calloc(1, sizeof(*stack));
		if (!stack)
			return NULL;
		stack->id = stack->stack.id = id;
		HASH_ADD(hh, namer->stacks, id, sizeof(id), stack);
	}
	free(stack->frames);
	stack->frames = NULL;
	return fill(namer, stack, record, pid) ? NULL : &stack->stack;
}
