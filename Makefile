# SPDX-License-Identifier: GPL-2.0-or-later
# make help says what there is. Nothing is installed by make; tools/install-deps does that.
O ?= build
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
V ?= 0
Q := $(if $(filter 1,$V),,@)
say = $(if $(filter 1,$V),,@printf '  %-8s%s\n' $1 $(patsubst $O/%,%,$@))

VERSION := 0.1
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Werror
ALL_CFLAGS = -std=gnu11 $(WARN) $(CFLAGS) -D_GNU_SOURCE -DMEMWATCH_VERSION='"$(VERSION)"' -I$O -I.
LIBS := -lbpf -ldw -lelf -lZydis -ljansson -lz -liberty -lpthread
ifdef ASAN
ALL_CFLAGS += -fsanitize=address,undefined -fno-omit-frame-pointer
LDFLAGS += -fsanitize=address,undefined
endif

USER_SOURCES := $(wildcard user/*.c)
USER_OBJECTS := $(USER_SOURCES:%.c=$O/%.o)
LIBRARY := $(filter-out $O/user/main.o,$(USER_OBJECTS))

all: $O/memwatch

$O/memwatch: $(USER_OBJECTS)
	$(call say,LINK)
	$Q$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$O/%.o: %.c
	$(call say,CC)
	@mkdir -p $(@D)
	$Q$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
-include $(USER_OBJECTS:.o=.d)

.PHONY: all
