/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_LOOP_H
#define MEMWATCH_LOOP_H
/* What is observed, and the one event loop: for every verb that observes. It says itself what
 * fails. */
#include "collect.h"
#include "options.h"
#include "snapshot.h"
#include "watch.h"

struct loop;

/* The probes are live, and it was said so. NULL: said why not. */
struct loop *loop__new(const struct options *options);
void loop__free(struct loop *loop);

struct watch *loop__watch(const struct loop *loop);
struct collector *loop__collector(const struct loop *loop);

enum loop_event {
	LOOP_DUE = 1, /* an interval is over */
	LOOP_EVERY = 2, /* options->every_ns are */
	LOOP_ASKED =
		4, /* SIGUSR1, where there is a file to write; otherwise that signal is not ours */
	LOOP_LAST =
		8, /* a signal to end, options->for_ns are over, or the processes named are gone */
	LOOP_INPUT = 16, /* a descriptor of loop__listen */
};
/* Serves what observing needs until something of this happens: bits, or -errno. */
int loop__wait(struct loop *loop);
int loop__listen(struct loop *loop, int fd); /* 0 or -errno */
/* The next LOOP_DUE is `ns` from now, and so on. */
void loop__set_interval(struct loop *loop, uint64_t ns);

/* The state now, with rates since the one before. It is the loop's, up to the next. NULL: said why.
 */
struct snapshot *loop__snapshot(struct loop *loop);

#endif
