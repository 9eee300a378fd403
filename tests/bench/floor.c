/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * floor PID: the trap floor. Puts empty programs on the very instructions that memwatch would take
 * in PID's allocators, says "observing" and stays until its input ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "user/attach.h"
#include "user/object.h"
#include "user/plan.h"
#include "user/probe.h"
#include "user/process.h"

static int attach(struct attachments *attachments, const struct object *object, pid_t pid)
{
	const struct plan_options options = { .heap = true };
	struct plan plan;
	char path[32];
	int taken = 0;

	if (plan__make(object, &options, &plan))
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", object__fd(object));
	if (plan.point_count)
		taken = attach__points(attachments, path, &pid, 1, plan.points, plan.point_count);
	plan__free(&plan);
	return taken > 0 ? taken : 0;
}

int main(int argc, char **argv)
{
	struct probe_options options = { .trial = true };
	struct attach_trials trials;
	pid_t pid = argc > 1 ? atoi(argv[1]) : 0;
	struct objects *objects = objects__new();
	struct attachments *attachments;
	struct mappings mappings;
	uint32_t last = 0;
	int taken = 0, rung = attach__choose(&trials, false);
	char byte;

	options.rung = rung;
	if (rung < 0 || process__mappings(pid, &mappings))
		return 1;
	attachments = attachments__new(probe__new(&options));
	for (size_t i = 0; i < mappings.count; i++) {
		struct object *object = NULL;

		if (mappings.items[i].prot & MAPPING_EXEC)
			object = objects__of_mapping(objects, pid, &mappings.items[i]);
		if (!object || object__id(object) == last)
			continue;
		last = object__id(object);
		taken += attach(attachments, object, pid);
	}
	printf("observing %d points\n", taken);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	attachments__free(attachments);
	return 0;
}
