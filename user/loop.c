/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { TICK_NS = 250 * 1000 * 1000, EVENTS = 8 };

struct loop {
	const struct options *options;
	struct watch *watch;
	struct collector *collector;
	struct snapshot *last; /* for rates */
	int epoll, signals, interval, tick, end, every;
};

struct watch *loop__watch(const struct loop *loop)
{
	return loop->watch;
}

struct collector *loop__collector(const struct loop *loop)
{
	return loop->collector;
}

int loop__listen(struct loop *loop, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return fd < 0 || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int set_timer(int fd, uint64_t ns)
{
	struct itimerspec spec = {
		.it_value = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) },
		.it_interval = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) },
	};

	return timerfd_settime(fd, 0, &spec, NULL);
}

void loop__set_interval(struct loop *loop, uint64_t ns)
{
	set_timer(loop->interval, ns);
}

/* A descriptor that is readable every `ns`, and is listened to; none where that is 0. */
static int add_timer(struct loop *loop, uint64_t ns, int *fd)
{
	if (!ns)
		return 0;
	*fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (*fd < 0 || set_timer(*fd, ns))
		return -errno;
	return loop__listen(loop, *fd);
}

/* Signals are read, so that nothing is ever interrupted. SIGPIPE is an error of a write. */
static int open_signals(const struct options *options)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (options->output)
		sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_events(struct loop *loop)
{
	const struct options *o = loop->options;
	int error;

	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0)
		return -errno;
	loop->signals = open_signals(o);
	error = loop__listen(loop, loop->signals);
	error = error ? error : add_timer(loop, o->interval_ns, &loop->interval);
	error = error ? error : add_timer(loop, o->for_ns, &loop->end);
	error = error ? error : add_timer(loop, o->every_ns, &loop->every);
	error = error ? error : add_timer(loop, TICK_NS, &loop->tick);
	return error ? error : loop__listen(loop, watch__fd(loop->watch));
}

static struct watch *start_watch(const struct options *o)
{
	const struct watch_options options = {
		.pids = o->pids, .pid_count = o->pid_count, .name = o->name,
		.mmap = o->query.mmap, .rung = o->rung,
		.probe = {
			.min_size = o->min_size, .max_size = o->max_size,
			.max_blocks = o->max_blocks, .max_stacks = o->max_stacks,
			.max_frames = o->max_frames,
		},
	};

	return watch__new(&options, &o->log);
}

static void say_observing(const struct loop *loop)
{
	const struct options *o = loop->options;
	const struct watched *first = watch__first(loop->watch);

	if (o->pid_count == 1 && first)
		log__info(&o->log, "observing %s[%d]", first->comm, first->pid);
	else if (o->pid_count)
		log__info(&o->log, "observing %zu processes", o->pid_count);
	else if (o->name)
		log__info(&o->log, "observing processes named %s", o->name);
	else
		log__info(&o->log, "observing every process");
}

static int start(struct loop *loop)
{
	int error = -ENOMEM;

	loop->watch = start_watch(loop->options);
	if (!loop->watch)
		return -EINVAL; /* it said why */
	loop->collector = collector__new(loop->watch, loop->options->older_ns);
	if (loop->collector)
		error = open_events(loop);
	if (error)
		log__error("%s", strerror(-error));
	return error;
}

struct loop *loop__new(const struct options *options)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->options = options;
	loop->epoll = loop->signals = loop->interval = loop->tick = loop->end = loop->every = -1;
	if (start(loop)) {
		loop__free(loop);
		return NULL;
	}
	say_observing(loop);
	return loop;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void say_walks(const struct loop *loop)
{
	struct loss_record record = probe__losses(watch__probe(loop->watch));

	log__detail(&loop->options->log, "%llu stacks were walked, memos knew the others",
		    (unsigned long long)record.walks);
}

void loop__free(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->watch)
		say_walks(loop);
	snapshot__free(loop->last);
	collector__free(loop->collector);
	watch__free(loop->watch);
	close_if_open(loop->epoll);
	close_if_open(loop->signals);
	close_if_open(loop->interval);
	close_if_open(loop->tick);
	close_if_open(loop->end);
	close_if_open(loop->every);
	free(loop);
}

static int read_signals(const struct loop *loop)
{
	struct signalfd_siginfo info;
	int events = 0;

	while (read(loop->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		events |= info.ssi_signo == SIGUSR1 ? LOOP_ASKED : LOOP_LAST;
	return events;
}

/* What the descriptor, which is readable, says. */
static int serve(struct loop *loop, int fd)
{
	uint64_t count;

	if (fd == loop->signals)
		return read_signals(loop);
	if (fd == watch__fd(loop->watch))
		return 0;
	if (fd != loop->interval && fd != loop->tick && fd != loop->end && fd != loop->every)
		return LOOP_INPUT;
	if (read(fd, &count, sizeof(count)) < 0)
		return 0;
	if (fd == loop->tick)
		watch__tick(loop->watch);
	return fd == loop->tick       ? 0
	       : fd == loop->interval ? LOOP_DUE
	       : fd == loop->every    ? LOOP_EVERY
				      : LOOP_LAST;
}

int loop__wait(struct loop *loop)
{
	int happened = 0;

	while (!happened) {
		struct epoll_event events[EVENTS];
		int count = epoll_wait(loop->epoll, events, EVENTS, -1);

		if (count < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < count; i++)
			happened |= serve(loop, events[i].data.fd);
		watch__handle(loop->watch);
		if (watch__is_over(loop->watch))
			happened |= LOOP_LAST;
	}
	return happened;
}

struct snapshot *loop__snapshot(struct loop *loop)
{
	struct snapshot *snapshot = collector__snapshot(loop->collector);

	if (!snapshot) {
		log__error("a snapshot could not be made: %s", strerror(errno));
		return NULL;
	}
	snapshot__grow_since(snapshot, loop->last);
	snapshot__free(loop->last);
	return loop->last = snapshot;
}
