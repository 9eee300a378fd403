# SPDX-License-Identifier: GPL-2.0-or-later
# fork, exec, exit, death; processes that come later.
load helper

# The whole system, whatever else runs in it: what it says of one process is in `processes`. Its sites could be
# any number, and are compared where only one name is observed.
observe_all() {
	observe --json --top 1 --max-blocks 8000000 0.3
}

two_truths() { has_line "$T/truth" '^\{' 2; }

forked() { # COMMAND that observes…
	workload forks
	"$@"
	release
	wait_for "both truths" two_truths
	snapshot
	PARENT=$(grep '^{' "$T/truth" | jq -c 'select(.sites.parents_own.live_count > 0)')
	CHILD=$(grep '^{' "$T/truth" | jq -c 'select(.sites.childs_own.live_count > 0)')
	[[ -n $PARENT && -n $CHILD ]]
	same_process "$PARENT"
	same_process "$CHILD"
	snapshot_says "[.processes[] | select(.pid == $(jq .pid <<<"$CHILD"))]
		| length == 1 and .[0].unmatched_frees == 20"
	snapshot_says "[.processes[] | select(.pid == $(jq .pid <<<"$PARENT"))]
		| length == 1 and .[0].unmatched_frees == 0"
}

@test "fork: parent and child free the same inherited blocks, neither is counted twice" {
	forked observe --json --top 0 -n forks 0.3
	same_sites leaf "$PARENT"
	same_sites leaf "$CHILD"
	release
	finish
}

@test "fork, observed system-wide" {
	forked observe_all
	release
	finish
}

@test "fork: with -p the child is not observed, and lives" {
	workload forks
	observe --json --top 0 -p "$WORK" 0.3
	release
	wait_for "both truths" two_truths
	snapshot
	PARENT=$(grep '^{' "$T/truth" | jq -c 'select(.sites.parents_own.live_count > 0)')
	same_sites leaf "$PARENT"
	same_process "$PARENT"
	snapshot_says '(.processes | length == 1) and .totals.unmatched_frees == 0'
	release
	finish
}

@test "exec empties the books" {
	workload execs
	observed
	same_sites known
	snapshot_says '.totals.live_bytes == 300 and .totals.live_count == 15'
	snapshot_says '([.sites[] | select(.stack[0].function == "before_exec") | .live_count] | add // 0) == 0'
	finish
}

@test "exec: stacks are whole before anybody has looked at the new program" {
	workload execs
	observe --json --top 0 -p "$WORK" 0.3
	kill -STOP "$WATCH"
	work
	kill -CONT "$WATCH"
	snapshot
	same_sites known
	snapshot_says '.lost.broken_stacks == 0'
	finish
}

@test "a process that nobody has looked at yet has whole stacks when its files are known" {
	workload basic
	observe --json --top 0 -n basic 0.3
	kill -STOP "$WATCH"
	printf '\n\n' | "$W/basic" >"$T/other" 2>/dev/null 3>&- {LINE}>&- || [[ $? = 7 ]]
	kill -CONT "$WATCH"
	wait_for "the process is shown" seen 'any(.processes[]; .exited)'
	SNAPSHOT=$T/snapshot
	jq -c 'select(any(.processes[]; .exited))' "$T/out" >"$SNAPSHOT"
	same_sites leaf "$(grep '^{' "$T/other")"
	snapshot_says '.lost.broken_stacks == 0'
	work
	finish
}

@test "what was lost of a process that is not to be observed is no loss" {
	WORKLOAD_ENV=(LD_PRELOAD="$W/libjump.so")
	workload jumps
	observe --json --top 0 -n jumps 0.3
	wait_for "its stacks are known" seen '.elapsed_s > 0'
	ln -f "$W/jumps" "$W/unwanted"
	kill -STOP "$WATCH"
	printf '\n\n' | env "${WORKLOAD_ENV[@]}" "$W/unwanted" overflow >"$T/other" 3>&- {LINE}>&- || [[ $? = 7 ]]
	kill -CONT "$WATCH"
	rm "$W/unwanted"
	snapshot
	snapshot_says '.lost.inflight == 0'
	work
	finish
}

@test "exec, observed system-wide" {
	workload execs
	observe_all
	work
	snapshot
	same_process "$(grep '^{' "$T/truth")"
	finish
}

@test "the target's exit ends memwatch with a last snapshot and status 0" {
	workload basic
	observe --json --top 0 -p "$WORK" 60
	work
	release
	ended 0
	last_snapshot
	same_sites
	same_totals
	snapshot_says '.processes[0].exited == true'
	dead 7
}

@test "the last state of a killed target is shown" {
	workload basic
	observe --json --top 0 -p "$WORK" 60
	work
	kill -KILL "$WORK"
	ended 0
	last_snapshot
	same_sites
	same_totals
	dead 137
}

@test "killed in the middle of allocating" {
	workload fullspeed
	observe --json --top 0 -p "$WORK" 0.2
	wait_for "a snapshot of the churning" seen '.totals.alloc_count > 5000'
	kill -KILL "$WORK"
	ended 0
	last_snapshot
	snapshot_says '.processes[0].exited == true and .totals.live_count <= 1001'
	dead 137
}

@test "one of two targets exits: the other is observed on, both are shown" {
	workload basic
	another shapes
	observe --json --top 0 -p "$WORK,$OTHER" 0.2
	kill -KILL "$OTHER"
	wait_for "its end is seen" seen "any(.processes[]; .pid == $OTHER and .exited)"
	work
	snapshot
	same_sites
	finish
}

@test "a process that starts later is observed from its first allocation, system-wide" {
	observe_all
	workload basic
	work
	snapshot
	same_process "$(grep '^{' "$T/truth")"
	finish
}

@test "memwatch does not observe itself" {
	local itself
	workload basic
	observe_all
	itself=$WATCH
	work
	wait_for "two snapshots" seen '.elapsed_s > 0.5'
	snapshot
	snapshot_says "all(.processes[]; .pid != $itself)"
	snapshot_says 'any(.processes[]; .comm == "basic")'
	finish
}

# A process that has exited is shown once.
shown_exited() { # TRUTH
	jq -c --argjson pid "$(jq .pid <<<"$1")" '.processes[] | select(.pid == $pid and .exited)' "$T/out"
}

@test "by name: those that run, and those that start later" {
	local later
	workload basic
	observe --json --top 1 -n 'basi*' 0.3
	work
	"$W/basic" <<<$'\n' >"$T/later" 3>&- {LINE}>&- || true
	later=$(grep '^{' "$T/later")
	wait_for "the later one is shown" seen "any(.processes[]; .pid == $(jq .pid <<<"$later") and .exited)"
	snapshot
	same_process "$(grep '^{' "$T/truth")"
	equal "$(jq -c '.totals | [.live_bytes, .live_count, .alloc_bytes, .freed_count]' <<<"$later")" \
		"$(shown_exited "$later" |
			jq -c '[.live_bytes, .live_count, .alloc_bytes, .freed_count]')" "the later one"
	finish
}

@test "by name: nothing else is shown, however short it lives" {
	local i
	workload basic
	observe --json --top 1 -n 'basi*' 0.2
	for ((i = 0; i < 20; i++)); do
		/bin/sh -c 'ls / >/dev/null; exec sleep 0.01' 3>&- {LINE}>&-
	done
	work
	snapshot
	equal '"basic"' "$(jq '.processes[] | .comm // "?"' "$T/out" | sort -u)" "names seen"
	snapshot_says '.lost.broken_stacks == 0' # the others' are theirs
	finish
}

@test "by name: every one that starts later is shown, however short it lives" {
	local i
	workload basic
	observe --json --top 1 -n 'basi*' 0.2
	for ((i = 0; i < 20; i++)); do
		"$W/basic" <<<$'\n' 3>&- {LINE}>&- || true
	done | grep '^{' | jq -c '[.pid, .totals.alloc_bytes, .totals.freed_count]' | sort >"$T/later"
	equal 20 "$(wc -l <"$T/later")" "processes that started later"
	work
	snapshot
	jq -c '.processes[] | select(.exited) | [.pid, .alloc_bytes, .freed_count]' "$T/out" | sort -u >"$T/seen"
	diff "$T/later" "$T/seen" >&2
	finish
}

# A process that is held while it is being loaded, and memwatch waits for it.
held() { # WHERE
	workload loading "$1"
	HELD=$(sed -n 's/^held //p' "$T/truth")
	start_memwatch --json --top 0 -p "$HELD" 0.3
	wait_for "memwatch waits" waiting
	waiting
}

waiting() {
	has_line "$T/err" "^memwatch: waiting for process $HELD to be loaded$" ||
		{ gone "$WATCH" && echo "memwatch is gone" >&2; }
}

two_readies() { [[ $(grep -c '^ready' "$T/truth") = 2 ]]; }

loaded() { # WHERE
	held "$1"
	release
	wait_for "memwatch observes" observing
	observing
	wait_for "it is loaded" two_readies
	work
	snapshot
	same_sites
	same_totals
	snapshot_says '.lost.broken_stacks == 0'
	finish
}

@test "a process that has just become another program is waited for until its loader is done" {
	loaded exec
}

@test "a process whose loader is looking for libraries is waited for until it is done" {
	loaded libraries
}

@test "a process that is killed while it is being loaded" {
	held exec
	kill -KILL "$HELD"
	ended 1
	[[ ! -s $T/out ]]
	equal "memwatch: process $HELD has ended" "$(tail -n 1 "$T/err")" "what is said"
	finish 137
}

@test "memwatch is interrupted while the process is being loaded" {
	held libraries
	kill -INT "$WATCH"
	ended 130
	wait_for "its code is clean" text_clean "$HELD"
	release
	wait_for "it is loaded" two_readies
	work
	finish
}
