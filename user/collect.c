/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "namer.h"
#include "numbering.h"

enum { KEEP_UP_NS = 20 * 1000 * 1000 };

struct collector {
	struct watch *watch;
	struct namer *namer;
	bool later;               /* see collector__name_later */
	bool keep;                /* see collector__keep */
	uint64_t older_ns;
	/* Of one snapshot. The room stays: fresh pages cost more than what is written there. */
	struct seen_site *sites;
	size_t site_count, site_room;
	struct numbering *stacks; /* ids; a number is the index in the snapshot being made */
	/* CLOCK_MONOTONIC ns: probes live, last snapshot, the last look at what else happens */
	uint64_t started, before, kept_up;
};

struct process_index { /* book -> process */
	uint32_t book;
	int index;
	pid_t pid;
	struct watched *watched;
	struct account heap; /* the sum of its sites */
	UT_hash_handle hh;
};

struct seen_site { /* as read, before any name was looked up */
	struct process_index *process;
	enum family family;
	uint64_t stack;
	struct account account;
};

struct aged_site { /* blocks of one site that are old enough */
	struct site_key key;
	struct account account;
	UT_hash_handle hh;
};

struct making { /* a snapshot that is being made */
	struct collector *collector;
	struct snapshot *snapshot;
	struct process_index *processes;
	struct aged_site *aged;
	uint64_t now;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

struct collector *collector__new(struct watch *watch, uint64_t older_ns)
{
	struct collector *collector = calloc(1, sizeof(*collector));

	if (!collector)
		return NULL;
	collector->watch = watch;
	collector->older_ns = older_ns;
	collector->started = collector->before = clock_ns(CLOCK_MONOTONIC);
	collector->namer = namer__new(watch__objects(watch), watch__pythons(watch));
	collector->stacks = numbering__new(sizeof(uint64_t));
	if (collector->namer && collector->stacks)
		return collector;
	collector__free(collector);
	return NULL;
}

void collector__free(struct collector *collector)
{
	if (!collector)
		return;
	namer__free(collector->namer);
	numbering__free(collector->stacks);
	free(collector->sites);
	free(collector);
}

void collector__name_later(struct collector *collector)
{
	collector->later = true;
}

void collector__set_older(struct collector *collector, uint64_t older_ns)
{
	collector->older_ns = older_ns;
}

void collector__keep(struct collector *collector, bool keep)
{
	collector->keep = keep;
}

static struct counters counters_of(const struct account *account)
{
	return (struct counters){
		.live_bytes = account->live_bytes,
		.live_count = account->live_count,
		.freed_bytes = account->freed_bytes,
		.freed_count = account->freed_count,
		.peak_bytes = account->peak_bytes,
	};
}

static struct counters sum(struct counters a, struct counters b)
{
	return (struct counters){
		.live_bytes = a.live_bytes + b.live_bytes,
		.live_count = a.live_count + b.live_count,
		.freed_bytes = a.freed_bytes + b.freed_bytes,
		.freed_count = a.freed_count + b.freed_count,
	};
}

/* The most that heap and mmap held together: between two events of the mmap family only the heap
 * moves. */
static uint64_t peak_of(struct watched *watched, const struct book *book)
{
	uint64_t total =
		watched->map_total.live_bytes + __atomic_load_n(&book->mmap_peak, __ATOMIC_RELAXED);

	if (total > watched->peak)
		watched->peak = total;
	return watched->peak;
}

static void add_account(struct account *to, const struct account *account)
{
	to->live_bytes += account->live_bytes;
	to->live_count += account->live_count;
	to->freed_bytes += account->freed_bytes;
	to->freed_count += account->freed_count;
}

/*
 * The process's heap. Its sites were read one after the other while the target ran on; their sum
 * is what goes with them. Where a filter leaves blocks out of them the book's own count is right.
 */
static struct counters heap_of(const struct making *making, const struct process_index *entry,
			       const struct book *book)
{
	const struct probe *probe = watch__probe(making->collector->watch);
	const struct probe_options *o = probe__options(probe);

	if (making->collector->older_ns || o->min_size || o->max_size != UINT64_MAX)
		return counters_of(&book->heap);
	return counters_of(&entry->heap);
}

static int add_process(struct making *making, struct process_index *entry)
{
	struct watched *watched = entry->watched;
	const struct book *book =
		probe__book(watch__probe(making->collector->watch), watched->book);
	struct process process = {
		.pid = watched->pid,
		.comm = watched->comm,
		.container = *watched->container ? watched->container : NULL,
		.exited = watched->exited,
		.start = watched->start,
	};

	process.counters = sum(heap_of(making, entry, book), counters_of(&watched->map_total));
	process.counters.peak_bytes = peak_of(watched, book);
	if (process.counters.peak_bytes < process.counters.live_bytes)
		process.counters.peak_bytes = process.counters.live_bytes;
	process.failed_count = book->failed_count;
	process.unmatched_frees = book->unmatched_frees;
	entry->index = snapshot__add_process(making->snapshot, &process);
	if (!making->collector->keep)
		watched->shown |= watched->exited;
	return entry->index < 0 ? entry->index : 0;
}

static int see_process(struct making *making, struct watched *watched)
{
	struct process_index *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	entry->book = watched->book;
	entry->pid = watched->pid;
	entry->watched = watched;
	HASH_ADD(hh, making->processes, book, sizeof(entry->book), entry);
	return 0;
}

/* Naming can take long the first time; meanwhile processes start that want their tables. */
static void keep_up(struct collector *collector)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (now - collector->kept_up < KEEP_UP_NS)
		return;
	watch__handle(collector->watch);
	collector->kept_up = now;
}

/* A stack without its frames' names, until they are asked for. */
static const struct stack *unnamed(uint64_t id, struct stack *stack)
{
	*stack = (struct stack){ .id = id, .end = STACK_BROKEN, .unnamed = true };
	return stack;
}

static const struct stack *name_stack(struct collector *collector, uint64_t id, pid_t pid)
{
	const struct stack *stack = namer__known(collector->namer, id);
	struct stack_record record;

	if (stack || !id || probe__stack(watch__probe(collector->watch), id, &record))
		return stack;
	return namer__stack(collector->namer, id, &record, pid);
}

/* Index of the stack in the snapshot; the id 0 stands for what was lost. */
static int stack_index(struct making *making, const struct seen_site *site)
{
	struct collector *collector = making->collector;
	int64_t number = numbering__add(collector->stacks, &site->stack);
	const struct stack *stack;
	struct stack empty;

	if (number < 0)
		return -ENOMEM;
	if ((size_t)number < snapshot__stack_count(making->snapshot))
		return (int)number;
	if (!collector->later || site->process->watched->python) {
		stack = name_stack(collector, site->stack, site->process->pid);
		keep_up(collector);
	} else { /* what is known costs nothing */
		stack = namer__known(collector->namer, site->stack);
	}
	return snapshot__add_stack(making->snapshot, stack ?: unnamed(site->stack, &empty));
}

static int name(struct collector *collector, struct snapshot *snapshot, size_t index, pid_t pid)
{
	static const struct stack lost = { .end = STACK_BROKEN };
	const struct stack *stack = snapshot__stack(snapshot, index);

	if (!stack->unnamed)
		return 0;
	stack = name_stack(collector, stack->id, pid);
	keep_up(collector);
	return snapshot__name_stack(snapshot, index, stack ?: &lost);
}

int collector__name(struct collector *collector, struct snapshot *snapshot, size_t index)
{
	for (size_t i = 0; i < snapshot__site_count(snapshot); i++) {
		const struct site *site = snapshot__site(snapshot, i);

		if (site->stack == index)
			return name(collector, snapshot, index,
				    snapshot__process(snapshot, site->process)->pid);
	}
	return name(collector, snapshot, index, 0);
}

int collector__name_all(struct collector *collector, struct snapshot *snapshot)
{
	int error = 0;

	for (size_t i = 0; i < snapshot__site_count(snapshot) && !error; i++) {
		const struct site *site = snapshot__site(snapshot, i);

		error = name(collector, snapshot, site->stack,
			     snapshot__process(snapshot, site->process)->pid);
	}
	return error;
}

/* The first rows, and those that only their names will rank behind them. */
static int name_rows(struct collector *collector, struct snapshot *snapshot,
		     const struct query *query)
{
	struct query all = *query;
	const struct row *last = NULL;
	struct rows rows;
	int error;

	all.top = 0;
	error = snapshot__rows(snapshot, &all, &rows);
	for (size_t i = 0; i < rows.count && !error; i++) {
		const struct row *row = &rows.items[i];

		if (query->top && i >= query->top && row__compare(last, row, query->sort))
			break;
		last = row;
		error = name(collector, snapshot, row->stack_index, row->process->pid);
	}
	rows__free(&rows);
	return error;
}

int collector__name_shown(struct collector *collector, struct snapshot *snapshot,
			  const struct query *query)
{
	if (query->include || query->exclude || query->find || query->of)
		return collector__name_all(collector, snapshot);
	if (query->by == BY_PROCESS)
		return 0;
	return query->by == BY_STACK ? name_rows(collector, snapshot, query)
				     : collector__name_all(collector, snapshot);
}

static int add_sites(struct making *making)
{
	const struct collector *collector = making->collector;
	struct site *sites = malloc((collector->site_count + 1) * sizeof(*sites));
	int error = sites ? 0 : -ENOMEM;

	for (size_t i = 0; i < collector->site_count && !error; i++) {
		const struct seen_site *seen = &collector->sites[i];
		int stack = stack_index(making, seen);

		sites[i] = (struct site){
			.process = seen->process->index,
			.stack = stack,
			.family = seen->family,
			.counters = counters_of(&seen->account),
		};
		error = stack < 0 ? stack : 0;
	}
	if (!error)
		error = snapshot__adopt_sites(making->snapshot, sites, collector->site_count);
	if (error)
		free(sites);
	return error;
}

static struct seen_site *add_seen(struct collector *collector)
{
	if (collector->site_count == collector->site_room) {
		size_t room = collector->site_room ? collector->site_room * 2 : 1024;
		struct seen_site *sites = reallocarray(collector->sites, room, sizeof(*sites));

		if (!sites)
			return NULL;
		collector->sites = sites;
		collector->site_room = room;
	}
	return &collector->sites[collector->site_count++];
}

static int see_site(struct making *making, uint32_t book, uint64_t stack, enum family family,
		    const struct account *account)
{
	struct process_index *process;
	struct seen_site *seen;

	if (!account->live_count && !account->freed_count)
		return 0;
	HASH_FIND(hh, making->processes, &book, sizeof(book), process);
	if (!process)
		return 0; /* of a process that came after the list was made, or that nobody wants */
	seen = add_seen(making->collector);
	if (!seen)
		return -ENOMEM;
	*seen = (struct seen_site){ process, family, stack, *account };
	if (family == FAMILY_HEAP)
		add_account(&process->heap, account);
	return 0;
}

static int on_site(void *context, uint32_t site, const struct site_record *record)
{
	(void)site;
	return see_site(context, record->book, record->stack, FAMILY_HEAP, &record->account);
}

/* What has no stack, or came when the tables were full. */
static int see_unknown(struct making *making, const struct watched *watched)
{
	const struct book *book =
		probe__book(watch__probe(making->collector->watch), watched->book);

	return see_site(making, watched->book, 0, FAMILY_HEAP, &book->unknown);
}

static int see_map_sites(struct making *making, const struct watched *watched)
{
	int error = 0;

	for (struct map_site *site = watched->map_sites; site && !error; site = site->hh.next)
		error = see_site(making, watched->book, site->stack, FAMILY_MMAP, &site->account);
	return error;
}

static int age_site(struct making *making, uint32_t book, uint64_t stack, uint64_t bytes,
		    uint64_t count)
{
	struct site_key key = { .stack = stack, .book = book };
	struct aged_site *site;

	HASH_FIND(hh, making->aged, &key, sizeof(key), site);
	if (!site) {
		site = calloc(1, sizeof(*site));
		if (!site)
			return -ENOMEM;
		site->key = key;
		HASH_ADD(hh, making->aged, key, sizeof(key), site);
	}
	site->account.live_bytes += bytes;
	site->account.live_count += count;
	site->account.peak_bytes = site->account.live_bytes;
	return 0;
}

static int on_block(void *context, const struct block_key *key, const struct block *block)
{
	struct making *making = context;
	const struct site_record *site;

	if (!block->birth || !block->weight ||
	    block->birth + making->collector->older_ns > making->now)
		return 0;
	site = probe__site(watch__probe(making->collector->watch), block->site);
	return age_site(making, key->book, site ? site->stack : 0, block->size, 1);
}

struct aging_pieces {
	struct making *making;
	uint32_t book;
};

static void on_piece(void *context, const struct ranges_change *piece, uint64_t birth)
{
	struct aging_pieces *pieces = context;
	const struct collector *collector = pieces->making->collector;

	if (birth + collector->older_ns <= pieces->making->now &&
	    watch__sizes(collector->watch, piece->length))
		age_site(pieces->making, pieces->book, piece->stack, piece->added_bytes,
			 piece->added_count);
}

static int see_aged(struct making *making, enum family family)
{
	struct aged_site *site, *next;
	int error = 0;

	HASH_ITER(hh, making->aged, site, next) {
		error = error
				?: see_site(making, site->key.book, site->key.stack, family,
					    &site->account);
		HASH_DEL(making->aged, site);
		free(site);
	}
	return error;
}

/* Only blocks of some age: what was freed is no block any more, so nothing of it is counted. */
static int see_aged_sites(struct making *making)
{
	struct watch *watch = making->collector->watch;
	int error = probe__each_block(watch__probe(watch), on_block, making);

	error = see_aged(making, FAMILY_HEAP) ?: error;
	for (struct watched *w = watch__first(watch); w; w = w->hh.next) {
		struct aging_pieces pieces = { making, w->book };

		ranges__each(w->ranges, on_piece, &pieces);
	}
	return see_aged(making, FAMILY_MMAP) ?: error;
}

static bool is_shown(const struct watch *watch, const struct watched *watched)
{
	const struct book *book = probe__book(watch__probe(watch), watched->book);

	if (!book || book->state == BOOK_IGNORED || book->state == BOOK_REPLACED || watched->shown)
		return false;
	/* Of a whole system, those that did something; of processes named, all. */
	return watch__names_pids(watch) || book->heap.live_count || book->heap.freed_count ||
	       book->unmatched_frees || book->failed_count || watched->map_total.live_count ||
	       watched->map_total.freed_count;
}

/* The books, as nearly at one moment as can be: nothing is named here, nothing handled. */
static int see(struct making *making)
{
	struct watch *watch = making->collector->watch;
	int error = 0;

	for (struct watched *w = watch__first(watch); w && !error; w = w->hh.next)
		if (is_shown(watch, w))
			error = see_process(making, w);
	if (making->collector->older_ns)
		return error ?: see_aged_sites(making);
	error = error ?: probe__each_site(watch__probe(watch), on_site, making);
	for (struct watched *w = watch__first(watch); w && !error; w = w->hh.next)
		error = see_unknown(making, w) ?: see_map_sites(making, w);
	return error;
}

static int fill(struct making *making)
{
	struct process_index *process;
	int error = see(making);

	for (process = making->processes; process && !error; process = process->hh.next)
		error = add_process(making, process);
	return error ? error : add_sites(making);
}

static void set_header(struct making *making)
{
	struct collector *collector = making->collector;
	struct loss_record losses = probe__losses(watch__probe(collector->watch));
	struct process_losses of_processes = watch__process_losses(collector->watch);
	struct snapshot_header header = {
		.time_ns = clock_ns(CLOCK_REALTIME),
		.elapsed_s = (making->now - collector->started) / 1e9,
		.interval_s = (making->now - collector->before) / 1e9,
		.mode = "exact",
		.losses = {
			.blocks = losses.blocks, .sites = losses.sites, .stacks = losses.stacks,
			.inflight = losses.inflight + of_processes.inflight,
			.truncated_stacks = of_processes.truncated,
			.broken_stacks = of_processes.broken,
			.events = losses.events + losses.books,
		},
	};

	snapshot__set_header(making->snapshot, &header);
}

static void making__end(struct making *making)
{
	struct process_index *process, *next_process;

	HASH_ITER(hh, making->processes, process, next_process) {
		HASH_DEL(making->processes, process);
		free(process);
	}
}

struct snapshot *collector__snapshot(struct collector *collector)
{
	struct making making = {
		.collector = collector,
		.snapshot = snapshot__new(),
		.now = clock_ns(CLOCK_MONOTONIC),
	};
	int error = making.snapshot ? 0 : -ENOMEM;

	collector->site_count = 0;
	numbering__clear(collector->stacks);
	watch__handle(collector->watch); /* the ranges and the books as of now */
	namer__new_turn(collector->namer);
	error = error ?: fill(&making);
	making__end(&making);
	if (error) {
		snapshot__free(making.snapshot);
		errno = -error;
		return NULL;
	}
	set_header(&making);
	collector->before = making.now;
	return making.snapshot;
}
