/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "show.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "view.h"

int show__columns(void)
{
	struct winsize size;

	if (isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return size.ws_col;
	return 0;
}

int show__snapshot(const struct options *options, const struct snapshot *snapshot)
{
	const struct view view = {
		.query = options->query,
		.depth = options->depth,
		.columns = show__columns(),
	};

	if (options->json)
		return view_json__show(stdout, snapshot, &view);
	return view_text__show(stdout, snapshot, &view);
}

int show__flush(void)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	return errno ? -errno : -EIO;
}

int show__status(int error)
{
	if (!error || error == -EPIPE)
		return 0;
	log__error("%s%s", ferror(stdout) ? "standard output: " : "", strerror(-error));
	return 1;
}
