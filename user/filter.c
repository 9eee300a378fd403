/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filter.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/*
 * The same few strings stand in many thousand frames, and a glob costs a hundred times what a frame
 * may: so what was found out is kept for every string, and for every stack.
 */
enum verdict {
	KNOWN = 1,
	INCLUDED = 2,
	EXCLUDED = 4,
};

struct filter {
	const struct snapshot *snapshot;
	const char *const *include;
	const char *const *exclude;
	unsigned char *names; /* enum verdict by string id: as a function or a module */
	unsigned char *files; /* as a file: also by its last part */
	unsigned char *stacks;
};

struct filter *filter__new(const struct snapshot *snapshot, const char *const *include,
			   const char *const *exclude)
{
	struct filter *filter = calloc(1, sizeof(*filter));

	if (!filter)
		return NULL;
	filter->snapshot = snapshot;
	filter->include = include && include[0] ? include : NULL;
	filter->exclude = exclude && exclude[0] ? exclude : NULL;
	filter->names = calloc(snapshot__string_count(snapshot) + 1, 1);
	filter->files = calloc(snapshot__string_count(snapshot) + 1, 1);
	filter->stacks = calloc(snapshot__stack_count(snapshot) + 1, 1);
	if (!filter->names || !filter->files || !filter->stacks) {
		filter__free(filter);
		return NULL;
	}
	return filter;
}

void filter__free(struct filter *filter)
{
	if (!filter)
		return;
	free(filter->names);
	free(filter->files);
	free(filter->stacks);
	free(filter);
}

static bool matches(const char *const *globs, const char *text, bool file)
{
	const char *slash = file ? strrchr(text, '/') : NULL;

	for (; globs && *globs; globs++) {
		if (!fnmatch(*globs, text, 0) || (slash && !fnmatch(*globs, slash + 1, 0)))
			return true;
	}
	return false;
}

static unsigned int judge_string(struct filter *filter, const char *text, bool file)
{
	unsigned char *verdict;

	if (!text)
		return 0;
	verdict = &(file ? filter->files : filter->names)[snapshot__string_id(text)];
	if (!*verdict)
		*verdict = KNOWN | (matches(filter->include, text, file) ? INCLUDED : 0) |
			   (matches(filter->exclude, text, file) ? EXCLUDED : 0);
	return *verdict;
}

static unsigned int judge_stack(struct filter *filter, const struct stack *stack)
{
	unsigned int verdict = KNOWN | (filter->include ? 0 : INCLUDED);

	for (uint32_t i = 0; i < stack->depth; i++) {
		const struct frame *frame = &stack->frames[i];

		verdict |= judge_string(filter, frame->function, false) |
			   judge_string(filter, frame->module, false) |
			   judge_string(filter, frame->file, true);
	}
	return verdict;
}

bool filter__keeps(struct filter *filter, uint32_t stack)
{
	unsigned char *verdict = &filter->stacks[stack];

	if (!filter->include && !filter->exclude)
		return true;
	if (!*verdict)
		*verdict = judge_stack(filter, snapshot__stack(filter->snapshot, stack));
	return (*verdict & INCLUDED) && !(*verdict & EXCLUDED);
}
