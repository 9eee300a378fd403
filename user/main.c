/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "command.h"
#include "show.h"

static int (*const commands[])(const struct options *) = {
	[VERB_TOP] = command_top,   [VERB_RECORD] = command_record, [VERB_REPORT] = command_report,
	[VERB_DIFF] = command_diff, [VERB_EXPORT] = command_export, [VERB_DOCTOR] = command_doctor,
};

/*
 * Descriptors 0 to 2 that are closed would become those of links and maps, and be written to.
 * Whether standard output is one of them.
 */
static bool fill_standard(void)
{
	bool no_output = fcntl(STDOUT_FILENO, F_GETFD) < 0;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			break;
	return no_output;
}

/* It is a question to record (loop.h), also before anything can answer it, and to nobody else. */
static void hold_question(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int run(const struct options *options, bool no_output)
{
	bool saves = options->output && !options->help && !options->version;

	if (no_output && !saves) {
		log__error("standard output is closed: nothing can be shown");
		return 1;
	}
	if (options->help)
		options__help(stdout);
	else if (options->version)
		puts("memwatch " MEMWATCH_VERSION);
	else
		return commands[options->verb](options);
	return show__status(show__flush());
}

int main(int argc, char **argv)
{
	bool no_output = fill_standard();
	struct options options;
	int status;

	hold_question();
	status = options__parse(&options, argc, argv) ? 2 : run(&options, no_output);
	options__free(&options);
	return status;
}
