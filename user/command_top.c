/* SPDX-License-Identifier: GPL-2.0-or-later */
/* top: ranked snapshots, one an interval, until the count, the target's end or a signal. */
#include <errno.h>

#include "command.h"
#include "loop.h"
#include "show.h"
#include "terminal.h"

/* One snapshot. 0, or -errno. */
static int show(struct loop *loop, const struct options *options)
{
	struct snapshot *snapshot = loop__snapshot(loop);
	int error;

	if (!snapshot)
		return -ENOMEM;
	error = collector__name_shown(loop__collector(loop), snapshot, &options->query);
	error = error ? error : show__snapshot(options, snapshot);
	watch__sweep(loop__watch(loop));
	return error;
}

int command_top(const struct options *options)
{
	struct loop *loop;
	uint64_t shown = 0;
	int events = 0, error = 0;

	if (!options->json && !options->plain && terminal__usable())
		return command_live(options);
	loop = loop__new(options);
	if (!loop)
		return 1;
	collector__name_later(loop__collector(loop));
	while (!error && !(events & LOOP_LAST) && (!options->count || shown < options->count)) {
		events = loop__wait(loop);
		error = events < 0 ? events : 0;
		if (error || !(events & (LOOP_DUE | LOOP_LAST)))
			continue;
		error = show(loop, options);
		shown++;
	}
	loop__free(loop);
	return show__status(error);
}
