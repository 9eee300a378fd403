/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwind_code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unwind_paths.h"

enum {
	STEPS_PER_BYTE = 1, /* an instruction has about four bytes; few are met more than twice */
	STEPS_MIN = 4096,
	ROUNDS = 3,         /* of a walk: one finds what the next then knows */
	SWEEPS = 16,        /* of a round, for what only tables and pointers lead to */
};

struct unwind_code {
	struct paths paths;
};

struct unwind_code *unwind_code__new(size_t size, size_t ranges)
{
	struct unwind_code *code = calloc(1, sizeof(*code));

	if (!code)
		return NULL;
	if (paths__init(&code->paths, size + ranges))
		return code;
	unwind_code__free(code);
	return NULL;
}

void unwind_code__free(struct unwind_code *code)
{
	if (!code)
		return;
	paths__release(&code->paths);
	free(code);
}

uint8_t *unwind_code__add_range(struct unwind_code *code, uint64_t address, size_t size)
{
	return space__add(&code->paths.space, address, size);
}

static int paths__add_known(struct paths *paths, uint64_t address, uint64_t size, bool entry)
{
	uint32_t position = space__position(&paths->space, address);
	const struct range *range;
	struct root *root;

	if (position == UNWIND_NOWHERE)
		return 0;
	range = space__range_at(&paths->space, position);
	if (size > range->end - position)
		size = range->end - position;
	root = array__add(&paths->roots);
	if (!root)
		return -ENOMEM;
	root->start = position;
	root->end = size ? position + (uint32_t)size : 0;
	root->entry = entry;
	return 0;
}

int unwind_code__add_function(struct unwind_code *code, uint64_t address, uint64_t size)
{
	return paths__add_known(&code->paths, address, size, false);
}

/*
 * Whether code begins as an entry does: [endbr64], and xor %ebp,%ebp, as psABI 3.4.1 wants it, or
 * mov %rsp,%rdi: it takes its arguments from the stack, where a function has a return address. So
 * does glibc's loader (RTLD_START, sysdeps/x86_64/dl-machine.h).
 */
static bool space__is_entry(struct space *space, uint64_t address)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa }, xor32[] = { 0x31, 0xed },
			     xor64[] = { 0x48, 0x31, 0xed }, stack[] = { 0x48, 0x89, 0xe7 };
	uint32_t at = space__position(space, address);
	const struct range *range;

	if (at == UNWIND_NOWHERE)
		return false;
	range = space__range_at(space, at);
	if (range->end - at < sizeof(endbr64) + sizeof(xor64))
		return false;
	if (!memcmp(space->bytes + at, endbr64, sizeof(endbr64)))
		at += sizeof(endbr64);
	return !memcmp(space->bytes + at, xor32, sizeof(xor32)) ||
	       !memcmp(space->bytes + at, xor64, sizeof(xor64)) ||
	       !memcmp(space->bytes + at, stack, sizeof(stack));
}

int unwind_code__add_entry(struct unwind_code *code, uint64_t address, bool sure)
{
	if (!sure && !space__is_entry(&code->paths.space, address))
		return 0;
	return paths__add_known(&code->paths, address, 0, true);
}

int unwind_code__add_pointer(struct unwind_code *code, uint64_t address)
{
	uint32_t position = space__position(&code->paths.space, address), *pointed;

	if (position == UNWIND_NOWHERE)
		return 0;
	pointed = array__add(&code->paths.pointed);
	if (!pointed)
		return -ENOMEM;
	*pointed = position;
	return 0;
}

void unwind_code__set_ends(struct unwind_code *code, unwind_code_ends ends, void *context)
{
	code->paths.ends = ends;
	code->paths.ends_context = context;
}

static uint32_t paths__end_of_hole(const struct paths *paths, uint32_t position, uint32_t end)
{
	while (position < end && paths->at[position] == UNSEEN)
		position++;
	return position;
}

/* The first position of a hole that is no padding, or the hole's end. */
static uint32_t paths__skip_padding(struct paths *paths, uint32_t position, uint32_t end)
{
	size_t length = 1;

	while (position < end && length && paths->at[position] == UNSEEN) {
		length = frame_decoder__padding(&paths->decoder, paths->space.bytes + position,
						end - position);
		position += (uint32_t)length;
	}
	return position;
}

/*
 * Code of the function that no path has met, among code of it: only its jumps through tables can
 * lead there, so what holds at those holds here.
 */
static int paths__enter_hole(struct paths *paths, uint32_t index, uint32_t position)
{
	const struct root *root = paths__root(paths, index);

	if (!root->table || root->tables_differ || (position > root->last && position >= root->end))
		return 0;
	return paths__guess_code(paths, position, root->table);
}

/* Notes whose code stands at a position: the function's that began last, or another's part. */
static void paths__pass(const struct paths *paths, uint32_t position, uint32_t *owner,
			uint32_t *root)
{
	if (paths->at[position] < FIRST_VISIT)
		return;
	*root = paths__visit(paths, paths->at[position])->root;
	if (paths__root(paths, *root)->start == position)
		*owner = *root;
}

/* Each byte is looked at once, however little of a hole is met from where it is entered. */
static int paths__fill_holes(struct paths *paths, const struct range *range)
{
	uint32_t position = range->start, root = UNWIND_NOWHERE, owner = UNWIND_NOWHERE;
	int err = 0;

	while (position < range->end && !err) {
		if (paths->at[position] != UNSEEN) {
			paths__pass(paths, position++, &owner, &root);
			continue;
		}
		position = paths__skip_padding(paths, position, range->end);
		if (paths->at[position] != UNSEEN)
			continue;
		if (position < range->end && root != UNWIND_NOWHERE && root == owner)
			err = paths__enter_hole(paths, root, position);
		if (paths->at[position] == UNSEEN)
			position = paths__end_of_hole(paths, position, range->end);
	}
	return err;
}

/* What is named like a function, and nothing else has met. 1 when there was any. */
static int paths__begin_all_named(struct paths *paths)
{
	int err = 0;
	bool any = false;

	for (size_t i = 0; i < paths->named.count && !err; i++) {
		const struct name name = ((const struct name *)paths->named.items)[i];

		if (paths->at[name.position] != UNSEEN)
			continue;
		any = true;
		err = paths__begin_named(paths, &name);
	}
	paths->named.count = 0;
	return err ? err : any;
}

/* The same of what data points to. */
static int paths__begin_all_pointed(struct paths *paths)
{
	int err = 0;
	bool any = false;

	for (size_t i = 0; i < paths->pointed.count && !err; i++) {
		uint32_t position = ((const uint32_t *)paths->pointed.items)[i];

		if (paths->at[position] != UNSEEN)
			continue;
		any = true;
		err = paths__guess_function(paths, position);
	}
	return err ? err : any;
}

static int paths__sweep(struct paths *paths)
{
	int err = paths__drain(paths);

	for (size_t i = 0; i < paths->space.ranges.count && !err; i++)
		err = paths__fill_holes(paths, space__range(&paths->space, i));
	return err;
}

/* Whether it is of this file, and was seen to return. */
static bool paths__callee_returns(void *context, uint64_t callee)
{
	struct paths *paths = context;
	uint32_t position = space__position(&paths->space, callee), root;

	return position != UNWIND_NOWHERE && paths__root_at(paths, position, &root) &&
	       paths__root(paths, root)->returns > PERHAPS;
}

/* For the next round. */
static int paths__learn_endings(struct paths *paths)
{
	int learnt = endings__learn(&paths->endings, paths__callee_returns, paths);

	if (learnt > 0)
		paths->again = true;
	return learnt < 0 ? learnt : 0;
}

static int paths__round(struct paths *paths)
{
	int more = 1, err = paths__restart(paths);

	for (int i = 0; i < SWEEPS && !err && more > 0; i++) {
		err = paths__sweep(paths);
		more = err ? err : paths__begin_all_named(paths);
		if (!more)
			more = paths__begin_all_pointed(paths);
		err = more < 0 ? more : 0;
	}
	return err ? err : paths__learn_endings(paths);
}

static int root__compare(const void *a, const void *b)
{
	const struct root *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end > y->end ? -1 : x->end < y->end;
}

/* Leaves one of each start, for aliases are many, and no guess. */
static void paths__settle_roots(struct paths *paths)
{
	struct root *roots = paths->roots.items;
	size_t kept = 0;

	for (size_t i = 0; i < paths->roots.count; i++)
		if (roots[i].guess == SURE)
			roots[kept++] = roots[i];
	paths->roots.count = kept;
	if (!kept)
		return;
	kept = 0;
	qsort(roots, paths->roots.count, sizeof(*roots), root__compare);
	for (size_t i = 1; i < paths->roots.count; i++)
		if (roots[i].start != roots[kept].start)
			roots[++kept] = roots[i];
		else
			roots[kept].entry |= roots[i].entry;
	paths->roots.count = kept + 1;
}

int unwind_code__walk(struct unwind_code *code)
{
	struct paths *paths = &code->paths;
	int err;

	if (!paths->roots.count && !paths->pointed.count)
		return -ENODATA;
	paths__settle_roots(paths);
	paths->steps = paths->space.used * STEPS_PER_BYTE + STEPS_MIN;
	err = paths__round(paths);
	for (int i = 1; i < ROUNDS && !err && paths->again; i++) {
		paths__settle_roots(paths);
		err = paths__round(paths);
	}
	return err ? err : guesses__settle(&paths->guesses);
}

static bool paths__has_unseen_in(struct paths *paths, const struct range *range)
{
	uint32_t position = range->start;

	while (position < range->end) {
		uint32_t end = paths__end_of_hole(paths, position, range->end);

		if (paths__skip_padding(paths, position, end) < end)
			return true;
		position = end + 1;
	}
	return false;
}

bool unwind_code__has_unseen(struct unwind_code *code)
{
	struct paths *paths = &code->paths;

	for (size_t i = 0; i < paths->space.ranges.count; i++)
		if (paths__has_unseen_in(paths, space__range(&paths->space, i)))
			return true;
	return false;
}

bool unwind_code__keeps_frame_pointers(const struct unwind_code *code)
{
	enum { FEW = 8 }; /* one in so many: start files, assembly */

	return code->paths.framed > code->paths.frameless * FEW;
}

bool unwind_code__is_padding(const uint8_t *bytes, size_t size, size_t room)
{
	struct frame_decoder decoder;
	size_t at = 0, length = 1;

	frame_decoder__init(&decoder);
	for (; at < size && length; at += length)
		length = frame_decoder__padding(&decoder, bytes + at, room - at);
	return at >= size;
}

/* Nobody is in padding; that it is there matters only where a function begins behind it. */
static int paths__emit_hole(struct paths *paths, const struct range *range, uint32_t position,
			    uint32_t end, unwind_code_emit emit, void *context)
{
	uint64_t address = range__address(range, position);
	uint32_t root;

	if (paths__skip_padding(paths, position, end) < end)
		return emit(context, address, UNWIND_CODE_UNKNOWN, NULL);
	if (end < range->end && !paths__root_at(paths, end, &root))
		return 0;
	return emit(context, address, UNWIND_CODE_PADDING, NULL);
}

static int paths__emit(struct paths *paths, uint64_t address, uint32_t position,
		       unwind_code_emit emit, void *context)
{
	const struct visit *visit = paths__visit(paths, paths->at[position]);
	struct unwind_row row;
	enum unwind_code_kind kind = UNWIND_CODE_UNKNOWN;
	bool holds = paths__holds(paths, visit);

	if (holds && frame_state__row(&visit->state, &row))
		kind = UNWIND_CODE_KNOWN;
	else if (!frame_state__has_base(&visit->state) &&
		 (holds || visit->state.rbp == FRAME_RBP_OTHER))
		kind = UNWIND_CODE_LOST;
	return emit(context, address, kind, kind == UNWIND_CODE_KNOWN ? &row : NULL);
}

int unwind_code__rows(struct unwind_code *code, size_t n, unwind_code_emit emit, void *context)
{
	struct paths *paths = &code->paths;
	const struct range *range = space__range(&paths->space, n);
	uint32_t position = range->start;
	int err = 0;

	while (position < range->end && !err) {
		uint64_t here = range__address(range, position);
		uint32_t end = position + 1;

		if (paths->at[position] == UNSEEN) {
			end = paths__end_of_hole(paths, position, range->end);
			err = paths__emit_hole(paths, range, position, end, emit, context);
		} else if (paths->at[position] >= FIRST_VISIT) {
			err = paths__emit(paths, here, position, emit, context);
		}
		position = end;
	}
	return err;
}
