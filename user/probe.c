/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "heap.skel.h"

/* include/uapi/linux/bpf.h of 6.6 and 6.13; Debian 12's libbpf does not have the names yet. */
#define BPF_ATTACH_UPROBE_MULTI ((enum bpf_attach_type)48)
#define BPF_ATTACH_UPROBE_SESSION ((enum bpf_attach_type)57)

enum { BATCH = 16384 };

struct area { /* a map's values, mapped */
	void *base;
	size_t size;
};

struct probe {
	struct heap_bpf *skeleton;
	struct heap_bpf *late; /* a program that was loaded when it was first needed */
	int late_error; /* why it was not */
	struct probe_options options;
	struct ring_buffer *ring;
	struct area books, sites, mappings, rows, losses;
	const struct probe_calls *calls; /* while events are being read */
	void *calls_context;
};

static char complaint[512]; /* the print callback of libbpf has no context */

/* Keeps the last telling line; the rest of libbpf's talk helps nobody at a terminal. */
static int hear(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (getenv("MEMWATCH_LIBBPF_LOG"))
		return vfprintf(stderr, format, arguments);
	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(complaint, sizeof(complaint), format, arguments);
	complaint[strcspn(complaint, "\n")] = 0;
	return 0;
}

const char *probe__complaint(void)
{
	return complaint;
}

/* Room for as many frames of CPython, unless that would take the next size of an element. */
static uint32_t max_words(const struct probe_options *o)
{
	uint32_t most = o->max_frames > MEMWATCH_DEEP_WORDS ? MEMWATCH_MAX_WORDS
							    : MEMWATCH_DEEP_WORDS;

	return 2 * o->max_frames < most ? 2 * o->max_frames : most;
}

static size_t stack_size(uint32_t words)
{
	return offsetof(struct stack_record, frames[words]);
}

static int size_maps(struct probe *probe)
{
	struct heap_bpf *s = probe->skeleton;
	const struct probe_options *o = &probe->options;
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} sizes[] = {
		{ s->maps.blocks, o->max_blocks + probe_options__idle(o) },
		{ s->maps.stacks, o->max_stacks },
		{ s->maps.deep_stacks, max_words(o) > MEMWATCH_SHORT_WORDS ? o->max_stacks : 1 },
		{ s->maps.sites, o->max_sites },
		{ s->maps.site_ids, o->max_sites },
		{ s->maps.free_sites, o->max_sites },
		{ s->maps.books, o->max_books + 1 },
		{ s->maps.free_books, o->max_books + 1 },
		{ s->maps.tgids, o->max_books + 1 },
		{ s->maps.rows, o->max_rows },
		{ s->maps.mappings, o->max_mappings },
		{ s->maps.memos, o->memos },
		{ s->maps.memos_more, o->memos_more },
		{ s->maps.events, o->trial ? 4096 : 4 << 20 },
		{ s->maps.python_copies, o->trial ? 4096 : 4 << 20 },
		{ s->maps.python_sent, o->trial ? 1 : 16 << 10 },
	};
	int error = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes) && !error; i++)
		error = bpf_map__set_max_entries(sizes[i].map, sizes[i].entries);
	error = error ?: bpf_map__set_value_size(s->maps.stacks, stack_size(MEMWATCH_SHORT_WORDS));
	return error ?: bpf_map__set_value_size(s->maps.deep_stacks, stack_size(max_words(o)));
}

static struct bpf_program *program_in(const struct heap_bpf *s, enum program program)
{
	struct bpf_program *const programs[PROGRAMS] = {
		[PROGRAM_ENTER] = s->progs.heap__enter,
		[PROGRAM_RETURN] = s->progs.heap__return,
		[PROGRAM_RELEASE] = s->progs.heap__release,
		[PROGRAM_SESSION] = s->progs.heap__session,
		[PROGRAM_LOADER] = s->progs.loader__change,
		[PROGRAM_TRIAL_ENTER] = s->progs.trial__enter,
		[PROGRAM_TRIAL_RETURN] = s->progs.trial__return,
		[PROGRAM_TRIAL_SESSION] = s->progs.trial__session,
	};

	return programs[program];
}

struct bpf_program *probe__libbpf_program(const struct probe *probe, enum program program)
{
	bool late = program == PROGRAM_ENTER && probe->late;

	return program_in(late ? probe->late : probe->skeleton, program);
}

static unsigned int programs_of(const struct probe_options *o) /* bits */
{
	bool session = o->rung == RUNG_SESSION;

	if (o->trial)
		return 1 << PROGRAM_TRIAL_ENTER |
		       1 << (session ? PROGRAM_TRIAL_SESSION : PROGRAM_TRIAL_RETURN);
	return 1 << PROGRAM_LOADER | 1 << PROGRAM_RELEASE |
	       (session ? 1 << PROGRAM_SESSION : 1 << PROGRAM_ENTER | 1 << PROGRAM_RETURN);
}

/* Which programs are loaded, and for which kind of link. */
static void choose_programs(struct heap_bpf *s, enum rung rung, unsigned int programs)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, s->obj)
		bpf_program__set_autoload(program, false);
	for (int i = 0; i < PROGRAMS; i++) {
		bool session = i == PROGRAM_SESSION || i == PROGRAM_TRIAL_SESSION;

		program = program_in(s, i);
		bpf_program__set_autoload(program, programs & 1 << i);
		if (rung != RUNG_PERF)
			bpf_program__set_expected_attach_type(program,
							      session ? BPF_ATTACH_UPROBE_SESSION
								      : BPF_ATTACH_UPROBE_MULTI);
	}
}

static int map_area(struct area *area, const struct bpf_map *map)
{
	long page = sysconf(_SC_PAGESIZE);
	size_t value = (bpf_map__value_size(map) + 7) / 8 * 8;

	area->size = (value * bpf_map__max_entries(map) + page - 1) / page * page;
	area->base =
		mmap(NULL, area->size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (area->base != MAP_FAILED)
		return 0;
	area->base = NULL;
	return -errno;
}

static int map_areas(struct probe *probe)
{
	const struct heap_bpf *s = probe->skeleton;
	int error = map_area(&probe->books, s->maps.books);

	error = error ?: map_area(&probe->sites, s->maps.sites);
	error = error ?: map_area(&probe->losses, s->maps.losses);
	error = error ?: map_area(&probe->mappings, s->maps.mappings);
	return error ?: map_area(&probe->rows, s->maps.rows);
}

static int fill_free_books(struct probe *probe)
{
	int fd = bpf_map__fd(probe->skeleton->maps.free_books), error = 0;

	for (uint32_t id = 1; id <= probe->options.max_books && !error; id++)
		error = bpf_map_update_elem(fd, NULL, &id, 0);
	return error;
}

static int on_event(void *context, void *data, size_t size)
{
	struct probe *probe = context;

	if (size < sizeof(struct event) || !probe->calls)
		return 0;
	return probe->calls->event(probe->calls_context, data);
}

static int on_python_copy(void *context, void *data, size_t size)
{
	struct probe *probe = context;

	if (size < sizeof(struct python_copy) || !probe->calls)
		return 0;
	return probe->calls->python_copy(probe->calls_context, data);
}

static int load(struct probe *probe)
{
	const struct probe_options *o = &probe->options;
	struct heap_bpf *s = heap_bpf__open();
	int error;

	probe->skeleton = s;
	if (!s)
		return -errno;
	s->rodata->self_tgid = getpid();
	s->rodata->pid_namespace = o->pid_namespace;
	s->rodata->only_targets = o->only_targets;
	s->rodata->min_size = o->min_size;
	s->rodata->max_size = o->max_size;
	s->rodata->max_sites = o->max_sites;
	s->rodata->max_idle = probe_options__idle(o);
	s->rodata->memo_mask = o->memos - 1;
	s->rodata->more_mask = o->memos_more - 1;
	s->rodata->max_frames = o->max_frames;
	s->rodata->max_words = max_words(o);
	choose_programs(s, o->rung, programs_of(o));
	bpf_program__set_autoload(s->progs.process__exec, !o->trial);
	bpf_program__set_autoload(s->progs.process__exit, !o->trial);
	error = size_maps(probe);
	error = error ?: heap_bpf__load(s);
	if (error || o->trial)
		return error;
	error = map_areas(probe);
	error = error ?: fill_free_books(probe);
	if (error)
		return error;
	probe->ring = ring_buffer__new(bpf_map__fd(s->maps.events), on_event, probe, NULL);
	if (!probe->ring)
		return -errno;
	return ring_buffer__add(probe->ring, bpf_map__fd(s->maps.python_copies), on_python_copy,
				probe);
}

struct probe *probe__new(const struct probe_options *options)
{
	struct probe *probe = calloc(1, sizeof(*probe));
	int error;

	if (!probe)
		return NULL;
	libbpf_set_print(hear);
	complaint[0] = 0;
	probe->options = *options;
	probe_options__fill(&probe->options);
	error = load(probe);
	if (!error)
		return probe;
	probe__free(probe);
	errno = -error;
	return NULL;
}

static void unmap_area(struct area *area)
{
	if (area->base)
		munmap(area->base, area->size);
}

void probe__free(struct probe *probe)
{
	if (!probe)
		return;
	ring_buffer__free(probe->ring);
	unmap_area(&probe->books);
	unmap_area(&probe->sites);
	unmap_area(&probe->losses);
	unmap_area(&probe->mappings);
	unmap_area(&probe->rows);
	heap_bpf__destroy(probe->late);
	heap_bpf__destroy(probe->skeleton);
	free(probe);
}

/*
 * On session links few targets have a point that takes the plain entry program (attach.c), and the
 * verifier needs as long for it as for the other.
 */
static int load_late(struct probe *probe)
{
	struct heap_bpf *s = heap_bpf__open();
	struct bpf_map *map;
	int error = s ? 0 : -errno;

	if (error)
		return error;
	choose_programs(s, probe->options.rung, 1 << PROGRAM_ENTER);
	bpf_object__for_each_map(map, s->obj) {
		const struct bpf_map *first =
			bpf_object__find_map_by_name(probe->skeleton->obj, bpf_map__name(map));

		error = error ?: bpf_map__reuse_fd(map, bpf_map__fd(first));
	}
	error = error ?: heap_bpf__load(s);
	if (error)
		heap_bpf__destroy(s);
	else
		probe->late = s;
	return error;
}

int probe__program(struct probe *probe, enum program program)
{
	int fd = bpf_program__fd(probe__libbpf_program(probe, program));

	if (fd >= 0 || program != PROGRAM_ENTER)
		return fd;
	probe->late_error = probe->late_error ?: load_late(probe);
	return probe->late_error ?: bpf_program__fd(probe->late->progs.heap__enter);
}

int probe__attach_lifecycle(struct probe *probe)
{
	struct heap_bpf *s = probe->skeleton;

	s->links.process__exec = bpf_program__attach(s->progs.process__exec);
	if (!s->links.process__exec)
		return -errno;
	s->links.process__exit = bpf_program__attach(s->progs.process__exit);
	return s->links.process__exit ? 0 : -errno;
}

uint64_t probe__trial_hits(const struct probe *probe)
{
	uint32_t zero = 0;
	uint64_t hits = 0;

	bpf_map_lookup_elem(bpf_map__fd(probe->skeleton->maps.trials), &zero, &hits);
	return hits;
}

const struct probe_options *probe__options(const struct probe *probe)
{
	return &probe->options;
}

int probe__add_target(struct probe *probe, pid_t pid)
{
	uint32_t key = pid;
	uint8_t one = 1;

	return bpf_map_update_elem(bpf_map__fd(probe->skeleton->maps.targets), &key, &one, 0);
}

int probe__open_book(struct probe *probe, pid_t pid)
{
	const struct heap_bpf *s = probe->skeleton;
	uint32_t id, tgid = pid, generation;
	struct book *book;
	int error;

	error = bpf_map_lookup_and_delete_elem(bpf_map__fd(s->maps.free_books), NULL, &id);
	if (error)
		return error;
	book = probe__book(probe, id);
	generation = book->generation + 1;
	memset(book, 0, sizeof(*book));
	book->generation = generation;
	book->tgid = tgid;
	book->state = BOOK_OPEN;
	error = bpf_map_update_elem(bpf_map__fd(s->maps.tgids), &tgid, &id, BPF_NOEXIST);
	if (error)
		probe__release_book(probe, id);
	return error ?: (int)id;
}

struct book *probe__book(const struct probe *probe, uint32_t id)
{
	if (!id || id > probe->options.max_books)
		return NULL;
	return (struct book *)probe->books.base + id;
}

int probe__set_python(struct probe *probe, uint32_t id, const struct python_record *python)
{
	struct book *book = probe__book(probe, id);
	int error;

	if (!book)
		return -EINVAL;
	error = bpf_map_update_elem(bpf_map__fd(probe->skeleton->maps.pythons), &id, python,
				    BPF_ANY);
	if (error)
		return error;
	__atomic_store_n(&book->python, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&book->generation, 1,
			   __ATOMIC_SEQ_CST); /* memos without Python are void */
	return 0;
}

int probe__release_book(struct probe *probe, uint32_t id)
{
	struct book *book = probe__book(probe, id);

	if (!book)
		return -EINVAL;
	if (book->python)
		bpf_map_delete_elem(bpf_map__fd(probe->skeleton->maps.pythons), &id);
	book->state = BOOK_FREE;
	return bpf_map_update_elem(bpf_map__fd(probe->skeleton->maps.free_books), NULL, &id, 0);
}

void probe__set_linked_twice(struct probe *probe, bool twice)
{
	__atomic_store_n(&probe->skeleton->bss->linked_twice, twice, __ATOMIC_SEQ_CST);
}

struct loss_record probe__losses(const struct probe *probe)
{
	return *(const struct loss_record *)probe->losses.base;
}

const struct site_record *probe__site(const struct probe *probe, uint32_t site)
{
	if (!site || site >= probe->options.max_sites)
		return NULL;
	return (const struct site_record *)probe->sites.base + site;
}

int probe__each_site(struct probe *probe, probe_site call, void *context)
{
	uint32_t last = __atomic_load_n(&probe->skeleton->bss->last_site, __ATOMIC_SEQ_CST);
	int stop = 0;

	for (uint32_t site = 1; site <= last && site < probe->options.max_sites && !stop; site++) {
		struct site_record record = *probe__site(probe, site);

		if (record.book)
			stop = call(context, site, &record);
	}
	return stop;
}

/*
 * In batches: get_next_key restarts when its key has gone, a batch does not. -ENOSPC says that one
 * bucket holds more than the batch; it is then doubled.
 */
int probe__each_block(struct probe *probe, probe_block call, void *context)
{
	int fd = bpf_map__fd(probe->skeleton->maps.blocks), error = 0;
	uint32_t capacity = BATCH, count, in, out;
	struct block_key *keys = NULL;
	struct block *blocks = NULL;
	bool first = true;

	while (!error) {
		count = capacity;
		keys = keys ?: calloc(capacity, sizeof(*keys));
		blocks = blocks ?: calloc(capacity, sizeof(*blocks));
		error = keys && blocks ? bpf_map_lookup_batch(fd, first ? NULL : &in, &out, keys,
							      blocks, &count, NULL)
				       : -ENOMEM;
		if (error == -ENOSPC) {
			free(keys);
			free(blocks);
			keys = NULL;
			blocks = NULL;
			capacity *= 2;
			error = 0;
			continue;
		}
		for (uint32_t i = 0; i < count && (!error || error == -ENOENT); i++)
			error = call(context, &keys[i], &blocks[i]) ?: error;
		in = out;
		first = false;
	}
	free(keys);
	free(blocks);
	return error == -ENOENT ? 0 : error;
}

int probe__release_site(struct probe *probe, uint32_t site)
{
	const struct heap_bpf *s = probe->skeleton;
	struct site_record *record = (struct site_record *)probe__site(probe, site);
	struct site_key key = { 0 };

	if (!record || !record->book)
		return -EINVAL;
	key.stack = record->stack;
	key.book = record->book;
	record->book = 0;
	bpf_map_delete_elem(bpf_map__fd(s->maps.site_ids), &key);
	return bpf_map_update_elem(bpf_map__fd(s->maps.free_sites), NULL, &site, 0);
}

void probe__delete_block(struct probe *probe, const struct block_key *key)
{
	if (!bpf_map_delete_elem(bpf_map__fd(probe->skeleton->maps.blocks), key))
		__atomic_sub_fetch(&probe->skeleton->bss->block_elements, 1, __ATOMIC_SEQ_CST);
}

uint64_t probe__block_elements(const struct probe *probe)
{
	return __atomic_load_n(&probe->skeleton->bss->block_elements, __ATOMIC_SEQ_CST);
}

static int stacks_fd(const struct probe *probe, uint64_t id)
{
	const struct heap_bpf *s = probe->skeleton;

	return bpf_map__fd(id & STACK_ID_DEEP ? s->maps.deep_stacks : s->maps.stacks);
}

int probe__stack(const struct probe *probe, uint64_t id, struct stack_record *stack)
{
	return bpf_map_lookup_elem(stacks_fd(probe, id), &id, stack);
}

int probe__stack_ids(const struct probe *probe, uint64_t **ids, size_t *count)
{
	const uint64_t tables[] = { 0, STACK_ID_DEEP };
	uint32_t most = probe->options.max_stacks;

	*ids = calloc(most, 2 * sizeof(**ids));
	if (!*ids)
		return -ENOMEM;
	*count = 0;
	for (size_t i = 0; i < 2; i++) {
		const uint64_t *key = NULL;

		/* Nobody but us deletes stacks, so that the keys stay and the walk never starts
		 * again. */
		for (uint32_t n = 0; n < most; n++, key = *ids + (*count)++)
			if (bpf_map_get_next_key(stacks_fd(probe, tables[i]), key, *ids + *count))
				break;
	}
	return 0;
}

int probe__delete_stack(struct probe *probe, uint64_t id)
{
	return bpf_map_delete_elem(stacks_fd(probe, id), &id);
}

int probe__event_fd(const struct probe *probe)
{
	return ring_buffer__epoll_fd(probe->ring);
}

int probe__each_event(struct probe *probe, const struct probe_calls *calls, void *context)
{
	int result;

	probe->calls = calls;
	probe->calls_context = context;
	result = ring_buffer__consume(probe->ring);
	probe->calls = NULL;
	return result < 0 ? result : 0;
}

struct mapping_record *probe__mappings(const struct probe *probe, uint32_t *capacity)
{
	*capacity = probe->options.max_mappings;
	return probe->mappings.base;
}

struct unwind_row *probe__rows(const struct probe *probe, uint32_t *capacity)
{
	*capacity = probe->options.max_rows;
	return probe->rows.base;
}

int probe__set_file(struct probe *probe, const struct file_key *key, const struct file_record *file)
{
	return bpf_map_update_elem(bpf_map__fd(probe->skeleton->maps.files), key, file, BPF_ANY);
}

void probe__forget_ask(struct probe *probe, const struct file_key *key)
{
	int fd = bpf_map__fd(probe->skeleton->maps.files);
	struct file_record file;

	if (!bpf_map_lookup_elem(fd, key, &file) && !file.object)
		bpf_map_delete_elem(fd, key);
}

int probe__set_page(struct probe *probe, const struct page_key *key, const struct page_rows *rows)
{
	return bpf_map_update_elem(bpf_map__fd(probe->skeleton->maps.pages), key, rows, BPF_ANY);
}
