/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "watch_state.h"

enum {
	REFRESH_NS = 250 * 1000 * 1000, /* one process's mappings are read so often, on average */
	REFRESH_BURST = 4, /* a process that starts changes them several times in a row */
	UNLEARNT_MAX = 100, /* questions about files that a process asks in vain */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

struct probe *watch__probe(const struct watch *watch)
{
	return watch->probe;
}

struct objects *watch__objects(const struct watch *watch)
{
	return watch->objects;
}

struct pythons *watch__pythons(const struct watch *watch)
{
	return watch->pythons;
}

enum rung watch__rung(const struct watch *watch)
{
	return watch->rung;
}

struct watched *watch__first(const struct watch *watch)
{
	return watch->watched;
}

int watch__fd(const struct watch *watch)
{
	return probe__event_fd(watch->probe);
}

struct watched *watch__find(const struct watch *watch, uint32_t book)
{
	struct watched *watched;

	HASH_FIND(hh, watch->watched, &book, sizeof(book), watched);
	return watched;
}

bool watch__sizes(const struct watch *watch, uint64_t size)
{
	const struct probe_options *o = &watch->options.probe;

	return size >= o->min_size && size <= o->max_size;
}

static void account__change(struct account *account, const struct ranges_change *change)
{
	account->live_bytes += change->added_bytes - change->removed_bytes;
	account->live_count += change->added_count - change->removed_count;
	account->freed_bytes += change->removed_bytes;
	account->freed_count += change->removed_count;
	if (account->live_bytes > account->peak_bytes)
		account->peak_bytes = account->live_bytes;
}

/* What the program's own mappings hold has changed. Sites have what the filters let through. */
static void on_range(void *context, const struct ranges_change *change)
{
	struct watched *watched = context;
	struct map_site *site;

	account__change(&watched->map_total, change);
	if (!watch__sizes(watched->watch, change->length))
		return;
	HASH_FIND(hh, watched->map_sites, &change->stack, sizeof(change->stack), site);
	if (!site) {
		site = calloc(1, sizeof(*site));
		if (!site)
			return;
		site->stack = change->stack;
		HASH_ADD(hh, watched->map_sites, stack, sizeof(site->stack), site);
	}
	account__change(&site->account, change);
}

static void watched__free(struct watched *watched)
{
	struct map_site *site, *next;

	if (!watched)
		return;
	ranges__free(watched->ranges);
	HASH_ITER(hh, watched->map_sites, site, next) {
		HASH_DEL(watched->map_sites, site);
		free(site);
	}
	free(watched);
}

/* One that has ended meanwhile has the name that it had when its book was opened. */
static struct watched *add_watched(struct watch *watch, uint32_t book, pid_t pid)
{
	const struct book *record = probe__book(watch->probe, book);
	struct process_status status = { 0 };
	struct watched *watched = calloc(1, sizeof(*watched));

	if (!watched)
		return NULL;
	watched->ranges = ranges__new(on_range, watched);
	if (!watched->ranges) {
		free(watched);
		return NULL;
	}
	process__status(pid, &status);
	if (process__comm(pid, watched->comm) && record)
		snprintf(watched->comm, sizeof(watched->comm), "%s", record->comm);
	process__container(pid, watched->container);
	watched->start = status.start_time;
	watched->book = book;
	watched->pid = pid;
	watched->watch = watch;
	HASH_ADD(hh, watch->watched, book, sizeof(book), watched);
	return watched;
}

static struct watched *find_pid(const struct watch *watch, pid_t pid)
{
	for (struct watched *watched = watch->watched; watched; watched = watched->hh.next)
		if (watched->pid == pid)
			return watched;
	return NULL;
}

/* What is lost of a process. Of one that was not to be observed nobody misses anything. */
static void add_losses(const struct watch *watch, const struct watched *watched,
		       struct process_losses *losses)
{
	const struct book *book = probe__book(watch->probe, watched->book);

	if (!book || watched->ignored)
		return;
	losses->truncated += book->truncated_stacks;
	losses->broken += book->broken_stacks;
	losses->inflight += book->inflight;
}

struct process_losses watch__process_losses(const struct watch *watch)
{
	struct process_losses losses = watch->dropped;

	for (const struct watched *w = watch->watched; w; w = w->hh.next)
		add_losses(watch, w, &losses);
	return losses;
}

void watch__drop(struct watch *watch, struct watched *watched)
{
	add_losses(watch, watched, &watch->dropped);
	tables__forget(watch->tables, watched->book);
	probe__release_book(watch->probe, watched->book);
	HASH_DEL(watch->watched, watched);
	if (!find_pid(watch, watched->pid)) /* an exec, or a new process, has the pid on */
		pythons__forget(watch->pythons, watched->pid);
	watched__free(watched);
}

/* Tells the kernel side how to find Python's frames, once the interpreter is there. */
static void find_python(struct watch *watch, struct watched *watched)
{
	struct python_record record;
	struct mappings mappings;
	const char *reason = "";
	int error;

	if (watched->python || process__mappings(watched->pid, &mappings))
		return;
	error = pythons__detect(watch->pythons, watch->objects, watched->pid, &mappings, &record,
				&reason);
	if (!error)
		error = probe__set_python(watch->probe, watched->book, &record);
	watched->python = !error;
	if (!error)
		tables__has_python(watch->tables, watched->pid, &mappings, record.evaluator[0][0]);
	mappings__free(&mappings);
	if (error && error != -ENOENT)
		log__detail(watch->log, "%s[%d]: no Python frames: %s", watched->comm, watched->pid,
			    *reason ? reason : strerror(-error));
}

/*
 * Looks at the process's mappings: unwinding tables, and allocators that it has loaded
 * meanwhile.
 */
static void refresh(struct watch *watch, struct watched *watched)
{
	int error;

	watched->stale = true;
	if (watched->exited ||
	    !pace__allows(&watched->refreshes, now_ns(), REFRESH_NS, REFRESH_BURST))
		return;
	watched->stale = false;
	error = tables__refresh(watch->tables, watched->book, watched->pid);
	if (error == -ENOSPC)
		log__detail(watch->log,
			    "%s[%d]: a table of the unwinder is full: some stacks will be broken",
			    watched->comm, watched->pid);
	find_python(watch, watched);
	if (watch->live)
		watch__attach_process(watch, watched->pid);
}

void watch__reread(struct watch *watch, pid_t pid)
{
	for (struct watched *watched = watch->watched; watched; watched = watched->hh.next) {
		if (watched->pid != pid)
			continue;
		watched->refreshes = (struct pace){ 0 };
		refresh(watch, watched);
	}
}

int watch__open(struct watch *watch, pid_t pid)
{
	struct watched *watched;
	int book = probe__open_book(watch->probe, pid);

	if (book < 0)
		return book;
	watched = add_watched(watch, book, pid);
	if (!watched)
		return -ENOMEM;
	refresh(watch, watched);
	return 0;
}

bool watch__wants(const struct watch *watch, const char *comm)
{
	return !watch->options.name || !fnmatch(watch->options.name, comm, 0);
}

static struct watched *on_book(struct watch *watch, uint32_t book, pid_t pid)
{
	struct watched *watched = add_watched(watch, book, pid);
	struct book *record = probe__book(watch->probe, book);

	if (!watched || !record)
		return watched;
	watched->ignored = !watch__wants(watch, watched->comm) &&
			   !watch__wants(watch, record->comm);
	if (!watched->ignored) {
		refresh(watch, watched);
	} else {
		if (record->state == BOOK_OPEN)
			record->state = BOOK_IGNORED;
		watched->shown = true;
	}
	return watched;
}

/* MAP_ANONYMOUS, neither a reservation nor a stack: what the program wanted as memory. */
static bool is_heap_mapping(const struct event *event)
{
	enum { ANONYMOUS = 0x20, GROWSDOWN = 0x100, STACK = 0x20000 }; /* asm-generic/mman.h */

	return event->flags & ANONYMOUS && !(event->flags & (GROWSDOWN | STACK)) &&
	       event->protection;
}

/* An allocator's library maps for its own ends, in free or in a thread of its own, too. */
static bool is_allocators_own(struct watch *watch, const struct watched *watched, uint64_t stack)
{
	struct stack_record record;
	struct known_object *known;
	uint32_t id;
	struct object *object;
	const char *name;

	if (probe__stack(watch->probe, stack, &record) || !record.count ||
	    FRAME_TAG(record.frames[0]) != FRAME_TAG_RETURN)
		return false;
	id = FRAME_OBJECT(record.frames[0]);
	HASH_FIND(hh, watch->known_objects, &id, sizeof(id), known);
	if (!known || !known->is_allocator)
		return false;
	/* In a static program allocator and program are one file: there the call decides, not the
	 * file. */
	object = objects__by_id(watch->objects, id);
	name = object ? object__name(object) : "";
	return strstr(name, ".so") != NULL && watched;
}

static void on_map_event(struct watch *watch, struct watched *watched, const struct event *event)
{
	enum { DONTUNMAP = 4 }; /* MREMAP_DONTUNMAP */
	uint64_t total = watched->map_total.live_bytes + event->heap_peak;
	bool counted;

	if (total > watched->peak)
		watched->peak = total;
	switch (event->type) {
	case EVENT_MAP:
		counted = is_heap_mapping(event) &&
			  !is_allocators_own(watch, watched, event->stack);
		if (counted)
			ranges__map(watched->ranges, event->address, event->length, event->stack,
				    event->time);
		else /* what was there, if anything, is gone: MAP_FIXED */
			ranges__unmap(watched->ranges, event->address, event->length);
		break;
	case EVENT_UNMAP:
		ranges__unmap(watched->ranges, event->address, event->length);
		break;
	case EVENT_REMAP:
		ranges__remap(watched->ranges, event->other_address, event->other_length,
			      event->address, event->length, event->flags & DONTUNMAP, event->stack,
			      event->time);
		break;
	}
}

/*
 * A file is called otherwise by the kernel than by stat() (overlayfs, btrfs), or has only come.
 * What cannot be found, for the mappings have changed since, is asked again; not for ever.
 */
static void learn_file(struct watch *watch, struct watched *watched, const struct event *event)
{
	const struct file_key key = { event->other_address, event->other, 0 };
	const struct object *object;
	struct file_record file = { 0 };
	struct stat status;

	if (!watched || watched->ignored) {
		probe__forget_ask(watch->probe, &key); /* another process may be asked */
		return;
	}
	watched->refreshes = (struct pace){ 0 };
	refresh(watch, watched);
	object = tables__object_of(watch->tables, event);
	if (object && !fstat(object__fd(object), &status) &&
	    (uint64_t)status.st_size == event->other_length) {
		file.object = object__id(object);
		file.python = pythons__is_interpreter(watch->pythons, object);
		probe__set_file(watch->probe, &key, &file);
	} else if (++watched->unlearnt < UNLEARNT_MAX) {
		probe__forget_ask(watch->probe, &key);
	}
}

static int on_event(void *context, const struct event *event)
{
	struct watch *watch = context;
	struct watched *watched = watch__find(watch, event->book);

	switch (event->type) {
	case EVENT_BOOK:
		on_book(watch, event->book, event->tgid);
		return 0;
	case EVENT_EXEC:
		watched = watch__find(watch, event->other);
		if (watched) /* nothing of it is left to be shown */
			watched->exited = watched->shown = true;
		pythons__forget(watch->pythons,
				event->tgid); /* other code may come to its addresses */
		if (event->book)
			on_book(watch, event->book, event->tgid);
		return 0;
	case EVENT_EXIT:
		if (watched)
			watched->exited = true;
		return 0;
	case EVENT_LEADER:
		watch__leader_gone(watch, event->tgid, event->other);
		return 0;
	case EVENT_FILE:
		learn_file(watch, watched, event);
		return 0;
	case EVENT_MAPPINGS:
		if (watched && !watched->ignored)
			refresh(watch, watched);
		return 0;
	}
	if (watched && !watched->ignored)
		on_map_event(watch, watched, event);
	return 0;
}

static int on_python_copy(void *context, const struct python_copy *copy)
{
	struct watch *watch = context;
	const struct watched *watched = watch__find(watch, copy->key.book);
	const struct book *book = probe__book(watch->probe, copy->key.book);

	/* After exec the pid's names are another program's. */
	if (watched && !watched->ignored && book && book->state != BOOK_REPLACED)
		pythons__learn(watch->pythons, watched->pid, copy);
	return 0;
}

void watch__handle(struct watch *watch)
{
	static const struct probe_calls calls = { on_event, on_python_copy };

	probe__each_event(watch->probe, &calls, watch);
}

/* Processes that came since the last look may bring allocators that nobody had mapped before. */
void watch__scan_processes(struct watch *watch)
{
	struct known_process *known, *next;
	pid_t *pids;
	size_t count;

	if (process__list(&pids, &count))
		return;
	HASH_ITER(hh, watch->known_processes, known, next)
		known->alive = false;
	for (size_t i = 0; i < count; i++) {
		HASH_FIND(hh, watch->known_processes, &pids[i], sizeof(pid_t), known);
		if (!known && pids[i] != getpid()) {
			known = calloc(1, sizeof(*known));
			if (!known)
				break;
			known->pid = pids[i];
			HASH_ADD(hh, watch->known_processes, pid, sizeof(pid_t), known);
			watch__attach_process(watch, pids[i]);
		}
		if (known)
			known->alive = true;
	}
	HASH_ITER(hh, watch->known_processes, known, next)
		if (!known->alive) {
			HASH_DEL(watch->known_processes, known);
			free(known);
		}
	free(pids);
}

void watch__tick(struct watch *watch)
{
	for (struct watched *watched = watch->watched; watched; watched = watched->hh.next)
		if (watched->stale)
			refresh(watch, watched);
	if (!watch->options.pid_count)
		watch__scan_processes(watch);
}

bool watch__names_pids(const struct watch *watch)
{
	return watch->options.pid_count > 0;
}

bool watch__is_over(const struct watch *watch)
{
	if (!watch->options.pid_count)
		return false;
	for (const struct watched *watched = watch->watched; watched; watched = watched->hh.next)
		if (!watched->exited)
			return false;
	return true;
}

struct watch *watch__new(const struct watch_options *options, const struct log *log)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->options = *options;
	watch->log = log;
	watch->objects = objects__new();
	watch->pythons = pythons__new();
	if (watch->objects && watch->pythons && !watch__start(watch))
		return watch;
	watch__free(watch);
	return NULL;
}

void watch__free(struct watch *watch)
{
	struct watched *watched, *next;
	struct known_object *object, *next_object;
	struct known_process *process, *next_process;

	if (!watch)
		return;
	attachments__free(watch->attachments);
	HASH_ITER(hh, watch->watched, watched, next) {
		HASH_DEL(watch->watched, watched);
		watched__free(watched);
	}
	HASH_ITER(hh, watch->known_objects, object, next_object) {
		HASH_DEL(watch->known_objects, object);
		free(object);
	}
	HASH_ITER(hh, watch->known_processes, process, next_process) {
		HASH_DEL(watch->known_processes, process);
		free(process);
	}
	watch__forget_spares(watch);
	tables__free(watch->tables);
	probe__free(watch->probe);
	pythons__free(watch->pythons);
	objects__free(watch->objects);
	free(watch);
}
