/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <unistd.h>

#include "command.h"

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
	if (options->verb == VERB_DOCTOR)
		return command_doctor(options);
	return command_top(options);
}

int main(int argc, char **argv)
{
	struct options options;
	int status = options__parse(&options, argc, argv) ? 2 : run(&options);

	options__free(&options);
	return status;
}
