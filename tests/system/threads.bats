# SPDX-License-Identifier: GPL-2.0-or-later
# Many threads: what one allocates, another frees.
load helper

hammered() { # PROGRAM THREADS ROUNDS
	workload "$@"
	observed
	same_sites
	same_totals
	nothing_lost
	finish
}

@test "1 thread" { hammered threads 1 20000; }
@test "2 threads" { hammered threads 2 10000; }
@test "7 threads" { hammered threads 7 3000; }
@test "64 threads" { hammered threads 64 400; }
@test "16 threads of a static musl program" { hammered threads-musl 16 500; }

@test "8 threads on each allocator that can be preloaded" {
	local library
	for library in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2; do
		echo "# $library" >&2
		WORKLOAD_ENV=(LD_PRELOAD="$LIBRARIES/$library")
		hammered threads 8 1000
		rm -f "$T/line"
	done
}

@test "threads that have exited leave their blocks live" {
	workload thread_exit
	observed
	same_sites known
	snapshot_says '.totals.unmatched_frees == 0' # what a thread's cache held was freed before
	finish
}

@test "blocks with a header: what the program frees is not what its allocator frees" {
	local library
	for library in libheader libheader-jump; do
		echo "# $library" >&2
		WORKLOAD_ENV=(LD_PRELOAD="$W/$library.so")
		workload thread_exit
		observed
		same_sites known
		snapshot_says '.totals.unmatched_frees == 0'
		finish
		rm -f "$T/line"
	done
}

@test "a target at full speed when memwatch comes, and when it goes" {
	workload fullspeed
	observe --json --top 0 -p "$WORK" 0.3
	wait_for "a snapshot of the churning" seen '.totals.alloc_count > 10000'
	work
	snapshot
	diff <(grep '^{' "$T/truth" | jq -S '.totals | {live_bytes, live_count}') \
		<(jq -S '.totals | {live_bytes, live_count}' "$SNAPSHOT") >&2
	nothing_lost
	work 'still churning'
	untouched
	finish
}

@test "memwatch comes and goes three times while the target churns" {
	workload fullspeed
	for _ in 1 2 3; do
		observe --json -p "$WORK" 0.2
		wait_for "a snapshot" seen '.totals.alloc_count > 5000'
		snapshot
	done
	work
	work 'still churning'
	untouched
	finish
}
