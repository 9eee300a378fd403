# SPDX-License-Identifier: GPL-2.0-or-later
# The same books wherever the allocator lives.
load helper

booked() { # HOW PROGRAM [ARGUMENT…]
	local how=$1
	shift
	workload "$@"
	observed
	same_sites "$how"
	same_totals
	nothing_lost
	equal 1 "$(grep -c . "$T/err")" "lines on standard error" # no probe was refused
	finish
}

preloaded() { # LIBRARY HOW PROGRAM [ARGUMENT…]
	[[ -e $LIBRARIES/$1 ]] || skip "$1 is not installed"
	WORKLOAD_ENV=(LD_PRELOAD="$LIBRARIES/$1")
	booked "${@:2}"
}

@test "static glibc" { booked leaf basic-static; }
@test "static musl" { booked leaf basic-musl; }
@test "jemalloc" { preloaded libjemalloc.so.2 leaf basic; }
@test "tcmalloc" { preloaded libtcmalloc_minimal.so.4 leaf basic; }
@test "mimalloc" { preloaded libmimalloc.so.2 leaf basic; }

@test "C++ on libstdc++: one allocation, the one the program asked for" {
	workload cxx calm
	observed
	same_sites deep
	snapshot_says '.totals.live_bytes == 15301 and .totals.live_count == 51 and .totals.failed_count == 1'
	nothing_lost
	finish
}

@test "C++ on jemalloc" { preloaded libjemalloc.so.2 leaf cxx calm; }
@test "C++ on tcmalloc" { preloaded libtcmalloc_minimal.so.4 leaf cxx calm; }
# Its aligned operator new only calls mi_malloc_aligned, where the probe is: a wrapper stands at the leaf.
@test "C++ on mimalloc" { preloaded libmimalloc.so.2 deep cxx calm; }

# What a failing operator new throws is caught by the program, observed or not.
throwing() { # [LIBRARY]
	if [[ -n ${1:-} ]]; then
		[[ -e $LIBRARIES/$1 ]] || skip "$1 is not installed"
		WORKLOAD_ENV=(LD_PRELOAD="$LIBRARIES/$1")
	fi
	workload cxx
	observed
	snapshot_says '.totals.live_bytes == 15301 and .totals.live_count == 51'
	equal 21 "$(jq .totals.failed_count "$SNAPSHOT")" "failed allocations"
	finish
}

@test "bad_alloc on libstdc++" { throwing; }
@test "bad_alloc on jemalloc" { throwing libjemalloc.so.2; }
@test "bad_alloc on tcmalloc" { throwing libtcmalloc_minimal.so.4; }

# Nor may a link of one process do anything to another that has the same code probed.
unobserved() { # LIBRARY
	[[ -e $LIBRARIES/$1 ]] || skip "$1 is not installed"
	WORKLOAD_ENV=(LD_PRELOAD="$LIBRARIES/$1")
	workload cxx child
	observed
	same_sites leaf
	finish
}

@test "bad_alloc in a child of an observed process, on jemalloc" { unobserved libjemalloc.so.2; }
@test "bad_alloc in a child of an observed process, on tcmalloc" { unobserved libtcmalloc_minimal.so.4; }

@test "bad_alloc in two processes that two memwatches observe" {
	[[ -e $LIBRARIES/libjemalloc.so.2 ]] || skip "libjemalloc.so.2 is not installed"
	WORKLOAD_ENV=(LD_PRELOAD="$LIBRARIES/libjemalloc.so.2")
	another cxx
	workload cxx
	observe --json --top 0 -p "$WORK" 0.3
	"$MEMWATCH" -p "$OTHER" >"$T/view" 2>"$T/view.err" 3>&- {LINE}>&- {OTHER_LINE}>&- &
	VIEW=$!
	wait_for "the other is observed" has_line "$T/view.err" '^memwatch: observing'
	echo >&"$OTHER_LINE"
	wait_for "the other's truth" has_line "$T/other" '^\{'
	work
	kill -INT "$VIEW"
	wait "$VIEW"
	VIEW=''
	snapshot
	snapshot_says '.totals.live_bytes == 15301 and .totals.failed_count == 21'
	finish
}

@test "a deleted program that has its allocator in it" {
	cp "$W/basic-static" "$T/deleted"
	workload "$T/deleted"
	rm "$T/deleted"
	observed
	same_sites
	same_totals
	finish
}

@test "a deleted program and another file in its place" {
	cp "$W/basic-static" "$T/replaced"
	workload "$T/replaced"
	rm "$T/replaced"
	cp /bin/true "$T/replaced"
	observed
	same_sites
	finish
}

@test "a deleted C library" {
	mkdir "$T/lib"
	cp "$LIBRARIES/libc.so.6" "$T/lib"
	WORKLOAD_ENV=(LD_LIBRARY_PATH="$T/lib")
	workload basic
	rm "$T/lib/libc.so.6"
	observed
	same_sites
	same_totals
	finish
}

@test "another root: chroot" {
	local root=$T/root
	mkdir -p "$root/lib64" "$root$LIBRARIES"
	cp "$W/basic" "$root/basic"
	cp "$LIBRARIES/libc.so.6" "$root$LIBRARIES"
	cp /lib64/ld-linux-x86-64.so.2 "$root/lib64"
	mkdir -p "$root/lib/x86_64-linux-gnu"
	cp "$LIBRARIES/libc.so.6" "$root/lib/x86_64-linux-gnu"
	workload "$(command -v chroot)" "$root" /basic
	observed
	same_sites
	same_totals
	finish
}

namespaces() { # a folder that one has changed its root to is no mount point: unshare refuses it
	unshare --mount true 2>/dev/null || skip "this root is no mount point"
}

@test "another mount and pid namespace" {
	local inner
	namespaces
	cat >"$T/inner" <<-EOF2
		#!/bin/sh
		mount -t tmpfs none /mnt && cp "$W/basic-static" /mnt/basic && exec /mnt/basic
	EOF2
	chmod +x "$T/inner"
	workload "$(command -v unshare)" --mount --pid --fork --kill-child "$T/inner"
	inner=$(pgrep -P "$WORK")
	observe --json --top 0 -p "$inner" 0.3
	work
	snapshot
	same_sites leaf "$(grep '^{' "$T/truth" | jq -c --argjson pid "$inner" '.pid = $pid')"
	same_totals
	finish
}

@test "memwatch itself in a container's pid namespace" {
	namespaces
	workload "$(command -v unshare)" --mount-proc --pid --fork --kill-child "$W/basic"
	: >"$T/err"
	nsenter -t "$(pgrep -P "$WORK")" -p -m "$MEMWATCH" --max-blocks 200000 --json --top 0 -p 1 0.3 \
		>"$T/out" 2>"$T/err" 3>&- {LINE}>&- &
	WATCH=$!
	wait_for "memwatch observes" observing
	work
	kill -INT "$(pgrep -P "$WATCH")" # before its target ends, which is the namespace's init
	ended 0
	last_snapshot
	same_sites
	same_totals
	finish
}

@test "/proc is of another pid namespace" {
	unshare --pid --fork "$MEMWATCH" -p 1 2>"$T/err" && return 1
	one_line_of_complaint
	grep -q '/proc is of another PID namespace' "$T/err"
	unshare --pid --fork "$MEMWATCH" doctor >"$T/out" && return 1
	grep -q '/proc is of another PID namespace' "$T/out"
}
