/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "namer.h"

enum { KEEP_UP_NS = 20 * 1000 * 1000 };

struct collector {
	struct watch *watch;
	struct namer *namer;
	uint64_t older_ns;
	uint64_t started, before; /* CLOCK_MONOTONIC ns: probes live, last snapshot */
};

struct stack_index { /* stack id -> its index in the snapshot being made */
	uint64_t id;
	int index;
	UT_hash_handle hh;
};

struct process_index { /* book -> process index */
	uint32_t book;
	int index;
	pid_t pid;
	UT_hash_handle hh;
};

struct aged_site { /* blocks of one site that are old enough */
	struct site_key key;
	struct account account;
	UT_hash_handle hh;
};

struct making { /* a snapshot that is being made */
	struct collector *collector;
	struct snapshot *snapshot;
	struct stack_index *stacks;
	struct process_index *processes;
	struct aged_site *aged;
	uint64_t now, kept_up;
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
	if (collector->namer)
		return collector;
	free(collector);
	return NULL;
}

void collector__free(struct collector *collector)
{
	if (!collector)
		return;
	namer__free(collector->namer);
	free(collector);
}

static struct counters counters_of(const struct account *account)
{
	return (struct counters){
		.live_bytes = account->live_bytes, .live_count = account->live_count,
		.freed_bytes = account->freed_bytes, .freed_count = account->freed_count,
		.peak_bytes = account->peak_bytes,
	};
}

static struct counters sum(struct counters a, struct counters b)
{
	return (struct counters){
		.live_bytes = a.live_bytes + b.live_bytes, .live_count = a.live_count + b.live_count,
		.freed_bytes = a.freed_bytes + b.freed_bytes, .freed_count = a.freed_count + b.freed_count,
	};
}

/* The most that heap and mmap held together: between two events of the mmap family only the heap moves. */
static uint64_t peak_of(struct watched *watched, const struct book *book)
{
	uint64_t total = watched->map_total.live_bytes +
			 __atomic_load_n(&book->mmap_peak, __ATOMIC_RELAXED);

	if (total > watched->peak)
		watched->peak = total;
	return watched->peak;
}

static int add_process(struct making *making, struct watched *watched)
{
	const struct book *book = probe__book(watch__probe(making->collector->watch), watched->book);
	struct process_index *entry = calloc(1, sizeof(*entry));
	struct process process = {
		.pid = watched->pid, .comm = watched->comm, .exited = watched->exited,
		.start = watched->start,
	};

	if (!entry)
		return -ENOMEM;
	process.counters = sum(counters_of(&book->heap), counters_of(&watched->map_total));
	process.counters.peak_bytes = peak_of(watched, book);
	process.failed_count = book->failed_count;
	process.unmatched_frees = book->unmatched_frees;
	entry->book = watched->book;
	entry->pid = watched->pid;
	entry->index = snapshot__add_process(making->snapshot, &process);
	HASH_ADD(hh, making->processes, book, sizeof(entry->book), entry);
	watched->shown |= watched->exited;
	return entry->index < 0 ? entry->index : 0;
}

/* Naming can take long the first time; meanwhile processes start that want their tables. */
static void keep_up(struct making *making)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (now - making->kept_up < KEEP_UP_NS)
		return;
	watch__handle(making->collector->watch);
	making->kept_up = now;
}

/* Index of the stack in the snapshot; the id 0 stands for what was lost. */
static int stack_index(struct making *making, uint64_t id, pid_t pid)
{
	static const struct stack lost = { .end = STACK_BROKEN };
	struct collector *collector = making->collector;
	const struct stack *stack = namer__known(collector->namer, id);
	struct stack_record record;
	struct stack_index *entry;

	HASH_FIND(hh, making->stacks, &id, sizeof(id), entry);
	if (entry)
		return entry->index;
	keep_up(making);
	if (!stack && id && !probe__stack(watch__probe(collector->watch), id, &record))
		stack = namer__stack(collector->namer, id, &record, pid);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->id = id;
	entry->index = snapshot__add_stack(making->snapshot, stack ?: &lost);
	HASH_ADD(hh, making->stacks, id, sizeof(id), entry);
	return entry->index;
}

static int add_site(struct making *making, uint32_t book, uint64_t stack, enum family family,
		    const struct account *account)
{
	struct site site = { .family = family, .counters = counters_of(account) };
	struct process_index *process;
	int index;

	if (!account->live_count && !account->freed_count)
		return 0;
	HASH_FIND(hh, making->processes, &book, sizeof(book), process);
	if (!process)
		return 0; /* of a process that came after the list was made, or that nobody wants */
	index = stack_index(making, stack, process->pid);
	if (index < 0)
		return index;
	site.process = process->index;
	site.stack = index;
	index = snapshot__add_site(making->snapshot, &site);
	return index < 0 ? index : 0;
}

static int on_site(void *context, const struct site_key *key, const struct account *account)
{
	return add_site(context, key->book, key->stack, FAMILY_HEAP, account);
}

static void add_map_sites(struct making *making, const struct watched *watched)
{
	for (struct map_site *site = watched->map_sites; site; site = site->hh.next)
		add_site(making, watched->book, site->stack, FAMILY_MMAP, &site->account);
}

static int age_site(struct making *making, uint32_t book, uint64_t stack, uint64_t bytes, uint64_t count)
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

	if (!block->weight || block->birth + making->collector->older_ns > making->now)
		return 0;
	return age_site(making, key->book, block->stack, block->size, 1);
}

struct aging_pieces {
	struct making *making;
	uint32_t book;
};

static void on_piece(void *context, uint64_t stack, uint64_t bytes, uint64_t count, uint64_t birth)
{
	struct aging_pieces *pieces = context;

	if (birth + pieces->making->collector->older_ns <= pieces->making->now)
		age_site(pieces->making, pieces->book, stack, bytes, count);
}

static int emit_aged(struct making *making, enum family family)
{
	struct aged_site *site, *next;
	int error = 0;

	HASH_ITER(hh, making->aged, site, next) {
		error = error ?: add_site(making, site->key.book, site->key.stack, family, &site->account);
		HASH_DEL(making->aged, site);
		free(site);
	}
	return error;
}

/* Only blocks of some age: what was freed is no block any more, so nothing of it is counted. */
static int add_aged_sites(struct making *making)
{
	struct watch *watch = making->collector->watch;
	int error = probe__each_block(watch__probe(watch), on_block, making);

	error = emit_aged(making, FAMILY_HEAP) ?: error;
	for (struct watched *w = watch__first(watch); w; w = w->hh.next) {
		struct aging_pieces pieces = { making, w->book };

		ranges__each(w->ranges, on_piece, &pieces);
	}
	return emit_aged(making, FAMILY_MMAP) ?: error;
}

static bool is_shown(const struct watch *watch, const struct watched *watched)
{
	const struct book *book = probe__book(watch__probe(watch), watched->book);

	return book && book->state != BOOK_IGNORED && book->state != BOOK_REPLACED && !watched->shown;
}

static int fill(struct making *making)
{
	struct watch *watch = making->collector->watch;
	int error = 0;

	for (struct watched *w = watch__first(watch); w && !error; w = w->hh.next)
		if (is_shown(watch, w))
			error = add_process(making, w);
	if (making->collector->older_ns)
		return error ?: add_aged_sites(making);
	error = error ?: probe__each_site(watch__probe(watch), on_site, making);
	for (struct watched *w = watch__first(watch); w && !error; w = w->hh.next)
		add_map_sites(making, w);
	return error;
}

static void set_header(struct making *making)
{
	struct collector *collector = making->collector;
	struct loss_record losses = probe__losses(watch__probe(collector->watch));
	struct snapshot_header header = {
		.time_ns = clock_ns(CLOCK_REALTIME),
		.elapsed_s = (making->now - collector->started) / 1e9,
		.interval_s = (making->now - collector->before) / 1e9,
		.mode = "exact",
		.losses = {
			.blocks = losses.blocks, .sites = losses.sites, .stacks = losses.stacks,
			.inflight = losses.inflight, .truncated_stacks = losses.truncated_stacks,
			.broken_stacks = losses.broken_stacks, .events = losses.events + losses.books,
		},
	};

	snapshot__set_header(making->snapshot, &header);
}

static void making__end(struct making *making)
{
	struct stack_index *stack, *next_stack;
	struct process_index *process, *next_process;

	HASH_ITER(hh, making->stacks, stack, next_stack) {
		HASH_DEL(making->stacks, stack);
		free(stack);
	}
	HASH_ITER(hh, making->processes, process, next_process) {
		HASH_DEL(making->processes, process);
		free(process);
	}
}

struct snapshot *collector__snapshot(struct collector *collector)
{
	struct making making = {
		.collector = collector, .snapshot = snapshot__new(), .now = clock_ns(CLOCK_MONOTONIC),
	};
	int error = making.snapshot ? 0 : -ENOMEM;

	watch__handle(collector->watch); /* the ranges and the books as of now */
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
