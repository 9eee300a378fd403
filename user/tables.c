/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "process.h"
#include "unwind_table.h"

enum {
	SLICE_MIN = 16, /* mappings */
	SLICE_MAX = 4096, /* MAPPING_STEPS of bpf/mapping.bpf.h */
	CLASSES = 9, /* 16 << 8 = 4096 */
};

/*
 * A book's place among the mappings: two halves, so that a new list is written beside the one that
 * walks are reading, and then published with one store.
 */
struct slice {
	uint32_t first;
	uint8_t class; /* each half holds SLICE_MIN << class */
	uint8_t half; /* the one that is published */
	uint8_t used;
};

struct free_list {
	uint32_t *firsts;
	size_t count, capacity;
};

struct tables {
	struct probe *probe;
	struct objects *objects;
	const struct log *log;
	struct slice *slices; /* by book */
	uint32_t slice_count;
	struct free_list free[CLASSES];
	uint32_t mappings_used;
	uint8_t *built; /* by object id */
	size_t built_size;
	struct tables_size size;
};

struct tables *tables__new(struct probe *probe, struct objects *objects, const struct log *log)
{
	struct tables *tables = calloc(1, sizeof(*tables));
	uint32_t capacity;

	if (!tables)
		return NULL;
	tables->probe = probe;
	tables->objects = objects;
	tables->log = log;
	probe__rows(probe, &capacity);
	tables->size.capacity = capacity;
	tables->slice_count = probe__options(probe)->max_books + 1;
	tables->slices = calloc(tables->slice_count, sizeof(*tables->slices));
	if (tables->slices)
		return tables;
	tables__free(tables);
	return NULL;
}

void tables__free(struct tables *tables)
{
	if (!tables)
		return;
	for (int i = 0; i < CLASSES; i++)
		free(tables->free[i].firsts);
	free(tables->slices);
	free(tables->built);
	free(tables);
}

struct tables_size tables__size(const struct tables *tables)
{
	return tables->size;
}

static int publish_rows(struct tables *tables, uint32_t object, const struct unwind_table *table)
{
	uint32_t capacity;
	struct unwind_row *rows = probe__rows(tables->probe, &capacity);

	if (table->row_count > capacity - tables->size.rows)
		return -ENOSPC;
	memcpy(rows + tables->size.rows, table->rows, table->row_count * sizeof(*rows));
	for (size_t i = 0; i < table->page_count; i++) {
		const struct unwind_page *page = &table->pages[i];
		struct page_key key = { object, page->page };
		struct page_rows value = { tables->size.rows + page->first, page->count };
		int error = probe__set_page(tables->probe, &key, &value);

		if (error)
			return error;
	}
	tables->size.rows += table->row_count;
	tables->size.objects++;
	return 0;
}

static int build_rows(struct tables *tables, const struct object *object)
{
	struct unwind_table table;
	int error = unwind_table__build(object, &table);

	if (!error) {
		error = publish_rows(tables, object__id(object), &table);
		log__detail(tables->log, "%s: %zu unwinding rows, %zu KiB, %zu of no use",
			    object__name(object), table.row_count,
			    table.row_count * sizeof(*table.rows) / 1024, table.unsupported);
		unwind_table__free(&table);
	}
	if (error) {
		tables->size.missed++;
		log__detail(tables->log, "%s: no unwinding rows (%s): frame pointers are used",
			    object__name(object),
			    error == -ENOSPC ? "the table is full" : strerror(-error));
	}
	return error;
}

/*
 * Lets the kernel side know the file by itself. Not where stat() and the kernel name it differently
 * (btrfs, overlayfs): there the kernel side asks (EVENT_FILE).
 */
static void publish_file(struct tables *tables, const struct object *object,
			 const struct mapping *mapping, bool python)
{
	enum { MINOR_BITS = 20 }; /* MINORBITS, include/linux/kdev_t.h */
	const struct file_key key = { mapping->inode, mapping->major << MINOR_BITS | mapping->minor,
				      0 };
	const struct file_record file = { object__id(object), python };

	if (mapping->inode && object__ino(object) == mapping->inode &&
	    object__dev(object) == makedev(mapping->major, mapping->minor))
		probe__set_file(tables->probe, &key, &file);
}

void tables__has_python(struct tables *tables, pid_t pid, const struct mappings *mappings,
			uint64_t address)
{
	const struct mapping *mapping = mappings__find(mappings, address);
	struct object *object = mapping ? objects__of_mapping(tables->objects, pid, mapping) : NULL;

	if (object)
		publish_file(tables, object, mapping, true);
}

/* Builds an object's rows unless that was tried before. */
static int need_rows(struct tables *tables, const struct object *object,
		     const struct mapping *mapping)
{
	int error;
	uint32_t id = object__id(object);

	if (id >= tables->built_size) {
		size_t size = (id + 64) * 2;
		uint8_t *built = realloc(tables->built, size);

		if (!built)
			return -ENOMEM;
		memset(built + tables->built_size, 0, size - tables->built_size);
		tables->built = built;
		tables->built_size = size;
	}
	if (tables->built[id])
		return 0;
	tables->built[id] = 1;
	error = build_rows(tables, object);
	publish_file(tables, object, mapping, false);
	return error == -ENOSPC ? error : 0;
}

static uint8_t class_of(uint32_t count)
{
	uint8_t class = 0;

	while (class + 1 < CLASSES && (uint32_t)SLICE_MIN << class < count)
		class ++;
	return class;
}

static void give_back(struct tables *tables, struct slice *slice)
{
	struct free_list *list = &tables->free[slice->class];

	if (!slice->used)
		return;
	slice->used = 0;
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 16;
		uint32_t *firsts = realloc(list->firsts, capacity * sizeof(*firsts));

		if (!firsts)
			return; /* lost until the end; the table says when it is full */
		list->firsts = firsts;
		list->capacity = capacity;
	}
	list->firsts[list->count++] = slice->first;
}

/* Makes the slice large enough for `count` mappings: another one, unless it is. */
static int take(struct tables *tables, struct slice *slice, uint32_t count)
{
	uint32_t capacity, class = class_of(count), size = 2 * (SLICE_MIN << class);
	struct free_list *list = &tables->free[class];

	if (slice->used && slice->class >= class)
		return 0;
	probe__mappings(tables->probe, &capacity);
	if (!list->count && size > capacity - tables->mappings_used)
		return -ENOSPC;
	if (list->count) {
		slice->first = list->firsts[--list->count];
	} else {
		slice->first = tables->mappings_used;
		tables->mappings_used += size;
	}
	slice->class = class;
	slice->half = 0;
	slice->used = 1;
	return 0;
}

static uint32_t count_executable(const struct mappings *mappings)
{
	uint32_t count = 0;

	for (size_t i = 0; i < mappings->count; i++)
		count += !!(mappings->items[i].prot & MAPPING_EXEC);
	return count < SLICE_MAX ? count : SLICE_MAX;
}

/* vsyscall and [uprobes] are nobody's code. */
static bool is_code(const struct mapping *mapping)
{
	return mapping->prot & MAPPING_EXEC && mapping->end < 1ULL << 63 &&
	       strcmp(mapping->path, "[uprobes]");
}

static int write_slice(struct tables *tables, pid_t pid, const struct mappings *mappings,
		       struct mapping_record *records, uint32_t *count)
{
	uint32_t n = 0;
	int error = 0;

	for (size_t i = 0; i < mappings->count && n < *count; i++) {
		const struct mapping *mapping = &mappings->items[i];
		struct object *object;

		if (!is_code(mapping))
			continue;
		object = objects__of_mapping(tables->objects, pid, mapping);
		if (object)
			error = need_rows(tables, object, mapping) ?: error;
		records[n++] = (struct mapping_record){
			.start = mapping->start,
			.end = mapping->end,
			.offset = mapping->offset,
			.object = object ? object__id(object) : 0,
		};
	}
	*count = n;
	return error;
}

static bool has_changed(const struct book *book, uint32_t changes)
{
	return __atomic_load_n(&book->changes, __ATOMIC_SEQ_CST) != changes;
}

/*
 * What changes meanwhile may have been marked in the slice before this one. changes_seen keeps it
 * from being believed until it is known that nothing did.
 */
static int publish_slice(struct book *book, struct slice *slice, uint32_t first, uint32_t count,
			 uint32_t changes)
{
	uint32_t anywhere = __atomic_load_n(&book->changed_anywhere, __ATOMIC_SEQ_CST);

	__atomic_store_n(&book->changes_seen, anywhere - 1, __ATOMIC_SEQ_CST);
	slice->half ^= 1;
	__atomic_store_n(&book->slice, first | (uint64_t)count << 32, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&book->generation, 1, __ATOMIC_SEQ_CST);
	if (has_changed(book, changes))
		return -EAGAIN;
	__atomic_store_n(&book->changes_seen, changes, __ATOMIC_SEQ_CST);
	return 0;
}

/* -EAGAIN: the mappings have changed meanwhile. Nothing is published then unless it `must` be. */
static int read_slice(struct tables *tables, struct book *book, struct slice *slice, pid_t pid,
		      bool must)
{
	uint32_t changes = __atomic_load_n(&book->changes, __ATOMIC_SEQ_CST);
	struct slice before = *slice, taken;
	uint32_t count, first, capacity;
	struct mapping_record *records;
	struct mappings mappings;
	int error = process__mappings(pid, &mappings), full;

	if (error)
		return error;
	count = count_executable(&mappings);
	error = take(tables, slice, count);
	if (!error) {
		first = slice->first + (slice->half ^ 1) * (SLICE_MIN << slice->class);
		records = probe__mappings(tables->probe, &capacity);
		full = write_slice(tables, pid, &mappings, records + first, &count);
		taken = *slice;
		if (must || !has_changed(book, changes)) {
			error = publish_slice(book, slice, first, count, changes) ?: full;
			taken = before;
		} else {
			error = -EAGAIN;
			*slice = before; /* the kernel side still reads it */
		}
		if (taken.first != slice->first)
			give_back(tables, &taken);
	}
	mappings__free(&mappings);
	return error;
}

int tables__refresh(struct tables *tables, uint32_t id, pid_t pid)
{
	enum { TRIES = 4 };
	struct book *book = probe__book(tables->probe, id);
	int error = -EAGAIN;

	if (!book)
		return -EINVAL;
	for (int i = 1; i <= TRIES && error == -EAGAIN; i++)
		error = read_slice(tables, book, &tables->slices[id], pid, i == TRIES);
	__atomic_store_n(&book->asked, 0, __ATOMIC_SEQ_CST);
	return error;
}

struct object *tables__object_of(struct tables *tables, const struct event *event)
{
	const struct book *book = probe__book(tables->probe, event->book);
	const struct mapping_record *mappings;
	uint32_t capacity;

	if (!book || book->changes_seen != event->flags)
		return NULL;
	mappings = probe__mappings(tables->probe, &capacity) + (uint32_t)book->slice;
	for (uint32_t i = 0; i < book->slice >> 32; i++)
		if (mappings[i].start == event->address &&
		    mappings[i].end == event->address + event->length &&
		    mappings[i].offset == event->stack)
			return mappings[i].object
				       ? objects__by_id(tables->objects, mappings[i].object)
				       : NULL;
	return NULL;
}

void tables__forget(struct tables *tables, uint32_t book)
{
	if (book < tables->slice_count)
		give_back(tables, &tables->slices[book]);
}
