/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_PPROF_FRAMES_H
#define MEMWATCH_PPROF_FRAMES_H
/* The locations of a profile, on their way into a snapshot's stacks. */
#include "pprof.h"
#include "pprof_comments.h"
#include "snapshot.h"
#include "user/pprof.pb-c.h"

struct pprof_frames;

/* What it is given must outlive it. 0, -ENOMEM, or -EBADMSG and why. */
int pprof_frames__new(struct pprof_frames **frames, const Pprof__Profile *profile,
		      const struct pprof_comments *comments, struct snapshot *snapshot,
		      char why[PPROF_WHY]);
void pprof_frames__free(struct pprof_frames *frames);
/* Index in the snapshot of the sample's stack; equal ones have one. Or an error, as above. */
int pprof_frames__add(struct pprof_frames *frames, const Pprof__Sample *sample, enum stack_end end);

#endif
