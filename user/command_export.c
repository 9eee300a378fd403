/* SPDX-License-Identifier: GPL-2.0-or-later */
/* export: a snapshot in the format of another program. */
#include <errno.h>
#include <limits.h>
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

/* What was read; base: what it is compared with, if that is wanted. */
struct exporting {
	const struct options *options;
	struct profile profile, base;
};

static const char *name_of(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

static int export_flamegraph(FILE *out, const struct exporting *exporting)
{
	const struct options *o = exporting->options;
	const struct export_flamegraph of = {
		.snapshot = exporting->profile.snapshot,
		.base = exporting->base.snapshot,
		.name = name_of(o->files[0]),
		.base_name = name_of(o->base),
		.holds = exporting->profile.holds & (o->base ? exporting->base.holds : UINT_MAX),
	};

	return export__flamegraph(out, &of, &o->query);
}

static int export_format(FILE *out, const struct exporting *exporting)
{
	const struct options *o = exporting->options;

	if (o->format == EXPORT_FLAMEGRAPH)
		return export_flamegraph(out, exporting);
	return formats[o->format](out, exporting->profile.snapshot, &o->query);
}

static int export_to_file(const struct exporting *exporting)
{
	const struct options *options = exporting->options;
	char *data = NULL;
	size_t size;
	FILE *out = open_memstream(&data, &size);
	int error = out ? export_format(out, exporting) : -ENOMEM;

	if (out && fclose(out))
		error = error ? error : -ENOMEM;
	error = error ? error : save__write(options->output, data, size);
	if (error)
		log__error("%s: %s", options->output, strerror(-error));
	free(data);
	return error ? 1 : 0;
}

/* A format that shows one kind of value first needs a file that holds it. */
static bool has_values(const struct exporting *exporting)
{
	const struct options *o = exporting->options;
	const struct profile *profiles[] = { &exporting->profile, &exporting->base };
	const char *const paths[] = { o->files[0], o->base };

	if (o->format != EXPORT_FOLDED && o->format != EXPORT_FLAMEGRAPH)
		return true;
	for (int i = 0; i < 2 && paths[i]; i++) {
		if (profiles[i]->holds & 1U << o->query.sort && o->query.sort != SORT_GROWTH)
			continue;
		log__error("%s: holds no such values; see --sort", paths[i]);
		return false;
	}
	return true;
}

static int export(const struct exporting *exporting)
{
	const struct options *o = exporting->options;

	if (o->format == EXPORT_FLAMEGRAPH && !export__has_flamegraph()) {
		log__error("%s", export__no_flamegraph);
		return 1;
	}
	if (!has_values(exporting))
		return 1;
	if (o->output)
		return export_to_file(exporting);
	return show__status(export_format(stdout, exporting));
}

static int load(const char *path, struct profile *profile)
{
	char why[PPROF_WHY];
	int error = load__profile(path, profile, why);

	if (error)
		log__error("%s: %s", path, why);
	return error;
}

int command_export(const struct options *options)
{
	struct exporting exporting = { .options = options };
	int status = 1;

	signal(SIGPIPE, SIG_IGN);
	if (!load(options->files[0], &exporting.profile) &&
	    (!options->base || !load(options->base, &exporting.base)))
		status = export(&exporting);
	profile__free(&exporting.profile);
	profile__free(&exporting.base);
	return status;
}
