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
	FOUND = 8,
};

struct filter {
	const struct snapshot *snapshot;
	const struct query *query;
	bool names_matter;
	unsigned char *names; /* enum verdict by string id: as a function or a module */
	unsigned char *files; /* as a file: also by its last part */
	unsigned char *stacks;
};

static bool has_globs(const char *const *globs)
{
	return globs && globs[0];
}

struct filter *filter__new(const struct snapshot *snapshot, const struct query *query)
{
	struct filter *filter = calloc(1, sizeof(*filter));

	if (!filter)
		return NULL;
	filter->snapshot = snapshot;
	filter->query = query;
	filter->names_matter = has_globs(query->include) || has_globs(query->exclude) ||
			       query->find;
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

static bool matches(const char *glob, const char *text, bool file, int flags)
{
	const char *slash = file ? strrchr(text, '/') : NULL;

	return !fnmatch(glob, text, flags) || (slash && !fnmatch(glob, slash + 1, flags));
}

static bool any_matches(const char *const *globs, const char *text, bool file)
{
	for (; globs && *globs; globs++) {
		if (matches(*globs, text, file, 0))
			return true;
	}
	return false;
}

static unsigned int judge_string(struct filter *filter, const char *text, bool file)
{
	const struct query *query = filter->query;
	unsigned char *verdict;

	if (!text)
		return 0;
	verdict = &(file ? filter->files : filter->names)[snapshot__string_id(text)];
	if (*verdict)
		return *verdict;
	*verdict = KNOWN | (any_matches(query->include, text, file) ? INCLUDED : 0) |
		   (any_matches(query->exclude, text, file) ? EXCLUDED : 0) |
		   (query->find && matches(query->find, text, file, FNM_CASEFOLD) ? FOUND : 0);
	return *verdict;
}

static unsigned int judge_stack(struct filter *filter, const struct stack *stack)
{
	unsigned int verdict = KNOWN | (has_globs(filter->query->include) ? 0 : INCLUDED) |
			       (filter->query->find ? 0 : FOUND);

	for (uint32_t i = 0; i < stack->depth; i++) {
		const struct frame *frame = stack->frames[i];

		verdict |= judge_string(filter, frame->function, false) |
			   judge_string(filter, frame->module, false) |
			   judge_string(filter, frame->file, true);
	}
	return verdict;
}

static bool keeps_stack(struct filter *filter, uint32_t stack)
{
	const unsigned int wanted = INCLUDED | FOUND;
	unsigned char *verdict = &filter->stacks[stack];

	if (!filter->names_matter)
		return true;
	if (!*verdict)
		*verdict = judge_stack(filter, snapshot__stack(filter->snapshot, stack));
	return (*verdict & wanted) == wanted && !(*verdict & EXCLUDED);
}

static bool keeps_process(const struct filter *filter, uint32_t index)
{
	const struct query *query = filter->query;
	const struct process *process = snapshot__process(filter->snapshot, index);

	return !query->pid || (process->pid == query->pid && process->start == query->start);
}

bool filter__keeps(struct filter *filter, const struct site *site)
{
	const struct query *query = filter->query;

	if (site->family == FAMILY_MMAP ? !query->mmap : !query->heap)
		return false;
	return keeps_process(filter, site->process) && keeps_stack(filter, site->stack);
}
