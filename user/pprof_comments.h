/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PPROF_COMMENTS_H
#define MEMWATCH_PPROF_COMMENTS_H
/* What the comments of a profile that memwatch wrote say. */
#include "arena.h"
#include "pprof.h"
#include "pprof_words.h"
#include "user/pprof.pb-c.h"

struct pprof_comments {
	bool own; /* memwatch's; otherwise there is nothing else in here */
	const char *mode;
	double interval_s;
	struct losses losses;
	struct process *processes; /* strings are the profile's */
	size_t process_count;
	const struct place **places; /* by the mapping's index; NULL: what its file name says */
};

/* Strings of the table must be checked. 0, -ENOMEM, or -EBADMSG and why. */
int pprof_comments__read(struct pprof_comments *comments, const Pprof__Profile *profile,
			 struct arena *arena, char why[PPROF_WHY]);

#endif
