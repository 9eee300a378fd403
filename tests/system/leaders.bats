# SPDX-License-Identifier: GPL-2.0-or-later
# Processes whose leader goes: the kernel finds a process by its leader, links do too.
load helper

leader_ended() { has_line "/proc/$WORK/status" '^State:[[:space:]]*Z'; }

two_readies() { has_line "$T/truth" '^ready$' 2; }

to_second_ready() { # the leader's work is done, the rest waits for the next line
	release
	wait_for "the second part is ready" two_readies
}

# A leader that has ended has no memory to look at; the last of the threads is there to the end.
finish_leaderless() {
	local threads=("/proc/$WORK/task/"*)
	local last=$WORK thread
	for thread in "${threads[@]}"; do
		((${thread##*/} > last)) && last=${thread##*/}
	done
	wait_for "the text is clean" text_clean "$last"
	release
	dead 7
}

whole() {
	work
	snapshot
	same_sites
	same_totals
	nothing_lost
	snapshot_says '.lost.broken_stacks == 0'
}

# The kernel asks every link whom it is for when one of the same file goes.
another_link_comes_and_goes() {
	another basic
	"$MEMWATCH" --json --max-blocks 1000 -p "$OTHER" 0.1 1 >/dev/null 2>"$T/second.err" 3>&- {LINE}>&-
}

@test "the leader has ended before memwatch comes: the other threads are observed" {
	workload leaders early
	wait_for "the leader has ended" leader_ended
	observe --json --top 0 -p "$WORK" 0.3
	whole
	finish_leaderless
}

@test "the leader has ended: processes that are not named are not observed" {
	workload leaders early
	wait_for "the leader has ended" leader_ended
	another fullspeed
	observe --json --top 0 -p "$WORK" 0.3
	whole
	snapshot_says ".processes | length == 1 and .[0].pid == $WORK"
	finish_leaderless
}

@test "one of two processes has no leader: each call of both counts once" {
	workload basic
	another leaders early
	wait_for "the leader has ended" has_line "/proc/$OTHER/status" '^State:[[:space:]]*Z'
	observe --json --top 0 -p "$WORK,$OTHER" 0.3
	work
	echo >&"$OTHER_LINE"
	wait_for "the other's truth" has_line "$T/other" '^\{'
	snapshot
	same_sites
	same_process "$(grep '^{' "$T/truth")"
	same_sites leaf "$(grep '^{' "$T/other")"
	same_process "$(grep '^{' "$T/other")"
	nothing_lost
	finish
}

churning() { # OPTION…
	workload leaders late
	observe --json --top 0 -v "$@" -p "$WORK" 0.3
}

the_leader_ends() { # WHAT-IS-SAID
	to_second_ready
	wait_for "the leader has ended" leader_ended
	wait_for "it is noticed" has_line "$T/err" "^memwatch: process $WORK: its main thread has ended$1"
	another_link_comes_and_goes
}

@test "the leader ends while threads churn: every call counts once, and no link is needed for it later" {
	churning
	! has_line "$T/err" "^memwatch: attaching by perf links" || skip "perf links see none of its calls then"
	the_leader_ends ', the others go on'
	whole
	finish_leaderless
}

@test "the leader ends, perf links: that calls were missed is said, and later ones count" {
	churning --attach perf
	the_leader_ends ': what the others allocated until now was not seen'
	work
	snapshot
	snapshot_says '[.sites[] | select(.stack[0].function == "by_thread")]
		| map([.live_count, .end]) == [[50, null]]'
	finish_leaderless
}

@test "exec by a thread that is not the leader: the new program is observed" {
	workload leaders exec
	observe --json --top 0 -p "$WORK" 0.3
	to_second_ready
	wait_for "it is noticed" has_line "$T/err" "^memwatch: process $WORK: exec by a thread"
	work
	snapshot
	same_sites
	nothing_lost
	snapshot_says '.lost.broken_stacks == 0'
	finish
}

@test "exec by a thread of one of two processes: each call of the other counts once" {
	workload fullspeed
	another leaders exec
	observe --json --top 0 -p "$OTHER,$WORK" 0.3
	wait_for "a snapshot of the churning" seen '.totals.alloc_count > 5000'
	echo >&"$OTHER_LINE"
	wait_for "it is noticed" has_line "$T/err" "^memwatch: process $OTHER: exec by a thread"
	work
	snapshot
	diff <(grep '^{' "$T/truth" | jq -S '.totals | {live_bytes, live_count}') \
		<(jq -S --argjson pid "$WORK" '.processes[] | select(.pid == $pid) | {live_bytes, live_count}' \
			"$SNAPSHOT") >&2
	nothing_lost
	work 'still churning'
	finish
}
