/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What files cost: 100 000 sites with 30 frames, written, read, and two of them compared.
 * Stacks form a tree as those of programs do: near the root there are few frames, and of the
 * 20 000 functions each calls some others only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "user/difference.h"
#include "user/pprof.h"

enum { SITES = 100000, DEPTH = 30, FUNCTIONS = 20000, MODULES = 20, NAME = 64 };

struct moment {
	double wall, processor;
};

static double clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct moment now(void)
{
	return (struct moment){ clock_ms(CLOCK_MONOTONIC), clock_ms(CLOCK_PROCESS_CPUTIME_ID) };
}

/* The processor's time is what counts where others use the machine, too. */
static void show(const char *what, struct moment since)
{
	const struct moment moment = now();

	printf("%-8s %5.0f ms, %5.0f ms of processor", what, moment.wall - since.wall,
	       moment.processor - since.processor);
}

static uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 31) * 0x9e3779b97f4a7c15ULL;
	return value ^ value >> 29;
}

static struct frame frame_of(struct snapshot *snapshot, uint64_t call)
{
	uint64_t function = mix(call) % FUNCTIONS;
	char name[NAME], file[NAME], module[NAME], path[2 * NAME];

	snprintf(name, NAME, "component_%d::operation_%d(int)", (int)(function % 97),
		 (int)function);
	snprintf(file, NAME, "/src/component/source_%d.c", (int)(function / 40));
	snprintf(module, NAME, "libcomponent%d.so", (int)(function % MODULES));
	snprintf(path, sizeof(path), "/usr/lib/%s", module);
	return (struct frame){
		.kind = FRAME_NATIVE,
		.has_offset = true,
		.offset = function * 512 + call % 7 * 16,
		.line = (uint32_t)(function % 2000 + call % 7),
		.function = snapshot__intern(snapshot, name),
		.file = snapshot__intern(snapshot, file),
		.module = snapshot__intern(snapshot, module),
		.path = snapshot__intern(snapshot, path),
		.build_id = snapshot__intern(snapshot, "0123456789abcdef0123456789abcdef01234567"),
	};
}

/* Each stack leaves the one before at a depth that is more often far from the root. */
static void add_stack(struct snapshot *snapshot, const struct frame **frames, uint64_t number)
{
	uint32_t fresh = 1 + (uint32_t)(mix(number) % 5);
	struct stack stack = { .frames = frames, .depth = DEPTH, .id = number + 1 };
	struct frame frame;

	if (number % 500 == 0)
		fresh = DEPTH;
	else if (number % 20 == 0)
		fresh = DEPTH / 2;
	for (uint32_t i = 0; i < fresh; i++) {
		frame = frame_of(snapshot, number / 3 * DEPTH + i);
		frame.offset = i ? frame.offset : number;
		frames[i] = snapshot__intern_frame(snapshot, &frame);
	}
	snapshot__add_stack(snapshot, &stack);
}

static struct snapshot *make(uint64_t seed)
{
	const struct snapshot_header header = { .interval_s = 2, .elapsed_s = 60, .mode = "exact" };
	const struct process process = { .pid = 1, .comm = "server" };
	struct snapshot *snapshot = snapshot__new();
	const struct frame *frames[DEPTH];

	snapshot__set_header(snapshot, &header);
	snapshot__add_process(snapshot, &process);
	for (uint64_t i = 0; i < SITES; i++) {
		uint64_t count = mix(i * 7 + (i % 10 ? 0 : seed)) % 1000;
		const struct site site = {
			.stack = (uint32_t)i,
			.counters = { count * (i % 512), count, count * 3, count / 2, count * 600 },
		};

		add_stack(snapshot, frames, i);
		snapshot__add_site(snapshot, &site);
	}
	return snapshot;
}

struct file {
	void *data;
	size_t size;
};

static struct file written(uint64_t seed, const char *path)
{
	struct snapshot *snapshot = make(seed);
	struct file file = { NULL, 0 };
	const struct moment begin = now();
	FILE *out;

	if (pprof__write(snapshot, NULL, 0, &file.data, &file.size))
		exit(1);
	show("write", begin);
	printf(", %.2f MB\n", (double)file.size / 1e6);
	snapshot__free(snapshot);
	out = path ? fopen(path, "w") : NULL;
	if (out) {
		fwrite(file.data, 1, file.size, out);
		fclose(out);
	}
	return file;
}

static struct profile read_back(struct file file)
{
	struct profile profile;
	char why[PPROF_WHY] = "";
	const struct moment begin = now();

	if (pprof__read(file.data, file.size, &profile, why)) {
		fprintf(stderr, "%s\n", why);
		exit(1);
	}
	show("read", begin);
	puts("");
	return profile;
}

int main(int argc, char **argv)
{
	const struct query query = { .heap = true, .mmap = true, .top = 10 };
	struct file old = written(1, argc > 1 ? argv[1] : NULL);
	struct file new = written(2, argc > 2 ? argv[2] : NULL);
	struct profile before = read_back(old), after = read_back(new);
	struct difference difference;
	const struct moment begin = now();

	if (difference__make(&difference, before.snapshot, after.snapshot, &query, 0))
		return 1;
	show("compare", begin);
	printf(", %zu changes\n", difference.all);
	difference__free(&difference);
	profile__free(&before);
	profile__free(&after);
	free(old.data);
	free(new.data);
	return 0;
}
