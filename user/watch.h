/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_WATCH_H
#define MEMWATCH_WATCH_H
/*
 * The processes under observation: finds their allocators, attaches, keeps the kernel's tables up
 * to date, and keeps the ranges of the mmap family. The functions that can fail for the user's
 * reasons say so themselves, in one line.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

#include "log.h"
#include "object.h"
#include "pace.h"
#include "probe.h"
#include "process.h"
#include "ranges.h"

struct watch_options {
	const pid_t *pids; /* these; or those that `name` matches; or every process */
	size_t pid_count;
	const char *name;  /* glob over comm; NULL: none */
	bool mmap;         /* the mmap family too */
	int rung;          /* enum rung, or -1: the best that works */
	struct probe_options probe;
};

struct map_site { /* what one stack has mapped */
	uint64_t stack;
	struct account account;
	UT_hash_handle hh;
};

struct watched { /* a process, from its start or exec to its end: a book */
	uint32_t book;
	pid_t pid;
	uint64_t start; /* clock ticks after boot: tells it from an earlier process with this pid */
	char comm[COMM_SIZE];
	char container[CONTAINER_SIZE]; /* "": in none */
	bool exited, shown; /* shown: in a snapshot since it exited */
	bool ignored;       /* its name is not asked for; until its end it only takes a book */
	struct ranges *ranges;
	struct map_site *map_sites;
	struct account map_total;
	uint64_t peak;      /* most of heap and mmap together, as far as the events tell */
	struct pace refreshes; /* looks at its mappings, by CLOCK_MONOTONIC */
	bool stale;         /* another look is due */
	bool python;        /* it runs CPython, and the kernel side knows how */
	unsigned int unlearnt; /* times that nobody could say what file the kernel asked about */
	struct watch *watch;
	UT_hash_handle hh;
};

struct process_losses { /* see struct book */
	uint64_t truncated, broken, inflight;
};

struct watch;

struct watch *watch__new(const struct watch_options *options,
			 const struct log *log); /* NULL: said why */
void watch__free(struct watch *watch);

int watch__fd(const struct watch *watch);  /* readable when watch__handle has something to do */
void watch__handle(struct watch *watch);   /* events of the kernel side */
/* Some times a second: new processes and objects, late mappings. */
void watch__tick(struct watch *watch);
/* Observes only processes that were named by pid. */
bool watch__names_pids(const struct watch *watch);
bool watch__is_over(const struct watch *watch); /* the processes named have all ended */
/* Forgets processes that ended and were shown. */
void watch__sweep(struct watch *watch);

/* Whether blocks of this size are in sites (--min-size, --max-size). */
bool watch__sizes(const struct watch *watch, uint64_t size);
/* Of every process that is or was observed. */
struct process_losses watch__process_losses(const struct watch *watch);

struct probe *watch__probe(const struct watch *watch);
struct objects *watch__objects(const struct watch *watch);
struct pythons *watch__pythons(const struct watch *watch);
enum rung watch__rung(const struct watch *watch);
struct watched *watch__first(const struct watch *watch); /* then ->hh.next */
struct watched *watch__find(const struct watch *watch, uint32_t book);

#endif
