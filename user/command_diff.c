/* SPDX-License-Identifier: GPL-2.0-or-later */
/* diff: what grew and what shrank between two snapshots. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "command.h"
#include "load.h"
#include "show.h"
#include "units.h"
#include "view_diff.h"

enum { STATUS_GREW = 3 };

struct loading {
	const char *path;
	struct profile profile;
	char why[PPROF_WHY];
	int error;
};

static void *load(void *context)
{
	struct loading *loading = context;

	loading->error = load__profile(loading->path, &loading->profile, loading->why);
	return NULL;
}

/* Both at once, if there is a second processor to do it. */
static int load_both(struct loading loading[2])
{
	pthread_t thread;
	bool threaded = !pthread_create(&thread, NULL, load, &loading[0]);

	load(&loading[1]);
	if (threaded)
		pthread_join(thread, NULL);
	else
		load(&loading[0]);
	for (int i = 0; i < 2; i++) {
		if (!loading[i].error)
			continue;
		log__error("%s: %s", loading[i].path, loading[i].why);
		return loading[i].error;
	}
	return 0;
}

static int check(const struct loading loading[2], const struct options *options)
{
	for (int i = 0; i < 2; i++) {
		if (loading[i].profile.holds & 1U << options->query.sort)
			continue;
		log__error("%s: does not hold what --sort compares", loading[i].path);
		return -ENODATA;
	}
	return 0;
}

static int show(const struct options *options, const struct difference *difference,
		const struct loading loading[2])
{
	const struct view view = {
		.query = options->query,
		.depth = options->depth,
		.columns = show__columns(),
	};

	if (options->json)
		return view_diff__json(stdout, difference, &view,
				       snapshot__header(loading[0].profile.snapshot),
				       snapshot__header(loading[1].profile.snapshot));
	return view_diff__text(stdout, difference, &view);
}

static int judge(const struct options *options, const struct difference *difference)
{
	double growth = difference__change(difference->old.live_bytes, difference->now.live_bytes);
	double limit = (double)options->fail_on_growth;
	char grew[UNITS_TEXT], more[UNITS_TEXT], most[UNITS_TEXT];

	if (options->fail_on_growth == UINT64_MAX || growth <= limit)
		return 0;
	log__error("live bytes grew by %s: %s more than the %s allowed",
		   units__size(grew, growth, false), units__size(more, growth - limit, false),
		   units__size(most, limit, false));
	return STATUS_GREW;
}

static int compare(const struct options *options, const struct loading loading[2])
{
	struct difference difference;
	int error = difference__make(&difference, loading[0].profile.snapshot,
				     loading[1].profile.snapshot, &options->query, options->grew);
	int status;

	if (error)
		return show__status(error);
	status = show__status(show(options, &difference, loading));
	if (!status)
		status = judge(options, &difference);
	difference__free(&difference);
	return status;
}

int command_diff(const struct options *options)
{
	struct loading loading[2] = { { .path = options->files[0] },
				      { .path = options->files[1] } };
	int status = 1;

	signal(SIGPIPE, SIG_IGN);
	if (!load_both(loading) && !check(loading, options))
		status = compare(options, loading);
	profile__free(&loading[0].profile);
	profile__free(&loading[1].profile);
	return status;
}
