/* SPDX-License-Identifier: GPL-2.0-or-later */
/* export: a snapshot in the format of another program. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "export.h"
#include "load.h"
#include "save.h"
#include "show.h"
#include "view.h"

static int export_json(FILE *out, const struct snapshot *snapshot, const struct query *query)
{
	struct view view = { .query = *query };

	view.query.top = 0;
	return view_json__show(out, snapshot, &view);
}

static int (*const formats[])(FILE *, const struct snapshot *, const struct query *) = {
	[EXPORT_FOLDED] = export__folded,
	[EXPORT_SPEEDSCOPE] = export__speedscope,
	[EXPORT_JSON] = export_json,
	[EXPORT_CSV] = export__csv,
};

static int export_to_file(const struct options *options, const struct snapshot *snapshot)
{
	char *data = NULL;
	size_t size;
	FILE *out = open_memstream(&data, &size);
	int error = out ? formats[options->format](out, snapshot, &options->query) : -ENOMEM;

	if (out && fclose(out))
		error = error ? error : -ENOMEM;
	error = error ? error : save__write(options->output, data, size);
	if (error)
		log__error("%s: %s", options->output, strerror(-error));
	free(data);
	return error ? 1 : 0;
}

static int export(const struct options *options, const struct profile *profile)
{
	const struct query *query = &options->query;

	if (options->format == EXPORT_FOLDED &&
	    (!(profile->holds & 1U << query->sort) || query->sort == SORT_GROWTH)) {
		log__error("%s: holds no such values; see --sort", options->files[0]);
		return 1;
	}
	if (options->output)
		return export_to_file(options, profile->snapshot);
	return show__status(formats[options->format](stdout, profile->snapshot, query));
}

int command_export(const struct options *options)
{
	char why[PPROF_WHY];
	struct profile profile;
	int status = 1;

	signal(SIGPIPE, SIG_IGN);
	if (load__profile(options->files[0], &profile, why))
		log__error("%s: %s", options->files[0], why);
	else
		status = export(options, &profile);
	profile__free(&profile);
	return status;
}
