/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report --leaks: what was never freed and still grows, in a series of snapshots. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "command.h"
#include "leaks.h"
#include "load.h"
#include "show.h"
#include "view_leaks.h"

static int load(const char *path, struct profile *profile)
{
	char why[PPROF_WHY];
	int error = load__profile(path, profile, why);

	if (!error && !(profile->holds & 1U << SORT_LIVE)) {
		error = -ENODATA;
		snprintf(why, sizeof(why), "holds no live bytes");
	}
	if (error)
		log__error("%s: %s", path, why);
	return error;
}

static uint64_t time_of(const struct profile *profile)
{
	return snapshot__header(profile->snapshot)->time_ns;
}

/* One file before the last. Those of a shell's pattern are in the order of their numbers. */
static int add(struct leaks *leaks, const char *path, uint64_t *before_ns, uint64_t last_ns)
{
	struct profile profile;
	int error = load(path, &profile);

	if (!error && (time_of(&profile) < *before_ns || time_of(&profile) >= last_ns)) {
		log__error("%s: the files are to be a series, in the order of time", path);
		error = -EINVAL;
	}
	if (!error) {
		*before_ns = time_of(&profile);
		error = leaks__add(leaks, profile.snapshot);
		if (error)
			log__error("%s", strerror(-error));
	}
	profile__free(&profile);
	return error;
}

static int show(const struct options *options, struct leaks *leaks, const struct profile *last)
{
	const struct view view = {
		.query = options->query,
		.depth = options->depth,
		.columns = show__columns(),
	};
	struct leak_report report;
	int error = leaks__report(leaks, &report);

	if (error)
		return error;
	error = options->json
			? view_leaks__json(stdout, &report, &view, snapshot__header(last->snapshot))
			: view_leaks__text(stdout, &report, &view);
	leak_report__free(&report);
	return error;
}

static int compare(const struct options *options, const struct profile *last)
{
	struct leaks *leaks = leaks__new(last->snapshot, &options->query);
	uint64_t before_ns = 0;
	int error = 0, status = 1;

	if (!leaks)
		return show__status(-ENOMEM);
	for (size_t i = 0; i + 1 < options->file_count && !error; i++)
		error = add(leaks, options->files[i], &before_ns, time_of(last));
	if (!error)
		status = show__status(show(options, leaks, last));
	leaks__free(leaks);
	return status;
}

int command_leaks(const struct options *options)
{
	const char *path = options->files[options->file_count - 1];
	struct profile last;
	int status = 1;

	signal(SIGPIPE, SIG_IGN);
	if (!load(path, &last)) {
		if (options->file_count > 1 || last.own)
			status = compare(options, &last);
		else
			log__error("%s: one file of another program does not say what grew", path);
	}
	profile__free(&last);
	return status;
}
