/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <unistd.h>

#include "command.h"

static int (*const commands[])(const struct options *) = {
	[VERB_TOP] = command_top,   [VERB_RECORD] = command_record, [VERB_REPORT] = command_report,
	[VERB_DIFF] = command_diff, [VERB_EXPORT] = command_export, [VERB_DOCTOR] = command_doctor,
};

static int run(const struct options *options)
{
	if (options->help) {
		options__help(stdout);
		return 0;
	}
	if (options->version) {
		puts("memwatch " MEMWATCH_VERSION);
		return 0;
	}
	return commands[options->verb](options);
}

int main(int argc, char **argv)
{
	struct options options;
	int status = options__parse(&options, argc, argv) ? 2 : run(&options);

	options__free(&options);
	return status;
}
