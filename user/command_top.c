/* SPDX-License-Identifier: GPL-2.0-or-later */
/* top: ranked snapshots, one an interval, until the count, the target's end or a signal. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "collect.h"
#include "command.h"
#include "view.h"
#include "watch.h"

enum { TICK_NS = 250 * 1000 * 1000 };

struct top {
	const struct options *options;
	struct watch *watch;
	struct collector *collector;
	struct snapshot *last; /* for rates */
	struct view view;
	uint64_t shown;
	int epoll, signals, interval, tick;
};

static int columns(void)
{
	struct winsize size;

	if (isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return size.ws_col;
	return 0;
}

/* One snapshot. 0, or -errno of the output. */
static int show(struct top *top)
{
	struct snapshot *snapshot = collector__snapshot(top->collector);
	int error;

	if (!snapshot) {
		error = -errno;
		log__error("a snapshot could not be made: %s", strerror(errno));
		return error;
	}
	snapshot__grow_since(snapshot, top->last);
	snapshot__free(top->last);
	top->last = snapshot;
	top->shown++;
	top->view.columns = columns();
	if (top->options->json)
		error = view_json__show(stdout, snapshot, &top->view);
	else
		error = view_text__show(stdout, snapshot, &top->view);
	watch__sweep(top->watch);
	return error;
}

static int timer(uint64_t ns)
{
	struct itimerspec spec = {
		.it_value = { ns / 1000000000, ns % 1000000000 },
		.it_interval = { ns / 1000000000, ns % 1000000000 },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		timerfd_settime(fd, 0, &spec, NULL);
	return fd;
}

static int listen_to(struct top *top, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (fd < 0 || epoll_ctl(top->epoll, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	return 0;
}

static void drain(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) > 0)
		;
}

/* Signals are read from a descriptor, so that nothing is ever interrupted. SIGPIPE is an error of a write. */
static int open_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	sigprocmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_all(struct top *top)
{
	sigset_t set;
	int error;

	top->epoll = epoll_create1(EPOLL_CLOEXEC);
	top->signals = open_signals(&set);
	top->interval = timer(top->options->interval_ns);
	top->tick = timer(TICK_NS);
	error = listen_to(top, top->signals);
	error = error ?: listen_to(top, top->interval);
	error = error ?: listen_to(top, top->tick);
	return error ?: listen_to(top, watch__fd(top->watch));
}

/* Returns 1 when it is over, 0 to go on, or -errno. */
static int wait_and_serve(struct top *top)
{
	struct epoll_event events[4];
	int count = epoll_wait(top->epoll, events, 4, -1);
	bool last = false, due = false;
	int error;

	for (int i = 0; i < count; i++) {
		int fd = events[i].data.fd;

		last |= fd == top->signals;
		due |= fd == top->interval;
		if (fd == top->interval || fd == top->tick)
			drain(fd);
		if (fd == top->tick)
			watch__tick(top->watch);
	}
	watch__handle(top->watch);
	last |= watch__is_over(top->watch);
	if (!last && !due)
		return 0;
	error = show(top);
	return error ?: last || top->shown == top->options->count;
}

static void say_observing(const struct top *top)
{
	const struct options *o = top->options;
	const struct watched *first = watch__first(top->watch);

	if (o->pid_count == 1 && first)
		log__info(&o->log, "observing %s[%d]", first->comm, first->pid);
	else if (o->pid_count)
		log__info(&o->log, "observing %zu processes", o->pid_count);
	else if (o->name)
		log__info(&o->log, "observing processes named %s", o->name);
	else
		log__info(&o->log, "observing every process");
}

static struct watch *start_watch(const struct options *o)
{
	const struct watch_options options = {
		.pids = o->pids, .pid_count = o->pid_count, .name = o->name,
		.mmap = o->query.mmap, .rung = o->rung,
		.probe = {
			.min_size = o->min_size, .max_size = o->max_size,
			.max_blocks = o->max_blocks, .max_stacks = o->max_stacks,
		},
	};

	return watch__new(&options, &o->log);
}

int command_top(const struct options *options)
{
	struct top top = { .options = options, .epoll = -1, .signals = -1, .interval = -1, .tick = -1 };
	int result = -ENOMEM;

	top.view = (struct view){ .query = options->query, .depth = options->depth };
	top.watch = start_watch(options);
	if (!top.watch)
		return 1;
	top.collector = collector__new(top.watch, options->older_ns);
	if (top.collector) {
		collector__expect(top.collector, &options->query);
		result = open_all(&top);
	}
	if (!result)
		say_observing(&top);
	while (!result)
		result = wait_and_serve(&top);
	if (result < 0 && result != -EPIPE)
		log__error("%s", strerror(-result));
	snapshot__free(top.last);
	collector__free(top.collector);
	watch__free(top.watch);
	close(top.epoll);
	close(top.signals);
	close(top.interval);
	close(top.tick);
	return result < 0 && result != -EPIPE;
}
