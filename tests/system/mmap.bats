# SPDX-License-Identifier: GPL-2.0-or-later
# The program's own anonymous mappings, by range.
load helper

mapped() { # CASE [OPTION…]
	workload maps "$1"
	observe --json --top 0 --family mmap -p "$WORK" "${@:2}" 0.3
	work
	snapshot
}

# {function: live bytes} of the mmap family.
same_live_bytes() {
	diff <(grep '^{' "$T/truth" | jq -S '.sites | map_values(.live_bytes) | with_entries(select(.value > 0))') \
		<(live_bytes | jq -S 'with_entries(select(.value > 0))') >&2
}
live_bytes() {
	jq -S '[.sites[] | select(.family == "mmap") | {key: .stack[0].function, value: .live_bytes}] | group_by(.key)
		| map({key: .[0].key, value: (map(.value) | add)}) | from_entries' "$SNAPSHOT"
}
mmap_sum() {
	jq '[.sites[] | select(.family == "mmap") | .live_bytes] | add // 0' "$SNAPSHOT"
}

@test "private and shared, whole" {
	mapped whole
	same_sites
	finish
}

@test "partial munmap: front, back, holes" {
	mapped partial
	same_live_bytes
	finish
}

@test "one munmap across two sites and a gap" {
	mapped across
	equal 16384 "$(live_bytes | jq '.fixed_map')" "live bytes of the first"
	equal 16384 "$(mmap_sum)" "live bytes in all"
	finish
}

@test "MAP_FIXED over an old mapping" {
	mapped fixed
	same_live_bytes
	finish
}

@test "a reservation over a live mapping ends it; reservations are no heap" {
	mapped reserved
	equal 0 "$(mmap_sum)" "live bytes"
	finish
}

# What mremap returns is its caller's, as with realloc.
@test "mremap shrinks" {
	mapped shrink
	equal $((4 * 4096)) "$(mmap_sum)" "live bytes"
	finish
}

# 10 pages, of which mremap makes 4: sites have what passes the filter when it is mapped, totals have all.
@test "--min-size and --max-size leave mappings out of the sites, not out of the totals" {
	mapped shrink --min-size $((8 * 4096))
	equal '{"private_map":0}' "$(live_bytes | jq -c .)" "live bytes of sites, large ones"
	snapshot_says ".totals.live_bytes == 4 * 4096 and .totals.alloc_bytes == 14 * 4096"
	finish
	rm -f "$T/line" "$T/err"
	mapped shrink --max-size $((8 * 4096))
	equal '{"moved_map":16384}' "$(live_bytes | jq -c .)" "live bytes of sites, small ones"
	snapshot_says ".totals.live_bytes == 4 * 4096 and .totals.alloc_bytes == 14 * 4096"
	finish
}

@test "mremap grows in place" {
	mapped grow
	equal $((20 * 4096)) "$(mmap_sum)" "live bytes"
	finish
}

@test "mremap moves and grows; its old place is free" {
	mapped move
	equal $((12 * 4096)) "$(mmap_sum)" "live bytes"
	finish
}

@test "files, reservations and threads' stacks are no heap" {
	mapped none
	equal 0 "$(mmap_sum)" "live bytes"
	finish
}

@test "what fails is counted as failed and changes nothing" {
	mapped failing
	same_sites
	snapshot_says '.totals.failed_count == 3'
	finish
}

@test "lengths that are no whole pages" {
	mapped odd
	same_live_bytes
	finish
}

@test "what malloc maps is malloc's" {
	workload basic
	observed
	snapshot_says '[.sites[] | select(.family == "mmap")] | length == 0'
	snapshot_says '[.sites[] | select(.family == "heap" and .live_bytes > 1000000)] | length == 1'
	finish
}
