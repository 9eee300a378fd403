# SPDX-License-Identifier: GPL-2.0-or-later
# A workload is held on a pipe until memwatch observes it, does its work, prints its truth and
# waits. Nothing here passes or fails by the clock: conditions are waited for, with a wide bound.

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
O=${O:-build}
[[ $O = /* ]] || O=$ROOT/$O
MEMWATCH=${MEMWATCH:-$O/memwatch}
W=$O/workloads
LIBRARIES=/usr/lib/x86_64-linux-gnu

setup() {
	[[ $EUID = 0 ]] || skip "needs root"
	T=$BATS_TEST_TMPDIR
	WORKLOAD_ENV=()
	WORK='' OTHER='' WATCH='' VIEW='' CGROUP=''
	exec {LINE}>/dev/null # something to close for those who must not hold a workload's line
	[[ -x $MEMWATCH ]] || { echo "$MEMWATCH is not built" >&2; return 1; }
}

teardown() {
	if [[ $EUID = 0 ]]; then
		show_errors
		[[ -n $WATCH ]] && kill -KILL "$WATCH" 2>/dev/null
		[[ -n $VIEW ]] && kill -KILL "$VIEW" 2>/dev/null
		[[ -n $LINE ]] && exec {LINE}>&-
		[[ -n $WORK ]] && kill -KILL "$WORK" 2>/dev/null
		[[ -n $OTHER ]] && kill -KILL "$OTHER" 2>/dev/null
		wait
		[[ -z $CGROUP ]] || leave_container
		wait_for "no probe is left" nothing_attached
	fi
}

# A process that has ended is in its cgroup for a little longer.
leave_container() {
	wait_for "the cgroup is empty" no_cgroup
	rmdir "${CGROUP%/*}" 2>/dev/null || true # docker's own stays
	CGROUP=''
}

no_cgroup() { rmdir "$CGROUP" 2>/dev/null || [[ ! -d $CGROUP ]]; }

# Shown by bats when the test failed.
show_errors() {
	local file
	for file in "$T"/*err "$T/screen" "$T/text"; do
		[[ -s $file ]] && sed "s|^|${file##*/}: |" "$file" | head -30
	done
	return 0
}

# For 120 seconds in which it looked: those that pass while the machine stands still are one.
wait_for() { # WHAT COMMAND…
	local what=$1 left=120 second=$SECONDS
	shift
	[[ -p $T/nap ]] || mkfifo "$T/nap"
	until "$@"; do
		((SECONDS == second || --left)) || { echo "waited in vain: $what" >&2; return 1; }
		second=$SECONDS
		read -rt 0.02 <>"$T/nap" || true
	done
}

# Without a process of its own: it is asked often. A line that has no end yet is still being written.
has_line() { # FILE REGULAR-EXPRESSION [NUMBER of such lines]
	local line number=0
	while IFS= read -r line; do
		[[ $line =~ $2 ]] && ((++number >= ${3:-1})) && return
	done <"$1"
	return 1
}

# A zombie has ended, though the shell may not have heard of it yet; not if that is the main thread alone.
gone() { # PID
	local stat tasks=("/proc/$1/task"/*)
	kill -0 "$1" 2>/dev/null || return 0
	read -r stat <"/proc/$1/stat" && [[ $stat = *") Z "* && ${#tasks[@]} = 1 ]]
} 2>/dev/null

# ---- the workload

workload() { # PROGRAM [ARGUMENT…]: started, and held before its work
	local program=$1
	shift
	[[ $program = /* ]] || program=$W/$program
	mkfifo "$T/line"
	env "${WORKLOAD_ENV[@]}" "$program" "$@" <"$T/line" >"$T/truth" 2>"$T/workload.err" 3>&- &
	WORK=$!
	exec {LINE}>&-
	exec {LINE}>"$T/line"
	wait_for "$program is ready" workload_says '^ready$'
}

another() { # PROGRAM [ARGUMENT…]: beside the workload, on a line of its own; what it says is in $T/other
	local program=$1
	shift
	mkfifo "$T/other.line"
	env "${WORKLOAD_ENV[@]}" "$W/$program" "$@" <"$T/other.line" >"$T/other" 2>"$T/other.err" 3>&- {LINE}>&- &
	OTHER=$!
	exec {OTHER_LINE}>"$T/other.line"
	wait_for "the other is ready" has_line "$T/other" '^ready$'
}

workload_says() { # PATTERN
	has_line "$T/truth" "$1" || { gone "$WORK" && echo "the workload is gone" >&2 && cat "$T/truth"; }
}

release() { echo >&"$LINE"; } # lets it go on to where it waits next

work() { # [PATTERN]: does its work, up to the line that says so
	release
	wait_for "the truth" workload_says "${1:-^\{}"
	has_line "$T/truth" "${1:-^\{}"
}

finish() { # [STATUS]: it ends as it would have ended alone
	[[ -n $WATCH ]] || wait_for "the text is clean" text_clean "$WORK"
	release
	dead "${1:-7}"
}

dead() { # STATUS: it has ended, or is about to
	local status=0
	wait_for "the workload ends" gone "$WORK" || say_process "$WORK"
	wait "$WORK" || status=$?
	WORK=''
	equal "$1" "$status" "the workload's exit status"
}

# Where a process stands that does not go on. Always 1.
say_process() { # PID
	local task
	for task in "/proc/$1/task"/*; do
		echo "${task##*/}: $(grep -s ^State: "$task/status"), syscall $(cat "$task/syscall")"
		sed 's/^/  /' "$task/stack"
	done >&2
	return 1
}

# ---- memwatch

start_memwatch() { # ARGUMENT…
	local size=(--max-blocks 200000) # a table that is made sooner than one for a busy server
	[[ " $* " = *" --max-blocks "* ]] && size=()
	env --default-signal=INT,QUIT,PIPE "$MEMWATCH" "${size[@]}" "$@" >"$T/out" 2>"$T/err" 3>&- {LINE}>&- &
	WATCH=$!
}

observe() { # ARGUMENT…: returns when the probes are live
	: >"$T/err"
	start_memwatch "$@"
	wait_for "memwatch observes" observing
	observing
}

observing() {
	has_line "$T/err" '^memwatch: observing' || { gone "$WATCH" && echo "memwatch is gone" >&2; }
}

ended() { # STATUS: memwatch has ended by itself, or does so now
	local status=0
	wait_for "memwatch ends" gone "$WATCH"
	wait "$WATCH" || status=$?
	WATCH=''
	equal "$1" "$status" "memwatch's exit status"
}

# Ctrl-C: the last snapshot is in $SNAPSHOT, and every one that came was true to the invariants.
snapshot() {
	kill -INT "$WATCH"
	ended 0
	last_snapshot
}

last_snapshot() {
	SNAPSHOT=$T/snapshot
	tail -n 1 "$T/out" >"$SNAPSHOT"
	[[ -s $SNAPSHOT ]]
	consistent "$T/out"
}

# The usual whole: observe the workload, let it work, take the last snapshot.
observed() { # [OPTION…]
	observe --json --top 0 -p "$WORK" "$@" 0.3
	work
	snapshot
}

# ---- comparing

equal() { # EXPECTED ACTUAL WHAT
	[[ $1 = "$2" ]] || { printf '%s: expected %s, got %s\n' "$3" "$1" "$2" >&2; return 1; }
}

# alloc − freed = live in every object; totals are the sum over processes.
consistent() { # FILE of snapshots
	local bad
	bad=$(jq -c '
		def books: .. | objects | select(has("alloc_bytes"));
		def off: .alloc_bytes - .freed_bytes != .live_bytes or .alloc_count - .freed_count != .live_count
			or ([.alloc_bytes, .freed_bytes, .live_bytes, .alloc_count, .freed_count, .live_count]
				| min) < 0
			or (has("peak_bytes") and .live_bytes > .peak_bytes);
		(books | select(off)),
		(. as $all | ["live_bytes", "live_count", "alloc_bytes", "freed_bytes"][]
		 | select(. as $key | $all.totals[$key] != ([$all.processes[][$key]] | add // 0)) | {totals: .})
	' "$1") || return
	[[ -z $bad ]] || { echo "books that do not add up: $bad" >&2; return 1; }
}

# {function: counters} of one process, from the truth or from a snapshot. A snapshot's site is named
# by the function that called the allocator, or ("deep") by the first of its frames that the truth knows.
NAMES='
	def name: (.function // .module // "?") | sub("\\(.*"; "");
	def counters: {live_bytes, live_count, alloc_bytes, alloc_count, freed_bytes, freed_count};
	def total: reduce .[] as $s (null; reduce ($s | keys[]) as $k (.; .[$k] += $s[$k]));
'
true_sites() { # TRUTH (one line of JSON)
	jq -S "$NAMES"' .sites | map_values(counters) | with_entries(select(.value.alloc_count > 0))' <<<"$1"
}
seen_sites() { # TRUTH PID HOW
	jq -S --argjson truth "$1" --argjson pid "$2" --arg how "$3" "$NAMES"'
		def site: ([.stack[] | name | select($truth.sites[.])][0]) as $known
			| if $how == "leaf" then .stack[0] // {} | name else $known // (.stack[0] // {} | name) end;
		# the exceptions of libstdc++ are blocks too, but not of the program
		[.sites[] | select(.pid == $pid
			and ($how != "deep" or all(.stack[]; name != "__cxa_allocate_exception")))
			| {key: site, value: counters}]
		| group_by(.key) | map({key: .[0].key, value: (map(.value) | total)}) | from_entries
		| if $how == "known" then with_entries(select($truth.sites[.key])) else . end
		| with_entries(select(.value.alloc_count > 0))' "$SNAPSHOT"
}

# How a snapshot's sites are matched with the truth's.
# leaf: the sites are the truth's, all of them and no others. deep: the same, under the wrappers of a
# language. known: other sites (the C library's own) may stand beside them.
same_sites() { # [leaf|deep|known] [TRUTH]
	local truth=${2:-$(grep '^{' "$T/truth" | tail -n 1)}
	local pid
	pid=$(jq --argjson work "${WORK:-null}" '.pid // $work' <<<"$truth")
	diff <(true_sites "$truth") <(seen_sites "$truth" "$pid" "${1:-leaf}") >&2 || say_snapshot "$pid"
}

# For whoever reads the log of a test that failed, far from here. Always 1.
say_snapshot() { # [PID]: what was seen of it, in short: its totals, what was lost, its largest sites
	jq -r --argjson pid "${1:-null}" "$NAMES"'
		"elapsed \(.elapsed_s) s, lost \(.lost | with_entries(select(.value > 0)))", "totals \(.totals)",
		(.processes[] | select($pid == null or .pid == $pid) | "process \(.)"),
		(.sites | length as $n | "sites \($n), of which broken \(map(select(.end == "broken")) | length)"),
		([.sites[] | select($pid == null or .pid == $pid)][:12][]
			| "  \(.live_bytes) B in \(.live_count), ever \(.alloc_count) \(.end // "whole"): "
				+ (.stack[:6] | map(name) | join(" < ")))' "$SNAPSHOT" 2>&1 | cut -c1-400 | head -30 >&2
	return 1
}

TOTALS='{live_bytes, live_count, alloc_bytes, alloc_count, freed_bytes, freed_count, failed_count, unmatched_frees}'
same_totals() {
	diff <(grep '^{' "$T/truth" | tail -n 1 | jq -S ".totals | $TOTALS") \
		<(jq -S ".totals | $TOTALS" "$SNAPSHOT") >&2 || say_snapshot
}

same_process() { # TRUTH: one of several
	local keys='{live_bytes, live_count, alloc_bytes, alloc_count, freed_bytes, freed_count}'
	diff <(jq -S ".totals | $keys" <<<"$1") \
		<(jq -S --argjson pid "$(jq .pid <<<"$1")" \
			".processes[] | select(.pid == \$pid) | $keys" "$SNAPSHOT") >&2 ||
		say_snapshot "$(jq .pid <<<"$1")"
}

same_peaks() { # one thread only. Functions that allocate at one site; the sum of several sites' peaks is no peak.
	local truth
	truth=$(grep '^{' "$T/truth" | tail -n 1)
	equal "$(jq .peak_bytes <<<"$truth")" \
		"$(jq --argjson pid "$WORK" '.processes[] | select(.pid == $pid) | .peak_bytes' "$SNAPSHOT")" \
		"the process's peak"
	jq -r --argjson pid "$WORK" "$NAMES"'[.sites[] | select(.pid == $pid) | {name: (.stack[0] | name), peak_bytes}]
		| group_by(.name)[] | select(length == 1)[0] | "\(.name) \(.peak_bytes)"' "$SNAPSHOT" >"$T/peaks"
	[[ -s $T/peaks ]]
	local name peak
	while read -r name peak; do
		equal "$(jq --arg name "$name" '.sites[$name].peak_bytes' <<<"$truth")" "$peak" "peak of $name"
	done <"$T/peaks"
}

nothing_lost() {
	local lost
	lost=$(jq -c '.lost | with_entries(select(.value > 0 and (.key | test("_stacks$") | not)))' "$SNAPSHOT")
	equal '{}' "$lost" "losses" || say_snapshot
}

snapshot_says() { # JQ-CONDITION, on the last snapshot
	jq -e "$1" "$SNAPSHOT" >/dev/null && return
	echo "not so: $1" >&2
	say_snapshot
}

# True once a snapshot that is already out satisfies the condition.
seen() { # JQ-CONDITION
	jq -n -e "any(inputs; $1)" "$T/out" >/dev/null 2>&1
}

# ---- what must be left behind: nothing

# No program for probes, and no link of one, that no process holds: pinned, or leaked. Those of other programs, and
# of another memwatch, are held by them. A bpftool that is older than the kernel says a link's type as a number.
nothing_attached() {
	local kind
	for kind in prog link; do
		bpftool $kind list -j >"$T/listed" 2>/dev/null || return
		jq -r '.[]? | select(.type | IN("kprobe", "perf_event", "kprobe_multi", "uprobe_multi", 7, 8, 12))
			| .id' "$T/listed" >"$T/attached" || return
		[[ -s $T/attached ]] || continue
		grep -hs "^${kind}_id:" /proc/[0-9]*/fdinfo/* >"$T/held" || true
		awk 'FILENAME == ARGV[1] { held[$2]; next } !($1 in held) { exit 1 }' "$T/held" "$T/attached" || return
	done
}

text_clean() { # PID: no breakpoint is in its code
	"$W/textcheck" "$1" >"$T/text"
}

untouched() { # after memwatch has gone: the workload runs, and on its own code
	kill -0 "$WORK"
	wait_for "the text is clean" text_clean "$WORK"
	wait_for "no probe is left" nothing_attached
}

one_line_of_complaint() { # on standard error, from memwatch, and nothing else
	equal 1 "$(grep -c . "$T/err")" "lines on standard error"
	grep -q '^memwatch: ' "$T/err"
}
