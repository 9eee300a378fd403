# SPDX-License-Identifier: GPL-2.0-or-later
# make help says what there is. Nothing is installed by make; tools/install-deps does that.
O ?= $(if $(ASAN),build-asan,build)
PREFIX ?= /usr/local
CC = gcc
CXX = g++
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
V ?= 0
Q := $(if $(filter 1,$V),,@)
say = @mkdir -p $(@D); $(if $(filter 1,$V),,printf '  %-8s%s\n' $1 $(patsubst $O/%,%,$@))

VERSION := 0.1
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Werror
ALL_CFLAGS = -std=gnu11 $(WARN) $(CFLAGS) -D_GNU_SOURCE -DMEMWATCH_VERSION='"$(VERSION)"' -I$O -I.
BPF_CFLAGS := -target bpf -mcpu=v3 -g -O2 -Wall -Werror -D__TARGET_ARCH_x86 -Ivmlinux -Ibpf \
	-idirafter /usr/include/x86_64-linux-gnu
LIBS := -lbpf -ldw -lelf -lZydis -ljansson -lprotobuf-c -lz -llzma -liberty -lncursesw -ltinfo -lpthread -lm
ifdef ASAN
ALL_CFLAGS += -fsanitize=address,undefined -fno-omit-frame-pointer
LDFLAGS += -fsanitize=address,undefined
else
# An allocator of its own: libc's would trap into its probes when the whole system is observed.
ALLOCATOR := -l:libjemalloc_pic.a -lstdc++
endif

USER_OBJECTS := $(patsubst %.c,$O/%.o,$(wildcard user/*.c)) $O/user/pprof.pb-c.o
LIBRARY := $O/libmemwatch.a
UNIT_TESTS := $(patsubst %.c,$O/%,$(wildcard tests/unit/test_*.c))
BENCHES := $(patsubst %.c,$O/%,$(wildcard tests/bench/*.c))
TESTS := $(UNIT_TESTS) $(wildcard tests/style/*.t tests/system/*.bats)
DOCUMENTS := $(wildcard README.md LICENSE)
MANUAL := $O/docs/memwatch.1
COMPLETION := $O/docs/memwatch.bash

all: $O/memwatch $(MANUAL) $(COMPLETION) ## build the program: build/memwatch (the default)

demo: all ## watch a program that grows, and say which of its lines are to blame
	$Qtools/run-demo $O/memwatch

check: all $(UNIT_TESTS) workloads ## run every test; those that need root are skipped without it
	$QO=$(abspath $O) prove --directives --failures --comments --exec tools/run-test $(TESTS)

check-kernels: all workloads ## boot Debian's 6.1 and 6.12 kernels in QEMU and run the accounting tests
	$Qtools/check-kernels $O

bench: all workloads $(BENCHES) ## measure the cost against the trap floor, bpftrace and heaptrack
	$Qtools/bench $O
	$Q$O/tests/bench/bench_files

install: all ## install below PREFIX (/usr/local), staged in DESTDIR
	install -D -t $(DESTDIR)$(PREFIX)/bin $O/memwatch
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/memwatch $(DOCUMENTS)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 $(MANUAL)
	install -D -m 644 $(COMPLETION) $(DESTDIR)$(PREFIX)/share/bash-completion/completions/memwatch

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/memwatch
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/memwatch
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/memwatch.1
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/memwatch

clean: ## remove the build folder
	rm -rf $O

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s%s\n", $$1, $$2 }' Makefile
	@echo '  V=1 shows the commands, O=DIR builds there, ASAN=1 builds with sanitizers (in build-asan).'

# The program: BPF object -> skeleton, which only user/probe.c sees -> everything but main in a library.
$O/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF)
	$Q$(CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

$O/%.linked.o: $O/bpf/%.bpf.o
	$(call say,LINK)
	$Q$(BPFTOOL) gen object $@ $<

$O/%.skel.h: $O/%.linked.o
	$(call say,SKEL)
	$Q$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$O/user/probe.o: $O/heap.skel.h

$O/%.pb-c.c $O/%.pb-c.h: %.proto
	$(call say,PROTO)
	$Qprotoc-c --c_out=$O --proto_path=. $<

# The page of a flame graph, if its parts are there (tools/install-deps fetches them) and work; else nothing. What there
# was to make it with is the name of a file beside it: when that changes, the page is made again.
WEB_NODE := $(if $(wildcard web/node_modules/esbuild/package.json),$(shell node --version 2>/dev/null))
WEB_STAMP := $O/web/$(if $(WEB_NODE),with-node-$(WEB_NODE),without-node)
$O/web/page.html: $(wildcard web/*.* web/node_modules/.package-lock.json) $(if $(wildcard $(WEB_STAMP)),,web-changed)
	$(call say,WEB)
	$Q$(if $(WEB_NODE),node web/make-page.mjs,:) >$@ || \
		{ : >$@; echo 'warning: node web/make-page.mjs failed: this build has no flame graphs' >&2; }
	@rm -f $(@D)/with* && touch $(WEB_STAMP)

$O/user/flamegraph_page.o: $O/web/page.html
$O/user/flamegraph_page.o: ALL_CFLAGS += -DFLAMEGRAPH_PAGE='"$O/web/page.html"'

$(patsubst %.c,$O/%.o,$(wildcard user/pprof*.c)): | $O/user/pprof.pb-c.h

$O/%.o: $O/%.c
	$(call say,CC)
	$Q$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$O/%.o: %.c
	$(call say,CC)
	$Q$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(LIBRARY): $(filter-out $O/user/main.o,$(USER_OBJECTS))
	$(call say,AR)
	$Qrm -f $@ && $(AR) rcs $@ $^

$O/memwatch: $O/user/main.o $(LIBRARY)
	$(call say,LINK)
	$Q$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(ALLOCATOR)

$O/tests/bench/bench_files: $O/tests/bench/bench_files.o $(LIBRARY)
	$(call say,LINK)
	$Q$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(ALLOCATOR)

$O/tests/unit/%: $O/tests/unit/%.o $(LIBRARY)
	$(call say,LINK)
	$Q$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka

# What the bench measures, built as Debian builds; and the trap floor, which is of our own parts.
$O/tests/bench/%: tests/bench/%.c
	$(call say,CC)
	$Q$(CC) -std=gnu11 $(WARN) -O2 -g -fomit-frame-pointer -fno-optimize-sibling-calls -D_GNU_SOURCE -o $@ $< -lpthread

$O/tests/bench/floor: $O/tests/bench/floor.o $(LIBRARY)
	$(call say,LINK)
	$Q$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# Both say what --help says.
$(MANUAL): docs/memwatch.1.scd user/live_keys.c tools/make-docs $O/memwatch
	$(call say,MAN)
	$Qtools/make-docs manual $O/memwatch | scdoc > $@

$(COMPLETION): tools/make-docs $O/memwatch
	$(call say,DOC)
	$Qtools/make-docs completion $O/memwatch > $@

# Workloads are what the system tests watch: programs of their own, never sanitized.
workloads:
	$Q$(MAKE) --no-print-directory -C tests/workloads O=$(abspath $O)

-include $(wildcard $O/user/*.d $O/bpf/*.d $O/tests/*/*.d)
.PHONY: all demo check check-kernels bench install uninstall clean help workloads web-changed
.SECONDARY:
.DELETE_ON_ERROR:
