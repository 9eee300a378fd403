/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_LOAD_H
#define MEMWATCH_LOAD_H
/* Profiles from files that the user named. */
#include "pprof.h"

/* 0; or -errno, after saying what is wrong. profile__free in any case. */
int load__profile(const char *path, struct profile *profile);

#endif
