# SPDX-License-Identifier: GPL-2.0-or-later
# The books of one process, to the byte.
load helper

@test "every C entry point: sites, totals, failures and peaks are the program's own" {
	workload basic
	observed
	same_sites
	same_totals
	same_peaks
	nothing_lost
	snapshot_says '.mode == "exact"'
	finish
}

@test "realloc grows, shrinks, fails, frees and allocates" {
	workload basic
	observed
	same_sites known "$(grep '^{' "$T/truth" | jq -c '.sites |= {by_realloc, by_reallocarray}')"
	finish
}

@test "frees of blocks older than the observer are unmatched, exactly" {
	workload preexisting 123 0
	observed
	same_sites
	same_totals
	snapshot_says '.totals.unmatched_frees == 123'
	finish
}

@test "so they are where an allocator frees more than the block that it was given" {
	local library
	for library in libheader libheader-jump libnodes; do
		echo "# $library" >&2
		WORKLOAD_ENV=(LD_PRELOAD="$W/$library.so")
		workload preexisting 123 0
		observed
		same_sites
		snapshot_says '.totals.unmatched_frees == 123'
		finish
		rm -f "$T/line"
	done
}

@test "resizing a block older than the observer frees one unmatched" {
	workload preexisting 10 40
	observed
	same_sites
	same_totals
	finish
}

@test "a signal handler's allocations, also on its own stack" {
	workload signals
	observed
	same_sites
	same_totals
	snapshot_says '[.sites[] | select(.stack[0].function == "in_handler").stack[1:3] | map(.function)]
		| length > 0 and all(.[]; .[0] == "handler" and (.[1] | IN("<signal handler called>", "__restore_rt")))'
	finish
}

@test "allocator calls left by longjmp, more than any table holds" {
	WORKLOAD_ENV=(LD_PRELOAD="$W/libjump.so")
	workload jumps
	observed
	same_sites
	same_totals
	finish
}

@test "more calls that never return than the kernel follows: what is missing is counted" {
	WORKLOAD_ENV=(LD_PRELOAD="$W/libjump.so")
	workload jumps overflow
	observed
	local true_count
	true_count=$(grep '^{' "$T/truth" | jq .totals.live_count)
	snapshot_says ".lost.inflight > 0 and .totals.live_count + .lost.inflight >= $true_count"
	finish
}

@test "exceptions through allocating frames" {
	workload exceptions
	observed
	same_sites known
	snapshot_says '.totals.live_bytes == 2750 and .totals.live_count == 275'
	finish
}

@test "ten thousand sites" {
	workload sites 10000 2
	observed
	same_totals
	nothing_lost
	snapshot_says '[.sites[] | select(.live_count == 2 and .live_bytes == 64)] | length == 10000'
	finish
}

@test "a full table of blocks: what is lost is counted, the rest is exact" {
	workload sites 500 10
	observed --max-blocks 1000
	snapshot_says '.lost.blocks > 0 and .totals.live_count + .lost.blocks == 5000'
	snapshot_says '.totals.live_bytes == .totals.live_count * 32'
	snapshot_says 'all(.sites[]; .live_bytes == .live_count * 32)'
	finish
}

@test "blocks that were freed take no room of those that live, nor count as such" {
	workload reuse 2000
	observed --max-blocks 2000
	snapshot_says '.lost.blocks == 0'
	same_sites
	same_totals
	finish
}

@test "--older shows no block that was freed" {
	workload reuse 100
	observe --json --top 0 --older 1ms -p "$WORK" 0.3
	work
	snapshot
	snapshot_says '[.sites[] | [.live_bytes, .live_count]] == [[500000, 100]]'
	finish
}

@test "a full table of stacks: what is lost is counted, the rest is exact" {
	workload sites 5000 2
	observed --max-stacks 1000
	snapshot_says '.lost.stacks + .lost.sites > 0'
	snapshot_says '[.sites[] | select(.stack | length > 10)] | length > 0
		and all(.live_count == 2 and .live_bytes == 64)'
	finish
}

@test "a full table shows in the text too" {
	workload sites 500 10
	observe --plain -p "$WORK" --max-blocks 1000 0.3
	work
	kill -INT "$WATCH"
	ended 0
	grep -qi 'lost' "$T/out"
	finish
}
