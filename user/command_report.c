/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report: a snapshot from a file, shown as the live one would have been. */
#include <errno.h>
#include <signal.h>

#include "command.h"
#include "load.h"
#include "show.h"

/* Ranking by what the file does not hold would show nothing but the file's order. */
static int check(const struct profile *profile, const struct options *options)
{
	static const char *const what[] = {
		[SORT_LIVE] = "live bytes",
		[SORT_COUNT] = "numbers of live blocks",
		[SORT_ALLOC] = "bytes ever allocated",
		[SORT_ALLOCS] = "numbers of allocations",
		[SORT_PEAK] = "peaks",
		[SORT_GROWTH] = "growth",
	};
	enum sort_key sort = options->query.sort;

	if (profile->holds & 1U << sort)
		return 0;
	log__error("%s: holds no %s; see --sort", options->files[0], what[sort]);
	return -ENODATA;
}

int command_report(const struct options *options)
{
	char why[PPROF_WHY];
	struct profile profile;
	int status = 1;

	if (options->leaks)
		return command_leaks(options);
	signal(SIGPIPE, SIG_IGN);
	if (load__profile(options->files[0], &profile, why))
		log__error("%s: %s", options->files[0], why);
	else if (!check(&profile, options))
		status = show__status(show__snapshot(options, profile.snapshot));
	profile__free(&profile);
	return status;
}
