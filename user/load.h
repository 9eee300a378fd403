/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_LOAD_H
#define MEMWATCH_LOAD_H
/* Profiles from files that the user named. */
#include "pprof.h"

/* 0; or -errno, and in `why` what is wrong, to stand after "FILE: ". profile__free in any case. */
int load__profile(const char *path, struct profile *profile, char why[PPROF_WHY]);

#endif
